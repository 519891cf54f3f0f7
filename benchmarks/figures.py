"""What a run of a benchmark says: medians, how much they scatter, and ratios, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = ("aiohttp", "coincurve", "msgspec", "safe-pysha3", "uvloop")


class Case(NamedTuple):
    """One way of doing the same thing. `rounds_us` has a list of microseconds for each turn the case had."""

    name: str
    rounds_us: list[list[float]]
    missed: int = 0
    """Tries that gave no figure in time."""

    @property
    def all_us(self) -> list[float]:
        return sorted(value for part in self.rounds_us for value in part)

    @property
    def median_us(self) -> float:
        return statistics.median(self.all_us)

    @property
    def p99_us(self) -> float:
        values = self.all_us
        return values[min(len(values) - 1, int(0.99 * len(values)))]

    @property
    def spread_us(self) -> tuple[float, float]:
        """Smallest and largest median of a turn."""
        medians = [statistics.median(part) for part in self.rounds_us if part]
        return min(medians), max(medians)


class Report(NamedTuple):
    """One benchmark. Ratios are of medians: to the first case (ours), and to the floor below which nothing can go.

    "Quietest" compares each case's best turn: what else the machine did then disturbed it least.
    """

    name: str
    title: str
    cases: Sequence[Case]
    floor: str
    more: dict[str, Any]

    def rows(self) -> list[tuple[str, ...]]:
        ours, floor = self.cases[0], self._case(self.floor)
        rows = []
        for case in self.cases:
            low, high = case.spread_us
            rows.append(
                (
                    case.name,
                    f"{case.median_us / ours.median_us:.2f}",
                    f"{low / ours.spread_us[0]:.2f}",
                    f"{case.median_us / floor.median_us:.2f}",
                    f"{low / floor.spread_us[0]:.2f}",
                    _us(case.median_us),
                    f"{_us(low)} .. {_us(high)}",
                    _us(case.p99_us),
                    str(len(case.all_us)) + (f" ({case.missed} missed)" if case.missed else ""),
                )
            )
        return rows

    def table(self) -> str:
        head = (
            "case",
            "x ours",
            "quietest",
            "x floor",
            "quietest",
            "median us",
            "medians of turns",
            "p99 us",
            "samples",
        )
        lines = [head, ("---",) * len(head), *self.rows()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def as_json(self) -> dict[str, Any]:
        cases = [
            {
                "case": case.name,
                "median_us": case.median_us,
                "p99_us": case.p99_us,
                "turn_medians_us": [statistics.median(part) for part in case.rounds_us if part],
                "samples": len(case.all_us),
                "missed": case.missed,
                "ratio_to_ours": case.median_us / self.cases[0].median_us,
                "ratio_to_floor": case.median_us / self._case(self.floor).median_us,
                "quietest_ratio_to_ours": case.spread_us[0] / self.cases[0].spread_us[0],
                "quietest_ratio_to_floor": case.spread_us[0] / self._case(self.floor).spread_us[0],
            }
            for case in self.cases
        ]
        return {"benchmark": self.name, "title": self.title, "floor": self.floor, "cases": cases, **self.more}

    def _case(self, name: str) -> Case:
        return next(case for case in self.cases if case.name == name)


def surroundings() -> dict[str, Any]:
    """The machine and the versions a figure belongs to."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "versions": {name: version(name) for name in LIBRARIES},
    }


def write_json(path: Path, around: dict[str, Any], reports: Sequence[Report]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**around, "benchmarks": [report.as_json() for report in reports]}, indent=2) + "\n")


def _us(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
