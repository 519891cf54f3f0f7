"""Quantities that two venues take: the common lot, the smallest order, rounding that never adds exposure."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from math import lcm

from perpmaker.model.instrument import Instrument


def common_lot(*instruments: Instrument) -> Decimal:
    """Return the smallest quantity that is a whole number of lots on every venue."""
    scale = max(-int(instrument.lot.as_tuple().exponent) for instrument in instruments)
    unit = Decimal(1).scaleb(-max(scale, 0))
    return unit * lcm(*(int(instrument.lot / unit) for instrument in instruments))


def unlike(*instruments: Instrument) -> str:
    """Return why legs cannot hedge each other, "" when they can: they have to be of one underlying."""
    if len({instrument.base for instrument in instruments}) == 1:
        return ""
    told = ", ".join(f"{instrument.base} ({instrument.instrument_id})" for instrument in instruments)
    return f"the legs are not of one underlying: {told}"


def larger_lot(*instruments: Instrument) -> Decimal:
    """Return what "one lot" means where lots differ (RELIABILITY G9)."""
    return max(instrument.lot for instrument in instruments)


def smallest_qty(instrument: Instrument, px: Decimal) -> Decimal:
    """Return the smallest order the venue takes at about `px`, in base units; a price of 0 leaves the notional out."""
    by_notional = instrument.min_notional / px if px > 0 else Decimal(0)
    least = max(instrument.min_qty, by_notional, instrument.lot)
    return away_from_zero(least, instrument.lot)


def away_from_zero(qty: Decimal, lot: Decimal) -> Decimal:
    """Round a quantity up to the lot: for what must not be less."""
    return (qty / lot).to_integral_value(ROUND_UP) * lot


def towards_zero(qty: Decimal, lot: Decimal) -> Decimal:
    """Round a signed quantity to the lot, never to more exposure."""
    return lot * int(qty / lot)


def next_piece(held: Decimal, most: Decimal, lot: Decimal, smallest: Decimal) -> Decimal:
    """Return how much of what is held to trade away now: at most `most`, 0 where the venue would not take so little.

    What it leaves is nothing, or can be traded later. Where no such piece exists it leaves less than the smallest order:
    better than to keep all of it for ever.
    """
    piece = min(held, most)
    if 0 < held - piece < smallest and held >= 2 * smallest:
        piece = held - smallest
    piece = towards_zero(piece, lot)
    return piece if piece >= smallest else Decimal(0)


def hedgeable(open_qty: Decimal, still_to_come: Decimal, lot: Decimal, smallest: Decimal) -> Decimal:
    """Return how much of an unhedged quantity to hedge now; both are > 0 and of one direction.

    What cannot be traded stays in the ledger. As long as more is to come, so much is held back that the last of it can
    still be traded: hedging 0.49 of 0.50 where the smallest order is 0.02 would leave 0.01 for ever.
    """
    now = towards_zero(open_qty, lot)
    if now < smallest:
        return Decimal(0)
    left = open_qty - now + still_to_come
    if still_to_come > 0 and left < smallest:
        now = towards_zero(open_qty + still_to_come - smallest, lot)
    return now if now >= smallest else Decimal(0)
