"""Killed in the middle of anything, a pair goes on from what the venues hold: hedges what is open, counts nothing twice."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from tests.unit.strategies.pair.sessions import assert_sums_are_the_venues, done, memo, pair
from tests.unit.strategies.pair.two_venues import Crowd, TwoVenues

from perpmaker.engine.records import Remembered

D = Decimal
QUICK = {"stability_s": 0}


def assert_gone_on(rig: TwoVenues, cycles: int = 2) -> None:
    done(rig)
    assert rig.status()["cycles"] == cycles
    assert rig.delta == 0
    assert not rig.question
    assert_sums_are_the_venues(rig)


def resting() -> TwoVenues:
    rig = pair(iterations=2, crowd=False, maker=QUICK)
    return rig.until(lambda: bool(rig.lead.live()))


def test_a_resting_order_is_withdrawn_and_stated_anew() -> None:
    rig = resting()
    before = rig.lead.live()[0]
    rig.restart()
    rig.on_step = Crowd(rig)
    assert before not in rig.lead.live()
    assert_gone_on(rig)


def test_what_filled_while_it_was_away_is_hedged_at_once() -> None:
    rig = resting()
    rig.kill()
    rig.fill(rig.lead, rig.lead.live()[0], "0.3")
    rig.run(20)
    assert rig.delta == D("0.3")
    rig.restart()
    assert (rig.lead.position, rig.hedge.position) == (D("0.3"), D("-0.3"))
    rig.on_step = Crowd(rig)
    assert_gone_on(rig)


def test_a_hedge_on_its_way_is_waited_for_and_not_sent_again() -> None:
    rig = resting()
    rig.hedge.latency_s = 1.0
    rig.fill(rig.lead, rig.lead.live()[0])
    assert not rig.hedge.orders
    rig.kill()
    rig.run(3)
    assert rig.hedge.position == D("-0.5")
    rig.hedge.latency_s = 0.0
    rig.restart()
    rig.on_step = Crowd(rig)
    assert_gone_on(rig)
    assert [fill.qty for fill in rig.hedge.fills] == [D("0.500")] * 2


def test_a_hedge_that_was_lost_with_the_process_is_made_up_for() -> None:
    rig = resting()
    rig.hedge.accepts = False
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.kill()
    rig.hedge.accepts = True
    rig.restart()
    rig.until(lambda: rig.delta == 0, 40)
    rig.on_step = Crowd(rig)
    assert_gone_on(rig)


def test_half_built_it_builds_the_rest() -> None:
    rig = pair(mode="build_and_hold", size="1", clip="0.2", maker=QUICK)
    rig.until(lambda: rig.lead.position == D("0.6"))
    rig.restart()
    assert_gone_on(rig, 1)
    assert rig.lead.position == 1


def test_while_holding_it_holds_to_the_time_that_was_set() -> None:
    rig = pair(mode="build_hold_close", hold_min=2, maker=QUICK)
    rig.until(lambda: rig.status().get("phase") == "hold")
    begun_ns = rig.now_ns
    rig.run(60)
    rig.restart()
    assert_gone_on(rig, 1)
    assert 119e9 <= rig.lead.fills[-1].ts_event_ns - begun_ns <= 123e9


def test_in_the_middle_of_undoing_it_ends_equal() -> None:
    rig = resting()
    rig.hedge.refuses = "no"
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.run(7)
    rig.lead.latency_s = 0.5
    rig.run(1.2)
    rig.restart()
    rig.run(30)
    assert rig.delta == 0
    assert rig.worst <= D("0.5")
    assert_sums_are_the_venues(rig)


def test_a_pair_that_is_through_stays_so() -> None:
    rig = done(pair(iterations=2, maker=QUICK))
    orders = len(rig.lead.orders)
    rig.restart().run(10)
    assert rig.status()["phase"] == "end"
    assert len(rig.lead.orders) == orders


def test_another_session_begins_anew_and_leaves_what_was_built() -> None:
    rig = done(pair(mode="build_and_hold", maker=QUICK))
    rig.table["session"] = "2"
    rig.base = {face.account: face.position for face in rig.faces.values()}
    rig.restart()
    done(rig)
    assert rig.told("pair_left_behind")[0]["held"] == "0.50 ETH_USDT_Perp, -0.500 ETH_USDC_PERP@backpack"
    assert (rig.lead.position, rig.hedge.position) == (1, -1)
    assert memo(rig).holdings.legs[rig.lead.instrument].volume == sum(
        (fill.qty * fill.px for fill in rig.lead.fills[1:]), D(0)
    )


def test_another_mode_of_the_same_session_takes_over_what_is_held() -> None:
    rig = done(pair(mode="build_and_hold", maker=QUICK))
    rig.table["mode"] = "close_existing"
    rig.restart()
    done(rig)
    assert rig.lead.position == rig.hedge.position == 0


def test_killed_again_and_again_nothing_is_lost() -> None:
    rig = pair(iterations=6, clip="0.25", piece="0.11", maker={"timeout_s": 2, **QUICK})
    rig.lead.latency_s, rig.hedge.latency_s = 0.05, 0.3
    for lived_s in (0.2, 0.7, 1.1, 0.4, 2.3, 0.9, 1.6, 0.3):
        rig.run(lived_s)
        rig.restart()
    assert_gone_on(rig, 6)
    assert rig.life == 9


def test_a_memory_that_cannot_be_read_ends_the_pair_instead_of_building_again() -> None:
    rig = pair(mode="build_and_hold", maker=QUICK)
    done(rig)
    held = (rig.lead.position, rig.hedge.position)
    assert held == (D("0.5"), D("-0.5"))
    rig.journal = [
        msgspec.structs.replace(record, memo="{") if isinstance(record, Remembered) else record
        for record in rig.journal
    ]
    rig.restart()
    rig.run(60)
    assert (rig.lead.position, rig.hedge.position) == held
    assert not rig.lead.live()
    assert rig.is_over
    assert "cannot be read" in rig.told("pair_ended")[-1]["text"]
