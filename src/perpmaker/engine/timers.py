"""The core's timers on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from perpmaker.clock import Clock
from perpmaker.model.events import Timer
from perpmaker.model.units import NS_PER_MS, NS_PER_S

EARLY_NS: Final = 5 * NS_PER_MS
"""More than this before its time means that the host's clock was set back: the timer is due all the same."""


class Timers(Protocol):
    """Where the core's timers wait: setting a key again moves it."""

    def set(self, key: str, at_ns: int) -> None: ...
    def stop(self) -> None: ...


class LoopTimers:
    """Delivers each key once, at its time or later; setting a key again moves it.

    The loop's own clock does the waiting, so a step of the host's clock neither loses a timer nor fires it early.
    """

    def __init__(self, clock: Clock, deliver: Callable[[Timer], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, key: str, at_ns: int) -> None:
        """Deliver `key` when the clock shows `at_ns`."""
        earlier = self._handles.pop(key, None)
        if earlier is not None:
            earlier.cancel()
        self._wait(key, at_ns, at_ns - self._clock.now_ns())

    def stop(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def __len__(self) -> int:
        return len(self._handles)

    def _wait(self, key: str, at_ns: int, left_ns: int) -> None:
        delay_s = max(left_ns, 0) / NS_PER_S
        self._handles[key] = asyncio.get_running_loop().call_later(delay_s, self._fire, key, at_ns)

    def _fire(self, key: str, at_ns: int) -> None:
        """Loops count in milliseconds and may be early: a timer must never say that it is later than the clock does."""
        now_ns = self._clock.now_ns()
        if 0 < at_ns - now_ns < EARLY_NS:
            self._wait(key, at_ns, max(at_ns - now_ns, EARLY_NS // 10))
            return
        del self._handles[key]
        self._deliver(Timer(key, now_ns))
