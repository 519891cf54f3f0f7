"""An instrument's own rules, read from its venue: tick, lot, minimums, and the rounding that follows from them."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

import msgspec

from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side


class Instrument(msgspec.Struct, frozen=True):
    """One listed perpetual. `tick`, `lot`, `min_qty`, `min_notional` are as the venue prints them.

    `px` is quote currency per base unit, `qty` base units. Bids round down to the tick and asks up, so a rounded quote is
    never more aggressive than the wanted one.
    """

    instrument_id: InstrumentId
    symbol: str
    exchange: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal
    max_position_qty: Decimal | None = None
    funding_interval_h: int = 8
    venue_asset_id: str = ""
    """The venue's own key of the asset (GRVT: instrument_hash as hex text)."""
    qty_decimals: int = 9
    """GRVT base_decimals: the exponent that scales a quantity inside a signature."""

    def to_ticks(self, px: Decimal) -> int:
        """Return `px` in ticks; raise ValueError when it is not an exact positive multiple."""
        return _exact(px, self.tick, "price", self.symbol)

    def to_lots(self, qty: Decimal) -> int:
        """Return `qty` in lots; raise ValueError when it is not an exact multiple."""
        return _exact(qty, self.lot, "quantity", self.symbol)

    def px(self, ticks: int) -> Decimal:
        return self.tick * ticks

    def qty(self, lots: int) -> Decimal:
        return self.lot * lots

    def round_px(self, px: float | Decimal, side: Side) -> Decimal:
        """Round to the tick, away from the market: bids down, asks up. Raises ValueError unless finite and positive."""
        return self.tick * self.round_ticks(px, side)

    def round_ticks(self, px: float | Decimal, side: Side) -> int:
        """As `round_px`, in ticks. A float within a millionth of a tick of a multiple counts as that multiple."""
        if not math.isfinite(px) or px <= 0:
            raise ValueError(f"{self.symbol}: a price must be finite and positive, not {px}")
        if isinstance(px, Decimal):
            rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
            return int((px / self.tick).to_integral_value(rounding))
        ratio = px / float(self.tick)
        if not math.isfinite(ratio):
            raise ValueError(f"{self.symbol}: a price of {px} is out of range")
        nearest = round(ratio)
        if abs(ratio - nearest) < 1e-6:
            return nearest
        return math.floor(ratio) if side is Side.BUY else math.ceil(ratio)

    def round_qty(self, qty: float | Decimal) -> Decimal:
        """Round down to the lot, never up; raises ValueError unless finite and not negative."""
        if not math.isfinite(qty) or qty < 0:
            raise ValueError(f"{self.symbol}: a quantity must be finite and not negative, not {qty}")
        exact = qty if isinstance(qty, Decimal) else Decimal(repr(qty))
        return self.lot * int(exact / self.lot)

    def worse(self, px: Decimal, side: Side, *, ticks: int = 1) -> Decimal:
        """Return `px` moved `ticks` towards filling: up for a buy, down for a sell."""
        return px + side.sign * ticks * self.tick


def _exact(value: Decimal, step: Decimal, what: str, symbol: str) -> int:
    if not value.is_finite():
        raise ValueError(f"{symbol}: a {what} must be finite, not {value}")
    try:
        units, rest = divmod(value, step)
    except InvalidOperation:  # more digits than Decimal keeps: no price and no quantity
        raise ValueError(f"{symbol}: a {what} of {value} is out of range") from None
    if rest:
        raise ValueError(f"{symbol}: {what} {value} is not a multiple of {step}")
    return int(units)
