"""A tuning finds a hill, refuses a needle and what did not hold, and goes on where it was cut short."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from tests.unit.research.tuning.landscapes import SPACE, Landscape, windows

from perpmaker.errors import ConfigError
from perpmaker.research.tuning import Dimension, Outcome, Plan, Space, Verdict, tune
from perpmaker.research.tuning.campaign import Step
from perpmaker.research.tuning.runners import InProcess, Pool

PLAN = Plan(trials=40, batch=4)
SHORT = Plan(trials=14, batch=4)


def tuned(kind: str, folder: Path, plan: Plan = PLAN, fills: int = 100) -> Outcome:
    return tune(SPACE, Landscape(kind, fills), windows(), plan, InProcess(), folder)


@pytest.fixture(scope="module")
def hill(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return tuned("hill", tmp_path_factory.mktemp("hill"))


def plain(outcome: Outcome) -> object:
    return msgspec.to_builtins((outcome.windows, outcome.verdict.value, outcome.reason, outcome.cautions))


def test_a_hill_is_found_and_recommended(hill: Outcome) -> None:
    assert hill.verdict is Verdict.RECOMMENDED
    assert hill.recommended is not None
    assert float(hill.recommended["x"]) == pytest.approx(0.6, abs=0.12)
    assert float(hill.recommended["y"]) == pytest.approx(0.4, abs=0.12)
    assert hill.test_sharpe_above_zero > 0.95
    assert [fold.window.name for fold in hill.folds] == ["fold 1", "fold 2"]
    assert all(hill.value(fold.test) > hill.value(fold.present_test) for fold in hill.folds)


def test_each_window_has_its_trials_scattered_first_and_neighbours_last(hill: Outcome) -> None:
    kinds = [one.kind for one in hill.newest.tried]
    assert kinds[:40] == ["scattered"] * 10 + ["searched"] * 30
    assert set(kinds[40:]) == {"neighbour"}
    assert [one.number for one in hill.newest.tried] == list(range(len(kinds)))


def test_the_search_does_better_than_what_was_scattered(hill: Outcome) -> None:
    best = {
        kind: max(one.value or 0 for one in hill.newest.tried if one.kind == kind) for kind in ("scattered", "searched")
    }
    assert best["searched"] > best["scattered"]


def test_a_needle_alone_is_refused(tmp_path: Path) -> None:
    outcome = tuned("needle", tmp_path, Plan(trials=24, batch=4, seed=6))
    best = max(outcome.newest.tried, key=lambda one: one.value or 0)
    assert abs(float(best.params["x"]) - 0.3) < 0.04  # it was found
    assert outcome.verdict is Verdict.SPIKE
    assert outcome.recommended is None
    assert outcome.newest.choice.refused[0].failing == ["x"]
    assert "the best set is a spike" in outcome.reason
    assert outcome.newest.choice.best is None


def test_a_plain_gives_nothing_to_recommend(tmp_path: Path) -> None:
    outcome = tuned("plain", tmp_path, SHORT)
    assert outcome.verdict is Verdict.NO_BETTER
    assert "no set gains anything" in outcome.reason


def test_a_hill_beside_a_needle_is_taken_instead_of_it(tmp_path: Path) -> None:
    outcome = tuned("needle beside a hill", tmp_path, Plan(trials=24, batch=4, seed=6))
    assert [spike.failing for spike in outcome.newest.choice.refused] == [["x"]]
    best = outcome.newest.choice.best
    assert best is not None
    assert float(best.params["x"]) > 0.45
    assert (best.value or 0) < outcome.newest.choice.refused[0].value


def test_what_does_not_hold_in_the_next_test_is_refused(tmp_path: Path) -> None:
    outcome = tuned("fickle", tmp_path, Plan(trials=24, batch=4))
    assert outcome.verdict is Verdict.NO_BETTER
    assert outcome.recommended is None
    assert outcome.newest.choice.best is not None  # something was found, and it stands
    assert any("with a probability of" in text for text in outcome.cautions)


def test_few_fills_are_no_ground_to_recommend_anything(tmp_path: Path) -> None:
    outcome = tuned("hill", tmp_path, SHORT, fills=29)
    assert outcome.verdict is Verdict.TOO_FEW_FILLS
    assert "the most is 29" in outcome.reason


def test_sets_that_cannot_be_run_are_told_and_never_chosen(tmp_path: Path) -> None:
    outcome = tuned("broken", tmp_path, SHORT)
    failed = [one for one in outcome.newest.tried if one.error]
    assert failed
    assert all(float(one.params["x"]) > 0.5 and one.value is None for one in failed)
    assert outcome.newest.choice.best is None or float(outcome.newest.choice.best.params["x"]) <= 0.5


def test_a_present_configuration_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    class Never(msgspec.Struct, frozen=True):
        def __call__(self, params: object, from_ns: int, to_ns: int, seed: int) -> object:
            raise ConfigError("no such venue")

    with pytest.raises(ConfigError, match="present configuration cannot be run: no such venue"):
        tune(SPACE, Never(), windows(), Plan(trials=2), InProcess(), tmp_path)  # type: ignore[arg-type]


def test_the_end_of_a_range_is_told(tmp_path: Path) -> None:
    short = Space((Dimension("x", "number", 0.0, 0.3), Dimension("y", "number", 0.0, 1.0)))
    outcome = tune(short, Landscape("hill"), windows(1), PLAN, InProcess(), tmp_path)
    assert any(text.startswith("x is at the end of its range") for text in outcome.cautions)


@pytest.mark.parametrize("after", [1, 12, 31])
def test_a_tuning_that_was_killed_goes_on_to_the_same_end(after: int, tmp_path: Path) -> None:
    straight = Landscape("hill", counted=str(tmp_path / "straight.txt"))
    expected = tune(SPACE, straight, windows(1), SHORT, InProcess(), tmp_path / "a")
    counted = str(tmp_path / "cut.txt")
    with pytest.raises(KeyboardInterrupt):
        tune(
            SPACE, Landscape("hill", counted=counted, dies_after=after), windows(1), SHORT, InProcess(), tmp_path / "b"
        )
    found = tune(SPACE, Landscape("hill", counted=counted), windows(1), SHORT, InProcess(), tmp_path / "b")
    assert plain(found) == plain(expected)
    once, again = (len(Path(path).read_text().splitlines()) for path in (straight.counted, counted))
    assert again <= once + SHORT.batch  # no more than the batch that was cut short is done again


def test_what_is_finished_costs_nothing_to_ask_again(tmp_path: Path) -> None:
    counted = tmp_path / "n.txt"
    first = tune(SPACE, Landscape("hill", counted=str(counted)), windows(1), SHORT, InProcess(), tmp_path / "f")
    evaluated = counted.read_text()
    assert plain(
        tune(SPACE, Landscape("hill", counted=str(counted)), windows(1), SHORT, InProcess(), tmp_path / "f")
    ) == plain(first)
    assert counted.read_text() == evaluated


def test_more_trials_go_on_and_other_ranges_do_not(tmp_path: Path) -> None:
    tuned("hill", tmp_path, Plan(trials=12, batch=4))
    more = tuned("hill", tmp_path, Plan(trials=16, batch=4))
    assert sum(one.kind != "neighbour" for one in more.newest.tried) == 16
    with pytest.raises(ConfigError, match="holds another tuning"):
        tuned("hill", tmp_path, Plan(trials=16, batch=4, seed=2))


def test_two_tunings_never_share_a_folder(tmp_path: Path) -> None:
    def intrude(step: Step) -> None:
        with pytest.raises(ConfigError, match="another tuning is at work"):
            tuned("hill", tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(SPACE, Landscape("hill"), windows(), PLAN, InProcess(), tmp_path, intrude)


def test_progress_never_goes_back_and_ends_at_its_end(tmp_path: Path) -> None:
    steps: list[Step] = []
    tune(SPACE, Landscape("hill"), windows(1), SHORT, InProcess(), tmp_path, steps.append)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].of
    assert {step.doing for step in steps} == {"searching", "looking beside it", "testing"}


@pytest.mark.parametrize("sampler", ["evolution", "random"])
def test_other_samplers_search_too(sampler: str, tmp_path: Path) -> None:
    outcome = tuned("hill", tmp_path, Plan(trials=22, batch=4, sampler=sampler))
    assert len({json.dumps(one.params) for one in outcome.newest.tried}) > 20


def test_an_unknown_objective_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'fame'"):
        tuned("hill", tmp_path, Plan(trials=2, objective="fame"))


@pytest.mark.mostly_waits
@pytest.mark.timeout(300)
def test_processes_come_to_what_one_process_comes_to(tmp_path: Path, hill: Outcome) -> None:
    with Pool(2) as pool:
        assert pool.workers == 2
        found = tune(SPACE, Landscape("hill"), windows(), PLAN, pool, tmp_path)
    assert plain(found) == plain(hill)
