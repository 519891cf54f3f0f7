"""Every key of the grid changes what it does, not only what it says: one case each, none left out."""

from __future__ import annotations

from typing import Any

import pytest

from perpmaker.strategies.registry import params_schema

from .grid_rig import GridRig, around

VOLATILE = around(spacing="volatility", count=6, volatility_mult=20)
LEFT = {"mode": "long", "out_of_range_s": 1}


def _session(keys: dict[str, Any]) -> list[Any]:
    """Start, walk through the lines and out at the top, and come back; return everything that was sent."""
    rig = GridRig(**keys).start()
    rig.run(5)
    if keys.get("spacing") == "volatility":
        rig.run(60)
    rig.walk(59_790, 60_010, 61_250, step=50.0)
    rig.run(4)
    rig.jump(60_500)
    rig.run(3)
    orders = [(order.px, order.qty, order.side) for order in sorted(rig.live(), key=lambda one: one.tag)]
    return [
        orders,
        rig.position,
        len(rig.orders),
        _algorithms(rig),
        _timers(rig),
    ]


def _algorithms(rig: GridRig) -> list[Any]:
    return [report.order.algorithm for report in rig.engine.executions.reports()]


def _timers(rig: GridRig) -> int:
    return sum(getattr(command, "key", "") == "strategy btc refresh" for command in rig.commands)


CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "mode": ({}, "short"),
    "lower_px": ({}, 58_000),
    "upper_px": ({}, 62_000),
    "centre_px": (around(), 60_100),
    "width_bps": (around(), 500),
    "count": ({}, 8),
    "spacing": ({}, "geometric"),
    "volatility_mult": (VOLATILE, 30),
    "volatility_s": (VOLATILE, 120),
    "density": ({}, 0.5),
    "order_notional": ({}, 300),
    "order_equity_frac": ({}, 0.05),
    "stop_loss": ({"mode": "long"}, 1),
    "min_profit_bps": ({}, 100),
    "assumed_maker_fee_bps": ({}, 60),
    "orders_per_side": ({}, 2),
    "max_distance_bps": ({}, 60),
    "seed": ({"mode": "long"}, False),
    "reseed": (LEFT, True),
    "seed_slippage_bps": ({"mode": "long"}, 3),
    "activate_above_px": ({}, 60_900),
    "activate_below_px": ({}, 59_900),
    "out_of_range": (LEFT, "trail"),
    "out_of_range_s": ({**LEFT, "out_of_range": "stop"}, 100),
    "refresh_interval_s": ({}, 5),
}


def test_every_key_of_the_grid_has_a_case() -> None:
    assert set(CASES) == {row.name for row in params_schema("grid")} - {"instrument"}


@pytest.mark.parametrize("name", CASES)
def test_the_key_changes_what_is_done(name: str) -> None:
    base, value = CASES[name]
    changed = _session(base) != _session({**base, name: value})
    assert changed, f"{name} = {value} changed nothing on {base}"
