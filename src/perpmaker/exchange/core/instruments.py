"""Instruments: what each one is, the three the exchange lists by itself, and the reading of an instruments file."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perpmaker.exchange.core.amounts import decimal_text, div_half_even
from perpmaker.exchange.core.types import NANO, Kind


class RiskBracket(msgspec.Struct, frozen=True):
    """A notional range and its margin rates (PROTOCOL 7, RiskBracket); rates in centibeeps, 1 % is 10_000."""

    tier: int
    floor_nano: int
    """Inclusive."""
    cap_nano: int | None
    """Exclusive; None for the last bracket."""
    maintenance_rate_cb: int
    initial_rate_cb: int
    max_leverage: int
    cumulative_nano: int
    """Maintenance margin is notional x rate - this."""


class Instrument(msgspec.Struct, frozen=True):
    """A perpetual and its rules; see `exchange.core.types` for units."""

    name: str
    asset_id: int
    """The number in `instrument_hash`: kind, base << 8, quote << 16 (PROTOCOL 12)."""
    base: str
    quote: str
    tick_nano: int
    lot_nano: int
    """Step of size, and the smallest size but for `min_lots`."""
    min_notional_nano: int
    max_position_lots: int
    start_px_nano: int
    brackets: tuple[RiskBracket, ...]
    base_decimals: int = 9
    quote_decimals: int = 6
    funding_interval_hours: int = 8
    funding_cap_cb: int = 3000
    funding_floor_cb: int = -3000
    create_ns: int = 0
    kind: Kind = Kind.PERPETUAL
    min_lots: int = 1
    """Smallest size."""
    guess: bool = False
    """True where the numbers were never seen on the venue."""
    activity: float = 1.0
    """How lively its simulated market is, as a multiple of the usual (`market.parameters.with_activity`)."""

    @property
    def hash_text(self) -> str:
        """`instrument_hash` as the venue prints it: 0x030501."""
        return f"0x{self.asset_id:06x}"

    @property
    def lot(self) -> Decimal:
        return Decimal(self.lot_nano).scaleb(-9)

    @property
    def unit_nano(self) -> int:
        """Quote nanos of one lot moving one tick: notional = ticks x lots x this, exactly."""
        return self.tick_nano * self.lot_nano // NANO

    @property
    def max_leverage(self) -> int:
        return self.brackets[0].max_leverage

    def px_text(self, px_ticks: int) -> str:
        return decimal_text(px_ticks * self.tick_nano)

    def qty_text(self, qty_lots: int) -> str:
        return decimal_text(qty_lots * self.lot_nano)

    def notional_nano(self, px_nano: int, qty_lots: int) -> int:
        """Return the value of a signed quantity at a price that need not be on the grid, to the nearest nano."""
        return div_half_even(px_nano * qty_lots * self.lot_nano, NANO)


_M = 1_000_000 * NANO

DEFAULT_BRACKETS = (
    RiskBracket(1, 0, 600_000 * NANO, 10_000, 20_000, 50, 0),
    RiskBracket(2, 600_000 * NANO, 2 * _M, 20_000, 40_000, 25, 6_000 * NANO),
    RiskBracket(3, 2 * _M, 10 * _M, 25_000, 50_000, 20, 16_000 * NANO),
    RiskBracket(4, 10 * _M, 30 * _M, 50_000, 100_000, 10, 266_000 * NANO),
    RiskBracket(5, 30 * _M, None, 100_000, 200_000, 5, 1_766_000 * NANO),
)
"""The first is the example of the documentation; the others are guesses of the usual shape, continuous at the floors."""

BTC = Instrument(
    name="BTC_USDT_Perp",
    asset_id=0x030501,
    base="BTC",
    quote="USDT",
    tick_nano=NANO // 10,
    lot_nano=NANO // 1000,
    min_notional_nano=100 * NANO,
    max_position_lots=1_000_000,
    start_px_nano=60_000 * NANO,
    brackets=DEFAULT_BRACKETS,
)
"""As listed live in January 2026 (PROTOCOL 13)."""

ETH = Instrument(
    name="ETH_USDT_Perp",
    asset_id=0x030401,
    base="ETH",
    quote="USDT",
    tick_nano=NANO // 100,
    lot_nano=NANO // 100,
    min_notional_nano=20 * NANO,
    max_position_lots=1_000_000,
    start_px_nano=2_600 * NANO,
    brackets=DEFAULT_BRACKETS,
)

SOL = Instrument(
    name="SOL_USDT_Perp",
    asset_id=0x030601,
    base="SOL",
    quote="USDT",
    tick_nano=NANO // 100,
    lot_nano=NANO // 10,
    min_notional_nano=20 * NANO,
    max_position_lots=1_000_000,
    start_px_nano=150 * NANO,
    brackets=DEFAULT_BRACKETS,
    guess=True,
)

DEFAULT_INSTRUMENTS = (BTC, ETH, SOL)
