"""Books, trades and heartbeats of a scripted Backpack: whole or stale, a quiet market told from a mute stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from tests.unit.venues.grvt.collected import Collected, until

from perpmaker.clock import WallClock
from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    ClockOffset,
    Connectivity,
    ConversionRate,
    InstrumentListed,
    StaleReason,
    Ticker,
    Trade,
)
from perpmaker.venues.api import Subscription
from perpmaker.venues.ccxt import framed
from perpmaker.venues.ccxt.feed import CcxtFeed, FeedOptions

from .bench import ETH, QUIRKS, urls_of
from .fake_backpack import FakeBackpack, running

TOPIC = "depth.ETH_USDC_PERP"


class Running:
    def __init__(self, fake: FakeBackpack, feed: CcxtFeed) -> None:
        self.fake, self.feed, self.events = fake, feed, Collected()


@pytest.fixture
async def at_work() -> AsyncIterator[Running]:
    async with running() as fake:
        options = FeedOptions(convert=("USDC", "USDT"))
        made = Running(fake, CcxtFeed(quirks=QUIRKS, clock=WallClock(), seed=1, urls=urls_of(fake), options=options))
        made.feed.subscribe(Subscription(ETH))
        await made.feed.start(made.events)
        try:
            await fake.until_subscribed(TOPIC)
            await made.events.first(Connectivity, lambda c: c.up)
            await fake.depth(100, 101, [["3000.00", "1"]], [])
            await made.events.first(BookDelta)
            yield made
        finally:
            await made.feed.stop()


async def test_a_book_begins_with_the_first_change_not_the_tenth(at_work: Running) -> None:
    snapshot, delta = at_work.events.of(BookSnapshot)[0], at_work.events.of(BookDelta)[0]
    assert snapshot.bids == ((300000, 15000), (299900, 20000))
    assert delta.bids == ((300000, 10000),)
    listed = at_work.events.of(InstrumentListed)
    assert [one.instrument.instrument_id for one in listed] == [ETH]
    assert listed[0].instrument.tick == Decimal("0.01")


async def test_a_gap_is_stale_until_a_whole_book_came(at_work: Running) -> None:
    at_work.events.forget()
    at_work.fake.last_update_id = 104
    await at_work.fake.depth(104, 104, [["2999.00", "0"]], [])
    assert (await at_work.events.first(BookStale)).reason is StaleReason.GAP
    await at_work.events.first(BookSnapshot)
    assert at_work.events.kinds()[:2] == ["BookStale", "BookSnapshot"]


async def test_a_number_that_is_none_is_stale_and_the_stream_is_asked_for_anew(at_work: Running) -> None:
    at_work.events.forget()
    await at_work.fake.depth(102, 102, [["NaN", "1"]], [])
    assert (await at_work.events.first(BookStale)).reason is StaleReason.BAD_FRAME
    await at_work.fake.until_subscribed(TOPIC, times=2)
    at_work.fake.last_update_id = 102
    await at_work.fake.depth(103, 103, [], [["3000.03", "1"]])
    await at_work.events.first(BookDelta)


async def test_a_quiet_book_stays_and_a_mute_one_is_stale(at_work: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framed, "QUIET_S", 0.1)
    monkeypatch.setattr(framed, "CATCH_UP_S", 0.1)
    at_work.fake.last_update_id = 101
    asked = len(at_work.fake.of("GET", "/api/v1/depth"))
    await until(lambda: len(at_work.fake.of("GET", "/api/v1/depth")) >= asked + 3)
    assert at_work.events.of(BookStale) == []
    at_work.fake.last_update_id = 110
    assert (await at_work.events.first(BookStale)).reason is StaleReason.SILENT


async def test_a_trade_comes_once_and_a_mark_with_the_last_price(at_work: Running) -> None:
    trade = {
        "e": "trade",
        "T": 1_700_000_000_000_000,
        "s": "ETH_USDC_PERP",
        "t": 7,
        "p": "3000.02",
        "q": "1",
        "m": False,
    }
    for _ in range(2):
        await at_work.fake.push("trade.ETH_USDC_PERP", trade)
    await at_work.fake.push("ticker.ETH_USDC_PERP", {"e": "ticker", "s": "ETH_USDC_PERP", "c": "3000.02"})
    await at_work.fake.push(
        "markPrice.ETH_USDC_PERP", {"e": "markPrice", "s": "ETH_USDC_PERP", "p": "3000.5", "f": "0.0001"}
    )
    ticker = await at_work.events.first(Ticker)
    assert (ticker.mark_px, ticker.last_px) == (Decimal("3000.5"), Decimal("3000.02"))
    assert [one.trade_id for one in at_work.events.of(Trade)] == ["7"]


async def test_a_cut_is_stale_and_down_and_comes_back(at_work: Running) -> None:
    at_work.events.forget()
    await at_work.fake.cut()
    assert (await at_work.events.first(BookStale)).reason is StaleReason.DISCONNECTED
    await at_work.events.first(Connectivity, lambda c: c.up, timeout_s=10)


async def test_the_venues_clock_and_the_worth_of_its_currency_are_read(at_work: Running) -> None:
    offset = await at_work.events.first(ClockOffset)
    assert offset.offset_ns < -1_000_000_000  # the fake lives in 2023
    rate = await at_work.events.first(ConversionRate)
    assert (rate.source, rate.target, rate.told_by) == ("USDC", "USDT", "backpack USDT/USDC")
    assert rate.rate == 1 / Decimal("0.9995")
