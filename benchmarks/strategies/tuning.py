"""What was tried on the tuning days: for our default, and for what a peer leaves to its user."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from benchmarks.strategies.contestants import CONTESTANTS, Contestant

TRIED: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "glft": (
        {"skew_bps_at_max_position": 5},
        {"skew_bps_at_max_position": 15},
        {"skew_bps_at_max_position": 40},
        {"skew_bps_at_max_position": 40, "layers": 1},
        {"skew_bps_at_max_position": 40, "layers": 5, "layer_spacing_bps": Decimal("1.5")},
    ),
    "hummingbot_pure": (
        {"bid_spread": 0.05, "ask_spread": 0.05},
        {"bid_spread": 0.02, "ask_spread": 0.02},
        {"bid_spread": 0.02, "ask_spread": 0.02, "order_refresh_time": 60},
        {"bid_spread": 0.02, "ask_spread": 0.02, "order_refresh_time": 10},
        {"bid_spread": 0.01, "ask_spread": 0.01},
    ),
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
