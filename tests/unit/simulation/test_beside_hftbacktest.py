"""Our simulated venue beside hftbacktest's fills of the same orders, kept by `python -m benchmarks.fidelity --golden`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from benchmarks.backtest.market import START_NS, rules
from benchmarks.fidelity import ours
from benchmarks.fidelity.__main__ import golden_play
from benchmarks.fidelity.compare import compare
from benchmarks.fidelity.plan import Fills, Play, in_order, lively, scheduled
from benchmarks.fidelity.reading import OURS, THEIRS, Reading

from perpmaker.model.instrument import Instrument
from perpmaker.simulation import QueueModel

GOLDEN = Path(__file__).parents[2] / "data" / "hftbacktest" / "fills.json"


@pytest.fixture(scope="module")
def play() -> tuple[Play, Instrument]:
    return golden_play()


def peers(queue: QueueModel) -> Fills:
    kept: dict[str, Any] = msgspec.json.decode(GOLDEN.read_bytes())
    return {int(number): [tuple(fill) for fill in fills] for number, fills in kept["fills"][queue.value].items()}


@pytest.mark.parametrize(("queue", "filled", "same"), [(QueueModel.POWER, 93, 75), (QueueModel.RISK_AVERSE, 92, 75)])
def test_every_fill_that_differs_from_hftbacktest_does_so_by_a_rule_that_is_named(
    play: tuple[Play, Instrument], queue: QueueModel, filled: int, same: int
) -> None:
    found = compare(play[0], queue, ours.fills_of(*play, queue), peers(queue))
    assert (found.filled, found.same) == (filled, same)
    assert sum(found.why.values()) == filled - same
    assert "unexplained" not in found.why
    assert "more than three together" not in found.why


@pytest.mark.parametrize("queue", QueueModel)
def test_a_reading_with_hftbacktests_rules_gives_its_fills_to_the_nanosecond(
    play: tuple[Play, Instrument], queue: QueueModel
) -> None:
    assert Reading(play[0], queue, THEIRS).fills() == peers(queue)


@pytest.mark.parametrize("queue", QueueModel)
@pytest.mark.parametrize("seed", [21, 22, 23])
def test_a_reading_with_our_rules_gives_our_fills_to_the_nanosecond(queue: QueueModel, seed: int) -> None:
    rule = rules()
    market = in_order(lively(rule, seed, 30, START_NS))
    orders = scheduled(market, rule, seed, 150, most_lots=20)
    play = Play("generated", market, orders, float(rule.tick), float(rule.lot))
    fills = ours.fills_of(play, rule, queue)
    assert len(fills) > 50
    assert Reading(play, queue, OURS).fills() == fills


def test_one_lot_at_a_time_in_a_queue_where_nobody_guesses_fills_as_at_hftbacktest() -> None:
    """Its risk-averse model has no fractions, and one lone lot leaves nothing to share: nothing is left to differ by."""
    rule = rules()
    market = in_order(lively(rule, 7, 60, START_NS))
    orders = scheduled(market, rule, 7, 1_000, most_lots=1, life_ms=900)
    play = Play("generated", market, orders, float(rule.tick), float(rule.lot))
    theirs = Reading(play, QueueModel.RISK_AVERSE, THEIRS).fills()
    assert len(theirs) > 20
    assert ours.fills_of(play, rule, QueueModel.RISK_AVERSE) == theirs
