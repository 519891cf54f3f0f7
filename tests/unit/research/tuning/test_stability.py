"""An optimum is judged by what its neighbours keep."""

from __future__ import annotations

import math

import pytest

from perpmaker.research.tuning.stability import stability

AT = {"x": 0.5, "y": 0.5}


def test_a_hill_stands() -> None:
    found = stability(AT, 10, 2, {"x": [9, 8, 9, 7], "y": [10, 9]})
    assert found.kept == pytest.approx((9 - 2) / 8)
    assert found.by_dimension == {"x": pytest.approx(0.8125), "y": pytest.approx(0.9375)}
    assert (found.is_spike, found.weakest, found.neighbours) == (False, "x", 6)


def test_a_needle_is_a_spike() -> None:
    assert stability(AT, 10, 2, {"x": [2, 3], "y": [2, 1]}).is_spike


def test_a_ridge_is_a_spike_in_the_number_it_is_thin_in() -> None:
    found = stability(AT, 10, 2, {"x": [2, 3], "y": [10, 10, 10, 10]})
    assert found.kept == 1.0
    assert found.is_spike
    assert found.failing == ["x"]
    assert "in x alone 6%" in found.in_words()


def test_the_median_forgives_one_bad_neighbour_and_not_two_of_three() -> None:
    assert not stability(AT, 10, 2, {"x": [9, 9, -50]}).is_spike
    assert stability(AT, 10, 2, {"x": [9, -50, -50]}).is_spike


@pytest.mark.parametrize("missing", [None, math.nan, -math.inf])
def test_a_neighbour_that_could_not_be_run_counts_as_typical(missing: float | None) -> None:
    assert stability(AT, 10, 2, {"x": [missing, missing]}).kept == 0.0


def test_exactly_half_is_enough() -> None:
    assert not stability(AT, 10, 2, {"x": [6]}).is_spike
    assert stability(AT, 10, 2, {"x": [5.99]}).is_spike


def test_losses_are_judged_like_gains() -> None:
    found = stability(AT, -1, -9, {"x": [-3, -3]})
    assert (found.kept, found.is_spike) == (0.75, False)


def test_a_plain_is_no_spike_and_has_no_gain_to_lose() -> None:
    assert not stability(AT, 5, 5, {"x": [5, 5]}).is_spike
    assert stability(AT, 5, 5, {"x": [4, 4]}).is_spike
    assert not stability(AT, 5, 5, {}).is_spike
