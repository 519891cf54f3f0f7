"""Whether a regime model helps: trained on one part of a tape, judged on the next, again and again.

Three arms trade each test: the configuration as it is; with the model; and a control with the model's average factors all
the time. The control tells what the regimes know from what merely standing further away does.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.engine.backtest import BAND, Setup, backtest
from perpmaker.errors import ConfigError, DataError
from perpmaker.research import metrics
from perpmaker.research.backtest_results import results_of
from perpmaker.research.metrics import Floats
from perpmaker.research.regime.fitting import LEAST_SAMPLES, Fitted, fit, gaussian_log_likelihood
from perpmaker.research.regime.samples import Samples
from perpmaker.research.report_figures import figures_of, periodic_equity
from perpmaker.research.tuning.backtests import BacktestEvaluation
from perpmaker.research.tuning.windows import Window, walk_forward
from perpmaker.simulation import FillModel
from perpmaker.strategies.quoting.multiples import blended
from perpmaker.strategies.regimes.features import FEATURES
from perpmaker.strategies.regimes.model import COMPONENTS, RegimeModel, model_bytes
from perpmaker.strategies.regimes.params import BlendParams
from perpmaker.tape.reader import open_tape

MIN_FILLS: Final = 30
"""With fewer in the tests of an arm nothing is judged."""
AHEAD_S: Final = 60
"""How far ahead the volatility of each state is looked at."""
_LEVEL: Final = 0.9
WITHOUT, WITH, CONTROL = "without", "with", "control"


class Trial(msgspec.Struct, frozen=True):
    """One arm on one test under one fill model; money in the account's currency."""

    arm: str
    fill_model: str
    pnl: float
    notional: float
    fills: int
    mean_inventory: float
    drawdown: float
    markout_10s_bps: float
    returns: tuple[float, ...]
    """PnL of each period, one after the other."""
    digest: str


class States(msgspec.Struct, frozen=True):
    """What the states of a model look like on rows it was not trained on."""

    shares: dict[str, float]
    switches_per_h: float
    mean_stay_s: float
    strange_share: float
    """Of seconds unlike anything it was trained on."""
    volatility_ahead: dict[str, float]
    """Of the next minute, bps per root second, by the state before it; nan where it never was."""
    agreement: float
    """With the model of the next window on the same seconds, beyond chance (Cohen's kappa: 1 the same, 0 luck)."""


class Fold(msgspec.Struct, frozen=True):
    """A model and its test."""

    window: Window
    samples: int
    tested: int
    converged: bool
    log_likelihood: float
    """Mean ln density of a second in training; in units of the features."""
    log_likelihood_test: float
    gaussian_test: float
    """Of one normal distribution, on the test."""
    states: States
    trials: tuple[Trial, ...]

    def trial(self, arm: str, fill_model: str) -> Trial:
        return next(one for one in self.trials if (one.arm, one.fill_model) == (arm, fill_model))


class Verdict(enum.Enum):
    PAYS = "it pays"
    NOT = "it does not pay"
    UNTOLD = "it cannot be told whether it pays"
    TOO_FEW = "too few fills to judge by"


class Gain(msgspec.Struct, frozen=True):
    """What the model earned more than another arm over all tests, with a bootstrap interval."""

    over: str
    fill_model: str
    pnl: float
    low: float
    high: float


class Evaluation(msgspec.Struct, frozen=True):
    """Everything that was found; `model` was trained on the newest window and is what would be used."""

    model: RegimeModel
    samples: int
    folds: tuple[Fold, ...]
    gains: tuple[Gain, ...]
    period_s: int
    verdict: Verdict
    reason: str
    cautions: tuple[str, ...]

    def total(self, arm: str, fill_model: str, name: str) -> float:
        return float(sum(getattr(fold.trial(arm, fill_model), name) for fold in self.folds))

    def gain(self, over: str, fill_model: str) -> Gain:
        return next(one for one in self.gains if (one.over, one.fill_model) == (over, fill_model))


class Task(msgspec.Struct, frozen=True):
    """What is to be trained and judged. `evaluate` names configuration, tape and strategy; its fill model counts most."""

    evaluate: BacktestEvaluation
    blend: BlendParams
    window_s: int
    levels: int
    seed: int
    folds: int
    train_parts: int
    from_ns: int
    to_ns: int
    trained: dict[str, str]
    """For the model's file, for people."""
    band: tuple[str, ...] = tuple(model.value for model in BAND)


Tell = Callable[[str], None]
"""Hears what is done next; called `steps(task)` times."""


def steps(task: Task) -> int:
    return 1 + task.folds * (2 * len(_models(task)) + 2)


def evaluate(task: Task, samples: Samples, folder: Path, tell: Tell) -> Evaluation:
    """Train on each window, try in each test; models of the folds go to `folder`."""
    windows = walk_forward(task.from_ns, task.to_ns, folds=task.folds, train_parts=task.train_parts)
    fitted = []
    for window in windows:
        tell(f"{window.name}: training")
        rows = samples.between(window.train_from_ns, window.train_to_ns).rows
        if len(rows) < LEAST_SAMPLES:
            raise ConfigError(
                f"{window.name}: {len(rows)} seconds to train on, {LEAST_SAMPLES} are needed: give a longer tape or fewer "
                "folds"
            )
        fitted.append(fit(rows, window_s=task.window_s, levels=task.levels, seed=task.seed, trained=task.trained))
    folds = []
    for place, window in enumerate(windows[:-1]):
        path = folder / f"fold-{place + 1}.json"
        path.write_bytes(model_bytes(fitted[place].model))
        folds.append(_fold(task, samples, window, fitted[place], fitted[place + 1].model, path, tell))
    period_s = task.evaluate.period_s
    gains = tuple(
        _gain(folds, over, model, task.seed)
        for over, models in ((WITHOUT, _models(task)), (CONTROL, (task.evaluate.fill_model,)))
        for model in models
    )
    main = task.evaluate.fill_model
    verdict, reason = _judged(folds, gains, main)
    return Evaluation(
        model=fitted[-1].model,
        samples=len(samples.ts_ns),
        folds=tuple(folds),
        gains=gains,
        period_s=period_s,
        verdict=verdict,
        reason=reason,
        cautions=tuple(_cautions(folds, main)),
    )


def _models(task: Task) -> tuple[str, ...]:
    main = task.evaluate.fill_model
    return (main, *(model for model in task.band if model != main))


def _fold(
    task: Task, samples: Samples, window: Window, fitted: Fitted, after: RegimeModel, path: Path, tell: Tell
) -> Fold:
    training = samples.between(window.train_from_ns, window.train_to_ns)
    test = samples.between(window.test_from_ns, window.test_to_ns)
    if len(test.ts_ns) < 2:
        raise DataError(f"{window.name}: its test has no seconds with a full window")
    shares, densities = posteriors(fitted.model, training.rows)
    average = blended(tuple(shares.mean(axis=0).tolist()), task.blend.multiples())
    same: dict[str, float] = {}
    for name in COMPONENTS:
        same |= {
            f"regime.blend.{name}_gamma_mult": average.gamma,
            f"regime.blend.{name}_kappa_mult": average.kappa,
            f"regime.blend.{name}_spacing_mult": average.spacing,
        }
    model_key = {"regime.model": str(path)}
    trials = []
    for fill_model in _models(task):
        for arm, keys in ((WITHOUT, {}), (WITH, model_key)):
            tell(f"{window.name}: {arm}, {fill_model}")
            trials.append(_trial(task, arm, keys, window, fill_model))
    tell(f"{window.name}: control")
    trials.append(_trial(task, CONTROL, {**model_key, **same}, window, task.evaluate.fill_model))
    unscaled = sum(math.log(scale) for scale in fitted.model.scale)
    _, tested = posteriors(fitted.model, test.rows)
    return Fold(
        window=window,
        samples=len(training.ts_ns),
        tested=len(test.ts_ns),
        converged=fitted.converged,
        log_likelihood=float(densities.mean()) - unscaled,
        log_likelihood_test=float(tested.mean()) - unscaled,
        gaussian_test=gaussian_log_likelihood(training.rows, test.rows),
        states=_states(fitted.model, after, test),
        trials=tuple(trials),
    )


def _trial(task: Task, arm: str, keys: Mapping[str, float | str], window: Window, fill_model: str) -> Trial:
    evaluation = task.evaluate
    config = evaluation.config(keys)
    tape = open_tape(*map(Path, evaluation.tapes))
    setup = Setup(config, task.seed, window.test_from_ns, window.test_to_ns, named=evaluation.named)
    results = results_of(backtest(setup, tape, (FillModel(fill_model),)), config)
    run = results.main
    figures = figures_of(run, results)
    equity = periodic_equity(run, results, evaluation.period_s)
    return Trial(
        arm=arm,
        fill_model=fill_model,
        pnl=run.pnl,
        notional=run.notional,
        fills=figures.fills,
        mean_inventory=figures.mean_inventory,
        drawdown=figures.drawdown,
        markout_10s_bps=figures.markout("all", 10).bps,
        returns=tuple(np.diff(equity).tolist()),
        digest=run.digest,
    )


def posteriors(model: RegimeModel, rows: Floats) -> tuple[Floats, Floats]:
    """Return shares and ln densities of rows of features, as the strategy works them out."""
    found = [model.posterior(row) for row in rows.tolist()]
    return np.array([one.shares for one in found]), np.array([one.log_likelihood for one in found])


def _states(model: RegimeModel, after: RegimeModel, test: Samples) -> States:
    shares, densities = posteriors(model, test.rows)
    state = np.argmax(shares, axis=1)
    other = np.argmax(posteriors(after, test.rows)[0], axis=1)
    hours = len(state) / 3600
    switches = int(np.count_nonzero(np.diff(state)))
    ahead = _volatility_ahead(test)
    return States(
        shares={name: float(np.mean(state == place)) for place, name in enumerate(COMPONENTS)},
        switches_per_h=switches / hours,
        mean_stay_s=len(state) / (switches + 1),
        strange_share=float(np.mean(densities < model.least_log_likelihood)),
        volatility_ahead={
            name: _mean(ahead[(state == place) & np.isfinite(ahead)]) for place, name in enumerate(COMPONENTS)
        },
        agreement=cohens_kappa(state, other),
    )


def cohens_kappa(one: metrics.Times, other: metrics.Times) -> float:
    """Return (agreement - chance) / (1 - chance) of two labellings; nan when both always say the same single word.

    Cohen (1960), Educational and Psychological Measurement 20(1), 37-46.
    """
    agreed = float(np.mean(one == other))
    labels = np.union1d(one, other)
    chance = sum(float(np.mean(one == label)) * float(np.mean(other == label)) for label in labels)
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


def _volatility_ahead(test: Samples) -> Floats:
    """Return the realised volatility of the minute after each second, bps per root second; nan where it is not whole."""
    moves = np.diff(np.log(test.mid)) ** 2
    summed = np.concatenate([np.zeros(1), np.cumsum(moves)])
    last = np.searchsorted(test.ts_ns, test.ts_ns + AHEAD_S * 1_000_000_000, side="right") - 1
    first = np.arange(len(test.ts_ns))
    seconds = (test.ts_ns[last] - test.ts_ns) / 1e9
    whole = (seconds > AHEAD_S - 2) & (last > first)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sqrt((summed[last] - summed[first]) / seconds) * 1e4
    return np.where(whole, found, math.nan)


def _gain(folds: Sequence[Fold], over: str, fill_model: str, seed: int) -> Gain:
    differences = np.concatenate(
        [
            np.array(fold.trial(WITH, fill_model).returns) - np.array(fold.trial(over, fill_model).returns)
            for fold in folds
        ]
    )
    count = len(differences)
    interval = metrics.bootstrap_interval(
        differences, lambda part: float(part.mean()) * count, seed=seed, level=_LEVEL, resamples=1000
    )
    pnl = sum(fold.trial(WITH, fill_model).pnl - fold.trial(over, fill_model).pnl for fold in folds)
    return Gain(over, fill_model, pnl, interval.low, interval.high)


def _judged(folds: Sequence[Fold], gains: Sequence[Gain], main: str) -> tuple[Verdict, str]:
    fewest = min(sum(fold.trial(arm, main).fills for fold in folds) for arm in (WITHOUT, WITH, CONTROL))
    if fewest < MIN_FILLS:
        return Verdict.TOO_FEW, f"an arm had {fewest} fills in all tests, {MIN_FILLS} are needed"
    over_plain = next(one for one in gains if (one.over, one.fill_model) == (WITHOUT, main))
    over_control = next(one for one in gains if one.over == CONTROL)
    told = (
        f"out of sample it earned {over_plain.pnl:+.2f} more than without (90 %: {over_plain.low:+.2f} to "
        f"{over_plain.high:+.2f}) and {over_control.pnl:+.2f} more than its average factors all the time (90 %: "
        f"{over_control.low:+.2f} to {over_control.high:+.2f})"
    )
    if over_plain.pnl <= 0:
        return Verdict.NOT, told
    if over_control.pnl <= 0:
        return Verdict.NOT, f"{told}: what helps is the distance, not the regimes"
    worst = min((one for one in gains if one.over == WITHOUT), key=lambda one: one.pnl)
    if worst.pnl <= 0:
        return Verdict.UNTOLD, f"{told}, but {worst.pnl:+.2f} under the fill model {worst.fill_model}"
    if not (over_plain.low > 0 and over_control.low > 0):
        return Verdict.UNTOLD, f"{told}: within what luck alone shows"
    return Verdict.PAYS, told


def _cautions(folds: Sequence[Fold], main: str) -> list[str]:
    found = []
    worse = sum(fold.log_likelihood_test <= fold.gaussian_test for fold in folds)
    if worse:
        found.append(
            f"In {worse} of {len(folds)} tests three components describe the market no better than one normal distribution."
        )
    agreements = [fold.states.agreement for fold in folds if math.isfinite(fold.states.agreement)]
    if agreements and min(agreements) < 0.4:
        found.append(
            f"Trained a part later, the states mean something else (agreement beyond chance {min(agreements):.2f} at the "
            "least): the names are not stable."
        )
    if any(not fold.converged for fold in folds):
        found.append("A fit did not converge.")
    plain, with_model = (sum(fold.trial(arm, main).notional for fold in folds) for arm in (WITHOUT, WITH))
    if plain > 0 and with_model < 0.8 * plain:
        found.append(
            f"With the model {with_model / plain:.0%} of the volume was traded: a part of the difference is that."
        )
    strange = max(fold.states.strange_share for fold in folds)
    if strange > 0.05:
        found.append(
            f"In one test {strange:.0%} of the seconds were unlike anything in its training; quotes stood wider then."
        )
    return found


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def feature_means(model: RegimeModel) -> dict[str, dict[str, float]]:
    """Return each component's mean in units of the features."""
    return {
        name: {
            feature: mean * scale + centre
            for feature, mean, scale, centre in zip(FEATURES, means, model.scale, model.centre, strict=True)
        }
        for name, means in zip(COMPONENTS, model.means, strict=True)
    }
