"""Where a child may trade: the cap, the price that depth covers, sizes the venue takes."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

from perpmaker.execution.algos.moves import Look
from perpmaker.model.depth import worst_px
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.quote import CapFrom

_MARGIN: Final = Decimal("0.98")
"""Of the largest notional: limits are judged at the highest of several references, which may be above the price."""


def cap_px(look: Look, max_slippage_bps: Decimal, cap_from: CapFrom) -> Decimal:
    """Return the worst price allowed: so far from the arrival price, and short of our own orders on the other side."""
    arrival_px = look.arrival.mid_px if cap_from == "mid" else look.arrival.touch_px
    return short_of_own(look, worst_px(look.instrument, arrival_px, look.side, max_slippage_bps))


def short_of_own(look: Look, px: Decimal) -> Decimal:
    """Return `px`, or the last price before our own opposite order if that is nearer."""
    own_px = look.own_opposite_px
    return px if own_px is None else better_px(look.side, px, look.instrument.worse(own_px, look.side, ticks=-1))


def better_px(side: Side, a: Decimal, b: Decimal) -> Decimal:
    """Return the price that is cheaper for the one who trades: the lower for a buy."""
    return min(a, b) if side is Side.BUY else max(a, b)


def smallest_qty(instrument: Instrument, px: Decimal) -> Decimal:
    """Return the smallest quantity the venue takes at a price."""
    lots = (instrument.min_notional / px / instrument.lot).to_integral_value(ROUND_CEILING)
    return max(lots * instrument.lot, instrument.min_qty)


def clipped_qty(look: Look, px: Decimal, wanted: Decimal) -> Decimal:
    """Return as much of `wanted` as one order may have, leaving no rest the venue would not take; 0 when too little."""
    rules = look.instrument
    largest = rules.round_qty(look.largest_notional * _MARGIN / px)
    smallest = smallest_qty(rules, px)
    qty = rules.round_qty(min(wanted, largest, look.remaining))
    rest = look.remaining - qty
    if 0 < rest < smallest:
        if look.remaining <= largest:
            qty = rules.round_qty(look.remaining)
        elif qty >= 2 * smallest:
            qty = rules.round_qty(look.remaining - smallest)
    return qty if qty >= smallest else Decimal(0)
