"""What one set of parameters did in one stretch of time, and how that becomes one number to make as large as possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from perpmaker.research import metrics
from perpmaker.research.metrics import Floats
from perpmaker.research.tuning.space import Value


class Score(msgspec.Struct, frozen=True):
    """Money in the account's currency. `returns` are fractions of equity per `period_s`, in order."""

    pnl: float
    notional: float
    fills: int
    drawdown_frac: float
    period_s: float
    returns: tuple[float, ...]
    digest: str = ""
    """Hash of the result, where there is one."""

    @property
    def array(self) -> Floats:
        return np.array(self.returns, dtype=np.float64)

    @property
    def per_period_sharpe(self) -> float:
        """Sharpe ratio per period; 0 when nothing was ever won or lost, for that is a ratio of nothing and no failure."""
        found = metrics.sharpe(self.array, 1.0)
        return 0.0 if math.isnan(found) and not any(self.returns) else found


class Evaluate(Protocol):
    """Runs one set of parameters; `params` holds what differs from the present configuration.

    It is sent to other processes, so it must be picklable: a plain object of a module, with paths rather than open files.
    """

    def __call__(self, params: Mapping[str, Value], from_ns: int, to_ns: int, seed: int) -> Score: ...


Objective = Callable[[Score], float]


def _annual(score: Score) -> float:
    return score.per_period_sharpe * math.sqrt(metrics.YEAR_S / score.period_s)


def _sortino(score: Score) -> float:
    found = metrics.sortino(score.array, metrics.YEAR_S / score.period_s)
    return 0.0 if math.isnan(found) and not any(score.returns) else found


def _calmar(score: Score) -> float:
    equity = np.concatenate([np.ones(1), np.cumprod(1 + score.array)])
    found = metrics.calmar(equity, len(score.returns) * score.period_s / metrics.YEAR_S)
    return 0.0 if math.isnan(found) and not any(score.returns) else found


OBJECTIVES: Final[Mapping[str, Objective]] = {
    "sharpe": _annual,
    "sortino": _sortino,
    "pnl": lambda score: score.pnl,
    "calmar": _calmar,
    "cost": lambda score: -metrics.cost_bps(score.pnl, score.notional) if score.notional else 0.0,
}
"""By the name `[tune] objective` gives; a value that is nan is no value."""


def to_json(score: Score) -> Any:
    """Return a score as plain data for a study's journal."""
    return msgspec.to_builtins(score)


def from_json(data: Any) -> Score:
    return msgspec.convert(data, Score)
