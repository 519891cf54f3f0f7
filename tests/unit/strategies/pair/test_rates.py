"""What a pair and a maker do while nobody says, or nobody says any more, what the hedge's currency is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.strategies.pair.face import HEDGE, LEAD, RULES
from tests.unit.strategies.pair.sessions import done, pair
from tests.unit.strategies.pair.two_venues import TwoVenues

from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Conversion
from perpmaker.strategies.bench import BenchContext
from perpmaker.strategies.pair.rates import HedgeRate, last_told

D = Decimal
ANY_EDGE = -100.0
NOBODY = "nobody has told what 1 USDC is worth in USDT"
OLD = "what 1 USDC is worth in USDT was told more than 60 s ago"


def silent(**params: Any) -> TwoVenues:
    """A pair that nobody tells a rate."""
    rig = pair(start=False, **params)
    rig.rates.clear()
    return rig.start()


def maker(*, told: bool = True) -> TwoVenues:
    rig = TwoVenues({"qty": "0.5", "max_qty": "1"}, kind="cross_maker")
    if not told:
        rig.rates.clear()
    return rig.start().run(1)


def built(rig: TwoVenues) -> TwoVenues:
    return rig.until(lambda: rig.status()["phase"] == "hold", 30)


# the rate itself


def bench() -> tuple[BenchContext, HedgeRate]:
    return BenchContext(RULES[LEAD], RULES[HEDGE]), HedgeRate(LEAD, HEDGE, 60)


def test_a_rate_is_known_only_while_it_is_young_enough() -> None:
    ctx, rate = bench()
    assert (rate.now(ctx), rate.problem) == (None, NOBODY)
    ctx.conversions["USDC", "USDT"] = Conversion(D("0.999"), "a bank", ctx.time_ns)
    ctx.time_ns += 60 * NS_PER_S
    assert (rate.now(ctx), rate.problem) == (D("0.999"), "")
    ctx.time_ns += 1
    assert (rate.now(ctx), rate.problem) == (None, OLD)
    assert last_told(ctx, HEDGE, LEAD) == D("0.999")


def test_one_currency_needs_nobody_to_say_that_it_is_worth_itself() -> None:
    same = msgspec.structs.replace(RULES[HEDGE], quote="USDT")
    ctx, rate = BenchContext(RULES[LEAD], same), HedgeRate(LEAD, InstrumentId(same.instrument_id), 60)
    ctx.time_ns += 3600 * NS_PER_S
    assert (rate.now(ctx), rate.problem) == (D(1), "")


# pairs


@pytest.mark.parametrize("told", [None, "0.9999"])
def test_without_a_rate_that_is_known_no_clip_builds_that_has_to_earn_something(told: str | None) -> None:
    """Never told, or told once and not again."""
    rig = silent(mode="build_and_hold", rule={"entry_edge_bps": ANY_EDGE}, crowd=told is None)
    if told is not None:
        rig.feed_rate("USDC", "USDT", told)
        rig.rates.clear()
        rig.lead.depth_lots = rig.hedge.depth_lots = 0  # nothing can be placed while the rate grows old
        rig.run(61)
        rig.lead.depth_lots = rig.hedge.depth_lots = 1000
    rig.run(5)
    assert not rig.lead.orders
    assert rig.status()["waits_for"] == f"edge unknown ({NOBODY if told is None else OLD}), wanted -100 bps"


def test_a_rate_that_is_told_again_lets_it_build() -> None:
    rig = silent(mode="build_and_hold", rule={"entry_edge_bps": ANY_EDGE}).run(5)
    rig.feed_rate("USDC", "USDT", "1.0001")
    done(rig, 30)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))


def test_the_edge_counts_the_rate_that_was_told() -> None:
    """A hedge of 2599.75 USDC at 1.01 is 97 bps dearer than the lead's bid: that pays; at 0.99 it never does."""
    rig = pair(mode="build_and_hold", rule={"entry_edge_bps": 80.0})
    rig.feed_rate("USDC", "USDT", "0.99")
    rig.run(5)
    assert not rig.lead.orders
    rig.feed_rate("USDC", "USDT", "1.01")
    done(rig, 30)


def test_what_asks_for_no_edge_builds_and_closes_whatever_the_rate() -> None:
    rig = done(silent(mode="open_and_close"))
    assert (rig.status()["cycles"], rig.lead.position, rig.hedge.position) == (1, 0, 0)
    assert rig.status()["rate"] is None
    (ended,) = rig.told("pair_ended")
    assert ended[f"{HEDGE} counted as"] == "1, nobody told a rate"


def test_a_hedge_never_waits_for_a_rate() -> None:
    rig = pair(mode="build_and_hold", crowd=False, rule={"entry_edge_bps": ANY_EDGE})
    rig.until(lambda: bool(rig.lead.live()), 30)
    rig.rates.clear()
    rig.run(2)
    order = rig.lead.live()[0]
    rig.fill(rig.lead, order)
    assert rig.delta == 0


def test_an_unwinding_never_waits_for_a_rate() -> None:
    rig = silent(mode="build_and_hold")
    rig.hedge.refuses = "closed"
    rig.until(lambda: rig.lead.position != 0, 30)
    rig.until(lambda: rig.lead.position == 0, 30)
    assert "unwound" in rig.question


def test_closing_goes_on_without_a_rate_unless_it_has_to_earn_something() -> None:
    """A position waits with its exit threshold, hedged; a person's close asks for none."""
    rig = built(pair(mode="build_hold_close", hold_min=0.1, rule={"exit_edge_bps": ANY_EDGE}, max_rate_age_s=2.0))
    rig.rates.clear()
    rig.run(30)
    assert (rig.status()["phase"], rig.lead.position, rig.delta) == ("close", D("0.5"), 0)
    assert "edge unknown" in str(rig.status()["waits_for"])
    rig.operate("pair_close")
    done(rig, 30)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    rig = built(pair(mode="build_hold_close", hold_min=0.1, max_rate_age_s=2.0))
    rig.rates.clear()
    done(rig, 60)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)


def test_the_basis_is_not_measured_without_a_rate() -> None:
    rig = silent(mode="build_and_hold", rule={"direction": "basis"}).run(90)
    assert rig.status()["basis_bps"] is None
    assert rig.status()["waits_for"] == NOBODY
    assert not rig.lead.orders


def test_an_unknown_rate_is_told_once_and_so_is_its_return() -> None:
    rig = silent(mode="build_and_hold", rule={"entry_edge_bps": 50.0}, max_rate_age_s=3.0).run(20)
    assert [fields["text"] for fields in rig.told("pair_rate_unknown")] == [NOBODY]
    for times in (1, 2):
        rig.feed_rate("USDC", "USDT", "1")
        rig.run(1)
        assert len(rig.told("pair_rate_known")) == times
        rig.rates.clear()
        rig.run(20)
        assert len(rig.told("pair_rate_unknown")) == times + 1


def test_a_rate_that_comes_right_after_the_start_is_no_news() -> None:
    rig = silent(mode="build_and_hold", rule={"entry_edge_bps": 50.0}).run(3)
    rig.feed_rate("USDC", "USDT", "1")
    rig.run(10)
    assert not rig.told("pair_rate_unknown")
    assert not rig.told("pair_rate_known")


# making


def test_a_maker_quotes_nothing_until_a_rate_is_told() -> None:
    rig = maker(told=False)
    assert not rig.lead.orders
    assert rig.status()["waits_for"] == NOBODY
    rig.feed_rate("USDC", "USDT", "0.999")
    rig.run(1)
    bid = next(order for order in rig.lead.live() if order.side.sign > 0)
    assert bid.px is not None
    assert bid.px <= D("2599.75") * D("0.999") * (1 - D("0.00059"))


def test_a_maker_withdraws_when_the_rate_is_old_and_still_hedges() -> None:
    rig = maker()
    assert len(rig.lead.live()) == 2
    rig.rates.clear()
    rig.run(58)
    rig.lead.keeps_orders = True  # its cancels lose to a fill
    rig.run(3)
    assert rig.status()["waits_for"] == OLD
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    rig.run(1)
    assert (rig.lead.position != 0, rig.delta) == (True, 0)
    rig.lead.keeps_orders = False
    rig.run(5)
    assert not rig.lead.live()
