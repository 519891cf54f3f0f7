"""The core's timers on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from perpmaker.clock import Clock
from perpmaker.model.events import Timer


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
        delay_s = max(at_ns - self._clock.now_ns(), 0) / 1e9
        self._handles[key] = asyncio.get_running_loop().call_later(delay_s, self._fire, key, at_ns)

    def stop(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def __len__(self) -> int:
        return len(self._handles)

    def _fire(self, key: str, at_ns: int) -> None:
        del self._handles[key]
        self._deliver(Timer(key, max(at_ns, self._clock.now_ns())))
