"""The presets tight, normal and wide: numbers worked out by hand, floors that hold, order between them."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from perpmaker.strategies.quoting.computed import MAX_DISTANCE_BPS, PRESETS, STANDINGS, Measured, compute, rounded_up
from perpmaker.strategies.registry import parse_params

BTC = Measured(
    px=60_000.0, tick_bps=0.0167, sigma_bps=0.8, spread_bps=0.02, maker_fee_bps=-0.01, min_notional=100.0, sources={}
)


def _with(**fields: Any) -> Measured:
    return msgspec.structs.replace(BTC, **fields)


def test_in_a_liquid_market_the_move_while_a_quote_stands_decides() -> None:
    assert [compute(name, BTC).half_spread_bps for name in PRESETS] == [0.8, 1.6, 3.2]
    keys = compute("normal", BTC).keys
    assert (keys["layer_spacing_bps"], keys["skew_bps_at_max_position"], keys["layers"]) == (1.6, 25.6, 5)
    assert "the move of 4 s, 0.8 x √4" in compute("normal", BTC).why["min_half_spread_bps"]


def test_in_a_wide_market_half_its_spread_decides() -> None:
    assert [compute(name, _with(spread_bps=12.0)).half_spread_bps for name in PRESETS] == [6, 6, 6]
    assert compute("tight", _with(spread_bps=12.0)).keys["layer_spacing_bps"] == 3


def test_a_full_position_leans_by_sixteen_half_spreads_within_what_was_measured() -> None:
    def skew(spread_bps: float) -> object:
        return compute("tight", _with(sigma_bps=0.01, spread_bps=spread_bps)).keys["skew_bps_at_max_position"]

    assert (skew(2.0), skew(10.0), skew(60.0)) == (16.0, 40.0, 45.0)


def test_the_fee_floor_is_respected() -> None:
    for name in PRESETS:
        made = compute(name, _with(sigma_bps=0.01, maker_fee_bps=2.0))
        assert made.half_spread_bps == pytest.approx(2 + STANDINGS[name].min_edge_bps)
        assert "maker fee 2 + edge" in made.why["min_half_spread_bps"]


def test_one_tick_is_respected() -> None:
    assert compute("tight", _with(sigma_bps=0.01, tick_bps=7.0)).half_spread_bps == 7


def test_wider_presets_are_nowhere_nearer() -> None:
    for sigma, spread, fee in itertools.product((0.05, 0.8, 4.0), (0.02, 5.0), (-0.01, 3.0)):
        market = _with(sigma_bps=sigma, spread_bps=spread, maker_fee_bps=fee)
        made = [compute(name, market) for name in PRESETS]
        for near, far in itertools.pairwise(made):
            for key in ("min_half_spread_bps", "layer_spacing_bps", "skew_bps_at_max_position", "cool_down_s"):
                assert near.keys[key] <= far.keys[key]  # type: ignore[operator]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("sigma", [0.001, 0.3, 2.0, 6.0])
def test_what_is_computed_is_a_configuration_within_reach(name: Any, sigma: float) -> None:
    made = compute(name, _with(sigma_bps=sigma))
    parse_params("market_maker", {"instrument": "BTC_USDT_Perp", "quoting": dict(made.keys)})
    keys = made.keys
    far = made.half_spread_bps + (int(keys["layers"]) - 1) * float(keys["layer_spacing_bps"])
    assert far + float(keys["skew_bps_at_max_position"]) <= MAX_DISTANCE_BPS
    assert set(made.why) == set(keys)


def test_too_wild_a_market_is_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match=r"a half-spread of 48 bps \(the move of 16 s.*choose a tighter preset"):
        compute("wide", _with(sigma_bps=12.0))


@pytest.mark.parametrize("value", [0.0123456, 1.0, 1.2345, 99.99, 123.4, 0.8])
def test_rounding_never_undercuts(value: float) -> None:
    assert value <= rounded_up(value) <= value * 1.011
