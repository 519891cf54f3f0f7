"""What a report says of a backtest is what the backtest's own exact figures say."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.unit.engine.backtest_tape import CONFIG, config, rules, write_tape

from perpmaker.cli.main import cli
from perpmaker.engine.backtest import Results as Backtest
from perpmaker.engine.backtest import Setup, backtest
from perpmaker.research.backtest_results import results_of
from perpmaker.research.report import report_html
from perpmaker.research.report_figures import Figures, figures_of, remarks
from perpmaker.research.results import Results
from perpmaker.simulation import FillModel


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    tape = write_tape(tmp_path_factory.mktemp("tape") / "btc.tape", seconds=40, marks=False)
    return backtest(Setup(config(), seed=3), tape, (FillModel.QUEUE, FillModel.OPTIMISTIC))


@pytest.fixture(scope="module")
def results(played: Backtest) -> Results:
    return results_of(played, config())


@pytest.fixture(scope="module")
def figures(results: Results) -> Figures:
    return figures_of(results.main, results)


def test_money_and_counts_are_those_of_the_backtest(played: Backtest, results: Results, figures: Figures) -> None:
    exact = played.run(FillModel.QUEUE)
    assert exact is not None
    assert exact.figures.fills > 10
    assert figures.pnl == pytest.approx(float(exact.figures.pnl), abs=1e-8)
    for cause in ("spread", "adverse", "inventory", "funding"):
        assert figures.causes[cause] == pytest.approx(float(getattr(exact.figures, cause)), abs=1e-8)
    assert figures.causes["fees"] == pytest.approx(-float(exact.figures.fees), abs=1e-8)
    assert figures.notional == pytest.approx(float(exact.figures.volume))
    assert (figures.fills, figures.orders) == (exact.figures.fills, exact.figures.orders)
    assert figures.drawdown == pytest.approx(float(exact.figures.max_drawdown), abs=1e-3)
    assert results.main.equity[0] == 10_000


def test_the_position_ends_where_the_backtest_says(played: Backtest, results: Results) -> None:
    exact = played.run(FillModel.QUEUE)
    assert exact is not None
    assert results.main.markets[0].position_qty[-1] == pytest.approx(float(sum(exact.figures.positions.values())))


def test_quotes_stand_on_both_sides_of_the_mid_that_is_without_them(results: Results) -> None:
    market = results.main.markets[0]
    both = np.isfinite(market.quotes.bid_px) & np.isfinite(market.quotes.ask_px)
    assert both.sum() > 10
    assert np.all(market.quotes.bid_px[both] < market.quotes.ask_px[both])
    assert np.nanmin(market.mid_px) > 59_000


def test_the_fill_ratio_is_filled_over_ordered(results: Results, figures: Figures) -> None:
    orders = results.main.orders
    assert 0 < orders.filled_notional < orders.ordered_notional
    assert figures.fill_ratio == pytest.approx(orders.filled_notional / orders.ordered_notional)
    assert math.isclose(orders.filled_notional, figures.notional, rel_tol=0.01)


def test_the_page_tells_what_was_assumed_and_what_was_made_up(played: Backtest, results: Results) -> None:
    html = report_html(results)
    for run in played.runs:
        assert run.digest in html
    for text in ("power law, n = 3", "maker", played.tape_fingerprint, "BTC_USDT_Perp", "no mark prices"):
        assert text in html
    assert not any("has no cause" in text for text in remarks(results, [figures_of(r, results) for r in results.runs]))


def test_the_command_writes_the_page_and_says_where(tmp_path: Path) -> None:
    write_tape(tmp_path / "btc.tape", seconds=10)
    (tmp_path / "bt.toml").write_text(CONFIG, encoding="utf-8")
    done = CliRunner().invoke(
        cli,
        ["--home", str(tmp_path), "backtest", str(tmp_path / "bt.toml"), "--tape", str(tmp_path / "btc.tape"),
         "--fill-model", "queue", "--out", str(tmp_path / "out")],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = re.search(r"^report: (.*)$", done.output, re.MULTILINE)
    assert told
    assert Path(told[1]) == tmp_path / "out" / "report.html"
    assert "one fill model only" in Path(told[1]).read_text(encoding="utf-8")


def test_an_instrument_of_the_tape_is_taken_for_another(tmp_path: Path) -> None:
    write_tape(tmp_path / "xbt.tape", rules("XBTUSD", "bitmex", "XBT"), seconds=5)
    (tmp_path / "bt.toml").write_text(CONFIG, encoding="utf-8")
    done = CliRunner().invoke(
        cli,
        ["--home", str(tmp_path), "backtest", str(tmp_path / "bt.toml"), "--tape", str(tmp_path / "xbt.tape"),
         "--fill-model", "queue", "--as", "XBTUSD=BTC_USDT_Perp", "--out", str(tmp_path / "out")],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "XBTUSD@bitmex as BTC_USDT_Perp" in done.output
