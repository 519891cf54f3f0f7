"""Every instrument's book, judged: what is published is whole, uncrossed, not empty and fresh, or is marked stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from perpmaker.marketdata.book import BookWithout, OrderBook, OwnLevels
from perpmaker.marketdata.prices import Prices
from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    Channel,
    ClockOffset,
    Connectivity,
    Event,
    InstrumentDelisted,
    InstrumentListed,
    StaleReason,
    Ticker,
    Trade,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S

MAX_AGE_NS: Final = 2 * NS_PER_S
MAX_LAG_NS: Final = 2 * NS_PER_S


class Transition(msgspec.Struct, frozen=True):
    """A book became usable (`reason` None) or stale, or is stale for another reason now."""

    instrument: InstrumentId
    reason: StaleReason | None
    ts_ns: int


_NO_TRANSITION: Final[tuple[Transition, ...]] = ()


class Books:
    """Keeps the books and prices of all instruments and says which may be traded on.

    A book is usable when its feed vouches for it (snapshot, then every delta), both sides have levels and do not cross,
    the last book frame was at most `max_lag_ns` old on arrival by the venue's clock, and some frame of the instrument,
    ticker and trades included, came within `max_age_ns`. A frame that is itself too old on arrival proves nothing.

    A cross or an empty side heals with the frame that ends it; a gap, a bad frame or a lost link only with a snapshot.
    """

    def __init__(
        self, instruments: Iterable[Instrument] = (), *, max_age_ns: int = MAX_AGE_NS, max_lag_ns: int = MAX_LAG_NS
    ) -> None:
        self._max_age_ns = max_age_ns
        self._max_lag_ns = max_lag_ns
        self._feeds: dict[InstrumentId, BookFeed] = {i.instrument_id: BookFeed(i) for i in instruments}
        self._offset_ns: dict[str, int] = {}
        """Venue time minus ours, by exchange."""
        self.stale_counts: dict[InstrumentId, Counter[StaleReason]] = {}
        """How often each instrument went stale, by reason."""

    def apply(self, event: Event) -> Sequence[Transition]:
        """Take in market data, InstrumentListed and Delisted, Connectivity of MARKET_DATA, ClockOffset; ignore the rest.

        Returns what changed about usability; most often nothing.
        """
        # events are of these very types, and `isinstance` takes up to 0.35 us to deny it of a Struct
        if type(event) is BookDelta:
            feed = self._feeds.get(event.instrument)
            if feed is None or not feed.whole:
                return _NO_TRANSITION
            book = feed.book
            now_ns = event.ts_recv_ns
            if not book.apply(event.bids, event.asks, event.ts_event_ns, now_ns):
                feed.lose(StaleReason.BAD_FRAME)
            elif now_ns + feed.offset_ns - event.ts_event_ns > self._max_lag_ns:
                feed.old = True
            elif 0 < book.bid_ticks < book.ask_ticks and feed.told is None and not feed.old:
                feed.seen_ns = now_ns  # by far the most frequent way through: usable before, usable after
                return _NO_TRANSITION
            else:
                feed.fault, feed.old, feed.seen_ns = book.fault(), False, now_ns
            return self._judged(feed, now_ns)
        if type(event) is Trade or type(event) is Ticker or type(event) is BookSnapshot:
            feed = self._feeds.get(event.instrument)
            if feed is None:
                return _NO_TRANSITION
            self._take(feed, event)
            return self._judged(feed, event.ts_recv_ns)
        return self._apply_rare(event)

    def _take(self, feed: BookFeed, event: BookSnapshot | Ticker | Trade) -> None:
        too_old = event.ts_recv_ns + feed.offset_ns - event.ts_event_ns > self._max_lag_ns
        if type(event) is BookSnapshot:
            if feed.book.snapshot(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns):
                feed.whole, feed.fault, feed.old = True, feed.book.fault(), too_old
            else:
                feed.lose(StaleReason.BAD_FRAME)
        elif type(event) is Ticker:
            if not too_old:
                feed.prices.update(event)
        elif type(event) is Trade and event.replayed:
            return
        if not too_old:
            feed.seen_ns = event.ts_recv_ns

    def _apply_rare(self, event: Event) -> Sequence[Transition]:
        if isinstance(event, BookStale):
            feed = self._feeds.get(event.instrument)
            if feed is None:
                return _NO_TRANSITION
            feed.lose(event.reason)
            return self._judged(feed, event.ts_recv_ns)
        if isinstance(event, ClockOffset):
            self._offset_ns[event.exchange] = event.offset_ns
            for feed in self._of_exchange(event.exchange):
                feed.offset_ns = event.offset_ns
        elif isinstance(event, Connectivity):
            if event.channel is Channel.MARKET_DATA and not event.up:
                for feed in self._of_exchange(event.name):
                    feed.lose(StaleReason.DISCONNECTED)
                return self.advance(event.ts_recv_ns)
        elif isinstance(event, InstrumentListed):
            return self._list(event)
        elif isinstance(event, InstrumentDelisted):
            return self._delist(event)
        return _NO_TRANSITION

    def _of_exchange(self, exchange: str) -> list[BookFeed]:
        return [feed for feed in self._feeds.values() if feed.book.instrument.exchange == exchange]

    def _list(self, event: InstrumentListed) -> Sequence[Transition]:
        """A new tick or lot makes the old levels meaningless; other rules change in place."""
        new = event.instrument
        feed = self._feeds.get(new.instrument_id)
        if feed is None:
            feed = self._feeds[new.instrument_id] = BookFeed(new)
            feed.offset_ns = self._offset_ns.get(new.exchange, 0)
            return _NO_TRANSITION
        old = feed.book.instrument
        if (old.tick, old.lot) == (new.tick, new.lot):
            feed.book.instrument = new
            return _NO_TRANSITION
        feed.book = OrderBook(new)
        feed.lose(StaleReason.STARTING)
        return self._judged(feed, event.ts_recv_ns)

    def _delist(self, event: InstrumentDelisted) -> Sequence[Transition]:
        feed = self._feeds.pop(event.instrument, None)
        if feed is None:
            return _NO_TRANSITION
        feed.lose(StaleReason.DISCONNECTED)
        return self._judged(feed, event.ts_recv_ns)

    def _judged(self, feed: BookFeed, now_ns: int) -> Sequence[Transition]:
        reason = feed.reason(now_ns, self._max_age_ns)
        if reason is feed.told:
            return _NO_TRANSITION
        feed.told = reason
        instrument = feed.book.instrument.instrument_id
        if reason is not None:
            self.stale_counts.setdefault(instrument, Counter())[reason] += 1
        return (Transition(instrument, reason, now_ns),)

    def advance(self, now_ns: int) -> Sequence[Transition]:
        """Judge silence: returns the books whose usability changed because time passed."""
        return [transition for feed in self._feeds.values() for transition in self._judged(feed, now_ns)]

    @property
    def next_silence_ns(self) -> int:
        """The earliest time at which a usable book goes silent if nothing comes; 0 when no book is usable."""
        seen = [feed.seen_ns for feed in self._feeds.values() if feed.told is None]
        return min(seen) + self._max_age_ns + 1 if seen else 0

    def stale_reason(self, instrument: InstrumentId, now_ns: int) -> StaleReason | None:
        """Return why the book must not be traded on now, None when it may. Unknown instruments are STARTING."""
        feed = self._feeds.get(instrument)
        return StaleReason.STARTING if feed is None else feed.reason(now_ns, self._max_age_ns)

    def book(self, instrument: InstrumentId, now_ns: int) -> OrderBook | None:
        """Return the book with our own orders in it, or None unless usable."""
        feed = self._feeds.get(instrument)
        if feed is None or feed.reason(now_ns, self._max_age_ns) is not None:
            return None
        return feed.book

    def view_without(self, instrument: InstrumentId, own: OwnLevels, now_ns: int) -> BookWithout | None:
        """Return the book less our own orders, or None unless usable and others' orders are left on both sides."""
        book = self.book(instrument, now_ns)
        return None if book is None else book.without(own)

    def age_ns(self, instrument: InstrumentId, now_ns: int) -> int | None:
        """Return the time since the last frame of the instrument, None before the first."""
        feed = self._feeds.get(instrument)
        return None if feed is None or not feed.seen_ns else max(0, now_ns - feed.seen_ns)

    def prices(self, instrument: InstrumentId) -> Prices | None:
        """Return mark, index and funding as last stated; None for an unknown instrument."""
        feed = self._feeds.get(instrument)
        return None if feed is None else feed.prices

    def feed(self, instrument: InstrumentId) -> BookFeed | None:
        """Return what is kept of an instrument, None for one that is not listed."""
        return self._feeds.get(instrument)

    def instrument(self, instrument: InstrumentId) -> Instrument | None:
        """Return the instrument's rules as the venue lists them now."""
        feed = self._feeds.get(instrument)
        return None if feed is None else feed.book.instrument


class BookFeed:
    """One instrument: its book, its prices, and what is known against them. `Books` alone changes it, but for `book`:

    who plays market data by other means may put a book of the same levels in its place.
    """

    __slots__ = ("book", "broken", "fault", "offset_ns", "old", "prices", "seen_ns", "told", "whole")

    def __init__(self, instrument: Instrument) -> None:
        self.book = OrderBook(instrument)
        self.prices = Prices()
        self.whole = False
        self.broken = StaleReason.STARTING
        """Why it is not whole."""
        self.fault: StaleReason | None = None
        self.old = False
        self.seen_ns = 0
        self.offset_ns = 0
        self.told: StaleReason | None = StaleReason.STARTING
        """The last reason that `Books` reported."""

    @property
    def is_open(self) -> bool:
        """Whether the next change in time leaves it usable, as far as it is known now."""
        return self.whole and self.told is None and self.fault is None and not self.old

    def lose(self, reason: StaleReason) -> None:
        self.whole, self.broken = False, reason
        self.book.clear()

    def reason(self, now_ns: int, max_age_ns: int) -> StaleReason | None:
        if not self.whole:
            return self.broken
        if self.fault is not None:
            return self.fault
        if self.old:
            return StaleReason.OLD
        return StaleReason.SILENT if now_ns - self.seen_ns > max_age_ns else None
