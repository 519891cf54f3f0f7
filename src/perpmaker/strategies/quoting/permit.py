"""Whether to quote at all, and why not: each rule says one of three things, the strictest counts."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from perpmaker.strategies.caution import Caution, Tier
from perpmaker.strategies.signals.filters import Regime


class Mode(enum.IntEnum):
    """Stricter is greater."""

    QUOTE = 0
    REDUCE = 1
    """Only what brings the position nearer to flat."""
    NONE = 2


class Permit(msgspec.Struct, frozen=True):
    """What one rule allows now; `reason` is for people, "" when it allows everything."""

    mode: Mode
    reason: str = ""


FREE = Permit(Mode.QUOTE)


def caution_permit(caution: Caution) -> Permit:
    """Say what a loss limit that is being used up leaves."""
    if caution.tier is Tier.FLATTEN:
        return Permit(Mode.NONE, f"closing: {caution.text}")
    if caution.tier is Tier.REDUCE:
        return Permit(Mode.REDUCE, f"only what reduces the position is quoted: {caution.text}")
    return FREE


def regime_permit(regime: Regime, when_trending: str) -> Permit:
    """Say what `regime.when_trending` leaves in a trend."""
    if regime is not Regime.TRENDING or when_trending == "quote":
        return FREE
    if when_trending == "reduce":
        return Permit(Mode.REDUCE, "only what reduces the position is quoted: the market trends")
    return Permit(Mode.NONE, "nothing is quoted: the market trends")


def strictest(permits: Iterable[Permit]) -> Permit:
    """Return the first of the strictest."""
    found = FREE
    for permit in permits:
        if permit.mode > found.mode:
            found = permit
    return found
