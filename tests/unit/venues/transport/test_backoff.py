"""Waits stay under their ceiling, start anew after success, and attempts stay under their cap."""

from __future__ import annotations

import statistics

import pytest

from perpmaker.model.units import NS_PER_S
from perpmaker.venues.transport.backoff import AttemptCap, FullJitter


def test_each_wait_is_between_zero_and_a_doubling_ceiling_that_stops_at_the_cap() -> None:
    for seed in range(200):
        backoff = FullJitter(base_s=0.25, cap_s=4.0, seed=seed)
        for ceiling in (0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0):
            assert 0.0 <= backoff.next_s() <= ceiling


def test_the_jitter_is_full_not_a_band_around_the_middle() -> None:
    first = [FullJitter(base_s=1.0, cap_s=1.0, seed=seed).next_s() for seed in range(2000)]
    assert min(first) < 0.02
    assert max(first) > 0.98
    assert abs(statistics.mean(first) - 0.5) < 0.03


def test_success_starts_it_anew() -> None:
    backoff = FullJitter(base_s=0.25, cap_s=60.0, seed=3)
    for _ in range(100):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 0.25


def test_the_same_seed_gives_the_same_waits() -> None:
    one, two = (FullJitter(base_s=0.25, cap_s=4.0, seed=9) for _ in range(2))
    assert [one.next_s() for _ in range(20)] == [two.next_s() for _ in range(20)]


@pytest.mark.parametrize(("base_s", "cap_s"), [(0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)])
def test_impossible_waits_are_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="back-off"):
        FullJitter(base_s=base_s, cap_s=cap_s, seed=1)


def test_the_cap_holds_in_every_window() -> None:
    cap = AttemptCap(limit=6, window_s=60.0)
    now_ns, made = 0, []
    for _ in range(100):
        now_ns += int(cap.wait_s(now_ns) * NS_PER_S)
        cap.note(now_ns)
        made.append(now_ns)
        now_ns += NS_PER_S // 2
    for start in made:
        assert sum(start <= at < start + 60 * NS_PER_S for at in made) <= 6


def test_the_cap_survives_a_restart() -> None:
    before = AttemptCap(limit=2, window_s=60.0)
    before.note(10 * NS_PER_S)
    before.note(20 * NS_PER_S)
    after = AttemptCap(limit=2, window_s=60.0, past=before.recent)
    assert after.wait_s(30 * NS_PER_S) == 40.0
    assert after.wait_s(70 * NS_PER_S) == 0.0


def test_a_clock_that_stepped_back_waits_one_window_at_most() -> None:
    cap = AttemptCap(limit=1, window_s=60.0, past=[10_000 * NS_PER_S])
    assert cap.wait_s(0) == 60.0


@pytest.mark.parametrize(("limit", "window_s"), [(0, 60.0), (1, 0.0)])
def test_an_impossible_cap_is_refused(limit: int, window_s: float) -> None:
    with pytest.raises(ValueError, match="attempt cap"):
        AttemptCap(limit=limit, window_s=window_s)
