"""The only reader of the wall clock. Everything else is handed a time or a `Clock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where shells (runtimes, servers, gateways) get the time from; the pure core gets it from events."""

    def now_ns(self) -> int:
        """Return UTC nanoseconds since 1970; never runs backwards."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that nothing steps; only differences mean something."""
        ...


def cpu_ns() -> int:
    """Return nanoseconds of processor time of this thread; only differences mean something."""
    return time.thread_time_ns()


class WallClock:
    """UTC that never runs backwards: a step back of the host's clock holds the last time until it is passed."""

    def __init__(self) -> None:
        self._last_ns = 0

    def now_ns(self) -> int:
        now = time.time_ns()  # noqa: TID251 (this is the one place)
        if now < self._last_ns:
            return self._last_ns
        self._last_ns = now
        return now

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class ManualClock:
    """A clock that tests move by hand."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._now_ns

    def advance(self, ns: int) -> None:
        """Move forward by `ns` nanoseconds."""
        self._now_ns += ns
