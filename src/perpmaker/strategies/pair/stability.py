"""Whether the price stands still: the mid stayed inside the quote of some seconds ago."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.units import NS_PER_S

COLD_NS: Final = 1 * NS_PER_S
"""While the buffer does not reach back far enough, two samples this far apart decide."""
KEPT: Final = 4_096


class _Sample(msgspec.Struct, frozen=True):
    ts_ns: int
    bid_ticks: int
    ask_ticks: int


class Stability:
    """A live buffer of best prices. `over_ns` 0 asks nothing."""

    def __init__(self, over_ns: int) -> None:
        self.unstable = 0
        """How often the answer was no."""
        self._over_ns = over_ns
        self._samples: deque[_Sample] = deque(maxlen=KEPT)

    def on_book(self, now_ns: int, book: Book) -> None:
        """Note the best prices, when they changed."""
        last = self._samples[-1] if self._samples else None
        if last is None or (last.bid_ticks, last.ask_ticks) != (book.bid_ticks, book.ask_ticks):
            self._samples.append(_Sample(now_ns, book.bid_ticks, book.ask_ticks))
        while len(self._samples) > 1 and self._samples[1].ts_ns <= now_ns - self._over_ns:
            self._samples.popleft()

    def on_gap(self) -> None:
        """The book was lost: what it did meanwhile is unknown."""
        self._samples.clear()

    def is_stable(self, now_ns: int) -> bool | None:
        """Return whether the mid stayed inside the earlier quote; None while too little has been seen."""
        if not self._over_ns:
            return True
        if not self._samples:
            return None
        first = self._samples[0]
        if now_ns - first.ts_ns < min(self._over_ns, COLD_NS):
            return None
        inside = all(
            2 * first.bid_ticks <= sample.bid_ticks + sample.ask_ticks <= 2 * first.ask_ticks
            for sample in self._samples
        )
        self.unstable += not inside
        return inside
