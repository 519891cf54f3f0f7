"""A fixed distance from fair, with a linear skew: the market maker of plain sailing and of every warm-up."""

from __future__ import annotations

from perpmaker.strategies.quoting.shape import Shape


def fixed_shape(fair: float, half_spread_bps: float, skew_bps_at_max: float, q_max: float) -> Shape:
    """Return half = `half_spread_bps` of fair and a skew that reaches `skew_bps_at_max` of fair at |q| = `q_max`.

    Distances in quote units; q counts orders. Source: definition.
    """
    half = fair * half_spread_bps / 1e4
    skew = fair * skew_bps_at_max / 1e4 / q_max
    return Shape(half_bid=half, half_ask=half, skew_bid=skew, skew_ask=skew)
