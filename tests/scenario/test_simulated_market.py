"""The simulated market over a virtual hour: like the recorded one, the same every time, and fit to make markets on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenario.market_lab import (
    ACCOUNT,
    BTC,
    ETH,
    ISSUED,
    SOL,
    START_NS,
    BlindTouchMaker,
    SpreadMaker,
    markout_bps,
    open_venue,
    run_market,
)

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.types import NANO

ROOT = Path(__file__).resolve().parents[2]
READY_NS = START_NS + 2 * NANO
"""The makers of these tests look at the market for the first time after a second."""


@pytest.fixture(scope="module")
def hours() -> list[dict[str, float | str]]:
    """The same hour from two processes that hash differently."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.scenario.market_lab", "hour", "1"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
        )
        for hash_seed in ("random", "1")
    ]
    answers = [process.communicate(timeout=280)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(answer) for answer in answers]


def test_two_processes_give_identical_event_bytes_over_an_hour(hours: list[dict[str, float | str]]) -> None:
    assert hours[0]["digest"] == hours[1]["digest"]


def test_another_seed_is_another_market() -> None:
    digests = {run_market(open_venue(), seed=seed, seconds=5).digest for seed in (1, 2)}
    assert len(digests) == 2


@pytest.mark.parametrize("name", [name for name in ISSUED if name != "one_tick_share"])
def test_an_hour_is_within_a_factor_of_two_of_the_real_market(name: str, hours: list[dict[str, float | str]]) -> None:
    ratio = float(hours[0][name]) / ISSUED[name]
    assert 0.5 <= ratio <= 2.0


@pytest.mark.parametrize("name", ["touch_markout_1s_bps", "touch_markout_10s_bps"])
def test_markout_of_prints_at_the_touch_alone_is_within_it_too(name: str, hours: list[dict[str, float | str]]) -> None:
    assert 0.5 <= float(hours[0][name]) / -0.42 <= 2.0


def test_the_spread_is_one_tick_as_often_as_on_the_real_market(hours: list[dict[str, float | str]]) -> None:
    assert float(hours[0]["one_tick_share"]) >= ISSUED["one_tick_share"]


def test_trades_come_one_to_ten_a_second(hours: list[dict[str, float | str]]) -> None:
    assert 1.0 <= float(hours[0]["prints_per_s"]) <= 10.0


@pytest.mark.parametrize("seed", [1, 2])
def test_making_at_the_touch_blindly_loses_money(seed: int) -> None:
    venue = open_venue()
    makers = [BlindTouchMaker(venue, instrument) for instrument in DEFAULT_INSTRUMENTS]
    run = run_market(venue, seed=seed, seconds=600, clients=makers)
    account = venue.account(ACCOUNT)
    assert account is not None
    assert account.total_equity_nano < 100_000 * NANO
    for name in (BTC, ETH, SOL):
        assert markout_bps(run, name, 10) < 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("half_spread_bps", [2.0, 3.0, 5.0])
def test_a_maker_with_a_sensible_spread_is_filled_five_times_in_a_minute(seed: int, half_spread_bps: float) -> None:
    venue = open_venue()
    makers = [SpreadMaker(venue, instrument, half_spread_bps) for instrument in DEFAULT_INSTRUMENTS]
    run = run_market(venue, seed=seed, seconds=62, clients=makers)
    fills = [fill.instrument for fill in run.fills if fill.event_ns <= READY_NS + 60 * NANO]
    assert min(fills.count(name) for name in (BTC, ETH, SOL)) >= 5


def test_more_layers_get_more_fills() -> None:
    counts = []
    for layers in (1, 3):
        venue = open_venue()
        makers = [SpreadMaker(venue, instrument, 2.0, layers=layers) for instrument in DEFAULT_INSTRUMENTS]
        counts.append(len(run_market(venue, seed=4, seconds=120, clients=makers).fills))
    assert counts[0] < counts[1]
