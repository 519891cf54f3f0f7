"""When one browser gets its next frame: at most one per 100 ms, at most two unacknowledged, none to a stalled one.

Pure: time is an input.
"""

from __future__ import annotations

from collections import deque
from typing import Final

FRAME_NS: Final = 100_000_000
HEARTBEAT_NS: Final = 500_000_000
"""A frame with nothing new, so that the page knows that the dashboard lives and how old the engine's word is."""
STALL_NS: Final = 8_000_000_000
"""Longest wait for an acknowledgement; then the browser is dropped."""
MAX_UNACKNOWLEDGED: Final = 2
_JITTER_NS: Final = 8_000_000
"""The engine's frames come every 100 ms, give or take this; waiting for the full spacing would drop every second one."""


class Pacing:
    """One browser's place in the stream. `seen` is the hub's version it has; None asks for a full frame."""

    def __init__(self) -> None:
        self.number = 0
        self.seen: int | None = None
        self.lag_ns = 0
        """How long the last acknowledgement took: the way there, the page's work, and the way back."""
        self._sent_ns = -HEARTBEAT_NS
        self._unacknowledged: deque[tuple[int, int]] = deque()

    def due_ns(self, version: int) -> int | None:
        """Return the monotonic time of the next frame given the hub's version; None while acknowledgements are owed."""
        if len(self._unacknowledged) >= MAX_UNACKNOWLEDGED:
            return None
        spacing = HEARTBEAT_NS if self.seen == version else FRAME_NS - _JITTER_NS
        return self._sent_ns + spacing

    def sent(self, now_ns: int, version: int) -> int:
        """Count a frame as sent; return its number."""
        self.number += 1
        self.seen = version
        self._sent_ns = now_ns
        self._unacknowledged.append((self.number, now_ns))
        return self.number

    def acknowledged(self, number: int, now_ns: int) -> None:
        """The page has applied every frame up to `number`."""
        while self._unacknowledged and self._unacknowledged[0][0] <= number:
            _, sent_ns = self._unacknowledged.popleft()
            self.lag_ns = now_ns - sent_ns

    def stalled_at_ns(self) -> int | None:
        """Return when this browser counts as stalled, if it acknowledges nothing until then."""
        return self._unacknowledged[0][1] + STALL_NS if self._unacknowledged else None


class Allowance:
    """A token bucket: `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: float, now_ns: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at_ns = now_ns

    def take(self, now_ns: int) -> bool:
        """Use one; return whether there was one."""
        self._left = min(self._burst, self._left + (now_ns - self._at_ns) / 1e9 * self._rate)
        self._at_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True
