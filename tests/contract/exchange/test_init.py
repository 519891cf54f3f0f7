"""`perpmaker init` measures on the practice exchange, as on any environment of the venue."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from perpmaker.cli.config import load_whole
from perpmaker.cli.init import command
from perpmaker.clock import WallClock
from perpmaker.control.home import RunFile, published
from perpmaker.exchange.server import Exchange, ExchangeOptions

pytestmark = pytest.mark.mostly_waits


async def test_a_configuration_is_computed_from_candles_and_books_of_the_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perpmaker.cli.init_measure.LOOK_EVERY_S", 0.02)
    exchange = Exchange(ExchangeOptions(port=0, history_s=180), WallClock())
    await exchange.start()
    line = exchange.ready_line()
    urls = {key: value for key, value in line.items() if isinstance(value, str) and "://" in value}
    run_file = RunFile(name="exchange", pid=os.getpid(), urls=urls, started_ns=1, extra={})
    output = tmp_path / "config.toml"
    words = ["--output", str(output), "--instrument", "ETH_USDT_Perp", "--yes", "--preset", "tight"]
    with published(tmp_path, run_file):
        done = await asyncio.to_thread(CliRunner().invoke, command, words, obj=tmp_path)
    await exchange.stop()
    assert done.exit_code == 0, done.output + repr(done.exception)
    text = output.read_text(encoding="utf-8")
    assert "one-minute candles of local, their ranges and closes" in text
    assert "mean of 5 books of local" in text
    assert load_whole(output)["name"] == "eth"
