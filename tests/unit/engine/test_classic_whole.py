"""The original bot as one configuration: its quotes, its fee and its way of filling together, through the backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.backtest_tape import write_tape

from perpmaker import config as configuration
from perpmaker.engine.backtest import RunResult, Setup, backtest, only
from perpmaker.engine.backtest_tables import NONE
from perpmaker.simulation import FillModel
from perpmaker.tape.reader import Tape

PATH = next(Path(__file__).resolve().parents[3].glob("configs/classic.toml"))
UNIT = 10**9
"""In which tables keep prices and quantities."""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_tape(tmp_path_factory.mktemp("tape") / "btc.tape", seconds=20)


def played(tape: Tape, **quoting: Any) -> RunResult:
    config = configuration.load(PATH, {})
    (row,) = config.strategy
    nearer = row.model_copy(update={"params": {**row.params, "quoting": quoting}})
    setup = Setup(config.model_copy(update={"strategy": [nearer]}))
    (run,) = backtest(setup, tape, only([config.simulation.fill_model])).runs
    assert run.errors == ()
    return run


def test_it_rests_seven_orders_of_200_a_side_a_quarter_of_a_per_cent_out_and_twelve_bps_apart(tape: Tape) -> None:
    run = played(tape)
    orders = run.tables["orders"]
    rows = zip(orders["px"], orders["qty"], orders["ended_ns"], strict=True)
    resting = [(px / UNIT, qty / UNIT) for px, qty, ended in rows if ended == NONE]
    away_bps = sorted((px / 60_000 - 1) * 1e4 for px, _ in resting)
    wanted = [25.0 + 12 * layer for layer in range(7)]
    assert away_bps == pytest.approx([-far for far in reversed(wanted)] + wanted, abs=1)
    assert {qty for _, qty in resting} == {0.003}  # 200 in whole lots
    assert (run.fill_model, run.figures.fills) == (FillModel.CLASSIC, 0)


def test_its_fills_are_booked_with_a_fee_of_minus_one_bp(tape: Tape) -> None:
    """Nearer than its floor, so that the small market of the tape reaches it."""
    figures = played(tape, min_half_spread_bps=0, kappa=1e9, layers=1).figures
    assert figures.fills == figures.maker_fills > 0
    assert float(figures.fees / figures.volume) == pytest.approx(-1e-4, rel=1e-6)
