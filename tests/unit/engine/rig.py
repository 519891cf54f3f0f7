"""An engine in virtual time against a venue of a few lines: orders rest, are filled and cancelled when a test says so."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from perpmaker.engine.core import AccountSpec, Engine, EngineSpec, StrategySpec, for_journal
from perpmaker.engine.records import Happened, Intent, Record
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
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    PositionReport,
    Source,
    SubmitRejected,
    Ticker,
    Timer,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId, VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, Side, TimeInForce, TriggerKind
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.limits import Limits
from perpmaker.strategies.api import Strategy

START_NS = 1_700_000_000 * NS_PER_S
MAIN = AccountId("main")
BTC = InstrumentId("BTC_USDT_Perp")
ETH = InstrumentId("ETH_USDT_Perp")
LIMITS = Limits(max_loss=Decimal(500), orders_per_s=Decimal(100))


def instrument(name: InstrumentId = BTC) -> Instrument:
    return Instrument(
        instrument_id=name,
        symbol=name,
        exchange="grvt",
        base=name[:3],
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        min_notional=Decimal(100),
    )


def strategy_spec(
    make: Callable[[], Strategy[Any]], name: str = "btc", number: int = 1, instrument: InstrumentId = BTC
) -> StrategySpec:
    return StrategySpec(StrategyId(name), "test", number, MAIN, instrument, make)


class VenueOrder:
    """One order at the test's venue."""

    def __init__(self, order: NewOrder) -> None:
        self.order = order
        self.filled = Decimal(0)
        self.status = VenueStatus.OPEN
        self.changed_ns = 0
        """What the venue states as its update time, 0 for the present."""


class Rig:
    """Feeds an engine and answers its commands at once, unless told otherwise."""

    def __init__(
        self,
        *strategies: StrategySpec,
        limits: Limits = LIMITS,
        epoch: int = 1,
        needs_arming: bool = False,
        now_ns: int = START_NS,
        venue: Rig | None = None,
        pause_added: bool = False,
        account: AccountId = MAIN,
        triggers: bool = False,
    ) -> None:
        self.spec = EngineSpec(
            name="test",
            instance=1,
            epoch=epoch,
            needs_arming=needs_arming,
            config_hash="c1",
            accounts=(AccountSpec(account, "grvt", limits, triggers=triggers),),
            strategies=strategies,
            pause_added=pause_added,
        )
        self.engine = Engine(self.spec)
        self.now_ns = now_ns if venue is None else venue.now_ns
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.records: list[Record] = []
        """What the core wanted written."""
        self.journal: list[Record] = []
        """All that a runtime would have written, in order."""
        self.timers: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._armed: dict[str, CancelOrder] = {}
        self._queue: deque[Event] = deque()
        self._feeding = False
        self.orders: dict[ClientOrderId, VenueOrder] = venue.orders if venue else {}
        self.positions: dict[InstrumentId, Decimal] = venue.positions if venue else {}
        self.fills: list[Fill] = venue.fills if venue else []
        self.balance = venue.balance if venue else Decimal(100_000)
        self.mid: dict[InstrumentId, Decimal] = venue.mid if venue else {BTC: Decimal(60_000), ETH: Decimal(3_000)}
        self.answers = True
        """Whether the venue answers creations and cancels."""
        self.accepts = True
        """Whether what is sent reaches the venue."""
        self.refuses = ""
        """Why the link sends nothing at all, "" when it does."""
        self.honours_triggers = True
        """Whether an order with a trigger waits for it, instead of acting on arrival."""
        self.rejects: Callable[[NewOrder], bool] = lambda order: False
        self.refuses_alone = False
        """Whether what it rejects it would reject with nothing else of ours there, for its rate say."""
        self.lists_triggers = True
        """Whether a read of the open orders shows those that wait for a price."""
        self.keeps: Callable[[ClientOrderId], bool] = lambda client_order_id: False
        """Which orders the venue refuses to cancel."""
        self.reads = True
        """Whether snapshots are answered."""

    # --- driving

    def start(self, *, ready: bool = True) -> Rig:
        """Start the engine, list the instruments, bring the links up and, when `ready`, let it become ready."""
        self._carry_out(self.engine.start(self.now_ns))
        self.collect()
        for name in self.traded():
            self.feed(InstrumentListed(instrument(name), self.now_ns))
        self.link("grvt", Channel.MARKET_DATA)
        for name in self.traded():
            self.tick(name)
            self.book(name)
        self.link(MAIN, Channel.ORDER_ENTRY)
        self.link(MAIN, Channel.PRIVATE)
        if ready:
            self.run(3.0)
            assert self.engine.ready, self.notices()
        return self

    def _due(self, key: str) -> Event:
        cancel = self._armed.pop(key, None)
        if cancel is None:
            return Timer(key, self.now_ns)
        return CancelFailed(MAIN, cancel.client_order_id, True, "EXPIRED", self.now_ns)

    def traded(self) -> list[InstrumentId]:
        return list(dict.fromkeys(spec.instrument for spec in self.spec.strategies))

    def feed(self, event: Event) -> None:
        """Process an event; what the venue answers while commands are carried out waits for its turn, as in a runtime."""
        self._queue.append(event)
        if self._feeding:
            return
        self._feeding = True
        while self._queue:
            event = self._queue.popleft()
            self.events.append(event)
            private = for_journal(event, self.engine.world)
            if private is not None:
                self.journal.append(Happened(private, self.now_ns))
            commands = self.engine.process(event)
            self.collect()
            self._carry_out(commands)
        self._feeding = False

    def collect(self) -> None:
        records = self.engine.take_records()
        self.records += records
        self.journal += records

    def run(self, seconds: float, *, market: bool = True) -> None:
        """Let time pass in steps of 100 ms, with market data at each unless told otherwise."""
        for _ in range(round(seconds * 10)):
            until = self.now_ns + 100 * NS_PER_MS
            while self._heap and self._heap[0][0] <= until:
                at_ns, key = heapq.heappop(self._heap)
                if self.timers.get(key) != at_ns:
                    continue
                del self.timers[key]
                self.now_ns = max(self.now_ns, at_ns)
                self.feed(self._due(key))
            self.now_ns = until
            if market:
                for name in self.traded():
                    self.tick(name)
                    self.book(name)

    def link(self, name: str, channel: Channel, *, up: bool = True) -> None:
        self.feed(Connectivity(name, channel, up, "test", self.now_ns))

    def book(self, name: InstrumentId = BTC, *, half_ticks: int = 5, depth: int = 20_000) -> None:
        ticks = int(self.mid[name] / Decimal("0.1"))
        bids = tuple((ticks - half_ticks - level, depth) for level in range(20))
        asks = tuple((ticks + half_ticks + level, depth) for level in range(20))
        self.feed(BookSnapshot(name, bids, asks, self.now_ns, self.now_ns))

    def tick(self, name: InstrumentId = BTC) -> None:
        mid = self.mid[name]
        self.feed(Ticker(name, mid, mid, mid, Decimal("0.0001"), 0, self.now_ns, self.now_ns))

    def operate(self, kind: str, *, strategy: str | None = None, command_id: str = "", **arguments: str) -> Any:
        command_id = command_id or f"{kind}-{len(self.events)}"
        name = None if strategy is None else StrategyId(strategy)
        self.feed(Operator(command_id, kind, name, arguments, "tester", self.now_ns))
        return self.engine.answer(command_id)

    # --- the venue

    def fill(self, order: NewOrder, qty: Decimal | None = None, *, taker: bool = False) -> Fill:
        """Execute (part of) a resting order and tell the engine by its private streams."""
        fill = self._execute(self.orders[order.client_order_id], qty, taker)
        self.feed(fill)
        self.feed(self.report(self.orders[order.client_order_id]))
        return fill

    def _execute(self, there: VenueOrder, qty: Decimal | None, taker: bool) -> Fill:
        order = there.order
        qty = order.qty - there.filled if qty is None else qty
        there.filled += qty
        there.changed_ns = self.now_ns
        if there.filled == order.qty:
            there.status = VenueStatus.FILLED
        assert order.px is not None
        fill = Fill(
            account=MAIN,
            client_order_id=order.client_order_id,
            venue_order_id=VenueOrderId(f"v{order.client_order_id}"),
            trade_id=TradeId(f"t{len(self.fills) + 1}"),
            instrument=order.instrument,
            side=order.side,
            px=order.px,
            qty=qty,
            fee=qty * order.px * Decimal("0.0001"),
            fee_currency="USDT",
            is_taker=taker,
            realized_pnl=Decimal(0),
            ts_event_ns=self.now_ns,
            ts_recv_ns=self.now_ns,
        )
        self.fills.append(fill)
        held = self.positions.get(order.instrument, Decimal(0))
        self.positions[order.instrument] = held + order.side.sign * qty
        return fill

    def live(self) -> list[NewOrder]:
        return [there.order for there in self.orders.values() if there.status is VenueStatus.OPEN]

    def quotes(self, name: InstrumentId = BTC, side: Side | None = None) -> list[NewOrder]:
        return [o for o in self.live() if o.instrument == name and side in (None, o.side) and o.trigger is None]

    def guards(self, kind: TriggerKind | None = None) -> list[NewOrder]:
        return [o for o in self.live() if o.trigger is not None and kind in (None, o.trigger.kind)]

    def trigger(self, order: NewOrder) -> Fill | None:
        """Fire an order that waits: it closes what is held, no more, and ends."""
        there = self.orders[order.client_order_id]
        held = self.positions.get(order.instrument, Decimal(0))
        fill = None
        if held * order.side.sign < 0:
            fill = self._execute(there, min(abs(held), order.qty), True)
            self.feed(fill)
        if there.status is VenueStatus.OPEN:
            self._end(there, VenueStatus.CANCELED)
        return fill

    def report(self, there: VenueOrder, source: Source = Source.STREAM) -> OrderReport:
        order = there.order
        return OrderReport(
            account=MAIN,
            client_order_id=order.client_order_id,
            venue_order_id=VenueOrderId(f"v{order.client_order_id}"),
            instrument=order.instrument,
            status=there.status,
            cum_qty=there.filled,
            avg_px=order.px if there.filled else None,
            reason="",
            source=source,
            ts_event_ns=there.changed_ns or self.now_ns,
            ts_recv_ns=self.now_ns,
            side=order.side,
            px=order.px,
            qty=order.qty,
            reduce_only=order.reduce_only,
            trigger=order.trigger,
        )

    def snapshot(self, fills_since_ns: int = 0) -> AccountSnapshot:
        return AccountSnapshot(
            account=MAIN,
            open_orders=tuple(
                self.report(there, Source.SNAPSHOT)
                for there in self.orders.values()
                if there.status is VenueStatus.OPEN and (self.lists_triggers or there.order.trigger is None)
            ),
            positions=tuple(
                PositionReport(
                    MAIN,
                    name,
                    qty,
                    self.mid[name],
                    self.mid[name],
                    Decimal(0),
                    self.now_ns,
                    self.now_ns,
                    Source.SNAPSHOT,
                )
                for name, qty in self.positions.items()
            ),
            fills=tuple(fill for fill in self.fills if fill.ts_event_ns >= fills_since_ns),
            funding=(),
            balance=self.balance,
            equity=self.balance,
            available=self.balance,
            currency="USDT",
            fills_since_ns=fills_since_ns,
            ts_asked_ns=self.now_ns,
            ts_event_ns=self.now_ns,
            ts_recv_ns=self.now_ns,
        )

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            self.commands.append(command)
            match command:
                case SetTimer(key=key, at_ns=at_ns):
                    self.timers[key] = at_ns
                    heapq.heappush(self._heap, (at_ns, key))
                case SubmitOrders(orders=orders):
                    self._submit([approved.order for approved in orders])
                case CancelOrders(cancels=cancels):
                    self._cancel(cancels)
                case ReplaceOrders(cancels=cancels, orders=orders):
                    self._cancel(cancels)
                    self._submit([approved.order for approved in orders])
                case CancelAll():
                    for order in self.live():
                        self._end(self.orders[order.client_order_id], VenueStatus.CANCELED)
                case QueryOrders(client_order_ids=wanted) if self.reads:
                    self._query(wanted)
                case RequestSnapshot(fills_since_ns=since_ns) if self.reads:
                    self.feed(self.snapshot(since_ns))

    def _submit(self, orders: Iterable[NewOrder]) -> None:
        for order in orders:
            self.journal.append(Intent(order, b"signed", self.now_ns))
            if self.refuses:
                self.feed(OrderNotSent(MAIN, order.client_order_id, self.refuses, self.now_ns))
                continue
            self.feed(OrderPrepared(MAIN, order.client_order_id, self.now_ns))
            if not self.accepts:
                continue
            if self.rejects(order):
                code, text = (1006, "too fast") if self.refuses_alone else (2402, "too large")
                self.feed(
                    SubmitRejected(
                        MAIN, order.client_order_id, code, text, self.now_ns, stands_alone=self.refuses_alone
                    )
                )
                continue
            there = self.orders[order.client_order_id] = VenueOrder(order)
            there.changed_ns = self.now_ns
            taken = self._execute(there, None, True) if self._acts_now(order) else None
            if self.answers:
                if taken is not None:
                    self.feed(taken)
                self.feed(self.report(there, Source.REPLY))

    def _acts_now(self, order: NewOrder) -> bool:
        return order.tif is TimeInForce.IOC and (order.trigger is None or not self.honours_triggers)

    def _cancel(self, cancels: Iterable[CancelOrder]) -> None:
        for cancel in cancels:
            if self.refuses:
                self.feed(CancelFailed(MAIN, cancel.client_order_id, False, self.refuses, self.now_ns))
                continue
            self.feed(CancelSent(MAIN, cancel.client_order_id, self.now_ns))
            if self.keeps(cancel.client_order_id):
                self.feed(CancelFailed(MAIN, cancel.client_order_id, False, "refused", self.now_ns))
                continue
            there = self.orders.get(cancel.client_order_id)
            if not self.accepts:
                continue
            if self.answers:
                self.feed(CancelReceived(MAIN, cancel.client_order_id, self.now_ns))
            if there is None:
                self._expire_later(cancel)
                continue
            if there.status is VenueStatus.OPEN:
                self._end(there, VenueStatus.CANCELED)

    def _expire_later(self, cancel: CancelOrder) -> None:
        """The venue keeps the cancel armed for its time-to-live, then says that it met nothing."""
        key = f"ttl {cancel.client_order_id} {self.now_ns}"
        self.timers[key] = self.now_ns + max(cancel.ttl_ms, 100) * NS_PER_MS
        self._armed[key] = cancel
        heapq.heappush(self._heap, (self.timers[key], key))

    def _end(self, there: VenueOrder, status: VenueStatus) -> None:
        there.status, there.changed_ns = status, self.now_ns
        if self.answers:
            self.feed(self.report(there))

    def _query(self, wanted: Iterable[ClientOrderId]) -> None:
        for client_order_id in wanted:
            there = self.orders.get(client_order_id)
            if there is None:
                self.feed(OrderNotFound(MAIN, client_order_id, self.now_ns))
            else:
                self.feed(self.report(there, Source.QUERY))

    # --- what it said

    def notices(self, name: str | None = None) -> list[Notice]:
        found = [command for command in self.commands if isinstance(command, Notice)]
        return [notice for notice in found if name in (None, notice.name)]

    def sent(self, kind: type[Command] = SubmitOrders) -> list[Command]:
        return [command for command in self.commands if isinstance(command, kind)]
