"""`perpmaker data download` against the practice exchange: every row once, in order, whatever the venue's pages."""

from __future__ import annotations

import asyncio
import csv
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perpmaker.cli.data import _HEADERS, command, instant
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


@pytest.fixture
async def home_of_two(tmp_path: Path) -> AsyncIterator[Path]:
    """A home whose practice exchange speaks Backpack beside GRVT and has traded for four minutes already."""
    exchange = Exchange(ExchangeOptions(port=0, history_s=240, venues=("grvt", "backpack")), WallClock())
    await exchange.start()
    line = exchange.ready_line()
    urls = {key: value for key, value in line.items() if isinstance(value, str) and "://" in value}
    face = line["backpack"]
    assert isinstance(face, dict)
    urls |= {"backpack_rest": face["rest"], "backpack_ws": face["ws"]}
    extra = {"backpack_accounts": json.dumps(face["accounts"])}
    with published(tmp_path, RunFile(name="exchange", pid=os.getpid(), urls=urls, started_ns=1, extra=extra)):
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


async def test_a_venue_behind_ccxt_tells_its_past_in_the_same_columns(home_of_two: Path, tmp_path: Path) -> None:
    name, tables, headers = "ETH_USDC_PERP", {}, {}
    for what in ("candles", "trades", "funding"):
        output = tmp_path / f"{what}.csv"
        words = ("--venue", "backpack", "--instrument", name, "--from", "20m", "--output", str(output))
        done = await downloaded(home_of_two, what, *words)
        assert done.exit_code == 0, done.output + repr(done.exception)
        tables[what], headers[what] = table(output), output.read_text().splitlines()[0]
    assert headers == {what: ",".join(columns) for what, columns in _HEADERS.items()}
    candles, trades = tables["candles"], tables["trades"]
    assert len(trades) > 1000  # more than one page
    assert len({row["trade_id"] for row in trades}) == len(trades)
    assert [row["time"] for row in trades] == sorted(row["time"] for row in trades)
    assert {row["side"] for row in trades} == {"buy", "sell"}
    assert {row["instrument"] for row in (*candles, *trades)} == {name}
    assert all(b["time"] > a["time"] for a, b in pairwise(candles))
    inside = candles[-2]["time"]
    volume = sum(Decimal(row["qty"]) for row in trades if row["time"][:16] == inside[:16])
    assert volume == Decimal(candles[-2]["volume"])
    unknown = await downloaded(home_of_two, "trades", *(*words[:3], "XXX_USDC_PERP", *words[4:]))
    assert "XXX_USDC_PERP is not listed; listed: BTC_USDC_PERP, ETH_USDC_PERP" in str(unknown.exception)
    odd = await downloaded(home_of_two, "candles", *words, "--interval", "7m")
    assert "420 s is not offered by backpack; allowed: 1m, 3m, 5m, 15m" in str(odd.exception)
    assert hidden(tmp_path) == []


async def test_a_venue_or_environment_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    words = ("candles", "--instrument", "BTCUSDT", "--output", str(tmp_path / "x.csv"))
    for options, said in (
        (("--venue", "backpak"), "--venue: 'backpak' is not known; did you mean backpack?"),
        (("--venue", "ccxt:grvt"), "--venue: ccxt:grvt is not read by ccxt here; say grvt"),
        (("--venue", "upbit"), "--venue: upbit has no perpetuals that ccxt knows; allowed: apex, aster, backpack"),
        (("--venue", "backpack", "--env", "testnet"), "--env: backpack has no testnet; allowed: local, prod"),
        (("--venue", "bybit"), "--env: bybit has no local; allowed: testnet, prod"),
        (("--venue", "mexc", "--env", "staging"), "--env: mexc has no staging; allowed: prod"),
        (("--venue", "backpack"), "needs a practice exchange that speaks it"),
    ):
        done = await downloaded(tmp_path, *words, *options)
        assert isinstance(done.exception, ConfigError), options
        assert said in str(done.exception)
    assert hidden(tmp_path) == []


def test_times_are_utc_or_ago() -> None:
    now_ns = 1_700_000_000 * NS_PER_S
    assert instant("90m", now_ns, "--from") == now_ns - 5_400 * NS_PER_S
    noon = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * NS_PER_S
    assert instant("2026-01-31T12:00:00", now_ns, "--from") == noon
    assert instant("2026-01-31T13:00:00+01:00", now_ns, "--from") == noon
    with pytest.raises(ConfigError, match="--from: 'soon' is no time"):
        instant("soon", now_ns, "--from")
