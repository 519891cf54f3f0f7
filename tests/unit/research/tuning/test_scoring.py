"""From returns to the number that is made large."""

from __future__ import annotations

import math

import pytest

from perpmaker.research.tuning.scoring import OBJECTIVES, Score, from_json, to_json

EARNED = Score(30.0, 60_000.0, 50, 0.02, 60.0, (0.0, 0.02, 0.04, -0.02), "abc")
NOTHING = Score(0.0, 0.0, 0, 0.0, 60.0, (0.0, 0.0, 0.0))


def test_the_sharpe_ratio_is_annual() -> None:
    mean, deviation = 0.01, math.sqrt((0.01**2 + 0.01**2 + 0.03**2 + 0.03**2) / 3)
    assert OBJECTIVES["sharpe"](EARNED) == pytest.approx(mean / deviation * math.sqrt(365 * 24 * 60))


def test_every_objective_is_larger_for_more_money_and_nothing_for_nothing() -> None:
    less = Score(-30.0, 60_000.0, 50, 0.02, 60.0, (0.0, -0.02, -0.04, 0.02))
    for name, objective in OBJECTIVES.items():
        assert objective(EARNED) > objective(NOTHING) == 0 > objective(less), name
    assert OBJECTIVES["cost"](EARNED) == pytest.approx(5.0)


def test_a_score_survives_the_journal() -> None:
    assert from_json(to_json(EARNED)) == EARNED
