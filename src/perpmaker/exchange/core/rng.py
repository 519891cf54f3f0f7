"""A small seeded generator, the same on every machine and Python: xoshiro256** over plain integers.

Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021; seeded by splitmix64, as
its authors advise.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

_MASK = (1 << 64) - 1


class Rng:
    __slots__ = ("_s0", "_s1", "_s2", "_s3")

    def __init__(self, seed: int) -> None:
        state = seed & _MASK
        words = []
        for _ in range(4):
            state = (state + 0x9E3779B97F4A7C15) & _MASK
            words.append(_splitmix(state))
        self._s0, self._s1, self._s2, self._s3 = words

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Rng:
        """Build from a state as `words` gave it."""
        rng = cls(0)
        rng._s0, rng._s1, rng._s2, rng._s3 = words
        return rng

    @property
    def words(self) -> tuple[int, int, int, int]:
        """The whole state."""
        return self._s0, self._s1, self._s2, self._s3

    def split(self, label: str) -> Rng:
        """Return an independent stream named `label`; this one moves on by one draw."""
        mixed = self.u64()
        for byte in label.encode():
            mixed = _splitmix((mixed ^ byte) & _MASK)
        return Rng(mixed)

    def u64(self) -> int:
        """Return an integer in 0 .. 2**64 - 1."""
        s1 = self._s1
        times5 = s1 * 5 & _MASK
        result = ((times5 << 7 | times5 >> 57) & _MASK) * 9 & _MASK
        s2 = self._s2 ^ self._s0
        s3 = self._s3 ^ s1
        self._s1 = s1 ^ s2
        self._s0 ^= s3
        self._s2 = s2 ^ (s1 << 17 & _MASK)
        self._s3 = (s3 << 45 | s3 >> 19) & _MASK
        return result

    def unit(self) -> float:
        """Return a float in [0, 1) with 53 random bits."""
        return (self.u64() >> 11) * (1.0 / (1 << 53))

    def below(self, bound: int) -> int:
        """Return an integer in 0 .. bound - 1, for a bound well under 2**64 (bias under bound / 2**64)."""
        return self.u64() * bound >> 64

    def between(self, low: int, high: int) -> int:
        """Return an integer in low .. high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def exponential(self, mean: float) -> float:
        return -mean * math.log(1.0 - self.unit())

    def normal(self) -> float:
        """Return a standard normal variate (Box and Muller, 1958, cosine half)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.unit()))
        return radius * math.cos(2.0 * math.pi * self.unit())

    def pick(self, cumulative: Sequence[float]) -> int:
        """Return an index drawn with the weights whose running sums are `cumulative`."""
        return min(bisect_right(cumulative, self.unit() * cumulative[-1]), len(cumulative) - 1)


def _splitmix(state: int) -> int:
    mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
    return mixed ^ mixed >> 31
