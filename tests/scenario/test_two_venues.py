"""Both venues' markets over a virtual hour: the same every time, and as docs/explanation/two-venues.md says they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.pair_lab import run_pair

from perpmaker.exchange.backpack.market import BASIS, LEADERS, PEG

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "explanation" / "two-venues.md").read_text(encoding="utf-8")
COINS = ("BTC", "ETH", "SOL")


QUARTER_S, HOUR_S = 900, 3_600


def from_two_processes(seconds: int) -> list[dict[str, Any]]:
    """The same run from two processes that hash differently."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.scenario.pair_lab", "run", "1", str(seconds)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
        )
        for hash_seed in ("random", "1")
    ]
    answers = [process.communicate(timeout=280)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(answer) for answer in answers]


@pytest.fixture(scope="module")
def quarters() -> list[dict[str, Any]]:
    return from_two_processes(QUARTER_S)


@pytest.fixture(scope="module")
def hours() -> list[dict[str, Any]]:
    return from_two_processes(HOUR_S)


def row_of_the_page(name: str) -> list[str]:
    (row,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


def test_two_processes_give_identical_event_bytes_of_both_venues(quarters: list[dict[str, Any]]) -> None:
    assert quarters[0]["digests"] == quarters[1]["digests"]
    assert quarters[0]["digests"]["grvt"] != quarters[0]["digests"]["backpack"]


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.timeout(300)
def test_two_processes_give_identical_event_bytes_of_both_venues_over_an_hour(hours: list[dict[str, Any]]) -> None:
    assert hours[0]["digests"] == hours[1]["digests"]


def test_basis_moves_by_several_bps_in_every_five_minutes(quarters: list[dict[str, Any]]) -> None:
    for name in LEADERS:
        assert 5 < quarters[0]["figures"][name]["smallest_range_bps"] < 30
        assert 1.5 < quarters[0]["figures"][name]["sd_bps"] < 6


@pytest.mark.parametrize(("name", "process"), [("noise", BASIS.noise), ("drift", BASIS.drift), ("conversion", PEG)])
def test_page_has_the_parameters_in_use(name: str, process: Any) -> None:
    assert [float(cell) for cell in row_of_the_page(name)] == [process.sd_bps, process.half_life_s]


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("row", "figure", "slack"),
    [
        ("basis, standard deviation, bps", "sd_bps", 0.1),
        ("autocorrelation after 45 s", "after_45_s", 0.06),
        ("median range within 5 min, bps", "range_5_min_bps", 0.6),
        ("depth within 5 bps, over GRVT's", "depth_ratio", 0.01),
        ("trades a second", "trades_per_s", 0.1),
    ],
)
def test_hour_is_within_the_figures_of_the_page(
    hours: list[dict[str, Any]], row: str, figure: str, slack: float
) -> None:
    for coin, cell in zip(COINS, row_of_the_page(row), strict=True):
        least, most = map(float, cell.split(" .. "))
        assert least - slack <= hours[0]["figures"][f"{coin}_USDC_PERP"][figure] <= most + slack, coin


def test_conversion_stays_near_one(quarters: list[dict[str, Any]]) -> None:
    assert 0.999 < quarters[0]["rates"]["least"] < quarters[0]["rates"]["most"] < 1.001


def test_it_does_not_matter_how_often_time_is_advanced() -> None:
    seen = [run_pair(3, 20, step_ns=step_ns) for step_ns in (1_000_000, 250_000_000)]
    assert seen[0].basis_bps == seen[1].basis_bps
    assert seen[0].trades == seen[1].trades


def test_another_seed_is_another_basis() -> None:
    first, second = run_pair(1, 5), run_pair(2, 5)
    assert first.digests["backpack"] != second.digests["backpack"]
