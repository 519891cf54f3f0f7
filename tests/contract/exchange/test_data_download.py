"""`perpmaker data download` against the practice exchange: every row once, in order, whatever the venue's pages."""

from __future__ import annotations

import asyncio
import csv
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perpmaker.cli.data import command, instant
from perpmaker.clock import WallClock
from perpmaker.control.home import RunFile, published
from perpmaker.errors import ConfigError
from perpmaker.exchange.server import Exchange, ExchangeOptions
from perpmaker.model.units import NS_PER_S

pytestmark = pytest.mark.mostly_waits
NAME = "BTC_USDT_Perp"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Path]:
    """A home whose practice exchange has traded for four minutes already."""
    exchange = Exchange(ExchangeOptions(port=0, history_s=240), WallClock())
    await exchange.start()
    line = exchange.ready_line()
    urls = {key: value for key, value in line.items() if isinstance(value, str) and "://" in value}
    run_file = RunFile(name="exchange", pid=os.getpid(), urls=urls, started_ns=1, extra={})
    with published(tmp_path, run_file):
        yield tmp_path
    await exchange.stop()


async def downloaded(home: Path, *words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, ["download", *words], obj=home)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


async def test_candles_trades_and_funding_come_as_tables(home: Path, tmp_path: Path) -> None:
    counts = {}
    for what in ("candles", "trades", "funding"):
        output = tmp_path / f"{what}.csv"
        done = await downloaded(home, what, "--instrument", NAME, "--from", "4m", "--output", str(output))
        assert done.exit_code == 0, done.output + repr(done.exception)
        counts[what] = table(output)
    candles, trades = counts["candles"], counts["trades"]
    assert len(candles) in (3, 4, 5)
    assert all(b["time"] > a["time"] for a, b in pairwise(candles))
    assert all(float(row["low"]) <= float(row["close"]) <= float(row["high"]) for row in candles)
    assert len(trades) > 1000  # more than one page
    assert len({row["trade_id"] for row in trades}) == len(trades)
    assert [row["time"] for row in trades] == sorted(row["time"] for row in trades)
    assert {row["side"] for row in trades} == {"buy", "sell"}
    assert {row["instrument"] for row in (*candles, *trades)} == {NAME}
    inside = candles[-2]["time"]
    volume = sum(float(row["qty"]) for row in trades if row["time"][:16] == inside[:16])
    assert volume == pytest.approx(float(candles[-2]["volume"]))


async def test_a_parquet_file_has_the_same_rows(home: Path, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    output = tmp_path / "candles.parquet"
    done = await downloaded(home, "candles", "--instrument", NAME, "--from", "3m", "--output", str(output))
    assert done.exit_code == 0, done.output + repr(done.exception)
    [(count, low)] = duckdb.read_parquet(str(output)).aggregate("count(*), min(low)").fetchall()
    assert count in (2, 3, 4)
    assert low > 1000
    assert hidden(tmp_path) == []


async def test_what_is_not_there_or_makes_no_sense_is_refused_and_leaves_no_file(home: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.csv"
    unknown = await downloaded(home, "candles", "--instrument", "XXX_USDT_Perp", "--output", str(output))
    assert "is not listed; listed: BTC_USDT_Perp" in str(unknown.exception)
    odd = await downloaded(home, "candles", "--instrument", NAME, "--interval", "7m", "--output", str(output))
    assert "420 is not offered by GRVT" in str(odd.exception)
    back = await downloaded(home, "trades", "--instrument", NAME, "--from", "1m", "--to", "2m", "--output", str(output))
    assert back.exit_code == 2
    assert not output.exists()


def test_times_are_utc_or_ago() -> None:
    now_ns = 1_700_000_000 * NS_PER_S
    assert instant("90m", now_ns, "--from") == now_ns - 5_400 * NS_PER_S
    noon = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * NS_PER_S
    assert instant("2026-01-31T12:00:00", now_ns, "--from") == noon
    assert instant("2026-01-31T13:00:00+01:00", now_ns, "--from") == noon
    with pytest.raises(ConfigError, match="--from: 'soon' is no time"):
        instant("soon", now_ns, "--from")
