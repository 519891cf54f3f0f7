"""The engine killed at any instruction: what comes back converges to the exchange's truth, with no order twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scenario.engine_stage import Stage, stage

from perpmaker.engine.failpoints import AFTER_ACK, AFTER_JOURNAL, AFTER_WRITE, BEFORE_SIGN
from perpmaker.engine.records import Boot, Intent

pytestmark = [pytest.mark.timeout(400), pytest.mark.alone]
READY_S = 10
KILLS = 20


@pytest.fixture
def with_exchange(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        made.start_exchange()
        yield made


def assert_converged(stage: Stage) -> None:
    """Ended in order, every order, fill and position is the exchange's; each accepted order had its intent, once."""
    assert stage.stop_engine() == 0
    assert stage.ledger()["open_orders"] == []
    stage.assert_settled()
    intents = [int(record.order.client_order_id) for record in stage.records() if isinstance(record, Intent)]
    assert stage.ledger()["orders_total"] <= len(set(intents))


def test_twenty_random_kills_while_quoting(with_exchange: Stage) -> None:
    chance = random.Random(5)
    slowest = 0.0
    for _ in range(KILLS):
        with_exchange.start_engine()
        slowest = max(slowest, with_exchange.until_quoting(READY_S))
        time.sleep(chance.uniform(0.0, 1.5))
        with_exchange.kill_engine()
    with_exchange.start_engine()
    with_exchange.until_quoting(READY_S)
    epochs = [record.epoch for record in with_exchange.records() if isinstance(record, Boot)]
    assert epochs == list(range(1, KILLS + 2))
    assert_converged(with_exchange)
    assert slowest < READY_S


STEPS = [
    (point, fate)
    for point in (BEFORE_SIGN, AFTER_JOURNAL, AFTER_WRITE, AFTER_ACK)
    for fate in ("accepted", "lost")
    if (point, fate) != (AFTER_ACK, "lost")  # an order that never arrived is never acknowledged
]


@pytest.mark.parametrize(("point", "fate"), STEPS)
def test_a_kill_at_each_step_of_sending_an_order(with_exchange: Stage, point: str, fate: str) -> None:
    if fate == "lost":
        for op in ("create_order", "bulk_orders"):
            with_exchange.fault({"action": "drop_request", "match": {"op": op, "nth": 3}, "until": {"ms": 8000}})
    with_exchange.start_engine(PERPMAKER_FAILPOINT=f"{point}:4")
    assert with_exchange.engine is not None
    assert with_exchange.engine.wait(30) == -9
    with_exchange.ask("DELETE", "/faults")
    with_exchange.start_engine()
    assert with_exchange.until_quoting(READY_S) < READY_S
    with_exchange.until(
        lambda: all(row.state == "open" for row in with_exchange.status().open_orders), "known orders", 20
    )
    assert_converged(with_exchange)
