"""Reconciliation: readiness, passes, differences, freezes."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from tests.unit.execution.stage import (
    BTC_ID,
    BUY,
    ETH_ID,
    MAIN,
    MS,
    OTHER,
    D,
    S,
    fill,
    position_report,
    report,
    snapshot,
)
from tests.unit.execution.venue_loop import Loop

from perpmaker.execution.findings import FindingKind, FreezeCause
from perpmaker.execution.reconcile import Reconcilers
from perpmaker.model.commands import QueryOrders, RequestSnapshot
from perpmaker.model.events import (
    Channel,
    Connectivity,
    OrderRetired,
    PositionReport,
    SnapshotFailed,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import AccountId
from perpmaker.model.order import OrderState
from perpmaker.risk.gate import ReadyState


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_nothing_is_read_before_the_private_stream_is_up(loop: Loop) -> None:
    loop.take(loop.reconciler.start(loop.stage.now))
    loop.run(30)
    assert (loop.commands, loop.state()) == ([], ReadyState.PRIVATE_DOWN)


def test_ready_comes_with_the_second_equal_pass(loop: Loop) -> None:
    loop.take(loop.reconciler.start(loop.stage.now))
    loop.link(True)
    assert loop.state() is ReadyState.STARTING
    loop.run(0.49)
    assert loop.state() is ReadyState.STARTING
    loop.run(0.02)
    assert loop.state() is ReadyState.READY
    assert len(loop.found(FindingKind.READY)) == 1
    assert loop.at(RequestSnapshot) == [0, 500]


def test_the_first_pass_reads_fills_from_five_minutes_before_the_last_known_one(loop: Loop) -> None:
    begin = loop.stage.now
    loop.link(True)
    (_, command) = loop.commands[0]
    assert command == RequestSnapshot(MAIN, begin - 300 * S)


def test_a_fill_missed_while_away_is_booked_from_the_first_pass_and_then_equal(loop: Loop) -> None:
    loop.pass_fills = (fill(77, "0.02", at=loop.stage.now - 60 * S),)
    loop.positions = lambda: (position_report("0.02"),)
    loop.link(True)
    loop.run(1)
    assert loop.stage.account.position_qty(BTC_ID) == D("0.02")
    assert loop.state() is ReadyState.READY


def test_orders_in_flight_at_a_crash_are_unknown_and_asked_about_before_ready(loop: Loop) -> None:
    order = loop.stage.order()
    loop.stage.table.restore(order, loop.stage.now - 9 * S)
    loop.take(loop.reconciler.start(loop.stage.now))
    assert loop.stage.tracked(order.client_order_id).state is OrderState.UNKNOWN
    loop.run(30)
    assert loop.commands == []
    loop.link(True)
    assert loop.at(QueryOrders) == [30_000]
    assert [(ms, cancel.ttl_ms) for ms, cancel in loop.cancels()] == [(30_000, 5000)]
    loop.run(1.5)
    assert loop.state() is ReadyState.STARTING
    loop.event(report(order.client_order_id, VenueStatus.CANCELED, source=Source.QUERY, at=loop.stage.now))
    loop.run(1.5)
    assert loop.state() is ReadyState.READY


def test_an_order_that_a_crash_swallowed_is_retired_and_all_is_ready_within_seven_seconds(loop: Loop) -> None:
    order = loop.stage.order(expire_ns=loop.stage.now + 120 * S)
    loop.stage.table.restore(order, loop.stage.now - 2 * S)
    loop.take(loop.reconciler.start(loop.stage.now))
    loop.link(True)
    loop.not_found(order.client_order_id, 7, ttl_ends_s=5.05)
    assert loop.stage.tracked(order.client_order_id).state is OrderState.RETIRED
    assert loop.state() is ReadyState.READY


def test_once_a_waiting_cancel_ran_out_the_last_proofs_are_asked_for_every_half_second(loop: Loop) -> None:
    order = loop.stage.order(expire_ns=loop.stage.now + 120 * S)
    loop.stage.table.restore(order, loop.stage.now - 2 * S)
    loop.take(loop.reconciler.start(loop.stage.now))
    loop.link(True)
    loop.answered = len(loop.commands)  # the first query is lost, so five seconds of not-found end later
    loop.not_found(order.client_order_id, 6.2, ttl_ends_s=5.05)
    assert loop.stage.tracked(order.client_order_id).state is OrderState.RETIRED


def test_a_lost_link_takes_readiness_until_one_pass_asked_after_it_is_equal(loop: Loop) -> None:
    loop.ready()
    loop.link(False)
    assert loop.state() is ReadyState.PRIVATE_DOWN
    late = snapshot(asked=loop.stage.now - 1, at=loop.stage.now)
    loop.answer_passes = False
    loop.run(1)
    loop.link(True)
    loop.event(late)
    assert loop.state() is ReadyState.STARTING
    loop.event(loop.snapshot_for(RequestSnapshot(MAIN, 0)))
    assert loop.state() is ReadyState.READY
    assert len(loop.found(FindingKind.NOT_READY)) == 1


def test_a_late_answer_from_before_the_link_was_lost_is_not_the_answer(loop: Loop) -> None:
    loop.ready()
    late = snapshot(asked=loop.stage.now, at=loop.stage.now, positions=(position_report("9"),))
    loop.answer_passes = False
    loop.run(1)
    loop.link(False)
    loop.link(True)
    loop.event(late)
    loop.run(2)
    assert loop.at(RequestSnapshot) == [1000]
    assert loop.found(FindingKind.POSITION_DIFFERENCE) == []


def test_passes_while_a_link_is_down_do_not_count(loop: Loop) -> None:
    loop.ready()
    loop.link(False, Channel.ORDER_ENTRY)
    loop.run(6)
    loop.answer_passes = False
    loop.link(True, Channel.ORDER_ENTRY)
    assert loop.state() is ReadyState.STARTING


def test_order_entry_down_means_no_new_risk(loop: Loop) -> None:
    loop.ready()
    loop.link(False, Channel.ORDER_ENTRY)
    assert loop.state() is ReadyState.PRIVATE_DOWN
    loop.link(True, Channel.ORDER_ENTRY)
    assert loop.state() is ReadyState.READY


def test_links_of_others_do_not_matter(loop: Loop) -> None:
    loop.ready()
    loop.event(Connectivity(OTHER, Channel.PRIVATE, False, "reset", loop.stage.now))
    assert loop.state() is ReadyState.READY


def test_an_instrument_not_traded_here_is_never_ready(loop: Loop) -> None:
    loop.ready()
    assert loop.state(ETH_ID) is ReadyState.STARTING


def test_a_requested_pass_can_revoke_readiness(loop: Loop) -> None:
    loop.ready()
    loop.answer_passes = False
    loop.take(loop.reconciler.request_pass(loop.stage.now, "the machine slept"))
    assert loop.state() is ReadyState.STARTING
    assert loop.at(RequestSnapshot) == [0]


def test_passes_come_every_five_seconds_and_reach_far_back_every_five_minutes(loop: Loop) -> None:
    loop.ready()
    loop.run(320)
    reaches = [
        (ms, loop.start_ns + ms * MS - command.fills_since_ns)
        for ms, command in loop.commands
        if isinstance(command, RequestSnapshot)
    ]
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(reaches)]
    assert set(gaps) == {5000}
    assert [ms for ms, reach in reaches if reach > 299 * S] == [ms for ms, _ in reaches if 299_000 < ms < 305_000][:1]


def test_a_failed_read_says_nothing_and_is_tried_again_slower_each_time(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    loop.reads_fail = True
    loop.run(30)
    times = loop.at(RequestSnapshot)
    assert [b - a for a, b in itertools.pairwise(times)] == [1000, 2000, 4000, 8000, 8000]
    assert tracked.state is OrderState.OPEN
    assert loop.state() is ReadyState.READY
    assert {f.text for f in loop.found(FindingKind.READ_FAILED)} == {"502"}


def test_a_venue_that_fails_is_not_asked_faster_because_an_order_is_in_question(loop: Loop) -> None:
    loop.ready()
    loop.answer_passes = False
    coid, failed = loop.stage.sent(BUY, expire_ns=loop.stage.now + S).client_order_id, 0
    loop.event(SubmitUnknown(MAIN, coid, "timeout", loop.stage.now))
    for _ in range(400):
        loop.not_found(coid, 0.05)
        asked = len(loop.at(RequestSnapshot))
        if asked > failed:
            failed = asked
            loop.event(SnapshotFailed(MAIN, "502", loop.stage.now))
    times = loop.at(RequestSnapshot)
    assert len(times) >= 4
    for gap, (before, after) in zip((1000, 2000, 4000, 8000), itertools.pairwise(times), strict=False):
        assert gap <= after - before <= gap + 100


def test_a_pass_without_an_answer_is_given_up_after_ten_seconds(loop: Loop) -> None:
    loop.ready()
    loop.answer_passes = False
    loop.run(17)
    first, second = loop.at(RequestSnapshot)[:2]
    assert second - first == 11_000


def test_an_order_missing_from_a_pass_is_queried_not_forgotten(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    loop.open_orders = tuple
    loop.run(12)
    assert tracked.state is OrderState.OPEN
    assert loop.found(FindingKind.MISSING_ORDER)[0].client_order_id == tracked.client_order_id
    assert loop.at(QueryOrders)
    loop.event(report(tracked.client_order_id, VenueStatus.CANCELED, source=Source.QUERY, at=loop.stage.now))
    loop.run(6)
    assert tracked.state is OrderState.CANCELED
    assert loop.state() is ReadyState.READY


def test_an_order_active_within_five_seconds_is_not_missed(loop: Loop) -> None:
    loop.ready()
    loop.run(3)
    loop.stage.refresh()
    loop.stage.resting(BUY)
    loop.open_orders = tuple
    loop.run(3)
    assert loop.at(RequestSnapshot)
    assert loop.found(FindingKind.MISSING_ORDER) == []


def test_orders_that_do_not_converge_in_three_passes_freeze_until_they_do(loop: Loop) -> None:
    loop.ready()
    loop.stage.resting(BUY)
    loop.open_orders = tuple
    loop.run(13)
    assert loop.state() is ReadyState.FROZEN
    assert FreezeCause.ORDERS in loop.reconciler.freezes()[BTC_ID]
    loop.open_orders = loop.resting_here
    loop.run(2)
    assert loop.state() is ReadyState.READY


def test_an_ended_order_that_the_venue_shows_open_is_cancelled(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    coid = tracked.client_order_id
    loop.event(report(coid, VenueStatus.CANCELED, at=loop.stage.now))
    loop.open_orders = lambda: (report(coid, source=Source.SNAPSHOT, at=loop.stage.now),)
    loop.run(11)
    assert [c.client_order_id for _, c in loop.cancels()][:1] == [coid]
    assert loop.found(FindingKind.ZOMBIE_ORDER)
    assert tracked.state is OrderState.CANCELED


def test_an_order_that_just_ended_may_still_show_in_a_read(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    coid = tracked.client_order_id
    loop.run(4.4)
    loop.event(report(coid, VenueStatus.CANCELED, at=loop.stage.now))
    loop.open_orders = lambda: (report(coid, source=Source.SNAPSHOT, at=loop.stage.now),)
    loop.run(1)
    assert loop.at(RequestSnapshot)
    assert (loop.cancels(), loop.found(FindingKind.ZOMBIE_ORDER)) == ([], [])


def test_a_foreign_order_is_told_and_never_cancelled(loop: Loop) -> None:
    loop.ready()
    by_hand = report(77, side=BUY, px=D(50000), qty=D(1), source=Source.SNAPSHOT, at=loop.stage.now)
    loop.open_orders = lambda: (by_hand,)
    loop.run(30)
    loop.event(report(77, VenueStatus.CANCELED, at=loop.stage.now))
    loop.run(30)
    assert loop.cancels() == []
    assert loop.found(FindingKind.ORDER_INCIDENT)[0].text.startswith("foreign")
    assert loop.state() is ReadyState.READY


def test_a_foreign_order_without_client_id_ends_when_it_is_no_longer_open(loop: Loop) -> None:
    loop.ready()
    by_hand = report(0, venue_id="hand", side=BUY, px=D(50000), qty=D(1), source=Source.SNAPSHOT, at=loop.stage.now)
    loop.event(by_hand)
    loop.open_orders = tuple
    loop.run(12)
    assert loop.stage.table.open_count(MAIN) == 0


def test_a_position_difference_is_searched_then_adjusted_once_and_frozen_for_a_person(loop: Loop) -> None:
    loop.ready()
    loop.positions = lambda: (position_report("0.3"),)
    loop.run(20)
    assert loop.stage.account.position_qty(BTC_ID) == D("0.3")
    assert [f.text[-6:] for f in loop.found(FindingKind.POSITION_DIFFERENCE)] == ["pass 1", "pass 2", "pass 3"]
    assert loop.state() is ReadyState.FROZEN
    searched = [c for _, c in loop.commands if isinstance(c, RequestSnapshot)][1]
    assert searched.fills_since_ns < loop.start_ns - 3000 * S
    loop.take(loop.reconciler.unfreeze(BTC_ID, actor="ann", now_ns=loop.stage.now))
    assert loop.state() is ReadyState.READY
    with pytest.raises(ValueError, match="who"):
        loop.reconciler.unfreeze(BTC_ID, actor=" ", now_ns=loop.stage.now)


def test_each_difference_gets_three_passes_before_it_is_adjusted(loop: Loop) -> None:
    loop.ready()
    loop.positions = lambda: (position_report(str(loop.stage.account.position_qty(BTC_ID) + D("0.1"))),)
    loop.run(7.1)
    passes = [f.text[-1] for f in loop.found(FindingKind.POSITION_DIFFERENCE)]
    assert passes == ["1", "2", "3", "1", "2", "3"]
    assert loop.stage.account.position_qty(BTC_ID) == D("0.2")


def test_a_difference_that_late_fills_explain_ends_by_itself(loop: Loop) -> None:
    loop.ready()
    loop.positions = lambda: (position_report("0.3"),)
    loop.run(4.7)
    assert len(loop.found(FindingKind.POSITION_DIFFERENCE)) == 1
    loop.event(fill(77, "0.3", at=loop.stage.now))
    loop.run(20)
    assert len(loop.found(FindingKind.POSITION_DIFFERENCE)) == 1
    assert loop.state() is ReadyState.READY
    assert loop.stage.account.position_qty(BTC_ID) == D("0.3")


def test_positions_with_fills_within_five_seconds_are_not_compared(loop: Loop) -> None:
    loop.ready()
    loop.positions = tuple
    for number in range(8):
        loop.event(fill(77, "0.01", trade=f"t{number}", at=loop.stage.now))
        loop.run(2)
    assert loop.found(FindingKind.POSITION_DIFFERENCE) == []


def test_a_difference_without_any_price_freezes_and_is_not_booked(loop: Loop) -> None:
    loop.ready()
    loop.stage.account._marks.clear()
    loop.positions = lambda: (PositionReport(MAIN, BTC_ID, D(1), None, None, D(0), 0, 0),)
    loop.run(20)
    assert loop.stage.account.position_qty(BTC_ID) == 0
    assert list(loop.reconciler.freezes()[BTC_ID]) == [FreezeCause.POSITION]
    loop.positions = tuple
    loop.run(10)
    assert loop.state() is ReadyState.READY


def test_a_position_in_an_instrument_not_traded_here_is_taken_over(loop: Loop) -> None:
    loop.ready()
    loop.positions = lambda: (position_report("4", instrument=ETH_ID),)
    loop.run(20)
    assert loop.stage.account.position_qty(ETH_ID) == D(4)
    assert loop.state() is ReadyState.READY


def test_an_overfill_freezes_until_a_person_lifts_it(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    loop.event(fill(tracked.client_order_id, "0.02", at=loop.stage.now))
    assert loop.state() is ReadyState.FROZEN
    loop.run(30)
    assert loop.state() is ReadyState.FROZEN
    loop.take(loop.reconciler.unfreeze(BTC_ID, actor="ann", now_ns=loop.stage.now))
    assert loop.state() is ReadyState.READY


def test_a_contradiction_is_queried(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    loop.event(SubmitRejected(MAIN, tracked.client_order_id, 2012, "overlaps", loop.stage.now))
    assert [c.client_order_ids for _, c in loop.commands if isinstance(c, QueryOrders)] == [(tracked.client_order_id,)]


def test_a_freeze_found_elsewhere_is_told_once(loop: Loop) -> None:
    loop.ready()
    for _ in range(2):
        loop.take(loop.reconciler.freeze(BTC_ID, FreezeCause.ADJUSTED, "from the journal", loop.stage.now))
    assert len(loop.found(FindingKind.FROZEN)) == 1
    assert loop.state() is ReadyState.FROZEN


def test_the_gate_asks_all_accounts_through_one_object(loop: Loop) -> None:
    loop.ready()
    all_of_them = Reconcilers()
    all_of_them.add(MAIN, loop.reconciler)
    assert all_of_them.ready_state(MAIN, BTC_ID) is ReadyState.READY
    assert all_of_them.ready_state(AccountId("nobody"), BTC_ID) is ReadyState.STARTING
    assert all_of_them.get(MAIN) is loop.reconciler


def test_every_retirement_is_evidence_that_the_table_applied(loop: Loop) -> None:
    tracked = loop.stage.sent(BUY)
    assert loop.stage.table.apply(OrderRetired(MAIN, tracked.client_order_id, "proof", loop.stage.now))
    assert isinstance(tracked.cum_qty, Decimal)
    assert tracked.state is OrderState.RETIRED
