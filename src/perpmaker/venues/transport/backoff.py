"""How long to wait before trying again, and how often trying is allowed at all."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

from perpmaker.model.units import NS_PER_S


class FullJitter:
    """Exponential back-off with full jitter: a uniform wait between 0 and min(cap, base * 2**failures) seconds.

    Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): of the jitters compared there, this one gives
    the fewest calls and lets many clients come back without meeting. Seeded, so that a run can be repeated.
    """

    def __init__(self, *, base_s: float, cap_s: float, seed: int) -> None:
        if not 0 < base_s <= cap_s:
            raise ValueError(f"back-off needs 0 < base_s <= cap_s, not {base_s} and {cap_s}")
        self._base_s = base_s
        self._cap_s = cap_s
        self._random = random.Random(seed)
        self._failures = 0

    def next_s(self) -> float:
        """Return the wait after one more failure."""
        ceiling = min(self._cap_s, self._base_s * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return self._random.uniform(0.0, ceiling)

    def reset(self) -> None:
        """It worked: the next failure is the first one again."""
        self._failures = 0


class AttemptCap:
    """At most `limit` attempts within any `window_s` seconds, counted in wall time so that a restart can carry them over.

    `past` are earlier attempts (UTC ns), as `recent` gave them before the restart.
    """

    def __init__(self, *, limit: int, window_s: float, past: Iterable[int] = ()) -> None:
        if limit < 1 or window_s <= 0:
            raise ValueError(f"an attempt cap needs a limit of 1 or more and a window, not {limit} in {window_s} s")
        self._limit = limit
        self._window_ns = int(window_s * NS_PER_S)
        self._attempts: deque[int] = deque(sorted(past), maxlen=limit)

    @property
    def recent(self) -> tuple[int, ...]:
        """The attempts that may still count, oldest first."""
        return tuple(self._attempts)

    def wait_s(self, now_ns: int) -> float:
        """Return how long the next attempt has to wait; 0 when it may go now."""
        if len(self._attempts) < self._limit:
            return 0.0
        left_ns = self._attempts[0] + self._window_ns - now_ns
        return min(max(left_ns, 0), self._window_ns) / NS_PER_S

    def note(self, now_ns: int) -> None:
        """Count an attempt made now; beyond the limit the oldest one is forgotten."""
        self._attempts.append(now_ns)
