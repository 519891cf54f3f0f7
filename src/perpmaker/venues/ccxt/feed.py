"""Public data of a ccxt venue as events: books without gaps, trades, tickers, bars, the instrument list, its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

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
    ConversionRate,
    Event,
    InstrumentDelisted,
    InstrumentListed,
    StaleReason,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.api import NoTimings, Sink, Subscription, Timings
from perpmaker.venues.candles import BarAssembler
from perpmaker.venues.ccxt import listing, numbers
from perpmaker.venues.ccxt.framed import FramedMarket
from perpmaker.venues.ccxt.library import call, close_client, make_client, open_client_http
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import Quirks
from perpmaker.venues.ccxt.stream import Stream
from perpmaker.venues.ccxt.unified import UnifiedMarket
from perpmaker.venues.transport.backoff import FullJitter

WATCH_S: Final = 0.1
TIMEFRAMES: Final = {60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 14_400: "4h", 86_400: "1d"}

_log = get("venues.ccxt.feed")


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How patient to be, and which conversion rate to read: ("USDC", "USDT") is what one USDC is worth in USDT."""

    stale_s: float = 2.0
    instruments_every_s: float = 300.0
    clock_every_s: float = 15.0
    rate_every_s: float = 10.0
    warm_bars: int = 500
    convert: tuple[str, str] | None = None


class CcxtFeed:
    """A MarketFeed. `start` returns at once: a venue that is down is waited for, not an error."""

    def __init__(
        self,
        *,
        quirks: Quirks,
        clock: Clock,
        seed: int,
        urls: Mapping[str, Any] | None = None,
        options: FeedOptions | None = None,
        timings: Timings | None = None,
    ) -> None:
        self._quirks = quirks
        self._clock = clock
        self._urls = urls or {}
        self._options = options or FeedOptions()
        self._timings = timings or NoTimings()
        self._sink: Sink = _nowhere
        self._retry = FullJitter(base_s=0.5, cap_s=5.0, seed=seed + 1)
        self._stream = Stream(self, clock, name=f"{quirks.exchange}:market_data", seed=seed)
        self._http: aiohttp.ClientSession | None = None
        self._client: Any = None
        self._wanted: dict[InstrumentId, Subscription] = {}
        self._markets: dict[InstrumentId, FramedMarket | UnifiedMarket] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._details: dict[InstrumentId, Listed] = {}
        self._by_market_id: dict[str, InstrumentId] = {}
        self._has_list = asyncio.Event()
        self.listed: dict[InstrumentId, Instrument] = {}
        """The instruments as last read; a gateway may hold on to this mapping."""

    async def start(self, sink: Sink) -> None:
        if self._tasks:
            raise ConfigError("the feed has been started already")
        self._sink = sink
        self._open()
        jobs: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._stream.run,
            self._watch,
            self._keep_listing,
            self._keep_time,
        ]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(job(), name=f"ccxt_feed_{job.__name__}") for job in jobs]
        if self._options.convert is not None:
            rate = self._keep_rate(self._options.convert)
            self._tasks.append(loop.create_task(rate, name="ccxt_feed_rate"))
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    async def stop(self) -> None:
        tasks, self._tasks = [*self._tasks, *self._jobs], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sink = _nowhere
        if self._client is not None:
            await close_client(self._client)
            self._client = None
        if self._http is not None:
            await self._http.close()
            self._http = None

    def subscribe(self, subscription: Subscription) -> None:
        """Want an instrument's streams; takes effect as soon as the link is up and the instrument listed."""
        if subscription.bar_s and subscription.bar_s not in TIMEFRAMES:
            raise ConfigError(f"bar_s: {subscription.bar_s} is not offered; allowed: {sorted(TIMEFRAMES)}")
        known = self._wanted.get(subscription.instrument)
        self._wanted[subscription.instrument] = subscription
        if not self._tasks or subscription.instrument not in self._details:
            return
        market = self._markets.get(subscription.instrument)
        if known == subscription and market is not None:
            market.renew()
        elif self._stream.is_up:
            self._stream.doubt("another subscription is wanted")

    async def instruments(self) -> Sequence[Instrument]:
        """Read the list once; raises VenueError or DataError."""
        self._open()
        return [found.instrument for found in (await self._read_list()).listed.values()]

    # --- what markets ask of their feed

    @property
    def client(self) -> Any:
        return self._client

    @property
    def quirks(self) -> Quirks:
        return self._quirks

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def timings(self) -> Timings:
        return self._timings

    @property
    def stale_ns(self) -> int:
        return int(self._options.stale_s * NS_PER_S)

    def emit(self, event: Event) -> None:
        self._sink(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a short job that ends with the feed."""
        task = asyncio.get_running_loop().create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    async def ask(self, method: str, *arguments: Any) -> Any:
        """Read something; raises VenueError with the reason for whatever went wrong."""
        return await call(self._client, method, *arguments)

    async def send(self, message: Any) -> None:
        await self._stream.send(message)

    def link_is_silent(self, why: str) -> None:
        self._stream.doubt(why)

    def warm(self, listed: Listed, bars: BarAssembler) -> None:
        """Read the bars before; after a few failures go on without them, and say so."""
        self.spawn(self._read_past(listed, bars))

    # --- LinkOwner

    async def before_connect(self) -> None:
        await self._has_list.wait()

    def on_message(self, message: Any) -> bool:
        reader = self._quirks.frames
        head = reader.heading(message) if reader is not None else None
        if head is None:
            return False
        market = self._markets.get(self._by_market_id.get(head.symbol, InstrumentId("")))
        if isinstance(market, FramedMarket):
            market.on_frame(head)
        return True

    async def open_streams(self) -> Sequence[Awaitable[Any]]:
        """Open a market for each wanted instrument that is listed."""
        waiting: list[Awaitable[Any]] = []
        reader = self._quirks.frames
        for wanted in self._wanted.values():
            listed = self._details.get(wanted.instrument)
            if listed is None:
                continue
            market = (
                UnifiedMarket(self, listed, wanted) if reader is None else FramedMarket(self, reader, listed, wanted)
            )
            self._markets[wanted.instrument] = market
            waiting += market.watches()
        return waiting

    def on_link_up(self) -> None:
        now_ns = self._clock.now_ns()
        self.emit(Connectivity(self._quirks.exchange, Channel.MARKET_DATA, True, "connected", now_ns))

    def on_link_down(self, reason: str) -> None:
        markets, self._markets = self._markets, {}
        for market in markets.values():
            market.close(StaleReason.DISCONNECTED)
        now_ns = self._clock.now_ns()
        self.emit(Connectivity(self._quirks.exchange, Channel.MARKET_DATA, False, reason, now_ns))

    # --- inside

    def _open(self) -> None:
        if self._client is None:
            self._http = open_client_http(self._quirks, self._urls)
            self._client = make_client(self._quirks, self._http, self._stream, urls=self._urls)
            self._stream.attach(self._client, stream_url(self._client, self._quirks, "public"))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            for market in list(self._markets.values()):
                market.look()

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
            self._has_list.set()
            await asyncio.sleep(self._options.instruments_every_s)

    async def _read_list(self) -> listing.Reading:
        markets = await self.ask("load_markets", True)
        reading = listing.read(markets, self._quirks.exchange, self._client.precisionMode)
        for market_id, why in reading.unreadable.items():
            _log.warning("instrument_unreadable", instrument=market_id, reason=why)
        return reading

    def _apply(self, reading: listing.Reading) -> None:
        now_ns, changed = self._clock.now_ns(), False
        for name in [name for name in self._details if name not in reading.listed]:
            del self._details[name], self.listed[name]
            changed = changed or name in self._markets
            self.emit(InstrumentDelisted(name, now_ns))
        for name, found in reading.listed.items():
            if self._details.get(name) == found:
                continue
            self._details[name], self.listed[name] = found, found.instrument
            self._by_market_id[found.market_id] = name
            changed = changed or name in self._wanted
            self.emit(InstrumentListed(found.instrument, now_ns))
        if changed and self._stream.is_up:
            self._stream.doubt("the rules of an instrument changed")  # its ticks change their meaning: begin anew

    async def _read_past(self, listed: Listed, bars: BarAssembler) -> None:
        interval_s = bars.interval_ns // NS_PER_S
        for _ in range(4):
            since_ns = max(
                self._clock.now_ns() - (self._options.warm_bars + 1) * bars.interval_ns, bars.last_open_ns + 1
            )
            try:
                rows = await self.ask("fetch_ohlcv", listed.symbol, TIMEFRAMES[interval_s], since_ns // NS_PER_MS)
                bars.warm([self._bar(listed, row, interval_s) for row in rows])
            except (VenueError, DataError) as error:
                _log.warning("bars_not_read", instrument=listed.market_id, reason=str(error))
                await asyncio.sleep(self._retry.next_s())
            else:
                return
        bars.warm(())

    def _bar(self, listed: Listed, row: Sequence[Any], interval_s: int) -> Bar:
        at_ms, *prices = row[:6]
        opened, high, low, close, volume = (float(numbers.exact(value, "candle")) for value in prices)
        return Bar(
            listed.instrument.instrument_id, interval_s, numbers.ns_of_ms(at_ms, "candle"), opened, high, low, close,
            volume * float(listed.contract_size), 0, self._clock.now_ns(),
        )  # fmt: skip

    async def _keep_time(self) -> None:
        """Measure the venue's clock against ours, again and again, where it tells the time."""
        method = self._quirks.time_call or ("fetch_time" if self._client.has.get("fetchTime") else "")
        while method:
            before_ns = self._clock.now_ns()
            try:
                told_ns = numbers.ns_of_ms(await self.ask(method), "time")
            except (VenueError, DataError) as error:
                _log.warning("venue_time_not_read", reason=str(error))
            else:
                now_ns = self._clock.now_ns()
                trip_ns = now_ns - before_ns
                self.emit(ClockOffset(self._quirks.exchange, told_ns - (before_ns + trip_ns // 2), trip_ns, now_ns))
            await asyncio.sleep(self._options.clock_every_s)
        await asyncio.Event().wait()

    async def _keep_rate(self, convert: tuple[str, str]) -> None:
        """Read what the settlement currency is worth, from the venue's own spot market of the pair."""
        await self._has_list.wait()
        source, target = convert
        symbols = {f"{source}/{target}": False, f"{target}/{source}": True}
        symbol = next((name for name in symbols if name in self._client.markets), None)
        while symbol is not None:
            try:
                row = await self.ask("fetch_ticker", symbol)
                px = numbers.exact(row.get("last"), "last")
                if px <= 0:
                    raise DataError(f"{symbol}: {px} is no rate")
            except (VenueError, DataError) as error:
                _log.warning("rate_not_read", reason=str(error))
            else:
                rate, now_ns = (1 / px if symbols[symbol] else px), self._clock.now_ns()
                told = f"{self._quirks.exchange} {symbol}"
                self.emit(ConversionRate(source, target, rate, told, now_ns, now_ns))
            await asyncio.sleep(self._options.rate_every_s)
        _log.warning("rate_not_offered", exchange=self._quirks.exchange, source=source, target=target)
        await asyncio.Event().wait()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A job that ends by itself is a fault of ours: without it the data cannot be vouched for."""
        if not task.cancelled():
            reason = f"{task.get_name()} ended: {task.exception()!r}"
            _log.error("feed_task_died", reason=reason)
            self.on_link_down(reason)


def stream_url(client: Any, quirks: Quirks, kind: str) -> str:
    """Return the address of a venue's socket whose raw frames we read, "" where ccxt opens what it needs."""
    return str(client.urls["api"]["ws"][kind]) if quirks.frames is not None else ""


def _nowhere(_: Event) -> None:
    """Before the start, and after the end, there is nobody to tell."""
