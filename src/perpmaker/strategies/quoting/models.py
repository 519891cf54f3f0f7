"""The quoting models by name, what each reads, and the floors under all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.strategies.quoting.avellaneda_stoikov import avellaneda_stoikov_shape
from perpmaker.strategies.quoting.classic import GAMMA, KAPPA, classic_shape
from perpmaker.strategies.quoting.fixed import fixed_shape
from perpmaker.strategies.quoting.glft import glft_shape
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Market, Shape
from perpmaker.strategies.quoting.volatility import volatility_shape

ShapeOf = Callable[[Market, QuotingParams, float], Shape]
"""(market, parameters, q at the largest position) → shape."""


class Model(msgspec.Struct, frozen=True):
    """A quoting model: its function, the parameters it reads, and the measurements it needs."""

    shape: ShapeOf
    parameters: tuple[str, ...]
    measures_sigma: bool
    measures_rate: bool
    measures_kappa: bool

    def needs_arrivals(self, params: QuotingParams) -> bool:
        """Whether arrivals have to be measured: only for what the parameters do not give."""
        return (self.measures_rate and params.arrivals_per_s is None) or (self.measures_kappa and params.kappa is None)


def _fixed(market: Market, p: QuotingParams, q_max: float) -> Shape:
    return fixed_shape(market.fair, p.half_spread_bps, p.skew_bps_at_max_position, q_max)


def _volatility(market: Market, p: QuotingParams, q_max: float) -> Shape:
    return volatility_shape(market.fair, market.sigma, p.vol_mult, p.skew_bps_at_max_position, q_max)


def _avellaneda_stoikov(market: Market, p: QuotingParams, q_max: float) -> Shape:
    return avellaneda_stoikov_shape(
        market, gamma=p.gamma, horizon_s=p.horizon_s, skew_bps_at_max=p.skew_bps_at_max_position, q_max=q_max
    )


def _glft(market: Market, p: QuotingParams, q_max: float) -> Shape:
    return glft_shape(market, gamma=p.gamma, xi=p.xi, skew_bps_at_max=p.skew_bps_at_max_position, q_max=q_max)


def _classic(market: Market, p: QuotingParams, q_max: float) -> Shape:
    return classic_shape(
        market.fair,
        market.tick_sigma,
        gamma=GAMMA if p.gamma is None else p.gamma,
        kappa=KAPPA if p.kappa is None else p.kappa,
        least_half_bps=p.min_half_spread_bps,
        skew_factor=p.inventory_skew_factor,
        q_max=q_max,
    )


MODELS: Final[Mapping[str, Model]] = {
    "fixed": Model(
        shape=_fixed,
        parameters=("half_spread_bps", "skew_bps_at_max_position"),
        measures_sigma=False,
        measures_rate=False,
        measures_kappa=False,
    ),
    "classic": Model(
        shape=_classic,
        parameters=("gamma", "kappa", "min_half_spread_bps", "inventory_skew_factor"),
        measures_sigma=False,
        measures_rate=False,
        measures_kappa=False,
    ),
    "volatility": Model(
        shape=_volatility,
        parameters=("vol_mult", "skew_bps_at_max_position", "min_half_spread_bps"),
        measures_sigma=True,
        measures_rate=False,
        measures_kappa=False,
    ),
    "avellaneda_stoikov": Model(
        shape=_avellaneda_stoikov,
        parameters=("gamma", "skew_bps_at_max_position", "kappa", "horizon_s", "min_half_spread_bps"),
        measures_sigma=True,
        measures_rate=False,
        measures_kappa=True,
    ),
    "glft": Model(
        shape=_glft,
        parameters=("gamma", "skew_bps_at_max_position", "xi", "kappa", "arrivals_per_s", "min_half_spread_bps"),
        measures_sigma=True,
        measures_rate=True,
        measures_kappa=True,
    ),
}


class Floor(msgspec.Struct, frozen=True):
    """The least half-spread, in quote units, and the rule that set it, in words."""

    half: float
    rule: str


def fee_or_assumed(told: Decimal | None, assumed_bps: float) -> float:
    """Return a fee as a fraction of notional, > 0 a cost: what is assumed while nobody has told it."""
    return assumed_bps / 1e4 if told is None else float(told)


def half_spread_floor(p: QuotingParams, fair: float, tick: float, maker_fee: float) -> Floor:
    """Return the least half-spread that does not quote for less than costs.

    The largest of one tick, with `fee_floor` `maker_fee` (fraction of notional, > 0 a cost) plus `min_edge_bps`, and, under
    a model that computes its half-spread, `min_half_spread_bps`.
    """
    floors = [Floor(half=tick, rule="1 tick")]
    if p.fee_floor:
        costs = fair * (maker_fee + p.min_edge_bps / 1e4)
        floors.append(Floor(half=costs, rule=f"maker fee {maker_fee * 1e4:g} bps + min_edge_bps {p.min_edge_bps:g}"))
    if "min_half_spread_bps" in MODELS[p.model].parameters:
        floors.append(
            Floor(half=fair * p.min_half_spread_bps / 1e4, rule=f"min_half_spread_bps = {p.min_half_spread_bps:g}")
        )
    return max(floors, key=lambda floor: floor.half)


def floored(shape: Shape, floor: Floor) -> Shape:
    """Return the shape with neither half-spread under the floor."""
    return msgspec.structs.replace(
        shape, half_bid=max(shape.half_bid, floor.half), half_ask=max(shape.half_ask, floor.half)
    )
