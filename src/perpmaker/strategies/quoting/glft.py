"""Guéant, Lehalle and Fernandez-Tapia's closed-form quotes, as generalised in Guéant (2016), arXiv 1605.01862, eq. 4.6-4.7.

Units, kept by every function here: prices in quote units; `sigma` in quote units per square-root second; `rate` (A) in
arrivals per second; `kappa`, `gamma`, `xi` per quote unit; q in units of one order, so the order size Δ is 1.

`xi` weighs the risk that a quote is not filled. xi = gamma is the utility maximiser of Guéant, Lehalle and
Fernandez-Tapia (2013); xi = 0 is the risk-adjusted profit of Cartea and Jaimungal.
"""

from __future__ import annotations

import math

from perpmaker.strategies.quoting.shape import Arrivals, Market, Shape

_TINY = 1e-12  # below it, ln(1 + x) / x and (1 + x)**(1 / x) are 1 and e to the last digit
_CONVERGED = 1e-12
_MAX_STEPS = 50


def c1(kappa: float, xi: float, delta: float = 1.0) -> float:
    """Return ln(1 + xi Δ / kappa) / (xi Δ) in quote units: the half-spread with no inventory risk; 1 / kappa at xi = 0."""
    x = xi * delta / kappa
    return math.log1p(x) / (xi * delta) if x > _TINY else 1 / kappa


def c2(rate: float, kappa: float, gamma: float, xi: float, delta: float = 1.0) -> float:
    """Return sqrt(gamma / (2 A Δ kappa) * (1 + xi Δ / kappa)**(kappa / (xi Δ) + 1)) in square-root seconds.

    sigma * c2 is the skew per unit of q in quote units.
    """
    return math.sqrt(gamma / (2 * rate * delta * kappa) * _growth(xi * delta / kappa))


def _growth(x: float) -> float:
    """(1 + x)**(1 / x + 1), which is e at x = 0."""
    return math.exp((1 / x + 1) * math.log1p(x)) if x > _TINY else math.e


def glft_shape(market: Market, *, gamma: float | None, xi: float | None, skew_bps_at_max: float, q_max: float) -> Shape:
    """Return half = c1 + sigma * c2 / 2 and skew = sigma * c2 per unit of q, each side with its own A and kappa.

    Without a `gamma` it is solved so that, at the typical sigma, the mean skew of both sides is `skew_bps_at_max` of fair
    at |q| = `q_max`; `xi` None means xi = gamma. The paper's closed form is for equal sides; using each side's own A and
    kappa for that side's distance is our reading of it.
    """
    if gamma is None:
        gamma = gamma_for_skew(market, market.fair * skew_bps_at_max / 1e4 / q_max, xi)
    risk = gamma if xi is None else xi
    skew_bid = market.sigma * c2(market.bid.rate, market.bid.kappa, gamma, risk)
    skew_ask = market.sigma * c2(market.ask.rate, market.ask.kappa, gamma, risk)
    return Shape(
        half_bid=c1(market.bid.kappa, risk) + skew_bid / 2,
        half_ask=c1(market.ask.kappa, risk) + skew_ask / 2,
        skew_bid=skew_bid,
        skew_ask=skew_ask,
        gamma=gamma,
    )


def gamma_for_skew(market: Market, skew: float, xi: float | None) -> float:
    """Return the gamma whose mean skew of both sides, at the typical sigma, is `skew` quote units per unit of q.

    With a given `xi` the skew is a multiple of sqrt(gamma). With xi = gamma, ln(skew) is an increasing convex function of
    ln(gamma) whose slope lies between 1/2 and 1, and the answer for xi = 0 lies right of the root; from there Newton's
    method converges monotonically, in four or five steps.
    """
    if skew <= 0:
        return 0.0
    start = (skew / _mean_skew(market, 1.0, 0.0 if xi is None else xi)) ** 2
    if xi is not None:
        return start
    log_gamma, wanted = math.log(start), math.log(skew)
    for _ in range(_MAX_STEPS):
        gamma = math.exp(log_gamma)
        step = (math.log(_mean_skew(market, gamma, gamma)) - wanted) / _log_slope(market, gamma)
        log_gamma -= step
        if abs(step) < _CONVERGED:
            break
    return math.exp(log_gamma)


def _mean_skew(market: Market, gamma: float, xi: float) -> float:
    return market.typical_sigma * (_side_c2(market.bid, gamma, xi) + _side_c2(market.ask, gamma, xi)) / 2


def _side_c2(arrivals: Arrivals, gamma: float, xi: float) -> float:
    return c2(arrivals.rate, arrivals.kappa, gamma, xi)


def _log_slope(market: Market, gamma: float) -> float:
    """d ln(mean skew) / d ln(gamma) at xi = gamma; one side's is 1 - ln(1 + x) / (2 x) with x = gamma / kappa."""
    weighted = total = 0.0
    for side in (market.bid, market.ask):
        x, weight = gamma / side.kappa, _side_c2(side, gamma, gamma)
        weighted += weight * (1 - math.log1p(x) / (2 * x) if x > _TINY else 0.5)
        total += weight
    return weighted / total
