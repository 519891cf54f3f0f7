"""Fills that no order of the pair explains: the pair waits and asks, or does what it was told to do then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.strategies.pair.sessions import done, pair
from tests.unit.strategies.pair.two_venues import Crowd, TwoVenues

from perpmaker.model.order import Side

D = Decimal
QUICK = {"maker": {"stability_s": 0}}


def half_built(**params: Any) -> TwoVenues:
    """0.2 of 0.5 are built and hedged, the rest is still in the book."""
    rig = pair(mode="build_and_hold", crowd=False, **{**QUICK, **params})
    rig.until(lambda: bool(rig.lead.live()))
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    rig.run(0.5)
    assert (rig.lead.position, rig.hedge.position) == (D("0.2"), D("-0.2"))
    return rig


def liquidate(rig: TwoVenues, side: Side, qty: str) -> None:
    """The venue reduces the lead's position itself."""
    rig.fill_by_hand(rig.lead, side, qty, of_the_pair=True)


def test_a_fill_by_hand_withdraws_the_order_and_asks() -> None:
    rig = half_built()
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    rig.run(2)
    assert not rig.lead.live()
    assert rig.question.startswith("Unexpected: buy 1 ETH_USDT_Perp at 2600")
    rig.run(30)
    assert not rig.lead.live()
    assert rig.hedge.position == D("-0.2")  # what a person added is not the pair's


def test_continue_goes_on_with_what_is_left() -> None:
    rig = half_built()
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    rig.run(2)
    assert rig.operate("answer", answer="continue").state == "done"
    rig.on_step = Crowd(rig)
    done(rig)
    assert (rig.lead.position, rig.hedge.position) == (D("1.5"), D("-0.5"))
    assert not rig.question


def test_stop_ends_it_where_it_stands() -> None:
    rig = half_built()
    rig.fill_by_hand(rig.hedge, Side.SELL, "0.3")
    rig.run(2)
    rig.operate("answer", answer="stop")
    done(rig)
    rig.run(20)
    assert (rig.lead.position, rig.hedge.position) == (D("0.2"), D("-0.5"))
    assert rig.told("pair_ended")[-1]["text"] == "stopped by a person's answer"


def test_another_answer_is_refused_and_the_question_stays() -> None:
    rig = half_built()
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    rig.run(1)
    assert rig.operate("answer", answer="maybe").state == "refused"
    assert rig.question


def test_without_a_question_an_answer_is_refused() -> None:
    assert half_built().operate("answer", answer="continue").state == "refused"


def test_told_to_go_on_it_only_says_what_happened() -> None:
    rig = half_built(on_unexpected="continue")
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    rig.run(1)
    assert not rig.question
    assert "by no order of this pair" in rig.told("pair_surprised")[0]["text"]
    rig.on_step = Crowd(rig)
    done(rig)
    assert (rig.lead.position, rig.hedge.position) == (D("1.5"), D("-0.5"))


def test_told_to_stop_it_ends() -> None:
    rig = half_built(on_unexpected="stop")
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    done(rig)
    rig.run(5)
    assert not rig.lead.live()
    assert rig.told("pair_ended")[-1]["text"].startswith("unexpected: buy 1 ETH_USDT_Perp")


def test_a_position_the_venue_reduced_is_followed_on_the_other_venue() -> None:
    rig = half_built()
    liquidate(rig, Side.SELL, "0.2")
    rig.run(3)
    assert (rig.lead.position, rig.hedge.position) == (D(0), D(0))
    assert rig.question
    assert rig.status()["pair"] == "Flat"


def test_a_fill_beyond_the_size_is_hedged_and_asked_about() -> None:
    rig = half_built()
    rig.bound = D("0.8")
    rig.fill(rig.lead, rig.lead.live()[0], "0.4")  # 0.1 more than was left of it
    rig.run(5)
    assert rig.delta == 0
    assert "beyond the size of its order, 0.50" in rig.question


def test_a_fill_after_the_end_is_hedged_and_asked_about() -> None:
    rig = half_built()
    order = rig.lead.live()[0]
    rig.operate("pause")
    rig.run(3)
    assert not rig.lead.live()
    rig.fill(rig.lead, order, "0.1")
    rig.run(5)
    assert (rig.lead.position, rig.hedge.position) == (D("0.3"), D("-0.3"))
    assert "after the end of its order" in rig.question


def test_a_hedge_filled_beyond_its_size_is_brought_back_and_asked_about() -> None:
    rig = half_built()
    rig.hedge.overfills = D("0.1")
    rig.fill(rig.lead, rig.lead.live()[0], "0.1")
    rig.run(10)
    assert rig.delta == 0
    assert "sell 0.200 ETH_USDC_PERP@backpack beyond the size of its order, 0.100" in rig.question
    assert rig.told("pair_hedge_failed") == []


def test_a_fill_during_the_cancel_is_no_surprise() -> None:
    rig = half_built()
    rig.lead.latency_s = 0.3
    order = rig.lead.live()[0]
    rig.operate("pause")
    rig.fill(rig.lead, order, "0.3")  # the cancel is on its way
    rig.run(3)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))
    assert not rig.question
    assert not rig.told("pair_surprised")


@pytest.mark.parametrize("answer", ["continue", "stop"])
def test_a_question_outlives_a_restart(answer: str) -> None:
    rig = half_built()
    rig.fill_by_hand(rig.lead, Side.BUY, "1")
    rig.run(2)
    rig.restart().run(5)
    assert rig.question.startswith("Unexpected")
    assert not rig.lead.live()
    rig.on_step = Crowd(rig)
    rig.operate("answer", answer=answer)
    done(rig)
    assert rig.lead.position == (D("1.5") if answer == "continue" else D("1.2"))
    assert rig.delta == 0


def test_a_fill_while_the_engine_was_away_by_hand_is_asked_about() -> None:
    rig = half_built()
    rig.kill()
    rig.fill_by_hand(rig.hedge, Side.BUY, "0.5")
    rig.restart().run(3)
    assert rig.question


def test_clips_that_are_refused_again_and_again_are_asked_about_with_the_reason() -> None:
    rig = pair(mode="build_and_hold", size=D(100), clip=D(100), **QUICK)
    rig.until(lambda: bool(rig.question), 120)
    assert rig.question.startswith("3 clips in a row were refused: MAX_")
    assert rig.status()["waits_for"] == rig.question
    skipped = rig.told("pair_clip_skipped")
    assert len(skipped) == 3
    assert all(told["why"].startswith("MAX_") for told in skipped)
    rig.run(60)
    assert len(rig.told("pair_clip_skipped")) == 3
    assert rig.operate("answer", answer="stop").state == "done"
    done(rig)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)


def test_refused_clips_end_a_pair_that_was_told_to_stop_then() -> None:
    rig = pair(mode="build_and_hold", size=D(100), clip=D(100), on_unexpected="stop", **QUICK)
    done(rig)
    assert "3 clips in a row were refused: MAX_" in rig.told("pair_ended")[-1]["text"]
