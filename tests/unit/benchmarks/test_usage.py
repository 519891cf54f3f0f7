"""What a soak says about its samples: slopes, and counts that went up."""

from __future__ import annotations

import os

import pytest
from benchmarks.soak import Soak
from benchmarks.usage import Sample, Usage, slope, trend, used_by

MB = 1_000_000


def sample(
    second: int, *, grown: float = 0.0, other: float = 0.0, descriptors: int = 30, threads: int = 9, tasks: int = 18
) -> Sample:
    """150 events a second; the engine's memory as `grown` MB says, the exchange's as `other`."""
    engine = Usage(round((70 + grown) * MB), round((50 + grown) * MB), descriptors, threads)
    exchange = Usage(round((90 + other) * MB), round((60 + other) * MB), 20, 4)
    return Sample(float(second), 150 * second, tasks, {"engine": engine, "exchange": exchange})


def soaked(
    samples: list[Sample], *, exit_code: int = 0, differences: tuple[str, ...] = (), over: tuple[str, ...] = ()
) -> Soak:
    return Soak(samples, 600.0, 100, 1_000, {}, exit_code, list(differences), list(over), (0.0, 0.0))


def test_the_slope_is_bytes_over_events_and_so_megabytes_over_millions() -> None:
    assert slope([0.0, 1e6, 2e6], [0.0, 4e6, 8e6]) == pytest.approx(4.0)
    growing = [sample(second, grown=second * 150 / 1e6 * 4) for second in range(600, 1_800)]
    found = trend("engine", growing)
    assert found.resident_slope == pytest.approx(4.0, rel=1e-3)
    assert found.private_slope == pytest.approx(4.0, rel=1e-3)
    assert (found.descriptors, found.threads) == ((30, 30), (9, 9))


def test_what_grew_while_warming_up_is_not_held_against_a_run() -> None:
    samples = [sample(second, grown=min(second, 600) / 10) for second in range(1_800)]
    assert soaked(samples).problems() == []


def test_a_run_that_grows_by_more_than_the_bound_is_missed_unless_memory_is_not_judged() -> None:
    done = soaked([sample(second, grown=second * 150 / 1e6 * 6) for second in range(1_800)])
    assert done.problems() == ["the engine grew 6.0 MB per million events; the bound is 5"]
    assert done.problems(memory=False) == []
    done = soaked([sample(second, other=second * 150 / 1e6 * 7) for second in range(1_800)])
    assert done.problems() == ["the exchange grew 7.0 MB per million events; the bound is 5"]


@pytest.mark.parametrize("what", ["descriptors", "threads", "tasks"])
def test_one_more_of_anything_that_stays_is_missed(what: str) -> None:
    before = sample(0)
    now = {"descriptors": 30, "threads": 9, "tasks": before.tasks}[what]
    samples = [sample(second) for second in range(1_700)]
    samples += [sample(second, **{what: now + 1}) for second in range(1_700, 1_800)]  # type: ignore[arg-type]
    (problem,) = soaked(samples).problems()
    assert f"{what} {now} -> {now + 1}" in problem


def test_one_more_for_a_moment_is_not() -> None:
    samples = [sample(second, descriptors=31 if second % 10 == 9 else 30) for second in range(1_800)]
    assert soaked(samples).problems() == []


def test_one_more_in_every_other_second_is_not_though_it_falls_into_more_of_the_last_minute() -> None:
    samples = [sample(second, descriptors=30 + (second % 5 < (3 if second > 1_200 else 2))) for second in range(1_800)]
    assert soaked(samples).problems() == []


def test_a_difference_and_a_bad_end_are_missed() -> None:
    samples = [sample(second) for second in range(1_800)]
    done = soaked(samples, exit_code=5, differences=("trade 7",), over=("12 s: position of 900",))
    told = ["not equal: trade 7", "beyond its limit: 12 s: position of 900", "the engine ended with code 5"]
    assert done.problems() == told


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="not Linux")
def test_what_a_process_uses_is_read_from_the_system() -> None:
    used = used_by(os.getpid())
    assert 1 * MB < used.private_bytes <= used.resident_bytes < 10_000 * MB
    assert used.threads >= 1
    handle = os.open(os.devnull, os.O_RDONLY)
    try:
        assert used_by(os.getpid()).descriptors == used.descriptors + 1
    finally:
        os.close(handle)
