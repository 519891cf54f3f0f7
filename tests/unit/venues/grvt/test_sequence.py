"""Which frames may be built on."""

from __future__ import annotations

import pytest

from perpmaker.venues.grvt.sequence import SequenceGuard, Verdict

CHANGE, DUPLICATE, GAP, EARLY, SNAPSHOT = (
    Verdict.CHANGE,
    Verdict.DUPLICATE,
    Verdict.GAP,
    Verdict.EARLY,
    Verdict.SNAPSHOT,
)
FIRST = 1_061_214


@pytest.fixture
def guard() -> SequenceGuard:
    """Acknowledged with the live example's numbers, snapshot at time 1000."""
    made = SequenceGuard(needs_snapshot=True)
    made.acknowledge(FIRST)
    assert made.judge(0, 0, 1000) is SNAPSHOT
    return made


def test_changes_follow_from_the_first_number_promised(guard: SequenceGuard) -> None:
    for n in range(FIRST, FIRST + 50):
        assert guard.judge(n, n - 1, 1000 + n) is CHANGE


def test_a_first_change_beyond_the_promised_one_is_a_gap(guard: SequenceGuard) -> None:
    assert guard.judge(FIRST + 1, FIRST, 1001) is GAP


def test_a_missing_change_is_a_gap(guard: SequenceGuard) -> None:
    assert guard.judge(FIRST, FIRST - 1, 1001) is CHANGE
    assert guard.judge(FIRST + 2, FIRST + 1, 1002) is GAP


def test_a_next_number_with_another_predecessor_is_a_gap(guard: SequenceGuard) -> None:
    assert guard.judge(FIRST, FIRST - 2, 1001) is GAP


@pytest.mark.parametrize("back", [0, 1, 5])
def test_an_equal_or_lower_number_is_a_repetition(guard: SequenceGuard, back: int) -> None:
    for n in range(FIRST, FIRST + 10):
        guard.judge(n, n - 1, 1000 + n)
    n = FIRST + 9 - back
    assert guard.judge(n, n - 1, 1000 + n) is DUPLICATE
    assert guard.judge(FIRST + 10, FIRST + 9, 9_999_999) is CHANGE


def test_a_frame_from_before_the_subscription_is_a_repetition(guard: SequenceGuard) -> None:
    assert guard.judge(FIRST - 3, FIRST - 4, 1500) is DUPLICATE


@pytest.mark.parametrize("number", [1, 2, FIRST])
def test_a_counter_that_started_anew_is_a_gap(guard: SequenceGuard, number: int) -> None:
    for n in range(FIRST, FIRST + 10):
        guard.judge(n, n - 1, 1000 + n)
    assert guard.judge(number, number - 1, 9_999_999) is GAP


def test_nothing_counts_before_the_acknowledgement() -> None:
    guard = SequenceGuard(needs_snapshot=True)
    assert guard.judge(0, 0, 1) is EARLY
    assert guard.judge(5, 4, 1) is EARLY
    assert not guard.is_ready


def test_changes_wait_for_the_snapshot() -> None:
    guard = SequenceGuard(needs_snapshot=True)
    guard.acknowledge(5)
    assert guard.judge(5, 4, 1) is EARLY
    assert not guard.is_ready
    assert guard.judge(0, 0, 1) is SNAPSHOT
    assert guard.is_ready
    assert guard.judge(5, 4, 2) is CHANGE


def test_a_stream_without_snapshot_is_ready_when_acknowledged() -> None:
    guard = SequenceGuard(needs_snapshot=False)
    guard.acknowledge(1)
    assert guard.is_ready
    assert guard.judge(1, 0, 1) is CHANGE


def test_a_stream_of_whole_frames_can_go_on_after_a_gap(guard: SequenceGuard) -> None:
    assert guard.judge(FIRST + 4, FIRST + 3, 1001) is GAP
    guard.skip_to(FIRST + 4, 1001)
    assert guard.judge(FIRST + 5, FIRST + 4, 1002) is CHANGE
