"""How long the trading loop is held up: processor time of its callbacks while three market makers trade.

    python -m benchmarks callbacks [--minutes 10]

The practice exchange is a process of its own. There is no floor and no peer to compare with: ratios here are to all
callbacks together.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import Case, Goal, Report
from benchmarks.options import Options, progress
from benchmarks.processes import SUPERVISED, ours
from benchmarks.stack import one_maker

PASS_BY_S, QUICK_PASS_BY_S, QUICK_S = 30.0, 3.0, 3.0
"""From the start on: what is made then is not what trading costs."""
INSTRUMENTS = ("btc", "eth", "sol")
STEPS, FRAMES, ALL = "steps of tasks and timers", "frames of sockets", "all callbacks"
COLLECTIONS = "of these, garbage collections"
BOUND_MS = 1.0


def measure(options: Options) -> Report:
    listen_s = QUICK_S if options.quick else options.minutes * 60
    pass_by_s = QUICK_PASS_BY_S if options.quick else PASS_BY_S
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        with one_maker(home, names=INSTRUMENTS) as stack:
            arguments = (str(stack.config), str(stack.home), str(pass_by_s), str(listen_s))
            with ours("callbacks_ours.py", *arguments, environment=SUPERVISED) as engine:
                progress(f"callbacks: listening for {listen_s / 60:g} minutes")
                said: dict[str, list[int]] = engine.hear()
    every = said["steps"] + said["frames"]
    named = {ALL: every, STEPS: said["steps"], FRAMES: said["frames"], COLLECTIONS: said["collections"]}
    cases = [_case(text, values) for text, values in named.items() if values]
    tail_ms = _percentile(sorted(every), 0.999) / 1e6
    return Report(
        "callbacks",
        f"The loop's callbacks over {listen_s / 60:g} minutes, three market makers (processor time)",
        cases,
        ALL,
        {"callbacks a second": round(len(every) / listen_s), "garbage collections": len(said["collections"])},
        goals=[Goal("processor time of a callback at p99.9", tail_ms, BOUND_MS, unit="ms")],
    )


def _case(name: str, values_ns: list[int]) -> Case:
    values = sorted(values_ns)
    more: dict[str, Any] = {"p99.9": _percentile(values, 0.999) / 1000, "largest": values[-1] / 1000}
    return Case(name, [[value / 1000 for value in values_ns]], more=more)


def _percentile(values: list[int], fraction: float) -> int:
    return values[min(len(values) - 1, int(fraction * len(values)))]
