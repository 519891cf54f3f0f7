"""The benchmark of strategies: its split, its measures, its standings, and the command on one tiny day."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.strategies import __main__ as command
from benchmarks.strategies.contestants import CONTESTANTS, Contestant, config_of
from benchmarks.strategies.measures import Measures, interval, per_risk, sigma_per_root_s
from benchmarks.strategies.runs import Day, Kept, Run, carry_out, days, digest, kept, plan, split
from benchmarks.strategies.standings import as_claim, standings
from benchmarks.strategies.tuning import variants

TWO_MINUTES = 2 / 60
FEW = [one for one in CONTESTANTS if one.name in ("glft", "hummingbot_pure")]


def measures(ratio: float) -> Measures:
    return Measures(
        net=ratio,
        risk=1.0,
        per_risk=ratio,
        markout_10s=0.5,
        markout_60s=None,
        fill_ratio=0.25,
        drawdown=1.0,
        volume=100.0,
        fills=3,
        orders=12,
        refused={},
        errors=(),
        blocks=((ratio, 1.0),),
    )


def test_no_day_is_both_tuned_on_and_judged_and_forty_are_judged() -> None:
    tuning, judging = split("tuning"), split("judging")
    assert not {seed for seeds in tuning.values() for seed in seeds} & {
        seed for seeds in judging.values() for seed in seeds
    }
    judged = days("judging", 1000, 1.0)
    assert len(judged) == len(set(judged)) == 40
    assert {day.kind for day in judged[:4]} == set(judging)


@pytest.mark.parametrize("one", [*CONTESTANTS, *variants()], ids=lambda one: one.name)
def test_every_contestant_has_the_same_account_and_limits(one: Contestant) -> None:
    config = config_of(one)
    assert (config.risk, config.simulation) == (config_of(CONTESTANTS[0]).risk, config_of(CONTESTANTS[0]).simulation)


def test_risk_is_counted_with_sigma_by_minutes_and_an_idle_strategy_has_a_ratio_of_nothing() -> None:
    seconds = np.arange(0, 601, dtype=np.int64) * 10**9
    mid = np.exp(0.001 * (np.arange(601) // 60 % 2))
    assert sigma_per_root_s(seconds, mid) == pytest.approx(0.001 / math.sqrt(60))
    assert per_risk(3.0, 1.5) == 2.0
    assert per_risk(0.0, 0.0) == 0.0


def test_the_interval_of_minutes_holds_their_ratio() -> None:
    found = interval([(1.0 + (-1) ** minute * 0.5, 4.0) for minute in range(120)])
    assert found is not None
    assert found[0] <= 120 / math.sqrt(480) <= found[1]


def test_standings_count_the_best_and_the_worst_of_each_day() -> None:
    names = {"glft": (3.0, 1.0), "fixed": (2.0, 2.0), "classic": (0.0, 0.0)}
    contestants = [one for one in CONTESTANTS if one.name in names]
    judged = [Day("thin", seed, 1.0) for seed in (1, 2)]
    runs = {
        run: Kept(run, measures(names[run.contestant][judged.index(run.day)]), 0.1)
        for run in plan(judged, contestants, ["queue"])
    }
    found = standings(runs, judged, contestants)
    by_name = {row.name: row for row in found.rows}
    assert (by_name["glft"].best, by_name["fixed"].best, by_name["classic"].worst) == (1, 1, 2)
    assert by_name["glft"].per_risk == 2.0
    assert by_name["glft"].per_risk_low <= 2.0 <= by_name["glft"].per_risk_high
    assert "best net per unit of risk on 1 of 2 days, is above every peer's strategy on 2" in as_claim(found)


def test_the_band_over_fill_models_is_of_the_days_that_ran_with_all_of_them() -> None:
    contestants = [one for one in CONTESTANTS if one.name in ("glft", "classic")]
    judged = [Day("thin", seed, 1.0) for seed in (1, 2)]
    wanted = plan(judged, contestants, ["queue"]) + plan(judged[:1], contestants, ["pessimistic", "optimistic"])
    runs = {run: Kept(run, measures(1.0 if run.day is judged[0] else 9.0), 0.1) for run in wanted}
    found = standings(runs, judged, contestants)
    assert (found.days, found.banded) == (2, 1)
    assert set(found.rows[0].net) == {"queue", "pessimistic", "optimistic"}
    assert set(found.rows[0].net.values()) == {1.0}


def test_a_broken_off_run_goes_on_and_a_changed_strategy_is_run_again(tmp_path: Path) -> None:
    wanted = plan([Day("trending", 1, TWO_MINUTES)], FEW, ["queue"])
    first = carry_out(wanted[:1], FEW, tmp_path, processes=1)
    lines = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(lines + b'{"run": {"day"')  # cut off in the middle of a line
    assert carry_out(wanted[:1], FEW, tmp_path, processes=1) == first  # to the processor time it took: not run again
    changed = Contestant(FEW[0].name, FEW[0].whose, {**FEW[0].keys, "book_interval_ms": 2000})
    assert digest(changed) != digest(FEW[0])
    assert Run(wanted[0].day, changed.name, digest(changed), "queue") not in kept(tmp_path / "results.jsonl")


def test_the_command_writes_table_figures_and_picture_of_a_tiny_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "CONTESTANTS", FEW)
    arguments = ["--days", "1", "--hours", str(TWO_MINUTES), "--models", "queue", "--out", str(tmp_path)]
    assert command.main(arguments) == 0
    assert "`glft` has the best net per unit of risk" in capsys.readouterr().out
    told = json.loads((tmp_path / "report.json").read_text())
    assert [run["strategy"] for run in told["runs"]] == ["glft", "hummingbot_pure"]
    assert not any(run["errors"] for run in told["runs"])
    assert told["runs"][0]["orders"] > 0
    assert "<svg" in (tmp_path / "report.svg").read_text()
    results = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "report.md").unlink()
    assert command.main([*arguments, "--report"]) == 0
    assert "glft" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "results.jsonl").read_bytes() == results
