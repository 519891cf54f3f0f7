"""What every quoting model reads and returns."""

from __future__ import annotations

import msgspec


class Arrivals(msgspec.Struct, frozen=True):
    """How often trades reach a quote on one side: `rate * exp(-kappa * distance)` times a second.

    `rate` (the papers' A) is per second at distance 0, `kappa` per quote unit of distance from fair.
    """

    rate: float
    kappa: float


class Market(msgspec.Struct, frozen=True):
    """The measured market. `fair` in quote units, `sigma` in quote units per square-root second.

    `typical_sigma` is the slow average of sigma: gamma is solved against it, so that the skew is as asked in a usual
    market and grows when the market is wilder than usual. `bid` says how trades reach our bids (that is, sellers), `ask`
    how they reach our asks.
    """

    fair: float
    sigma: float
    typical_sigma: float
    bid: Arrivals
    ask: Arrivals
    tick_sigma: float = 0.0
    """A fraction, of the model `classic` alone."""


class Shape(msgspec.Struct, frozen=True):
    """Distances in quote units: bids begin at `fair - half_bid - skew_bid * q`, asks at `fair + half_ask - skew_ask * q`.

    q is the position beyond the target in units of one order, long > 0; `skew_*` is per unit of q and not negative, so a
    long position lowers both quotes. `gamma` is the risk aversion used, per quote unit, None where the model has none.
    """

    half_bid: float
    half_ask: float
    skew_bid: float
    skew_ask: float
    gamma: float | None = None
