"""From an innermost price to a ladder of quotes: layers, sizes, the hard cap, what the venue accepts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.quote import Quote


class VenueRules(msgspec.Struct, frozen=True):
    """An instrument's rules as floats, for arithmetic on every book. `tick` in quote units, the sizes in base units."""

    tick: float
    lot: Decimal
    lot_qty: float
    min_qty: float
    min_notional: float

    @classmethod
    def of(cls, instrument: Instrument) -> VenueRules:
        return cls(
            tick=float(instrument.tick),
            lot=instrument.lot,
            lot_qty=float(instrument.lot),
            min_qty=float(instrument.min_qty),
            min_notional=float(instrument.min_notional),
        )

    def lots_for(self, qty: float) -> int:
        """Return `qty` in whole lots, rounded down."""
        return math.floor(qty / self.lot_qty + 1e-9)

    def least_lots(self, px: float) -> int:
        """Return the smallest size the venue takes at `px`."""
        return max(1, math.ceil(max(self.min_qty, self.min_notional / px) / self.lot_qty - 1e-9))


class SideWish(msgspec.Struct, frozen=True):
    """One side as wanted before the venue's rules and the cap. Prices and distances in quote units.

    `first_px` is the innermost price; `touch_px` the most aggressive price that still rests; `far_px` the outermost
    allowed. `qtys` are base units per layer, inside first. `room_notional` is what the cap leaves on this side with
    every quote filled; quotes count against it at their own price or `mark_px`, whichever is dearer.
    """

    side: Side
    first_px: float
    touch_px: float
    far_px: float
    spacing: float
    qtys: Sequence[float]
    room_notional: float
    mark_px: float
    tolerance_bps: float
    room_qty: float = math.inf
    """Another cap on all of the side together, in base units."""


def side_quotes(wish: SideWish, rules: VenueRules) -> tuple[list[Quote], str | None]:
    """Return the quotes of a side, innermost first, and why some layers are missing (None when none is).

    A size is rounded down to the lot; where that falls below the venue's minimum, up to the minimum, which is less than
    a lot above what was wanted. A layer that would need more than that is left out.
    """
    sign = wish.side.sign
    innermost = sign * min(sign * wish.first_px, sign * wish.touch_px)
    room, room_qty = wish.room_notional, wish.room_qty
    quotes: list[Quote] = []
    for layer, wanted_qty in enumerate(wish.qtys):
        px = innermost - sign * layer * wish.spacing
        if sign * px < sign * wish.far_px:
            return quotes, f"from layer {layer} on further out than max_distance_bps"
        dearest = max(px, wish.mark_px)
        wanted = rules.lots_for(wanted_qty)
        least = rules.least_lots(px)
        if wanted < least and least * rules.lot_qty >= wanted_qty + rules.lot_qty:
            return quotes, f"layer {layer} of {wanted_qty * px:.2f} is below the venue's minimum"
        lots = min(max(wanted, least), rules.lots_for(room / dearest))
        if lots < least:
            return quotes, "position limit"
        if room_qty < lots * rules.lot_qty:
            lots = rules.lots_for(room_qty)
            if lots < least:
                return quotes, None
        quotes.append(Quote(px=px, qty=rules.lot * lots, layer=layer, tolerance_bps=wish.tolerance_bps))
        room -= lots * rules.lot_qty * dearest
        room_qty -= lots * rules.lot_qty
    return quotes, None
