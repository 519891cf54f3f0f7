"""The worker's end of the pipe: for each line {"calls": N} one line with the nanoseconds of N calls.

Nanoseconds are of processor time, not of the wall clock: what else the machine does would lengthen long calls more often
than short ones, and so flatter the short ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def serve(
    cases: Mapping[str, Callable[[int], object]],
    before: Mapping[str, Callable[[int], object]] | None = None,
    **about: Any,
) -> None:
    """Answer {"case", "calls"} until standard input ends; the first line says what this worker is.

    `before` are things to do before each call of a case, outside its time.
    """
    print(json.dumps(about), flush=True)
    number = 0
    for line in sys.stdin:
        wanted = json.loads(line)
        call = cases[wanted["case"]]
        prepare = (before or {}).get(wanted["case"], _nothing)
        for _ in range(wanted.get("warm_up", 3)):
            number += 1
            prepare(number)
            call(number)
        taken = []
        for _ in range(wanted["calls"]):
            number += 1
            prepare(number)
            began = time.thread_time_ns()
            call(number)
            taken.append(time.thread_time_ns() - began)
        print(json.dumps(taken), flush=True)


def _nothing(_: int) -> None: ...
