"""Plays a tape through a backtest, by the compiled fast path wherever nothing listens (`simulation.fast`).

What it plays is the same to the last bit as event by event: each time something can happen, Python's own code takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from perpmaker.engine.backtest_feed import Played, TapeFeed
from perpmaker.engine.core import Engine
from perpmaker.model.events import Event
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_MS
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
        feed = self._engine.world.books._feeds[name]
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
            feed = self._engine.world.books._feeds.get(name)
            if feed is not None and feed.book is self._books[place]:
                feed.book = self._books[place].plain()
            if name in self._mark_books:
                self._feed.mark_books[name] = self._mark_books[name].plain()
            for ledger in self._engine.world.ledgers.values():
                leg = ledger.attribution._legs.get(name)
                if leg is not None and isinstance(leg.history, TrackedMids):
                    leg.history = leg.history.plain()

    def _tell(self) -> None:
        engine, its = self._engine, self._track.its
        world = engine.world
        settled = engine._ready_told and not engine.runner._starting and not engine.executions._working
        for place, name in enumerate(self._names):
            feed = world.books._feeds.get(name)
            if feed is None:
                its[place, at.IS_OPEN] = 0
                continue
            usable = feed.whole and feed.told is None and feed.fault is None and not feed.old
            ours = feed.book is self._books[place]
            its[place, at.IS_OPEN] = settled and usable and ours and self._has_history(place, name)
            its[place, at.BOOKS_UNTIL] = self._books_until_ns(name)
            its[place, at.TRADES_FREE] = not self._feed.wants_trades(name) and not self._hears(name, "on_trade")
            its[place, at.WINDOW_NS] = self._window_ns(name)
            its[place, at.PASSED_NS] = 0
            its[place, at.MARK_NS] = self._feed.next_mark_ns(name)
            its[place, at.LAG_OFFSET] = feed.offset_ns
            its[place, at.SEEN_NS] = feed.seen_ns

    def _learn(self) -> None:
        track, its, world = self._track, self._track.its, self._engine.world
        world.now_ns = max(world.now_ns, track.heard_ns)
        for place, name in enumerate(self._names):
            changed = its[place, at.CHANGED]
            if not changed:
                continue
            its[place, at.CHANGED] = 0
            row = track.state[place].tolist()
            feed = world.books._feeds.get(name)
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
        for ledger in self._engine.world.ledgers.values():
            leg = ledger.attribution._legs.get(name)
            if leg is not None:
                ledger.attribution._close(leg, passed_ns)

    def _hears(self, name: InstrumentId, hook: str) -> bool:
        return any(
            slot.running and name in slot.subscriptions and hook in slot.strategy.hooks
            for slot in self._engine.world.slots.values()
        )

    def _books_until_ns(self, name: InstrumentId) -> int:
        """Return until when no strategy is told of a book, however often it changes."""
        until_ns = at.FOREVER
        for slot in self._engine.world.slots.values():
            if not (slot.running and name in slot.subscriptions and "on_book" in slot.strategy.hooks):
                continue
            if name not in slot.book_pending:
                return 0
            interval_ns = slot.subscriptions[name].book_interval_ms * NS_PER_MS
            until_ns = min(until_ns, slot.book_told_ns.get(name, 0) + interval_ns)
        return until_ns

    def _has_history(self, place: int, name: InstrumentId) -> bool:
        """Whether every account keeps the mids of an instrument in the arrays; from its first mid on they do."""
        legs = [ledger.attribution._legs.get(name) for ledger in self._engine.world.ledgers.values()]
        if any(leg is None for leg in legs):
            return False
        history = self._histories.get(name)
        for leg in legs:
            if leg is None or leg.history is history:
                continue
            if history is None:
                rules = self._books[place].instrument
                history = self._histories[name] = TrackedMids(self._track, place, rules, leg.history)
            leg.history = history
        return True

    def _window_ns(self, name: InstrumentId) -> int:
        """Return when the next markout of an instrument ends, by the venue's time."""
        first_ns = at.FOREVER
        for ledger in self._engine.world.ledgers.values():
            leg = ledger.attribution._legs.get(name)
            if leg is not None and leg.windows:
                first_ns = min(first_ns, leg.windows[0].due_ns)
        return first_ns
