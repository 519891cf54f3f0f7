"""One look at the public book: what is usable, what is waited for, what is said when nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.unit.execution.algos.workbench import ETH, RULES, thin_levels

from perpmaker.clock import ManualClock
from perpmaker.engine import booklook
from perpmaker.engine.booklook import Market, look
from perpmaker.errors import ConfigError, VenueUnavailable
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.events import BookSnapshot, Channel, Connectivity, Event
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.venues.api import Subscription

MARKET = Market("grvt", "local", None)
NOW_NS = 1_700_000_000_000_000_000
BIDS, ASKS = thin_levels()
UP, DOWN = (Connectivity("grvt", Channel.MARKET_DATA, up, "test", NOW_NS) for up in (True, False))
WHOLE = BookSnapshot(ETH, BIDS, ASKS, NOW_NS, NOW_NS)


class Feed:
    """Tells what a test says as soon as it is started, or when a test lets it."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.subscribed: list[InstrumentId] = []
        self.stopped = False
        self.started = asyncio.Event()
        self.tell: Callable[[Event], object] = lambda event: None

    async def instruments(self) -> Sequence[Instrument]:
        return (RULES,)

    def subscribe(self, subscription: Subscription) -> None:
        self.subscribed.append(subscription.instrument)

    async def start(self, sink: Callable[[Event], object]) -> None:
        self.tell = sink
        for event in self.events:
            sink(event)
        self.started.set()

    async def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Feed]:
    def feed_of(*events: Event) -> Feed:
        feed = Feed(events)

        @asynccontextmanager
        async def opened(market: Market, clock: object) -> AsyncIterator[Feed]:
            yield feed

        monkeypatch.setattr(booklook, "_feed", opened)
        return feed

    return feed_of


def looked(instrument: str = ETH) -> OrderBook:
    return asyncio.run(look(MARKET, InstrumentId(instrument), ManualClock(NOW_NS)))


def test_the_first_whole_book_is_returned_and_the_feed_ended(fed: Callable[..., Feed]) -> None:
    feed = fed(UP, WHOLE)
    book = looked()
    assert tuple(book.levels(Side.SELL, 3)) == ASKS[:3]
    assert (feed.subscribed, feed.stopped) == ([ETH], True)


def test_the_book_is_a_copy_that_later_changes_do_not_reach(fed: Callable[..., Feed]) -> None:
    feed = fed(UP, WHOLE)
    book = looked()
    moved_bids, moved_asks = thin_levels(ask=270_000)
    feed.tell(BookSnapshot(ETH, moved_bids, moved_asks, NOW_NS, NOW_NS))
    assert tuple(book.levels(Side.SELL, 1)) == ASKS[:1]


def test_a_socket_lost_while_the_plan_is_made_is_waited_for(fed: Callable[..., Feed]) -> None:
    feed = fed(UP, DOWN)

    async def later() -> OrderBook:
        asking = asyncio.ensure_future(look(MARKET, ETH, ManualClock(NOW_NS)))
        await feed.started.wait()
        assert not asking.done()
        feed.tell(UP)
        feed.tell(WHOLE)
        return await asking

    assert tuple(asyncio.run(later()).levels(Side.SELL, 1)) == ASKS[:1]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((UP, BookSnapshot(ETH, BIDS, (), NOW_NS, NOW_NS)), "is empty after"),
        ((UP,), "is starting after"),
        ((UP, BookSnapshot(ETH, ASKS, BIDS, NOW_NS, NOW_NS)), "is crossed after"),
    ],
    ids=["an empty side", "no book", "crossed"],
)
def test_a_book_that_must_not_be_traded_on_is_no_plan_and_says_why(
    events: tuple[Event, ...], said: str, fed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booklook, "PATIENCE_S", 0.01)
    feed = fed(*events)
    with pytest.raises(VenueUnavailable, match=said) as caught:
        looked()
    assert caught.value.exit_code == 5
    assert feed.stopped


def test_an_unknown_instrument_is_told_with_what_sounds_alike(fed: Callable[..., Feed]) -> None:
    feed = fed(UP, WHOLE)
    with pytest.raises(ConfigError, match="did you mean ETH_USDT_Perp"):
        looked("ETHUSDT_Perp")
    assert feed.stopped


def test_a_venue_that_cannot_be_reached_at_once_is_tried_again_for_a_while(
    fed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, tries = fed(UP, WHOLE), [VenueUnavailable("slow"), VenueUnavailable("slow"), None]

    async def instruments() -> Sequence[Instrument]:
        trouble = tries.pop(0)
        if trouble is not None:
            raise trouble
        return (RULES,)

    monkeypatch.setattr(feed, "instruments", instruments)
    monkeypatch.setattr(booklook, "AGAIN_S", 0.0)
    assert looked().instrument == RULES
    monkeypatch.setattr(booklook, "LISTING_PATIENCE_S", 0.0)
    tries.append(VenueUnavailable("gone"))
    with pytest.raises(VenueUnavailable, match="gone"):
        looked()
