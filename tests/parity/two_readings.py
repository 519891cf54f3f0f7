"""One recording and one list of resting orders, read twice: by the practice exchange's replay and by the simulated gateway.

The two were written by different builders and share no code (`exchange` may not import `simulation`): what both say has
been understood twice. Both clocks are the recorder's, nothing takes time, and nobody reacts, so that only the rules of
filling are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
from tests.scenario.market_lab import ACCOUNT, BTC, START_NS, open_venue

from perpmaker.exchange.core.replay import TapeMarket
from perpmaker.exchange.core.types import FillReported, Leg, OrderRequest, Signature
from perpmaker.exchange.core.types import Side as ExchangeSide
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.book import Level
from perpmaker.model.events import BookDelta, BookSnapshot, Event, Fill
from perpmaker.model.events import Trade as TradeEvent
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder, NewOrder, Side
from perpmaker.model.units import NS_PER_S
from perpmaker.simulation import (
    Chance,
    ConstantLatency,
    MarginRules,
    QueueModel,
    SimulatedVenue,
    Timeline,
    VenueSettings,
)
from perpmaker.tape.binance import BookTicker, DepthSnapshot, DepthUpdate, PxQty, Row, Trade

NAME = InstrumentId(BTC)
MAIN = AccountId("main")
RULES = Instrument(
    instrument_id=NAME,
    symbol=BTC,
    exchange="grvt",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    min_notional=Decimal(0),
)
LOTS = 5
EVERY_NS, LIFE_NS = NS_PER_S // 2, 3 * NS_PER_S
BETWEEN_NS = 20_000_000
"""Orders of a regular market arrive between its frames: one that joins while a trade is not in the book yet stands behind
what is shown to the exchange's reading, and behind what the next frame shows to the simulation's."""
_MACHINE = 1 << 63
Fills = dict[int, list[tuple[int, int]]]
"""Order -> (recorder's time, lots) of each of its fills."""


class Planned(msgspec.Struct, frozen=True, order=True):
    """Something to do at a time of the recording: a new order at a price, or with price 0 its cancel."""

    at_ns: int
    px_ticks: int
    number: int


def plan(rows: Sequence[Row], side: Side, away_ticks: int) -> list[Planned]:
    """An order of five lots each half second at, or some ticks behind, the touch of its side; cancelled after 3 s."""
    book, planned, number = OrderBook(RULES), [], 0
    told = list(as_events(rows))
    due_ns = told[0].ts_recv_ns + NS_PER_S + BETWEEN_NS
    for event in told:
        while event.ts_recv_ns > due_ns:
            number += 1
            touch = book.bid_ticks if side is Side.BUY else book.ask_ticks
            planned.append(Planned(due_ns, touch - side.sign * away_ticks, number))
            planned.append(Planned(due_ns + LIFE_NS, 0, number))
            due_ns += EVERY_NS
        if isinstance(event, BookSnapshot):
            book.snapshot(event.bids, event.asks, 0, 0)
        elif isinstance(event, BookDelta):
            book.apply(event.bids, event.asks, 0, 0)
    return sorted(one for one in planned if one.at_ns < told[-1].ts_recv_ns)


def by_exchange(rows: Sequence[Row], planned: Sequence[Planned], side: Side) -> Fills:
    venue = open_venue()
    market = TapeMarket(venue, [iter(rows)])
    first_ns = next(row.recv_ns for row in rows if row.recv_ns > market.whole_recv_ns)
    fills: Fills = {}
    theirs = ExchangeSide.BUY if side is Side.BUY else ExchangeSide.SELL
    for one in planned:
        market.advance(START_NS + one.at_ns - first_ns)
        if one.px_ticks:
            signature = Signature("0xlab", "0x1", "0x1", 27, venue.now_ns + 3_600 * NS_PER_S, one.number)
            leg = Leg(BTC, theirs, RULES.qty(LOTS), RULES.px(one.px_ticks))
            venue.create_order(OrderRequest(ACCOUNT, (leg,), signature, _MACHINE + one.number, post_only=True))
        else:
            venue.cancel_order(ACCOUNT, client_order_id=_MACHINE + one.number)
        for event in venue.take_events():
            if isinstance(event, FillReported):
                at_ns = event.fill.event_ns - START_NS + first_ns
                fills.setdefault(event.fill.client_order_id - _MACHINE, []).append((at_ns, event.fill.qty_lots))
    return fills


def by_simulation(rows: Sequence[Row], planned: Sequence[Planned], side: Side, queue: QueueModel) -> Fills:
    settings = VenueSettings(
        queue_model=queue, speed_bump_ns=0, orders_per_s=1_000, orders_burst=1_000, margin=MarginRules(leverage=50)
    )
    venue = SimulatedVenue(settings, ConstantLatency(0, 0), Chance(1))
    venue.list_instrument(RULES)
    venue.open_account(MAIN, Decimal(10_000_000), "USDT")
    heard: list[Event] = []
    told = list(as_events(rows))
    line = Timeline({"grvt": venue}, heard.append, told[0].ts_recv_ns)
    waiting = list(planned)
    for event in told:
        while waiting and waiting[0].at_ns < event.ts_recv_ns:
            _do(venue, line, waiting.pop(0), side)
        if not waiting:
            break
        line.feed(event)
    fills: Fills = {}
    for one in heard:
        if isinstance(one, Fill):
            fills.setdefault(one.client_order_id, []).append((one.ts_event_ns, RULES.to_lots(one.qty)))
    return fills


def _do(venue: SimulatedVenue, line: Timeline, one: Planned, side: Side) -> None:
    line.advance(one.at_ns)
    if one.px_ticks:
        order = NewOrder(
            ClientOrderId(one.number), MAIN, StrategyId("s"), NAME, side, RULES.px(one.px_ticks), RULES.qty(LOTS),
            post_only=True, expire_ns=one.at_ns + 3_600 * NS_PER_S,
        )  # fmt: skip
        venue.submit(MAIN, [order], one.at_ns)
    else:
        venue.cancel(MAIN, [CancelOrder(MAIN, NAME, ClientOrderId(one.number))], one.at_ns)
    line.advance(one.at_ns)


def as_events(rows: Sequence[Row]) -> Iterator[BookSnapshot | BookDelta | TradeEvent]:
    """The rows as model events, the recorder's time on both clocks; book tickers are left out."""
    update_id, before = 0, list[DepthUpdate]()
    whole = False
    for row in rows:
        match row:
            case DepthSnapshot():
                update_id, whole = row.last_update_id, True
                yield BookSnapshot(NAME, _levels(row.bids), _levels(row.asks), row.recv_ns, row.recv_ns)
                for missed in before:
                    if missed.last_update_id > update_id:
                        update_id = missed.last_update_id
                        yield _delta(missed, row.recv_ns)
            case DepthUpdate() if not whole:
                before.append(row)
            case DepthUpdate() if row.last_update_id > update_id:
                update_id = row.last_update_id
                yield _delta(row, row.recv_ns)
            case Trade() if whole:
                aggressor = Side.SELL if row.is_buyer_maker else Side.BUY
                px, qty = RULES.to_ticks(row.px), RULES.to_lots(row.qty)
                yield TradeEvent(NAME, px, qty, aggressor, TradeId(str(row.trade_id)), row.recv_ns, row.recv_ns)
            case _:
                pass


def without_tickers(rows: Iterator[Row], seconds: int) -> list[Row]:
    """The first seconds of a recording, without the stream of best prices, which the simulation does not use."""
    found: list[Row] = []
    for row in rows:
        if found and row.recv_ns - found[0].recv_ns > seconds * NS_PER_S:
            break
        if not isinstance(row, BookTicker):
            found.append(row)
    return found


def _delta(update: DepthUpdate, recv_ns: int) -> BookDelta:
    return BookDelta(NAME, _levels(update.bids), _levels(update.asks), recv_ns, recv_ns)


def _levels(levels: tuple[PxQty, ...]) -> tuple[Level, ...]:
    return tuple((RULES.to_ticks(px), RULES.to_lots(qty)) for px, qty in levels)
