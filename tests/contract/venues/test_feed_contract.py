"""What every MarketFeed keeps: whole books or stale ones, in this step; each trade once; a heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.venues.grvt.collected import Collected

from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    Channel,
    ClockOffset,
    Connectivity,
    InstrumentListed,
    StaleReason,
    Ticker,
    Trade,
)
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import MarketFeed, Subscription

from .adapters import Adapter, Fault, Session


class Running:
    def __init__(self, feed: MarketFeed, events: Collected) -> None:
        self.feed = feed
        self.events = events


@pytest.fixture
async def running(adapter: Adapter, session: Session) -> AsyncIterator[Running]:
    feed, events = session.feed(), Collected()
    feed.subscribe(Subscription(adapter.instrument))
    await feed.start(events)
    await events.first(BookSnapshot)
    yield Running(feed, events)
    await feed.stop()


def book_story(events: Collected) -> list[BookSnapshot | BookDelta | BookStale]:
    return [e for e in events.events if isinstance(e, BookSnapshot | BookDelta | BookStale)]


def rebuilt(events: Collected) -> tuple[dict[int, int], dict[int, int]]:
    """Replay snapshot and changes; a change after stale and before a new snapshot is a breach."""
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    whole = False
    for event in book_story(events):
        if isinstance(event, BookStale):
            whole = False
            continue
        if isinstance(event, BookSnapshot):
            bids.clear()
            asks.clear()
            whole = True
        assert whole
        for side, levels in ((bids, event.bids), (asks, event.asks)):
            for ticks, lots in levels:
                side[ticks] = lots
                if lots == 0:
                    del side[ticks]
        assert max(bids) < min(asks)
    return bids, asks


async def test_the_instruments_are_announced_with_rules_one_can_trade_by(adapter: Adapter, running: Running) -> None:
    listed = await running.events.first(InstrumentListed, lambda e: e.instrument.instrument_id == adapter.instrument)
    found = listed.instrument
    assert found.tick > 0
    assert found.lot > 0
    assert found.min_qty >= found.lot
    assert found.min_notional >= 0
    assert found.base
    assert found.quote
    assert listed.instrument in await running.feed.instruments()


async def test_the_book_is_a_snapshot_then_changes_and_never_crosses(running: Running) -> None:
    await running.events.some(BookDelta, 40)
    story = book_story(running.events)
    assert isinstance(story[0], BookSnapshot)
    assert not any(isinstance(event, BookStale) for event in story)
    bids, asks = rebuilt(running.events)
    assert len(bids) > 3
    assert len(asks) > 3
    times = [event.ts_event_ns for event in story if isinstance(event, BookDelta)]
    assert times == sorted(times)


def up_to(events: Collected, at_ns: int) -> Collected:
    """The book's story until a venue time."""
    cut = Collected()
    cut.events = [e for e in book_story(events) if isinstance(e, BookStale) or e.ts_event_ns <= at_ns]
    return cut


async def test_two_feeds_that_began_apart_have_built_the_same_book(
    adapter: Adapter, running: Running, session: Session
) -> None:
    await running.events.some(BookDelta, 20)
    second, fresh = session.feed(), Collected()
    second.subscribe(Subscription(adapter.instrument, trades=False, ticker=False))
    await second.start(fresh)
    try:
        await fresh.some(BookDelta, 20)
    finally:
        await second.stop()
    both = {e.ts_event_ns for e in running.events.of(BookDelta)} & {e.ts_event_ns for e in fresh.of(BookDelta)}
    assert both
    for at_ns in sorted(both)[-5:]:
        assert rebuilt(up_to(running.events, at_ns)) == rebuilt(up_to(fresh, at_ns))


async def test_trades_come_once_with_their_aggressor(running: Running) -> None:
    trades = await running.events.some(Trade, 20)
    ids = [trade.trade_id for trade in running.events.of(Trade)]
    assert len(ids) == len(set(ids))
    assert all(trade.px_ticks > 0 and trade.qty_lots > 0 for trade in trades)
    live = await running.events.first(Trade, lambda t: not t.replayed)
    assert live.ts_event_ns <= live.ts_recv_ns + NS_PER_S


async def test_the_ticker_is_a_heartbeat_with_a_mark(running: Running) -> None:
    first, second, third, fourth = await running.events.some(Ticker, 4)
    pauses_ns = third.ts_recv_ns - second.ts_recv_ns, fourth.ts_recv_ns - third.ts_recv_ns
    assert min(pauses_ns) < 1.5 * NS_PER_S  # a busy machine may lengthen one
    assert first.mark_px is not None
    assert first.mark_px > 0
    assert first.funding_rate is None or abs(first.funding_rate) < 1


async def test_the_venues_clock_is_measured(running: Running) -> None:
    offset = await running.events.first(ClockOffset)
    assert abs(offset.offset_ns) < NS_PER_S  # the same machine


async def test_after_the_stop_nothing_comes(running: Running) -> None:
    await running.feed.stop()
    running.events.forget()
    await asyncio.sleep(0.3)
    assert running.events.events == []


async def test_an_unlisted_instrument_is_silence_not_an_error(session: Session) -> None:
    feed, events = session.feed(), Collected()
    feed.subscribe(Subscription("NOTHING_USDT_Perp"))  # type: ignore[arg-type]
    await feed.start(events)
    try:
        await events.first(Connectivity, lambda c: c.channel is Channel.MARKET_DATA and c.up)
        await events.first(InstrumentListed)
        assert events.of(BookSnapshot) == []
    finally:
        await feed.stop()


@pytest.mark.parametrize(
    ("fault", "reason"), [(Fault.BOOK_GAP, StaleReason.GAP), (Fault.BOOK_NAN, StaleReason.BAD_FRAME)]
)
async def test_a_broken_frame_is_stale_before_anything_else_is_said_of_the_book(
    running: Running, session: Session, fault: Fault, reason: StaleReason
) -> None:
    running.events.forget()
    await session.inject(fault)
    stale = await running.events.first(BookStale)
    assert stale.reason is reason
    await running.events.first(BookSnapshot)
    after = book_story(running.events)[book_story(running.events).index(stale) + 1 :]
    assert isinstance(after[0], BookSnapshot)
    await running.events.some(BookDelta, 3, lambda e: e.ts_recv_ns > after[0].ts_recv_ns)


@pytest.mark.parametrize("fault", [Fault.BOOK_MUTE, Fault.ALL_MUTE])
async def test_a_mute_book_is_stale_in_time_and_whole_after_the_fault(
    running: Running, session: Session, fault: Fault
) -> None:
    await session.inject(fault)
    running.events.forget()
    began = asyncio.get_running_loop().time()
    stale = await running.events.first(BookStale)
    assert stale.reason is StaleReason.SILENT
    assert asyncio.get_running_loop().time() - began < 4.0  # 2 s, and a busy machine
    await session.clear_faults()
    await running.events.first(BookSnapshot)


async def test_cut_links_are_stale_and_down_and_come_back_within_15_s(running: Running, session: Session) -> None:
    running.events.forget()
    await session.inject(Fault.CUT_EVERYTHING)
    assert (await running.events.first(BookStale)).reason is StaleReason.DISCONNECTED
    await running.events.first(Connectivity, lambda c: not c.up)
    await running.events.first(BookSnapshot)
    await running.events.first(Connectivity, lambda c: c.up)
    rebuilt_from = next(i for i, e in enumerate(running.events.events) if isinstance(e, BookStale))
    running.events.events = running.events.events[rebuilt_from:]
    await running.events.some(BookDelta, 5)
    rebuilt(running.events)
