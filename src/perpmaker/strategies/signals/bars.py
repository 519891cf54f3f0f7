"""A strategy's bars: the venue's where it sends any, else its own, made of mid prices."""

from __future__ import annotations

from collections import deque
from typing import Final

from perpmaker.model.events import Bar
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S

GRACE_NS: Final = 5 * NS_PER_S
"""How long after its end a bar of the venue is waited for."""


class Bars:
    """Gives out every interval once, oldest first. Intervals begin at multiples of their length in UTC.

    A bar made here stands in for one the venue has not sent `GRACE_NS` after its end. The interval in which watching
    began is not made here: it was not seen whole.
    """

    def __init__(self, instrument: InstrumentId, bar_s: int) -> None:
        self._instrument = instrument
        self._bar_s = bar_s
        self._length_ns = bar_s * NS_PER_S
        self._last_open_ns = -1
        self._own: deque[Bar] = deque()
        self._open_ns = 0
        self._whole = False
        self._open = self._high = self._low = self._close = 0.0

    def on_venue(self, bar: Bar) -> list[Bar]:
        """Take a finished bar of the venue; what is older than the last one given out comes too late."""
        if bar.interval_s != self._bar_s or bar.open_ns <= self._last_open_ns:
            return []
        out = []
        while self._own and self._own[0].open_ns < bar.open_ns:
            out.append(self._own.popleft())
        if self._own and self._own[0].open_ns == bar.open_ns:
            self._own.popleft()
        out.append(bar)
        self._last_open_ns = bar.open_ns
        return out

    def on_mid(self, now_ns: int, mid: float) -> list[Bar]:
        """Take a mid price; returns the bars of our own that have been waited for long enough."""
        open_ns = now_ns - now_ns % self._length_ns
        if open_ns != self._open_ns:
            if self._open_ns and self._whole and self._open_ns > self._last_open_ns:
                self._own.append(self._made(now_ns))
            self._whole = self._open_ns > 0 and open_ns - self._open_ns == self._length_ns
            self._open_ns, self._open, self._high, self._low = open_ns, mid, mid, mid
        elif mid > self._high:
            self._high = mid
        elif mid < self._low:
            self._low = mid
        self._close = mid
        if not self._own:
            return []
        out = []
        while self._own and now_ns >= self._own[0].open_ns + self._length_ns + GRACE_NS:
            bar = self._own.popleft()
            self._last_open_ns = bar.open_ns
            out.append(bar)
        return out

    def _made(self, now_ns: int) -> Bar:
        return Bar(
            instrument=self._instrument,
            interval_s=self._bar_s,
            open_ns=self._open_ns,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=0.0,
            trades=0,
            ts_recv_ns=now_ns,
        )
