"""`perpmaker execute` over real sockets: its own engine, one that runs, Ctrl-C, a shortfall, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine_stage import PATIENCE_S, ROOT, Stage, stage

from perpmaker.engine.records import Closed, ExecutionEnded
from perpmaker.model.execution import Ending

pytestmark = [pytest.mark.timeout(240), pytest.mark.mostly_waits]
ETH = "ETH_USDT_Perp"
RESTING = ("--algo", "iceberg", "--display-qty", "0.1", "--max-slippage-bps", "0", "--limit-px", "2300")
"""Far below the market: it rests until it is stopped."""
SLOW = ("--algo", "twap", "--slices", "10", "--duration-ms", "60000")


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        text = made.config.read_text().replace(
            "[control]", "max_order_notional = 5000\nprice_collar_bps = 2000\n\n[control]", 1
        )
        made.config.write_text(text)
        made.start_exchange()
        yield made


def execute(made: Stage, *options: str, with_config: bool = True) -> subprocess.Popen[str]:
    arguments = ["--home", str(made.home), "execute", "--instrument", ETH, *options]
    if with_config:
        arguments.append(str(made.config))
    return subprocess.Popen(
        [sys.executable, "-m", "perpmaker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=dict(os.environ),
        cwd=ROOT,
        start_new_session=True,
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=180)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of a run with --json; the exit code stands in the object too."""
    code, out, err = end_of(process)
    assert out.startswith("{"), out + err
    found: dict[str, Any] = json.loads(out)
    assert found.get("exit_code", 0) == code, err
    return found


def position(made: Stage) -> Decimal:
    held = [Decimal(row["qty"]) for row in made.ledger()["positions"] if row["instrument"] == ETH]
    return held[0] if held else Decimal(0)


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


def add_instrument(made: Stage) -> None:
    made.config.write_text(
        made.config.read_text().replace("local_account = 0", f'local_account = 0\ninstruments = ["{ETH}"]')
    )


def test_what_cannot_be_is_told_before_anything_starts_and_a_dry_run_leaves_nothing(venue: Stage) -> None:
    code, _, err = end_of(execute(venue, "--side", "buy", "--qty", "1", "--instrument", "ETHUSDT", "--yes"))
    assert code == 3
    assert "did you mean ETH_USDT_Perp" in err
    code, _, err = end_of(execute(venue, "--side", "buy", "--qty", "0.005", "--yes"))
    assert code == 3
    assert "multiples of 0.01 ETH; nearest: 0.01" in err
    code, out, _ = end_of(execute(venue, "--side", "sell", "--qty", "1", "--dry-run"))
    assert code == 0
    assert "would remain" in out
    found = result_of(execute(venue, "--side", "sell", "--qty", "1", "--dry-run", "--json"))
    assert Decimal(found["plan"]["filled_qty"]) + Decimal(found["plan"]["remaining_qty"]) == 1
    assert venue.ledger()["fills"] == []
    assert not (venue.home / "engines").exists()


def test_an_engine_of_its_own_does_it_verifies_and_leaves_a_journal_the_next_life_goes_on_from(venue: Stage) -> None:
    code, out, _ = end_of(execute(venue, "--side", "buy", "--qty", "1", "--yes"))
    assert code == 0, out
    for said in ("depth inside the cap", "child 1: filled", "1 of 1 ETH", "verified that nothing is open", "fees"):
        assert said in out
    assert position(venue) == 1
    assert venue.ledger()["open_orders"] == []
    records = venue.records()
    (end,) = [record.report for record in records if isinstance(record, ExecutionEnded)]
    assert (end.ending, end.filled_qty, end.remaining_qty) == (Ending.DONE, Decimal(1), 0)
    assert [record.verified_empty for record in records if isinstance(record, Closed)] == [True]
    assert not list((venue.home / "run").glob("engine.json"))
    venue.start_engine()
    venue.until_quoting()
    assert [Decimal(row.qty) for row in venue.status().positions if row.instrument == ETH] == [Decimal(1)]
    assert venue.stop_engine() == 0
    venue.assert_settled()


def test_a_shortfall_and_a_stop_are_outcomes_with_numbers_and_their_own_exit_codes(venue: Stage) -> None:
    found = result_of(execute(venue, "--side", "buy", "--qty", "40", "--max-slippage-bps", "0.1", "--deadline-ms", "1500",
                              "--child-timeout-ms", "500", "--yes", "--json"))  # fmt: skip
    end, had = found["result"], position(venue)
    assert found["exit_code"] == 10
    assert end["reason"] in ("cap", "deadline", "max_children", "refused")
    assert Decimal(end["filled"]) + Decimal(end["remaining"]) == 40
    assert Decimal(end["remaining"]) > 0
    assert had == Decimal(end["filled"])
    if end["vwap"] is not None:
        assert end["slippage_bps"] <= 0.1 + 1e-6
    assert Decimal(found["plan"]["remaining_qty"]) > 0

    process = execute(venue, "--side", "sell", "--qty", "0.5", "--yes", "--json", *SLOW)
    until(lambda: position(venue) < had, "the first slice")
    process.send_signal(signal.SIGINT)
    found = result_of(process)
    end = found["result"]
    assert (found["exit_code"], found["interrupted"], end["reason"]) == (130, True, "stopped")
    assert 0 < Decimal(end["filled"]) < Decimal("0.5")
    assert had - position(venue) == Decimal(end["filled"])
    assert venue.ledger()["open_orders"] == []
    venue.assert_settled()


def test_ctrl_c_with_a_resting_order_and_a_lost_cancel_leaves_no_order(venue: Stage) -> None:
    process = execute(venue, "--side", "buy", "--qty", "0.5", "--yes", "--json", *RESTING)
    until(lambda: venue.ledger()["open_orders"], "the resting order")
    venue.fault({"action": "drop_request", "match": {"op": "cancel_order"}, "until": {"hits": 1}})
    process.send_signal(signal.SIGINT)
    found = result_of(process)
    assert (found["exit_code"], found["result"]["filled"], found["result"]["reason"]) == (130, "0", "stopped")
    assert venue.ledger()["open_orders"] == []
    assert venue.ledger()["fills"] == []


def test_a_running_engine_that_holds_the_account_works_it_stops_it_and_goes_on(venue: Stage) -> None:
    add_instrument(venue)
    venue.start_engine()
    venue.until_quoting()
    found = result_of(execute(venue, "--side", "buy", "--qty", "0.5", "--yes", "--json"))
    assert found["exit_code"] == 0
    assert found["handed_over_to"].startswith("engine stage (pid ")
    assert Decimal(found["result"]["filled"]) == Decimal("0.5")
    code, out, _ = end_of(execute(venue, "--side", "sell", "--qty", "0.5", "--yes", with_config=False))
    assert code == 0
    assert "worked by" in out
    assert position(venue) == 0
    code, _, err = end_of(execute(venue, "--side", "buy", "--qty", "1", "--yes", "--instrument", "SOL_USDT_Perp"))
    assert code == 6
    assert 'instruments = ["SOL_USDT_Perp"] in [account.main]' in err

    process = execute(venue, "--side", "buy", "--qty", "0.5", "--yes", "--json", *RESTING)
    until(lambda: any(row["instrument"] == ETH for row in venue.ledger()["open_orders"]), "the resting order")
    process.send_signal(signal.SIGINT)
    found = result_of(process)
    assert (found["exit_code"], found["result"]["reason"]) == (130, "stopped")
    assert "stopped by cli:" in found["result"]["text"]
    assert not [row for row in venue.ledger()["open_orders"] if row["instrument"] == ETH]
    venue.until_quoting()
    assert venue.stop_engine() == 0
    venue.assert_settled()


def test_a_killed_execute_leaves_the_truth_to_the_next_life(venue: Stage) -> None:
    process = execute(venue, "--side", "buy", "--qty", "0.5", "--yes", "--json", *SLOW)
    until(lambda: position(venue) > 0, "the first slice")
    process.kill()
    process.communicate(timeout=10)
    venue.start_engine()  # it does not trade the instrument
    until(lambda: [r for r in venue.records() if isinstance(r, ExecutionEnded)], "the truth about it")
    assert venue.stop_engine() == 0
    (end,) = [record.report for record in venue.records() if isinstance(record, ExecutionEnded)]
    assert (end.ending, end.filled_qty) == (Ending.RESTART, position(venue))
    venue.assert_settled()
