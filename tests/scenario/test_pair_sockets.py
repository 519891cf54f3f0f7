"""A pair through real sockets between the two faces: as many cycles as asked, its figures the exchange's, killed or not."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.scenario.pair_stage import MakerStage, PairStage, as_totals, pair_stage, worst_delta

from perpmaker.engine.failpoints import AFTER_ACK, AFTER_JOURNAL
from perpmaker.engine.records import Boot
from perpmaker.model.ids import InstrumentId
from perpmaker.strategies.pair.summary import Counts, leg_summary, summed

pytestmark = [pytest.mark.timeout(300), pytest.mark.mostly_waits]
D = Decimal
CYCLES = 10
OTHERS = 4


@pytest.fixture
def played(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PairStage]:
    with pair_stage(tmp_path, *request.param) as made:
        made.start()
        yield made


@pytest.mark.parametrize(
    "played",
    [(CYCLES, OTHERS), pytest.param((200,), marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
    indirect=True,
)
def test_alternating_cycles_are_the_exchanges_ledger_to_the_last_decimal(played: PairStage) -> None:
    """Two markets at once on the same two accounts; 200 cycles on one."""
    took_s = played.until_over(16.0 * played.pairs["eth"].cycles)
    rates = {name: D(str(played.shown(name)["rate"])) for name in played.pairs}
    assert played.stop_engine() == 0
    played.assert_is_the_ledgers()
    for name, rate in rates.items():
        told = assert_the_summary_follows(played, name, rate)
        print(json.dumps({"took_s": round(took_s, 1), **told}))


def assert_the_summary_follows(played: PairStage, name: str, rate: Decimal) -> dict[str, str]:
    """What was told at the end is what the exchange's ledger adds up to, at the conversion rate of the moment."""
    pair, memo = played.pairs[name], played.memo(name)
    legs, rates = [], {InstrumentId(pair.lead): D(1), InstrumentId(pair.hedge): rate}
    for instrument in rates:
        leg = memo.holdings.legs[instrument]
        funding = played.funding(instrument) - leg.funding_before
        legs.append(leg_summary(instrument, leg, currency="", mark_px=D(1), funding=funding))
        qty, cash, fees, volume, _ = as_totals(played.fills(instrument))
        assert (legs[-1].qty, legs[-1].gross, legs[-1].fees, legs[-1].volume) == (qty, cash, fees, volume)
    ours = summed(tuple(legs), rates, Counts(), net_delta=D(0), asked=pair.cycles, cycles=pair.cycles)
    told = next(row for row in played.said("pair_ended") if row["strategy"] == name)
    assert told["cycles"] == f"{pair.cycles}/{pair.cycles}"
    assert D(told["net_delta"]) == 0
    for figure in ("volume", "gross", "fees", "funding", "net"):  # the rate may have moved between telling and asking
        wanted = getattr(ours, figure)
        assert abs(D(told[figure]) - wanted) <= D("0.0005") * abs(wanted) + D("0.01")
    return dict(told)


@pytest.mark.parametrize("played", [(4,)], indirect=True)
def test_killed_while_resting_hedging_and_being_answered_it_goes_on(played: PairStage) -> None:
    """Three kills: an order in the book; a hedge written down and not sent; an order sent whose answer is being read."""
    played.until(lambda: bool(played.status().open_orders), "an order of the pair in the book")
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


@pytest.mark.parametrize("played", [(4,)], indirect=True)
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


def test_making_across_venues_hedges_each_fill_and_knows_its_figures(tmp_path: Path) -> None:
    made = MakerStage(tmp_path)
    try:
        made.start()
        filled = "six fills of the lead, hedged"
        made.until(lambda: is_hedged(made, 6), filled, 150)
        assert made.command("pause").state == "done"  # an order that fills while it stops is of the next life's memory
        made.until(lambda: is_hedged(made, 6), "the last fill hedged")
        assert made.stop_engine() == 0
        holdings = made.holdings()
        for name, leg in holdings.legs.items():
            assert as_totals(made.fills(name)) == (leg.qty, leg.cash, leg.fees, leg.volume, leg.fills)
        assert abs(holdings.delta) < D("0.02")
        lead, hedge = (made.fills(name) for name in holdings.legs)
        assert worst_delta(lead, hedge, flat=False) <= D("0.2")
    finally:
        made.end()


def is_hedged(made: MakerStage, fills: int) -> bool:
    """So much of the lead has filled, and as much of the hedge; asked of a moment without an order on its way."""
    shown, done = made.shown("eth"), sum(row.instrument == "ETH_USDT_Perp" for row in made.control().trades(200))
    return done >= fills and shown.get("hedge") == "calm" and abs(D(str(shown["net_delta"]))) < D("0.02")
