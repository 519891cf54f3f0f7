"""Judges the sequence numbers of one subscription (protocol page §10.5). Pure: numbers in, a verdict out."""

from __future__ import annotations

import enum
from typing import Final


class Verdict(enum.Enum):
    SNAPSHOT = "snapshot"
    """A complete frame, numbered 0."""
    CHANGE = "change"
    """The change that follows what was seen last."""
    EARLY = "early"
    """It may count once the subscription is acknowledged and its snapshot is in: keep it and ask again."""
    DUPLICATE = "duplicate"
    GAP = "gap"
    """Something between this and the last one is missing, or the counter started anew: nothing can be built on this."""


_CHANGE: Final = Verdict.CHANGE  # in CPython 3.11 looking up a member of an Enum takes as long as judging it


class SequenceGuard:
    """Accepts a change if its number is at least the one promised and its predecessor is the last one seen.

    An equal or lower number is a repetition, unless it brings news from a later time than anything before: then the venue's
    counter has started anew without saying so (a restarted gateway), and that is a gap too. Venue times only have to grow
    from one life of the counter to the next, not within one.
    """

    __slots__ = ("_event_ns", "_first", "_last", "_snapshot_seen")

    def __init__(self, *, needs_snapshot: bool) -> None:
        self._snapshot_seen = not needs_snapshot
        """Or there is none to wait for."""
        self._first: int | None = None
        self._last = 0
        self._event_ns = 0

    @property
    def is_ready(self) -> bool:
        """The subscription is acknowledged, its first number known, and its snapshot in where it has one."""
        return self._first is not None and self._snapshot_seen

    def acknowledge(self, first: int) -> None:
        """The reply to the subscription promised `first` as the number of the next change."""
        self._first = first
        self._last = first - 1

    def judge(self, number: int, previous: int, event_ns: int) -> Verdict:
        if (
            number > self._last == previous and self._snapshot_seen and self._first is not None
        ):  # by far the most frequent
            self._last = number
            if event_ns > self._event_ns:  # noqa: PLR1730 (max costs half as much as all of this)
                self._event_ns = event_ns
            return _CHANGE
        if self._first is None:
            return Verdict.EARLY
        if number == 0:
            self._snapshot_seen = True
            self._event_ns = max(self._event_ns, event_ns)
            return Verdict.SNAPSHOT
        if not self._snapshot_seen:
            return Verdict.EARLY
        if number <= self._last:
            restarted = event_ns > self._event_ns and self._last >= self._first
            return Verdict.GAP if restarted else Verdict.DUPLICATE
        return Verdict.GAP

    def skip_to(self, number: int, event_ns: int) -> None:
        """Go on from here after a gap: for streams whose every frame is complete, or whose losses are found elsewhere."""
        self._last = number
        self._event_ns = max(self._event_ns, event_ns)
