"""Killed at any moment, the engine comes back to the venue's truth: RELIABILITY P1, N1, N2; I1, I2, I3, I4, I17."""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack

import pytest
from tests.chaos.harness import PATIENCE_S, READY_S, SYMBOLS, Stack, now_ns, until
from tests.chaos.oracle import Oracle, read_journal

from perpmaker.engine.failpoints import AFTER_ACK, AFTER_JOURNAL, AFTER_WRITE, BEFORE_SIGN
from perpmaker.model.units import NS_PER_S

pytestmark = [pytest.mark.timeout(300)]

KILLS = 20
BUSY = 3
"""The twenty starts are alone and keep goal R16 one by one; the others share the processor with other tests."""
SEED = 20
CREATES = ("create_order", "bulk_orders")
BTC, SOL = SYMBOLS["btc"], SYMBOLS["sol"]
NTH = {BEFORE_SIGN: 6, AFTER_JOURNAL: 15, AFTER_WRITE: 1, AFTER_ACK: 1}
"""Which time the place is reached kills. Each maker begins with one request of four orders, all in one step, and nothing
leaves before the step is over: what kills within a step has to be a later one, so that there are orders before it."""
SPARED = {BEFORE_SIGN: SOL, AFTER_JOURNAL: SOL, AFTER_WRITE: "", AFTER_ACK: BTC}
"""Whose creations arrive though the others' are lost: the one that goes on to the place, or whose answer is to be read."""


@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "seed", [SEED, *(pytest.param(SEED + number, marks=pytest.mark.long) for number in range(1, 6))]
)
def test_twenty_random_kills_while_quoting_leave_no_trace(stack: Stack, oracle: Oracle, seed: int) -> None:
    moments = random.Random(seed)
    ready_s = []
    for _ in range(KILLS):
        ready_s.append(start(stack))
        oracle.judge_running()
        time.sleep(moments.uniform(0.0, 2.5))
        stack.kill_engine()
    ready_s.append(start(stack))
    oracle.judge_running()
    assert stack.stop_engine() == 0
    journal = oracle.judge_stopped()
    assert [boot.epoch for boot in journal.boots] == list(range(1, KILLS + 2))
    assert len(journal.fills) > KILLS, "the makers hardly traded: the test proves little"
    ready_s.sort()
    print(f"ready after {ready_s[KILLS // 2]:.1f} s, {ready_s[-1]:.1f} s at most")
    assert ready_s[-1] <= READY_S


@pytest.mark.mostly_waits
@pytest.mark.parametrize("fate", ["accepted", "lost"])
@pytest.mark.parametrize("place", list(NTH))
def test_a_kill_at_each_step_of_an_order_leaves_no_trace(stack: Stack, oracle: Oracle, place: str, fate: str) -> None:
    lost = [symbol for symbol in SYMBOLS.values() if fate == "lost" and symbol != SPARED[place]]
    with ExitStack() as faults:
        rules = [
            faults.enter_context(stack.fault("drop_request", match={"op": op, "symbol": symbol}))
            for op in CREATES
            for symbol in lost
        ]
        assert stack.start_engine(f"{place}:{NTH[place]}").wait(PATIENCE_S) == -signal.SIGKILL
        intended = {int(intent.order.client_order_id) for intent in read_journal(stack.journal).intents}
        if lost:
            until(lambda: sum(rule.hits() for rule in rules), PATIENCE_S, "an order was lost")
        else:
            until(stack.open_orders, PATIENCE_S, "an order was accepted")
    accepted = {order.client_order_id: order.instrument for order in oracle.audit.collect()}
    assert accepted.keys() <= intended
    assert not set(lost) & set(accepted.values())
    if lost or place == AFTER_JOURNAL:
        assert intended - accepted.keys()
    ready_s = start(stack)
    print(f"ready after {ready_s:.1f} s")
    assert ready_s <= BUSY * READY_S
    oracle.judge_running()
    assert not accepted.keys() & {int(row["client_order_id"]) for row in stack.open_orders()}
    assert stack.stop_engine() == 0
    oracle.judge_stopped()


def start(stack: Stack) -> float:
    """Start the engine; return after how many seconds it quoted every instrument."""
    process = stack.start_engine()
    stack.wait_quoting()
    return (now_ns() - process.started_ns) / NS_PER_S
