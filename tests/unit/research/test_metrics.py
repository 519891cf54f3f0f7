"""Figures against hand-computed ones, and against the examples of the papers they come from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perpmaker.research import metrics
from perpmaker.research.metrics import NAN, Floats, Times

S = 1_000_000_000


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def times(*seconds: float) -> Times:
    return np.array([round(second * S) for second in seconds], dtype=np.int64)


def test_a_value_holds_until_the_next_and_is_unknown_before_the_first() -> None:
    found = metrics.last_at(times(10, 20), floats(1, 2), times(9, 10, 19.9, 20, 99))
    np.testing.assert_array_equal(found, floats(NAN, 1, 1, 2, 2))
    assert np.isnan(metrics.last_at(times(), floats(), times(1))).all()


def test_a_grid_ends_with_the_last_whole_step() -> None:
    np.testing.assert_array_equal(metrics.grid(5 * S, 11 * S, 2), times(5, 7, 9, 11))
    np.testing.assert_array_equal(metrics.grid(5 * S, 12 * S, 2), times(5, 7, 9, 11))


def test_returns_are_relative_to_the_equity_before() -> None:
    np.testing.assert_allclose(metrics.period_returns(floats(100, 110, 99)), floats(0.1, -0.1))


def test_returns_are_unknown_once_the_equity_is_gone() -> None:
    np.testing.assert_array_equal(np.isnan(metrics.period_returns(floats(100, 0, 50, 60))), [False, True, True])


def test_sharpe_is_mean_over_deviation_by_the_root_of_the_periods() -> None:
    # mean 0.02, deviations -0.02, 0, 0.02: sd = sqrt(0.0008 / 2) = 0.02; ratio 1; sqrt(365) a year
    assert metrics.sharpe(floats(0.0, 0.02, 0.04), 365) == pytest.approx(math.sqrt(365))


@pytest.mark.parametrize("returns", [floats(), floats(0.1), floats(0.1, 0.1), floats(0.1, NAN, 0.2)])
def test_sharpe_is_not_defined_without_deviation(returns: Floats) -> None:
    assert math.isnan(metrics.sharpe(returns, 365))


def test_sortino_counts_falls_alone_over_all_periods() -> None:
    # mean 0.01; falls -0.02 and -0.04: sqrt((0.0004 + 0.0016) / 4) = 0.0223607
    assert metrics.sortino(floats(0.06, -0.02, 0.04, -0.04), 1) == pytest.approx(0.01 / 0.02236068)
    assert math.isnan(metrics.sortino(floats(0.1, 0.2), 1))


def test_sortino_measures_from_its_target() -> None:
    # excess over 0.01: 0.02, -0.01; mean 0.005; sqrt(0.0001 / 2)
    assert metrics.sortino(floats(0.03, 0.0), 4, target=0.01) == pytest.approx(2 * 0.005 / math.sqrt(0.00005))


def test_the_deepest_drawdown_is_found_with_its_peak_and_its_end() -> None:
    found = metrics.deepest_drawdown(floats(100, 120, 90, 110, 120, 115))
    assert found == metrics.Drawdown(frac=0.25, amount=30, peak=1, trough=2, recovered=4)


def test_a_drawdown_that_lasts_has_no_end() -> None:
    found = metrics.deepest_drawdown(floats(100, 80, 90))
    assert (found.frac, found.recovered) == (pytest.approx(0.2), None)
    assert metrics.deepest_drawdown(floats(1, 2, 3)).frac == 0


def test_calmar_is_the_annual_return_over_the_deepest_drawdown() -> None:
    # +10 % in half a year is 20 % a year; the drawdown is 20 %
    assert metrics.calmar(floats(100, 80, 110), 0.5) == pytest.approx(1.0)
    assert math.isnan(metrics.calmar(floats(100, 110), 0.5))


def test_a_ratio_without_a_whole_is_not_defined() -> None:
    assert metrics.ratio(1, 4) == 0.25
    assert math.isnan(metrics.ratio(0, 0))


def test_markout_is_signed_for_us_and_weighted_by_notional() -> None:
    # a buy of 2 at 100 that is worth 101: +2; a sell of 1 at 100 that is worth 103: -3; notional 300
    found = metrics.markout_bps(floats(1, -1), floats(100, 100), floats(2, 1), floats(101, 103))
    assert found == pytest.approx(-1 / 300 * 1e4)


def test_markout_leaves_out_what_the_tape_does_not_tell() -> None:
    found = metrics.markout_bps(floats(1, -1), floats(100, 100), floats(1, 1), floats(NAN, 99))
    assert found == pytest.approx(100)


def test_turnover_is_volume_over_equity_per_day() -> None:
    assert metrics.turnover_per_day(5_000, 10_000, 21_600) == pytest.approx(2.0)


def test_cost_of_volume_is_above_zero_when_money_was_lost() -> None:
    assert metrics.cost_bps(-5, 100_000) == pytest.approx(0.5)
    assert metrics.cost_bps(10, 100_000) == pytest.approx(-1.0)
    assert math.isnan(metrics.cost_bps(0, 0))


def test_inventory_time_is_what_was_held_how_long() -> None:
    # 2 for 10 s, flat for 10 s, -1 for 20 s: 40 unit-seconds in 40 s; 3 units came (6 traded, in and out)
    found = metrics.inventory_time(times(0, 10, 20), floats(2, 0, -1), 40 * S, traded_qty=6)
    assert found == metrics.InventoryTime(held_share=0.75, mean_abs_qty=1.0, holding_s=pytest.approx(40 / 3))


def test_the_best_of_a_hundred_without_skill_is_what_the_paper_says() -> None:
    # Bailey and Lopez de Prado (2014), numerical example: variance 1/2 a year, 100 trials, 250 days: 0.1132 a day
    assert metrics.expected_best_sharpe(math.sqrt(0.5 / 250), 100) == pytest.approx(0.1132, abs=5e-5)
    assert metrics.expected_best_sharpe(1.0, 1) == 0


def test_the_deflated_ratio_is_what_the_paper_says() -> None:
    # the same example: 2.5 a year over 1,250 days, skew -3, kurtosis 10: 0.9004; with 46 trials 0.9505
    for trials, expected in ((100, 0.9004), (46, 0.9505)):
        luck = metrics.expected_best_sharpe(math.sqrt(0.5 / 250), trials)
        found = metrics._sharpe_probability(2.5 / math.sqrt(250), luck, 1250, -3, 10)
        assert found == pytest.approx(expected, abs=2e-4)


def test_more_trials_deflate_more_and_no_trials_leave_the_probability() -> None:
    returns = np.random.default_rng(3).normal(0.1, 1, 400)
    alone = metrics.deflated_sharpe(returns, floats(0.1))
    spread = floats(*np.linspace(-0.1, 0.1, 50))
    assert alone == metrics.probabilistic_sharpe(returns)
    assert metrics.deflated_sharpe(returns, spread, trials=1000) < metrics.deflated_sharpe(returns, spread) < alone


def test_the_probability_of_a_ratio_above_its_estimate_is_a_half() -> None:
    returns = np.random.default_rng(1).normal(0.1, 1, 300)
    per_period = float(np.mean(returns) / np.std(returns, ddof=1))
    assert metrics.probabilistic_sharpe(returns, per_period) == pytest.approx(0.5)
    assert math.isnan(metrics.probabilistic_sharpe(floats(1, 2)))


def test_a_bootstrap_interval_of_independent_values_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(2).normal(0, 1, 400)
    low, high = metrics.bootstrap_interval(values, lambda x: float(np.mean(x)), seed=1, block=1, resamples=2000)
    assert high - low == pytest.approx(2 * 1.645 * float(np.std(values)) / 20, rel=0.08)
    assert low < float(np.mean(values)) < high


def test_blocks_widen_the_interval_of_values_that_hang_together() -> None:
    noise = np.random.default_rng(4).normal(0, 1, 1000)
    together = np.convolve(noise, np.ones(20), mode="same")
    alone = metrics.bootstrap_interval(together, lambda x: float(np.mean(x)), seed=1, block=1)
    blocks = metrics.bootstrap_interval(together, lambda x: float(np.mean(x)), seed=1, block=50)
    assert blocks.high - blocks.low > 2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval_and_few_values_none() -> None:
    values = np.random.default_rng(5).normal(0, 1, 60)
    again = [metrics.bootstrap_interval(values, lambda x: float(np.sum(x)), seed=7) for _ in range(2)]
    assert again[0] == again[1]
    assert all(math.isnan(end) for end in metrics.bootstrap_interval(values[:9], lambda x: float(np.sum(x)), seed=7))
