from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from perpmaker.errors import ConfigError
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.registry import STRATEGIES, make_strategy, params_schema, parse_params, strategy_class
from perpmaker.strategies.schema import UNIT_SUFFIXES

BTC = "BTC_USDT_Perp"


def test_kinds_are_found_by_name() -> None:
    assert set(STRATEGIES) == {"market_maker", "skewed_maker", "pair", "cross_maker", "grid"}
    assert strategy_class("market_maker") is MarketMaker


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="kind = 'makret_maker'.*market_maker, skewed_maker"):
        strategy_class("makret_maker")


def test_the_market_makers_defaults_are_the_documented_ones() -> None:
    p = parse_params("market_maker", {"instrument": BTC})
    assert isinstance(p, MarketMakerParams)
    q, e = p.quoting, p.estimates
    assert (q.model, q.half_spread_bps, q.vol_mult, q.min_half_spread_bps) == ("glft", 5.0, 1.5, 1.0)
    assert (q.horizon_s, q.min_edge_bps, q.skew_bps_at_max_position) == (60.0, 0.5, 40.0)
    assert (q.layers, q.layer_spacing_bps, q.order_notional, q.target_position) == (7, 12.0, Decimal(200), Decimal(0))
    assert (q.cool_down_s, q.refresh_interval_s) == (2.0, 1.0)
    assert (e.warm_up_s, e.warm_up_trades, e.warm_up_half_spread_bps) == (60.0, 50, 3.0)


def test_every_problem_of_a_strategy_table_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params(
            "market_maker",
            {"instrument": BTC, "speed": 3, "quoting": {"gamma": -1, "half_spread_pct": 0.5, "model": "magic"}},
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("speed = 3: unknown key; known are instrument, preset, book_interval_ms, quoting")
    assert "quoting.gamma = -1: must be a number > 0, in 1 per quote currency" in lines


def test_a_ladder_deeper_than_its_bound_is_refused() -> None:
    with pytest.raises(ConfigError, match="quoting.layers = 9 with layer_spacing_bps = 12 reach 96 bps"):
        parse_params("market_maker", {"instrument": BTC, "quoting": {"layers": 9}})


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            {"quoting": {"model": "fixed", "half_spread_bps": 90}},
            "quoting.half_spread_bps = 90: must be less than max_distance_bps = 90",
        ),
        (
            {"quoting": {"min_half_spread_bps": 20, "max_distance_bps": 15, "layers": 1}},
            "quoting.min_half_spread_bps = 20: must be less than max_distance_bps = 15",
        ),
        ({"adapt": {"step_mult": 1.8, "max_mult": 1.5}}, "adapt.step_mult = 1.8: must be at most max_mult = 1.5"),
        ({"toxicity": {"bucket_notional": 0.01}}, "toxicity.bucket_notional = 0.01: must be a number >= 1"),
    ],
)
def test_keys_with_which_nothing_would_ever_happen_are_refused(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        parse_params("market_maker", {"instrument": BTC, **tables})


def test_a_made_strategy_has_its_parameters() -> None:
    strategy = make_strategy("skewed_maker", {"instrument": BTC, "qty": "0.01"})
    assert strategy.params.qty == Decimal("0.01")
    assert strategy.params.instrument == BTC


@pytest.mark.parametrize("kind", sorted(STRATEGIES))
def test_every_key_is_documented_and_names_its_unit(kind: str) -> None:
    for row in params_schema(kind):
        assert row.doc.endswith("."), row.name
        suffix = next((suffix for suffix in UNIT_SUFFIXES if row.name.endswith(suffix)), "")
        named = {"_bps": "bps", "_s": "s", "_ms": "ms"}.get(suffix)
        if named and not row.name.endswith("_per_s"):
            assert row.unit == named, row.name
