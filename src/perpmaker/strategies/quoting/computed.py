"""The presets tight, normal and wide: keys of a market maker computed from a measured market and its fees.

A quote that stands for t seconds is wrong by about σ √t when it is taken: that, half the market's own spread, and what a
fill costs, whichever is largest, is how near it may stand. tight, normal and wide differ in t and in the least edge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

PresetName = Literal["tight", "normal", "wide"]
PRESETS: Final[tuple[PresetName, ...]] = ("tight", "normal", "wide")
MAX_DISTANCE_BPS: Final = 90.0
"""What the maker itself keeps to, inside the price collar of 100 bps."""
_SKEW_SHARE: Final = 16.0
_SKEW_MOST_BPS: Final = 40.0
"""A full position of some 16 orders moves the quotes by a half-spread an order, within what was measured to pay
(docs/explanation/strategies-measured.md); in markets so wide that this is little, by one and a half half-spreads."""
_SKEW_WIDE_SHARE: Final = 1.5


class Measured(msgspec.Struct, frozen=True):
    """A market. `sigma_bps` per square-root second, `spread_bps` mean, `tick_bps` of px, `maker_fee_bps` > 0 a cost."""

    px: float
    tick_bps: float
    sigma_bps: float
    spread_bps: float
    maker_fee_bps: float
    min_notional: float
    sources: Mapping[str, str]
    """Where px, sigma, spread, fee and rules came from, in words."""


class Standing(msgspec.Struct, frozen=True):
    """What tells the presets apart."""

    stands_s: float
    min_edge_bps: float
    layers: int
    cool_down_s: float


STANDINGS: Final[Mapping[PresetName, Standing]] = {
    "tight": Standing(stands_s=1.0, min_edge_bps=0.25, layers=3, cool_down_s=1.0),
    "normal": Standing(stands_s=4.0, min_edge_bps=0.5, layers=5, cool_down_s=2.0),
    "wide": Standing(stands_s=16.0, min_edge_bps=1.0, layers=7, cool_down_s=5.0),
}


class Computed(msgspec.Struct, frozen=True):
    """Keys of `[strategy.quoting]` and, for each that was computed, the sentence that says how."""

    half_spread_bps: float
    """The least half-spread: `min_half_spread_bps`, and what an untested market begins with."""
    keys: Mapping[str, float | int | str]
    why: Mapping[str, str]


def compute(preset: PresetName, market: Measured) -> Computed:
    """Return the keys of a preset; ValueError when the market is too wild for any quote within the maker's reach."""
    standing = STANDINGS[preset]
    moved_bps = market.sigma_bps * math.sqrt(standing.stands_s)
    floors = {
        f"the move of {standing.stands_s:g} s, {market.sigma_bps:.3g} x √{standing.stands_s:g}": moved_bps,
        f"half the market's spread of {market.spread_bps:.3g} bps": market.spread_bps / 2,
        f"maker fee {market.maker_fee_bps:g} + edge {standing.min_edge_bps:g} bps": market.maker_fee_bps
        + standing.min_edge_bps,
        f"one tick, {market.tick_bps:.3g} bps": market.tick_bps,
    }
    rule = max(floors, key=lambda name: floors[name])
    half_bps = rounded_up(floors[rule])
    spacing_bps = rounded_up(max(moved_bps, market.tick_bps, half_bps / 2))
    skew_bps = rounded_up(min(_SKEW_SHARE * half_bps, max(_SKEW_MOST_BPS, _SKEW_WIDE_SHARE * half_bps)))
    reach_bps = MAX_DISTANCE_BPS - half_bps - skew_bps
    if reach_bps <= 0:
        raise ValueError(
            f"a half-spread of {half_bps:g} bps ({rule}) with its skew of {skew_bps:g} bps is beyond the "
            f"{MAX_DISTANCE_BPS:g} bps a quote may be away; choose a tighter preset or another instrument"
        )
    layers = max(1, min(standing.layers, 1 + int(reach_bps / spacing_bps * 0.999)))
    return Computed(
        half_spread_bps=half_bps,
        keys={
            "model": "glft",
            "min_half_spread_bps": half_bps,
            "min_edge_bps": standing.min_edge_bps,
            "skew_bps_at_max_position": skew_bps,
            "layers": layers,
            "layer_spacing_bps": spacing_bps,
            "cool_down_s": standing.cool_down_s,
        },
        why={
            "model": "half-spread and skew from the measured volatility and arrivals; never nearer than the next key",
            "min_half_spread_bps": f"the largest of four: {rule}",
            "min_edge_bps": "half-spread never less than the maker fee plus this",
            "skew_bps_at_max_position": f"{_SKEW_SHARE:g} half-spreads, {_SKEW_MOST_BPS:g} bps at most (or "
            f"{_SKEW_WIDE_SHARE:g} half-spreads): a full position moves both quotes by this",
            "layers": "quotes a side"
            if layers == standing.layers
            else f"quotes a side; fewer than {standing.layers}: all within {MAX_DISTANCE_BPS:g} bps",
            "layer_spacing_bps": "between layers: that move again, or half the half-spread",
            "cool_down_s": "a side rests this long after a fill",
        },
    )


def rounded_up(value: float) -> float:
    """Return three digits of a value > 0, never below it, so that no floor is undercut by rounding."""
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / step - 1e-9) * step:.3g}")
