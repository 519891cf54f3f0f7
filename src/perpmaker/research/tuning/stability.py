"""Whether an optimum is a hill or a needle: what its neighbours keep of what it gains.

The gain of a set is its value above the typical one: the median over sets spread evenly over the space. A neighbour differs
from the optimum in one number, by a few per cent of that number's range. An optimum stands when the median neighbour keeps
half of its gain (`kept`), over all neighbours and in every single dimension; otherwise it is a spike: a value that belongs
to those very numbers and to that very stretch of time, and that the next day will not pay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from perpmaker.research.tuning.space import Value

STEPS: Final = (0.05, 0.1)
"""How far neighbours are, up and down, in parts of a number's range."""
KEPT: Final = 0.5
"""The part of its gain that an optimum's median neighbour has to keep."""


class Stability(msgspec.Struct, frozen=True):
    """An optimum and its surroundings, as values of the objective. Shares: 1 is as good as the optimum, 0 is typical."""

    params: dict[str, Value]
    value: float
    typical: float
    neighbours: int
    median_value: float
    """Of all neighbours."""
    kept: float
    by_dimension: dict[str, float]
    """The share the median neighbour of one dimension keeps."""
    needed: float

    @property
    def weakest(self) -> str:
        """The dimension that keeps least, "" without any."""
        return min(self.by_dimension, key=lambda name: self.by_dimension[name], default="")

    @property
    def failing(self) -> list[str]:
        """The dimensions it is a needle in; all of them when none is by itself."""
        alone = [name for name, kept in self.by_dimension.items() if kept < self.needed]
        return alone or list(self.by_dimension)

    @property
    def is_spike(self) -> bool:
        return min([self.kept, *self.by_dimension.values()]) < self.needed

    def in_words(self) -> str:
        worst = self.weakest
        alone = f"; in {worst} alone {self.by_dimension[worst]:.0%}" if worst else ""
        return (
            f"{self.neighbours} neighbours keep {self.kept:.0%} of what it gains over the typical set{alone} "
            f"({self.needed:.0%} are needed)"
        )


def stability(
    params: Mapping[str, Value],
    value: float,
    typical: float,
    neighbours: Mapping[str, Sequence[float | None]],
    needed: float = KEPT,
) -> Stability:
    """Judge an optimum by the values of its neighbours, dimension by dimension; one without a value counts as typical."""
    values = {
        name: [typical if found is None or not math.isfinite(found) else found for found in row]
        for name, row in neighbours.items()
        if row
    }
    every = [found for row in values.values() for found in row]
    gain = value - typical

    def share(of: Sequence[float]) -> float:
        if not of:
            return 1.0
        if gain <= 0:
            return 1.0 if median(of) >= value else 0.0
        return (median(of) - typical) / gain

    return Stability(
        params=dict(params),
        value=value,
        typical=typical,
        neighbours=len(every),
        median_value=median(every) if every else value,
        kept=share(every),
        by_dimension={name: share(row) for name, row in values.items()},
        needed=needed,
    )
