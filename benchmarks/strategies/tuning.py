"""What was tried on the tuning days: for our default, and for what a peer leaves to its user."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from benchmarks.strategies.contestants import CONTESTANTS, Contestant

_SKEWS: Final = tuple({"min_half_spread_bps": 1, "skew_bps_at_max_position": skew} for skew in (5, 15, 40))

TRIED: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "glft": (
        *({"min_half_spread_bps": 1, "skew_bps_at_max_position": skew, "layers": 3} for skew in (5, 15, 40)),
        {"min_half_spread_bps": 1, "layers": 1},
        *(
            {"min_half_spread_bps": 1, "skew_bps_at_max_position": skew, "layer_spacing_bps": Decimal("1.5")}
            for skew in (5, 20, 40, 80)
        ),
        {"min_half_spread_bps": 1, "layer_spacing_bps": 1},
        {"min_half_spread_bps": 1, "layers": 8, "layer_spacing_bps": 1},
        *({"min_half_spread_bps": half} for half in (1, 3, 5, 8)),
        *({"min_half_spread_bps": 5, "layer_spacing_bps": spacing} for spacing in (1, 3)),
        *({"min_half_spread_bps": half, "skew_bps_at_max_position": 80} for half in (1, 3)),
    ),
    "avellaneda_stoikov": _SKEWS,
    "fixed": (*_SKEWS, {"skew_bps_at_max_position": 80}),
    "hummingbot_pure": (
        {"bid_spread": 0.05, "ask_spread": 0.05},
        {"bid_spread": 0.02, "ask_spread": 0.02},
        {"bid_spread": 0.02, "ask_spread": 0.02, "order_refresh_time": 60},
        {"bid_spread": 0.02, "ask_spread": 0.02, "order_refresh_time": 10},
        {"bid_spread": 0.01, "ask_spread": 0.01},
    ),
    "hftbacktest_glft": ({"gamma": 0.05}, {"gamma": 0.2}, {"gamma": 1.0}),
    "hummingbot_avellaneda": ({"order_refresh_time": 10}, {"order_refresh_time": 30}, {"order_refresh_time": 60}),
}


def variants() -> list[Contestant]:
    """Return the variants of each contestant that was tuned, by what they change."""
    found = []
    for one in CONTESTANTS:
        if one.name in TRIED:
            found += [_varied(one, changes) for changes in TRIED[one.name]]
    return found


def _varied(one: Contestant, changes: Mapping[str, Any]) -> Contestant:
    name = f"{one.name} {' '.join(f'{key}={value}' for key, value in changes.items())}"
    if "quoting" in one.keys:
        return Contestant(name, one.whose, {**one.keys, "quoting": {**one.keys["quoting"], **changes}})
    return Contestant(name, one.whose, {**one.keys, **changes})
