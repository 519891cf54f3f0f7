"""What the public streams say (protocol page §7); times are in microseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from perpmaker.exchange.backpack.market_api import trades_in_a_day
from perpmaker.exchange.backpack.render import US_NS, ZERO, Message, fraction_text, iso_text, level_pairs
from perpmaker.exchange.backpack.streams import Selection
from perpmaker.exchange.core.amounts import decimal_text
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import CandleInterval, CandleType, InstrumentMode, Side, Trade
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.units import NS_PER_MS

_PERIOD_MS: Final = {"depth": 50, "ticker": 500, "kline": 500, "markPrice": 1_000, "openInterest": 5_000}
"""How often a stream looks for news; bookTicker and trade speak as it happens. The venue's own rates are not known."""


class Feed(Protocol):
    """One public stream. `period_ns` is how often `changes` is asked for; 0: whenever its ticker changed."""

    period_ns: int

    def changes(self) -> list[Message]:
        """What is new since the last call."""
        ...


class Sequences:
    """The update ids of the books: their versions, counted from the start or from the last reset."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._bases = {row.name: 0 for row in venue.instruments}

    def number(self, symbol: str, version: int) -> int:
        return max(0, version - self._bases[symbol])

    def reset(self) -> None:
        """Count anew, as a restarted gateway does."""
        self._bases = {name: self._venue.book(name).version for name in self._bases}


class DepthFeed:
    """Levels that changed. A sequence number is the book's version, so no frame overlaps and none is left out."""

    period_ns = _PERIOD_MS["depth"] * NS_PER_MS

    def __init__(self, venue: Venue, instrument: Instrument, sequences: Sequences) -> None:
        self._venue = venue
        self._instrument = instrument
        self._sequences = sequences
        self._version = venue.book(instrument.name).version

    def changes(self) -> list[Message]:
        book = self._venue.book(self._instrument.name)
        first, changes = self._version + 1, book.changes_since(self._version)
        if book.version == self._version:
            return []
        self._version = book.version
        if changes is None:
            return []  # too long ago to say; the next frame does not follow on, and a client loads the book again
        now_us = self._venue.now_ns // US_NS
        return [
            {
                "e": "depth",
                "E": now_us,
                "T": now_us,
                "s": self._instrument.name,
                "U": self._sequences.number(self._instrument.name, first),
                "u": self._sequences.number(self._instrument.name, book.version),
                "b": level_pairs(changes.bids, self._instrument),
                "a": level_pairs(changes.asks, self._instrument),
            }
        ]


class BookTickerFeed:
    """The best prices and sizes, whenever one of them changed."""

    period_ns = 0

    def __init__(self, venue: Venue, instrument: Instrument, sequences: Sequences) -> None:
        self._venue = venue
        self._instrument = instrument
        self._sequences = sequences
        self._last: Message = {}

    def changes(self) -> list[Message]:
        book, instrument = self._venue.book(self._instrument.name), self._instrument
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        best = {
            "a": instrument.px_text(ask.px_ticks) if ask else ZERO,
            "A": instrument.qty_text(ask.qty_lots) if ask else ZERO,
            "b": instrument.px_text(bid.px_ticks) if bid else ZERO,
            "B": instrument.qty_text(bid.qty_lots) if bid else ZERO,
        }
        if best == self._last:
            return []
        self._last = best
        now_us = self._venue.now_ns // US_NS
        update_id = str(self._sequences.number(instrument.name, book.version))
        return [{"e": "bookTicker", "E": now_us, "T": now_us, "s": instrument.name, **best, "u": update_id}]


class ChangedFeed:
    """A stream that repeats its message when it is another than the last time, the time of the event aside."""

    def __init__(self, kind: str, venue: Venue, message: Callable[[], Message]) -> None:
        self.period_ns = _PERIOD_MS[kind] * NS_PER_MS
        self._kind = kind
        self._venue = venue
        self._message = message
        self._last: Message = {}

    def changes(self) -> list[Message]:
        message = self._message()
        if message == self._last:
            return []
        self._last = message
        return [{"e": self._kind, "E": self._venue.now_ns // US_NS, **message}]


class KlineFeed:
    """The running candle whenever it changed, and the last word on one that closed."""

    period_ns = _PERIOD_MS["kline"] * NS_PER_MS

    def __init__(self, venue: Venue, instrument: Instrument, interval: CandleInterval) -> None:
        self._venue = venue
        self._instrument = instrument
        self._interval = interval
        self._last: dict[str, Message] = {}

    def changes(self) -> list[Message]:
        page = self._venue.candles(self._instrument.name, self._interval, CandleType.TRADE, limit=2)
        now_ns, fresh = self._venue.now_ns, []
        said: dict[str, Message] = {}
        for candle in reversed(page.rows):
            start = iso_text(candle.open_ns)
            said[start] = message = {
                "s": self._instrument.name,
                "t": start,
                "T": iso_text(candle.close_ns),
                "o": decimal_text(candle.open_nano),
                "h": decimal_text(candle.high_nano),
                "l": decimal_text(candle.low_nano),
                "c": decimal_text(candle.close_nano),
                "v": self._instrument.qty_text(candle.volume_lots),
                "n": candle.trades,
                "X": candle.close_ns <= now_ns,
            }
            if message != self._last.get(start):
                fresh.append({"e": "kline", "E": now_ns // US_NS, **message})
        self._last = said
        return fresh


class SilentFeed:
    """A stream that only events speak in, or nothing ever: nobody is liquidated here."""

    period_ns = 0

    def changes(self) -> list[Message]:
        return []


def open_feed(venue: Venue, selection: Selection, sequences: Sequences) -> Feed:
    """Make the feed of a public stream."""
    instrument = venue.instrument(selection.symbol)
    if instrument is None:
        return SilentFeed()
    match selection.kind:
        case "depth":
            return DepthFeed(venue, instrument, sequences)
        case "bookTicker":
            return BookTickerFeed(venue, instrument, sequences)
        case "ticker":
            return ChangedFeed("ticker", venue, lambda: _ticker(venue, instrument))
        case "markPrice":
            return ChangedFeed("markPrice", venue, lambda: _mark(venue, instrument))
        case "openInterest":
            return ChangedFeed("openInterest", venue, lambda: _open_interest(venue, instrument))
    if selection.interval is not None:
        return KlineFeed(venue, instrument, selection.interval)
    return SilentFeed()


def is_moving(venue: Venue, symbol: str) -> bool:
    """False once a market is over: nothing is said about it any more."""
    return venue.mode(symbol) not in (InstrumentMode.FROZEN, InstrumentMode.DELISTED)


def trade_frame(trade: Trade, instrument: Instrument) -> Message:
    """One public trade. Whose orders met is not told: the core does not publish it, so both ids are "0"."""
    time_us = trade.event_ns // US_NS
    return {
        "e": "trade",
        "E": time_us,
        "T": time_us,
        "s": trade.instrument,
        "t": int(trade.trade_id),
        "p": instrument.px_text(trade.px_ticks),
        "q": instrument.qty_text(trade.qty_lots),
        "a": ZERO,
        "b": ZERO,
        "m": not trade.is_taker_buyer,
    }


def _ticker(venue: Venue, instrument: Instrument) -> Message:
    view = venue.ticker(instrument.name)
    last = view.last_px_ticks or 0
    return {
        "s": instrument.name,
        "o": instrument.px_text(view.open_ticks or last),
        "c": instrument.px_text(last),
        "h": instrument.px_text(view.high_ticks or last),
        "l": instrument.px_text(view.low_ticks or last),
        "v": instrument.qty_text(view.buy_volume_24h_lots + view.sell_volume_24h_lots),
        "V": decimal_text(view.buy_volume_24h_nano + view.sell_volume_24h_nano),
        "n": trades_in_a_day(venue, instrument),
    }


def _mark(venue: Venue, instrument: Instrument) -> Message:
    view = venue.ticker(instrument.name)
    return {
        "s": instrument.name,
        "p": decimal_text(view.mark_nano),
        "i": decimal_text(view.index_nano),
        "f": fraction_text(view.funding_rate_cb),
        "n": str(view.next_funding_ns // NS_PER_MS),
    }


def _open_interest(venue: Venue, instrument: Instrument) -> Message:
    return {"s": instrument.name, "o": instrument.qty_text(venue.ticker(instrument.name).open_interest_lots)}
