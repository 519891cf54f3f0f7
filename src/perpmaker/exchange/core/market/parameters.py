"""What a simulated market is made of, per instrument: every number of the flow, with its unit.

The defaults are tuned on BTC against six recorded minutes of the real market; docs/explanation/simulated-market.md has the
targets, what came out, and the test that keeps it so. Distances are basis points of the price, times seconds, amounts
quote currency.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

LEAST_ACTIVITY: Final = 0.1
MOST_ACTIVITY: Final = 2.0


class LatentParameters(msgspec.Struct, frozen=True):
    """The price that informed traders know and makers only see late and blurred."""

    sigma_bps: float = 0.6
    """Diffusion per square-root second while the regime's factor is 1; sweeps and news come on top."""
    regime_factors: tuple[float, ...] = (0.7, 1.0, 1.6)
    """Volatility of the regimes calm, usual and busy, as multiples of `sigma_bps`."""
    regime_dwell_s: tuple[float, ...] = (240.0, 240.0, 90.0)
    """Mean stay in each; the next is one of the others, equally likely."""
    relaxation_s: float = 20.0
    """Time constant with which volatility moves to its regime's level."""
    news_per_s: float = 0.06
    """Jumps without a trade."""
    news_bps: float = 1.2
    """Their standard deviation."""
    delay_s: float = 0.1
    """How old what makers see is: their way to the market and back."""
    drift_bps_per_s: float = 0.0
    """A trend's pace; its direction is drawn, and drawn anew after each `drift_dwell_s`. 0: no trend."""
    drift_dwell_s: float = 1_200.0
    """Mean time until a trend's direction is drawn anew."""
    reversion_s: float = 0.0
    """Time constant with which the price goes back to where it started: a range. 0: never."""


class LadderParameters(msgspec.Struct, frozen=True):
    """One maker of depth."""

    distances_bps: tuple[float, ...]
    """Of its orders from its view; each is drawn anew, within 15 %, whenever the order is placed."""
    wake_s: float = 0.4
    """Mean time between two looks."""
    usd_per_bps: float = 3_000.0
    """Median size of an order 1 bps away; it grows with the distance, and is no smaller nearer."""
    size_sigma: float = 1.5
    """Standard deviation of its logarithm."""
    tolerance: float = 0.35
    """An order is moved once its distance is off by this fraction."""
    refill_chance: float = 0.5
    """Chance per look that an order that was taken is replaced: a swept book heals over one or two looks."""


class MakerParameters(msgspec.Struct, frozen=True):
    """Competing touch makers and the ladders behind them."""

    touch_makers: int = 4
    touch_wake_s: float = 0.2
    """Mean time between two looks of one touch maker."""
    view_noise_bps: float = 0.25
    """Standard deviation of a maker's error about the latent price."""
    view_memory_s: float = 1.5
    """Time constant of that error."""
    touch_half_spread_bps: float = 0.02
    tolerance_bps: float = 0.12
    """A quote further from its wanted price than this is moved; one too aggressive by half of it, too."""
    touch_usd: float = 900.0
    """Median size of a quote at the touch."""
    touch_size_sigma: float = 2.1
    """Standard deviation of its logarithm."""
    gap_reaction_s: tuple[float, float] = (0.001, 0.004)
    """Shortest and longest time until some maker answers a spread wider than one tick."""
    ladders: tuple[LadderParameters, ...] = (
        LadderParameters(distances_bps=(0.1, 0.2, 0.4, 1.2, 3.5)),
        LadderParameters(
            distances_bps=tuple(11.0 * 1.07**rung for rung in range(32)), wake_s=1.5, usd_per_bps=800.0, tolerance=0.15
        ),
    )


class TakerParameters(msgspec.Struct, frozen=True):
    """Who takes. Sizes are log-normal: median in quote currency, sigma of the logarithm."""

    size_usd: float = 720.0
    size_sigma: float = 2.2
    noise_per_s: float = 1.0
    noise_reach_bps: float = 0.3
    """How far beyond the touch a noise taker goes."""
    noise_persistence: float = 0.65
    """Chance that a noise order has the side of the one before: parent orders cut into children."""
    noise_retail: float = 0.4
    """Share that comes from the venue's own pages and so may take RPI orders."""
    sweep_per_s: float = 0.68
    """Impatient orders that take everything up to a price."""
    sweep_reach_bps: float = 6.0
    """Root mean square (Rayleigh) reach of a sweep beyond the touch."""
    sweep_impact: float = 0.235
    """The latent price moves with a sweep by this times the geometric mean of its reach and `sweep_reach_bps`."""
    sweep_usd: float = 400_000.0
    """The most one sweep takes."""
    sweep_retail: float = 0.25
    informed_wake_s: float = 0.2
    informed_edge_bps: float = 0.5
    """An informed trader takes what is mispriced by more than this, up to half of it from the latent price."""
    informed_size: float = 3.0
    """Median size, in median trades."""
    momentum_wake_s: float = 0.5
    momentum_looks: int = 8
    """How many looks back the trend is measured over."""
    momentum_bps: float = 1.8
    momentum_chance: float = 0.25
    momentum_size: float = 2.0


class IndexParameters(msgspec.Struct, frozen=True):
    """The index the venue is told: the latent price less a slowly moving premium of the perpetual, and noise."""

    every_s: float = 0.2
    noise_bps: float = 0.05
    premium_mean_bps: float = 0.8
    premium_sd_bps: float = 1.5
    premium_memory_s: float = 1_800.0


class MarketParameters(msgspec.Struct, frozen=True):
    """One instrument's market."""

    latent: LatentParameters = LatentParameters()
    makers: MakerParameters = MakerParameters()
    takers: TakerParameters = TakerParameters()
    index: IndexParameters = IndexParameters()


def with_activity(market: MarketParameters, activity: float) -> MarketParameters:
    """Return the market with takers `activity` times as frequent, and all orders `activity` times as large.

    The price goes on moving as much: what fewer sweeps no longer move it by is added to its diffusion, and of more sweeps
    each moves it less.
    """
    if activity == 1.0:
        return market
    if not LEAST_ACTIVITY <= activity <= MOST_ACTIVITY:
        raise ValueError(f"activity must be from {LEAST_ACTIVITY} to {MOST_ACTIVITY}, not {activity}")
    latent, makers, takers = market.latent, market.makers, market.takers
    missing = max(0.0, 1.0 - activity) * sweep_variance_bps2_per_s(takers)
    return msgspec.structs.replace(
        market,
        latent=msgspec.structs.replace(latent, sigma_bps=math.sqrt(latent.sigma_bps**2 + missing)),
        makers=_resized(makers, activity),
        takers=msgspec.structs.replace(
            takers,
            size_usd=takers.size_usd * activity,
            noise_per_s=takers.noise_per_s * activity,
            sweep_per_s=takers.sweep_per_s * activity,
            sweep_impact=takers.sweep_impact / math.sqrt(max(1.0, activity)),
            sweep_usd=takers.sweep_usd * activity,
            informed_wake_s=takers.informed_wake_s / min(1.0, activity),
            momentum_chance=min(1.0, takers.momentum_chance * activity),
        ),
    )


def sweep_variance_bps2_per_s(takers: TakerParameters) -> float:
    """How much sweeps add to the variance of the latent price: rate x E[impact**2 x reach x sweep_reach_bps]."""
    mean_rayleigh = math.sqrt(math.pi) / 2
    return takers.sweep_per_s * mean_rayleigh * (takers.sweep_impact * takers.sweep_reach_bps) ** 2


def _resized(makers: MakerParameters, size: float) -> MakerParameters:
    ladders = tuple(msgspec.structs.replace(ladder, usd_per_bps=ladder.usd_per_bps * size) for ladder in makers.ladders)
    return msgspec.structs.replace(makers, touch_usd=makers.touch_usd * size, ladders=ladders)


def market_like_btc(*, tick_bps: float, volatility: float = 1.3, size: float = 0.45) -> MarketParameters:
    """Return BTC's market with its distances times `volatility` and its amounts times `size`.

    What happens at the touch is a matter of ticks once a tick is wide, so `tick_bps` bounds those distances from below.
    """
    latent, makers, takers = LatentParameters(), MakerParameters(), TakerParameters()
    return MarketParameters(
        latent=msgspec.structs.replace(
            latent, sigma_bps=latent.sigma_bps * volatility, news_bps=latent.news_bps * volatility
        ),
        makers=msgspec.structs.replace(
            _resized(makers, size),
            view_noise_bps=max(makers.view_noise_bps * volatility, 0.4 * tick_bps),
            tolerance_bps=max(makers.tolerance_bps * volatility, 0.5 * tick_bps),
        ),
        takers=msgspec.structs.replace(
            takers,
            size_usd=takers.size_usd * size,
            sweep_usd=takers.sweep_usd * size,
            sweep_reach_bps=takers.sweep_reach_bps * volatility,
            informed_edge_bps=max(takers.informed_edge_bps * volatility, 0.6 * tick_bps),
            momentum_bps=takers.momentum_bps * volatility,
            noise_reach_bps=max(takers.noise_reach_bps, 1.01 * tick_bps),
        ),
    )


DEFAULT_MARKETS: Final = {
    "BTC_USDT_Perp": MarketParameters(),
    "ETH_USDT_Perp": market_like_btc(tick_bps=0.04, volatility=1.15, size=0.75),
    "SOL_USDT_Perp": market_like_btc(tick_bps=0.67),
}
"""The listed instruments; another one gets a market like SOL's with ticks of its own (see `SimulatedMarket`)."""
