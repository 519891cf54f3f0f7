from __future__ import annotations

import math
import random

import pytest

from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.estimators.volatility import SIGMA_FLOOR, SigmaSource, VolatilityEstimator

START = 1_800_000_000 * NS_PER_S


def _estimator() -> VolatilityEstimator:
    return VolatilityEstimator(half_life_s=60.0, typical_half_life_s=1800.0)


def _walk(estimator: VolatilityEstimator, *, sigma: float, seconds: int, step_ms: int, start: int = START) -> int:
    """Feed a lognormal walk of `sigma` per square-root second seen every `step_ms`; return the time it ends."""
    noise = random.Random(7)
    px, now = 60_000.0, start
    for _ in range(seconds * 1000 // step_ms):
        now += step_ms * NS_PER_MS
        px *= math.exp(noise.gauss(0.0, sigma * math.sqrt(step_ms / 1000)))
        estimator.update(now, px)
    return now


def test_nothing_is_known_before_the_first_second_is_over() -> None:
    estimator = _estimator()
    estimator.update(START, 60_000.0)
    estimator.update(START + 999 * NS_PER_MS, 60_500.0)
    assert estimator.sigma() is None
    estimator.update(START + NS_PER_S, 60_500.0)
    assert estimator.sigma() is not None


def test_one_second_moves_are_their_root_mean_square() -> None:
    estimator = _estimator()
    for second in range(11):
        estimator.update(START + second * NS_PER_S, 60_000.0 * math.exp(1e-4 * (second % 2)))
    sigma = estimator.sigma()
    assert sigma is not None
    assert sigma.ewma == pytest.approx(1e-4)
    assert sigma.parkinson is None


@pytest.mark.parametrize("step_ms", [50, 1000, 2500])
def test_sigma_is_by_the_clock_however_often_the_price_is_seen(step_ms: int) -> None:
    estimator = _estimator()
    _walk(estimator, sigma=1.4e-4, seconds=900, step_ms=step_ms)
    sigma = estimator.sigma()
    assert sigma is not None
    assert sigma.ewma == pytest.approx(1.4e-4, rel=0.25)
    assert sigma.typical == pytest.approx(1.4e-4, rel=0.3)


def test_a_trend_inside_the_minute_shows_in_the_range() -> None:
    estimator = _estimator()
    for half_second in range(241):
        estimator.update(START + half_second * 500 * NS_PER_MS, 60_000.0 * math.exp(1e-5 * half_second))
    sigma = estimator.sigma()
    assert sigma is not None
    assert sigma.ewma == pytest.approx(2e-5)
    assert sigma.parkinson == pytest.approx(120e-5 / math.sqrt(4 * math.log(2) * 60), rel=1e-6)
    assert sigma.sigma == sigma.parkinson


def test_new_volatility_shows_at_once_and_in_the_typical_only_slowly() -> None:
    estimator = _estimator()
    now = _walk(estimator, sigma=1e-4, seconds=1800, step_ms=500)
    _walk(estimator, sigma=4e-4, seconds=120, step_ms=500, start=now)
    sigma = estimator.sigma()
    assert sigma is not None
    assert sigma.sigma > 2.5e-4
    assert sigma.typical < 1.8e-4


def test_a_jump_across_a_silence_is_not_volatility() -> None:
    estimator = _estimator()
    for second in range(30):
        estimator.update(START + second * NS_PER_S, 60_000.0)
    estimator.update(START + 60 * NS_PER_S, 63_000.0)
    estimator.update(START + 61 * NS_PER_S, 63_000.0)
    sigma = estimator.sigma()
    assert sigma is not None
    assert sigma.ewma == 0.0
    assert estimator.observed_s == 30.0


def test_a_still_market_has_the_floor() -> None:
    estimator = _estimator()
    for second in range(90):
        estimator.update(START + second * NS_PER_S, 60_000.0)
    sigma = estimator.sigma()
    assert sigma is not None
    assert (sigma.sigma, sigma.typical) == (SIGMA_FLOOR, SIGMA_FLOOR)


@pytest.mark.parametrize("source", ["larger", "ewma", "range", "stdev", "atr"])
def test_every_source_finds_the_sigma_of_a_walk(source: SigmaSource) -> None:
    estimator = VolatilityEstimator(half_life_s=300.0, typical_half_life_s=1800.0, source=source)
    _walk(estimator, sigma=1e-4, seconds=1800, step_ms=100)
    found = estimator.sigma()
    assert found is not None
    assert found.sigma == pytest.approx(1e-4, rel=0.4)


def test_before_its_source_has_seen_enough_sigma_is_the_ewma() -> None:
    for source in ("range", "atr"):
        estimator = VolatilityEstimator(half_life_s=60.0, typical_half_life_s=1800.0, source=source)  # type: ignore[arg-type]
        _walk(estimator, sigma=1e-4, seconds=30, step_ms=500)
        found = estimator.sigma()
        assert found is not None
        assert found.sigma == found.ewma
