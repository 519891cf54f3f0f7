"""What is learned about orders, fills and money: into the table, the ledgers and the strategies, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.ledger import Ledger
from perpmaker.engine.core.operators import Operators
from perpmaker.engine.core.reconciling import Reconciling
from perpmaker.engine.core.runner import Runner
from perpmaker.engine.core.targets import Targets
from perpmaker.engine.core.world import ENGINE_ITSELF, World
from perpmaker.engine.records import FillBooked
from perpmaker.execution.tracked import Incident, OrderChange, TrackedOrder
from perpmaker.execution.working import quote_slot
from perpmaker.model.commands import Notice
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    Fill,
    FundingPaid,
    OrderEvent,
    PositionAdjusted,
    SubmitRejected,
)
from perpmaker.model.ids import InstrumentId, StrategyId
from perpmaker.model.order import OrderState
from perpmaker.portfolio.trades import Booking
from perpmaker.risk.codes import Code
from perpmaker.risk.halts import Halt

DRIFT_PASSES: Final = 3
DRIFT_LEAST: Final = Decimal("0.01")
"""A balance that is nearer to what was told last says nothing: a venue rounds each fill's money, we do not."""


class OrderFlow:
    """Private events at work."""

    def __init__(
        self,
        world: World,
        desk: Desk,
        runner: Runner,
        targets: Targets,
        executions: Executions,
        reconciling: Reconciling,
        operators: Operators,
    ) -> None:
        self._world = world
        self._desk = desk
        self._runner = runner
        self._targets = targets
        self._executions = executions
        self._reconciling = reconciling
        self._operators = operators
        self._drifts: dict[str, tuple[Decimal, int]] = {}
        self._drifts_told: dict[str, Decimal] = {}

    def on_order_event(self, event: OrderEvent) -> None:
        if event.account not in self._world.ledgers:
            return
        changes = self._world.table.apply(event)
        if isinstance(event, CancelFailed):
            self._desk.cancel_failed(event)
        self._learn(event, changes)

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """Take in a whole read of an account: the first ever opens its ledger, later ones bring what streams missed."""
        world = self._world
        ledger = world.ledgers.get(snapshot.account)
        if ledger is None:
            return
        if not ledger.book.opened:
            ledger.open(snapshot)
            for fill in snapshot.fills:
                world.table.remember(fill)
            self._take_known_marks(ledger)
            self.record_mark(ledger)
        ledger.book.roll(world.now_ns)
        changes = world.table.apply_snapshot(snapshot)
        for payment in snapshot.funding:
            ledger.on_funding(payment)
        for report in snapshot.positions:
            if report.mark_px is not None:
                self.on_mark(ledger, report.instrument, report.mark_px)
        self._learn(snapshot, changes)
        self._watch_drift(ledger, snapshot)

    def on_funding(self, payment: FundingPaid) -> None:
        ledger = self._world.ledgers.get(payment.account)
        if ledger is None or not ledger.book.opened:
            return
        ledger.book.roll(self._world.now_ns)
        if ledger.on_funding(payment):
            self.judge(ledger)
        self._reconciling.on_event(payment.account, payment)

    def on_adjustment(self, adjustment: PositionAdjusted) -> None:
        world = self._world
        ledger = world.ledgers.get(adjustment.account)
        if ledger is None or not ledger.on_adjustment(adjustment):
            return
        fields = {
            "account": adjustment.account,
            "instrument": adjustment.instrument,
            "qty": str(adjustment.qty),
            "px": str(adjustment.px),
        }
        world.out.tell(Notice("error", "position_adjusted", fields, world.now_ns))
        self._desk.touch_guards(adjustment.account, adjustment.instrument)
        self.judge(ledger)
        self._reconciling.on_event(adjustment.account, adjustment)

    def on_mark(self, ledger: Ledger, instrument: InstrumentId, mark_px: Decimal) -> None:
        """Value the account anew; the first time its equity can be computed its PnL begins to count."""
        if not ledger.book.opened:
            return
        begun = ledger.attribution.started
        ledger.on_mark(instrument, mark_px)
        if ledger.attribution.started and not begun:
            self.record_mark(ledger)
        if ledger.book.position_qty(instrument):
            self.judge(ledger)

    def _take_known_marks(self, ledger: Ledger) -> None:
        """A fill may come before the next ticker does: what it makes us hold has to be valued at once."""
        for instrument in self._world.traded(ledger.account):
            prices = self._world.books.prices(instrument)
            if prices is not None and prices.mark_px is not None:
                ledger.on_mark(instrument, prices.mark_px)

    def judge(self, ledger: Ledger) -> None:
        """Halt the account when a limit of loss or drawdown is reached."""
        world = self._world
        if not ledger.attribution.started:
            return  # marks are still to come: nothing is placed before, and not knowing yet is no breach
        halt = world.halts.check(ledger.book, world.limits[ledger.account], world.now_ns)
        if halt is not None:
            self._operators.halt(halt, "risk")

    def record_mark(self, ledger: Ledger) -> None:
        """Write equity and its parts into the journal."""
        mark = ledger.mark(self._world.now_ns)
        if mark is not None:
            self._world.out.record(mark)

    def _learn(self, event: OrderEvent | AccountSnapshot, changes: Sequence[OrderChange]) -> None:
        for change in changes:
            self._on_change(change)
        self._reconciling.on_event(event.account, event, changes)
        stands_alone = isinstance(event, SubmitRejected) and event.stands_alone
        for change in changes:
            self._hear(change)
            self._guard(change, stands_alone=stands_alone)

    def _on_change(self, change: OrderChange) -> None:
        """Book first: strategies hear of a change when positions and equity have it."""
        if change.fill is not None:
            self._book(change, change.fill)
        tracked = change.order
        if change.incident is not None:
            self._on_incident(change, change.incident)
        if tracked is None:
            return
        slot = self._world.slots.get(tracked.order.strategy)
        if slot is not None and tracked.order.instrument in slot.ladders:
            slot.working(tracked.order.instrument).on_change(change, self._world.now_ns)
            self._desk.learn((slot.spec.strategy, tracked.order.instrument), change)

    def _guard(self, change: OrderChange, *, stands_alone: bool) -> None:
        """Have the protective orders looked at that an execution, or a change of one of them, concerns.

        They give way to a closing that was refused, unless that refusal `stands_alone`: they are needed the more then.
        """
        tracked, fill = change.order, change.fill
        if tracked is not None and tracked.waits:
            slot = self._world.slots.get(tracked.order.strategy)
            guards = None if slot is None else slot.guards.get(tracked.order.instrument)
            if guards is not None and guards.on_change(change, self._world.now_ns, stands_alone=stands_alone):
                self._tell_guard(tracked, guards.distrust)
        elif tracked is not None and tracked.order.reduce_only and change.after is OrderState.REJECTED:
            refused = None if stands_alone else tracked
            self._desk.touch_guards(tracked.order.account, tracked.order.instrument, refused=refused)
        if fill is not None:
            self._desk.touch_guards(fill.account, fill.instrument)
        elif tracked is not None and tracked.waits:
            self._desk.touch_guards(tracked.order.account, tracked.order.instrument)

    def _tell_guard(self, tracked: TrackedOrder, distrust: str) -> None:
        order = tracked.order
        fields = {
            "strategy": order.strategy,
            "instrument": order.instrument,
            "what": order.tag,
            "trigger_px": "" if order.trigger is None else str(order.trigger.px),
            "cum_qty": str(tracked.cum_qty),
        }
        world = self._world
        if distrust:
            notice = Notice("error", "protection_at_venue_off", {**fields, "reason": distrust}, world.now_ns)
        else:
            notice = Notice("warning", "protected_at_venue", fields, world.now_ns)
        world.out.tell_seldom(notice, order.strategy, str(order.client_order_id))

    def _on_incident(self, change: OrderChange, incident: Incident) -> None:
        """Signs of a journal that was rolled back (RELIABILITY S7), and of a second writer on the account (P7)."""
        world, tracked = self._world, change.order
        number = tracked.client_order_id if tracked is not None else change.fill.client_order_id if change.fill else 0
        parts = world.parts_of(change.account, number)
        if incident is Incident.HIGHER_EPOCH and parts is not None:
            world.seen_epoch = max(world.seen_epoch, parts.epoch)
        elif incident is Incident.OTHER_INSTANCE and parts is not None:
            text = f"an order of engine instance {parts.instance} stands on {change.account}: does a second engine work it?"
            self._operators.halt(Halt(change.account, Code.HALTED, text, False, world.now_ns), "engine")

    def _hear(self, change: OrderChange) -> None:
        tracked, fill = change.order, change.fill
        client_order_id = tracked.client_order_id if tracked is not None else fill.client_order_id if fill else 0
        name = tracked.order.strategy if tracked is not None else StrategyId("")
        slot = self._world.slots.get(name) or self._world.slot_of(name, change.account, client_order_id)
        if slot is not None and fill is not None:
            self._runner.on_fill(slot, fill)
        if slot is not None and tracked is not None:
            self._runner.on_order(slot, tracked)
        if tracked is not None:
            key = (tracked.order.account, tracked.order.instrument)
            self._executions.step(key)
            self._targets.step(key)

    def _book(self, change: OrderChange, fill: Fill) -> None:
        world = self._world
        ledger = world.ledgers[fill.account]
        ledger.book.roll(world.now_ns)
        strategy, layer = self._origin(change, fill)
        booking, fair_px = ledger.on_fill(fill, strategy, layer)
        if booking is not Booking.NEW:
            return
        world.fills_total += 1
        world.fees.on_fill(fill)
        booked = FillBooked(
            number=world.fills_total,
            fill=fill,
            strategy=strategy,
            position_after=ledger.book.position_qty(fill.instrument),
            fair_px=fair_px,
            ts_ns=world.now_ns,
        )
        ledger.fills.append(booked)
        self._executions.on_fill(fill)
        self._desk.met(fill.account, fill.instrument, booked.position_after)
        world.out.record(booked)
        self.judge(ledger)

    def _origin(self, change: OrderChange, fill: Fill) -> tuple[StrategyId, int | None]:
        """Say whose fill it is, and of which layer of its ladder."""
        tracked = change.order
        if tracked is not None and tracked.order.strategy:
            slot = quote_slot(tracked.order.tag)
            return tracked.order.strategy, None if slot is None else slot[1]
        owner = self._world.slot_of(StrategyId(""), fill.account, fill.client_order_id)
        if owner is not None:
            return owner.spec.strategy, None
        parts = self._world.parts_of(fill.account, fill.client_order_id)
        ours = parts is not None and parts.instance == self._world.spec.instance
        return ENGINE_ITSELF if ours else StrategyId(""), None

    def _watch_drift(self, ledger: Ledger, snapshot: AccountSnapshot) -> None:
        """Tell when the venue's balance stays away from ours though nothing is in flight: money moved that we missed."""
        world = self._world
        drift = ledger.book.drift(snapshot)
        told = self._drifts_told.get(ledger.account, Decimal(0))
        recent = any(order.unbooked_qty for order in world.table.unsettled(ledger.account))
        known, passes = self._drifts.get(ledger.account, (Decimal(0), 0))
        if abs(drift) < DRIFT_LEAST:
            self._drifts_told.pop(ledger.account, None)
        if min(abs(drift), abs(drift - told)) < DRIFT_LEAST or recent:
            self._drifts[ledger.account] = (Decimal(0), 0)
            return
        passes = passes + 1 if abs(drift - known) < DRIFT_LEAST else 1
        self._drifts[ledger.account] = (drift, passes)
        if passes >= DRIFT_PASSES:
            self._drifts_told[ledger.account] = drift
            fields = {"account": ledger.account, "venue_minus_ours": str(drift), "currency": snapshot.currency}
            world.out.tell(Notice("warning", "balance_drifted", fields, world.now_ns))
