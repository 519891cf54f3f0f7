"""Seeded chance: the same draws on every machine and in every process.

splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), integers alone.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15


class Chance:
    """A stream of draws that depends on nothing but its seed."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def below(self, bound: int) -> int:
        """Return an integer in 0 .. bound - 1, for a bound far below 2**64 (its bias is under bound / 2**64)."""
        self._state = word = (self._state + _STEP) & _MASK
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _MASK
        return (word ^ (word >> 31)) * bound >> 64

    def happens(self, per_mille: int) -> bool:
        """Return True with a probability of `per_mille` thousandths."""
        return self.below(1000) < per_mille
