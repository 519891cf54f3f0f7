"""Finished bars out of candle frames that repeat while their interval is open, after a warm-up over REST."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from perpmaker.model.events import Bar
from perpmaker.model.units import NS_PER_S


class BarAssembler:
    """Pure: bars in as the venue states them, in any order and repeated; each finished one out once, oldest first.

    A bar is finished when a later one is known. Until `warm` is called nothing comes out, so that bars from REST and from
    the stream meet in order.
    """

    def __init__(self, interval_s: int, emit: Callable[[Bar], None]) -> None:
        self.interval_ns = interval_s * NS_PER_S
        self._emit = emit
        self._known: dict[int, Bar] = {}
        self._is_warm = False
        self.last_open_ns = -1
        """Opening time of the last bar that came out."""

    def add(self, bar: Bar) -> None:
        """Take a statement about a bar; the latest one about an interval counts."""
        if bar.open_ns > self.last_open_ns:
            self._known[bar.open_ns] = bar
            if self._is_warm:
                self._flush()

    def warm(self, bars: Iterable[Bar]) -> None:
        """The past has been read (or could not be): from here on bars come out. What the stream said already wins."""
        for bar in bars:
            if bar.open_ns > self.last_open_ns:
                self._known.setdefault(bar.open_ns, bar)
        self._is_warm = True
        self._flush()

    def cool(self) -> None:
        """The stream broke: bars may be missing until the next `warm`."""
        self._is_warm = False

    def _flush(self) -> None:
        if not self._known:
            return
        newest = max(self._known)
        for open_ns in sorted(self._known):
            if open_ns < newest:
                self.last_open_ns = open_ns
                self._emit(self._known.pop(open_ns))
