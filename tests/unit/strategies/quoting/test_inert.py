from __future__ import annotations

from typing import Any

import msgspec

from perpmaker.strategies.quoting.inert import inert_parameters
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Arrivals, Market

BTC = Market(
    fair=60_000.0,
    sigma=8.4,
    typical_sigma=8.4,
    bid=Arrivals(rate=1.0, kappa=0.08),
    ask=Arrivals(rate=1.0, kappa=0.08),
)
RETURNS = Market(
    fair=1.0,
    sigma=1e-4,
    typical_sigma=1e-4,
    bid=Arrivals(rate=0.0, kappa=1000.0),
    ask=Arrivals(rate=0.0, kappa=1000.0),
)


def _inert(market: Market = BTC, *, tick: float = 0.1, q_max: float = 10.0, **params: Any) -> dict[str, str]:
    found = inert_parameters(
        QuotingParams(**params), market, q_max=q_max, tick=tick, maker_fee=0.0, quote_currency="USD"
    )
    assert len({inert.name for inert in found}) == len(found)
    return {inert.name: inert.text for inert in found}


def test_the_original_bots_numbers_are_named_one_by_one() -> None:
    found = _inert(RETURNS, tick=1e-6, model="avellaneda_stoikov", gamma=1.0, kappa=1000.0, min_edge_bps=0.0)
    assert found["spread"] == "kappa = 1000 per USD makes the spread 20.0 bps whatever the market"
    assert found["gamma"] == "gamma = 1 per USD does not matter now: halved or doubled, no quote moves"
    assert set(found) == {"spread", "gamma", "horizon_s"}


def test_a_floor_that_sets_the_spread_is_named_with_what_it_silences() -> None:
    steep = msgspec.structs.replace(BTC, bid=Arrivals(rate=1.0, kappa=1000.0), ask=Arrivals(rate=1.0, kappa=1000.0))
    found = _inert(steep, model="avellaneda_stoikov", gamma=1e-6, kappa=1000.0)
    assert found["spread"] == "min_half_spread_bps = 1 makes the spread 2.0 bps whatever the market"
    assert set(found) == {"spread", "gamma", "kappa", "horizon_s"}


def test_the_default_model_in_a_usual_market_has_no_inert_parameter() -> None:
    assert _inert() == {}


def test_a_given_gamma_silences_the_asked_skew() -> None:
    found = _inert(gamma=1e-3, skew_bps_at_max_position=9.0)
    assert found == {"skew_bps_at_max_position": "skew_bps_at_max_position = 9 is not read: gamma is given"}


def test_parameters_of_another_model_are_named() -> None:
    found = _inert(model="fixed", vol_mult=2.0, gamma=0.1, min_half_spread_bps=3.0)
    assert found == {
        "vol_mult": "vol_mult = 2 is not read by model fixed",
        "gamma": "gamma = 0.1 is not read by model fixed",
        "min_half_spread_bps": "min_half_spread_bps = 3 is not read by model fixed",
    }


def test_a_fixed_spread_under_its_costs_is_named() -> None:
    found = _inert(model="fixed", half_spread_bps=0.1)
    assert set(found) == {"half_spread_bps"}


def test_a_size_growth_without_a_growing_ladder_is_named() -> None:
    assert set(_inert(size_growth=2.0)) == {"size_growth"}
    assert _inert(size_growth=2.0, size_ladder="linear") == {}


def test_a_measured_kappa_is_no_parameter() -> None:
    assert "kappa" not in _inert(model="avellaneda_stoikov")


def test_the_floor_of_the_classic_preset_is_what_sets_its_spread() -> None:
    found = _inert(model="classic", gamma=1.0, kappa=1000.0, min_half_spread_bps=25.0, fee_floor=False)
    assert found["spread"] == "min_half_spread_bps = 25 makes the spread 50.0 bps whatever the market"
    assert set(found) == {"spread", "gamma", "kappa"}
