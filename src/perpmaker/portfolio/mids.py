"""The mid of one instrument over the last minutes, by the venue's time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import Final

from perpmaker.model.units import NS_PER_S

HISTORY_NS: Final = 120 * NS_PER_S
_TRIM_AT: Final = 8192


class MidHistory:
    """A step function: only changes are kept, `HISTORY_NS` of them and the one before; trimmed at twice that."""

    __slots__ = ("_mids", "_times")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._mids: list[Decimal] = []

    def add(self, mid_px: Decimal, ts_event_ns: int) -> None:
        """Take in a mid; a time before the last one counts as that one, for frames of two streams may overtake."""
        if self._mids:
            if self._mids[-1] == mid_px:
                return
            ts_event_ns = max(ts_event_ns, self._times[-1])
        self._times.append(ts_event_ns)
        self._mids.append(mid_px)
        if ts_event_ns - self._times[0] > 2 * HISTORY_NS or len(self._times) >= _TRIM_AT:
            self._trim(ts_event_ns - HISTORY_NS)

    @property
    def last(self) -> Decimal | None:
        return self._mids[-1] if self._mids else None

    def at(self, ts_event_ns: int) -> Decimal | None:
        """Return the mid that stood at this time, None for a time before the history."""
        index = bisect_right(self._times, ts_event_ns)
        return self._mids[index - 1] if index else None

    def before(self, ts_event_ns: int) -> Decimal | None:
        """Return the mid that stood just before this time: a fill changes the book at its own time."""
        index = bisect_left(self._times, ts_event_ns)
        return self._mids[index - 1] if index else None

    def _trim(self, since_ns: int) -> None:
        """Drop what is older; of a market too busy for the memory to hold the history, drop half."""
        index = max(bisect_right(self._times, since_ns) - 1, 0)
        if index == 0 and len(self._times) >= _TRIM_AT:
            index = _TRIM_AT // 2
        del self._times[:index], self._mids[:index]
