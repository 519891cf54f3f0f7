"""A tape of the practice exchange's simulated market, as a client of GRVT's streams would have recorded it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.instruments import Instrument as ListedInstrument
from perpmaker.exchange.core.market.parameters import DEFAULT_MARKETS, MarketParameters
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.types import BookLevel, TradePrinted
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.book import Level
from perpmaker.model.events import BookDelta, BookSnapshot, Event, Ticker, Trade
from perpmaker.model.ids import HOME_EXCHANGE, InstrumentId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.tape.schema import TapeInstrument
from perpmaker.tape.writer import TapeWriter

START_NS: Final = 1_767_225_600 * NS_PER_S
"""2026-01-01 00:00 UTC: any time will do, and the same one repeats."""
BOOK_NS: Final = 50 * NS_PER_MS
"""GRVT's fastest rate of book changes (its API documentation, stream v1.book.d)."""
TICKER_NS: Final = 500 * NS_PER_MS
LATENCY_NS: Final = 2 * NS_PER_MS
_NANO: Final = Decimal("1e-9")
_CENTIBEEP: Final = Decimal("1e-6")
_WARM_UP_NS: Final = 5 * NS_PER_S
"""So that the books are filled when the tape begins."""


def simulate(
    target: Path,
    *,
    duration_ns: int,
    seed: int,
    instruments: Sequence[ListedInstrument] = DEFAULT_INSTRUMENTS,
    activity: float = 1.0,
    start_ns: int = START_NS,
    markets: Mapping[str, MarketParameters] = DEFAULT_MARKETS,
    book_ns: int = BOOK_NS,
    steps: Callable[[int], None] = lambda done_ns: None,
) -> int:
    """Write `duration_ns` of a simulated market as a tape; the same seed writes the same one. Returns the rows.

    `markets` says how an instrument's market is, by name; `book_ns` how often changes of its book are told.
    """
    listed = [TapeInstrument(_rules(row)) for row in instruments]
    source = f"simulated market, seed {seed}, activity {activity:g}"
    with TapeWriter(target, listed, source=source) as writer:
        for event in simulated_events(
            duration_ns=duration_ns, seed=seed, instruments=instruments, activity=activity, start_ns=start_ns,
            markets=markets, book_ns=book_ns,
        ):  # fmt: skip
            writer.add(event)
            if isinstance(event, Ticker):
                steps(event.ts_event_ns - start_ns)
        writer.notes["latency"] = f"{LATENCY_NS // NS_PER_MS} ms, constant"
    return writer.written


def simulated_events(
    *,
    duration_ns: int,
    seed: int,
    instruments: Sequence[ListedInstrument],
    activity: float,
    start_ns: int,
    markets: Mapping[str, MarketParameters] = DEFAULT_MARKETS,
    book_ns: int = BOOK_NS,
) -> Iterator[Event]:
    """Yield what the streams would have told, in the order of receive times."""
    venue = Venue(instruments, now_ns=start_ns - _WARM_UP_NS)
    market = SimulatedMarket(venue, seed=seed, markets=markets, activity=activity)
    market.advance(start_ns)
    venue.take_events()
    streams = [_Streams(venue, row) for row in instruments]
    for stream in streams:
        yield from stream.begin(start_ns)
    now_ns = start_ns
    while now_ns < start_ns + duration_ns:
        now_ns += book_ns
        market.advance(now_ns)
        for event in venue.take_events():
            if isinstance(event, TradePrinted):
                trade = event.trade
                yield Trade(
                    InstrumentId(trade.instrument), trade.px_ticks, trade.qty_lots,
                    Side.BUY if trade.is_taker_buyer else Side.SELL, TradeId(trade.trade_id),
                    trade.event_ns, trade.event_ns + LATENCY_NS,
                )  # fmt: skip
        for stream in streams:
            yield from stream.go_on(now_ns)


class _Streams:
    """Book and ticker of one instrument."""

    def __init__(self, venue: Venue, listed: ListedInstrument) -> None:
        self._venue = venue
        self._name = InstrumentId(listed.name)
        self._tick = _NANO * listed.tick_nano
        self._book = venue.book(listed.name)
        self._version = 0

    def begin(self, now_ns: int) -> Iterator[Event]:
        book = self._book.snapshot()
        self._version = book.version
        bids, asks = _levels(book.bids), _levels(book.asks)
        yield BookSnapshot(self._name, bids, asks, now_ns, now_ns + LATENCY_NS)
        yield self._ticker(now_ns)

    def go_on(self, now_ns: int) -> Iterator[Event]:
        changes = self._book.changes_since(self._version)
        if changes is None:
            book = self._book.snapshot()
            self._version = book.version
            yield BookSnapshot(self._name, _levels(book.bids), _levels(book.asks), now_ns, now_ns + LATENCY_NS)
        elif changes.version != self._version:
            self._version = changes.version
            yield BookDelta(self._name, _levels(changes.bids), _levels(changes.asks), now_ns, now_ns + LATENCY_NS)
        if now_ns % TICKER_NS == 0:
            yield self._ticker(now_ns)

    def _ticker(self, now_ns: int) -> Ticker:
        view = self._venue.ticker(str(self._name))
        return Ticker(
            self._name,
            mark_px=_NANO * view.mark_nano,
            index_px=_NANO * view.index_nano,
            last_px=None if view.last_px_ticks is None else self._tick * view.last_px_ticks,
            funding_rate=_CENTIBEEP * view.funding_rate_cb,
            next_funding_ns=view.next_funding_ns,
            ts_event_ns=now_ns,
            ts_recv_ns=now_ns + LATENCY_NS,
        )


def _levels(levels: Sequence[BookLevel]) -> tuple[Level, ...]:
    return tuple([(level.px_ticks, level.qty_lots) for level in levels])


def _rules(listed: ListedInstrument) -> Instrument:
    lot = (_NANO * listed.lot_nano).normalize()
    return Instrument(
        instrument_id=InstrumentId(listed.name),
        symbol=listed.name,
        exchange=HOME_EXCHANGE,
        base=listed.base,
        quote=listed.quote,
        tick=(_NANO * listed.tick_nano).normalize(),
        lot=lot,
        min_qty=lot * listed.min_lots,
        min_notional=Decimal(f"{(_NANO * listed.min_notional_nano).normalize():f}"),
        max_position_qty=lot * listed.max_position_lots,
        funding_interval_h=listed.funding_interval_hours,
        venue_asset_id=listed.hash_text,
        qty_decimals=listed.base_decimals,
    )
