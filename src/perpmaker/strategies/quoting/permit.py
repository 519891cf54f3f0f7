"""Whether to quote at all, and why not: each rule says one of three things, the strictest counts."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


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


def strictest(permits: Iterable[Permit]) -> Permit:
    """Return the first of the strictest."""
    found = FREE
    for permit in permits:
        if permit.mode > found.mode:
            found = permit
    return found
