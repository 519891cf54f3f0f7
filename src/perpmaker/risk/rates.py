"""How many orders went out in the last second."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from perpmaker.model.units import NS_PER_S


class OrderWindow:
    """A sliding second. A rate below one order a second stretches the window instead of shrinking the count.

    An instant exactly one window old is outside: orders 1 s apart never share a window of one second.
    """

    __slots__ = ("_capacity", "_rate", "_sent", "_window_ns")

    def __init__(self) -> None:
        self._rate = Decimal(0)
        self._capacity = 0
        self._window_ns = NS_PER_S
        self._sent: deque[int] = deque()

    def left(self, rate: Decimal, now_ns: int) -> int:
        """Return how many orders may still go at `now_ns` under `rate` orders a second."""
        if rate != self._rate:
            self._rate = rate
            self._capacity = max(1, int(rate))
            self._window_ns = NS_PER_S if rate >= 1 else int(NS_PER_S / rate)
        while self._sent and self._sent[0] <= now_ns - self._window_ns:
            self._sent.popleft()
        return self._capacity - len(self._sent)

    def count(self, now_ns: int) -> None:
        """Note that an order went at `now_ns`."""
        self._sent.append(now_ns)
