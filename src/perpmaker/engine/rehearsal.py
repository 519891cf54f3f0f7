"""The way from a book frame to a signed order, walked while nothing happens, so that the next frame finds it warm.

A pause of some tens of milliseconds is enough for other programs to push code and data of the path out of the processor's
caches, and for the core to fall asleep; the next order then takes two to three times as long (docs, benchmarks).
Here an engine of its own reads a made-up frame of a made-up instrument, decides, passes the gate, signs with a key that
belongs to nobody and encodes the journal's record. It has no socket, no journal and no account: nothing of it can leave.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import ClassVar, Final

from perpmaker.clock import Clock
from perpmaker.engine.core import AccountSpec, Engine, EngineSpec, StrategySpec
from perpmaker.engine.records import Intent, encode
from perpmaker.errors import InvariantError
from perpmaker.model.book import Book
from perpmaker.model.commands import Command, RequestSnapshot, SetTimer, SubmitOrders
from perpmaker.model.events import (
    AccountSnapshot,
    BookSnapshot,
    Channel,
    Connectivity,
    Event,
    InstrumentListed,
    OrderPrepared,
    OrderReport,
    Source,
    Ticker,
    Timer,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId, VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_MS
from perpmaker.risk.limits import Limits
from perpmaker.strategies.api import Context, Strategy, StrategyParams
from perpmaker.venues.grvt.rehearsal import Bench

_ACCOUNT: Final = AccountId("rehearsal")
_INSTRUMENT: Final = Instrument(
    instrument_id=InstrumentId("REHEARSAL"),
    symbol="REHEARSAL",
    exchange="grvt",
    base="NOTHING",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    min_notional=Decimal(0),
    venue_asset_id="0x1",
)
_MID_PX: Final = 60_000
_PX: Final = Decimal(59_000)
_QTY: Final = Decimal("0.002")
_MONEY: Final = Decimal(1_000_000)
_LEVELS: Final = 10
_STEP_NS: Final = 200 * NS_PER_MS
_READY_STEPS: Final = 100
_TICKER_EVERY: Final = 64
_RENEW_EVERY: Final = 10_000_000
"""Before the client order ids of one boot epoch are used up."""


class _Each(Strategy[StrategyParams]):
    """Answers every book with one order that never fills."""

    kind: ClassVar[str] = "rehearsal"

    def on_book(self, ctx: Context, book: Book) -> None:
        ctx.submit(self.params.instrument, Side.BUY, _QTY, _PX, tif=TimeInForce.IOC)


class Rehearsal:
    """An engine that only practises. `walk` goes the whole way once; `begin` has it walked whenever all is quiet.

    Raises InvariantError when its engine does not come to sign anything, which would be a mistake in here.
    """

    def __init__(self, clock: Clock) -> None:
        self._bench = Bench(_INSTRUMENT, _MID_PX, clock)
        self._now_ns = clock.now_ns()
        self._waiting: deque[Event] = deque()
        self._due: asyncio.TimerHandle | None = None
        self.walks = 0
        self.signed = 0
        self._open()
        self.walk()
        if not self.signed:
            raise InvariantError("the rehearsal's engine signs nothing")

    def walk(self) -> None:
        """Go once from a frame to a signed order and its journal record."""
        self.walks += 1
        if self.walks % _RENEW_EVERY == 0:
            self._open()
        self._now_ns += NS_PER_MS
        if self.walks % _TICKER_EVERY == 0:
            self._feed(_ticker(self._now_ns))
        self._feed(self._bench.read(self._now_ns))

    def begin(self, loop: asyncio.AbstractEventLoop, every_s: float, happened: Callable[[], int]) -> None:
        """Walk each `every_s` in which nothing happened; `happened` counts what did."""
        seen = happened()

        def turn() -> None:
            nonlocal seen
            before, seen = seen, happened()
            if before == seen:
                self.walk()
            self._due = loop.call_later(every_s, turn)

        self._due = loop.call_later(every_s, turn)

    def end(self) -> None:
        if self._due is not None:
            self._due.cancel()

    # --- a world for it

    def _open(self) -> None:
        """Bring the engine to where it trades: links up, the account read twice, a fresh book."""
        self._engine = Engine(_spec())
        self._timers: dict[str, int] = {}
        self._carry_out(self._engine.start(self._now_ns))
        self._feed(InstrumentListed(_INSTRUMENT, self._now_ns))
        self._feed(Connectivity("grvt", Channel.MARKET_DATA, True, "", self._now_ns))
        for channel in (Channel.ORDER_ENTRY, Channel.PRIVATE):
            self._feed(Connectivity(_ACCOUNT, channel, True, "", self._now_ns))
        for _ in range(_READY_STEPS):
            self._now_ns += _STEP_NS
            self._feed(_ticker(self._now_ns))
            self._feed(_book(self._now_ns))
            for key in [key for key, at_ns in self._timers.items() if at_ns <= self._now_ns]:
                del self._timers[key]
                self._feed(Timer(key, self._now_ns))
            if self._engine.ready:
                return
        raise InvariantError("the rehearsal's engine does not become ready")

    def _feed(self, event: Event) -> None:
        self._waiting.append(event)
        while self._waiting:
            commands = self._engine.process(self._waiting.popleft())
            self._engine.take_records()
            self._carry_out(commands)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case SubmitOrders(orders=orders):
                    for approved in orders:
                        self._answer(approved.order)
                case RequestSnapshot(fills_since_ns=since_ns):
                    self._waiting.append(_account(since_ns, self._now_ns))
                case SetTimer(key=key, at_ns=at_ns):
                    self._timers[key] = at_ns
                case _:
                    pass

    def _answer(self, order: NewOrder) -> None:
        """Sign an order, encode its record, and have it end unfilled at once."""
        written = self._bench.sign(order)
        encode(Intent(written.order, written.body, self._now_ns))
        self.signed += 1
        self._waiting.append(OrderPrepared(_ACCOUNT, order.client_order_id, self._now_ns))
        self._waiting.append(_cancelled(order, self._now_ns))


def _spec() -> EngineSpec:
    strategy = StrategySpec(
        strategy=StrategyId("rehearsal"),
        kind=_Each.kind,
        number=1,
        account=_ACCOUNT,
        instrument=_INSTRUMENT.instrument_id,
        make=lambda: _Each(StrategyParams(instrument=_INSTRUMENT.instrument_id)),
    )
    account = AccountSpec(_ACCOUNT, "grvt", Limits(orders_per_s=Decimal(10_000), price_collar_bps=Decimal(2_000)))
    return EngineSpec(
        name="rehearsal",
        instance=0,
        epoch=1,
        needs_arming=False,
        accounts=(account,),
        strategies=(strategy,),
        config_hash="",
    )


def _ticker(now_ns: int) -> Ticker:
    mid = Decimal(_MID_PX)
    return Ticker(_INSTRUMENT.instrument_id, mid, mid, mid, Decimal(0), 0, now_ns, now_ns)


def _book(now_ns: int) -> BookSnapshot:
    mid = _INSTRUMENT.to_ticks(Decimal(_MID_PX))
    bids = tuple((mid - 10 - 10 * step, 500) for step in range(_LEVELS))
    asks = tuple((mid + 10 + 10 * step, 500) for step in range(_LEVELS))
    return BookSnapshot(_INSTRUMENT.instrument_id, bids, asks, now_ns, now_ns)


def _account(since_ns: int, now_ns: int) -> AccountSnapshot:
    return AccountSnapshot(
        account=_ACCOUNT,
        open_orders=(),
        positions=(),
        fills=(),
        funding=(),
        balance=_MONEY,
        equity=_MONEY,
        available=_MONEY,
        currency="USDT",
        fills_since_ns=since_ns,
        ts_asked_ns=now_ns,
        ts_event_ns=now_ns,
        ts_recv_ns=now_ns,
    )


def _cancelled(order: NewOrder, now_ns: int) -> OrderReport:
    return OrderReport(
        account=_ACCOUNT,
        client_order_id=order.client_order_id,
        venue_order_id=VenueOrderId("0x0"),
        instrument=order.instrument,
        status=VenueStatus.CANCELED,
        cum_qty=Decimal(0),
        avg_px=None,
        reason="",
        source=Source.REPLY,
        ts_event_ns=now_ns,
        ts_recv_ns=now_ns,
        side=order.side,
        px=order.px,
        qty=order.qty,
    )
