from __future__ import annotations

import math
import random

import pytest

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.estimators.arrivals import (
    GRID_BPS,
    KAPPA_RANGE_PER_BPS,
    RATE_FLOOR,
    ArrivalEstimator,
    fit_exceedances,
)

START = 1_800_000_000 * NS_PER_S
MID = 60_000.0


def _px(beyond_bps: float) -> float:
    return MID * (1 + beyond_bps / 1e4)


def _exact_counts(rate: float, kappa: float, intervals: int) -> list[int]:
    return [round(intervals * -math.expm1(-rate * math.exp(-kappa * distance))) for distance in GRID_BPS]


def test_exact_exceedances_give_back_their_rate_and_kappa() -> None:
    fit = fit_exceedances(_exact_counts(1.5, 0.6, 1_000_000), 1_000_000, 1.0, START)
    assert fit is not None
    assert (fit.rate, fit.kappa_per_bps, fit.r2) == pytest.approx((1.5, 0.6, 1.0), rel=1e-3)


def test_the_rate_is_per_second_whatever_the_interval() -> None:
    fit = fit_exceedances(_exact_counts(1.5, 0.6, 1_000_000), 1_000_000, 0.5, START)
    assert fit is not None
    assert (fit.rate, fit.kappa_per_bps) == pytest.approx((3.0, 0.6), rel=1e-3)


def test_poisson_arrivals_are_estimated_on_each_side_apart() -> None:
    noise = random.Random(3)
    estimator = ArrivalEstimator(interval_s=1.0, window_s=600.0)
    arrivals = []
    for aggressor, rate, mean_bps in ((Side.BUY, 2.0, 1.0), (Side.SELL, 1.0, 2.5)):
        now = 0.0
        while (now := now + noise.expovariate(rate)) < 600:
            arrivals.append((now, aggressor, noise.expovariate(1 / mean_bps)))
    estimator.on_mid(START, MID)
    for at_s, aggressor, depth_bps in sorted(arrivals, key=lambda arrival: arrival[0]):
        now_ns = START + round(at_s * NS_PER_S)
        estimator.on_mid(now_ns, MID)
        estimator.on_trade(now_ns, _px(depth_bps if aggressor is Side.BUY else -depth_bps), aggressor)
    asks, bids = estimator.fit(Side.SELL), estimator.fit(Side.BUY)
    assert asks is not None
    assert bids is not None
    assert (asks.rate, asks.kappa_per_bps) == pytest.approx((2.0, 1.0), rel=0.2)
    assert (bids.rate, bids.kappa_per_bps) == pytest.approx((1.0, 0.4), rel=0.2)
    assert min(asks.r2, bids.r2) > 0.9
    assert estimator.trades(Side.SELL) > 1.5 * estimator.trades(Side.BUY)


def _reached(*trades: tuple[int, float, Side], until_ms: int) -> tuple[list[int], list[int]]:
    """Exceedance counts (bids, asks) after trades at (ms, bps beyond mid, aggressor) against a still mid."""
    estimator = ArrivalEstimator(interval_s=1.0, window_s=600.0)
    estimator.on_mid(START, MID)
    for at_ms, beyond_bps, aggressor in trades:
        estimator.on_trade(START + at_ms * NS_PER_MS, _px(beyond_bps), aggressor)
    estimator.on_mid(START + until_ms * NS_PER_MS, MID)
    return estimator.exceedances(Side.BUY), estimator.exceedances(Side.SELL)


def test_an_interval_counts_once_as_deep_as_its_deepest_trade() -> None:
    bids, asks = _reached((100, 0.6, Side.BUY), (200, 1.6, Side.BUY), (300, 0.3, Side.BUY), until_ms=1_000)
    assert asks == [1, 1, 1, 1, 1, *[0] * 10]
    assert sum(bids) == 0


def test_sellers_reach_bids() -> None:
    bids, asks = _reached((100, -0.6, Side.SELL), (1_200, -0.3, Side.SELL), until_ms=2_300)
    assert bids == [2, 1, *[0] * 13]
    assert sum(asks) == 0


def test_a_trade_on_the_wrong_side_of_the_first_mid_reaches_nothing() -> None:
    bids, asks = _reached((100, -0.6, Side.BUY), until_ms=1_000)
    assert sum(bids) == sum(asks) == 0


def test_depth_is_measured_from_the_mid_known_when_the_interval_began() -> None:
    estimator = ArrivalEstimator(interval_s=1.0, window_s=600.0)
    estimator.on_mid(START, MID)
    estimator.on_mid(START + 900 * NS_PER_MS, _px(2.0))
    estimator.on_mid(START + 1_100 * NS_PER_MS, _px(8.0))
    estimator.on_trade(START + 1_200 * NS_PER_MS, _px(2.3), Side.BUY)
    estimator.on_mid(START + 2_000 * NS_PER_MS, MID)
    assert sum(estimator.exceedances(Side.SELL)) == 1


def test_an_interval_without_any_event_is_evidence_of_no_arrivals() -> None:
    estimator = ArrivalEstimator(interval_s=1.0, window_s=600.0)
    estimator.on_mid(START, MID)
    estimator.on_mid(START + 3_500 * NS_PER_MS, MID)
    assert estimator.intervals(Side.BUY) == 3


def test_a_long_silence_is_no_evidence() -> None:
    estimator = ArrivalEstimator(interval_s=1.0, window_s=600.0)
    estimator.on_mid(START, MID)
    estimator.on_trade(START + 1, _px(3.1), Side.BUY)
    estimator.on_mid(START + 30 * NS_PER_S, MID)
    assert estimator.intervals(Side.SELL) == 0
    estimator.on_mid(START + 31 * NS_PER_S, MID)
    assert estimator.intervals(Side.SELL) == 1
    assert sum(estimator.exceedances(Side.SELL)) == 0


def test_a_gap_drops_the_running_interval_and_trades_are_ignored_until_a_mid() -> None:
    estimator = ArrivalEstimator(interval_s=1.0, window_s=600.0)
    estimator.on_mid(START, MID)
    estimator.on_trade(START + 1, _px(3.1), Side.BUY)
    estimator.on_gap()
    estimator.on_trade(START + 2, _px(3.1), Side.BUY)
    estimator.on_mid(START + 3, MID)
    estimator.on_mid(START + 3 + NS_PER_S, MID)
    assert sum(estimator.exceedances(Side.SELL)) == 0
    assert estimator.trades(Side.SELL) == 1


def test_the_window_forgets_old_intervals() -> None:
    estimator = ArrivalEstimator(interval_s=1.0, window_s=60.0)
    estimator.on_mid(START, MID)
    estimator.on_trade(START + 1, _px(3.1), Side.BUY)
    for second in range(1, 61):
        estimator.on_mid(START + second * NS_PER_S, MID)
    assert sum(estimator.exceedances(Side.SELL)) == 7
    estimator.on_mid(START + 61 * NS_PER_S, MID)
    assert sum(estimator.exceedances(Side.SELL)) == 0
    assert estimator.intervals(Side.SELL) == 60


def test_too_few_distances_reached_are_no_fit() -> None:
    assert fit_exceedances([0] * len(GRID_BPS), 600, 1.0, START) is None
    assert fit_exceedances([600, 600, *[0] * 13], 600, 1.0, START) is None
    assert fit_exceedances([9, 5, 2, *[0] * 12], 600, 1.0, START) is None


def test_arrivals_that_never_fade_stop_at_the_floor_of_kappa() -> None:
    fit = fit_exceedances([300] * len(GRID_BPS), 600, 1.0, START)
    assert fit is not None
    assert fit.kappa_per_bps == KAPPA_RANGE_PER_BPS[0]


def test_rare_arrivals_stop_at_the_floor_of_the_rate() -> None:
    fit = fit_exceedances([5, 5, 5, *[0] * 12], 86_400, 1.0, START)
    assert fit is not None
    assert fit.rate == RATE_FLOOR


def test_every_interval_reached_is_a_high_rate_not_an_infinite_one() -> None:
    fit = fit_exceedances([600, 600, 590, 500, 300, 100, *[0] * 9], 600, 1.0, START)
    assert fit is not None
    assert 0.5 < fit.rate < 50


def test_a_fit_is_as_old_as_its_newest_trade() -> None:
    fit = fit_exceedances(_exact_counts(1.5, 0.6, 600), 600, 1.0, START)
    assert fit is not None
    assert fit.age_s(START + 5 * NS_PER_S) == 5.0
