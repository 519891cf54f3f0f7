"""What the page is told of pairs and of the markets for one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.engine.test_pair_commands import ASKED, MAKER, Bench, bench, unready
from tests.unit.strategies.pair.two_venues import HEDGE, LEAD

from perpmaker.clock import ManualClock
from perpmaker.control.messages import PairRow
from perpmaker.engine.pairview import PairView
from perpmaker.engine.telemetry import Telemetry
from perpmaker.engine.view import About, View
from perpmaker.logs import RecentLines
from perpmaker.model.events import ConversionRate
from perpmaker.model.order import Side


def view(rig: Bench) -> PairView:
    return PairView(rig.engine, ManualClock(rig.now_ns), lambda slot: (slot.state.value, ""))


def row(rig: Bench) -> PairRow:
    (found,) = view(rig).pairs()
    return found


def test_a_pair_at_work_shows_both_positions_and_how_they_differ() -> None:
    rig = bench(piece="0.07")
    rig.pair(iterations="3")
    rig.until(lambda: rig.lead.position > 0)
    shown = row(rig)
    assert [leg.exchange for leg in shown.legs] == ["grvt", "backpack"]
    assert (shown.mode, shown.asked, shown.is_over) == ("alternate", 3, False)
    assert shown.legs[0].qty == str(rig.lead.position)
    rig.until(lambda: rig.status()["phase"] == "end")
    shown = row(rig)
    assert (shown.status, shown.is_over, shown.cycles) == ("Hedged", True, 3)
    assert [leg.position for leg in shown.legs] == ["0.5", "-0.5"]
    assert (shown.net_delta, shown.net_notional) == ("0", "0")
    assert shown.asked_for["hedge_instrument"] == HEDGE


def test_the_fees_of_both_venues_are_the_breakeven() -> None:
    rig = bench()
    rig.pair(iterations="1")
    assert row(rig).breakeven_bps == -0.1 + 5


def test_an_unhedged_amount_is_told_with_its_worth() -> None:
    rig = bench()
    rig.watching = False
    rig.pair(iterations="3")
    rig.hedge.refuses = "closed"
    rig.until(lambda: rig.lead.position > 0)
    shown = row(rig)
    assert (shown.status, shown.net_delta, shown.net_notional) == ("Unbalanced", "0.5", "1300")
    assert shown.hedge == "hedging"


def test_a_rate_is_told_with_its_source_and_age_or_as_unknown() -> None:
    rig = bench()
    rig.pair(iterations="1")
    rig.rates.clear()
    rig.engine.world.conversions.clear()
    assert (row(rig).rate, row(rig).rate_from) == (None, "USDC/USDT: unknown, nobody has told a rate")
    rig.feed(ConversionRate("USDC", "USDT", Decimal("0.9995"), "the bank", rig.now_ns, rig.now_ns))
    rig.run(3)
    shown = row(rig)
    assert (shown.rate, shown.rate_from, shown.rate_age_s) == ("0.9995", "USDC/USDT: the bank", 3.0)
    rig.run(58)
    shown = row(rig)
    assert (shown.rate, shown.rate_from, shown.rate_age_s) == (None, "USDC/USDT: unknown, the last one is old", 61.0)


@pytest.mark.parametrize(
    ("words", "mode", "asked"), [({**ASKED, "iterations": "3"}, "alternate", 3), (MAKER, "make", 0)]
)
def test_what_waits_for_its_accounts_is_told_with_what_it_is_going_to_do(
    words: dict[str, str], mode: str, asked: int
) -> None:
    rig = unready()
    rig.tell("pair_start", **words)
    shown = row(rig)
    assert (shown.state, shown.mode, shown.asked, shown.is_over) == ("starting", mode, asked, False)


def test_a_pair_that_has_ended_is_over_and_no_longer_said_to_quote() -> None:
    """In the rows of strategies and of pairs, whether or not a person paused it besides; and a maker that was stopped."""
    rig = bench()

    def state() -> tuple[str, str]:
        about = About("test", 1, "grvt", "local", "live", 1, lambda: "/journal", {})
        status = View(rig.engine, about, Telemetry(), RecentLines(), ManualClock(rig.now_ns), warnings=list).status()
        (strategy,), (pair,) = status.strategies, status.pairs
        assert (strategy.state, strategy.reason) == (pair.state, pair.reason)
        return pair.state, pair.reason

    rig.pair(iterations="1")
    rig.run(1)
    assert state() == ("quoting", "")
    rig.until(lambda: rig.status()["phase"] == "end", 60)
    assert state() == ("over", "every cycle was run")
    rig.tell("pair_pause")
    assert state()[0] == "over"


def test_the_question_of_a_pair_is_told() -> None:
    rig = bench()
    rig.watching = False
    rig.pair(iterations="9")
    rig.until(lambda: rig.lead.position > 0)
    rig.fill_by_hand(rig.hedge, Side.BUY, "0.1")
    rig.run(1)
    assert row(rig).question.startswith("Unexpected: buy 0.1")


def test_markets_are_told_with_their_rules_and_who_has_them() -> None:
    rig = bench()
    made = view(rig)
    lead, hedge = sorted(made.markets(), key=lambda market: market.exchange, reverse=True)
    assert (lead.instrument, lead.base, lead.quote, lead.accounts, lead.lot) == (LEAD, "ETH", "USDT", ["first"], "0.01")
    assert (hedge.min_qty, hedge.maker_fee_bps, hedge.taker_fee_bps, hedge.traded_by) == ("0.02", "2", "5", "")
    rig.tell("pair_start", **ASKED)
    assert [market.traded_by for market in view(rig).markets()] == ["pair-eth", "pair-eth"]
