"""One instrument's streams: frames into market events, and the proof that they are still coming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from perpmaker.clock import Clock
from perpmaker.model.events import Bar, BookStale, StaleReason, Trade
from perpmaker.model.ids import TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import Sink, Timings
from perpmaker.venues.candles import BarAssembler
from perpmaker.venues.grvt import numbers, parse
from perpmaker.venues.grvt.objects import WireBook, WireCandle, WireTicker, WireTrade
from perpmaker.venues.grvt.subscription import Broken, StreamKind
from perpmaker.venues.memory import Remembered

BOOK_KIND: Final = StreamKind(needs_snapshot=True, vital=True)
TRADE_KIND: Final = StreamKind()
WHOLE_KIND: Final = StreamKind(whole_frames=True)
RFQ: Final = "RFQ"
REMEMBERED_TRADES: Final = 1024
TOUCH_PROOF_S: Final = 1.4
"""The ticker shows another touch, and the book, due every 50 ms, has said nothing for this long: its stream is mute. With
a ticker every 0.5 s that is 1.9 s from the last frame at worst."""

_STALE: Final = {
    Broken.GAP: StaleReason.GAP,
    Broken.BAD_FRAME: StaleReason.BAD_FRAME,
    Broken.DISCONNECTED: StaleReason.DISCONNECTED,
    Broken.REFUSED: StaleReason.DISCONNECTED,
    Broken.SILENT: StaleReason.SILENT,
}


class Market:
    """What all streams of an instrument share: its rules, where events go, and when something was last heard."""

    def __init__(
        self, instrument: Instrument, sink: Sink, clock: Clock, timings: Timings, doubt_rules: Callable[[], None]
    ) -> None:
        self.reader = parse.Reader(instrument)
        self.sink = sink
        self.clock = clock
        self.timings = timings
        self._doubt_rules = doubt_rules
        self.last_frame_ns = clock.monotonic_ns()
        self.book_is_live = False
        self._touch: tuple[str | None, ...] = ()
        self._touch_moved_ns: int | None = None

    def heard(self) -> int:
        """Note a frame and return when it was heard, in UTC ns."""
        self.last_frame_ns = self.clock.monotonic_ns()
        return self.clock.now_ns()

    def book_heard(self) -> None:
        self._touch_moved_ns = None

    def touch_seen(self, wire: WireTicker) -> None:
        """The ticker says where the touch is; a difference that the book does not follow up is held against the book."""
        touch = (wire.best_bid_price, wire.best_bid_size, wire.best_ask_price, wire.best_ask_size)
        if self._touch and touch != self._touch and self._touch_moved_ns is None:
            self._touch_moved_ns = self.last_frame_ns
        self._touch = touch

    def silence(self, now_ns: int, stale_ns: int) -> str:
        """Return why the live book can no longer be believed, "" when it can."""
        if not self.book_is_live:
            return ""
        if now_ns - self.last_frame_ns > stale_ns:
            return f"no frame of any stream for {stale_ns / NS_PER_S:g} s"
        if self._touch_moved_ns is not None and now_ns - self._touch_moved_ns > TOUCH_PROOF_S * NS_PER_S:
            return f"the ticker's touch moved {TOUCH_PROOF_S:g} s ago and the book did not"
        return ""

    def doubt_rules(self) -> None:
        """A frame did not fit the instrument's tick or lot: they may have changed since the list was read."""
        self._doubt_rules()

    def stale(self, reason: StaleReason) -> None:
        self.book_is_live = False
        self._touch_moved_ns = None
        self.sink(BookStale(self.reader.instrument_id, reason, self.clock.now_ns()))


class FrameTime(Protocol):
    """Knows when the frame in hand was received (monotonic); the socket does."""

    last_frame_ns: int


class BookStream:
    """v1.book.d: a snapshot, then changes without a gap, or stale."""

    def __init__(self, market: Market, link: FrameTime) -> None:
        self._market = market
        self._link = link
        self._clock = market.clock
        self._told = market.timings.record

    def on_ready(self) -> None:
        self._market.book_is_live = True

    def on_frame(self, feed: WireBook, event_ns: int, *, snapshot: bool) -> None:
        market, clock = self._market, self._clock
        frame_began_ns = market.last_frame_ns = self._link.last_frame_ns
        read = parse.book_snapshot if snapshot else parse.book_delta
        event = read(feed, market.reader, event_ns, clock.now_ns())
        market.book_heard()
        self._told("decode", clock.monotonic_ns() - frame_began_ns)
        market.sink(event)

    def on_broken(self, reason: Broken, text: str) -> None:
        self._market.stale(_STALE[reason])
        if reason is Broken.BAD_FRAME:
            self._market.doubt_rules()


class TradeStream:
    """v1.trade: recent trades first, marked as replayed; each trade once, also over a resubscription."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._trades = Remembered[TradeId](REMEMBERED_TRADES)
        self.rfq_trades = 0

    def on_ready(self) -> None: ...

    def on_frame(self, feed: WireTrade, event_ns: int, *, snapshot: bool) -> None:
        now_ns = self._market.heard()
        if feed.venue == RFQ:  # negotiated away from the book: says nothing about filling there
            self.rfq_trades += 1
            return
        trade: Trade = parse.trade(feed, self._market.reader, now_ns, replayed=snapshot)
        if self._trades.is_new(trade.trade_id):
            self._market.sink(trade)

    def on_broken(self, reason: Broken, text: str) -> None: ...


class TickerStream:
    """v1.ticker.s: mark, index, funding, and the heartbeat of the instrument."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def on_ready(self) -> None: ...

    def on_frame(self, feed: WireTicker, event_ns: int, *, snapshot: bool) -> None:
        market = self._market
        market.reader.check(feed.instrument)
        event = parse.ticker(feed, market.heard())
        market.touch_seen(feed)
        market.sink(event)

    def on_broken(self, reason: Broken, text: str) -> None: ...


class CandleStream:
    """v1.candle: bars once they are finished; `needs_past` is called whenever bars may be missing."""

    def __init__(self, market: Market, bars: BarAssembler, needs_past: Callable[[], None]) -> None:
        self._market = market
        self._bars = bars
        self._needs_past = needs_past

    def on_ready(self) -> None:
        self._needs_past()

    def on_frame(self, feed: WireCandle, event_ns: int, *, snapshot: bool) -> None:
        self._market.reader.check(feed.instrument)
        if feed.trades == 0 and numbers.decimal(feed.open, "open") == 0:  # before an instrument's first trade
            return
        bar: Bar = parse.bar(feed, self._bars.interval_ns // NS_PER_S, self._market.heard())
        self._bars.add(bar)

    def on_broken(self, reason: Broken, text: str) -> None:
        self._bars.cool()
