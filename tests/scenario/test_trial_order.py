"""`perpmaker doctor --test-order` over real sockets: one order, every step of it seen, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine_stage import PATIENCE_S, ROOT, Stage, stage

from perpmaker.control.home import running
from perpmaker.engine.folders import engine_folder
from perpmaker.engine.latchfile import write_latch
from perpmaker.engine.records import FillBooked, Intent, Latch

pytestmark = [pytest.mark.timeout(240), pytest.mark.mostly_waits]
ABOUT = "test order"
STEPS = ["ready", "order", "private stream", "open orders", "cancel", "cancelled", "gone", "nothing left"]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        made.start_exchange()
        yield made


def doctor(made: Stage, *options: str) -> subprocess.Popen[str]:
    arguments = ["--home", str(made.home), "doctor", str(made.config), "--test-order", "--json", *options]
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


def findings(process: subprocess.Popen[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Wait for the end; return the exit code and the rows about the test order by their names."""
    out, err = process.communicate(timeout=180)
    assert out.startswith("["), out + err
    rows = {row["name"].removeprefix(ABOUT).removeprefix(": "): row for row in json.loads(out) if ABOUT in row["name"]}
    return process.returncode, rows


def until_open(made: Stage) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not made.ledger()["open_orders"]:
        assert time.monotonic() < deadline, "no order came"
        time.sleep(0.02)


def assert_nothing_left(made: Stage) -> None:
    assert made.ledger()["open_orders"] == []
    assert made.ledger()["fills"] == []


def test_every_step_is_seen_and_timed_and_an_engine_goes_on_from_there(venue: Stage) -> None:
    code, rows = findings(doctor(venue))
    assert code == 0
    assert [name for name in rows if name in STEPS] == STEPS
    assert {rows[name]["state"] for name in STEPS} == {"ok"}
    assert all(rows[name]["ms"] > 0 for name in STEPS[1:])
    assert "post-only" in rows["order"]["text"]
    assert_nothing_left(venue)
    intents = [record.order for record in venue.records() if isinstance(record, Intent)]
    assert [(order.post_only, order.qty * order.px < 200) for order in intents] == [(True, True)]
    venue.start_engine()
    venue.until_quoting()
    assert venue.stop_engine() == 0
    venue.assert_settled()


HEDGE = """
schema_version = 1
env = "local"
mode = "live"
name = "hedge"
[account.hedge]
venue = "backpack"
local_account = 0
instruments = ["ETH_USDC_PERP"]
"""


def test_a_venue_behind_ccxt_is_examined_and_tried_as_well(tmp_path: Path) -> None:
    with stage(tmp_path) as made:
        made.config.write_text(HEDGE)
        made.start_exchange("--venues", "grvt,backpack")
        process = doctor(made)
        out, err = process.communicate(timeout=180)
        rows = {row["name"]: row for row in json.loads(out)}
        assert process.returncode == 0, out + err
        assert {row["state"] for row in rows.values() if row["name"] != "clock"} == {"ok"}, out
        assert rows["clock"]["state"] in ("ok", "warning")  # a slow answer makes its half the offset
        for name in ("instruments", "market data", "clock", "login", "balance", "positions", "open orders", "fees"):
            assert name in rows
        assert [name for name in rows if name.startswith(ABOUT)] == [f"{ABOUT}: {step}" for step in STEPS]
        assert all(rows[f"{ABOUT}: {step}"]["ms"] > 0 for step in STEPS[1:])
        assert "no dead-man timer behind it" in rows[f"{ABOUT}: ready"]["text"]
        run_file = running(made.home, "exchange")
        assert run_file is not None
        accounts = run_file.extra["backpack_accounts"]
        secrets = [row["secret"] for row in json.loads(accounts)]
        assert secrets
        assert not [secret for secret in secrets if secret in out + err]
        truth = made.ask("GET", "/ledger")["venues"]["backpack"]
        assert truth["violations"] == []
        assert [(row["open_orders"], row["fills"]) for row in truth["accounts"]] == [([], [])] * len(truth["accounts"])


def test_an_engine_that_holds_the_account_is_named_and_left_alone(venue: Stage) -> None:
    venue.start_engine()
    venue.until_quoting()
    engine = venue.status().engine
    code, rows = findings(doctor(venue))
    assert code == 3
    assert "in use by engine 'stage'" in rows[""]["text"]
    venue.until_quoting()  # at one instant a quote may be on its way to be replaced
    assert venue.status().engine == engine
    assert venue.stop_engine() == 0


@pytest.mark.parametrize("action", ["drop_response", "drop_request"])
def test_an_order_whose_answer_is_lost_is_cancelled_and_proven_gone(venue: Stage, action: str) -> None:
    venue.fault({"action": action, "match": {"op": "create_order"}, "until": {"hits": 1}})
    code, rows = findings(doctor(venue))
    assert (code, rows["order"]["state"]) in ((5, "failed"), (0, "ok"))  # the stream may tell what the answer did not
    assert rows["nothing left"]["state"] == "ok"
    assert_nothing_left(venue)


def test_a_cancel_whose_answer_is_lost_is_given_again(venue: Stage) -> None:
    venue.fault({"action": "drop_request", "match": {"op": "cancel_order"}, "until": {"hits": 1}})
    code, rows = findings(doctor(venue))
    assert code in (0, 5)
    assert rows["nothing left"]["state"] == "ok"
    assert_nothing_left(venue)


def test_ctrl_c_with_the_order_open_cancels_it_first(venue: Stage) -> None:
    venue.fault({"action": "delay", "match": {"op": "cancel_order"}, "request_ms": 5000, "until": {"hits": 1}})
    process = doctor(venue)
    until_open(venue)
    process.send_signal(signal.SIGINT)
    code, rows = findings(process)
    assert code == 130
    assert rows["nothing left"]["state"] == "ok"
    assert_nothing_left(venue)


def test_a_killed_doctor_leaves_its_order_to_the_venues_dead_man_timer(venue: Stage) -> None:
    venue.config.write_text(venue.config.read_text().replace("local_account = 0", "local_account = 0\ndead_man_s = 5"))
    venue.fault({"action": "delay", "match": {"op": "cancel_order"}, "request_ms": 60_000})
    process = doctor(venue)
    until_open(venue)
    process.kill()
    process.communicate(timeout=10)
    venue.until(lambda: not venue.ledger()["open_orders"], "the dead-man timer to fire", 30)
    venue.start_engine()
    venue.until_quoting()
    assert venue.stop_engine() == 0
    venue.assert_settled()


def test_the_kill_latch_refuses_the_order_at_the_gate(venue: Stage) -> None:
    folder = engine_folder(venue.home, "stage", "local")
    folder.mkdir(parents=True)
    write_latch(folder, Latch(True, "drill", "ada", 5))
    code, rows = findings(doctor(venue))
    assert code == 6
    assert "KILLED" in rows["order"]["text"]
    assert_nothing_left(venue)
    assert not [record for record in venue.records() if isinstance(record, Intent | FillBooked)]
