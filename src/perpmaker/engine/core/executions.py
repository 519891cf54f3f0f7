"""The parent orders being worked: lends each its scene, carries out what it wants, journals and tells how it goes.

At most one parent order works an account's instrument at a time; one that was told to stop keeps its place until its child
has ended. `execution/algos` decides, the desk and the gate stand in the way as for every order.

After a restart a parent order that stands for itself goes on if its deadline lies ahead and the account still trades its
instrument, with its arrival price, unless the life is there for one thing alone; every other one ends with the truth
about it (`Ending.RESTART`): steps to a wanted position are stated anew by their strategy, and a sweep's book and deadline
belong to the life that ended. Either waits until reconciliation has proved its last child; one of an account that this life
does not have any more ends at once with what the journal knows, and says when that may not be all. Of the volume of others
that a pov has counted, what came after its last child is lost with a crash: it then does less than its share, never more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.execution_notices import child_ended, ended
from perpmaker.engine.core.world import World
from perpmaker.engine.records import ExecutionBegun, ExecutionChild, ExecutionEnded
from perpmaker.execution.algos.moves import CancelChild, Child
from perpmaker.execution.algos.parent import Parent, ParentAtRest, Scene
from perpmaker.model.events import Fill, Timer, Trade
from perpmaker.model.execution import Ending, ExecutionReport, ParentOrder
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, OrderView, Side
from perpmaker.model.quote import Pov
from perpmaker.model.units import NS_PER_MS
from perpmaker.risk.gate import ReadyState

Key = tuple[AccountId, InstrumentId]
KEPT_ENDED: Final = 50
"""Of each kind, those that people gave and those of strategies and closings: the many do not push out the few."""
_TIMER: Final = "execution"
_WAIT_NS: Final = 250 * NS_PER_MS
_RATE_SPENT: Final = "the account's order rate is used up for this second"
_UNREAD: Final = (ReadyState.STARTING, ReadyState.PRIVATE_DOWN)


class _Work:
    """A parent order and what the engine keeps for it."""

    def __init__(
        self, parent: Parent, next_id: Callable[[], ClientOrderId], remaining: Callable[[], Decimal] | None
    ) -> None:
        self.parent = parent
        self.next_id = next_id
        self.remaining = remaining
        self.journalled = False
        self.arrival_journalled = False
        self.told_child = 0
        """Number of the last child whose end was told."""
        self.from_before = False
        """Begun in an earlier life: nothing is concluded before the account has been read."""

    @property
    def key(self) -> Key:
        return self.parent.order.account, self.parent.order.instrument


class Executions:
    """Begin, step, stop. What ended is in `ended`, oldest first, and in `untold` until its strategy has heard of it."""

    def __init__(self, world: World, desk: Desk) -> None:
        self._world = world
        self._desk = desk
        self._working: dict[str, _Work] = {}
        self._of_child: dict[ClientOrderId, _Work] = {}
        self._restored: dict[str, ParentAtRest] = {}
        self._fills_elsewhere: dict[tuple[AccountId, TradeId, Side], Fill] = {}
        """Of the lives before, on accounts that this life does not have."""
        self.ended: list[ExecutionReport] = []
        self.untold: list[ExecutionReport] = []
        self.on_ended: Callable[[ExecutionReport], None] = lambda report: None

    # --- asking

    @property
    def are_working(self) -> bool:
        """Whether any parent order is at work."""
        return bool(self._working)

    def parents(self) -> list[Parent]:
        return [work.parent for work in self._working.values()]

    def current(self, key: Key) -> Parent | None:
        """Return the parent order that works an account's instrument and has not been told to stop."""
        return next((w.parent for w in self._working.values() if w.key == key and not w.parent.is_ending), None)

    def get(self, execution_id: str) -> ExecutionReport | None:
        """Return how a parent order stands, or how it ended."""
        work = self._working.get(execution_id)
        if work is not None:
            return work.parent.report()
        return next((report for report in reversed(self.ended) if report.order.execution_id == execution_id), None)

    def reports(self) -> list[ExecutionReport]:
        """Return those at work and the last that ended, newest last."""
        return [*self.ended, *(work.parent.report() for work in self._working.values())]

    def position(self, key: Key) -> Decimal:
        """Return the position as it is proven: booked, and executions the venue stated whose fills are still to come."""
        account, instrument = key
        world = self._world
        booked = world.account_books[account].position_qty(instrument)
        return booked + sum(
            (
                tracked.order.side.sign * tracked.unbooked_qty
                for tracked in world.table.unsettled(account)
                if tracked.order.instrument == instrument and tracked.own and not tracked.adopted
            ),
            Decimal(0),
        )

    # --- beginning, stopping

    def begin(
        self,
        order: ParentOrder,
        next_id: Callable[[], ClientOrderId],
        remaining: Callable[[], Decimal] | None = None,
    ) -> Parent:
        """Work a parent order from now on; `remaining` is asked where a wanted position is the aim."""
        work = _Work(Parent(order, self._world.now_ns), next_id, remaining)
        self._working[order.execution_id] = work
        self._keep_orders()
        if order.target_qty is None:
            self._journal(work)
        self._step(work)
        return work.parent

    def stop(self, execution_id: str, text: str) -> None:
        """Place nothing more for a parent order and cancel its child; its report comes when that has ended."""
        work = self._working.get(execution_id)
        if work is not None:
            work.parent.stop(text=text)
            self._step(work)

    def stop_where(self, wanted: Callable[[ParentOrder], bool], text: str) -> None:
        for execution_id in [name for name, work in self._working.items() if wanted(work.parent.order)]:
            self.stop(execution_id, text)

    # --- events

    def on_fill(self, fill: Fill) -> None:
        """A fill was booked."""
        work = self._of_child.get(fill.client_order_id)
        if work is not None:
            work.parent.book(fill)

    def on_trade(self, trade: Trade) -> None:
        """Count public volume for those that follow it."""
        if trade.replayed:
            return
        for work in self._working.values():
            order = work.parent.order
            if order.instrument == trade.instrument and isinstance(order.algorithm, Pov):
                work.parent.note_trade(trade.qty_lots)

    def on_book(self, instrument: InstrumentId) -> None:
        if self._working:
            for work in [work for work in self._working.values() if work.parent.order.instrument == instrument]:
                self._step(work)

    def on_timer(self, timer: Timer) -> bool:
        """Look again; returns whether the timer was one of these."""
        kind, _, execution_id = timer.key.partition(" ")
        if kind != _TIMER:
            return False
        work = self._working.get(execution_id)
        if work is not None:
            self._step(work)
        return True

    def step(self, key: Key) -> None:
        """Something about an account's instrument has changed."""
        if self._working:
            for work in [work for work in self._working.values() if work.key == key]:
                self._step(work)

    # --- restarts

    def restore(self, rest: ParentAtRest) -> None:
        self._restored[rest.order.execution_id] = rest

    def restore_child(self, record: ExecutionChild) -> None:
        rest = self._restored.get(record.execution_id)
        if rest is not None:
            children = (*rest.children, record.child)
            others_qty = max(rest.others_qty, record.others_qty)
            self._restored[record.execution_id] = msgspec.structs.replace(
                rest, children=children, others_qty=others_qty
            )

    def restore_end(self, record: ExecutionEnded) -> None:
        self._restored.pop(record.report.order.execution_id, None)
        self._keep(record.report)

    def restore_fill(self, fill: Fill) -> None:
        """Keep a fill of an account that has no ledger in this life."""
        self._fills_elsewhere[fill.account, fill.trade_id, fill.side] = fill

    def resume(self) -> None:
        """Take up what the life before left: to go on with it, or to find out its truth and end it."""
        world = self._world
        for rest in self._restored.values():
            ledger = world.ledgers.get(rest.order.account)
            if ledger is None:
                self._end_elsewhere(rest)
                continue
            ids = {child.client_order_id for child in rest.children}
            fills = [booked.fill for booked in ledger.fills if booked.fill.client_order_id in ids]
            work = _Work(Parent.resumed(rest, fills, world.now_ns), world.engine_ids.of(rest.order.account), None)
            work.from_before = work.journalled = work.arrival_journalled = True
            work.told_child = len(rest.children)
            goes_on = rest.order.target_qty is None and rest.arrival is not None and rest.deadline_ns > world.now_ns
            if rest.order.instrument not in world.traded(rest.order.account):
                work.parent.stop(Ending.RESTART, "the engine ended while it was worked, and does not trade it any more")
            elif world.spec.pause_added:
                work.parent.stop(Ending.RESTART, "the engine ended while it was worked; the next one began for another")
            elif not goes_on:
                work.parent.stop(Ending.RESTART, "the engine ended while it was worked")
            self._working[rest.order.execution_id] = work
            self._of_child.update(dict.fromkeys(ids, work))
            self._timer(work, world.now_ns + _WAIT_NS)
        self._restored.clear()
        self._fills_elsewhere.clear()
        self._keep_orders()

    def at_rest(self) -> Iterable[ParentAtRest]:
        """Return what a checkpoint keeps."""
        yield from self._restored.values()
        for work in self._working.values():
            if work.journalled:
                yield work.parent.at_rest()

    # --- inside

    def _step(self, work: _Work) -> None:
        world, parent, order = self._world, work.parent, work.parent.order
        if parent.is_over:
            return
        rules = world.instruments.get(order.instrument)
        unread = work.from_before and self._is_unread(work.key)
        if rules is None or unread:
            if not unread:
                parent.conclude(lambda client_order_id: self._view(order.account, client_order_id), world.now_ns)
            if parent.is_over:
                self._finish(work)
                return
            self._timer(work, world.now_ns + _WAIT_NS)
            return
        work.from_before = False
        move = parent.step(self._scene(work, rules))
        if parent.arrival is not None and work.journalled and not work.arrival_journalled:
            self._journal(work)
        if isinstance(move, Child):
            self._place(work, move)
        elif isinstance(move, CancelChild):
            self._cancel(work)
        self._tell_child(work)
        if parent.is_over:
            self._finish(work)
        else:
            self._timer(work, max(parent.next_look_ns, world.now_ns + NS_PER_MS))

    def _is_unread(self, key: Key) -> bool:
        """Whether the account has not been read in this life; what is not traded any more is read along with the rest."""
        account, instrument = key
        traded = self._world.traded(account)
        asked = [instrument] if instrument in traded else traded
        return any(self._world.reconcilers.ready_state(account, name) in _UNREAD for name in asked)

    def _scene(self, work: _Work, rules: Instrument) -> Scene:
        world, order = self._world, work.parent.order
        return Scene(
            now_ns=world.now_ns,
            instrument=rules,
            book=world.book_without_own(order.instrument),
            view=lambda client_order_id: self._view(order.account, client_order_id),
            largest_notional=world.limits[order.account].max_order_notional,
            hindrance=self._hindrance(work),
            remaining=None if work.remaining is None else work.remaining(),
            own_opposite_px=world.table.best_own_px(order.instrument, order.side.opposite),
        )

    def _view(self, account: AccountId, client_order_id: ClientOrderId) -> OrderView | None:
        tracked = self._world.table.get(account, client_order_id)
        return None if tracked is None else tracked.view()

    def _hindrance(self, work: _Work) -> str:
        """Why no child may be placed now. What only reduces a position passes halts and freezes, as at the gate."""
        world, order = self._world, work.parent.order
        for other in self._working.values():
            if other is work:
                break
            if other.key == work.key:
                return f"parent order {other.parent.order.execution_id} is still being stopped"
        if not order.reduce_only:
            spent = world.gate.allowance(order.account, world.now_ns) < 1
            return world.hindrance(order.account, order.instrument) or (_RATE_SPENT if spent else "")
        if world.kill.latched:
            return f"killed: {world.kill.reason}"
        if not world.gate.armed:
            return "live trading is not armed"
        if world.blocks:
            return next(iter(world.blocks.values()))
        if world.reconcilers.ready_state(order.account, order.instrument) in _UNREAD:
            return "the account is being reconciled, or its private stream is down"
        return ""

    def _keep_orders(self) -> None:
        """Have quotes leave an order a second to parent orders: what hedges must not wait for what quotes."""
        accounts = {work.parent.order.account for work in self._working.values()}
        self._world.kept_orders = {name: 1 for name in accounts if self._world.limits[name].orders_per_s >= 2}

    def _place(self, work: _Work, child: Child) -> None:
        world, parent, order = self._world, work.parent, work.parent.order
        client_order_id = work.next_id()
        tally = parent.placed(client_order_id, child, world.now_ns)
        self._of_child[client_order_id] = work
        if not work.journalled:
            self._journal(work)
        book = world.book_without_own(order.instrument)
        ticks = 0 if book is None else book.ask_ticks if order.side.sign > 0 else book.bid_ticks
        rules = world.instruments[order.instrument]
        world.out.record(
            ExecutionChild(
                order.execution_id,
                tally.record(),
                child.visible_qty,
                rules.px(ticks),
                world.now_ns,
                parent.others_qty,
            )
        )
        self._desk.submit(
            (
                NewOrder(
                    client_order_id=client_order_id,
                    account=order.account,
                    strategy=order.strategy,
                    instrument=order.instrument,
                    side=order.side,
                    px=child.px,
                    qty=child.qty,
                    tif=child.tif,
                    post_only=child.post_only,
                    reduce_only=order.reduce_only,
                    expire_ns=world.now_ns + child.life_ns,
                    tag=f"{'close' if order.is_closing else parent.report().algorithm} {tally.number}",
                ),
            )
        )

    def _cancel(self, work: _Work) -> None:
        last, order = work.parent.tally.last, work.parent.order
        if last is not None:
            self._desk.cancel_order(order.account, last.client_order_id)

    def _journal(self, work: _Work) -> None:
        work.journalled = True
        work.arrival_journalled = work.parent.arrival is not None
        self._world.out.record(ExecutionBegun(work.parent.at_rest(), self._world.now_ns))

    def _timer(self, work: _Work, at_ns: int) -> None:
        self._world.out.timer(f"{_TIMER} {work.parent.order.execution_id}", at_ns)

    def _tell_child(self, work: _Work) -> None:
        """One line for each child that has ended."""
        parent, last = work.parent, work.parent.tally.last
        if last is None or last.view is None or last.is_live or last.number <= work.told_child:
            return
        work.told_child = last.number
        self._world.out.tell(child_ended(parent, last, last.view.state, self._world.now_ns))

    def _finish(self, work: _Work) -> None:
        order = work.parent.order
        del self._working[order.execution_id]
        self._keep_orders()
        self._of_child = {child: owner for child, owner in self._of_child.items() if owner is not work}
        report = work.parent.report()
        if work.journalled:
            self._tell_end(report)
        self.untold.append(report)
        self.on_ended(report)
        self.step(work.key)

    def _end_elsewhere(self, rest: ParentAtRest) -> None:
        """End one whose account this life does not have: what the journal knows of it is all that will ever be known."""
        world, account = self._world, rest.order.account
        ids = {child.client_order_id for child in rest.children}
        fills = [
            fill for fill in self._fills_elsewhere.values() if fill.account == account and fill.client_order_id in ids
        ]
        parent = Parent.resumed(rest, fills, world.now_ns)
        parent.abandon(
            lambda client_order_id: self._view(account, client_order_id),
            f"the engine ended while it was worked, and account {account} is not configured any more",
            world.now_ns,
        )
        self._tell_end(parent.report())

    def _keep(self, report: ExecutionReport) -> None:
        """Keep an end to be asked about, and forget the oldest of its kind when there are enough of them."""
        self.ended.append(report)
        given = report.order.target_qty is None
        alike = [place for place, kept in enumerate(self.ended) if (kept.order.target_qty is None) is given]
        if len(alike) > KEPT_ENDED:
            del self.ended[alike[0]]

    def _tell_end(self, report: ExecutionReport) -> None:
        """Write it down, and tell people."""
        self._world.out.record(ExecutionEnded(report, self._world.now_ns))
        self._keep(report)
        for notice in ended(report, self._world.now_ns):
            self._world.out.tell(notice)
