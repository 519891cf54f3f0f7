"""A whole tuning: every window searched, its choice tried where it was not looked for, and a verdict with its reasons.

Each window's choice is the best set that is no spike (`tuning.stability`); where there is none, the present configuration
goes on. The choices of the folds, in the tests after them, say what the procedure is worth out of sample; the choice of the
newest window is what is recommended, if anything is.
"""

from __future__ import annotations

import fcntl
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import numpy as np

from perpmaker.errors import ConfigError
from perpmaker.research import metrics
from perpmaker.research.tuning.runners import Failed, Runner, Task
from perpmaker.research.tuning.scoring import OBJECTIVES, Evaluate, Score
from perpmaker.research.tuning.search import SAMPLERS, Search, Study, Tried
from perpmaker.research.tuning.space import Space, Value
from perpmaker.research.tuning.stability import KEPT, STEPS, Stability, stability
from perpmaker.research.tuning.windows import Window

CANDIDATES: Final = 3
"""How many of the best are looked at before a window is said to have nothing but spikes."""
SURE: Final = 0.95
"""Below this a deflated Sharpe ratio is called luck, as is usual."""
_NOTHING: Final = 1e-9
"""A gain of this part of the value is rounding."""
_PLAN: Final = "plan.json"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to search. `trials` are those of each window; a quarter of them, ten at least, are scattered evenly first."""

    trials: int
    objective: str = "sharpe"
    sampler: str = "tpe"
    seed: int = 1
    batch: int = 1
    """Sets that are chosen without knowing each other's values: as many as run at a time."""
    min_fills: int = 30
    """Fewer in a window's training: its value is chance, and it is not chosen."""
    steps: tuple[float, ...] = STEPS
    kept: float = KEPT
    about: str = ""
    """Names what is evaluated: configuration, tape, models. Another one does not go on in the same folder."""

    @property
    def scattered(self) -> int:
        return min(self.trials, max(10, self.trials // 4))


class Verdict(Enum):
    RECOMMENDED = "recommended"
    TOO_FEW_FILLS = "refused: too few fills"
    SPIKE = "refused: spike"
    NO_BETTER = "refused: no better out of sample"


class Choice(msgspec.Struct, frozen=True):
    """What a window's search came to. `best` None: the present configuration goes on."""

    best: Tried | None
    stability: Stability | None
    refused: tuple[Stability, ...]
    """The spikes that were better."""


class WindowOutcome(msgspec.Struct, frozen=True):
    """One window. `present` is the present configuration in training and test; `test` the choice in the test."""

    window: Window
    tried: tuple[Tried, ...]
    choice: Choice
    present: Score | None
    present_test: Score | None
    test: Score | None


class Outcome(msgspec.Struct, frozen=True):
    """The end of a tuning. Values are the objective's; nan where there is none."""

    plan: Plan
    space: Space
    windows: tuple[WindowOutcome, ...]
    verdict: Verdict
    reason: str
    cautions: tuple[str, ...]
    deflated_sharpe: float
    """Probability that the choice in the newest window is better than the luckiest of so many trials without skill."""
    test_sharpe_above_zero: float
    """Probability that the Sharpe ratio of all tests together is truly above 0."""
    test_better: float
    """Probability that the choices truly earn more than the present configuration, by their returns side by side."""

    @property
    def newest(self) -> WindowOutcome:
        return self.windows[-1]

    @property
    def folds(self) -> tuple[WindowOutcome, ...]:
        return self.windows[:-1]

    @property
    def recommended(self) -> dict[str, Value] | None:
        best = self.newest.choice.best
        return best.params if self.verdict is Verdict.RECOMMENDED and best is not None else None

    def value(self, score: Score | None) -> float:
        """Return the objective's value of a score."""
        return math.nan if score is None else OBJECTIVES[self.plan.objective](score)


class Step(msgspec.Struct, frozen=True):
    """Where a tuning is, for a progress bar. `of` grows when neighbours have to be looked at."""

    window: str
    doing: str
    done: int
    of: int
    best: float | None


def tune(
    space: Space,
    evaluate: Evaluate,
    windows: Sequence[Window],
    plan: Plan,
    runner: Runner,
    folder: Path,
    told: Callable[[Step], None] = lambda step: None,
) -> Outcome:
    """Search all windows and judge. What is in `folder` already is not done again."""
    if plan.objective not in OBJECTIVES or plan.sampler not in SAMPLERS:
        raise ConfigError(
            f"objective {plan.objective!r}, sampler {plan.sampler!r}: there are {', '.join(OBJECTIVES)} and "
            f"{', '.join(SAMPLERS)}"
        )
    with _kept(folder, space, windows, plan):
        counter = _Counter(plan, len(windows), told)
        found = tuple(_Windowed(space, evaluate, window, plan, runner, folder, counter).outcome() for window in windows)
    return _judged(plan, space, found)


class _Counter:
    """Counts answers and tells."""

    def __init__(self, plan: Plan, windows: int, told: Callable[[Step], None]) -> None:
        self.done, self.of = 0, windows * (plan.trials + 3) - 2
        self._told = told
        self._best: float | None = None
        self._window = ""

    def enter(self, window: str, already: int) -> None:
        self._window, self._best = window, None
        self.done += already
        self.tell("searching")

    def answered(self, tried: Tried) -> None:
        self.done += 1
        if tried.value is not None and (self._best is None or tried.value > self._best):
            self._best = tried.value
        self.tell("looking beside it" if tried.kind == "neighbour" else "searching")

    def evaluated(self) -> None:
        self.done += 1
        self.tell("testing")

    def tell(self, doing: str) -> None:
        self.of = max(self.of, self.done)
        self._told(Step(self._window, doing, self.done, self.of, self._best))


class _Windowed:
    """One window's search, choice and test."""

    def __init__(
        self,
        space: Space,
        evaluate: Evaluate,
        window: Window,
        plan: Plan,
        runner: Runner,
        folder: Path,
        counter: _Counter,
    ) -> None:
        self._space, self._evaluate, self._window, self._plan = space, evaluate, window, plan
        self._runner, self._counter = runner, counter
        self._tests = _Tests(folder / f"{window.name.replace(' ', '-')}.json")
        self._search = Search(
            Study(folder, window.name),
            space,
            window,
            evaluate,
            OBJECTIVES[plan.objective],
            runner,
            seed=plan.seed,
            sampler=plan.sampler,
            told=counter.answered,
        )

    def outcome(self) -> WindowOutcome:
        plan, window = self._plan, self._window
        self._counter.enter(window.name, len(self._search.tried()))
        self._search.explore(plan.trials, plan.scattered, plan.batch)
        choice = self._chosen()
        train, test = (window.train_from_ns, window.train_to_ns), (window.test_from_ns, window.test_to_ns)
        best = choice.best.params if choice.best is not None else {}
        return WindowOutcome(
            window=window,
            tried=tuple(self._search.tried()),
            choice=choice,
            present=self._evaluated({}, *train),
            present_test=self._evaluated({}, *test) if window.has_test else None,
            test=self._evaluated(best, *test) if window.has_test else None,
        )

    def _chosen(self) -> Choice:
        """Return the best set that gains over the typical one and stands, looking at no more than a few."""
        tried = self._search.tried()
        scattered = [one.value for one in tried if one.kind == "scattered" and one.value is not None]
        if not scattered:
            return Choice(None, None, ())
        typical = median(scattered)
        own = sorted(
            (one for one in tried if one.kind != "neighbour" and one.counts(self._plan.min_fills)),
            key=lambda one: (-_value(one), one.number),
        )
        refused: list[Stability] = []
        for one in own:
            if _value(one) - typical <= _NOTHING * max(1.0, abs(typical)) or len(refused) == CANDIDATES:
                break
            if any(self._is_on(one, spike) for spike in refused):
                continue
            judged = self._stability(one, typical)
            if not judged.is_spike:
                return Choice(one, judged, tuple(refused))
            refused.append(judged)
        return Choice(None, None, tuple(refused))

    def _is_on(self, one: Tried, spike: Stability) -> bool:
        """Say whether a set is on a needle that was refused: near it in what makes it one."""
        return self._space.distance(one.params, spike.params, spike.failing) <= max(self._plan.steps)

    def _stability(self, one: Tried, typical: float) -> Stability:
        beside = self._space.neighbours(one.params, self._plan.steps)
        sets = [params for row in beside.values() for params in row]
        found = self._search.visit(sets)
        values = iter([found[place].value for place in range(len(sets))])
        rows = {name: [next(values) for _ in row] for name, row in beside.items()}
        return stability(one.params, _value(one), typical, rows, self._plan.kept)

    def _evaluated(self, params: dict[str, Value], from_ns: int, to_ns: int) -> Score | None:
        """Return what a set does in a time, None when it cannot be run there; the present configuration has to run."""
        name = f"{sorted(params.items())} {from_ns} {to_ns}"
        if name not in self._tests.scores:
            task = Task(0, params, from_ns, to_ns, self._plan.seed)
            ((_, answer),) = self._runner.run(self._evaluate, [task])
            if isinstance(answer, Failed) and not params:
                raise ConfigError(f"the present configuration cannot be run: {answer.reason}")
            self._tests.keep(name, None if isinstance(answer, Failed) else answer)
            self._counter.evaluated()
        return self._tests.scores[name]


class _Tests:
    """Scores outside the search, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.scores: dict[str, Score | None] = {}
        if path.exists():
            self.scores = msgspec.json.decode(path.read_bytes(), type=dict[str, Score | None])

    def keep(self, name: str, score: Score | None) -> None:
        self.scores[name] = score
        part = self._path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self.scores))
        part.replace(self._path)


def _judged(plan: Plan, space: Space, windows: tuple[WindowOutcome, ...]) -> Outcome:
    newest, folds = windows[-1], windows[:-1]
    objective = OBJECTIVES[plan.objective]
    chosen = newest.choice.best
    tests = [objective(fold.test) for fold in folds if fold.test is not None]
    present = [objective(fold.present_test) for fold in folds if fold.present_test is not None]
    verdict, reason = Verdict.RECOMMENDED, _gain_text(tests, present)
    if chosen is None and newest.choice.refused:
        verdict = Verdict.SPIKE
        reason = f"the best set is a spike: {newest.choice.refused[0].in_words()}"
    elif chosen is None and any(one.counts(plan.min_fills) for one in newest.tried):
        verdict, reason = Verdict.NO_BETTER, "no set gains anything over the typical one"
    elif chosen is None:
        verdict, reason = Verdict.TOO_FEW_FILLS, _few_text(plan, newest)
    elif not tests or not median(tests) > median(present):
        verdict = Verdict.NO_BETTER
    deflated, above_zero, better = _deflated(newest), _above_zero(folds), _better(folds)
    return Outcome(
        plan=plan,
        space=space,
        windows=windows,
        verdict=verdict,
        reason=reason,
        cautions=tuple(_cautions(plan, space, windows, deflated, above_zero, better)),
        deflated_sharpe=deflated,
        test_sharpe_above_zero=above_zero,
        test_better=better,
    )


def _few_text(plan: Plan, newest: WindowOutcome) -> str:
    most = max((one.score.fills for one in newest.tried if one.score is not None), default=0)
    failed = [one.error for one in newest.tried if one.error]
    told = f"no set has {plan.min_fills} fills in the newest window; the most is {most}"
    return f"{told}; {len(failed)} could not be run, the first because: {failed[0]}" if failed else told


def _gain_text(tests: Sequence[float], present: Sequence[float]) -> str:
    if not tests or not present:
        return "there is no test to judge by"
    return (
        f"over {len(tests)} test(s) the median is {median(tests):,.4g}, that of the present configuration "
        f"{median(present):,.4g}"
    )


def _deflated(newest: WindowOutcome) -> float:
    best = newest.choice.best
    if best is None or best.score is None:
        return math.nan
    ratios = [one.score.per_period_sharpe for one in newest.tried if one.kind != "neighbour" and one.score is not None]
    return metrics.deflated_sharpe(best.score.array, np.array(ratios))


def _above_zero(folds: Sequence[WindowOutcome]) -> float:
    returns = [fold.test.array for fold in folds if fold.test is not None]
    return metrics.probabilistic_sharpe(np.concatenate(returns)) if returns else math.nan


def _better(folds: Sequence[WindowOutcome]) -> float:
    pairs = [(fold.test, fold.present_test) for fold in folds]
    gains = [
        test.array - present.array
        for test, present in pairs
        if test is not None and present is not None and len(test.returns) == len(present.returns)
    ]
    return metrics.probabilistic_sharpe(np.concatenate(gains)) if gains else math.nan


def _cautions(
    plan: Plan, space: Space, windows: Sequence[WindowOutcome], deflated: float, above_zero: float, better: float
) -> Iterator[str]:
    newest = windows[-1]
    trials = sum(one.kind != "neighbour" for one in newest.tried)
    if deflated < SURE:
        yield (
            f"The best of {trials} trials is not beyond luck: its deflated Sharpe ratio is {deflated:.0%}, where "
            f"{SURE:.0%} is asked for."
        )
    if above_zero < SURE:
        yield f"The tests together truly earn with a probability of {above_zero:.0%} only."
    if better < SURE:
        yield f"They truly earn more than the present configuration with a probability of {better:.0%} only."
    best = newest.choice.best
    for name in space.edges(best.params) if best is not None else ():
        yield f"{name} is at the end of its range: the best may lie beyond; widen it and search again."
    if best is not None and not any(dimension.is_number for dimension in space.dimensions):
        yield "Names have no neighbours: nothing is known of how stable this is."
    refused = [fold.window.name for fold in windows[:-1] if fold.choice.best is None]
    if refused:
        yield f"Nothing stood in {', '.join(refused)}: the present configuration was tried there instead."
    few = [fold.window.name for fold in windows[:-1] if fold.test is not None and fold.test.fills < plan.min_fills]
    if few:
        yield f"Fewer than {plan.min_fills} fills in the tests of {', '.join(few)}: they say little."


def _value(one: Tried) -> float:
    return -math.inf if one.value is None else one.value


@contextmanager
def _kept(folder: Path, space: Space, windows: Sequence[Window], plan: Plan) -> Iterator[None]:
    """Hold the folder for this tuning alone, and refuse one of another tuning."""
    folder.mkdir(parents=True, exist_ok=True)
    same = msgspec.structs.replace(
        plan, trials=0, batch=0
    )  # more trials go on; how many at a time changes nothing asked
    told = msgspec.json.encode({"space": space, "windows": list(windows), "plan": same})
    with (folder / "tuning.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{folder}: another tuning is at work in it") from error
        path = folder / _PLAN
        if path.exists() and path.read_bytes() != told:
            raise ConfigError(
                f"{folder}: holds another tuning (other keys, ranges, tape, configuration or seed); name another --output"
            )
        path.write_bytes(told)
        yield
