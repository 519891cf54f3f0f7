"""A token bucket in integers."""

from __future__ import annotations

from perpmaker.model.units import NS_PER_S


class Pace:
    """Lets `burst` pass at once and `per_s` a second after that."""

    __slots__ = ("_capacity", "_last_ns", "_left", "_per_s")

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._capacity = self._left = burst * NS_PER_S
        self._last_ns = 0

    def take(self, now_ns: int) -> bool:
        """Use one up; False when none is left."""
        self._left = min(self._capacity, self._left + (now_ns - self._last_ns) * self._per_s)
        self._last_ns = now_ns
        if self._left < NS_PER_S:
            return False
        self._left -= NS_PER_S
        return True
