"""Which fills were booked already: one trade is booked once, whatever repeats it."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

from perpmaker.model.events import Fill
from perpmaker.model.ids import ClientOrderId, TradeId
from perpmaker.model.order import Side

KEPT: Final = 1_000

_Figures = tuple[Decimal, Decimal, ClientOrderId, int]


class Booking(enum.Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """The same trade id and side with another price, quantity or order: somebody is wrong, nothing is booked."""
    TOO_OLD = "too_old"
    """Older than everything still remembered: taken for booked, since a position difference would show otherwise."""


class SeenTrades:
    """Remembers the last `kept` fills of one account by (trade id, side); the account implies the venue."""

    __slots__ = ("_floor_ns", "_kept", "_seen")

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._seen: dict[tuple[TradeId, Side], _Figures] = {}
        self._floor_ns = 0
        """Venue time of the newest fill forgotten so far."""

    def add(self, fill: Fill) -> Booking:
        """Remember a fill; only NEW ones are to be booked."""
        key = (fill.trade_id, fill.side)
        known = self._seen.get(key)
        if known is not None:
            same = known[:3] == (fill.px, fill.qty, fill.client_order_id)
            return Booking.DUPLICATE if same else Booking.CONFLICT
        if fill.ts_event_ns <= self._floor_ns:
            return Booking.TOO_OLD
        self._seen[key] = (fill.px, fill.qty, fill.client_order_id, fill.ts_event_ns)
        if len(self._seen) > self._kept:
            oldest = next(iter(self._seen))
            self._floor_ns = max(self._floor_ns, self._seen.pop(oldest)[3])
        return Booking.NEW
