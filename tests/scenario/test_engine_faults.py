"""Faults between engine and exchange: new risk stops, cancels go on, and after it all books are equal again."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.engine_stage import Stage, stage

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]
RECOVERY_S = 15
LASTS_MS = 3000


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        made.start_exchange()
        made.start_engine()
        made.until_quoting()
        yield made


def assert_recovers(stage: Stage) -> None:
    """Quoting again in time, then at the end every book equal and nothing open."""
    took_s = stage.until_quoting(RECOVERY_S)
    assert took_s <= RECOVERY_S
    assert stage.stop_engine() == 0, stage.log()
    assert stage.ledger()["open_orders"] == []
    stage.assert_settled()


def hits(stage: Stage) -> int:
    return sum(rule["hits"] for rule in stage.ask("GET", "/faults")["rules"])


BOOK = {"stream": "v1.book.d"}
CREATES = ("create_order", "bulk_orders")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"action": "gap", "match": BOOK, "frames": 2}, "gap"),
        ({"action": "reset_sequences"}, "gap"),
        ({"action": "crossed", "match": BOOK, "until": {"ms": LASTS_MS}}, "crossed"),
        ({"action": "bad_number", "match": BOOK, "until": {"hits": 1}}, "bad_frame"),
        ({"action": "bad_number", "match": BOOK, "value": "1e400", "raw": True, "until": {"hits": 1}}, "bad_frame"),
        ({"action": "mute", "match": {"stream": "*"}, "until": {"ms": 4000}}, "silent"),
    ],
)
def test_a_book_that_cannot_be_believed_is_not_traded_on(at_work: Stage, fault: dict[str, Any], reason: str) -> None:
    at_work.fault(fault)
    at_work.until(lambda: f"reason={reason}" in at_work.whole_log(), f"a book stale for {reason}", 8)
    at_work.until(lambda: hits(at_work) > 0, "the fault to hit", 5)
    time.sleep(fault.get("until", {}).get("ms", 0) / 1000)
    assert_recovers(at_work)


@pytest.mark.parametrize("sockets", ["all", "private", "public"])
@pytest.mark.parametrize("abort", [False, True])
def test_cut_sockets_come_back(at_work: Stage, sockets: str, abort: bool) -> None:
    at_work.fault({"action": "close", "sockets": sockets, "abort": abort})
    at_work.until(lambda: "link_changed" in at_work.whole_log() and "up=False" in at_work.whole_log(), "a lost link", 5)
    assert_recovers(at_work)


@pytest.mark.parametrize("executed", [True, False])
def test_an_answer_to_a_create_that_is_lost_makes_no_second_order(at_work: Stage, executed: bool) -> None:
    for op in CREATES:
        action = "drop_response" if executed else "drop_request"
        at_work.fault({"action": action, "match": {"op": op}, "until": {"ms": LASTS_MS}})
    at_work.until(lambda: hits(at_work) > 0, "a lost answer", 15)
    time.sleep(LASTS_MS / 1000)
    at_work.until(
        lambda: all(row.state in ("open", "cancel_sent", "sent") for row in at_work.status().open_orders),
        "every order known",
        40,
    )
    assert_recovers(at_work)


def test_an_expired_cookie_is_renewed_once(at_work: Stage) -> None:
    at_work.fault({"action": "expire_cookie"})
    time.sleep(7)  # a pass is due within this
    assert_recovers(at_work)
    assert at_work.whole_log().count("session_opened") <= 3


def test_a_burst_of_refusals_for_speed_does_not_stop_the_cancels(at_work: Stage) -> None:
    for op in CREATES:
        at_work.fault({"action": "burst_429", "match": {"op": op}, "until": {"ms": LASTS_MS}})
    at_work.until(lambda: hits(at_work) > 0, "a refusal", 15)
    before = at_work.ask("GET", "/faults")["requests"]
    assert at_work.command("pause").state == "done"
    at_work.until(lambda: at_work.ledger()["open_orders"] == [], "an empty book", 2)
    after = at_work.ask("GET", "/faults")["requests"]
    cancels = ("cancel_order", "cancel_all_orders", "bulk_orders")
    assert sum(after.get(op, 0) - before.get(op, 0) for op in cancels) > 0
    time.sleep(LASTS_MS / 1000)
    at_work.command("resume")
    assert_recovers(at_work)


def test_an_exchange_that_restarts_is_met_again(at_work: Stage) -> None:
    at_work.until_fills(1)
    at_work.stop_exchange()
    at_work.until(lambda: at_work.status().links.get("main private") is False, "the lost link", 5)
    assert at_work.status().state in ("running", "starting")
    time.sleep(2)
    at_work.start_exchange()
    assert_recovers(at_work)


def test_a_frozen_engine_reads_the_account_before_it_places_anything(at_work: Stage) -> None:
    assert at_work.engine is not None
    at_work.engine.send_signal(signal.SIGSTOP)
    time.sleep(4)
    at_work.engine.send_signal(signal.SIGCONT)
    at_work.until(lambda: "loop_stalled" in at_work.whole_log(), "the notice of it", 5)
    assert_recovers(at_work)


def test_a_venue_that_is_down_at_the_start_is_waited_for(tmp_path: Path) -> None:
    with stage(tmp_path) as made:
        made.start_exchange()
        run_file = (made.home / "run" / "exchange.json").read_bytes()
        made.stop_exchange()
        (made.home / "run" / "exchange.json").write_bytes(run_file.replace(b'"pid":', b'"pid":1, "was":'))
        made.start_engine()
        time.sleep(1)
        assert made.status().state == "starting"
        (made.home / "run" / "exchange.json").unlink()
        made.start_exchange()
        assert_recovers(made)
