"""The targets being worked: strategies' wanted positions, and closings."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.slot import Slot
from perpmaker.engine.core.target import Ending, Job, Scene, TargetWorker
from perpmaker.engine.core.world import ENGINE_ITSELF, World
from perpmaker.model.commands import Notice
from perpmaker.model.events import Timer
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.quote import Algorithm, Sweep
from perpmaker.model.units import NS_PER_S

_TIMER: Final = "target"
AGAIN_NS: Final = 1 * NS_PER_S
"""A target that ended without being reached is not begun again within this time."""
CLOSE_CHILDREN: Final = 20
CLOSE_ROUND_MS: Final = 10_000

Key = tuple[AccountId, InstrumentId]


class Targets:
    """At most one target per account and instrument; a closing takes the place of a strategy's."""

    def __init__(self, world: World, desk: Desk) -> None:
        self._world = world
        self._desk = desk
        self._workers: dict[Key, TargetWorker] = {}
        self._ended: dict[Key, tuple[Decimal, int]] = {}

    def want(self, slot: Slot, instrument: InstrumentId, qty: Decimal, algorithm: Algorithm) -> None:
        """Work towards a strategy's wanted position; repeating it changes nothing."""
        account, now_ns = slot.spec.account, self._world.now_ns
        key = (account, instrument)
        worker = self._workers.get(key)
        if worker is not None and (worker.job.closing or (worker.job.qty, worker.job.algorithm) == (qty, algorithm)):
            return
        if not slot.quoting_allowed or self._world.stopping:
            return
        if worker is None and self._world.account_books[account].position_qty(instrument) == qty:
            return
        ended = self._ended.get(key)
        if worker is None and ended is not None and ended[0] == qty and now_ns - ended[1] < AGAIN_NS:
            return
        self._begin(Job(account, slot.spec.strategy, instrument, qty, algorithm, False, self._largest(account)), slot)

    def close(self, account: AccountId, instrument: InstrumentId) -> None:
        """Flatten a position, afresh until it is flat."""
        worker = self._workers.get((account, instrument))
        if worker is not None and worker.job.closing:
            return
        algorithm = Sweep(
            max_slippage_bps=self._world.spec.close_max_slippage_bps,
            cap_from="touch",
            max_children=CLOSE_CHILDREN,
            deadline_ms=CLOSE_ROUND_MS,
        )
        job = Job(account, ENGINE_ITSELF, instrument, Decimal(0), algorithm, True, self._largest(account))
        self._begin(job, None)

    def withdraw(
        self, account: AccountId, *, instrument: InstrumentId | None = None, strategy: StrategyId | None = None
    ) -> None:
        """Give up targets, of all strategies and closings or of one strategy; their children are the caller's to cancel."""
        for key, worker in list(self._workers.items()):
            if (
                key[0] == account
                and instrument in (None, key[1])
                and (strategy is None or worker.job.strategy == strategy)
            ):
                worker.withdraw(self._world.account_books[account].position_qty(key[1]))
                self._finish(key, worker)

    def closing(self, account: AccountId | None = None) -> dict[Key, str]:
        """Return the closings under way and what each waits for."""
        return {
            key: worker.waits_for
            for key, worker in self._workers.items()
            if worker.job.closing and account in (None, key[0])
        }

    def on_timer(self, timer: Timer) -> bool:
        """Look again at a target; returns whether the timer was one of these."""
        if not timer.key.startswith(_TIMER + " "):
            return False
        _, account, instrument = timer.key.split(" ", 2)
        self.step((AccountId(account), InstrumentId(instrument)))
        return True

    def step(self, key: Key) -> None:
        """Do what the target needs now, if there is one."""
        worker = self._workers.get(key)
        if worker is None:
            return
        account, instrument = key
        world = self._world
        rules = world.instruments.get(instrument)
        if rules is None or self._waits_for_others(worker, key):
            world.out.timer(f"{_TIMER} {account} {instrument}", world.now_ns + AGAIN_NS // 4)
            return
        book = world.book_without_own(instrument)
        child = world.table.get(account, worker.child_id) if worker.child_id is not None else None
        scene = Scene(
            now_ns=world.now_ns,
            position=world.account_books[account].position_qty(instrument),
            instrument=rules,
            book=book,
            levels=None if book is None else book.levels,
            child=None if child is None else child.view(),
        )
        order = worker.step(scene)
        if order is not None:
            self._desk.submit((order,))
        if worker.result is not None:
            self._finish(key, worker)
            return
        self._warn(worker)
        world.out.timer(f"{_TIMER} {account} {instrument}", worker.next_look_ns)

    def _waits_for_others(self, worker: TargetWorker, key: Key) -> bool:
        """A closing begins once every other own order of the instrument has ended: they could meet, or undo it."""
        if not worker.job.closing:
            return False
        others = [
            order for order in self._world.table.live(*key) if order.own and order.client_order_id != worker.child_id
        ]
        if others:
            self._desk.cancel_live(*key)
            worker.waits_for = f"{len(others)} orders to be cancelled"
            self._warn(worker)
        return bool(others)

    def _begin(self, job: Job, slot: Slot | None) -> None:
        key = (job.account, job.instrument)
        before = self._workers.get(key)
        if before is not None:
            before.withdraw(self._world.account_books[job.account].position_qty(job.instrument))
            self._finish(key, before)
        next_id = slot.next_id if slot is not None else self._world.engine_ids.next
        worker = TargetWorker(job, self._world.now_ns, next_id)
        if before is not None:
            worker.child_id = before.child_id  # still to be waited for
        self._workers[key] = worker
        self.step(key)

    def _finish(self, key: Key, worker: TargetWorker) -> None:
        del self._workers[key]
        result = worker.result
        if result is None:
            return
        if result.ending is not Ending.DONE:
            self._ended[key] = (worker.job.qty, self._world.now_ns)
        fields = {
            "account": key[0],
            "instrument": key[1],
            "strategy": worker.job.strategy,
            "wanted": str(worker.job.qty),
            "ending": result.ending.value,
            "filled": str(result.filled_qty),
            "vwap": "" if result.vwap is None else f"{result.vwap:.10f}".rstrip("0").rstrip("."),
            "slippage_bps": "" if result.slippage_bps is None else f"{result.slippage_bps:.2f}",
            "children": str(result.children),
            "remaining": str(result.remaining),
        }
        name = "position_closed" if worker.job.closing and result.ending is Ending.DONE else "target_ended"
        self._world.out.tell(Notice("info", name, fields, self._world.now_ns))

    def _warn(self, worker: TargetWorker) -> None:
        """Alarm for as long as a closing is not done (REQUIREMENTS §6)."""
        job = worker.job
        if not job.closing or self._world.now_ns - worker.started_ns < 5 * NS_PER_S:
            return
        held = self._world.account_books[job.account].position_qty(job.instrument)
        fields = {
            "account": job.account,
            "instrument": job.instrument,
            "held": str(held),
            "waits_for": worker.waits_for,
        }
        notice = Notice("warning", "position_not_flat", fields, self._world.now_ns)
        self._world.out.tell_seldom(notice, job.account, job.instrument)

    def _largest(self, account: AccountId) -> Decimal:
        return self._world.limits[account].max_order_notional
