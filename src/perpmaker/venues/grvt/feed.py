"""GRVT's public data as events: books without gaps, trades, tickers, bars, the instrument list, the venue's clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

import aiohttp
import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import ConfigError, DataError, VenueError
from perpmaker.logs import get
from perpmaker.model.events import (
    Bar,
    Channel,
    ClockOffset,
    Connectivity,
    Event,
    InstrumentDelisted,
    InstrumentListed,
    StaleReason,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import NoTimings, Sink, Subscription, Timings
from perpmaker.venues.candles import BarAssembler
from perpmaker.venues.grvt import listing, market, parse, streams
from perpmaker.venues.grvt import subscription as socket_streams
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.environments import Environment
from perpmaker.venues.grvt.limits import rate_limiter
from perpmaker.venues.grvt.lite import Encoding
from perpmaker.venues.grvt.parse import EXCHANGE, FundingRate
from perpmaker.venues.grvt.rest import Rest
from perpmaker.venues.grvt.routes import (
    FUNDING,
    INSTRUMENTS,
    KLINE,
    MAX_INSTRUMENTS,
    PERPETUAL,
    InstrumentsRequest,
    KlineRequest,
    MarketHistoryRequest,
)
from perpmaker.venues.grvt.socket import GrvtSocket, connect_cap
from perpmaker.venues.transport.backoff import FullJitter
from perpmaker.venues.transport.rate_limit import RateLimiter

WATCH_S: Final = 0.1
RELIST_PAUSE_S: Final = 5.0
"""The list is not read again sooner, however much a frame makes it look outdated."""
LINK_SILENCE_S: Final = 5.0
"""With a ticker every half second, a link that says nothing for this long is dead whatever its pings say."""

_log = get("venues.grvt.feed")


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much to ask for, and how patient to be."""

    book_rate_ms: int = 50
    ticker_rate_ms: int = 500
    stale_s: float = 2.0
    instruments_every_s: float = 300.0
    clock_every_s: float = 15.0
    warm_bars: int = 500
    encoding: Encoding = Encoding.FULL


class FeedCounters(msgspec.Struct):
    """What a feed has been through, summed over its streams."""

    connects: int = 0
    frames: int = 0
    bad_frames: int = 0
    unmatched: int = 0
    duplicates: int = 0
    gaps: int = 0
    subscribed: int = 0


class GrvtFeed:
    """A MarketFeed. `start` returns at once: a venue that is down is waited for, not an error.

    Frames are turned into events in the step that reads them; there is no queue in between that could grow. When the sink
    is slow the socket is read slowly, and the venue's own limits apply.
    """

    def __init__(
        self,
        *,
        environment: Environment,
        http: aiohttp.ClientSession,
        clock: Clock,
        seed: int,
        options: FeedOptions | None = None,
        limiter: RateLimiter | None = None,
        timings: Timings | None = None,
        past_connects: Iterable[int] = (),
    ) -> None:
        self._options = options or FeedOptions()
        if self._options.stale_s <= 0:
            raise ConfigError(f"stale_s must be above 0, not {self._options.stale_s}")
        self._clock = clock
        self._timings = timings or NoTimings()
        self._sink: Sink = _nowhere
        self._rest = Rest(http, environment, clock, limiter or rate_limiter(clock), encoding=self._options.encoding)
        self._socket = GrvtSocket(
            name="market_data",
            url=environment.ws_market_data,
            owner=self,
            codec=Codec(self._options.encoding),
            clock=clock,
            seed=seed,
            silence_s=LINK_SILENCE_S,
            cap=connect_cap(past_connects),
        )
        self._retry = FullJitter(base_s=0.5, cap_s=5.0, seed=seed + 1)
        self._list_is_doubted = asyncio.Event()
        self._wanted: dict[InstrumentId, Subscription] = {}
        self._markets: dict[InstrumentId, _Subscribed] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.listed: dict[InstrumentId, Instrument] = {}
        """The instruments as last read; a gateway may hold on to this mapping."""

    async def start(self, sink: Sink) -> None:
        if self._tasks:
            raise ConfigError("the feed has been started already")
        self._sink = sink
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(job(), name=f"grvt_feed_{job.__name__}")
            for job in (self._socket.run, self._watch, self._keep_listing, self._keep_time)
        ]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in (*tasks, *(s.past for s in self._markets.values() if s.past is not None)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def subscribe(self, subscription: Subscription) -> None:
        """Want an instrument's streams; takes effect as soon as the link is up and the instrument listed."""
        if subscription.bar_s:
            streams.candle_interval(subscription.bar_s)
        self._wanted[subscription.instrument] = subscription
        instrument = self.listed.get(subscription.instrument)
        if instrument is not None and self._tasks:
            self._open(subscription, instrument)

    async def instruments(self) -> Sequence[Instrument]:
        """Read the list once; raises VenueError or DataError."""
        return list((await self._read_list()).instruments.values())

    async def bars(self, instrument: InstrumentId, interval_s: int, since_ns: int) -> list[Bar]:
        """Read the candles that opened at `since_ns` or later, oldest first; the last one may still be open."""
        interval = streams.candle_interval(interval_s)
        request = self._rest.codec.form(KlineRequest)(instrument, interval, "TRADE", str(since_ns))
        rows = await self._rest.pages(KLINE, request)
        now_ns = self._clock.now_ns()
        return sorted((parse.bar(row, interval_s, now_ns) for row in rows), key=lambda bar: bar.open_ns)

    async def funding_rates(self, instrument: InstrumentId, since_ns: int) -> list[FundingRate]:
        """Read past funding rates since `since_ns`, oldest first."""
        request = self._rest.codec.form(MarketHistoryRequest)(instrument=instrument, start_time=str(since_ns))
        rows = await self._rest.pages(FUNDING, request)
        return sorted((parse.funding_rate(row) for row in rows), key=lambda rate: rate.ts_event_ns)

    @property
    def recent_connects(self) -> tuple[int, ...]:
        """Attempts that may still count against the cap; handed to the next life as `past_connects`."""
        return self._socket.cap.recent

    def counters(self) -> FeedCounters:
        """Return what has happened since the start, for people and tests."""
        link = self._socket.counters
        total = FeedCounters(link.connects, link.frames, link.bad_frames, link.unmatched)
        for subscribed in self._markets.values():
            for stream in subscribed.streams:
                total.bad_frames += stream.counters.bad_frames
                total.duplicates += stream.counters.duplicates
                total.gaps += stream.counters.gaps
                total.subscribed += stream.counters.subscribed
        return total

    def on_link_up(self) -> None:
        self._emit(Connectivity(EXCHANGE, Channel.MARKET_DATA, True, "connected", self._clock.now_ns()))

    def on_link_down(self, reason: str) -> None:
        self._emit(Connectivity(EXCHANGE, Channel.MARKET_DATA, False, reason, self._clock.now_ns()))

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A job that ends by itself is a fault of ours: without it the data cannot be vouched for."""
        if not task.cancelled():
            reason = f"{task.get_name()} ended: {task.exception()!r}"
            _log.error("feed_task_died", reason=reason)
            self.on_link_down(reason)

    def _emit(self, event: Event) -> None:
        self._sink(event)

    def _open(self, wanted: Subscription, instrument: Instrument) -> None:
        """Subscribe to the streams of an instrument, anew when they were open under older rules."""
        self._close(wanted.instrument)
        opened = _Subscribed(
            market.Market(instrument, self._sink, self._clock, self._timings, self._list_is_doubted.set)
        )
        self._markets[wanted.instrument] = opened
        shared, socket, symbol = opened.market, self._socket, instrument.symbol
        if wanted.ticker:
            selector = streams.ticker(symbol, self._options.ticker_rate_ms)
            opened.add(socket.subscribe(streams.TICKER, selector, market.TickerStream(shared), market.WHOLE_KIND))
        if wanted.trades:
            selector = streams.trades(symbol)
            opened.add(socket.subscribe(streams.TRADES, selector, market.TradeStream(shared), market.TRADE_KIND))
        if wanted.bar_s:
            bars = BarAssembler(wanted.bar_s, self._emit)
            handler = market.CandleStream(shared, bars, lambda: self._backfill(opened, bars))
            selector = streams.candles(symbol, wanted.bar_s)
            opened.add(socket.subscribe(streams.CANDLES, selector, handler, market.WHOLE_KIND))
        if wanted.book:
            selector = streams.book_changes(symbol, self._options.book_rate_ms)
            handler_book = market.BookStream(shared, socket)
            opened.book = socket.subscribe(streams.BOOK_CHANGES, selector, handler_book, market.BOOK_KIND)
            opened.add(opened.book)

    def _close(self, instrument: InstrumentId) -> None:
        subscribed = self._markets.pop(instrument, None)
        if subscribed is None:
            return
        for stream in subscribed.streams:
            self._socket.unsubscribe(stream)
        if subscribed.past is not None:
            subscribed.past.cancel()
        if subscribed.book is not None:
            subscribed.market.stale(StaleReason.STARTING)

    def _backfill(self, subscribed: _Subscribed, bars: BarAssembler) -> None:
        if subscribed.past is not None:
            subscribed.past.cancel()
        subscribed.past = asyncio.get_running_loop().create_task(self._read_past(subscribed, bars))

    async def _read_past(self, subscribed: _Subscribed, bars: BarAssembler) -> None:
        """Read the bars before, or between; after a few failures go on without them, and say so."""
        instrument = subscribed.market.reader.instrument_id
        interval_s = bars.interval_ns // NS_PER_S
        for _ in range(4):
            now_ns = self._clock.now_ns()
            oldest_ns = now_ns - (self._options.warm_bars + 1) * bars.interval_ns
            try:
                bars.warm(await self.bars(instrument, interval_s, max(oldest_ns, bars.last_open_ns + 1)))
            except (VenueError, DataError) as error:
                _log.warning("bars_not_read", instrument=instrument, reason=str(error))
                await asyncio.sleep(self._retry.next_s())
            else:
                return
        bars.warm(())

    async def _watch(self) -> None:
        """Look ten times a second for books that can no longer be believed."""
        stale_ns = int(self._options.stale_s * NS_PER_S)
        while True:
            await asyncio.sleep(WATCH_S)
            now_ns = self._clock.monotonic_ns()
            for subscribed in list(self._markets.values()):
                if subscribed.book is not None and (why := subscribed.market.silence(now_ns, stale_ns)):
                    self._socket.renew(subscribed.book, socket_streams.Broken.SILENT, why)

    async def _keep_listing(self) -> None:
        """Read the instrument list again and again, announcing only what differs. A failed read changes nothing."""
        while True:
            try:
                reading = await self._read_list()
            except (VenueError, DataError) as error:
                _log.warning("instruments_not_read", reason=str(error))
                await asyncio.sleep(self._retry.next_s())
                continue
            self._retry.reset()
            self._apply(reading)
            await asyncio.sleep(min(RELIST_PAUSE_S, self._options.instruments_every_s))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.instruments_every_s):
                    await self._list_is_doubted.wait()
            self._list_is_doubted.clear()

    async def _read_list(self) -> listing.Reading:
        request = self._rest.codec.form(InstrumentsRequest)(kind=[PERPETUAL], is_active=True, limit=MAX_INSTRUMENTS)
        reading = listing.read((await self._rest.call(INSTRUMENTS, request)).result)
        for symbol, why in reading.unreadable.items():
            _log.warning("instrument_unreadable", instrument=symbol, reason=why)
        return reading

    def _apply(self, reading: listing.Reading) -> None:
        found = listing.difference(self.listed, reading)
        now_ns = self._clock.now_ns()
        for name in found.delisted:
            del self.listed[name]
            self._close(name)
            self._emit(InstrumentDelisted(name, now_ns))
        for instrument in found.listed:
            self.listed[instrument.instrument_id] = instrument
            self._close(instrument.instrument_id)  # stale before its ticks change their meaning
            self._emit(InstrumentListed(instrument, now_ns))
            wanted = self._wanted.get(instrument.instrument_id)
            if wanted is not None:
                self._open(wanted, instrument)

    async def _keep_time(self) -> None:
        """Measure the venue's clock against ours, again and again."""
        while True:
            try:
                reading = await self._rest.time()
            except (VenueError, DataError) as error:
                _log.warning("venue_time_not_read", reason=str(error))
            else:
                self._emit(ClockOffset(EXCHANGE, reading.offset_ns, reading.round_trip_ns, self._clock.now_ns()))
            await asyncio.sleep(self._options.clock_every_s)


class _Subscribed:
    """An instrument's market and its open streams."""

    def __init__(self, shared: market.Market) -> None:
        self.market = shared
        self.streams: list[socket_streams.Subscription] = []
        self.book: socket_streams.Subscription | None = None
        self.past: asyncio.Task[None] | None = None

    def add(self, stream: socket_streams.Subscription) -> None:
        self.streams.append(stream)


def _nowhere(_: Event) -> None:
    """Before the start there is nobody to tell."""
