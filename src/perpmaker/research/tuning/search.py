"""The search in one window: sets scattered over the space, then a sampler, in batches, on Optuna's journal.

The journal is the truth: every set and its answer are in it, so that a search which was killed goes on with the same call
and comes to the same end. For that a sampler's randomness depends on the seed and the trial's number alone, answers are
told in the order of those numbers, and a batch is filled before it is run.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from perpmaker.research.tuning.runners import Answer, Failed, Runner, Task
from perpmaker.research.tuning.scoring import Evaluate, Objective, Score, from_json, to_json
from perpmaker.research.tuning.space import Space, Value
from perpmaker.research.tuning.windows import Window

SAMPLERS: Final = ("tpe", "evolution", "random")
Kind = Literal["scattered", "searched", "neighbour"]
_SCORE, _ERROR, _KIND = "score", "error", "kind"


class Tried(msgspec.Struct, frozen=True):
    """One set and what came of it. `value` is the objective's, None when there is none."""

    number: int
    kind: Kind
    params: dict[str, Value]
    score: Score | None
    value: float | None
    error: str = ""

    def counts(self, min_fills: int) -> bool:
        """Say whether it can be chosen: it has a value, of enough fills."""
        return self.value is not None and self.score is not None and self.score.fills >= min_fills


class Study:
    """One window's trials in a folder's journal."""

    def __init__(self, folder: Path, name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = JournalStorage(JournalFileBackend(str(folder / "trials.journal")))
        self.study = optuna.create_study(
            storage=self._storage, study_name=name, direction="maximize", load_if_exists=True
        )
        self._study_id = self._storage.get_study_id_from_name(name)

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._id(number))

    def note(self, number: int, name: str, value: Any) -> None:
        """Keep something beside a trial that is not over yet."""
        self._storage.set_trial_user_attr(self._id(number), name, value)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


class Search:
    """One window's search. `told` is called after every answer."""

    def __init__(
        self,
        study: Study,
        space: Space,
        window: Window,
        evaluate: Evaluate,
        objective: Objective,
        runner: Runner,
        *,
        seed: int,
        sampler: str,
        told: Callable[[Tried], None],
    ) -> None:
        self._study = study
        self._space, self._window = space, window
        self._evaluate, self._objective, self._runner = evaluate, objective, runner
        self._seed, self._sampler, self._told = seed, sampler, told
        self._distributions = space.distributions()

    def explore(self, trials: int, scattered: int, batch: int) -> None:
        """Try `scattered` sets spread evenly, then let the sampler choose, until there are `trials`."""
        if not self._study.trials():
            for params in self._space.scattered(scattered, self._seed):
                self._enqueue(params, "scattered")
        while True:
            begun = self._begun()
            count = self._count("scattered", "searched")
            room = batch - count % batch if count % batch or not begun else 0  # a batch is filled before it is run
            asked = [self._ask() for _ in range(min(room, trials - count))]
            if not begun and not asked:
                return
            self._run([*begun, *asked])

    def visit(self, sets: Sequence[Mapping[str, Value]]) -> dict[int, Tried]:
        """Return what came of each set, by its place; what was never tried is tried now, as neighbours."""
        known = {_named(tried.params): tried for tried in self.tried()}
        new = {_named(params): params for params in sets if _named(params) not in known}
        waiting = {_named(self._space.values(params)) for params in self._waiting()}
        for name, params in new.items():
            if name not in waiting:
                self._enqueue(params, "neighbour")
        numbers = [*self._begun(), *(self._ask() for _ in self._waiting())]
        if numbers:
            self._run(numbers)
            known = {_named(tried.params): tried for tried in self.tried()}
        return {place: known[_named(params)] for place, params in enumerate(sets)}

    def tried(self) -> list[Tried]:
        """Return all that is finished, in the order of its numbers."""
        done = (TrialState.COMPLETE, TrialState.FAIL)
        return [self._read(trial) for trial in self._study.trials() if trial.state in done and self._is_whole(trial)]

    def _begun(self) -> list[int]:
        """Return the numbers that were asked for and not answered: after a kill, those of the batch it cut short."""
        found = []
        for trial in self._study.trials():
            if trial.state is not TrialState.RUNNING:
                continue
            if self._is_whole(trial):
                found.append(trial.number)
            else:  # killed while it was asked for: nobody knows what it was to be
                self._study.study.tell(trial.number, state=TrialState.FAIL)
        return found

    def _waiting(self) -> list[dict[str, Value]]:
        """Return the sets that are to be tried and were not asked for yet."""
        return [
            trial.system_attrs["fixed_params"] for trial in self._study.trials() if trial.state is TrialState.WAITING
        ]

    def _ask(self) -> int:
        trials = self._study.trials()
        number = next((trial.number for trial in trials if trial.state is TrialState.WAITING), len(trials))
        self._study.study.sampler = make_sampler(self._sampler, _mixed(self._seed, number))
        return self._study.study.ask(self._distributions).number

    def _run(self, numbers: Sequence[int]) -> None:
        window = self._window
        tasks = [
            Task(number, self._space.values(params), window.train_from_ns, window.train_to_ns, self._seed)
            for number, params in ((number, self._study.trial(number).params) for number in numbers)
        ]
        answers: dict[int, Answer] = {}
        waiting = sorted(numbers)
        for number, answer in self._runner.run(self._evaluate, tasks):
            answers[number] = answer
            while waiting and waiting[0] in answers:
                self._tell(waiting[0], answers[waiting.pop(0)])

    def _tell(self, number: int, answer: Answer) -> None:
        """Write an answer down, its attributes before its state: a trial that has a value has its score."""
        value: float | None = None
        if isinstance(answer, Failed):
            self._study.note(number, _ERROR, answer.reason)
        else:
            self._study.note(number, _SCORE, to_json(answer))
            value = _finite(self._objective(answer))
        if value is None:
            self._study.study.tell(number, state=TrialState.FAIL)
        else:
            self._study.study.tell(number, value)
        self._told(self._read(self._study.trial(number)))

    def _enqueue(self, params: Mapping[str, Value], kind: Kind) -> None:
        self._study.study.enqueue_trial(dict(params), user_attrs={_KIND: kind})

    def _count(self, *kinds: Kind) -> int:
        """How many of these kinds were begun."""
        return sum(
            _kind(trial) in kinds
            for trial in self._study.trials()
            if trial.state is not TrialState.WAITING and self._is_whole(trial)
        )

    def _is_whole(self, trial: FrozenTrial) -> bool:
        return set(trial.params) == set(self._distributions)

    def _read(self, trial: FrozenTrial) -> Tried:
        score = trial.user_attrs.get(_SCORE)
        return Tried(
            number=trial.number,
            kind=_kind(trial),
            params=self._space.values(trial.params),
            score=None if score is None else from_json(score),
            value=trial.value,
            error=trial.user_attrs.get(_ERROR, ""),
        )


def _kind(trial: FrozenTrial) -> Kind:
    kind: Kind = trial.user_attrs.get(_KIND, "searched")
    return kind


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return a sampler of Optuna by our name for it."""
    if name == "evolution":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=20)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True)


def _named(params: Mapping[str, Value]) -> str:
    return repr(sorted(params.items()))


def _mixed(seed: int, number: int) -> int:
    return (seed * 1_000_003 + number * 7_919 + 17) % (1 << 32)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
