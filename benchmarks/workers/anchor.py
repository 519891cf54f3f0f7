"""A fixed piece of work in plain Python, which joins figures of different environments; and runs that are asked for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def anchor_s() -> float:
    """Return the least seconds of processor time of five tries."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        total = 0
        for number in range(1_000_000):
            total += number & 7
        best = min(best, time.process_time() - began)
    return best


def serve_runs(play: Callable[[], tuple[int, Mapping[str, Any]]], **about: Any) -> None:
    """Say what this worker is, then answer each line of standard input by one run: its ns, and further columns."""
    print(json.dumps({"ready_s": round(time.process_time(), 2), **about}), flush=True)
    for _ in sys.stdin:
        taken_ns, more = play()
        besides = {"peak MB": peak_mb(), "anchor ms": round(anchor_s() * 1000, 1)}
        print(json.dumps([[taken_ns], {**more, **besides}]), flush=True)


def peak_mb() -> int:
    """Return the most this process ever had resident. (getrusage would tell what its parent had when it started this.)"""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) * 1024 / 1e6)
