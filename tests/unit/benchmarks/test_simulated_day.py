"""The simulated day: what it looks at each second, and what it calls flat."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from benchmarks import simulated_day
from benchmarks.simulated_day import Hour, Watch, grown_mb, settings, told, write_day

from perpmaker.engine.backtest import Run, RunResult, Setup
from perpmaker.engine.backtest_feed import plan_feed
from perpmaker.model.ids import InstrumentId
from perpmaker.simulation import FillModel
from perpmaker.tape.reader import open_tape

SECONDS = 30


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("day") / "day.tape"
    write_day(path, SECONDS / 3600, seed=1)
    return path


def played(path: Path, limit: Decimal | None = None) -> tuple[Watch, RunResult]:
    config, tape = settings(), open_tape(path)
    wanted = [InstrumentId(one.name) for one in simulated_day.TRADED.values()]
    run = Run(Setup(config, is_fast=False), tape, plan_feed(tape, wanted, {}), FillModel.QUEUE)
    judged = (
        config
        if limit is None
        else config.model_copy(update={"risk": config.risk.model_copy(update={"max_position_notional": limit})})
    )
    watch = Watch(run, judged)
    return watch, run.play(lambda events, rows: None)


def test_four_makers_keep_to_their_limits_every_second(tape: Path) -> None:
    watch, result = played(tape)
    said = told(watch, result)
    assert watch.seconds >= SECONDS
    assert result.figures.orders > 8
    assert not watch.beyond
    assert said["problems"] == []


def test_an_exposure_above_the_limit_is_found(tape: Path) -> None:
    watch, result = played(tape, limit=Decimal(500))
    assert watch.beyond
    assert "over max_position_notional 500" in told(watch, result)["problems"][0]


def test_memory_is_flat_when_only_the_tables_grow() -> None:
    tables = [Hour(hour, 200.0 + 10 * hour, 10.0 * hour) for hour in range(25)]
    assert abs(grown_mb(tables)) < 1e-9
    leaking = [Hour(hour, 200.0 + 12 * hour, 10.0 * hour) for hour in range(25)]
    assert grown_mb(leaking) == pytest.approx(2.0 * 12)
