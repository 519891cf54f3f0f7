"""The very engine that trades live, in virtual time: its commands go over a `Lab`'s wire, events come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import msgspec
from benchmarks.thin_market import LATENCY_NS, NAME, SUB_ACCOUNT, Frame, Lab

from perpmaker.engine.core import AccountSpec, Engine, EngineSpec
from perpmaker.exchange.core import types as venue_types
from perpmaker.exchange.core.amounts import decimal_text
from perpmaker.exchange.core.types import CancelStatusUpdated, FillReported, OrderStatus, OrderUpdated, Rejection
from perpmaker.model.commands import (
    CancelAll,
    CancelOrders,
    Command,
    Notice,
    QueryOrders,
    ReplaceOrders,
    RequestSnapshot,
    SetTimer,
    SubmitOrders,
)
from perpmaker.model.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelFailed,
    CancelReceived,
    CancelSent,
    Channel,
    Connectivity,
    Event,
    Fill,
    InstrumentListed,
    Operator,
    OrderNotFound,
    OrderPrepared,
    OrderReport,
    PositionReport,
    Source,
    SubmitRejected,
    SubmitUnknown,
    Ticker,
    Timer,
    VenueStatus,
)
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId, VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.limits import Limits

MAIN: Final = AccountId("main")
INSTRUMENT: Final = InstrumentId(NAME)
RULES: Final = Instrument(
    instrument_id=INSTRUMENT,
    symbol=NAME,
    exchange="grvt",
    base="ETH",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.01"),
    min_qty=Decimal("0.01"),
    min_notional=Decimal(20),
)
LIMITS: Final = Limits(
    max_order_notional=Decimal(20_000),
    max_position_notional=Decimal(50_000),
    max_loss=Decimal(10_000),
    orders_per_s=Decimal(20),
)
UNANSWERED_NS: Final = 2 * NS_PER_S
"""When the gateway gives an answer up for lost."""
_STATUS: Final = {
    OrderStatus.PENDING: VenueStatus.PENDING,
    OrderStatus.OPEN: VenueStatus.OPEN,
    OrderStatus.FILLED: VenueStatus.FILLED,
    OrderStatus.REJECTED: VenueStatus.REJECTED,
    OrderStatus.CANCELLED: VenueStatus.CANCELED,
}


class VirtualEngine:
    """An engine with one account and no strategy; `execute` gives it a parent order and waits for its end."""

    def __init__(self, lab: Lab, *, limits: Limits = LIMITS) -> None:
        self.lab = lab
        self.notices: list[Notice] = []
        account = AccountSpec(MAIN, "grvt", limits, instruments=(INSTRUMENT,))
        self.engine = Engine(
            EngineSpec(name="bench", instance=1, epoch=1, needs_arming=False, accounts=(account,), strategies=())
        )
        self._timers: dict[str, int] = {}
        self._answered: set[int] = set()
        self._waiting: list[Event] = []
        self._busy = False
        lab.on_frame, lab.on_event, lab.on_link, lab.on_refusal = self._frame, self._private, self._link, self._refused
        self._carry_out(self.engine.start(lab.now_ns))
        self.feed(InstrumentListed(RULES, lab.now_ns))
        for name, channel in (("grvt", Channel.MARKET_DATA), (MAIN, Channel.ORDER_ENTRY), (MAIN, Channel.PRIVATE)):
            self.feed(Connectivity(name, channel, True, "", lab.now_ns))
        self._tick()

    def execute(self, side: Side, qty: Decimal, within_s: float = 60.0, **arguments: str) -> ExecutionReport:
        """Work a parent order to its end."""
        words = {"instrument": NAME, "side": side.value, "qty": str(qty), **arguments}
        self.feed(Operator("bench-order", "execute", None, words, "bench", self.lab.now_ns))
        answer = self.engine.answer("bench-order")
        if answer is None or answer.state == "refused":
            raise RuntimeError(f"refused: {answer}")

        def ended() -> bool:
            found = self.engine.executions.get("bench-order")
            return found is not None and found.state == "ended"

        self.lab.run(self.lab.now_ns + int(within_s * NS_PER_S), ended)
        report = self.engine.executions.get("bench-order")
        if report is None:
            raise RuntimeError("the engine lost its parent order")
        return report

    def feed(self, event: Event) -> None:
        """Process an event; what follows from carrying its commands out waits for its turn."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        while self._waiting:
            commands = self.engine.process(self._waiting.pop(0))
            self.engine.take_records()
            self._carry_out(commands)
        self._busy = False

    # --- what the venue says

    def _frame(self, frame: Frame) -> None:
        self.feed(BookSnapshot(INSTRUMENT, frame.bids, frame.asks, frame.event_ns, self.lab.now_ns))

    def _tick(self) -> None:
        ticker, now_ns = self.lab.venue.ticker(NAME), self.lab.now_ns
        mark, index = Decimal(decimal_text(ticker.mark_nano)), Decimal(decimal_text(ticker.index_nano))
        self.feed(Ticker(INSTRUMENT, mark, index, None, None, 0, now_ns, now_ns))
        self.lab.at(500 * NS_PER_MS, self._tick)

    def _link(self, up: bool) -> None:
        self.feed(Connectivity("grvt", Channel.MARKET_DATA, up, "lost" if not up else "", self.lab.now_ns))

    def _private(self, event: OrderUpdated | FillReported | CancelStatusUpdated) -> None:
        match event:
            case OrderUpdated():
                self._answered.add(event.order.terms.client_order_id)
                self.feed(self._report(event.order, Source.STREAM))
            case FillReported():
                self.feed(self._fill(event.fill))
            case CancelStatusUpdated():
                number = ClientOrderId(event.client_order_id)
                self.feed(CancelFailed(MAIN, number, True, event.status.name, self.lab.now_ns))

    def _refused(self, client_order_id: int, refusal: Rejection) -> None:
        self._answered.add(client_order_id)
        number = ClientOrderId(client_order_id)
        self.feed(SubmitRejected(MAIN, number, refusal.code, refusal.detail, self.lab.now_ns))

    # --- what the engine wants

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case SetTimer(key=key, at_ns=at_ns):
                    self._set_timer(key, at_ns)
                case SubmitOrders(orders=orders) | ReplaceOrders(orders=orders):
                    for approved in orders:
                        self._submit(approved.order)
                case CancelOrders(cancels=cancels):
                    for cancel in cancels:
                        self.lab.cancel(cancel.client_order_id, cancel.ttl_ms or None)
                        self.feed(CancelSent(MAIN, cancel.client_order_id, self.lab.now_ns))
                        self._later(CancelReceived(MAIN, cancel.client_order_id, self.lab.now_ns + 2 * LATENCY_NS))
                case CancelAll():
                    self.lab.at(LATENCY_NS, lambda: self.lab.venue.cancel_all(SUB_ACCOUNT))
                case QueryOrders(client_order_ids=wanted):
                    for number in wanted:
                        self._ask(number)
                case RequestSnapshot(fills_since_ns=since_ns):
                    self._read(since_ns)
                case Notice():
                    self.notices.append(command)

    def _set_timer(self, key: str, at_ns: int) -> None:
        self._timers[key] = at_ns

        def due() -> None:
            if self._timers.get(key) == at_ns:
                del self._timers[key]
                self.feed(Timer(key, self.lab.now_ns))

        self.lab.at(max(at_ns - self.lab.now_ns, 0), due)

    def _submit(self, order: NewOrder) -> None:
        number = order.client_order_id
        self.feed(OrderPrepared(MAIN, number, self.lab.now_ns))
        self.lab.submit(
            number,
            order.side,
            order.qty,
            order.px,
            order.tif,
            post_only=order.post_only,
            reduce_only=order.reduce_only,
        )

        def unanswered() -> None:
            if number not in self._answered:
                self.feed(SubmitUnknown(MAIN, number, "no answer", self.lab.now_ns))

        self.lab.at(UNANSWERED_NS, unanswered)

    def _ask(self, number: ClientOrderId) -> None:
        def look() -> None:
            found = self.lab.venue.order(SUB_ACCOUNT, client_order_id=number)
            if found is None:
                self._later(OrderNotFound(MAIN, number, self.lab.now_ns + LATENCY_NS))
            else:
                self._later(self._report(found, Source.QUERY))

        self.lab.at(LATENCY_NS, look)

    def _read(self, since_ns: int) -> None:
        asked_ns = self.lab.now_ns
        self.lab.at(LATENCY_NS, lambda: self._later(self._snapshot(since_ns, asked_ns)))

    def _later(self, event: Event) -> None:
        """An answer on its way: it counts as received when it arrives."""
        self.lab.at(LATENCY_NS, lambda: self.feed(_received(event, self.lab.now_ns)))

    # --- translations

    def _report(self, order: venue_types.OrderView, source: Source) -> OrderReport:
        terms, state = order.terms, order.state
        return OrderReport(
            account=MAIN,
            client_order_id=ClientOrderId(terms.client_order_id),
            venue_order_id=VenueOrderId(order.order_id),
            instrument=INSTRUMENT,
            status=_STATUS[state.status],
            cum_qty=RULES.qty(state.traded_lots),
            avg_px=Decimal(decimal_text(state.avg_px_nano)) if state.traded_lots else None,
            reason=state.reason.name if state.reason else "",
            source=source,
            ts_event_ns=state.update_ns,
            ts_recv_ns=self.lab.now_ns,
            side=_side(terms.side),
            px=RULES.px(terms.px_ticks),
            qty=RULES.qty(terms.qty_lots),
            reduce_only=terms.reduce_only,
        )

    def _fill(self, fill: venue_types.Fill) -> Fill:
        return Fill(
            account=MAIN,
            client_order_id=ClientOrderId(fill.client_order_id),
            venue_order_id=VenueOrderId(fill.order_id),
            trade_id=TradeId(fill.trade_id),
            instrument=INSTRUMENT,
            side=_side(fill.side),
            px=RULES.px(fill.px_ticks),
            qty=RULES.qty(fill.qty_lots),
            fee=Decimal(decimal_text(fill.fee_nano)),
            fee_currency="USDT",
            is_taker=fill.is_taker,
            realized_pnl=Decimal(decimal_text(fill.realized_pnl_nano)),
            ts_event_ns=fill.event_ns,
            ts_recv_ns=self.lab.now_ns,
        )

    def _snapshot(self, since_ns: int, asked_ns: int) -> AccountSnapshot:
        venue, now_ns = self.lab.venue, self.lab.now_ns
        account = venue.account(SUB_ACCOUNT)
        if account is None:
            raise RuntimeError("the account was opened")
        mark = Decimal(decimal_text(venue.ticker(NAME).mark_nano))
        held = self.lab.position
        position = PositionReport(
            MAIN, INSTRUMENT, held, mark if held else None, mark, Decimal(0), now_ns, now_ns, Source.SNAPSHOT
        )
        return AccountSnapshot(
            account=MAIN,
            open_orders=tuple(self._report(order, Source.SNAPSHOT) for order in venue.open_orders(SUB_ACCOUNT)),
            positions=(position,) if held else (),
            fills=tuple(self._fill(fill) for fill in self.lab.fills() if fill.event_ns >= since_ns),
            funding=(),
            balance=Decimal(decimal_text(account.balance_nano)),
            equity=Decimal(decimal_text(account.total_equity_nano)),
            available=Decimal(decimal_text(account.available_nano)),
            currency="USDT",
            fills_since_ns=since_ns,
            ts_asked_ns=asked_ns,
            ts_event_ns=now_ns,
            ts_recv_ns=now_ns,
        )


def _side(side: venue_types.Side) -> Side:
    return Side.BUY if side is venue_types.Side.BUY else Side.SELL


def _received(event: Event, now_ns: int) -> Event:
    return msgspec.structs.replace(event, ts_recv_ns=now_ns)


def ready(lab: Lab, make: Callable[[Lab], VirtualEngine] = VirtualEngine) -> VirtualEngine:
    """Return an engine whose account has been read twice and whose book stands."""
    engine = make(lab)
    lab.run(lab.now_ns + 4 * NS_PER_S)
    return engine
