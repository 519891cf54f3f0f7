"""A distance that follows volatility."""

from __future__ import annotations

from perpmaker.strategies.quoting.shape import Shape


def volatility_shape(fair: float, sigma: float, vol_mult: float, skew_bps_at_max: float, q_max: float) -> Shape:
    """Return half = `vol_mult` times the move of one second (`sigma`, quote units per square-root second).

    The skew is linear and reaches `skew_bps_at_max` of fair at |q| = `q_max`; q counts orders. Source: definition; the
    simplified form of hftbacktest's market-making examples, where half = vol_to_half_spread * volatility.
    """
    half = vol_mult * sigma
    skew = fair * skew_bps_at_max / 1e4 / q_max
    return Shape(half_bid=half, half_ask=half, skew_bid=skew, skew_ask=skew)
