"""Scales and ticks of pictures."""

from __future__ import annotations

import pytest

from perpmaker.research.svg import Linear, Log


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (0, 24, 12, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]),
        (0, 0.1, 6, [0, 0.02, 0.04, 0.06, 0.08, 0.1]),
        (3.2, 3.9, 4, [3.2, 3.4, 3.6, 3.8]),
    ],
)
def test_linear_ticks_are_round_and_inside(low: float, high: float, about: int, ticks: list[float]) -> None:
    assert Linear(low, high, 0, 100).ticks(about) == pytest.approx(ticks)


def test_a_linear_scale_of_one_value_has_room_around_it() -> None:
    assert Linear(5, 5, 0, 100)(5) == 50


def test_a_scale_may_go_upwards_on_a_page_that_counts_downwards() -> None:
    scale = Linear(0, 10, 200, 100)
    assert [scale(value) for value in (0, 5, 10)] == [200, 150, 100]


def test_equal_ratios_are_equal_steps_of_a_log_scale() -> None:
    scale = Log(0.01, 1, 0, 100)
    assert [scale(value) for value in (0.01, 0.1, 1)] == pytest.approx([0, 50, 100])
    assert scale(0.0001) == 0


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [
        (0.005, 0.09, 7, [0.005, 0.01, 0.02, 0.05]),
        (0.0009, 3, 7, [0.001, 0.01, 0.1, 1]),
    ],
)
def test_log_ticks_are_powers_of_ten_and_their_halves_where_there_is_room(
    low: float, high: float, about: int, ticks: list[float]
) -> None:
    assert Log(low, high, 0, 100).ticks(about) == pytest.approx(ticks)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 1), (2, 1), (-1, 1)])
def test_a_log_scale_needs_bounds_above_zero(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Log(low, high, 0, 100)
