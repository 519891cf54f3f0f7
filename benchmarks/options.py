"""How much a run measures, and how it says that it is getting on."""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

_BEGAN = time.monotonic()


class Options(NamedTuple):
    """What `python -m benchmarks` was asked for."""

    quick: bool = False
    """A few seconds each: to see that everything runs. Its figures mean nothing."""
    peers: bool = True
    """Without peers their rows say so."""
    minutes: float = 10.0
    """How long the loop's callbacks are listened to."""
    long: bool = False
    """Also the day of 20 instruments in a backtest (about ten minutes)."""

    def of(self, full: int, quick: int) -> int:
        """Return how often, or how many."""
        return quick if self.quick else full


def progress(text: str) -> None:
    """Say on standard error how far the run is."""
    print(f"[{time.monotonic() - _BEGAN:5.0f} s] {text}", file=sys.stderr, flush=True)
