"""What is due when: a queue in the order of time, at one instant by rank, then in the order it was put in."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Schedule(Generic[T]):
    __slots__ = ("_heap", "_number")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, T]] = []
        self._number = 0

    def put(self, at_ns: int, thing: T, rank: int = 0) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at_ns, rank, self._number, thing))

    @property
    def next_ns(self) -> int | None:
        """When the first is due, None when there is none."""
        return self._heap[0][0] if self._heap else None

    @property
    def first(self) -> T:
        """What is due first; there must be something."""
        return self._heap[0][3]

    def pop(self) -> tuple[int, T]:
        """Take out what is due first, and when that is."""
        at_ns, _, _, thing = heapq.heappop(self._heap)
        return at_ns, thing

    def __len__(self) -> int:
        return len(self._heap)
