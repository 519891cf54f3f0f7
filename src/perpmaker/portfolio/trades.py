"""Which fills were booked already: one trade is booked once, whatever repeats it."""

from __future__ import annotations

import enum
from typing import Final

from perpmaker.model.events import Fill

KEPT: Final = 50_000


class Booking(enum.Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """The same trade id and side with another price, quantity or order: somebody is wrong, nothing is booked."""
    TOO_OLD = "too_old"
    """Older than everything still remembered: taken for booked, since a position difference would show otherwise."""


class SeenTrades:
    """Remembers the last `kept` fills of one account by (trade id, side)."""

    def __init__(self, kept: int = KEPT) -> None:
        raise NotImplementedError

    def add(self, fill: Fill) -> Booking:
        """Remember a fill; only NEW ones are to be booked."""
        raise NotImplementedError
