"""How careful to be as a loss limit is used up: at a half wider, at three quarters reduce only, at nine tenths flatten.

The whole of it is the engine's: it halts the account (REQUIREMENTS section 9).
"""

from __future__ import annotations

import enum
import math
from typing import Final

WIDER_MULT: Final = 1.5
"""Half-spread and layer spacing at a half, and what a maker across venues wants to earn."""
SMALLER_DIVISOR: Final = 2
"""A pair's opening clips are so many times smaller at a half."""
_UNKNOWN: Final = 0.75
"""What a figure that is no number counts as: no reason to trade, and none to panic."""
_EASES: Final = 0.05
"""So far below its threshold a tier ends, so that it does not flicker."""


class Tier(enum.IntEnum):
    """Stricter is greater."""

    FREE = 0
    WIDEN = 1
    REDUCE = 2
    FLATTEN = 3


_FROM: Final = {Tier.FLATTEN: 0.9, Tier.REDUCE: 0.75, Tier.WIDEN: 0.5}


class Caution:
    """Remembers the tier in force."""

    def __init__(self) -> None:
        self.tier = Tier.FREE
        self.used = 0.0

    def update(self, used: float) -> Tier:
        """Take the part of a loss limit that is used up; returns the tier."""
        self.used = used = used if math.isfinite(used) else _UNKNOWN
        reached = next((tier for tier, least in _FROM.items() if used >= least), Tier.FREE)
        kept = next((tier for tier, least in _FROM.items() if tier <= self.tier and used >= least - _EASES), Tier.FREE)
        self.tier = max(reached, kept)
        return self.tier

    @property
    def text(self) -> str:
        """Say why, "" while it is free."""
        return f"{self.used:.0%} of a loss limit is used" if self.tier else ""

    @property
    def shown(self) -> str | None:
        """The tier with its reason, for the dashboard and the journal."""
        return f"{self.tier.name.lower()}: {self.text}" if self.tier else None
