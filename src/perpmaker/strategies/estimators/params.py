"""The keys of `[strategy.estimates]`, with the defaults of REQUIREMENTS §4."""

from __future__ import annotations

from typing import Annotated

from perpmaker.strategies.estimators.volatility import SigmaSource
from perpmaker.strategies.schema import Table, key


class EstimateParams(Table, frozen=True, kw_only=True):
    """How long to look before the estimates are believed, and how fast they forget."""

    warm_up_s: Annotated[float, key("s", "Until the market was seen this long, quote the warm-up spread.", ge=0)] = 60.0
    warm_up_trades: Annotated[int, key("", "Until this many trades came on each side, likewise.", ge=0)] = 50
    warm_up_half_spread_bps: Annotated[
        float, key("bps", "Fixed half-spread while warming up or when estimates are stale.", gt=0, le=1000)
    ] = 3.0
    sigma_from: Annotated[
        SigmaSource,
        key("", "larger: the larger of the EWMA of one-second moves and one-minute ranges; or one measure alone."),
    ] = "larger"
    sigma_half_life_s: Annotated[
        float, key("s", "Weights of one-second moves in sigma halve in this time.", ge=5, le=86_400)
    ] = 60.0
    typical_half_life_s: Annotated[
        float, key("s", "The same for the typical sigma, against which gamma is solved.", ge=60, le=604_800)
    ] = 1800.0
    arrival_interval_s: Annotated[
        float, key("s", "How deep trades reach is measured per interval of this length.", ge=0.1, le=60)
    ] = 1.0
    arrival_window_s: Annotated[float, key("s", "How far back A and kappa look.", ge=60, le=86_400)] = 600.0
    stale_s: Annotated[
        float, key("s", "Without a trade on a side for this long, its A and kappa are not believed.", ge=10)
    ] = 120.0
