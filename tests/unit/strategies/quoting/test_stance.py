from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.estimators.arrivals import ArrivalFit
from perpmaker.strategies.estimators.market import Reading
from perpmaker.strategies.estimators.params import EstimateParams
from perpmaker.strategies.estimators.volatility import Sigma
from perpmaker.strategies.quoting.explain import explain_stance
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.stance import Conditions, Stance, measured_market, take_stance

NOW = 1_800_000_000 * NS_PER_S
FIT = ArrivalFit(rate=1.5, kappa_per_bps=0.5, r2=0.95, levels=8, intervals=600, as_of_ns=NOW - NS_PER_S)
READY = Reading(
    now_ns=NOW,
    observed_s=600.0,
    sigma=Sigma(sigma=1.4e-4, typical=1.2e-4, ewma=1.4e-4, parkinson=1.1e-4),
    bid=FIT,
    ask=msgspec.structs.replace(FIT, kappa_per_bps=0.4),
    trades_bid=700,
    trades_ask=800,
)
NEW = Reading(now_ns=NOW, observed_s=3.0, sigma=None, bid=None, ask=None, trades_bid=0, trades_ask=0)
CONDITIONS = Conditions(fair=60_000.0, tick=0.1, maker_fee=-1e-6, q_max=25.0)


def _stance(reading: Reading, **quoting: Any) -> Stance:
    return take_stance(QuotingParams(**quoting), EstimateParams(), reading, CONDITIONS)


def test_until_ready_it_quotes_the_fixed_warm_up_spread() -> None:
    stance = _stance(NEW)
    assert stance.warming_up
    assert stance.half_spread_bps == pytest.approx(3.0)
    assert stance.shape.skew_bid * 25 == pytest.approx(60_000 * 40e-4)
    assert stance.doubts


def test_the_fixed_model_needs_no_warm_up() -> None:
    stance = _stance(NEW, model="fixed")
    assert not stance.warming_up
    assert stance.half_spread_bps == pytest.approx(5.0)


def test_given_a_and_kappa_leave_only_sigma_to_wait_for() -> None:
    reading = msgspec.structs.replace(NEW, observed_s=60.0, sigma=READY.sigma)
    assert _stance(reading, arrivals_per_s=1.0).warming_up
    assert not _stance(reading, arrivals_per_s=1.0, kappa=0.1).warming_up
    assert not _stance(reading, model="avellaneda_stoikov", kappa=0.1).warming_up


def test_measurements_come_to_the_model_in_quote_units() -> None:
    market = measured_market(QuotingParams(), READY, 60_000.0)
    assert (market.sigma, market.typical_sigma) == pytest.approx((8.4, 7.2))
    assert (market.bid.rate, market.bid.kappa) == pytest.approx((1.5, 0.5 / 6.0))
    assert market.ask.kappa == pytest.approx(0.4 / 6.0)


def test_a_given_kappa_and_rate_replace_the_measured_ones() -> None:
    market = measured_market(QuotingParams(kappa=0.3, arrivals_per_s=2.0), READY, 60_000.0)
    assert (market.bid.rate, market.bid.kappa) == (market.ask.rate, market.ask.kappa) == (2.0, 0.3)


def test_a_half_spread_of_the_model_itself_names_no_floor() -> None:
    stance = _stance(READY)
    assert stance.floor_rule is None
    assert 2.0 < stance.half_spread_bps < 2.5


def test_a_half_spread_set_by_a_floor_names_it() -> None:
    stance = _stance(READY, min_half_spread_bps=6.0)
    assert stance.floor_rule == "min_half_spread_bps = 6"
    assert stance.half_spread_bps == pytest.approx(6.0)


def test_the_tolerance_is_a_quarter_of_the_half_spread_and_at_most_ten_bps() -> None:
    assert _stance(READY, model="fixed", half_spread_bps=8.0).tolerance_bps == pytest.approx(2.0)
    assert _stance(READY, model="fixed", half_spread_bps=100.0).tolerance_bps == 10.0


def test_a_given_tolerance_is_kept_under_half_the_half_spread() -> None:
    assert _stance(READY, model="fixed", half_spread_bps=3.0, tolerance_bps=0.7).tolerance_bps == 0.7
    assert _stance(READY, model="fixed", half_spread_bps=3.0, tolerance_bps=2.0).tolerance_bps == pytest.approx(1.5)


def test_the_explanation_has_units_quality_and_age() -> None:
    inputs = explain_stance(QuotingParams(), _stance(READY), READY, ())
    assert inputs["sigma"] == pytest.approx(8.4)
    assert inputs["sigma_bps"] == pytest.approx(1.4)
    assert (inputs["A_bid"], inputs["fit_r2_ask"], inputs["fit_age_s_bid"]) == (1.5, 0.95, 1.0)
    assert inputs["kappa_ask"] == pytest.approx(0.4 / 6.0)
    assert inputs["warming_up"] is False
    assert isinstance(inputs["gamma"], float)


def test_the_explanation_before_anything_is_known_says_so() -> None:
    inputs = explain_stance(QuotingParams(), _stance(NEW), NEW, ())
    assert inputs["warming_up"] is True
    assert inputs["sigma"] is inputs["A_bid"] is inputs["kappa_ask"] is None
    assert inputs["doubts"]


@pytest.mark.parametrize(
    ("q", "expected"), [(30.0, (59_994.0, 60_000.0)), (-30.0, (60_010.0, 60_016.0))], ids=["long", "short"]
)
def test_sides_that_lean_past_each_other_are_kept_apart_by_the_one_that_adds(
    q: float, expected: tuple[float, float]
) -> None:
    stance = _stance(READY, min_half_spread_bps=0.5, min_edge_bps=0)
    assert stance.least_spread == pytest.approx(6.0)
    assert stance.apart(60_010.0, 60_000.0, q) == pytest.approx(expected)
    assert stance.apart(59_990.0, 60_000.0, q) == (59_990.0, 60_000.0)
