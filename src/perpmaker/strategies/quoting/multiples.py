"""By how much something (a regime, the tuner) changes what the model uses and the ladder: factors, 1 for nothing."""

from __future__ import annotations

import math

import msgspec


class Multiples(msgspec.Struct, frozen=True):
    """Factors on gamma (of a model without one: on the skew), kappa (on 1 / half-spread), layer spacing, and the width
    (half-spread and spacing alike)."""

    gamma: float = 1.0
    kappa: float = 1.0
    spacing: float = 1.0
    width: float = 1.0

    def times(self, other: Multiples) -> Multiples:
        return Multiples(
            gamma=self.gamma * other.gamma,
            kappa=self.kappa * other.kappa,
            spacing=self.spacing * other.spacing,
            width=self.width * other.width,
        )


PLAIN = Multiples()


def blended(shares: tuple[float, ...], parts: tuple[Multiples, ...]) -> Multiples:
    """Return the weighted geometric mean: factors of 2 and 1/2 with equal shares are 1."""
    pairs = list(zip(shares, parts, strict=True))
    return Multiples(
        gamma=math.exp(sum(share * math.log(part.gamma) for share, part in pairs)),
        kappa=math.exp(sum(share * math.log(part.kappa) for share, part in pairs)),
        spacing=math.exp(sum(share * math.log(part.spacing) for share, part in pairs)),
        width=math.exp(sum(share * math.log(part.width) for share, part in pairs)),
    )
