"""A client's end of the pipe: it counts what it has taken in, and says what each batch cost."""

from __future__ import annotations

import json
import sys
import time
from typing import Any


class Counting:
    """`frame` is called for each frame that was taken in; a batch is over after `batch` of them.

    Processor time is of the whole process, from the first frame of a batch to its last.
    """

    def __init__(self, batch: int, **about: Any) -> None:
        self._batch = batch
        self._about = about
        self._seen = -1
        self._cpu_ns = self._first_ns = 0

    def frame(self) -> None:
        seen = self._seen = self._seen + 1
        if seen == 0:  # the whole book that follows a subscription
            self._say(self._about)
        elif seen == 1:
            self._cpu_ns = time.process_time_ns()
            self._first_ns = time.perf_counter_ns()
        elif seen == self._batch:
            cpu_ns, wall_ns = time.process_time_ns() - self._cpu_ns, time.perf_counter_ns() - self._first_ns
            self._say({"cpu_ns": cpu_ns, "wall_ns": wall_ns})
            self._seen = 0

    @staticmethod
    def _say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=sys.stdout, flush=True)
