"""Fee schedules: rates in centibeeps (percent x 10**4), rebates negative."""

from __future__ import annotations

from perpmaker.exchange.core.amounts import div_up
from perpmaker.exchange.core.types import FeeTier

__all__ = ["RATE_ONE_CB", "SEEN_LIVE", "TIERS", "FeeTier", "fee_nano"]

RATE_ONE_CB = 1_000_000
"""A rate of 1, in centibeeps."""


SEEN_LIVE = FeeTier(0, -1, 450)
"""Maker -0.0001 %, taker 0.045 %: fills of Dec 2025 to Jan 2026 (PROTOCOL 13)."""

TIERS = (
    SEEN_LIVE,
    FeeTier(1, 270, 550),
    FeeTier(2, 250, 490),
    FeeTier(3, 220, 440),
    FeeTier(4, 180, 390),
    FeeTier(5, 140, 340),
    FeeTier(6, 90, 280),
    FeeTier(7, 50, 240),
    FeeTier(8, 10, 200),
    FeeTier(9, -30, 190),
)
"""Index = tier number; 1 to 9 are the help centre's table (PROTOCOL 13, dated)."""


def fee_nano(notional_nano: int, rate_cb: int) -> int:
    """Return the fee on a notional > 0, rounded to a nano in the venue's favour: costs up, rebates towards zero.

    How the venue rounds is not documented (PROTOCOL 16); nine places are all it prints.
    """
    return div_up(notional_nano * rate_cb, RATE_ONE_CB)
