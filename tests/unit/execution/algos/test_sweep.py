"""The sweep: caps, depth, one proven child at a time; every mistake of the original router by its name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.execution.algos.workbench import ASK, MS, S, Workbench

from perpmaker.execution.algos.moves import CancelChild, Child
from perpmaker.model.execution import Ending
from perpmaker.model.order import OrderState, Side, TimeInForce
from perpmaker.model.quote import Sweep, sweep

CAP = Decimal("2601.30")
"""5 bps above an arrival touch of 2600.00, on the tick."""


# --- the mistakes, by name


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_one_tick_worse_is_up_for_a_buy_and_down_for_a_sell(side: Side, sign: int) -> None:
    work = Workbench("0.02", side, sweep("iterative"))
    first = work.child()
    work.end("0", OrderState.CANCELED)
    work.later(200)
    second = work.child()
    covering = Decimal("2600.00") if side is Side.BUY else Decimal("2599.90")
    assert first.px == covering  # child 1: the depth covers everything without a haircut
    covering += sign * 4 * work.rules.tick  # with the haircut it takes a second level
    assert second.px == covering + sign * work.rules.tick


def test_offsets_are_ticks_of_the_instrument_and_not_units_of_price() -> None:
    plain, offset = Workbench("0.02"), Workbench("0.02", algorithm=Sweep(first_child_offset_ticks=3))
    assert offset.child().px - plain.child().px == Decimal("0.03")


def test_a_child_is_priced_by_depth_and_not_by_level_one_alone() -> None:
    work = Workbench("0.2")
    child = work.child()
    assert child.qty == Decimal("0.2")  # ten times what level one shows
    assert child.px == Decimal("2600.56")  # 15 levels of 0.02, 70 % believed, cover 0.2: the 15th is 14 * 4 ticks away


def test_an_exhausted_book_is_an_outcome_with_numbers_and_not_a_success() -> None:
    work = Workbench("1")
    work.show(levels=5)
    child = work.child()
    assert child.px == CAP
    work.end("0.10", px=Decimal("2600.08"))
    for _ in range(90):
        work.later(250, ask=ASK + 1_000)
        assert work.act() is None
        if work.parent.is_over:
            break
    report = work.report()
    assert report.ending is Ending.CAP
    assert (report.filled_qty, report.remaining_qty) == (Decimal("0.10"), Decimal("0.90"))
    assert report.vwap == Decimal("2600.08")
    assert report.children == 1


@pytest.mark.parametrize("side", list(Side))
def test_there_is_no_order_without_a_price_and_none_beyond_the_cap(side: Side) -> None:
    work = Workbench("1", side)
    cap = CAP if side is Side.BUY else Decimal("2598.61")
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            assert (work.placed[-1].px - cap) * side.sign <= 0
            assert work.placed[-1].tif is TimeInForce.IOC
            work.end("0")
        work.later(500)
    assert 5 <= len(work.placed) <= 20


def test_a_partial_fill_is_never_lost() -> None:
    work = Workbench("1")
    work.child()
    work.end("0.37")
    work.later(200)
    assert work.child().qty == Decimal("0.63")
    work.end("0.63", OrderState.FILLED)
    work.act()
    assert (work.report().ending, work.report().filled_qty) == (Ending.DONE, Decimal("1.00"))


def test_a_lost_answer_places_nothing_until_the_outcome_is_proven() -> None:
    work = Workbench("1")
    work.child()
    work.end("0", OrderState.UNKNOWN)
    for _ in range(30):
        work.later(1_000)
        assert not isinstance(work.act(), Child)
    work.end("1", OrderState.FILLED)  # the question found it: everything was executed
    work.act()
    assert (work.report().ending, work.report().filled_qty, len(work.placed)) == (Ending.DONE, 1, 1)


def test_executions_the_venue_stated_count_before_their_fills_are_booked() -> None:
    work = Workbench("1")
    work.child()
    work.end("0.4", booked=False)
    work.later(200)
    assert work.child().qty == Decimal("0.6")


def test_slippage_is_measured_against_arrival_and_not_against_the_last_book() -> None:
    work = Workbench("0.04")
    work.child()
    work.end("0.02", px=Decimal("2600.00"))
    work.later(200, ask=ASK + 100)
    work.child()
    work.end("0.02", px=Decimal("2601.00"))
    work.act()
    report = work.report()
    assert report.vwap == Decimal("2600.50")
    assert report.slippage_bps is not None
    assert report.half_spread_bps is not None
    assert report.mid_slippage_bps is not None
    assert round(report.slippage_bps, 4) == round(Decimal("0.50") / Decimal("2599.95") * 10_000, 4)
    assert round(report.half_spread_bps, 4) == round(Decimal("0.05") / Decimal("2599.95") * 10_000, 4)
    assert round(report.mid_slippage_bps, 4) == round(Decimal("0.55") / Decimal("2599.95") * 10_000, 4)


def test_a_better_price_than_arrival_is_a_negative_slippage() -> None:
    work = Workbench("0.02", Side.SELL)
    work.child()
    work.end("0.02", OrderState.FILLED, px=Decimal("2600.40"))
    work.act()
    slippage = work.report().slippage_bps
    assert slippage is not None
    assert slippage < 0


# --- sizes


@pytest.mark.parametrize("qty", ["0.01", "0.1", "0.2", "0.5", "1"])
@pytest.mark.parametrize("side", list(Side))
def test_every_size_is_done_on_a_book_that_fills(qty: str, side: Side) -> None:
    work = Workbench(qty, side)
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            child = work.placed[-1]
            work.end(min(child.qty, Decimal("0.3")))
        work.later(200)
    report = work.report()
    assert (report.ending, report.filled_qty, report.remaining_qty) == (Ending.DONE, Decimal(qty), 0)
    assert sum(view.cum_qty for view in work.views.values()) == Decimal(qty)


def test_what_is_larger_than_one_order_may_be_is_split_without_a_rest_too_small_to_trade() -> None:
    work = Workbench("1", largest="1000")
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            child = work.placed[-1]
            assert child.qty * child.px <= 1000
            work.end(child.qty, OrderState.FILLED)
        work.later(200)
    assert work.report().filled_qty == 1


def test_a_rest_below_the_venues_minimum_ends_it_with_that_rest() -> None:
    work = Workbench("0.02")
    work.rules = type(work.rules)(
        **{name: getattr(work.rules, name) for name in work.rules.__struct_fields__} | {"min_notional": Decimal(100)}
    )
    work.show()
    assert work.act() is None
    assert (work.report().ending, work.report().remaining_qty) == (Ending.BELOW_MINIMUM, Decimal("0.02"))


# --- rules


def test_the_cap_counts_from_the_arrival_mid_when_told_so() -> None:
    work = Workbench("1", algorithm=Sweep(cap_from="mid"))
    assert work.child().px == Decimal("2601.24")  # 5 bps above 2599.95 is 2601.249975


def test_arrival_is_fixed_at_the_start_however_far_the_market_goes() -> None:
    work = Workbench("1")
    work.child()
    work.end("0.1")
    work.later(200, ask=ASK - 50)
    assert work.child().px == CAP
    assert work.report().arrival is not None
    assert work.report().arrival.touch_px == Decimal("2600.00")  # type: ignore[union-attr]


def test_the_next_child_waits_for_a_book_newer_than_the_last_ones_end() -> None:
    work = Workbench("1")
    work.child()
    work.end("0.5")
    work.act()
    work.now_ns += 500 * MS
    assert work.act() is None
    assert "newer book" in work.parent.waits_for
    work.show()
    assert isinstance(work.act(), Child)


def test_a_child_that_does_not_end_is_cancelled_after_its_timeout_and_waited_for() -> None:
    work = Workbench("1")
    work.child()
    work.end("0", OrderState.OPEN)
    work.later(900)
    assert work.act() is None
    work.later(200)
    assert isinstance(work.act(), CancelChild)
    assert work.act() is None


def test_children_are_bounded() -> None:
    work = Workbench("1", algorithm=sweep("iterative"))
    for _ in range(10):
        if isinstance(work.act(), Child):
            work.end("0.1")
        work.later(1_500)
    assert (work.report().ending, work.report().children) == (Ending.MAX_CHILDREN, 3)


@pytest.mark.parametrize(("qty", "seconds"), [("0.01", 5), ("0.5", 5.8), ("1", 16.6), ("3", 20)])
def test_the_deadline_follows_the_quantity_against_the_visible_depth(qty: str, seconds: float) -> None:
    work = Workbench(qty)
    work.act()
    report = work.report()
    took_s = (report.deadline_ns - report.started_ns) / S
    assert 5 <= took_s <= 20
    assert abs(took_s - seconds) < 0.5


def test_the_deadline_ends_it_and_cancels_what_is_live() -> None:
    work = Workbench("1", algorithm=Sweep(deadline_ms=2_000))
    work.child()
    work.end("0.2", OrderState.OPEN)
    work.later(2_100)
    assert isinstance(work.act(), CancelChild)
    work.end("0.3", OrderState.CANCELED)
    work.act()
    assert (work.report().ending, work.report().filled_qty) == (Ending.DEADLINE, Decimal("0.3"))


def test_patience_ends_it_before_the_deadline() -> None:
    work = Workbench("1", algorithm=Sweep(patience_ms=0))
    work.child()
    work.end("0.5")
    work.later(200, ask=ASK + 1_000)
    work.act()
    assert work.report().ending is Ending.CAP


def test_a_cap_stops_short_of_our_own_order_on_the_other_side() -> None:
    work = Workbench("1")
    work.own_opposite_px = Decimal("2600.20")
    assert work.child().px == Decimal("2600.19")


def test_chunks_have_their_size_and_the_last_one_the_rest() -> None:
    work = Workbench("0.5", algorithm=sweep("chunked", chunk_qty=Decimal("0.2")))
    sizes = []
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            sizes.append(work.placed[-1].qty)
            work.end(sizes[-1], OrderState.FILLED)
        work.later(200)
    assert sizes == [Decimal("0.2"), Decimal("0.2"), Decimal("0.1")]


def test_what_is_left_rests_at_the_touch_when_told_so() -> None:
    work = Workbench("1", algorithm=Sweep(patience_ms=0, leftover="rest", rest_ms=30_000))
    work.child()
    work.end("0.5")
    work.later(200, ask=ASK + 1_000)
    work.act()
    assert work.report().state == "working"
    child = work.child()
    assert (child.post_only, child.tif, child.qty) == (True, TimeInForce.GTT, Decimal("0.5"))
    assert child.px == CAP  # the touch is beyond it
    work.end("0.2", OrderState.OPEN)
    work.later(31_000, ask=ASK + 1_000)
    assert isinstance(work.act(), CancelChild)
    work.end("0.2", OrderState.CANCELED)
    work.act()
    assert (work.report().ending, work.report().filled_qty) == (Ending.CAP, Decimal("0.7"))


# --- what can go wrong


def test_an_empty_book_stops_it_at_once() -> None:
    work = Workbench("1")
    work.book = None
    assert work.act() is None
    report = work.report()
    assert (report.ending, report.filled_qty, report.remaining_qty) == (Ending.STALE_BOOK, 0, 1)


def test_a_socket_lost_while_the_plan_is_made_sends_nothing_and_goes_on_when_it_is_back() -> None:
    work = Workbench("1")
    work.child()
    work.end("0", OrderState.NOT_SENT, reason="closed socket")
    work.act()
    work.hindrance = "the private stream is down"
    work.later(500)
    assert work.act() is None
    work.hindrance = ""
    work.later(500)
    assert work.child().qty == 1


def test_a_book_lost_between_children_stops_it_with_what_was_filled() -> None:
    work = Workbench("1")
    work.child()
    work.book = None
    assert work.act() is None  # the child is still waited for
    assert work.report().state == "working"
    work.end("0.4")
    work.act()
    assert (work.report().ending, work.report().filled_qty) == (Ending.STALE_BOOK, Decimal("0.4"))


def test_a_rapid_move_between_children_ends_at_the_cap_and_never_chases() -> None:
    work = Workbench("1")
    work.child()
    work.end("0.4")
    for _ in range(100):
        work.later(250, ask=ASK + 500)
        assert not isinstance(work.act(), Child)
    assert (work.report().ending, work.report().filled_qty) == (Ending.CAP, Decimal("0.4"))


def test_refusals_back_off_and_end_it_with_their_reason() -> None:
    work = Workbench("1")
    for _ in range(100):
        if isinstance(work.act(), Child):
            work.end("0", OrderState.DENIED, reason="MAX_POSITION: too much")
        work.later(100)
    assert (work.report().ending, work.report().text) == (Ending.REFUSED, "MAX_POSITION: too much")
    assert len(work.placed) == 5


def test_a_deadline_among_refusals_says_why_they_were() -> None:
    work = Workbench("1", algorithm=Sweep(deadline_ms=1_000))
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            work.end("0", OrderState.DENIED, reason="MAX_POSITION: too much")
        work.later(100)
    assert (work.report().ending, work.report().text) == (Ending.DEADLINE, "MAX_POSITION: too much")


def test_a_stop_cancels_the_child_and_gives_the_truth() -> None:
    work = Workbench("1")
    work.child()
    work.end("0.1", OrderState.OPEN)
    work.parent.stop()
    assert isinstance(work.act(), CancelChild)
    assert work.report().state == "stopping"
    work.end("0.3", OrderState.CANCELED)  # it filled on while it was being cancelled
    work.act()
    report = work.report()
    assert (report.state, report.ending) == ("ended", Ending.STOPPED)
    assert (report.filled_qty, report.remaining_qty) == (Decimal("0.3"), Decimal("0.7"))


def test_the_end_waits_for_fills_the_venue_has_stated() -> None:
    work = Workbench("1")
    work.child()
    work.end("1", OrderState.FILLED, booked=False)
    work.act()
    assert not work.parent.is_over
    work.fill(Decimal(1), Decimal("2600.10"))
    work.act()
    assert work.parent.is_over
    assert work.report().fees == Decimal("2600.10") * Decimal("0.00045")
    assert work.report().vwap == Decimal("2600.10")


def test_it_needs_no_more_than_a_few_children_on_a_book_that_refills() -> None:
    work = Workbench("1")
    visible = Decimal("0.5")
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            take = min(work.placed[-1].qty, visible)
            visible -= take
            work.end(take)
        visible = min(visible + Decimal("0.01"), Decimal("0.5"))  # 0.1 ETH a second come back
        lots = max(int(visible / Decimal("0.01")) // 2, 0)
        work.later(100, levels=max(lots, 1), lots=2 if lots else 1)
    assert work.report().ending is Ending.DONE
    assert len(work.placed) <= 20
