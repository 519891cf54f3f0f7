"""What a run of a benchmark says: medians, how much they scatter, ratios and goals, as tables and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

LIBRARIES = ("aiohttp", "coincurve", "msgspec", "numba", "picows", "safe-pysha3", "uvloop")
ABSENT = "absent"


class Case(NamedTuple):
    """One way of doing the same thing. `rounds` has a list of values for each turn the case had; more is worse."""

    name: str
    rounds: list[list[float]]
    missed: int = 0
    """Tries that gave no figure in time."""
    absent: str = ""
    """Why the case could not be run at all; it then has no figures."""
    more: Mapping[str, Any] = {}
    """Further columns."""

    @property
    def values(self) -> list[float]:
        return sorted(value for part in self.rounds for value in part)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p99(self) -> float:
        values = self.values
        return values[min(len(values) - 1, int(0.99 * len(values)))]

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest median of a turn."""
        medians = [statistics.median(part) for part in self.rounds if part]
        return min(medians), max(medians)


def absent(name: str, why: str) -> Case:
    """A case that could not be run."""
    return Case(name, [], absent=why)


class Goal(NamedTuple):
    """What was set out for, and how far it is."""

    text: str
    value: float | None
    """None: what it needs was absent."""
    bound: float
    at_most: bool = True
    unit: str = "x"

    @property
    def is_met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def verdict(self) -> str:
        """Met, or the factor that is missing."""
        if self.value is None:
            return ABSENT
        if self.is_met:
            return "met"
        factor = self.value / self.bound if self.at_most else self.bound / self.value if self.value else float("inf")
        return f"missed by {number(factor)}x"

    def row(self) -> tuple[str, ...]:
        sign = "<=" if self.at_most else ">="
        measured = ABSENT if self.value is None else f"{number(self.value)} {self.unit}".rstrip()
        return self.text, f"{sign} {number(self.bound)} {self.unit}".rstrip(), measured, self.verdict


class Report(NamedTuple):
    """One benchmark. Ratios are of medians: to the first case (ours), and to the floor below which nothing can go.

    Beside each in brackets the ratio of each case's best turn: what else the machine did then disturbed it least.
    """

    name: str
    title: str
    cases: Sequence[Case]
    floor: str
    more: dict[str, Any]
    unit: str = "us"
    goals: Sequence[Goal] = ()

    def ratio(self, slower: str, faster: str) -> float | None:
        """Return how many times the median of one case the other's is; None when either is absent."""
        found = [self._case(name) for name in (slower, faster)]
        if not all(case.rounds for case in found):
            return None
        return found[0].median / found[1].median

    def goal(self, text: str, slower: str, faster: str, bound: float, *, at_most: bool = False) -> Goal:
        """A goal about the ratio of two cases."""
        return Goal(text, self.ratio(slower, faster), bound, at_most)

    def rows(self) -> list[tuple[str, ...]]:
        return [self._row(case) for case in self.cases]

    def table(self) -> str:
        head = ("case", "x ours", "x floor", f"median {self.unit}", "medians of turns", "p99", "samples")
        return table((*head, *self._columns()), self.rows())

    def as_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "title": self.title,
            "unit": self.unit,
            "floor": self.floor,
            "cases": [self._case_as_json(case) for case in self.cases],
            "goals": [{**goal._asdict(), "is_met": goal.is_met} for goal in self.goals],
            "more": self.more,
        }

    def _row(self, case: Case) -> tuple[str, ...]:
        columns = tuple(_cell(case.more.get(column, "")) for column in self._columns())
        if not case.rounds:
            return (case.name, ABSENT, "", "", "", "", "", *columns)
        low, high = case.spread
        return (
            case.name,
            self._times(case, self.cases[0]),
            self._times(case, self._case(self.floor)),
            number(case.median),
            f"{number(low)} .. {number(high)}",
            number(case.p99),
            str(len(case.values)) + (f" ({case.missed} missed)" if case.missed else ""),
            *columns,
        )

    def _times(self, case: Case, other: Case) -> str:
        if not other.rounds:
            return ""
        return f"{number(case.median / other.median)} ({number(case.spread[0] / other.spread[0])})"

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(column for case in self.cases for column in case.more))

    def _case_as_json(self, case: Case) -> dict[str, Any]:
        said: dict[str, Any] = {"case": case.name, **case.more}
        if not case.rounds:
            return {**said, "absent": case.absent}
        said |= {
            "median": case.median,
            "p99": case.p99,
            "turn_medians": [statistics.median(part) for part in case.rounds if part],
            "samples": len(case.values),
            "missed": case.missed,
        }
        for name, other in (("ours", self.cases[0]), ("floor", self._case(self.floor))):
            if other.rounds:
                said[f"ratio_to_{name}"] = case.median / other.median
                said[f"quietest_ratio_to_{name}"] = case.spread[0] / other.spread[0]
        return said

    def _case(self, name: str) -> Case:
        return next(case for case in self.cases if case.name == name)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows))


def goals_table(reports: Sequence[Report]) -> str:
    """Return every goal of these benchmarks with its verdict."""
    rows = [(report.name, *goal.row()) for report in reports for goal in report.goals]
    return table(("benchmark", "goal", "wanted", "measured", ""), rows)


def number(value: float) -> str:
    """Three digits that matter, and never an exponent."""
    size = abs(value)
    if size < 1:
        return f"{value:.3g}" if size >= 0.0001 else f"{value:.6f}"
    decimals = 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:,.{decimals}f}"


def surroundings() -> dict[str, Any]:
    """The machine and the versions a figure belongs to."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def write_json(path: Path, around: dict[str, Any], reports: Sequence[Report]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**around, "benchmarks": [report.as_json() for report in reports]}, indent=2) + "\n")


def _cell(value: object) -> str:
    return number(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # research libraries are not needed to trade
        return ABSENT


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
