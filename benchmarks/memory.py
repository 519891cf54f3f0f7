"""Resident memory: an engine with one market maker, the smallest bots on the peers, and imports of the others.

    python -m benchmarks memory [--long]

`--long` also plays a day of 20 instruments, four times 1 GiB decoded, and says what that took at most.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.figures import Case, Goal, Report, absent
from benchmarks.options import Options, progress
from benchmarks.peers import HFT, NAUTILUS, Peer, PeerAbsent, python_of
from benchmarks.processes import Process, peer
from benchmarks.stack import one_maker, ready_after_s
from benchmarks.usage import MB, used_by

SETTLED_S, QUICK_SETTLED_S = 20.0, 1.0
"""From ready to the first look."""
SAMPLES, EVERY_S = 10, 1.0
OURS = "perpmaker run, one market maker"
FLOOR = "floor: python, waiting"
WAITING = "print('{}', flush=True); import sys; sys.stdin.read()"
_CAP_MB = 1024


def measure(options: Options) -> Report:
    with ExitStack() as until_end:
        folder = Path(until_end.enter_context(tempfile.TemporaryDirectory()))
        stack = until_end.enter_context(one_maker(folder / "home"))
        venue = stack.venue
        line: dict[str, Any] = {**venue.urls, "accounts": json.loads(venue.extra["accounts"])}
        line["instance_id"] = venue.extra.get("instance_id", "")
        progress("memory: an engine")
        ready_after_s(stack)
        pids: dict[str, int] = {OURS: stack.running.pid}
        missing: dict[str, str] = {}

        def account(number: int) -> str:
            return json.dumps({**line, "accounts": line["accounts"][number:]})

        starts: dict[str, Callable[[], Process]] = {
            "grvt-pysdk, the smallest bot": lambda: peer("tick_pysdk.py", account(1)),
            "ccxt.pro, the smallest bot": lambda: peer("tick_ccxt.py", account(2)),
            "nautilus_trader, live node imported": lambda: _importing(NAUTILUS, "nautilus_trader.live.node"),
            "nautilus_trader, backtest imported": lambda: _importing(NAUTILUS, "nautilus_trader.backtest.engine"),
            "hftbacktest imported": lambda: _importing(HFT, "hftbacktest"),
        }
        for name, start in starts.items():
            progress(f"memory: {name}")
            try:
                pids[name] = _ready(until_end, start, options).pid
            except (PeerAbsent, RuntimeError) as error:
                missing[name] = str(error)
        pids[FLOOR] = _ready(until_end, lambda: Process([sys.executable, "-c", WAITING]), None).pid
        time.sleep(QUICK_SETTLED_S if options.quick else SETTLED_S)
        taken: dict[str, list[float]] = {name: [] for name in pids}
        private: dict[str, float] = {}
        for _ in range(options.of(SAMPLES, 2)):
            time.sleep(EVERY_S)
            for name, pid in pids.items():
                used = used_by(pid)
                taken[name].append(used.resident_bytes / MB)
                private[name] = round(used.private_bytes / MB, 1)
    cases = [
        absent(name, missing[name])
        if name in missing
        else Case(name, [[value] for value in taken[name]], more={"of it private": private[name]})
        for name in (OURS, *starts, FLOOR)
    ]
    report = Report("memory", "Resident memory (MB)", cases, FLOOR, {}, unit="MB")
    return _with_the_day(report) if options.long else report


def _ready(until_end: ExitStack, start: Callable[[], Process], options: Options | None) -> Process:
    if options is not None and not options.peers:
        raise PeerAbsent("peers were not asked for")
    process = until_end.enter_context(start())
    process.hear()
    return process


def _importing(of: Peer, module: str) -> Process:
    return Process([str(python_of(of)), "-c", f"import {module}; {WAITING}"])


def _with_the_day(report: Report) -> Report:
    progress("memory: a day of 20 instruments in a backtest; this takes some ten minutes")
    command = [sys.executable, "-m", "benchmarks.backtest.memory"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    said = json.loads(done.stdout)
    goals = [
        Goal("peak of a backtest of a day of 20 instruments", float(said["peak_mb"]), _CAP_MB, unit="MB"),
        Goal("its decoded columns", float(said["decoded_gib"]), 4, at_most=False, unit="GiB"),
    ]
    return report._replace(goals=goals, more={**report.more, "a day of 20 instruments": said})
