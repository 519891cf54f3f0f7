"""What was tried on the tuning days: for our default, and for what a peer leaves to its user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.strategies.contestants import CONTESTANTS, Contestant

TRIED: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "glft": (
        {"skew_bps_at_max_position": 15},
        {"skew_bps_at_max_position": 40},
        {"skew_bps_at_max_position": 15, "min_half_spread_bps": 2},
        {"skew_bps_at_max_position": 15, "layers": 2, "layer_spacing_bps": 3},
    ),
    "hummingbot_pure": (
        {"bid_spread": 0.02, "ask_spread": 0.02},
        {"bid_spread": 0.1, "ask_spread": 0.1},
        {"order_refresh_time": 10},
        {"order_refresh_time": 60},
    ),
    "hummingbot_avellaneda": ({"order_refresh_time": 5}, {"order_refresh_time": 30}),
}


def variants() -> list[Contestant]:
    """Return each contestant that was tuned, and its variants by what they change."""
    found = []
    for one in CONTESTANTS:
        if one.name in TRIED:
            found.append(one)
            found += [_varied(one, changes) for changes in TRIED[one.name]]
    return found


def _varied(one: Contestant, changes: Mapping[str, Any]) -> Contestant:
    name = f"{one.name} {' '.join(f'{key}={value}' for key, value in changes.items())}"
    if "quoting" in one.keys:
        return Contestant(name, one.whose, {**one.keys, "quoting": {**one.keys["quoting"], **changes}})
    return Contestant(name, one.whose, {**one.keys, **changes})
