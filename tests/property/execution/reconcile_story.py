"""A story of orders, passes, links and people around one reconciler, told by what happens next, as often as it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from tests.unit.execution.stage import (
    BTC_ID,
    BUY,
    ETH_ID,
    MAIN,
    MS,
    SELL,
    S,
    fill,
    position_report,
    replaced,
    report,
    snapshot,
)
from tests.unit.execution.venue_loop import Loop

from perpmaker.execution.findings import NOTHING, FindingKind, FreezeCause, Outcome
from perpmaker.execution.reconcile import AccountReconciler
from perpmaker.execution.tracked import OrderChange, TrackedOrder
from perpmaker.model.commands import QueryOrders, RequestSnapshot
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    Channel,
    Event,
    Fill,
    FundingPaid,
    OrderEvent,
    OrderNotFound,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    OrderRetired,
    PositionReport,
    SnapshotFailed,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import CancelOrder, OrderState
from perpmaker.risk.limits import Limits

LEAPS_MS: Final = (0, 1, 100, 249, 251, 500, 999, 1_001, 2_500, 3_001, 5_001, 9_600, 11_000, 65_000)
ENDS: Final = (VenueStatus.CANCELED, VenueStatus.EXPIRED, VenueStatus.REJECTED, VenueStatus.FILLED)
WEIGHTS: Final = {
    "place": 6, "admit": 1, "open": 6, "end": 2, "refuse": 1, "not_sent": 1, "unknown": 2, "find_nothing": 1, "retire": 1,
    "cancel": 4, "note_cancel": 1, "cancel_received": 2, "cancel_refused": 1, "cancel_not_found": 1, "cancel_in_vain": 1,
    "trade": 5, "trade_again": 1, "trade_differently": 1, "trade_elsewhere": 1, "tell_filled": 2, "overfill": 1,
    "stranger": 1, "hide": 3, "show_ended": 2, "hold_more": 1, "let_queries": 2, "let_passes": 2,
    "late_pass": 2, "fail_pass": 1, "swallow": 1,
    "funding": 1, "position": 1, "turn_link": 1, "request": 1, "freeze": 1, "unfreeze": 1,
    "wait": 8, "stall": 2, "settle": 2,
}  # fmt: skip
"""How often what happens."""
WIDE: Final = Limits(
    orders_per_s=Decimal(10**6), max_open_orders=10**6, max_position_notional=Decimal(10**9), max_unknown_orders=10**6
)


class Story(Loop):
    """One reconciler among a desk and a venue, which do what a list of (action, pick) says."""

    def __init__(self, kind: type[AccountReconciler]) -> None:
        super().__init__(kind)
        self.stage.limits[MAIN] = WIDE
        self.stage.account.on_mark(BTC_ID, Decimal(60_000))
        self.stage.account.on_mark(ETH_ID, Decimal(2_600))
        self.told: list[tuple[int, Outcome]] = []
        """What the reconciler said, and when, since the last look."""
        self.said: Counter[str] = Counter()
        """The same by kind."""
        self.skipped: Counter[str] = Counter()
        """What was the case whenever the short way was taken."""
        self.orders: list[TrackedOrder] = []
        self.trades: list[Fill] = []
        self.hidden: set[ClientOrderId] = set()
        """Orders that rest here and that the venue's passes do not show."""
        self.ended: list[TrackedOrder] = []
        """Ended ones that they do show."""
        self.held: Decimal | None = None
        """What the venue holds, if not what we know."""
        self.queries = "lost"
        self.unanswered: list[tuple[int, RequestSnapshot]] = []
        self.open_orders, self.positions = self.orders_there, self.positions_there

    def begin(self, crashed: bool) -> None:
        """Begin ready, or where another life left one order under way and one resting."""
        if not crashed:
            self.ready()
            return
        for _ in range(2):
            order = self.stage.order(expire_ns=self.stage.now + S)
            self.orders.append(self.stage.table.restore(order, self.stage.now - 9 * S))
        self.stage.table.apply(self.reported(self.orders[0], VenueStatus.OPEN))
        self.take(self.reconciler.start(self.stage.now))

    def act(self, action: str, pick: int) -> None:
        getattr(self, action)(pick)
        self.drain()

    def news(self) -> list[object]:
        """All that the rest of the engine can see, and what was said since the last look."""
        orders = [(t.key, t.state, t.cum_qty, t.cancel_sent_ns) for t in self.stage.table.live(MAIN)]
        ready = [self.state(name) for name in (BTC_ID, ETH_ID)]
        told, self.told = self.told, []
        return [told, self.timers, self.reconciler.freezes(), ready, orders]

    def learn(self, event: Event, changes: Sequence[OrderChange]) -> Outcome:
        outcome = super().learn(event, changes)
        if outcome is NOTHING:
            self.skipped.update(self.situation(event, changes))
        return outcome

    def situation(self, event: Event, changes: Sequence[OrderChange]) -> list[str]:
        live = self.stage.table.live(MAIN)
        unconfirmed = (OrderState.PREPARED, OrderState.SENT)
        found = {
            "an order waits for its acknowledgement": any(t.state in unconfirmed for t in live),
            "a cancel is under way": any(t.cancel_pending for t in live),
            "a cancel is received": any(t.cancel_received for t in live),
            "a fill is missing": any(t.unbooked_qty for t in self.orders),
            "a fill is booked": any(change.fill is not None for change in changes),
            "an order ends": any(change.after is not None and change.after.is_terminal for change in changes),
            "a pass is under way": bool(self.unanswered),
        }
        return [f"short way: {type(event).__name__}", *(name for name, holds in found.items() if holds)]

    def carry_out(self, outcome: Outcome) -> None:
        if outcome.commands or outcome.evidence or outcome.findings:
            self.told.append((self.stage.now, outcome))
            self.said.update(type(said).__name__ for said in [*outcome.commands, *outcome.evidence])
            self.said.update(finding.kind.value for finding in outcome.findings)
            self.said.update(
                finding.text.split(":")[0] for finding in outcome.findings if finding.kind is FindingKind.FROZEN
            )
        super().carry_out(outcome)
        for command in outcome.commands:
            if isinstance(command, RequestSnapshot) and not self.answer_passes:
                self.unanswered.append((self.stage.now, command))
            elif isinstance(command, QueryOrders) and self.queries != "lost":
                self.queue += [self.answer(coid) for coid in command.client_order_ids]

    # --- the venue

    def answer(self, coid: ClientOrderId) -> OrderEvent:
        tracked = self.stage.tracked(coid)
        if self.queries == "not found":
            return OrderNotFound(MAIN, coid, self.stage.now)
        return self.reported(tracked, VenueStatus.CANCELED if self.queries == "canceled" else VenueStatus.OPEN)

    def reported(self, tracked: TrackedOrder, status: VenueStatus, source: Source = Source.STREAM) -> OrderReport:
        order = tracked.order
        return report(
            tracked.client_order_id, status, str(tracked.cum_qty), instrument=order.instrument, at=self.stage.now,
            source=source, side=order.side, px=order.px, qty=order.qty,
        )  # fmt: skip

    def orders_there(self) -> tuple[OrderReport, ...]:
        live = [t for t in self.stage.table.live(MAIN) if t.state in (OrderState.OPEN, OrderState.CANCEL_SENT)]
        shown = [t for t in live if t.client_order_id not in self.hidden] + self.ended
        return tuple(self.reported(t, VenueStatus.OPEN, Source.SNAPSHOT) for t in shown)

    def positions_there(self) -> tuple[PositionReport, ...]:
        held = {name: self.stage.account.position_qty(name) for name in (BTC_ID, ETH_ID)}
        if self.held is not None:
            held[BTC_ID] = self.held
        return tuple(position_report(str(qty), instrument=name) for name, qty in held.items() if qty)

    def hide(self, pick: int) -> None:
        self.hidden |= {t.client_order_id for t in self.orders if t.state is OrderState.OPEN}
        self.run(pick)

    def swallow(self, pick: int) -> None:
        """An order that never arrived: the venue knows nothing of it, however often it is asked."""
        self.place(1)
        self.unknown(-1)
        self.queries = "not found"
        self.run(pick)

    def show_ended(self, pick: int) -> None:
        self.ended = [t for t in self.orders if t.is_terminal][-1:]
        self.run(pick)

    def hold_more(self, _: int) -> None:
        self.held = self.stage.account.position_qty(BTC_ID) + Decimal("0.003")

    def settle(self, _: int) -> None:
        """All is well again, and there is a pass to see it."""
        self.held, self.ended = None, []
        self.hidden.clear()
        self.answer_passes, self.queries = True, "canceled"
        for channel in (Channel.PRIVATE, Channel.ORDER_ENTRY):
            self.link(True, channel)
        self.unfreeze(0)
        self.run(11)

    def let_queries(self, pick: int) -> None:
        self.queries = ("lost", "not found", "not found", "canceled", "open")[pick % 5]

    def let_passes(self, pick: int) -> None:
        self.answer_passes = pick % 2 > 0

    def late_pass(self, _: int) -> None:
        if self.unanswered:
            asked_ns, command = self.unanswered.pop()
            shown, held = self.orders_there(), self.positions_there()
            since_ns = command.fills_since_ns
            self.event(snapshot(orders=shown, positions=held, asked=asked_ns, at=self.stage.now, fills_since=since_ns))

    def fail_pass(self, _: int) -> None:
        if self.unanswered:
            self.unanswered.pop()
            self.event(SnapshotFailed(MAIN, "502", self.stage.now))

    def funding(self, pick: int) -> None:
        now = self.stage.now
        self.event(FundingPaid(MAIN, BTC_ID, Decimal(pick), "USDT", f"payment {now}", now, now))

    def position(self, pick: int) -> None:
        self.event(position_report(str(pick), at=self.stage.now))

    def stranger(self, pick: int) -> None:
        """An order that somebody else made, or another engine: it comes, and later it may be gone."""
        coid = (77, 78, (6 << 52) + 5)[pick % 3]
        status = (VenueStatus.OPEN, VenueStatus.OPEN, VenueStatus.CANCELED)[pick // 3 % 3]
        self.event(report(coid, status, at=self.stage.now, side=SELL, px=Decimal(60_100), qty=Decimal("0.01")))

    # --- orders

    def picked(self, pick: int) -> list[TrackedOrder]:
        """One of the newest orders, or none."""
        newest = self.orders[-3:]
        return [newest[pick % len(newest)]] if newest else []

    def admit(self, pick: int) -> None:
        expire_ns = self.stage.now + 4 * S if pick % 2 else 0
        self.stage.refresh()
        if self.stage.check(BUY) == "":
            self.orders.append(self.stage.admit(BUY, expire_ns=expire_ns))

    def place(self, pick: int) -> None:
        self.admit(pick)
        for tracked in self.orders[-1:]:
            self.event(OrderPrepared(MAIN, tracked.client_order_id, self.stage.now))

    def open(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(self.reported(tracked, VenueStatus.OPEN))

    def end(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(self.reported(tracked, ENDS[pick % 4]))

    def refuse(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(SubmitRejected(MAIN, tracked.client_order_id, 2000, "refused", self.stage.now))

    def not_sent(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(OrderNotSent(MAIN, tracked.client_order_id, "closed", self.stage.now))

    def unknown(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(SubmitUnknown(MAIN, tracked.client_order_id, "timeout", self.stage.now))

    def retire(self, pick: int) -> None:
        """What was concluded before better news came."""
        for tracked in self.picked(pick):
            self.event(OrderRetired(MAIN, tracked.client_order_id, "proof", self.stage.now))

    def find_nothing(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(OrderNotFound(MAIN, tracked.client_order_id, self.stage.now))

    def note_cancel(self, pick: int) -> None:
        cancels = [CancelOrder(MAIN, BTC_ID, t.client_order_id, t.venue_order_id) for t in self.picked(pick)]
        self.stage.table.note_cancels(cancels, self.stage.now)

    def cancel(self, pick: int) -> None:
        self.note_cancel(pick)
        for tracked in self.picked(pick):
            self.event(CancelSent(MAIN, tracked.client_order_id, self.stage.now))

    def cancel_in_vain(self, pick: int) -> None:
        """A cancel whose end nobody states for a minute."""
        self.place(0)
        self.open(-1)
        self.cancel(-1)
        self.queries = "lost"
        self.run(60 + pick / 10)
        self.funding(0)

    def cancel_received(self, _: int) -> None:
        for tracked in [t for t in self.orders if t.cancel_pending][-1:]:
            self.event(CancelReceived(MAIN, tracked.client_order_id, self.stage.now))

    def cancel_refused(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(CancelFailed(MAIN, tracked.client_order_id, False, "refused", self.stage.now))

    def cancel_not_found(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.event(CancelFailed(MAIN, tracked.client_order_id, True, "not found", self.stage.now))

    def trade(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.fill(tracked, "0.002")

    def overfill(self, pick: int) -> None:
        for tracked in self.picked(pick):
            self.fill(tracked, "0.012")

    def fill(self, tracked: TrackedOrder, qty: str) -> None:
        trade = f"t{len(self.trades)}"
        self.trades.append(fill(tracked.client_order_id, qty, "59990", trade=trade, at=self.stage.now))
        self.event(self.trades[-1])

    def trade_again(self, _: int) -> None:
        if self.trades:
            self.event(self.trades[-1])

    def trade_differently(self, _: int) -> None:
        if self.trades:
            self.event(replaced(self.trades[-1], qty=Decimal("0.001")))

    def trade_elsewhere(self, pick: int) -> None:
        self.event(fill(900 + pick, "0.01", "2600", trade=f"e{self.stage.now}", instrument=ETH_ID, at=self.stage.now))

    def tell_filled(self, pick: int) -> None:
        """The order says that more was executed than fills have told."""
        for tracked in self.picked(pick):
            told = self.reported(tracked, VenueStatus.OPEN)
            self.event(replaced(told, cum_qty=tracked.filled_qty + Decimal("0.002")))

    # --- time, links, people

    def wait(self, pick: int) -> None:
        self.run(LEAPS_MS[pick] / 1000)

    def stall(self, pick: int) -> None:
        """Time passes and the timers that are due come later."""
        self.stage.now += LEAPS_MS[pick] * MS

    def turn_link(self, pick: int) -> None:
        channel = Channel.PRIVATE if pick % 2 else Channel.ORDER_ENTRY
        self.link(pick % 4 > 1, channel)

    def request(self, pick: int) -> None:
        self.take(self.reconciler.request_pass(self.stage.now, "asked for", revoke=pick % 2 == 0))

    def freeze(self, pick: int) -> None:
        cause = list(FreezeCause)[pick % len(FreezeCause)]
        self.take(self.reconciler.freeze(BTC_ID, cause, "found elsewhere", self.stage.now))

    def unfreeze(self, _: int) -> None:
        self.take(self.reconciler.unfreeze(BTC_ID, actor="ada", now_ns=self.stage.now))
