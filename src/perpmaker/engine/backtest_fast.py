"""Plays a tape through a backtest, by the compiled fast path wherever nothing listens (`simulation.fast`).

What it plays is the same to the last bit as event by event: each time something can happen, Python's own code takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from perpmaker.engine.backtest_feed import Played, TapeFeed
from perpmaker.engine.core import Engine
from perpmaker.engine.core.slot import Slot
from perpmaker.errors import InvariantError
from perpmaker.model.events import Event
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_MS
from perpmaker.portfolio.attribution import Leg
from perpmaker.simulation import Timeline
from perpmaker.simulation.fast import layout as at
from perpmaker.simulation.fast.levels import ShelfBook
from perpmaker.simulation.fast.mids import TrackedMids
from perpmaker.simulation.fast.track import Track
from perpmaker.tape.columns import Columns

JUDGED_EVERY: Final = 2_000
WORTH: Final = 2
"""Every so many stops it is judged whether compiled code took at least so many messages from one to the next; where it did
not, stopping costs more than it saves, and the rest is played event by event."""


class FastPlay:
    """One pass over a tape, from where the timeline stands. It gives up for good where that is faster."""

    def __init__(self, engine: Engine, timeline: Timeline, feed: TapeFeed, played: Played) -> None:
        self._engine = engine
        self._timeline = timeline
        self._feed = feed
        self._names = list(played.instruments)
        self._track = Track(timeline, feed.names, played.instruments)
        self._track.attach()
        self._stops = self._skipped = 0
        self.is_given_up = False
        self._attributions = [ledger.attribution for ledger in engine.world.ledgers.values()]
        self._histories: dict[InstrumentId, TrackedMids] = {}
        self._books: list[ShelfBook] = []
        self._mark_books: dict[InstrumentId, ShelfBook] = {}
        for place, name in enumerate(self._names):
            self._share_books(place, name)

    def play(self, columns: Columns, hear: Callable[[Event], None], sample_ns: Callable[[], int]) -> int:
        """Play these rows; returns how many messages did not need Python.

        `hear` takes those that do, the first one at or after `sample_ns()` among them.
        """
        track, timeline = self._track, self._timeline
        track.load(columns)
        before = self._skipped
        while not self.is_given_up:
            self._tell()
            why, count = track.go(sample_ns())
            self._learn()
            self._stops += 1
            self._skipped += count
            if why == at.ENDED:
                return self._skipped - before
            if self._stops % JUDGED_EVERY == 0 and self._skipped < WORTH * self._stops:
                self._give_up()
            elif why == at.DUE:
                timeline.advance(track.next_recv_ns)
            else:
                for event in self._feed.told(track.next_message()):
                    hear(event)
        for message in track.rest():
            for event in self._feed.told(message):
                hear(event)
        return self._skipped - before

    # --- what the engine knows, and learns

    def _share_books(self, place: int, name: InstrumentId) -> None:
        track, count = self._track, len(self._names)
        feed = self._engine.world.books.feed(name)
        if feed is None:
            raise InvariantError(f"{name} is not listed")
        book = ShelfBook(feed.book.instrument, track.shelf, place)
        book.take_over(feed.book)
        feed.book = book
        self._books.append(book)
        marked = self._feed.mark_books.get(name)
        if marked is not None:
            shared = ShelfBook(marked.instrument, track.shelf, 2 * count + place)
            shared.take_over(marked)
            self._feed.mark_books[name] = self._mark_books[name] = shared

    def _give_up(self) -> None:
        """Go on event by event, with books and histories as they would be there."""
        self.is_given_up = True
        self._track.detach()
        for place, name in enumerate(self._names):
            feed = self._engine.world.books.feed(name)
            if feed is not None and feed.book is self._books[place]:
                feed.book = self._books[place].plain()
            if name in self._mark_books:
                self._feed.mark_books[name] = self._mark_books[name].plain()
            for leg in self._legs(name):
                if leg is not None and isinstance(leg.history, TrackedMids):
                    leg.history = leg.history.plain()

    def _tell(self) -> None:
        engine, source = self._engine, self._feed
        settled, books = engine.is_settled, engine.world.books
        slots = [slot for slot in engine.world.slots.values() if slot.running]
        for place, name in enumerate(self._names):
            feed, its = books.feed(name), self._track.its[place]
            if feed is None:
                its[at.IS_OPEN] = 0
                continue
            ours, legs = feed.book is self._books[place], self._legs(name)
            hearing = [slot for slot in slots if name in slot.subscriptions]
            its[at.IS_OPEN] = settled and ours and feed.is_open and self._have_history(place, name, legs)
            its[at.BOOKS_UNTIL] = _books_until_ns(hearing, name)
            its[at.TRADES_FREE] = not source.wants_trades(name) and not _hear_trades(hearing)
            its[at.WINDOW_NS] = _window_ns(legs)
            its[at.PASSED_NS] = 0
            its[at.MARK_NS] = source.next_mark_ns(name)
            its[at.LAG_OFFSET] = feed.offset_ns
            its[at.SEEN_NS] = feed.seen_ns

    def _learn(self) -> None:
        track, world = self._track, self._engine.world
        world.now_ns = max(world.now_ns, track.heard_ns)
        for place, name in enumerate(self._names):
            its = track.its[place]
            changed = its[at.CHANGED]
            if not changed:
                continue
            its[at.CHANGED] = 0
            row = track.state[place].tolist()
            feed = world.books.feed(name)
            if feed is not None:
                feed.seen_ns = row[at.SEEN_NS]
            if changed & at.OF_ENGINE:
                self._books[place].become(*row[at.ENGINE_EVENT_NS : at.ENGINE_ASK_LOTS + 1])
                if name in self._mark_books:
                    self._mark_books[name].refresh(row[at.ENGINE_EVENT_NS], row[at.ENGINE_RECV_NS])
            if row[at.PASSED_NS]:
                self._end_markouts(name, row[at.PASSED_NS])

    def _end_markouts(self, name: InstrumentId, passed_ns: int) -> None:
        """Do what `Attribution.on_mid` does with a mid of that time, which is the last one it was given."""
        for attribution in self._attributions:
            leg = attribution.leg(name)
            if leg is not None and leg.windows and leg.windows[0].due_ns <= passed_ns:
                attribution.close(leg, passed_ns)

    def _legs(self, name: InstrumentId) -> list[Leg | None]:
        return [attribution.leg(name) for attribution in self._attributions]

    def _have_history(self, place: int, name: InstrumentId, legs: Sequence[Leg | None]) -> bool:
        """Whether every account keeps the mids of an instrument in the arrays; from its first mid on they do."""
        history = self._histories.get(name)
        if None in legs:
            return False
        for leg in legs:
            if leg is None or leg.history is history:
                continue
            if history is None:
                rules = self._books[place].instrument
                history = self._histories[name] = TrackedMids(self._track, place, rules, leg.history)
            leg.history = history
        return True


def _hear_trades(slots: Sequence[Slot]) -> bool:
    return any("on_trade" in slot.strategy.hooks for slot in slots)


def _books_until_ns(slots: Sequence[Slot], name: InstrumentId) -> int:
    """Return until when none of these strategies is told of a book, however often it changes."""
    until_ns = at.FOREVER
    for slot in slots:
        if "on_book" in slot.strategy.hooks:
            if name not in slot.book_pending:
                return 0
            interval_ns = slot.subscriptions[name].book_interval_ms * NS_PER_MS
            until_ns = min(until_ns, slot.book_told_ns.get(name, 0) + interval_ns)
    return until_ns


def _window_ns(legs: Sequence[Leg | None]) -> int:
    """Return when the next markout of an instrument ends, by the venue's time."""
    return min((leg.windows[0].due_ns for leg in legs if leg is not None and leg.windows), default=at.FOREVER)
