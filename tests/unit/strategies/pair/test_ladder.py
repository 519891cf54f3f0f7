"""When the hedge fails: tried again inside the cap, on another venue, undone, and only then a question. Times as default:
8 s on the hedge venue, 6 s on the fallback, 12 s of undoing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.strategies.pair.sessions import assert_sums_are_the_venues, done, pair
from tests.unit.strategies.pair.two_venues import Crowd, TwoVenues

from perpmaker.model.order import Side

D = Decimal
QUICK = {"maker": {"stability_s": 0}}


def filled(qty: str = "0.5", *, third: bool = False, hurt: Any = lambda rig: None, **params: Any) -> TwoVenues:
    """A pair whose resting order has just filled, after `hurt` was done to the venues."""
    rig = pair(mode="build_and_hold", crowd=False, third=third, **QUICK, **params)
    rig.until(lambda: bool(rig.lead.live()))
    hurt(rig)
    rig.fill(rig.lead, rig.lead.live()[0], qty)
    return rig


def refuse(rig: TwoVenues) -> None:
    rig.hedge.refuses = "no"


def took_s(rig: TwoVenues) -> float:
    """How long until both legs were equal by the venues' own books."""
    begun_ns = rig.now_ns
    rig.until(lambda: abs(rig.delta) < D("0.01"), 60)
    return (rig.now_ns - begun_ns) / 1e9


def test_a_fill_is_hedged_in_the_same_step() -> None:
    rig = filled()
    assert rig.delta == 0


def test_a_venue_that_refuses_for_a_while_is_tried_again() -> None:
    rig = filled(hurt=refuse)
    rig.run(4)
    assert rig.delta == D("0.5")
    rig.hedge.refuses = ""
    assert took_s(rig) <= 4
    assert rig.hedge.position == D("-0.5")
    assert rig.status()["hedge_retries"] >= 1


def test_a_try_again_stays_inside_the_first_tries_cap() -> None:
    rig = filled(hurt=refuse)
    rig.run(1)
    rig.hedge.refuses = ""
    rig.hedge.mid = D("2598")  # 7.7 bps below: inside the cap of 10 from the first touch
    took_s(rig)
    assert rig.hedge.position == D("-0.5")
    floor = D("2599.75") * (1 - D("0.001"))
    assert all(there.order.px >= floor for there in rig.hedge.orders.values() if there.order.px)


def test_beyond_the_cap_nothing_is_sold_and_the_leg_is_undone() -> None:
    rig = filled(hurt=lambda rig: setattr(rig.hedge, "take_share", D(0)))
    rig.hedge.mid = D("2590")  # 38 bps below
    rig.hedge.take_share = D(1)
    assert 7 <= took_s(rig) <= 12
    assert (rig.lead.position, rig.hedge.position) == (D(0), D(0))
    assert rig.question.startswith("the hedge on ETH_USDC_PERP@backpack failed")
    floor = D("2599.75") * (1 - D("0.001"))
    assert all(there.order.px >= floor for there in rig.hedge.orders.values() if there.order.px)


def test_a_refusing_venue_is_left_after_8_s_and_the_filled_leg_undone() -> None:
    rig = filled(hurt=refuse)
    assert 7 <= took_s(rig) <= 12
    assert (rig.lead.position, rig.hedge.position) == (D(0), D(0))
    assert [row["rung"] for row in rig.told("pair_hedge_failed")] == ["unwinding"]
    assert rig.told("pair_unwound")
    assert_sums_are_the_venues(rig)


def test_a_venue_that_is_down_is_left_after_8_s_and_the_filled_leg_undone() -> None:
    rig = filled(hurt=refuse)
    rig.link(rig.hedge, up=False)
    assert 7 <= took_s(rig) <= 14
    assert (rig.lead.position, rig.hedge.position) == (D(0), D(0))


def test_while_the_hedge_venue_is_down_nothing_rests_on_the_lead() -> None:
    rig = pair(mode="build_and_hold", crowd=False, **QUICK)
    rig.until(lambda: bool(rig.lead.live()))
    rig.link(rig.hedge, up=False)
    assert not rig.lead.live()
    rig.run(10)
    assert not rig.lead.live()
    assert "backpack" in rig.status()["waits_for"]
    rig.link(rig.hedge, up=True)
    rig.until(lambda: bool(rig.lead.live()), 20)


def test_a_third_venue_is_used_first_where_there_is_one() -> None:
    rig = filled(third=True, hurt=refuse)
    assert 7 <= took_s(rig) <= 14
    assert (rig.lead.position, rig.hedge.position, rig.other.position) == (D("0.5"), D(0), D("-0.5"))
    assert [row["rung"] for row in rig.told("pair_hedge_failed")] == ["fallback"]
    assert rig.told("pair_hedged_elsewhere")
    assert not rig.question
    assert rig.status()["pair"] == "Hedged"


def test_what_the_third_venue_holds_is_brought_home_a_clip_at_a_time() -> None:
    rig = filled(third=True, hurt=refuse)
    took_s(rig)
    rig.run(5)  # it still refuses: nothing is lost by trying
    assert rig.other.position == D("-0.5")
    rig.hedge.refuses = ""
    rig.until(lambda: rig.hedge.position == D("-0.5"), 90)
    rig.run(1)
    assert (rig.lead.position, rig.other.position) == (D("0.5"), D(0))


def test_what_is_brought_home_leaves_room_for_what_is_open() -> None:
    """0.01 waits in the ledger: a whole clip bought on the hedge venue on top would be more than a clip."""
    maker = {"stability_s": 0, "timeout_s": 1, "reprices": 0}
    rig = pair(
        mode="build_and_hold", size="1", clip="0.2", crowd=False, third=True, maker=maker, rule={"direction": "sell"}
    )
    rig.until(lambda: bool(rig.lead.live()))
    rig.hedge.refuses = "no"
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    rig.until(lambda: rig.other.position == D("0.2"), 30)
    rig.until(lambda: bool(rig.lead.live()), 30)
    rig.fill(rig.lead, rig.lead.live()[0], "0.01")
    rig.hedge.refuses = ""
    rig.hedge.latency_s = 0.1
    rig.until(lambda: rig.other.position < D("0.02"), 120)
    assert rig.delta == 0
    assert rig.worst <= D("0.2")


def test_when_two_venues_fail_the_filled_leg_is_undone() -> None:
    def hurt(rig: TwoVenues) -> None:
        rig.hedge.refuses = rig.other.refuses = "no"

    rig = filled(third=True, hurt=hurt)
    assert 12 <= took_s(rig) <= 20
    assert rig.lead.position == rig.hedge.position == rig.other.position == 0
    assert [len(rig.told(name)) for name in ("pair_hedge_failed", "pair_fallback_failed", "pair_unwound")] == [1, 1, 1]


def test_when_no_venue_trades_both_are_tried_and_the_alarm_goes_on() -> None:
    def hurt(rig: TwoVenues) -> None:
        rig.hedge.refuses = rig.lead.refuses = "no"

    rig = filled(hurt=hurt)
    rig.run(60)
    assert rig.status()["hedge"] == "stuck"
    assert len(rig.told("pair_not_hedged")) >= 8
    assert rig.delta == D("0.5")
    rig.hedge.refuses = ""
    took_s(rig)
    assert rig.delta == 0
    assert rig.question.startswith("neither ETH_USDC_PERP@backpack nor ETH_USDT_Perp traded")


def test_a_hedge_without_an_answer_is_never_sent_twice() -> None:
    def hurt(rig: TwoVenues) -> None:
        rig.hedge.answers = False

    rig = filled(hurt=hurt)
    rig.run(20)
    assert rig.hedge.position == D("-0.5")  # it was done, nobody said so
    assert rig.lead.position == D("0.5")
    assert len(rig.hedge.orders) == 1
    rig.hedge.answers = True
    rig.run(20)
    assert rig.status()["pair"] == "Hedged"
    assert len(rig.hedge.orders) == 1
    assert not rig.question
    assert_sums_are_the_venues(rig)


def test_a_hedge_that_never_arrived_is_proven_so_and_made_up_for() -> None:
    """The proof takes longer than the rung's 8 s, which are for trying: it is not counted."""

    def hurt(rig: TwoVenues) -> None:
        rig.hedge.accepts = False

    rig = filled(hurt=hurt)
    rig.run(3)
    rig.hedge.accepts = True
    assert 8 < took_s(rig) + 3 < 20
    rig.run(30)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))
    assert not rig.told("pair_hedge_failed")
    assert_sums_are_the_venues(rig)


def test_an_undoing_order_in_question_keeps_the_ladder_from_resting() -> None:
    """The hedge was done but not told of, the undoing order as well: equal by what is booked, not by the venues."""

    rig = filled(hurt=refuse)
    rig.run(7)
    rig.lead.answers = False
    rig.until(lambda: rig.lead.position == 0, 30)
    assert rig.status()["hedge"] == "unwinding"
    rig.run(5)
    assert rig.status()["hedge"] == "unwinding"
    rig.lead.answers = True
    rig.until(lambda: rig.status()["hedge"] == "calm", 60)
    assert rig.lead.position == rig.hedge.position == 0
    assert_sums_are_the_venues(rig)


def test_the_resting_order_goes_while_the_hedge_is_late() -> None:
    rig = filled("0.2", hurt=refuse)
    rig.run(1)
    assert rig.lead.live()
    rig.run(2)
    assert not rig.lead.live()
    assert rig.delta == D("0.2")
    rig.run(4)
    assert len(rig.lead.orders) == 1  # none in its place before the legs are equal


def test_nothing_follows_an_order_whose_fills_are_still_to_be_told() -> None:
    rig = pair(mode="build_and_hold", crowd=False, clip="0.3", maker={"stability_s": 0, "timeout_s": 1})
    rig.until(lambda: bool(rig.lead.live()))
    rig.lead.fills_late_s = 3
    rig.fill(rig.lead, rig.lead.live()[0], "0.1")
    assert rig.delta == 0  # hedged on the word of the order's report
    rig.run(2.5)
    assert not rig.lead.live()
    assert len(rig.lead.orders) == 1
    rig.lead.fills_late_s = 0
    rig.until(lambda: bool(rig.lead.live()), 10)
    assert rig.lead.live()[0].qty == D("0.2")
    assert not rig.told("pair_surprised")


def test_equal_legs_are_no_rest_while_a_hedge_is_in_question() -> None:
    """The venue takes back what the lead had filled while nobody knows whether the hedge was executed: it was."""
    rig = filled("0.3", hurt=lambda rig: setattr(rig.hedge, "answers", False), on_unexpected="continue")
    rig.run(2)
    rig.fill_by_hand(rig.lead, Side.SELL, "0.3", of_the_pair=True)
    rig.run(2)
    assert rig.delta == D("-0.3")
    assert (rig.status()["net_delta"], rig.status()["hedge"]) == ("0.0", "hedging")
    assert not rig.lead.live()
    rig.hedge.answers = True
    rig.until(lambda: rig.status()["hedge"] == "calm", 30)
    assert rig.delta == 0


def test_undoing_never_meets_the_pairs_own_order_that_will_not_go() -> None:
    """The venue keeps the resting bid although it is cancelled: nothing is sold into it."""
    rig = filled("0.2", hurt=refuse)
    rig.lead.keeps_orders = True
    rig.run(20)
    assert rig.lead.live()
    assert rig.status()["hedge"] in ("unwinding", "stuck")
    assert rig.lead.position == D("0.2")
    assert rig.violations == []
    rig.lead.keeps_orders = False
    rig.until(lambda: rig.delta == 0, 60)
    assert not rig.lead.live()
    assert rig.violations == []


@pytest.mark.parametrize("answer", ["continue", "stop"])
def test_after_an_undoing_a_person_says_how_it_goes_on(answer: str) -> None:
    rig = filled(hurt=refuse)
    took_s(rig)
    rig.hedge.refuses = ""
    rig.on_step = Crowd(rig)
    rig.run(20)
    assert rig.lead.position == 0  # nothing is placed while it asks
    rig.operate("answer", answer=answer)
    done(rig)
    assert rig.lead.position == (D("0.5") if answer == "continue" else 0)
    assert rig.delta == 0


def test_a_dribble_below_the_hedge_venues_minimum_waits_in_the_ledger() -> None:
    rig = filled("0.01")
    rig.run(3)
    assert (rig.lead.position, rig.hedge.position) == (D("0.01"), D(0))
    assert rig.status()["net_delta"] == "0.01"
    assert rig.status()["hedge"] == "calm"
    rig.fill(rig.lead, rig.lead.live()[0], "0.01")
    assert rig.hedge.position == D("-0.020")


def test_the_next_clip_asks_for_less_by_what_is_still_open() -> None:
    """0.01 of the clip before cannot be hedged yet: with a whole clip on top more than a clip would be open."""
    maker = {"stability_s": 0, "timeout_s": 1, "reprices": 0}
    rig = pair(mode="build_and_hold", size="1", clip="0.2", crowd=False, maker=maker)
    rig.until(lambda: bool(rig.lead.live()))
    rig.fill(rig.lead, rig.lead.live()[0], "0.01")
    rig.until(lambda: rig.status()["skipped"] == 1 and bool(rig.lead.live()), 20)
    assert rig.lead.live()[0].qty == D("0.19")
    rig.fill(rig.lead, rig.lead.live()[0])
    assert rig.delta == 0


def test_a_remainder_that_nobody_takes_is_told_and_shown() -> None:
    rig = filled("0.01", imbalance_tol="0.005", clip="0.02", size="0.02")
    rig.run(1)
    rig.operate("pause")
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    rig.run(30)
    assert rig.status()["pair"] == "Unbalanced"
    assert rig.status()["net_delta"] == "0.01"
