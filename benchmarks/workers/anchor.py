"""A fixed piece of work in plain Python: what joins figures of different environments."""

from __future__ import annotations

import time


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
