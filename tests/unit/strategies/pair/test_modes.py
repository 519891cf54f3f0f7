"""Each mode and rule in virtual time, through the engine: what is asked is done, both legs agree, sums are exact."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from tests.unit.strategies.pair.sessions import assert_sums_are_the_venues, cash, done, pair
from tests.unit.strategies.pair.two_venues import Crowd, TwoVenues

from perpmaker.model.events import InstrumentListed
from perpmaker.model.order import Side

D = Decimal


def test_alternating_cycles_run_as_often_as_asked_and_end_flat() -> None:
    rig = done(pair(iterations=10))
    assert rig.status()["cycles"] == 10
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert [fill.side for fill in rig.lead.fills] == [Side.BUY, Side.SELL] * 5
    assert rig.worst == D("0.5")
    assert_sums_are_the_venues(rig)


def test_partial_fills_are_hedged_at_once_and_leave_nothing() -> None:
    rig = done(pair(piece="0.07", iterations=4, clip="0.25", maker={"timeout_s": 5}))
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert len(rig.lead.fills) > 20
    assert rig.worst < D("0.2")
    assert_sums_are_the_venues(rig)


def test_a_remainder_below_the_other_venues_minimum_is_hedged_with_what_comes_next() -> None:
    rig = pair(piece="0.49", iterations=2)
    done(rig)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert min(fill.qty for fill in rig.hedge.fills) >= D("0.02")


def test_open_and_close_at_once_waits_its_delay() -> None:
    rig = pair(mode="open_and_close", delay_s=5, iterations=2, pause_s=3)
    rig.until(lambda: rig.status().get("phase") == "hold")
    opened_ns = rig.now_ns
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))
    rig.until(lambda: rig.status().get("phase") == "close")
    assert 4.9e9 <= rig.now_ns - opened_ns <= 5.4e9
    done(rig)
    assert [fill.side for fill in rig.lead.fills] == [Side.BUY, Side.SELL] * 2
    assert rig.lead.position == rig.hedge.position == 0


def test_build_hold_close_holds_for_minutes() -> None:
    rig = pair(mode="build_hold_close", hold_min=1, size="1.5", clip="0.5", rule={"direction": "sell"})
    rig.until(lambda: rig.status().get("phase") == "hold")
    assert (rig.lead.position, rig.hedge.position) == (D("-1.5"), D("1.5"))
    rig.run(55)
    assert rig.status()["phase"] == "hold"
    done(rig)
    assert rig.lead.position == rig.hedge.position == 0
    assert rig.worst == D("0.5")


def test_build_and_hold_ends_with_the_position() -> None:
    rig = done(pair(mode="build_and_hold", size="1", clip="0.3"))
    assert (rig.lead.position, rig.hedge.position) == (1, -1)
    assert rig.status()["pair"] == "Hedged"
    rig.run(30)
    assert rig.lead.position == 1


def test_close_existing_closes_the_hedged_part_and_leaves_the_rest() -> None:
    rig = TwoVenues({"mode": "close_existing", "size": "0.4"}, clip="0.5")
    rig.lead.position, rig.hedge.position = D("1.0"), D("-0.93")
    rig.base = {rig.lead.account: D("0.07"), rig.hedge.account: D(0)}
    rig.bound = D("0.47")
    rig.on_step = Crowd(rig)
    done(rig.start())
    assert (rig.lead.position, rig.hedge.position) == (D("0.07"), 0)
    assert max(fill.qty for fill in rig.lead.fills) <= D("0.4")


def test_close_existing_refuses_legs_of_one_side() -> None:
    rig = TwoVenues({"mode": "close_existing", "size": "0.5"})
    rig.lead.position, rig.hedge.position = D(1), D(1)
    rig.base = {rig.lead.account: D(1), rig.hedge.account: D(1)}
    done(rig.start())
    assert "do not hedge each other" in rig.told("pair_ended")[0]["text"]
    assert rig.status()["pair"] == "Flat"  # none of it is the pair's
    assert not rig.lead.orders


def test_what_was_held_before_is_not_touched() -> None:
    rig = TwoVenues({"mode": "alternate", "size": "0.5", "iterations": 2})
    rig.lead.position, rig.hedge.position = D("2"), D("0.3")
    rig.base = {rig.lead.account: D("2"), rig.hedge.account: D("0.3")}
    rig.on_step = Crowd(rig)
    done(rig.start())
    assert (rig.lead.position, rig.hedge.position) == (2, D("0.3"))


def test_notional_is_rounded_down_to_what_both_venues_take() -> None:
    rig = done(pair(mode="build_and_hold", size="1000", size_in="notional"))
    assert rig.lead.position == D("0.38")  # 1000 / 2600 = 0.3846
    assert rig.hedge.position == D("-0.38")


def test_a_size_that_rounds_to_nothing_trades_nothing() -> None:
    rig = pair(mode="build_and_hold", size="0.019").run(20)
    assert not rig.lead.orders
    assert "rounds to nothing" in rig.status()["waits_for"]


def test_directions_alternate() -> None:
    rig = done(pair(mode="open_and_close", iterations=3, rule={"direction": "alternating", "first_side": "sell"}))
    assert [fill.side for fill in rig.lead.fills] == [Side.SELL, Side.BUY, Side.BUY, Side.SELL, Side.SELL, Side.BUY]


def test_funding_decides_the_side_and_ends_the_hold() -> None:
    rig = pair(mode="build_hold_close", hold_min=600, rule={"direction": "funding"}, start=False)
    rig.lead.rate, rig.hedge.rate = D("0.0008"), D("0.00001")  # 24 and 2.4 bps a day
    rig.start()
    rig.until(lambda: rig.status().get("phase") == "hold")
    assert rig.lead.position == D("-0.5")  # short where longs pay
    rig.run(20)
    assert rig.status()["phase"] == "hold"
    rig.lead.rate = D("0.00001")
    done(rig)
    assert rig.lead.position == rig.hedge.position == 0


def test_without_a_funding_difference_nothing_is_built() -> None:
    rig = pair(mode="build_hold_close", rule={"direction": "funding"}, start=False)
    rig.lead.rate, rig.hedge.rate = D("0.00008"), D("0.00001")
    rig.start().run(20)
    assert not rig.lead.orders
    assert "bps a day" in rig.status()["waits_for"]


def test_a_wide_basis_builds_and_its_return_closes() -> None:
    rig = pair(
        mode="build_hold_close",
        hold_min=600,
        rule={"direction": "basis", "basis_window_s": 60},
        maker={"stability_s": 0},
    )
    wobble, crowd = 0, Crowd(rig)

    def step() -> None:
        nonlocal wobble
        wobble += 1
        rig.hedge.mid = D(2600) + D("0.5") * (1 if wobble % 20 < 10 else -1) + shift
        crowd()

    shift = D(0)
    rig.on_step = step
    rig.run(80)
    assert not rig.lead.fills
    shift = D(4)
    rig.until(lambda: rig.status().get("phase") == "hold", 60)
    assert rig.lead.position == D("0.5")  # the hedge is dear: it is sold, the lead is bought
    shift = D(0)
    done(rig)
    assert rig.lead.position == rig.hedge.position == 0


def test_a_clip_waits_for_its_edge_after_both_fees() -> None:
    rig = pair(mode="build_and_hold", rule={"entry_edge_bps": 1.0})
    rig.run(20)
    assert not rig.lead.orders
    assert rig.status()["waits_for"].startswith("edge -")
    rig.hedge.mid = D("2603")  # 11 bps dearer; fees are 4.9 bps, half-spread 1
    done(rig)
    assert rig.lead.position == D("0.5")


def test_an_unstable_price_is_waited_for_counted_and_shown() -> None:
    rig = pair(mode="build_and_hold", start=False)
    crowd = Crowd(rig)

    def jump() -> None:
        rig.lead.mid += D(5) if rig.now_ns // 500_000_000 % 2 else D(-5)
        crowd()

    rig.on_step = jump
    rig.start().run(10)
    assert not rig.lead.orders
    assert rig.status()["unstable"] > 2
    assert rig.status()["waits_for"] == "the price is not stable"
    rig.on_step = crowd
    done(rig)


def test_an_order_is_priced_anew_then_the_clip_is_skipped_and_tried_again() -> None:
    rig = pair(mode="build_and_hold", maker={"timeout_s": 2, "reprices": 3, "stability_s": 0}, crowd=False)
    rig.until(lambda: rig.status().get("skipped") == 1, 60)
    assert len(rig.lead.orders) == 4
    assert rig.told("pair_clip_skipped")[0]["filled"] == "0"
    rig.on_step = Crowd(rig)
    done(rig)


def test_by_option_the_rest_is_taken_on_both_venues() -> None:
    rig = pair(
        mode="build_and_hold",
        crowd=False,
        maker={"timeout_s": 2, "reprices": 0, "on_timeout": "take", "stability_s": 0},
    )
    rig.until(lambda: bool(rig.lead.live()))
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    done(rig)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))
    assert [fill.is_taker for fill in rig.lead.fills] == [False, True]


def test_closing_goes_on_though_a_clip_less_what_is_open_is_below_the_smallest_order() -> None:
    """0.01 sold, of which the hedge venue takes no order: of the 0.19 left of a clip the lead takes none, so it is 0.2."""
    rig = done(pair(mode="build_and_hold", size="0.4", clip="0.2"))
    rig.bound = D("0.21")
    rig.on_step = lambda: None
    rig.operate("pair_close")
    rig.until(lambda: bool(rig.lead.live()))
    rig.fill(rig.lead, rig.lead.live()[0], "0.01")
    rig.lead.rules = msgspec.structs.replace(rig.lead.rules, min_qty=D("0.2"))
    rig.feed(InstrumentListed(rig.lead.rules, rig.now_ns))
    assert (rig.lead.position, rig.delta) == (D("0.39"), D("-0.01"))
    first = rig.lead.live()[0]
    rig.until(lambda: first not in rig.lead.live(), 20)
    rig.on_step = Crowd(rig)
    done(rig, 60)
    assert (rig.lead.position, rig.hedge.position) == (D("0.19"), D("-0.19"))
    assert rig.worst == D("0.21")


def test_opening_goes_on_though_a_clip_less_what_is_open_is_below_the_smallest_order() -> None:
    """0.01 bought, which the hedge venue does not take: of the 0.01 left of a clip the lead takes none, so it is 0.02."""
    rig = pair(mode="build_and_hold", size="0.2", clip="0.02", start=False, crowd=False, maker={"timeout_s": 2})
    rig.lead.rules = msgspec.structs.replace(rig.lead.rules, min_qty=D("0.02"))
    rig.bound = D("0.03")
    rig.start().until(lambda: bool(rig.lead.live()))
    first = rig.lead.live()[0]
    rig.fill(rig.lead, first, "0.01")
    rig.until(lambda: first not in rig.lead.live(), 20)
    rig.on_step = Crowd(rig)
    done(rig, 120)
    assert D("0.18") < rig.lead.position <= D("0.2")
    assert rig.delta == 0
    assert rig.worst == D("0.03")
    assert {there.order.qty for there in rig.lead.orders.values()} == {D("0.02")}


def test_a_last_clip_that_could_not_be_hedged_by_itself_is_opened_besides_the_one_before() -> None:
    """Of 0.03 in clips of 0.02 the last 0.01 is less than the hedge venue takes: it waits for it and hedges all of it."""
    rig = pair(mode="build_and_hold", size="0.03", clip="0.02", start=False)
    rig.bound = D("0.03")
    done(rig.start(), 60)
    assert (rig.lead.position, rig.hedge.position) == (D("0.03"), D("-0.03"))
    assert [fill.qty for fill in rig.lead.fills] == [D("0.02"), D("0.01")]


def test_a_price_inside_the_touch_never_takes() -> None:
    rig = pair(mode="build_and_hold", maker={"inside_ticks": 3, "stability_s": 0})
    order = next(iter(rig.lead.orders.values())).order
    assert order.px == D("2599.98")
    assert order.post_only
    narrow = pair(mode="build_and_hold", maker={"inside_ticks": 50, "stability_s": 0})
    assert next(iter(narrow.lead.orders.values())).order.px == D("2600.04")


def test_orders_that_never_stand_end_the_clip_after_five() -> None:
    rig = pair(mode="build_and_hold", maker={"stability_s": 0}, start=False)
    rig.lead.refuses = "post-only would take"
    rig.start().until(lambda: rig.status().get("skipped") == 1, 20)
    assert rig.told("pair_clip_skipped")[0]["why"]
    rig.lead.refuses = ""
    done(rig)


def test_paused_by_a_person_the_order_goes_and_comes_back() -> None:
    rig = pair(mode="build_and_hold", maker={"stability_s": 0}, crowd=False)
    rig.until(lambda: bool(rig.lead.live()))
    rig.operate("pause")
    rig.run(10)
    assert not rig.lead.live()
    rig.operate("resume")
    rig.run(10)
    assert len(rig.lead.live()) == 1


def test_a_paused_pair_still_hedges_what_was_filled() -> None:
    rig = pair(mode="build_and_hold", maker={"stability_s": 0}, crowd=False)
    rig.until(lambda: bool(rig.lead.live()))
    rig.hedge.latency_s = 1.0
    rig.fill(rig.lead, rig.lead.live()[0], "0.3")
    rig.operate("pause")
    rig.run(10)
    assert (rig.lead.position, rig.hedge.position) == (D("0.3"), D("-0.3"))


def test_closing_by_command_flattens_both_legs() -> None:
    rig = done(pair(mode="build_and_hold"))
    rig.on_step = lambda: None
    assert rig.operate("close").state in ("accepted", "done")
    rig.watching = False
    rig.run(10)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert rig.status()["pair"] == "Flat"
    assert not rig.question


def test_a_close_waits_for_its_edge_after_both_fees() -> None:
    rig = pair(mode="open_and_close", rule={"exit_edge_bps": 1.0})
    rig.until(lambda: rig.status().get("phase") == "close")
    rig.run(20)
    assert rig.lead.position == D("0.5")
    assert rig.status()["waits_for"].startswith("edge -")
    rig.hedge.mid = D("2597")  # what is bought back there is 11 bps cheaper
    done(rig)
    assert rig.lead.position == rig.hedge.position == 0


def test_an_edge_is_what_is_left_after_both_fees() -> None:
    """The lead's bid less a rebate of 0.1 bps, the hedge's bid less 5 bps: what a clip earned is what it was said to."""
    rig = pair(mode="build_and_hold", rule={"entry_edge_bps": 2.0})
    rig.hedge.mid = D("2602.10")
    done(rig)
    bought, sold = rig.lead.fills[0], rig.hedge.fills[0]
    earned = (sold.px - bought.px) * bought.qty - bought.fee - sold.fee
    assert D(2) < earned / (bought.px * bought.qty) * 10_000 < D("2.5")


def test_it_pauses_between_cycles_and_between_clips() -> None:
    rig = done(pair(iterations=2, pause_s=10, clip="0.25", clip_pause_s=2, maker={"stability_s": 0}))
    times = [fill.ts_event_ns / 1e9 for fill in rig.lead.fills]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 3
    assert 2 <= gaps[0] < 4
    assert 10 <= gaps[1] < 12
    assert 2 <= gaps[2] < 4


def test_clips_are_in_the_sizes_currency_too() -> None:
    rig = done(pair(mode="build_and_hold", size="1000", clip="400", size_in="notional", maker={"stability_s": 0}))
    assert [fill.qty for fill in rig.lead.fills] == [D("0.15"), D("0.15"), D("0.08")]


def test_many_cycles_hold_no_more_than_a_clip_unhedged_and_end_flat() -> None:
    rig = done(pair(mode="open_and_close", iterations=30, clip="0.1", piece="0.03", maker={"stability_s": 0}), 900)
    assert rig.status()["cycles"] == 30
    assert rig.worst <= D("0.1")
    assert rig.lead.position == rig.hedge.position == 0
    assert_sums_are_the_venues(rig)


def test_a_difference_that_is_not_borne_is_told_once() -> None:
    rig = pair(mode="build_and_hold", crowd=False, maker={"timeout_s": 1, "reprices": 0, "stability_s": 0},
               imbalance_tol="0.005")  # fmt: skip
    rig.until(lambda: bool(rig.lead.live()))
    rig.fill(rig.lead, rig.lead.live()[0], "0.01")
    rig.run(20)
    assert [row["net_delta"] for row in rig.told("pair_imbalanced")] == ["0.01"]
    assert rig.status()["pair"] == "Unbalanced"


def test_the_summary_adds_up_in_the_leads_currency() -> None:
    rig = pair(iterations=4)
    rig.feed_rate("USDC", "USDT", "0.999")
    done(rig)
    told = rig.told("pair_ended")[-1]
    of_face = {
        face: (
            cash(face) * rate,
            sum((fill.fee for fill in face.fills), D(0)) * rate,
            sum((fill.qty * fill.px for fill in face.fills), D(0)) * rate,
        )
        for face, rate in ((rig.lead, D(1)), (rig.hedge, D("0.999")))
    }
    gross, fees, volume = (sum((row[n] for row in of_face.values()), D(0)) for n in range(3))
    assert told["cycles"] == "4/4"
    assert D(told["gross"]) == round(gross, 4)
    assert D(told["fees"]) == round(fees, 4)
    assert D(told["volume"]) == round(volume, 2)
    assert D(told["net"]) == round(gross - fees, 4)
    assert D(told["edge_bps"]) == round(gross / of_face[rig.lead][2] * 10_000, 2)
    assert D(told["cost_per_million"]) == round((fees - gross) / volume * 1_000_000, 2)


@pytest.mark.parametrize("kind", ["pair", "cross_maker"])
def test_legs_of_two_underlyings_are_never_traded(kind: str) -> None:
    sizes = {"mode": "build_and_hold", "size": "0.5"} if kind == "pair" else {"qty": "0.5", "max_qty": "1"}
    rig = TwoVenues(sizes, kind=kind)
    rig.hedge.rules = msgspec.structs.replace(rig.hedge.rules, base="BTC")
    rig.start().run(10)
    assert not rig.lead.orders
    assert rig.status()["waits_for"] == (
        "the legs are not of one underlying: ETH (ETH_USDT_Perp), BTC (ETH_USDC_PERP@backpack)"
    )


def test_without_a_price_a_clip_has_no_size_and_nothing_is_placed() -> None:
    rig = TwoVenues({"mode": "close_existing", "size": "0.1"}, clip="0.1")
    rig.lead.position, rig.hedge.position = D("1.0"), D("-1.0")
    rig.hedge.marks = False
    rig.start().run(5)
    assert not rig.lead.orders
    assert rig.status()["waits_for"] == "the clip rounds to nothing, or a price is missing"
    rig.hedge.marks = True
    rig.until(lambda: bool(rig.lead.live()))
    assert rig.lead.live()[0].qty == D("0.1")


def test_stopped_with_something_open_it_leaves_a_warning_with_the_figures() -> None:
    rig = pair(mode="build_and_hold", crowd=False, maker={"stability_s": 0})
    rig.until(lambda: bool(rig.lead.live()))
    rig.hedge.refuses = "no"
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    rig.operate("stop")
    left = [notice for notice in rig.notices if notice.name == "pair_left"]
    assert [(notice.level, notice.fields["net_delta"]) for notice in left] == [("warning", "0.2")]


def test_a_pair_that_is_through_and_flat_says_no_more() -> None:
    rig = done(pair(iterations=2, maker={"stability_s": 0}))
    before = len(rig.told("pair_progressed"))
    rig.run(130)
    assert len(rig.told("pair_progressed")) == before


def outgrown(rig: TwoVenues) -> TwoVenues:
    """From now on the lead takes nothing smaller than 0.25: more than a clip of 0.2."""
    rig.bound = D("0.25")
    rig.lead.rules = msgspec.structs.replace(rig.lead.rules, min_qty=D("0.25"))
    rig.feed(InstrumentListed(rig.lead.rules, rig.now_ns))
    return rig.run(1)


def test_a_position_is_closed_though_the_smallest_order_has_outgrown_its_clips() -> None:
    rig = pair(mode="open_and_close", delay_s=5, iterations=1, size="0.6", clip="0.2")
    rig.until(lambda: rig.status().get("phase") == "hold")
    done(outgrown(rig))
    assert rig.status()["cycles"] == 1
    assert 0 <= rig.lead.position < D("0.25")
    assert rig.delta == 0


def test_nothing_opens_once_the_smallest_order_has_outgrown_a_clip_and_it_says_so() -> None:
    rig = pair(mode="build_and_hold", size="2", clip="0.2")
    rig.until(lambda: rig.lead.position > 0)
    outgrown(rig).run(5)
    assert rig.status()["waits_for"] == "a clip of 0.2 is less than the smallest order by now"
    held = rig.lead.position
    assert rig.run(10).lead.position == held < 1
