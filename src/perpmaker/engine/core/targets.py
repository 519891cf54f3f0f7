"""Wanted positions: those of strategies, and closings. Each is worked as parent orders towards it, one after the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.execution_notices import told
from perpmaker.engine.core.executions import Executions, Key
from perpmaker.engine.core.slot import Slot
from perpmaker.engine.core.world import ENGINE_ITSELF, World
from perpmaker.model.commands import Notice
from perpmaker.model.events import Timer
from perpmaker.model.execution import Ending, ExecutionReport, ParentOrder
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.order import Side
from perpmaker.model.quote import Algorithm, Sweep
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_TIMER: Final = "target"
LOOK_NS: Final = 250 * NS_PER_MS
AGAIN_NS: Final = 1 * NS_PER_S
"""A target that ended without being reached is not begun again within this time."""
ALARM_NS: Final = 5 * NS_PER_S
CLOSE_CHILDREN: Final = 20
CLOSE_ROUND_MS: Final = 10_000
CLOSE_PATIENCE_MS: Final = 1_000
"""After this without an offer inside the cap a closing takes a new arrival price."""


class _Closing:
    """A position being flattened, for as long as it is not flat."""

    def __init__(self, now_ns: int) -> None:
        self.since_ns = now_ns
        self.waits_for = ""
        self.not_before_ns = 0
        self.last: ExecutionReport | None = None


class Targets:
    """At most one target per account and instrument; a closing takes the place of everything else."""

    def __init__(self, world: World, desk: Desk, executions: Executions) -> None:
        self._world = world
        self._desk = desk
        self._executions = executions
        self._closings: dict[Key, _Closing] = {}
        self._ended: dict[Key, tuple[Decimal, int]] = {}
        self._count = 0
        executions.on_ended = self._on_ended

    def want(self, slot: Slot, instrument: InstrumentId, qty: Decimal, algorithm: Algorithm) -> None:
        """Work towards a strategy's wanted position; repeating it changes nothing."""
        key, now_ns = (slot.spec.account_of(instrument), instrument), self._world.now_ns
        allowed = slot.running if slot.spec.others else slot.quoting_allowed  # a paused pair goes on hedging
        if key in self._closings or not allowed or self._world.stopping:
            return
        parent = self._executions.current(key)
        if parent is not None:
            order = parent.order
            if order.target_qty is None or (order.target_qty, order.algorithm) == (qty, algorithm):
                return
            self._executions.stop(order.execution_id, "another position is wanted")
        elif self._ended.get(key, (None, 0))[0] == qty and now_ns - self._ended[key][1] < AGAIN_NS:
            return
        self._begin(key, slot.spec.strategy, qty, algorithm, slot)

    def close(self, account: AccountId, instrument: InstrumentId) -> None:
        """Flatten a position, afresh until it is flat."""
        key = (account, instrument)
        if key in self._closings:
            return
        self._closings[key] = _Closing(self._world.now_ns)
        self._executions.stop_where(lambda o: (o.account, o.instrument) == key, "the position is being closed")
        self.step(key)

    def withdraw(
        self, account: AccountId, *, instrument: InstrumentId | None = None, strategy: StrategyId | None = None
    ) -> None:
        """Give up targets, of all strategies and closings or of one strategy. Their children are cancelled."""
        if strategy is None:
            for key in [key for key in self._closings if key[0] == account and instrument in (None, key[1])]:
                del self._closings[key]

        def wanted(order: ParentOrder) -> bool:
            return (
                order.target_qty is not None
                and order.account == account
                and instrument in (None, order.instrument)
                and strategy in (None, order.strategy)
            )

        self._executions.stop_where(wanted, "withdrawn")

    def closing(self, account: AccountId | None = None) -> dict[Key, str]:
        """Return the closings under way and what each waits for."""
        return {key: closing.waits_for for key, closing in self._closings.items() if account in (None, key[0])}

    def on_timer(self, timer: Timer) -> bool:
        """Look again at a closing; returns whether the timer was one of these."""
        if not timer.key.startswith(_TIMER + " "):
            return False
        _, account, instrument = timer.key.split(" ", 2)
        self.step((AccountId(account), InstrumentId(instrument)))
        return True

    def step(self, key: Key) -> None:
        """Do what a closing needs now, if there is one."""
        closing = self._closings.get(key)
        if closing is None:
            return
        world = self._world
        account, instrument = key
        parent = self._executions.current(key)
        others = [
            order
            for order in world.table.live(account, instrument)
            if order.own and not order.waits and (parent is None or order.client_order_id not in parent.tally)
        ]
        rules = world.instruments.get(instrument)
        if others:  # they could meet the closing's children, or undo what it does
            self._desk.cancel_live(account, instrument)
            closing.waits_for = f"{len(others)} orders to be cancelled"
        elif parent is not None:
            closing.waits_for = parent.waits_for
        elif rules is not None and abs(self._executions.position(key)) < rules.lot:
            self._closed(key, closing)
            return
        elif world.now_ns >= closing.not_before_ns:
            self._begin(key, ENGINE_ITSELF, Decimal(0), self._close_algorithm(), None)
        self._alarm(key, closing)
        world.out.timer(f"{_TIMER} {account} {instrument}", world.now_ns + LOOK_NS)

    # --- inside

    def _close_algorithm(self) -> Sweep:
        return Sweep(
            max_slippage_bps=self._world.spec.close_max_slippage_bps,
            cap_from="touch",
            max_children=CLOSE_CHILDREN,
            deadline_ms=CLOSE_ROUND_MS,
            patience_ms=CLOSE_PATIENCE_MS,
        )

    def _begin(self, key: Key, strategy: StrategyId, wanted: Decimal, algorithm: Algorithm, slot: Slot | None) -> None:
        account, instrument = key
        world = self._world
        rules, position = world.instruments.get(instrument), self._executions.position(key)
        distance = wanted - position
        if rules is None or abs(distance) < rules.lot:
            return
        side = Side.BUY if distance > 0 else Side.SELL
        self._count += 1
        order = ParentOrder(
            execution_id=f"{strategy}.{world.epoch}.{self._count}",
            account=account,
            strategy=strategy,
            instrument=instrument,
            side=side,
            qty=rules.round_qty(abs(distance)),
            algorithm=algorithm,
            reduce_only=slot is None or (position * wanted >= 0 and abs(wanted) < abs(position)),
            is_closing=slot is None,
            target_qty=wanted,
        )
        next_id = (world.engine_ids if slot is None else slot.ids).of(account)
        self._executions.begin(order, next_id, lambda: side.sign * (wanted - self._executions.position(key)))

    def _on_ended(self, report: ExecutionReport) -> None:
        order = report.order
        key = (order.account, order.instrument)
        if order.target_qty is not None and report.ending is not Ending.DONE:
            self._ended[key] = (order.target_qty, self._world.now_ns)
        closing = self._closings.get(key)
        if closing is None or not order.is_closing:
            return
        closing.last = report
        closing.not_before_ns = self._world.now_ns + (LOOK_NS if report.children else AGAIN_NS)
        closing.waits_for = _WHY.get(report.ending, "") or report.text or closing.waits_for
        self._world.out.timer(f"{_TIMER} {key[0]} {key[1]}", self._world.now_ns)

    def _closed(self, key: Key, closing: _Closing) -> None:
        del self._closings[key]
        fields = {"account": str(key[0]), "instrument": str(key[1])}
        if closing.last is not None:
            fields |= told(closing.last)
            self._world.out.tell(Notice("info", "position_closed", fields, self._world.now_ns))

    def _alarm(self, key: Key, closing: _Closing) -> None:
        """Alarm for as long as a closing is not done (REQUIREMENTS §6)."""
        if self._world.now_ns - closing.since_ns < ALARM_NS:
            return
        held = self._world.account_books[key[0]].position_qty(key[1])
        fields = {"account": str(key[0]), "instrument": str(key[1]), "held": str(held), "waits_for": closing.waits_for}
        notice = Notice("warning", "position_not_flat", fields, self._world.now_ns)
        self._world.out.tell_seldom(notice, key[0], key[1])


_WHY: Final[dict[Ending | None, str]] = {
    Ending.CAP: "nothing is offered inside the price cap",
    Ending.STALE_BOOK: "no fresh book",
    Ending.BELOW_MINIMUM: "the venue takes no order as small as what is left",
}
