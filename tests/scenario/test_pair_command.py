"""`perpmaker pair` over real sockets: engines of its own, Ctrl-C, closing what was left; its sums are the exchange's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine_stage import PATIENCE_S, ROOT, Stage, stage

pytestmark = [pytest.mark.timeout(300), pytest.mark.mostly_waits]
LEAD, HEDGE = "ETH_USDT_Perp", "ETH_USDC_PERP"
QUICK = ("--stability-s", "0", "--maker-timeout-s", "1", "--reprices", "0", "--on-timeout", "take")
"""Rests for a second, then takes on both venues: an end that does not hang on who trades with us."""


@pytest.fixture
def venues(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        made.config.write_text((ROOT / "configs" / "pair.toml").read_text())
        made.start_exchange("--venues", "grvt,backpack")
        yield made


def pair(made: Stage, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "perpmaker", "--home", str(made.home), "pair", str(made.config), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
        start_new_session=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of a run with --json; the exit code stands in the object too."""
    out, err = process.communicate(timeout=150)
    assert out.startswith("{"), out + err
    found: dict[str, Any] = json.loads(out)
    assert found["exit_code"] == process.returncode, err
    return found


def accounts(made: Stage) -> dict[str, dict[str, Any]]:
    """The exchange's own books of both accounts; nothing may have been violated."""
    whole = made.ask("GET", "/ledger")
    assert whole["violations"] == whole["venues"]["backpack"]["violations"] == []
    return {LEAD: whole["accounts"][0], f"{HEDGE}@backpack": whole["venues"]["backpack"]["accounts"][0]}


def positions(made: Stage) -> dict[str, Decimal]:
    found = {}
    for name, account in accounts(made).items():
        assert account["open_orders"] == []
        held = {row["instrument"]: Decimal(row["qty"]) for row in account["positions"]}
        found[name] = held.get(name.partition("@")[0], Decimal(0))
    return found


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)


def test_ctrl_c_leaves_a_hedged_position_that_the_next_run_closes_and_the_sums_are_the_exchanges(venues: Stage) -> None:
    """Two runs, each with an engine of its own on one journal."""
    hold = ("--mode", "build-hold-close", "--hold-min", "60", "--size", "0.1")
    process = pair(venues, "--market", "ETH", *hold, *QUICK, "--yes", "--json")
    until(lambda: bool(accounts(venues)[f"{HEDGE}@backpack"]["fills"]), "the hedge")
    process.send_signal(signal.SIGINT)
    first = result_of(process)
    assert (first["exit_code"], first["interrupted"]) == (130, True)
    assert first["verdict"].startswith("hedged: ")
    held = positions(venues)
    assert held[LEAD] > 0
    assert held[LEAD] == -held[f"{HEDGE}@backpack"]
    second = result_of(
        pair(venues, "--market", "ETH", "--mode", "close-existing", "--clip", "0.1", *QUICK, "--yes", "--json")
    )
    assert second["exit_code"] == 0
    assert second["verdict"] == "flat: the pair holds nothing (closed)"
    assert set(positions(venues).values()) == {Decimal(0)}
    assert not list((venues.home / "run").glob("engine.json"))
    report = subprocess.run(
        [sys.executable, "-m", "perpmaker", "--home", str(venues.home), "report", "pair", "--json"],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=PATIENCE_S,
    )  # fmt: skip
    sessions = json.loads(report.stdout)["sessions"]
    assert [one["session"] for one in sessions] == [first["session"]["session"], second["session"]["session"]]
    assert sessions[1] == second["session"]
    for name, account in accounts(venues).items():
        legs = [leg for one in sessions for leg in one["summary"]["legs"] if leg["instrument"] == name]
        fills = account["fills"]
        assert sum(leg["fills"] for leg in legs) == len(fills)
        for key in ("fees", "volume"):
            told = sum(Decimal(leg[key]) for leg in legs)
            assert told == sum(
                Decimal(row["fee"] if key == "fees" else Decimal(row["px"]) * Decimal(row["qty"])) for row in fills
            )
