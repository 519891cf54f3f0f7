"""Coin-margined and spot markets, played as linear perpetuals: what becomes of their quantities, and what is said of it.

The engine reckons in the quote currency, as every instrument of its venues does. A contract of a coin-margined market is
worth a fixed number of quote units; at each price it is played as the base quantity it is worth there, so that books,
trades and our orders are of one kind. Over a round trip of q base units bought at p and sold at r a linear position earns
q (r - p) quote units; the same contracts earn q p (1/p - 1/r) coins, worth q (r - p) quote units at r: the same. What
differs is the coin's own price on the collateral, which is not simulated.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any, Final

import msgspec
import numpy as np

from perpmaker.errors import ConfigError
from perpmaker.tape.columns import Columns
from perpmaker.tape.reader import Tape
from perpmaker.tape.schema import Kind, TapeInstrument

_PARTS: Final = 1_000
"""A lot is this part of a contract or finer, so that what rounding adds is small beside one contract."""
_SIZED: Final = (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE, Kind.BBO)
_EXACT: Final = 1 << 62


class InBase(msgspec.Struct, frozen=True):
    """How the lots of a coin-margined market become base lots: lots * numerator / (price in ticks * denominator)."""

    lot: Decimal
    """What a base lot is."""
    min_qty: Decimal
    """One contract at the tape's first price, in whole lots."""
    numerator: int
    denominator: int

    def lots(self, px_ticks: Any, lots: Any) -> Any:
        """Convert arrays, to the nearest lot; what is there stays there, and 0 stays 0."""
        below = 2 * px_ticks * self.denominator
        found = (2 * lots * self.numerator + below // 2) // np.maximum(below, 1)
        return np.where(lots > 0, np.maximum(found, 1), 0)


def in_base(tape: Tape, place: int, listed: TapeInstrument) -> InBase:
    """Find the base lot of a coin-margined instrument by its first price on the tape."""
    rules, worth = listed.instrument, listed.multiplier
    px = rules.tick * _first_ticks(tape, place)
    contract = worth / px
    lot = Decimal(1).scaleb((contract / _PARTS).adjusted())
    ratio = Fraction(rules.lot * worth) / Fraction(rules.tick * lot)
    return InBase(
        lot=lot,
        min_qty=(contract * rules.lot / lot).to_integral_value(ROUND_CEILING) * lot,
        numerator=ratio.numerator,
        denominator=ratio.denominator,
    )


def with_base_lots(columns: Columns, scales: dict[int, InBase]) -> Columns:
    """Return rows with the quantities of coin-margined instruments in base lots; `scales` by their places on the tape."""
    qty = columns.qty
    sized = np.isin(columns.kind, _SIZED) & (columns.side != 0)
    for place, scale in scales.items():
        ours = sized & (columns.instrument == place)
        if not ours.any():
            continue
        px, lots = columns.px[ours], columns.qty[ours]
        if (px <= 0).any() or int(lots.max()) * 2 * scale.numerator >= _EXACT:
            raise ConfigError("a price or quantity of a coin-margined market is out of the range that can be played")
        qty = qty.copy() if qty is columns.qty else qty
        qty[ours] = scale.lots(px, lots)
    return columns if qty is columns.qty else columns._replace(qty=qty)


def said(listed: TapeInstrument) -> str:
    """Say in one sentence what an instrument that is not linear is played as; "" for a linear one."""
    rules = listed.instrument
    if listed.contract == "inverse":
        return (
            f"{listed.instrument_id} is coin-margined: played as linear, a contract of {listed.multiplier} {rules.quote} "
            f"as the {rules.base} it is worth at each price; PnL in {rules.quote}, the price of the collateral left out"
        )
    if listed.contract == "spot":
        return f"{listed.instrument_id} is spot: played as a perpetual without funding, which may be sold short"
    return ""


def _first_ticks(tape: Tape, place: int) -> int:
    for columns in tape.chunks():
        there = np.isin(columns.kind, _SIZED) & (columns.side != 0) & (columns.instrument == place) & (columns.px > 0)
        if there.any():
            return int(columns.px[there][0])
    raise ConfigError(f"{tape.name}: {tape.instruments[place].instrument_id} has no price on it")
