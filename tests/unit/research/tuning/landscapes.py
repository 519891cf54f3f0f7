"""Landscapes that stand for backtests: formulas of two numbers, made into returns of which a Sharpe ratio comes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from perpmaker.errors import ConfigError
from perpmaker.research.tuning import Dimension, Score, Space, Value, Window, walk_forward

S = 1_000_000_000
SPACE = Space((Dimension("x", "number", 0.0, 1.0), Dimension("y", "number", 0.0, 1.0)))
PRESENT = {"x": 0.1, "y": 0.1}
NOISE = 0.2


def windows(folds: int = 2) -> tuple[Window, ...]:
    """Five parts of 120 s with two folds."""
    return walk_forward(0, (3 + folds) * 120 * S, folds=folds)


class Landscape(msgspec.Struct, frozen=True):
    """The mean return of a set is its height; the noise is that of the stretch of time and the same for all sets."""

    kind: str
    fills: int = 100
    counted: str = ""
    """A file that gets a line for every evaluation."""
    dies_after: int = 0
    """Interrupted, as by a kill, when so many lines are there."""

    def __call__(self, params: Mapping[str, Value], from_ns: int, to_ns: int, seed: int) -> Score:
        self._count(params, from_ns)
        at = {**PRESENT, **params}
        x, y = float(at["x"]), float(at["y"])
        if self.kind == "broken" and x > 0.5:
            raise ConfigError("x above a half cannot be")
        noise = np.random.default_rng(seed + from_ns // S).normal(0, NOISE, (to_ns - from_ns) // S)
        noise -= noise.mean()
        returns = height(self.kind, x, y, from_ns // S // 120) + noise
        return Score(
            pnl=float(returns.sum()),
            notional=1e6,
            fills=self.fills,
            drawdown_frac=0.1,
            period_s=1.0,
            returns=tuple(returns.tolist()),
        )

    def _count(self, params: Mapping[str, Value], from_ns: int) -> None:
        if not self.counted:
            return
        path = Path(self.counted)
        if self.dies_after and path.exists() and len(path.read_text().splitlines()) >= self.dies_after:
            raise KeyboardInterrupt
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{sorted(params.items())} {from_ns}\n")


def height(kind: str, x: float, y: float, part: int) -> float:
    """Return the mean return per second; `part` counts stretches of 120 s."""
    hill = 0.1 * math.exp(-((x - 0.6) ** 2 + (y - 0.4) ** 2) / 0.08)
    needle = 1.0 if abs(x - 0.3) < 0.045 else 0.0
    if kind == "needle":
        return needle
    if kind == "needle beside a hill":
        return 0.2 * hill + needle
    if kind == "fickle":  # what is good is bad in the next test, and the present set is between
        return 0.1 * math.exp(-((x - (0.25 if part % 2 else 0.8)) ** 2) / 0.03)
    return 0.0 if kind == "plain" else hill
