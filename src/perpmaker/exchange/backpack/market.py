"""The second venue: what it lists, what it charges, and how its simulated market follows the first one's.

Ticks, steps and smallest sizes differ from GRVT's on purpose: a hedge has to round, and may fall below the minimum.
docs/explanation/two-venues.md has the figures, and the test that keeps them so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from perpmaker.exchange.core.fees import FeeTier
from perpmaker.exchange.core.floor import DAY_NS, VenueLimits
from perpmaker.exchange.core.instruments import Instrument, RiskBracket
from perpmaker.exchange.core.market.basis import BasisParameters, FollowedPrice, Reversion, RevertingPrice
from perpmaker.exchange.core.market.latent import Latent
from perpmaker.exchange.core.market.parameters import (
    IndexParameters,
    LadderParameters,
    MakerParameters,
    MarketParameters,
    TakerParameters,
    market_like_btc,
    with_activity,
)
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import NANO, Kind
from perpmaker.exchange.core.venue import Venue

SETTLE: Final = "USDC"
FEES: Final = FeeTier(1, 200, 500)
"""Maker 0.02 %, taker 0.05 %: the first tier of the venue's perpetuals as remembered [guess: the protocol page has no fees,
and ccxt 4.5.90 says "todo check commission"]."""

LIMITS: Final = VenueLimits(speed_bump_ns=0, plain_ids=True, max_signature_ns=40_000 * DAY_NS)
"""Orders arrive at once, live until they end, and are numbered in decimal."""
FOREVER_NS: Final = 36_500 * DAY_NS

_BRACKETS: Final = (RiskBracket(1, 0, None, 12_500, 20_000, 50, 0),)
"""One margin rate for every size: the page's `imfFunction` with a factor of 0."""


def _perpetual(base: str, number: int, tick: int, lot: int, min_lots: int, start: int) -> Instrument:
    return Instrument(
        name=f"{base}_{SETTLE}_PERP",
        asset_id=number,
        base=base,
        quote=SETTLE,
        tick_nano=tick,
        lot_nano=lot,
        min_notional_nano=0,
        max_position_lots=1_000_000,
        start_px_nano=start * NANO,
        brackets=_BRACKETS,
        funding_interval_hours=1,
        funding_cap_cb=1_000,
        funding_floor_cb=-1_000,
        min_lots=min_lots,
        guess=True,
    )


RATE: Final = Instrument(
    name="USDT_USDC",
    asset_id=4,
    base="USDT",
    quote=SETTLE,
    tick_nano=NANO // 100_000,
    lot_nano=NANO,
    min_notional_nano=0,
    max_position_lots=100_000_000,
    start_px_nano=NANO * 9_998 // 10_000,
    brackets=_BRACKETS,
    kind=Kind.SPOT,
    guess=True,
)
"""The conversion: what one USDT costs in USDC, as a spot market with quotes and trades of its own. It takes no orders."""

INSTRUMENTS: Final = (
    _perpetual("BTC", 1, tick=NANO // 2, lot=NANO // 10_000, min_lots=2, start=60_000),
    _perpetual("ETH", 2, tick=NANO // 20, lot=NANO // 1_000, min_lots=20, start=2_600),
    _perpetual("SOL", 3, tick=NANO // 50, lot=NANO, min_lots=1, start=150),
    RATE,
)
LEADERS: Final = {
    "BTC_USDC_PERP": "BTC_USDT_Perp",
    "ETH_USDC_PERP": "ETH_USDT_Perp",
    "SOL_USDC_PERP": "SOL_USDT_Perp",
}
"""Whose latent price each perpetual follows."""

BASIS: Final = BasisParameters(
    noise=Reversion(sd_bps=2.8, half_life_s=45.0), drift=Reversion(sd_bps=2.0, half_life_s=1_200.0)
)
PEG: Final = Reversion(sd_bps=1.5, half_life_s=1_800.0, mean_bps=-2.0)
"""The logarithm of the conversion: around 0.9998, within some 3 bps of it."""


def _thin(tick_bps: float, volatility: float, size: float, premium_bps: float) -> MarketParameters:
    """A market half as busy as GRVT's, whose sweeps push the basis alone and little."""
    market = market_like_btc(tick_bps=tick_bps, volatility=volatility, size=size)
    return msgspec.structs.replace(
        with_activity(market, 0.5),
        takers=msgspec.structs.replace(with_activity(market, 0.5).takers, sweep_impact=0.06),
        index=IndexParameters(premium_mean_bps=premium_bps, premium_sd_bps=0.8),
    )


MARKETS: Final[Mapping[str, MarketParameters]] = {
    "BTC_USDC_PERP": _thin(0.08, 1.0, 0.5, premium_bps=5.6),
    "ETH_USDC_PERP": _thin(0.19, 1.15, 0.4, premium_bps=-5.4),
    "SOL_USDC_PERP": _thin(1.33, 1.3, 0.3, premium_bps=0.5),
    RATE.name: MarketParameters(
        makers=MakerParameters(
            touch_makers=2,
            touch_wake_s=1.0,
            view_noise_bps=0.05,
            view_memory_s=5.0,
            tolerance_bps=0.08,
            touch_usd=20_000.0,
            touch_size_sigma=1.0,
            ladders=(LadderParameters(distances_bps=(0.2, 0.4, 0.8, 1.6, 3.2), wake_s=2.0, usd_per_bps=50_000.0),),
        ),
        takers=TakerParameters(
            size_usd=2_000.0,
            size_sigma=1.2,
            noise_per_s=0.3,
            noise_reach_bps=0.11,
            sweep_per_s=0.02,
            sweep_reach_bps=0.5,
            sweep_impact=0.02,
            informed_wake_s=2.0,
            informed_edge_bps=0.15,
            momentum_wake_s=10.0,
            momentum_chance=0.0,
        ),
        index=IndexParameters(noise_bps=0.01, premium_mean_bps=0.0, premium_sd_bps=0.0),
    ),
}
"""The premium decides on funding: BTC's longs pay, ETH's are paid, SOL's pay the interest alone."""


def following_market(
    venue: Venue, leading: Venue, leader: SimulatedMarket, *, seed: int, activity: float = 1.0
) -> SimulatedMarket:
    """Return the second venue's market: each perpetual follows the leader's latent price, at the conversion's rate."""
    now_ns = venue.now_ns
    rate_start = _index(venue, RATE.name)
    mean_bps = PEG.mean_bps - _bps(rate_start)
    rng = Rng(seed).split("second venue")
    rate = RevertingPrice(msgspec.structs.replace(PEG, mean_bps=mean_bps), rng.split(RATE.name), now_ns)

    def latent_of(instrument: Instrument, own: Rng) -> Latent | None:
        name = LEADERS.get(instrument.name)
        if name is None:
            return rate if instrument.name == RATE.name else None
        start_bps = _bps(_index(leading, name) * rate_start / _index(venue, instrument.name))
        return FollowedPrice(leader.latent(name), rate, BASIS, own.split("basis"), now_ns, start_bps=start_bps)

    markets = {name: with_activity(market, activity) for name, market in MARKETS.items()}
    return SimulatedMarket(venue, seed=rng.u64(), markets=markets, latent_of=latent_of)


def rate_market(venue: Venue, *, seed: int) -> SimulatedMarket:
    """Return what moves the conversion rate alone, for a venue whose perpetuals are played from tapes."""
    rng = Rng(seed).split("second venue")
    mean_bps = PEG.mean_bps - _bps(_index(venue, RATE.name))
    rate = RevertingPrice(msgspec.structs.replace(PEG, mean_bps=mean_bps), rng.split(RATE.name), venue.now_ns)
    return SimulatedMarket(
        venue, seed=rng.u64(), markets=MARKETS, latent_of=lambda instrument, own: rate, instruments=[RATE]
    )


def _index(venue: Venue, name: str) -> float:
    return venue.ticker(name).index_nano / NANO


def _bps(ratio: float) -> float:
    return 1e4 * math.log(ratio)
