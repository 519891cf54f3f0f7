"""Four kinds of simulated market and their days: one seed, one day, the same bytes each time.

Every kind is the practice exchange's market of BTC (docs/explanation/simulated-market.md) with few numbers changed. The
spread is a tick wide, informed traders take what is late, sweeps partly come back.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from perpmaker.exchange.core.instruments import BTC, Instrument
from perpmaker.exchange.core.market.parameters import (
    IndexParameters,
    MarketParameters,
)
from perpmaker.model.units import NS_PER_S
from perpmaker.research.simulated_tape import simulate

HOURS: Final = 1.0
"""Length of a day here, unless told otherwise."""
BOOK_NS: Final = NS_PER_S
"""How often book changes are told: the slowest of GRVT's streams. Trades are told one by one."""


class Kind(NamedTuple):
    """A kind of market, its instrument, and what it is in words."""

    market: MarketParameters
    instrument: Instrument
    words: str


def _market(*, pace: float, sweeps: float = 1.0, **latent: float | tuple[float, ...]) -> MarketParameters:
    """BTC's market with takers `pace` times as frequent, sweeps reaching `sweeps` times as far, and another latent price.

    Fewer sweeps move the price less, and nothing makes up for it: a day is as quiet as most real ones. Makers look half as
    often, which books told once a second do not show.
    """
    usual = MarketParameters()
    makers, takers = usual.makers, usual.takers
    ladders = tuple(msgspec.structs.replace(ladder, wake_s=2 * ladder.wake_s) for ladder in makers.ladders)
    return MarketParameters(
        latent=msgspec.structs.replace(usual.latent, **latent),
        makers=msgspec.structs.replace(makers, touch_wake_s=2 * makers.touch_wake_s, ladders=ladders),
        takers=msgspec.structs.replace(
            takers,
            noise_per_s=takers.noise_per_s * pace,
            sweep_per_s=takers.sweep_per_s * pace,
            sweep_reach_bps=takers.sweep_reach_bps * sweeps,
            momentum_chance=takers.momentum_chance * pace,
        ),
        index=IndexParameters(every_s=1.0),
    )


KINDS: Final[dict[str, Kind]] = {
    "trending": Kind(
        _market(pace=0.15, sigma_bps=0.25, news_per_s=0.02, drift_bps_per_s=0.03, drift_dwell_s=1_200.0),
        BTC,
        "drifts 1.8 bps a minute, the direction drawn anew every 20 minutes on average",
    ),
    "ranging": Kind(
        _market(pace=0.15, sigma_bps=0.25, news_per_s=0.02, reversion_s=300.0),
        BTC,
        "goes back to where it started with a time constant of 5 minutes",
    ),
    "volatile": Kind(
        _market(pace=0.2, sweeps=1.5, sigma_bps=0.7, regime_factors=(0.5, 1.0, 2.5), news_per_s=0.04, news_bps=4.0),
        BTC,
        "two to three times as wild, in bursts, with jumps of 4 bps",
    ),
    "thin": Kind(
        _market(pace=0.05, sigma_bps=0.25, news_per_s=0.02),
        msgspec.structs.replace(BTC, tick_nano=10 * BTC.tick_nano),
        "a third of the trades of the others, a tick of 0.17 bps",
    ),
}


def write_day(path: Path, kind: str, seed: int, hours: float = HOURS) -> None:
    """Write a day's tape, whole or not at all, unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    market, instrument, _ = KINDS[kind]
    part = path.with_name(f"{path.stem}.{os.getpid()}.tape")
    part.unlink(missing_ok=True)
    simulate(
        part,
        duration_ns=math.floor(hours * 3600) * NS_PER_S,
        seed=seed,
        instruments=(instrument,),
        markets={instrument.name: market},
        book_ns=BOOK_NS,
    )
    part.rename(path)
