"""Known values of the published formulas, and what the shapes around them promise."""

from __future__ import annotations

import math
from typing import Any

import pytest

from perpmaker.strategies.quoting import avellaneda_stoikov, glft
from perpmaker.strategies.quoting.fixed import fixed_shape
from perpmaker.strategies.quoting.models import MODELS, floored, half_spread_floor
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.shape import Arrivals, Market, Shape
from perpmaker.strategies.quoting.volatility import volatility_shape

BTC = Market(
    fair=60_000.0,
    sigma=8.4,
    typical_sigma=8.4,
    bid=Arrivals(rate=1.5, kappa=0.2),
    ask=Arrivals(rate=1.2, kappa=0.25),
)


def test_the_paper_s_example_of_avellaneda_and_stoikov() -> None:
    r = avellaneda_stoikov.reservation_px(100.0, 1.0, 0.1, 2.0, 1.0)
    delta = avellaneda_stoikov.spread(0.1, 2.0, 1.5, 1.0)
    assert r == pytest.approx(99.60, abs=1e-9)
    assert delta == pytest.approx(1.690770, abs=1e-6)
    assert (r - delta / 2, r + delta / 2) == pytest.approx((98.75461, 100.44539), abs=1e-5)


@pytest.mark.parametrize(("gamma", "spread"), [(0.1, 1.49), (0.01, 1.35)])
def test_the_mean_spreads_of_the_papers_simulations(gamma: float, spread: float) -> None:
    """Avellaneda and Stoikov (2008), section 3.3: s 100, T 1, sigma 2, k 1.5; the mean over the day is that at its half."""
    steps = [(step + 0.5) / 200 for step in range(200)]
    mean = sum(avellaneda_stoikov.spread(gamma, 2.0, 1.5, left) for left in steps) / 200
    assert mean == pytest.approx(spread, abs=5e-3)


def test_hand_computed_values_of_every_model() -> None:
    """On fair 50,000, sigma 10, A 1, kappa 0.1 for both sides, gamma 0.002, tau 60, q_max 20, worked out with 40 digits."""
    arrivals = Arrivals(rate=1.0, kappa=0.1)
    market = Market(fair=50_000.0, sigma=10.0, typical_sigma=10.0, bid=arrivals, ask=arrivals, tick_sigma=1e-4)
    given = {"gamma": 0.002, "half_spread_bps": 4.0, "vol_mult": 2.0, "horizon_s": 60.0}
    given["skew_bps_at_max_position"] = 5.0
    expected = {
        "fixed": (20.0, 1.25),
        "volatility": (20.0, 1.25),
        "avellaneda_stoikov": (15.901314, 12.0),
        "glft": (10.729779, 1.656931),
    }
    for model, (half, skew) in expected.items():
        shape = MODELS[model].shape(market, QuotingParams(model=model, **given), 20.0)  # type: ignore[arg-type]
        assert (shape.half_bid, shape.half_ask) == pytest.approx((half, half), rel=1e-5), model
        assert (shape.skew_bid, shape.skew_ask) == pytest.approx((skew, skew), rel=1e-5), model
    classic = MODELS["classic"].shape(market, QuotingParams(model="classic", min_half_spread_bps=25.0), 20.0)
    assert classic.half_bid == pytest.approx(50_000 * 19.990 / 2 / 1e4, rel=1e-4)
    assert classic.skew_bid == pytest.approx(0.5 * 125 / 20)


def test_the_original_bots_spread_is_twenty_bps_in_every_market() -> None:
    def spread_bps(sigma: float, gamma: float) -> float:
        return avellaneda_stoikov.spread(gamma, sigma, 1000.0, 1.0) * 1e4

    assert spread_bps(1e-4, 1.0) == pytest.approx(19.990, abs=5e-4)
    assert spread_bps(1e-3, 1.0) == pytest.approx(19.990, abs=2e-2)
    assert spread_bps(1e-4, 10.0) < spread_bps(1e-4, 1.0)


def test_the_known_value_of_glft() -> None:
    c1 = glft.c1(0.5, 0.01)
    c2 = glft.c2(2.0, 0.5, 0.01, 0.01)
    assert c1 == pytest.approx(1.980263, abs=1e-6)
    assert c2 == pytest.approx(0.117163, abs=1e-6)
    assert c1 + 5.2 * c2 / 2 == pytest.approx(2.284886, abs=1e-6)
    assert 5.2 * c2 == pytest.approx(0.609246, abs=1e-6)


def test_the_shape_of_glft_is_its_formula() -> None:
    arrivals = Arrivals(rate=2.0, kappa=0.5)
    market = Market(fair=65_000.0, sigma=5.2, typical_sigma=1.0, bid=arrivals, ask=arrivals)
    shape = glft.glft_shape(market, gamma=0.01, xi=None, skew_bps_at_max=5.0, q_max=25.0)
    assert (shape.half_bid, shape.half_ask) == pytest.approx((2.284886, 2.284886), abs=1e-6)
    assert (shape.skew_bid, shape.skew_ask) == pytest.approx((0.609246, 0.609246), abs=1e-6)


def test_the_shape_of_avellaneda_and_stoikov_is_its_formula() -> None:
    arrivals = Arrivals(rate=0.0, kappa=1.5)
    market = Market(fair=100.0, sigma=2.0, typical_sigma=9.0, bid=arrivals, ask=arrivals)
    shape = avellaneda_stoikov.avellaneda_stoikov_shape(
        market, gamma=0.1, horizon_s=1.0, skew_bps_at_max=5.0, q_max=25.0
    )
    assert (shape.half_bid, shape.half_ask) == pytest.approx((1.690770 / 2, 1.690770 / 2), abs=1e-6)
    assert (shape.skew_bid, shape.skew_ask) == pytest.approx((0.4, 0.4), abs=1e-12)


def test_without_fill_risk_glft_is_cartea_and_jaimungal() -> None:
    assert glft.c1(0.5, 0.0) == 2.0
    assert glft.c2(2.0, 0.5, 0.01, 0.0) == pytest.approx(math.sqrt(0.01 * math.e / (2 * 2.0 * 0.5)))
    assert glft.c1(0.5, 1e-9) == pytest.approx(glft.c1(0.5, 0.0), rel=1e-8)
    assert glft.c2(2.0, 0.5, 0.01, 1e-9) == pytest.approx(glft.c2(2.0, 0.5, 0.01, 0.0), rel=1e-8)


def test_fixed_is_its_distance_of_fair_and_a_linear_skew() -> None:
    shape = fixed_shape(60_000.0, 5.0, 5.0, 10.0)
    assert shape == Shape(half_bid=30.0, half_ask=30.0, skew_bid=3.0, skew_ask=3.0)


def test_volatility_is_a_multiple_of_the_move_of_one_second() -> None:
    shape = volatility_shape(60_000.0, 8.0, 1.5, 5.0, 10.0)
    assert shape == Shape(half_bid=12.0, half_ask=12.0, skew_bid=3.0, skew_ask=3.0)


@pytest.mark.parametrize("model", ["glft", "avellaneda_stoikov"])
@pytest.mark.parametrize("xi", [None, 0.0, 0.05])
def test_gamma_is_solved_so_that_a_full_position_skews_as_asked(model: str, xi: float | None) -> None:
    params = QuotingParams(model=model, xi=xi, skew_bps_at_max_position=5.0)  # type: ignore[arg-type]
    shape = MODELS[model].shape(BTC, params, 25.0)
    assert (shape.skew_bid + shape.skew_ask) / 2 * 25 == pytest.approx(60_000 * 5e-4, rel=1e-9)


@pytest.mark.parametrize("model", ["glft", "avellaneda_stoikov"])
def test_the_solved_skew_grows_when_the_market_is_wilder_than_usual(model: str) -> None:
    wild = Market(fair=BTC.fair, sigma=2 * BTC.sigma, typical_sigma=BTC.sigma, bid=BTC.bid, ask=BTC.ask)
    params = QuotingParams(model=model)  # type: ignore[arg-type]
    calm_shape, wild_shape = (MODELS[model].shape(market, params, 25.0) for market in (BTC, wild))
    assert wild_shape.gamma == calm_shape.gamma
    assert wild_shape.skew_bid >= 2 * calm_shape.skew_bid
    assert wild_shape.half_bid > calm_shape.half_bid


@pytest.mark.parametrize("model", ["glft", "avellaneda_stoikov"])
def test_no_skew_asked_is_no_skew_and_no_risk_aversion(model: str) -> None:
    params = QuotingParams(model=model, skew_bps_at_max_position=0.0)  # type: ignore[arg-type]
    shape = MODELS[model].shape(BTC, params, 25.0)
    assert (shape.gamma, shape.skew_bid, shape.skew_ask) == (0.0, 0.0, 0.0)
    assert (shape.half_bid, shape.half_ask) == pytest.approx((1 / BTC.bid.kappa, 1 / BTC.ask.kappa))


def test_each_side_stands_by_its_own_arrivals() -> None:
    shape = MODELS["glft"].shape(BTC, QuotingParams(), 25.0)
    assert shape.half_bid > shape.half_ask


def _floor(**params: Any) -> tuple[float, str]:
    floor = half_spread_floor(QuotingParams(**params), 60_000.0, 0.1, -0.000001)
    return floor.half, floor.rule


def test_the_half_spread_is_never_less_than_fee_and_edge() -> None:
    half, rule = _floor(model="fixed", min_edge_bps=0.5)
    assert half == pytest.approx(60_000 * (0.5 - 0.01) / 1e4)
    assert rule == "maker fee -0.01 bps + min_edge_bps 0.5"


def test_the_half_spread_is_never_less_than_a_tick() -> None:
    assert _floor(model="fixed", min_edge_bps=0.0) == (0.1, "1 tick")


def test_a_computed_half_spread_has_a_floor_of_its_own() -> None:
    assert _floor(model="glft") == (6.0, "min_half_spread_bps = 1")


def test_the_floor_lifts_each_side_alone() -> None:
    floor = half_spread_floor(QuotingParams(), 60_000.0, 0.1, 0.0)
    shape = floored(Shape(half_bid=1.0, half_ask=9.0, skew_bid=0.5, skew_ask=0.6), floor)
    assert shape == Shape(half_bid=6.0, half_ask=9.0, skew_bid=0.5, skew_ask=0.6)
