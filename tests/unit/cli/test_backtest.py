"""What `perpmaker backtest` shows while it runs and when it is done."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("numba", reason="backtests need the research extra")

from rich.console import Console
from tests.unit.engine.backtest_tape import config, write_tape

from perpmaker.cli.backtest import _tell
from perpmaker.engine.backtest import Progress, Results, Setup, backtest
from perpmaker.errors import ConfigError
from perpmaker.model.units import NS_PER_S
from perpmaker.simulation import FillModel
from perpmaker.tape.reader import Tape


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return write_tape(tmp_path_factory.mktemp("tape") / "btc.tape", seconds=20)


@pytest.fixture(scope="module")
def results(tape: Tape) -> Results:
    return backtest(Setup(config(), seed=3), tape, (FillModel.QUEUE, FillModel.OPTIMISTIC))


def test_the_bar_over_a_part_of_a_tape_is_full_at_its_end(tape: Tape) -> None:
    seen: list[tuple[int, int]] = []

    def begin(model: FillModel, total: int) -> Progress:
        return lambda events, rows: seen.append((rows, total))

    span_ns = (tape.first_recv_ns + 5 * NS_PER_S, tape.last_recv_ns - 5 * NS_PER_S)
    backtest(Setup(config(), 1, *span_ns), tape, (FillModel.QUEUE,), begin)
    done, total = seen[-1]
    assert 0 < done == total < tape.rows


def test_a_name_that_nothing_trades_is_refused_not_ignored(tape: Tape) -> None:
    with pytest.raises(
        ConfigError, match="--as BTCUSDT=BCT_USDT_Perp: nothing trades BCT_USDT_Perp; what is traded is BTC"
    ):
        backtest(Setup(config(), named={"BTCUSDT": "BCT_USDT_Perp"}), tape)


def test_what_is_held_at_the_end_stands_by_instrument_on_a_narrow_terminal(results: Results) -> None:
    held = ({"BTC_USDT_Perp": Decimal("0.002")}, {"BTC_USDT_Perp": Decimal("-0.1"), "ETH_USDT_Perp": Decimal(3)})
    runs = tuple(
        msgspec.structs.replace(run, figures=msgspec.structs.replace(run.figures, positions=positions))
        for run, positions in zip(results.runs, held, strict=True)
    )
    lines = _told(msgspec.structs.replace(results, runs=runs))
    place = lines.index("held at the end")
    assert [line.split() for line in lines[place + 1 : place + 3]] == [
        ["BTC_USDT_Perp", "0.002", "-0.1"],
        ["ETH_USDT_Perp", "-", "3"],
    ]
    flat = tuple(
        msgspec.structs.replace(run, figures=msgspec.structs.replace(run.figures, positions={})) for run in results.runs
    )
    (line,) = (one for one in _told(msgspec.structs.replace(results, runs=flat)) if one.startswith("held"))
    assert line.split() == ["held", "at", "the", "end", "nothing", "nothing"]


def _told(results: Results) -> list[str]:
    page = io.StringIO()
    _tell(Console(file=page, width=60), results, 1.0, Path("out"))
    return [line.rstrip() for line in page.getvalue().splitlines()]
