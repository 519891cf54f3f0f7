from __future__ import annotations

from typing import Any

import pytest

from perpmaker.strategies.grid.idle import idle_keys

from .grid_rig import GridRig, around, params


@pytest.mark.parametrize(
    ("keys", "name", "reason"),
    [
        ({"width_bps": 100}, "width_bps", "lower_px and upper_px are given"),
        ({"centre_px": 60_100}, "centre_px", "lower_px and upper_px are given"),
        (around(spacing="volatility", width_bps=100), "width_bps", "spacing volatility finds its own width"),
        ({"volatility_mult": 3}, "volatility_mult", "spacing is arithmetic"),
        ({"spacing": "geometric", "volatility_s": 3}, "volatility_s", "spacing is geometric"),
        ({"order_equity_frac": 0.1, "order_notional": 300}, "order_notional", "order_equity_frac is given"),
        ({"seed": False}, "seed", "a neutral grid is not seeded"),
        ({"reseed": True}, "reseed", "a neutral grid is not seeded"),
        ({"out_of_range_s": 5}, "out_of_range_s", "out_of_range is hold"),
    ],
)
def test_a_key_that_nothing_reads_is_named_with_the_reason(keys: dict[str, Any], name: str, reason: str) -> None:
    assert [(one.name, one.text) for one in idle_keys(params(**keys))] == [(name, f"{name} is not read: {reason}")]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        around(width_bps=100, centre_px=60_100),
        around(spacing="volatility", volatility_mult=3, volatility_s=9),
        {"mode": "long", "seed": False},
        {"mode": "short", "reseed": True, "out_of_range": "stop", "out_of_range_s": 5, "order_notional": 300},
    ],
)
def test_what_is_read_is_not_named(keys: dict[str, Any]) -> None:
    assert idle_keys(params(**keys)) == ()


def test_a_grid_tells_at_its_start_what_has_no_effect_and_goes_on_showing_it() -> None:
    rig = GridRig(volatility_mult=3).start()
    (notice,) = rig.notices("parameters_inert")
    assert notice.fields["volatility_mult"] == "volatility_mult is not read: spacing is arithmetic"
    assert rig.explained["inert"] == ("volatility_mult is not read: spacing is arithmetic",)
    assert GridRig().start().notices("parameters_inert") == []
