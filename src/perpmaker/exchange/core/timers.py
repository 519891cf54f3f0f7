"""Things to do at a later time, in the order of their times and, at one time, of their setting."""

from __future__ import annotations

import heapq
from collections.abc import Callable

_COMPACT_ABOVE = 1_000


class Timer:
    __slots__ = ("action", "due_ns")

    def __init__(self, due_ns: int, action: Callable[[], None] | None) -> None:
        self.due_ns = due_ns
        self.action = action


class Timers:
    """A heap of timers; cancelled ones are swept out once they are the majority, so long expiries do not pile up."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def at(self, due_ns: int, action: Callable[[], None]) -> Timer:
        timer = Timer(due_ns, action)
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Forget a timer; one that is None, done or cancelled already is left alone."""
        if timer is None or timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if self._cancelled > _COMPACT_ABOVE and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_ns(self) -> int | None:
        self._drop_cancelled_head()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> tuple[int, Callable[[], None]] | None:
        """Take out the next timer due up to and including `now_ns`: its time and what to do."""
        self._drop_cancelled_head()
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due_ns, _, timer = heapq.heappop(self._heap)
        action, timer.action = timer.action, None
        return None if action is None else (due_ns, action)

    def _drop_cancelled_head(self) -> None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
