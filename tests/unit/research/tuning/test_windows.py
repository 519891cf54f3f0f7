"""Windows roll over a tape, and no test is in its training."""

from __future__ import annotations

from itertools import pairwise

import pytest

from perpmaker.errors import ConfigError
from perpmaker.research.tuning import Window, walk_forward

S = 1_000_000_000


def test_two_folds_of_five_parts() -> None:
    assert walk_forward(100 * S, 600 * S, folds=2, train_parts=3, embargo_s=10) == (
        Window("fold 1", 100 * S, 400 * S, 410 * S, 500 * S),
        Window("fold 2", 200 * S, 500 * S, 510 * S, 600 * S),
        Window("newest", 300 * S, 600 * S),
    )


@pytest.mark.parametrize("folds", [1, 2, 7])
def test_tests_follow_each_other_to_the_end_and_never_overlap_their_training(folds: int) -> None:
    *rolled, newest = walk_forward(0, 1000 * S + 7, folds=folds)
    assert all(one.train_to_ns <= one.test_from_ns < one.test_to_ns for one in rolled)
    assert all(before.test_to_ns == after.test_from_ns for before, after in pairwise(rolled))
    assert rolled[-1].test_to_ns == newest.train_to_ns == 1000 * S + 7
    assert not newest.has_test


def test_too_short_a_tape_is_refused() -> None:
    with pytest.raises(ConfigError, match="too short for 3 fold"):
        walk_forward(0, 60 * S, folds=3, embargo_s=9.5)
    with pytest.raises(ConfigError, match="one fold"):
        walk_forward(0, 60 * S, folds=0)
