"""What processes use, sampled while they run, and how it moves: memory against events, counts against time. Linux alone."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MB = 1_000_000
WINDOW_S = 60.0
"""Counts are compared over the first and the last minute, medians: a request under way opens a descriptor for a moment."""


class Usage(NamedTuple):
    """One process at one moment."""

    resident_bytes: int
    private_bytes: int
    """Resident and shared with nobody: without the pages of libraries and of mapped files."""
    descriptors: int
    threads: int


class Sample(NamedTuple):
    """Everything at one moment; `events` and `tasks` are the engine's own counts."""

    at_s: float
    events: int
    tasks: int
    of: dict[str, Usage]


def used_by(pid: int) -> Usage:
    """Read /proc; raises OSError when the process is gone."""
    status = _numbers(Path(f"/proc/{pid}/status").read_text())
    shares = _numbers(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return Usage(
        resident_bytes=status["VmRSS"] * 1024,
        private_bytes=(shares["Private_Clean"] + shares["Private_Dirty"]) * 1024,
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=status["Threads"],
    )


class Trend(NamedTuple):
    """A process over the samples after the warm-up."""

    name: str
    resident_mb: tuple[float, float]
    """Medians of the first and the last minute."""
    resident_slope: float
    """MB per million events, by least squares."""
    private_slope: float
    descriptors: tuple[int, int]
    """The least of the first and of the last minute: connections come and go each second, one that stays lifts it."""
    threads: tuple[int, int]


def trend(name: str, samples: Sequence[Sample]) -> Trend:
    """Fit one process's samples; there must be some, and events between them."""
    first, last = _ends(samples)

    def ends(number: int) -> tuple[int, int]:
        return _median([s.of[name][number] for s in first]), _median([s.of[name][number] for s in last])

    events = [float(sample.events) for sample in samples]
    resident = ends(0)
    return Trend(
        name=name,
        resident_mb=(resident[0] / MB, resident[1] / MB),
        resident_slope=slope(events, [float(s.of[name].resident_bytes) for s in samples]),
        private_slope=slope(events, [float(s.of[name].private_bytes) for s in samples]),
        descriptors=(min(s.of[name][2] for s in first), min(s.of[name][2] for s in last)),
        threads=ends(3),
    )


def tasks(samples: Sequence[Sample]) -> tuple[int, int]:
    """Return how many tasks the engine had in the first and in the last minute."""
    first, last = _ends(samples)
    return _median([sample.tasks for sample in first]), _median([sample.tasks for sample in last])


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the least-squares slope of y over x; of bytes over events that is MB per million events."""
    return statistics.linear_regression(xs, ys).slope


def _ends(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    window_s = min(WINDOW_S, (samples[-1].at_s - samples[0].at_s) / 3)
    begin_s, end_s = samples[0].at_s + window_s, samples[-1].at_s - window_s
    return [s for s in samples if s.at_s <= begin_s], [s for s in samples if s.at_s >= end_s]


def _median(values: Sequence[int]) -> int:
    return int(statistics.median_low(values))


def _numbers(text: str) -> dict[str, int]:
    """Read the lines `Name: NUMBER ...` of a /proc file."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0])
    return found
