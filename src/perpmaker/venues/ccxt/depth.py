"""A book out of changes with ids: a whole one from REST, changes without a gap after it, or stale. Pure."""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from perpmaker.venues.ccxt.frames import Depth

KEPT: Final = 10_000
"""Changes kept while the whole book is on its way; more of them mean that it does not come."""


class Step(enum.Enum):
    """What has to be done after a change, or a whole book, was taken in."""

    NOTHING = "nothing"
    EMIT = "emit"
    """`ready` holds what may be passed on, oldest first."""
    ASK = "ask"
    """A whole book has to be asked for."""
    GAP = "gap"
    """A change is missing: what was passed on so far cannot be believed any more. Ask for a whole book."""


class Sequencer:
    """The rule of venue page §7: drop changes up to the whole book's id, the first one used spans it, then no gap."""

    def __init__(self) -> None:
        self.ready: list[Depth] = []
        self.last = 0
        """Id of the last change passed on, 0 while the book is not whole."""
        self._kept: deque[Depth] = deque(maxlen=KEPT)

    @property
    def is_whole(self) -> bool:
        return self.last > 0

    def on_change(self, change: Depth) -> Step:
        """Take a change. Until the book is whole, the first one proves that the stream runs: then a book is asked for."""
        if not self.is_whole:
            is_first = not self._kept
            self._kept.append(change)
            return Step.ASK if is_first else Step.NOTHING
        if change.last <= self.last:
            return Step.NOTHING
        if change.first != self.last + 1:
            self.forget()
            self._kept.append(change)
            return Step.GAP
        self.last = change.last
        self.ready = [change]
        return Step.EMIT

    def on_whole(self, book: Depth) -> Step:
        """Take the answer to ASK; ASK again when it is older than the changes that are at hand."""
        if self.is_whole:
            return Step.NOTHING
        later = [change for change in self._kept if change.last > book.last]
        expected = book.last + 1
        for place, change in enumerate(later):
            spans = change.first <= expected <= change.last if place == 0 else change.first == expected
            if not spans:
                if place:  # a change is missing among those that are kept: they prove nothing any more
                    self._kept = deque(later[place:], maxlen=KEPT)
                return Step.ASK
            expected = change.last + 1
        self._kept.clear()
        self.last = expected - 1
        self.ready = [book, *later]
        return Step.EMIT

    def forget(self) -> None:
        """The stream broke, or is not believed."""
        self.last = 0
        self._kept.clear()
        self.ready = []
