"""A pair through real sockets between the two faces: as many cycles as asked, its figures the exchange's, killed or not."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.scenario.pair_stage import HEDGE, LEAD, PairStage, as_totals, pair_stage

from perpmaker.engine.failpoints import AFTER_ACK, AFTER_JOURNAL
from perpmaker.engine.records import Boot
from perpmaker.model.ids import InstrumentId
from perpmaker.strategies.pair.summary import Counts, leg_summary, summed

pytestmark = [pytest.mark.timeout(300), pytest.mark.in_pairs]
D = Decimal
CYCLES = 10


@pytest.fixture
def played(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PairStage]:
    with pair_stage(tmp_path, getattr(request, "param", CYCLES)) as made:
        made.start()
        yield made


@pytest.mark.parametrize(
    "played",
    [CYCLES, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
    indirect=True,
)
def test_alternating_cycles_are_the_exchanges_ledger_to_the_last_decimal(played: PairStage) -> None:
    took_s = played.until_over(16.0 * played.cycles)
    rate = D(str(played.shown["rate"]))
    assert played.stop_engine() == 0
    played.assert_is_the_ledgers()
    summary = assert_the_summary_follows(played, rate)
    print(json.dumps({"took_s": round(took_s, 1), **summary}))


def assert_the_summary_follows(played: PairStage, rate: Decimal) -> dict[str, str]:
    """What was told at the end is what the exchange's ledger adds up to, at the conversion rate of the moment."""
    legs = []
    for name, account in played.truths().items():
        qty, cash, fees, volume, fills = as_totals(account)
        leg = played.memo().holdings.legs[InstrumentId(name)]
        funding = -D(account["funding"])
        of_ledger = leg_summary(InstrumentId(name), leg, currency=account["currency"], mark_px=D(1), funding=funding)
        assert (of_ledger.qty, of_ledger.gross, of_ledger.fees) == (qty, cash, fees)
        assert (of_ledger.volume, of_ledger.fills) == (volume, fills)
        legs.append(of_ledger)
    rates = {InstrumentId(LEAD): D(1), InstrumentId(HEDGE): rate}
    ours = summed(tuple(legs), rates, Counts(), net_delta=D(0), asked=played.cycles, cycles=played.cycles)
    told = played.said("pair_ended")[-1]
    assert told["cycles"] == f"{played.cycles}/{played.cycles}"
    assert D(told["net_delta"]) == 0
    for name in ("volume", "gross", "fees", "funding", "net"):  # the rate may have moved between telling and asking
        assert abs(D(told[name]) - getattr(ours, name)) <= D("0.0005") * abs(getattr(ours, name)) + D("0.01")
    return dict(told)


@pytest.mark.parametrize("played", [4], indirect=True)
def test_killed_while_resting_hedging_and_being_answered_it_goes_on(played: PairStage) -> None:
    """Three kills: an order in the book; a hedge written down and not sent; an order sent whose answer is being read."""
    played.until(lambda: bool(played.status().open_orders), "an order of the pair in the book", 30)
    played.kill_engine()
    for place in (f"{AFTER_JOURNAL}:2", f"{AFTER_ACK}:3"):
        played.start_engine(PERPMAKER_FAILPOINT=place)
        assert played.engine is not None
        assert played.engine.wait(90) == -signal.SIGKILL
    played.start_engine()
    played.until_over(120)
    assert played.stop_engine() == 0
    played.assert_is_the_ledgers()
    assert [record.epoch for record in played.records() if isinstance(record, Boot)] == [1, 2, 3, 4]


@pytest.mark.parametrize("played", [4], indirect=True)
def test_a_lost_order_is_made_up_for_and_a_lost_answer_doubles_nothing(played: PairStage) -> None:
    """The first order to the hedge venue is lost on its way, the answer to the fourth on its way back."""
    lost = {"action": "drop_request", "match": {"op": "orderExecute"}, "until": {"hits": 1}, "venue": "backpack"}
    mute = {"action": "drop_response", "match": {"op": "orderExecute", "nth": 4}, "venue": "backpack"}
    for rule in (lost, mute):
        played.fault(rule)
    played.until_over(150)
    assert played.stop_engine() == 0
    played.assert_is_the_ledgers()
    assert all(row["hits"] == 1 for row in played.ask("GET", "/faults")["rules"])
    assert not played.said("pair_unwound")  # each was found out about, then tried again or taken for what it was
