"""Estimates stay finite and inside their bounds whatever the market does."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.estimators.arrivals import GRID_BPS, KAPPA_RANGE_PER_BPS, RATE_FLOOR, ArrivalEstimator
from perpmaker.strategies.estimators.volatility import SIGMA_FLOOR, VolatilityEstimator

START = 1_800_000_000 * NS_PER_S

SEEDED = settings(derandomize=True, deadline=None, max_examples=200)

STEPS = st.lists(
    st.tuples(st.integers(0, 8_000), st.floats(-100, 100), st.sampled_from(["book", "buy", "sell", "gap"])),
    max_size=200,
)


@SEEDED
@given(STEPS)
def test_sigma_is_finite_and_over_its_floor(steps: list[tuple[int, float, str]]) -> None:
    estimator, now = VolatilityEstimator(half_life_s=60.0, typical_half_life_s=1800.0), START
    for wait_ms, bps, _ in steps:
        now += wait_ms * NS_PER_MS
        estimator.update(now, 60_000.0 * math.exp(bps / 1e4))
    sigma = estimator.sigma()
    if sigma is not None:
        assert SIGMA_FLOOR <= sigma.typical < math.inf
        assert max(SIGMA_FLOOR, sigma.ewma) <= sigma.sigma < math.inf
    assert 0 <= estimator.observed_s <= (now - START) / NS_PER_S


@SEEDED
@given(STEPS)
def test_exceedances_are_counted_exactly_over_the_window(steps: list[tuple[int, float, str]]) -> None:
    estimator, now = ArrivalEstimator(interval_s=1.0, window_s=60.0), START
    for wait_ms, bps, what in steps:
        now += wait_ms * NS_PER_MS
        px = 60_000.0 * (1 + bps / 1e4)
        if what == "book":
            estimator.on_mid(now, px)
        elif what == "gap":
            estimator.on_gap()
        else:
            estimator.on_trade(now, px, Side.BUY if what == "buy" else Side.SELL)
    for side in Side:
        counts = estimator.exceedances(side)
        assert counts == sorted(counts, reverse=True)
        assert len(counts) == len(GRID_BPS)
        assert all(0 <= count <= estimator.intervals(side) for count in counts)
        assert estimator.intervals(side) <= 60
        fit = estimator.fit(side)
        if fit is not None:
            assert RATE_FLOOR <= fit.rate < math.inf
            assert KAPPA_RANGE_PER_BPS[0] <= fit.kappa_per_bps <= KAPPA_RANGE_PER_BPS[1]
            assert 0.0 <= fit.r2 <= 1.0 + 1e-9
