"""Books without gaps, or stale in the same step; and everything else a market says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from perpmaker.clock import WallClock
from perpmaker.errors import ConfigError, DataError, VenueUnavailable
from perpmaker.model.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    BookStale,
    ClockOffset,
    Connectivity,
    InstrumentDelisted,
    InstrumentListed,
    StaleReason,
    Ticker,
    Trade,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.api import Subscription
from perpmaker.venues.grvt.feed import FeedOptions, GrvtFeed

from .collected import Collected, until
from .fake_venue import SILENT, Error, FakeVenue, Json, Socket, subscribed

BTC = InstrumentId("BTC_USDT_Perp")
ETH = InstrumentId("ETH_USDT_Perp")
BOOK, TRADE, TICKER, CANDLE = "v1.book.d", "v1.trade", "v1.ticker.s", "v1.candle"
MINUTE_NS = 60 * NS_PER_S


def row(symbol: str = BTC, **changes: Any) -> Json:
    return {
        "instrument": symbol,
        "instrument_hash": "0x030501",
        "base": symbol.split("_", maxsplit=1)[0],
        "quote": "USDT",
        "kind": "PERPETUAL",
        "venues": ["ORDERBOOK"],
        "base_decimals": 9,
        "quote_decimals": 6,
        "tick_size": "0.1",
        "min_size": "0.001",
        "create_time": "1",
        "min_notional": "100.0",
    } | changes


def book(at: int, bids: list[tuple[str, str]] = [("100.0", "1.0")], asks: list[tuple[str, str]] = []) -> Json:  # noqa: B006
    return {
        "event_time": str(at),
        "instrument": BTC,
        "bids": [{"price": p, "size": s, "num_orders": 1} for p, s in bids],
        "asks": [{"price": p, "size": s, "num_orders": 1} for p, s in asks],
    }


def ticker(at: int, bid: str = "100.0") -> Json:
    return {
        "event_time": str(at),
        "instrument": BTC,
        "mark_price": "100.05",
        "index_price": "100.01",
        "last_price": "100.1",
        "best_bid_price": bid,
        "best_bid_size": "1.0",
        "best_ask_price": "100.1",
        "best_ask_size": "2.0",
        "funding_rate": "0.01",
        "next_funding_time": "9",
    }


def trade(at: int, trade_id: str, **changes: Any) -> Json:
    return {
        "event_time": str(at),
        "instrument": BTC,
        "is_taker_buyer": True,
        "size": "0.5",
        "price": "100.1",
        "trade_id": trade_id,
        "venue": "ORDERBOOK",
    } | changes


def candle(open_ns: int, close: str = "101.0") -> Json:
    return {
        "open_time": str(open_ns),
        "close_time": str(open_ns + MINUTE_NS),
        "open": "100.0",
        "close": close,
        "high": "102.0",
        "low": "99.0",
        "volume_b": "3.5",
        "volume_q": "350",
        "trades": 7,
        "instrument": BTC,
    }


class Script:
    """Answers each subscription with its snapshot and keeps the sockets' sequence numbers."""

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self.numbers: dict[str, int] = {}
        self.at = 1000
        self.mute: set[str] = set()
        venue.on_subscribed = self.on_subscribed
        venue.rpc["v1/instruments"] = lambda body: {"result": self.rows}
        venue.rpc["v1/kline"] = lambda body: {"result": [], "next": ""}
        self.rows = [row(), row(ETH)]

    async def on_subscribed(self, socket: Socket, stream: str, selector: str) -> None:
        self.numbers[stream] = 0
        if stream in self.mute:
            return
        self.at += 1
        if stream == BOOK:
            await socket.feed(stream, selector, 0, book(self.at, [("100.0", "1.0")], [("100.2", "2.0")]))
        elif stream == TICKER:
            await socket.feed(stream, selector, 0, ticker(self.at))

    async def send(self, stream: str, feed: Json, *, skip: int = 0, selector: str = "") -> None:
        socket = self.venue.sockets[-1]
        self.numbers[stream] += 1 + skip
        chosen = selector or next(s for name, s in socket.subscribed if name == stream)
        await socket.feed(stream, chosen, self.numbers[stream], feed)

    def subscriptions(self, stream: str) -> list[str]:
        return [
            request["params"]["selectors"][0]
            for socket in self.venue.sockets
            for request in socket.requests
            if request["method"] == "subscribe" and request["params"]["stream"] == stream
        ]


@pytest.fixture
def script(venue: FakeVenue) -> Script:
    return Script(venue)


@pytest.fixture
def events() -> Collected:
    return Collected()


Start = Callable[..., Awaitable[GrvtFeed]]


@pytest.fixture
async def start(
    http: aiohttp.ClientSession, venue: FakeVenue, script: Script, events: Collected, clock: WallClock
) -> AsyncIterator[Start]:
    feeds: list[GrvtFeed] = []

    async def started(subscription: Subscription | None = None, **options: Any) -> GrvtFeed:
        feed = GrvtFeed(environment=venue.environment, http=http, clock=clock, seed=1, options=FeedOptions(**options))
        feeds.append(feed)
        feed.subscribe(subscription or Subscription(BTC))
        await feed.start(events)
        return feed

    yield started
    for feed in feeds:
        await feed.stop()


async def live(events: Collected) -> None:
    await events.first(BookSnapshot)
    events.forget()


async def test_a_book_is_a_snapshot_and_changes_in_ticks_and_lots(
    start: Start, script: Script, events: Collected
) -> None:
    await start()
    snapshot = await events.first(BookSnapshot)
    assert (snapshot.bids, snapshot.asks) == (((1000, 1000),), ((1002, 2000),))
    assert snapshot.ts_event_ns < snapshot.ts_recv_ns
    await script.send(BOOK, book(2000, [("100.0", "0")], [("100.1", "0.5")]))
    delta = await events.first(BookDelta)
    assert (delta.bids, delta.asks) == (((1000, 0),), ((1001, 500),))


async def test_the_streams_are_the_documented_ones(start: Start, script: Script, events: Collected) -> None:
    await start(Subscription(BTC, bar_s=60))
    await live(events)
    assert script.subscriptions(BOOK) == [f"{BTC}@50"]
    assert script.subscriptions(TRADE) == [f"{BTC}@50"]
    assert script.subscriptions(TICKER) == [f"{BTC}@500"]
    assert script.subscriptions(CANDLE) == [f"{BTC}@CI_1_M-TRADE"]


async def test_a_gap_is_stale_in_the_same_step_and_healed_by_a_new_snapshot(
    start: Start, script: Script, events: Collected
) -> None:
    feed = await start()
    await live(events)
    await script.send(BOOK, book(2000))
    await script.send(BOOK, book(2001), skip=1)
    await events.first(BookSnapshot)
    book_events = [e for e in events.events if isinstance(e, BookSnapshot | BookDelta | BookStale)]
    assert [type(e).__name__ for e in book_events] == ["BookDelta", "BookStale", "BookSnapshot"]
    assert events.of(BookStale)[0].reason is StaleReason.GAP
    assert feed.counters().gaps == 1


async def test_a_counter_that_starts_anew_without_a_disconnect_is_a_gap(
    start: Start, script: Script, events: Collected
) -> None:
    await start()
    await live(events)
    for n in range(5):
        await script.send(BOOK, book(2000 + n))
    await events.some(BookDelta, 5)
    script.numbers[BOOK] = 0
    await script.send(BOOK, book(3000))
    assert (await events.first(BookStale)).reason is StaleReason.GAP
    await events.first(BookSnapshot)


async def test_a_repeated_frame_is_used_once(start: Start, script: Script, events: Collected) -> None:
    feed = await start()
    await live(events)
    await script.send(BOOK, book(2000))
    script.numbers[BOOK] -= 1
    await script.send(BOOK, book(2000))
    await script.send(BOOK, book(2001))
    await events.some(BookDelta, 2)
    assert [delta.ts_event_ns for delta in events.of(BookDelta)] == [2000, 2001]
    assert feed.counters().duplicates == 1


@pytest.mark.parametrize(
    "levels",
    [
        [("NaN", "1.0")],
        [("Infinity", "1.0")],
        [("1e400", "1.0")],
        [("", "1.0")],
        [(None, "1.0")],
        [("100.0", "-1.0")],
        [("-100.0", "1.0")],
        [("0", "1.0")],
        [("100.05", "1.0")],
        [("100.0", "0.0005")],
        [(100.0, 1.0)],
    ],
)
async def test_a_frame_with_a_bad_number_is_refused_whole_and_the_stream_resynchronised(
    start: Start, script: Script, events: Collected, levels: list[Any]
) -> None:
    await start()
    await live(events)
    await script.send(BOOK, book(2000, [("99.9", "1.0"), *levels]))
    assert (await events.first(BookStale)).reason is StaleReason.BAD_FRAME
    await events.first(BookSnapshot)
    assert events.of(BookDelta) == []


async def test_a_frame_for_another_instrument_under_our_selector_is_refused(
    start: Start, script: Script, events: Collected
) -> None:
    await start()
    await live(events)
    await script.send(BOOK, book(2000) | {"instrument": ETH})
    assert (await events.first(BookStale)).reason is StaleReason.BAD_FRAME


@pytest.mark.parametrize(
    "text", ["ping", "{", '{"stream":5', "[" * 20_000, '{"feed":', "null", '{"id":77,"result":{}}', "\x00"]
)
async def test_garbage_is_counted_and_nothing_else_happens(
    start: Start, script: Script, events: Collected, venue: FakeVenue, text: str
) -> None:
    feed = await start()
    await live(events)
    await venue.sockets[-1].send(text)
    await script.send(BOOK, book(2000))
    await events.first(BookDelta)
    assert events.of(BookStale) == []
    assert feed.counters().bad_frames + feed.counters().unmatched == 1


async def test_a_snapshot_with_a_level_of_size_zero_is_refused(
    start: Start, script: Script, events: Collected, venue: FakeVenue
) -> None:
    await start()
    await live(events)
    await venue.sockets[-1].feed(BOOK, f"{BTC}@50", 0, book(2000, [("100.0", "0")]))
    assert (await events.first(BookStale)).reason is StaleReason.BAD_FRAME


async def test_a_cut_socket_is_stale_and_down_then_everything_comes_back(
    start: Start, script: Script, events: Collected, venue: FakeVenue
) -> None:
    await start()
    await live(events)
    await venue.sockets[-1].cut()
    assert (await events.first(BookStale)).reason is StaleReason.DISCONNECTED
    down = await events.first(Connectivity)
    assert not down.up
    await events.first(BookSnapshot)
    assert [c.up for c in events.of(Connectivity)] == [False, True]
    assert script.subscriptions(BOOK) == [f"{BTC}@50"] * 2


async def test_a_venue_that_is_down_at_the_start_is_waited_for(
    start: Start, events: Collected, venue: FakeVenue, script: Script
) -> None:
    port = venue.port
    await venue.stop()
    await start()
    await asyncio.sleep(0)
    assert events.of(BookSnapshot) == []
    await venue.start(port)
    await events.first(BookSnapshot, timeout_s=15)


async def test_silence_is_stale_within_two_seconds(start: Start, script: Script, events: Collected) -> None:
    await start(stale_s=0.3)
    await live(events)
    began = asyncio.get_running_loop().time()
    stale = await events.first(BookStale)
    assert stale.reason is StaleReason.SILENT
    assert asyncio.get_running_loop().time() - began < 1.0
    await events.first(BookSnapshot)


async def test_any_frame_of_the_instrument_keeps_its_book_fresh(
    start: Start, script: Script, events: Collected
) -> None:
    await start(stale_s=1.5)
    await live(events)
    for n in range(20):
        await script.send(TICKER, ticker(2000 + n))
        await asyncio.sleep(0.1)
    assert events.of(BookStale) == []


async def test_a_mute_book_is_found_out_by_the_ticker(start: Start, script: Script, events: Collected) -> None:
    await start(stale_s=30)
    await live(events)
    await script.send(TICKER, ticker(2000, bid="100.1"))
    began = asyncio.get_running_loop().time()
    stale = await events.first(BookStale)
    assert stale.reason is StaleReason.SILENT
    assert 1.0 < asyncio.get_running_loop().time() - began < 10  # long before 30 s
    await events.first(BookSnapshot)


async def test_a_moving_ticker_with_a_moving_book_is_fine(start: Start, script: Script, events: Collected) -> None:
    await start(stale_s=30)
    await live(events)
    for n in range(9):
        await script.send(TICKER, ticker(2000 + n, bid=f"10{n}.1"))
        await script.send(BOOK, book(2000 + n))
        await asyncio.sleep(0.2)
    assert events.of(BookStale) == []


async def test_a_refused_subscription_is_asked_for_again_and_never_taken_as_whole(
    start: Start, script: Script, events: Collected, venue: FakeVenue
) -> None:
    answers = iter([Error(3000), SILENT])

    def answer(stream: str, selectors: list[str]) -> Any:
        return next(answers, subscribed(stream, selectors)) if stream == BOOK else subscribed(stream, selectors)

    venue.subscribe_answer = answer
    await start()
    await events.first(BookSnapshot, timeout_s=10)
    assert len(script.subscriptions(BOOK)) == 3


async def test_a_subscription_without_its_snapshot_is_asked_for_again(
    start: Start, script: Script, events: Collected
) -> None:
    script.mute = {BOOK}
    await start()
    await events.first(Ticker)
    await until(lambda: len(script.subscriptions(BOOK)) >= 2)
    assert events.of(BookSnapshot) == []
    script.mute = set()
    await events.first(BookSnapshot, timeout_s=10)


async def test_a_frame_that_does_not_fit_the_tick_makes_the_list_be_read_again(
    start: Start, script: Script, events: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perpmaker.venues.grvt.feed.RELIST_PAUSE_S", 0.1)
    await start(instruments_every_s=3600)
    await live(events)
    script.rows = [row(tick_size="0.05"), row(ETH)]
    await script.send(BOOK, book(2000, [("100.05", "1.0")]))
    changed = await events.first(InstrumentListed)
    assert changed.instrument.tick == Decimal("0.05")
    await events.first(BookSnapshot, lambda e: e.bids == ((2000, 1000),))


async def test_a_side_stream_that_cannot_be_made_whole_leaves_the_book_alone(
    start: Start, script: Script, events: Collected, venue: FakeVenue
) -> None:
    venue.subscribe_answer = lambda stream, selectors: SILENT if stream == TRADE else subscribed(stream, selectors)
    feed = await start(stale_s=60)
    await live(events)
    await until(lambda: len(script.subscriptions(TRADE)) >= 3, timeout_s=15)
    assert events.of(BookStale) == []
    assert feed.counters().connects == 1


async def test_a_candle_before_the_first_trade_is_no_bar_and_no_fault(
    start: Start, script: Script, events: Collected
) -> None:
    await start(Subscription(BTC, bar_s=60))
    await live(events)
    empty = candle(MINUTE_NS) | dict.fromkeys(("open", "high", "low", "close", "volume_b"), "0.0") | {"trades": 0}
    for n in range(6):
        await script.send(CANDLE, empty | {"open_time": str(n * MINUTE_NS)})
    await script.send(CANDLE, candle(8 * MINUTE_NS))
    await script.send(CANDLE, candle(9 * MINUTE_NS))
    assert (await events.first(Bar)).open_ns == 8 * MINUTE_NS
    assert script.subscriptions(CANDLE) == [f"{BTC}@CI_1_M-TRADE"]


async def test_trades_are_delivered_once_and_replayed_ones_are_marked(
    start: Start, script: Script, events: Collected, venue: FakeVenue
) -> None:
    await start()
    await live(events)
    selector = f"{BTC}@50"
    for trade_id in ("1-1", "1-2"):
        await venue.sockets[-1].feed(TRADE, selector, 0, trade(1000, trade_id))
    await script.send(TRADE, trade(2000, "2-1", is_taker_buyer=False))
    await script.send(TRADE, trade(2001, "2-2"), skip=3)  # a gap: asked for again, the venue replays
    await until(lambda: len(script.subscriptions(TRADE)) >= 2)
    for trade_id in ("1-2", "2-1", "2-2"):
        await venue.sockets[-1].feed(TRADE, selector, 0, trade(2000, trade_id))
    got = await events.some(Trade, 4)
    assert [(t.trade_id, t.replayed) for t in got] == [("1-1", True), ("1-2", True), ("2-1", False), ("2-2", True)]
    assert (got[2].aggressor, got[2].px_ticks, got[2].qty_lots) == (Side.SELL, 1001, 500)


async def test_negotiated_trades_say_nothing_about_the_book(start: Start, script: Script, events: Collected) -> None:
    await start()
    await live(events)
    await script.send(TRADE, trade(2000, "1-1", venue="RFQ"))
    await script.send(TRADE, trade(2001, "1-2"))
    await events.first(Trade)
    assert [t.trade_id for t in events.of(Trade)] == ["1-2"]


async def test_a_ticker_carries_mark_index_and_funding_as_a_fraction(start: Start, events: Collected) -> None:
    await start()
    got = await events.first(Ticker)
    assert (got.mark_px, got.index_px, got.last_px) == (Decimal("100.05"), Decimal("100.01"), Decimal("100.1"))
    assert (got.funding_rate, got.next_funding_ns) == (Decimal("0.0001"), 9)


async def test_bars_come_warm_first_then_finished_ones(
    start: Start, script: Script, events: Collected, venue: FakeVenue, clock: WallClock
) -> None:
    now = clock.now_ns() // MINUTE_NS * MINUTE_NS
    past = [candle(now - n * MINUTE_NS) for n in range(4)]
    venue.rpc["v1/kline"] = lambda body: (
        {"result": past[:2], "next": "more"} if not body["cursor"] else {"result": past[2:], "next": ""}
    )
    await start(Subscription(BTC, bar_s=60), warm_bars=3)
    warm = await events.some(Bar, 3)
    assert [b.open_ns for b in warm] == [now - 3 * MINUTE_NS, now - 2 * MINUTE_NS, now - MINUTE_NS]
    assert (warm[0].open, warm[0].high, warm[0].volume, warm[0].trades) == (100.0, 102.0, 3.5, 7)
    asked = venue.asked("v1/kline")[0]
    assert (asked["interval"], asked["type"]) == ("CI_1_M", "TRADE")
    await script.send(CANDLE, candle(now, "101.5"))
    await script.send(CANDLE, candle(now + MINUTE_NS))
    last = (await events.some(Bar, 4))[-1]
    assert (last.open_ns, last.close) == (now, 101.5)


async def test_bars_go_on_when_the_past_cannot_be_read(
    start: Start, script: Script, events: Collected, venue: FakeVenue
) -> None:
    venue.rpc["v1/kline"] = lambda body: Error(1002, 500)
    await start(Subscription(BTC, bar_s=60))
    await live(events)
    await script.send(CANDLE, candle(MINUTE_NS))
    await script.send(CANDLE, candle(2 * MINUTE_NS))
    assert (await events.first(Bar, timeout_s=15)).open_ns == MINUTE_NS


async def test_instruments_are_announced_once_and_then_only_when_something_changed(
    start: Start, script: Script, events: Collected
) -> None:
    feed = await start(instruments_every_s=0.1)
    await events.some(InstrumentListed, 2)
    assert {e.instrument.symbol for e in events.of(InstrumentListed)} == {BTC, ETH}
    assert set(feed.listed) == {BTC, ETH}
    await live(events)
    script.rows = [row(), row("SOL_USDT_Perp", tick_size="0.01")]
    await events.first(InstrumentDelisted)
    assert [e.instrument.symbol for e in events.of(InstrumentListed)] == ["SOL_USDT_Perp"]
    assert [e.instrument for e in events.of(InstrumentDelisted)] == [ETH]


async def test_a_changed_tick_makes_the_book_stale_before_it_is_announced(
    start: Start, script: Script, events: Collected
) -> None:
    await start(instruments_every_s=0.1)
    await live(events)
    script.rows = [row(tick_size="0.2"), row(ETH)]
    snapshot = await events.first(BookSnapshot)
    assert snapshot.bids == ((500, 1000),)
    kinds = [k for k in events.kinds() if k in {"BookStale", "InstrumentListed", "BookSnapshot"}]
    assert kinds == ["BookStale", "InstrumentListed", "BookSnapshot"]


@pytest.mark.parametrize("rows", [[], [row(tick_size="NaN")], [row(kind="CALL")]])
async def test_a_list_without_a_usable_perpetual_changes_nothing(
    start: Start, script: Script, events: Collected, rows: list[Json]
) -> None:
    feed = await start(instruments_every_s=0.05)
    await live(events)
    script.rows = rows
    before = len(script.venue.asked("v1/instruments"))
    await until(lambda: len(script.venue.asked("v1/instruments")) >= before + 2)
    assert set(feed.listed) == {BTC, ETH}
    assert events.of(InstrumentDelisted) == []
    with pytest.raises(DataError):
        await feed.instruments()


async def test_one_broken_row_hides_nothing_else(start: Start, script: Script, events: Collected) -> None:
    feed = await start(instruments_every_s=0.05)
    await live(events)
    script.rows = [row(), row(ETH, min_size="-1"), row("SOL_USDT_Perp")]
    await events.first(InstrumentListed, lambda e: e.instrument.symbol == "SOL_USDT_Perp")
    assert set(feed.listed) == {BTC, ETH, "SOL_USDT_Perp"}


async def test_the_venues_clock_is_watched(start: Start, events: Collected, venue: FakeVenue) -> None:
    began_ns = WallClock().now_ns()
    venue.server_time_ms = began_ns // NS_PER_MS + 3000  # where it stands still
    await start(clock_every_s=0.05)
    offsets = await events.some(ClockOffset, 2)
    passed_s = (WallClock().now_ns() - began_ns) / NS_PER_S
    assert all(2.9 - passed_s < o.offset_ns / NS_PER_S < 3.1 for o in offsets)


async def test_funding_history_is_read_oldest_first_as_fractions(start: Start, venue: FakeVenue) -> None:
    rates = [
        {
            "instrument": BTC,
            "funding_rate": rate,
            "funding_time": str(at),
            "mark_price": "1",
            "funding_interval_hours": 8,
        }
        for rate, at in (("-0.0034", 2), ("0.01", 1))
    ]
    venue.rpc["v1/funding"] = lambda body: {"result": rates, "next": ""}
    feed = await start()
    assert [r.rate for r in await feed.funding_rates(BTC, 0)] == [Decimal("0.0001"), Decimal("-0.000034")]


async def test_a_job_that_dies_takes_the_channel_down(
    start: Start, events: Collected, venue: FakeVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perpmaker.venues.grvt.market.Market.silence", lambda *_: 1 / 0)
    await start()
    down = await events.first(Connectivity, lambda c: not c.up)
    assert "ZeroDivisionError" in down.reason


async def test_reading_the_list_of_a_venue_that_is_down_raises(start: Start, venue: FakeVenue) -> None:
    feed = await start()
    await venue.stop()
    with pytest.raises(VenueUnavailable):
        await feed.instruments()


async def test_impossible_wishes_are_refused(start: Start) -> None:
    feed = await start()
    with pytest.raises(ConfigError, match="candle length"):
        feed.subscribe(Subscription(BTC, bar_s=61))
    with pytest.raises(ConfigError):
        await start(stale_s=0)
    with pytest.raises(ConfigError, match="started"):
        await feed.start(lambda e: None)
