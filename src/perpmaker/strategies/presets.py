"""Named settings of a strategy, as data: what a configuration gives besides counts more than what the preset says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MARKET_MAKER: Final[Mapping[str, Mapping[str, Any]]] = {
    "simple": {
        "quoting": {
            "model": "fixed",
            "fair": "mid",
            "half_spread_bps": 5.0,
            "skew_bps_at_max_position": 0.0,
            "layers": 1,
            "tolerance_bps": 2.5,
        },
        "regime": {"filter": "none"},
        "funding": {"mult": 0.0},
        "markout": {"pull": False},
    },
    "classic": {
        "quoting": {
            "model": "classic",
            "fair": "mid",
            "gamma": 1.0,
            "kappa": 1000.0,
            "min_half_spread_bps": 25.0,
            "fee_floor": False,
            "inventory_skew_factor": 0.5,
            "layers": 7,
            "layer_spacing_bps": 12.0,
            "max_distance_bps": 99.0,
            "order_notional": 200,
            "tolerance_bps": 10.0,
            "replace": "all",
            "cool_down_s": 0.0,
        },
        "regime": {
            "filter": "bollinger",
            "latch": True,
            "latch_release_buy_rsi": 40.0,
            "latch_release_sell_rsi": 60.0,
            "latch_max_s": 0.0,
            "anchor": True,
            "anchor_loss_bps": 0.0,
            "anchor_signal_loss_bps": 50.0,
            "boost": True,
            "boost_near_bps": 5.0,
            "boost_far_bps": 10.0,
        },
        "funding": {"mult": 0.0},
        "markout": {"pull": False},
    },
}
"""simple: one bid, one ask, a fixed spread, replaced when the price has moved by more than half of it.
classic: the original bot (REQUIREMENTS §4). Its fill model and its maker fee of -1 bp are the simulation's to set."""


def with_preset(presets: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values laid over their preset; unchanged without one, or with one that is not known."""
    chosen = presets.get(str(values.get("preset", "")))
    return values if chosen is None else _laid_over(chosen, values)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    laid = dict(below)
    for name, value in above.items():
        under = laid.get(name)
        laid[name] = _laid_over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return laid
