"""Avellaneda and Stoikov (2008), "High-frequency trading in a limit order book", Quantitative Finance 8(3), 217-224.

Units, kept by every function here: prices in quote units; `sigma` in quote units per square-root second (not a log
return, not a variance); `horizon_s` in seconds, rolling, so it never runs out; `q` in units of one order, long > 0;
`gamma` and `kappa` per quote unit.
"""

from __future__ import annotations

import math

from perpmaker.strategies.quoting.shape import Market, Shape


def reservation_px(mid: float, q: float, gamma: float, sigma: float, horizon_s: float) -> float:
    """Return the indifference price r = s - q * gamma * sigma**2 * (T - t), in quote units."""
    return mid - q * gamma * sigma**2 * horizon_s


def spread(gamma: float, sigma: float, kappa: float, horizon_s: float) -> float:
    """Return the whole optimal spread gamma * sigma**2 * (T - t) + 2 / gamma * ln(1 + gamma / kappa).

    In quote units. Gamma towards 0 gives 2 / kappa.
    """
    return gamma * sigma**2 * horizon_s + 2 * fill_risk_half(gamma, kappa)


def fill_risk_half(gamma: float, kappa: float) -> float:
    """Return ln(1 + gamma / kappa) / gamma in quote units, the half-spread of a maker without inventory risk."""
    x = gamma / kappa
    return math.log1p(x) / gamma if x > 1e-12 else 1 / kappa


def gamma_for_skew(skew: float, sigma: float, horizon_s: float) -> float:
    """Return the gamma that moves the reservation price by `skew` quote units per unit of q."""
    return skew / (sigma**2 * horizon_s)


def avellaneda_stoikov_shape(
    market: Market, *, gamma: float | None, horizon_s: float, skew_bps_at_max: float, q_max: float
) -> Shape:
    """Return the paper's quotes around fair, each side with its own kappa.

    Without a `gamma` it is solved so that, at the typical sigma, the skew is `skew_bps_at_max` of fair at |q| = `q_max`.
    """
    if gamma is None:
        gamma = gamma_for_skew(market.fair * skew_bps_at_max / 1e4 / q_max, market.typical_sigma, horizon_s)
    skew = gamma * market.sigma**2 * horizon_s
    return Shape(
        half_bid=skew / 2 + fill_risk_half(gamma, market.bid.kappa),
        half_ask=skew / 2 + fill_risk_half(gamma, market.ask.kappa),
        skew_bid=skew,
        skew_ask=skew,
        gamma=gamma,
    )
