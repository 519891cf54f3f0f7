"""Tuning: a search over a strategy's parameters whose answer has to hold where it was not looked for.

    plan = Plan(trials=100)
    outcome = tune(space, evaluate, windows, plan, runner, folder)      # resumable: the same call goes on where it ended
    outcome.verdict                                                     # recommended, or why not

`evaluate(params, from_ns, to_ns, seed)` says what one set of parameters did in one stretch of time; a backtest is one such
(`tuning.backtests`), a formula in a test another. docs/howto/tune-a-strategy.md tells the steps in words.
"""

from perpmaker.research.tuning.campaign import Outcome, Plan, Verdict, tune
from perpmaker.research.tuning.scoring import OBJECTIVES, Evaluate, Score
from perpmaker.research.tuning.space import Dimension, Space, Value
from perpmaker.research.tuning.windows import Window, walk_forward

__all__ = [
    "OBJECTIVES",
    "Dimension",
    "Evaluate",
    "Outcome",
    "Plan",
    "Score",
    "Space",
    "Value",
    "Verdict",
    "Window",
    "tune",
    "walk_forward",
]
