"""Single orders: unknown outcomes, proofs, stubborn cancels."""

from __future__ import annotations

import pytest
from tests.unit.execution.stage import (
    BUY,
    MAIN,
    D,
    S,
    fill,
    report,
)
from tests.unit.execution.venue_loop import Loop

from perpmaker.execution.findings import FindingKind
from perpmaker.execution.tracked import TrackedOrder
from perpmaker.model.commands import CancelAll, QueryOrders, RequestSnapshot
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    OrderNotFound,
    Source,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import OrderState, TimeInForce, Trigger, TriggerBy, TriggerKind
from perpmaker.risk.gate import ReadyState


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_an_unknown_order_is_queried_at_a_quarter_half_one_two_and_four_seconds(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.run(8.5)
    assert loop.at(QueryOrders) == [250, 500, 1000, 2000, 4000, 6000, 8000]
    assert [(ms, c.client_order_id, c.ttl_ms) for ms, c in loop.cancels()] == [(4000, coid, 5000)]


def test_an_unknown_order_that_is_found_is_asked_about_no_more(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.run(0.3)
    loop.event(report(coid, source=Source.QUERY, at=loop.stage.now))
    loop.run(4.2)
    assert loop.at(QueryOrders) == [250]
    assert loop.cancels() == []


def test_an_order_that_never_arrived_is_retired_with_proof_within_fifteen_seconds(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.not_found(coid, 15, ttl_ends_s=9.05)
    tracked = loop.stage.tracked(coid)  # type: ignore[arg-type]
    assert tracked.state is OrderState.RETIRED
    assert tracked.reason.startswith("a cancel waited for it in vain; not found")
    (retired,) = loop.found(FindingKind.RETIRED)
    assert retired.ts_ns - loop.start_ns <= 12 * S
    assert loop.state() is ReadyState.READY


def test_not_found_alone_is_no_proof_and_freezes_after_a_minute(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.not_found(coid, 59)
    assert loop.stage.tracked(coid).state is OrderState.UNKNOWN  # type: ignore[arg-type]
    assert loop.state() is ReadyState.READY
    loop.not_found(coid, 2)
    assert loop.state() is ReadyState.FROZEN
    loop.event(report(coid, VenueStatus.REJECTED, source=Source.QUERY, at=loop.stage.now))
    assert loop.state() is ReadyState.READY
    assert loop.found(FindingKind.RETIRED) == []


def test_a_cancel_that_says_not_found_at_once_is_no_proof(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.not_found(coid, 14, ttl_ends_s=4.2)
    assert loop.stage.tracked(coid).state is OrderState.UNKNOWN  # type: ignore[arg-type]


def test_a_waiting_cancel_that_could_not_be_sent_is_tried_again_in_a_second(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.run(4)
    loop.event(CancelFailed(MAIN, coid, False, "socket closed", loop.stage.now))  # type: ignore[arg-type]
    loop.run(0.9)
    assert [ms for ms, _ in loop.cancels()] == [4000]
    loop.run(0.2)
    assert [ms for ms, _ in loop.cancels()] == [4000, 5000]


def test_a_waiting_cancel_that_met_one_of_a_life_before_is_sent_again_once_that_ran_out(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.not_found(coid, 4.1)
    loop.event(CancelReceived(MAIN, coid, loop.stage.now))  # type: ignore[arg-type]
    loop.not_found(coid, 2)
    loop.event(CancelFailed(MAIN, coid, True, "EXPIRED", loop.stage.now))  # type: ignore[arg-type]
    loop.not_found(coid, 4.9)
    assert [ms for ms, _ in loop.cancels()] == [4000, 6050]
    loop.event(CancelFailed(MAIN, coid, True, "EXPIRED", loop.stage.now))  # type: ignore[arg-type]
    loop.not_found(coid, 1)
    assert loop.stage.tracked(coid).state is OrderState.RETIRED  # type: ignore[arg-type]


def test_a_waiting_cancel_of_somebody_else_counts_and_is_not_doubled(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.not_found(coid, 1)
    for _ in range(3):  # a stop and a kill cancel as well, and more than once
        loop.event(CancelSent(MAIN, coid, loop.stage.now))  # type: ignore[arg-type]
        loop.event(CancelReceived(MAIN, coid, loop.stage.now))  # type: ignore[arg-type]
        loop.not_found(coid, 1)
    loop.not_found(coid, 2)
    loop.event(CancelFailed(MAIN, coid, True, "EXPIRED", loop.stage.now))  # type: ignore[arg-type]
    loop.not_found(coid, 1)
    assert loop.cancels() == []
    assert loop.stage.tracked(coid).state is OrderState.RETIRED  # type: ignore[arg-type]


def test_a_cancel_sent_before_its_order_came_into_question_counts_as_well(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.sent(BUY)
    coid = tracked.client_order_id
    loop.event(CancelSent(MAIN, coid, loop.stage.now))
    loop.run(1)
    loop.event(SubmitUnknown(MAIN, coid, "timeout", loop.stage.now))
    loop.not_found(coid, 4)
    loop.event(CancelFailed(MAIN, coid, True, "EXPIRED", loop.stage.now))
    loop.not_found(coid, 2)
    assert tracked.state is OrderState.RETIRED


def expired_order(loop: Loop) -> TrackedOrder:
    """An order of unknown outcome whose signature expired long ago: only the searches are missing."""
    tracked = loop.stage.sent(BUY, expire_ns=loop.stage.now - 60 * S)
    loop.event(SubmitUnknown(MAIN, tracked.client_order_id, "timeout", loop.stage.now))
    loop.start_ns = loop.stage.now
    return tracked


def test_not_found_has_to_last_five_seconds(loop: Loop) -> None:
    loop.ready()
    tracked = expired_order(loop)
    loop.not_found(tracked.client_order_id, 5.2)
    assert tracked.state is OrderState.UNKNOWN
    loop.not_found(tracked.client_order_id, 1.5)
    assert tracked.state is OrderState.RETIRED


def test_reads_that_may_not_show_it_are_no_answers_about_one_that_waits_for_a_price(loop: Loop) -> None:
    loop.ready()
    trigger = Trigger(TriggerKind.STOP_LOSS, TriggerBy.MARK, D(59_000))
    order = loop.stage.order(expire_ns=loop.stage.now - 60 * S, reduce_only=True, tif=TimeInForce.IOC, trigger=trigger)
    tracked = loop.stage.table.restore(order, loop.stage.now)
    loop.event(SubmitUnknown(MAIN, order.client_order_id, "timeout", loop.stage.now))
    loop.not_found(order.client_order_id, 0.3)
    loop.run(20)
    assert len(loop.at(RequestSnapshot)) > 3
    assert tracked.state is OrderState.UNKNOWN
    loop.not_found(order.client_order_id, 8)
    assert tracked.state is OrderState.RETIRED


def test_two_answers_that_found_nothing_are_too_few(loop: Loop) -> None:
    loop.ready()
    tracked = expired_order(loop)
    loop.answer_passes = False
    loop.not_found(tracked.client_order_id, 0.3)
    loop.run(5.5)
    loop.event(loop.snapshot_for(RequestSnapshot(MAIN, tracked.created_ns)))
    assert tracked.state is OrderState.UNKNOWN
    loop.event(loop.snapshot_for(RequestSnapshot(MAIN, tracked.created_ns)))
    assert tracked.state is OrderState.RETIRED


def test_passes_without_any_query_are_no_proof(loop: Loop) -> None:
    loop.ready()
    tracked = expired_order(loop)
    loop.run(20)
    assert tracked.state is OrderState.UNKNOWN


def test_many_orders_of_a_life_before_are_proven_by_passes_with_few_queries(loop: Loop) -> None:
    lost = [loop.stage.sent(BUY, qty="0.002").client_order_id for _ in range(20)]
    loop.take(loop.reconciler.start(loop.stage.now))
    loop.link(True)
    loop.start_ns = loop.stage.now
    for step in range(160):
        if step == 101:
            for coid in lost:
                loop.event(CancelFailed(MAIN, coid, True, "time-to-live ran out", loop.stage.now))
        loop.run(0.05)
        unanswered, loop.answered = loop.commands[loop.answered :], len(loop.commands)
        for coid in (c for _, q in unanswered if isinstance(q, QueryOrders) for c in q.client_order_ids):
            loop.event(OrderNotFound(MAIN, coid, loop.stage.now))
    retired = loop.found(FindingKind.RETIRED)
    assert {finding.client_order_id for finding in retired} == set(lost)
    assert retired[-1].ts_ns - loop.start_ns <= 7 * S
    assert loop.state() is ReadyState.READY
    assert sum(len(q.client_order_ids) for _, q in loop.commands if isinstance(q, QueryOrders)) <= 1.5 * len(lost)


def test_a_position_that_may_differ_is_no_proof(loop: Loop) -> None:
    loop.ready()
    tracked = expired_order(loop)
    loop.positions = tuple
    for number in range(6):
        loop.event(fill(77, "0.01", trade=f"t{number}", at=loop.stage.now))
        loop.not_found(tracked.client_order_id, 2)
    assert tracked.state is OrderState.UNKNOWN
    loop.positions = loop.positions_here
    loop.not_found(tracked.client_order_id, 6)
    assert tracked.state is OrderState.RETIRED


def test_a_pass_that_does_not_reach_back_to_the_order_is_no_proof(loop: Loop) -> None:
    loop.ready()
    tracked = expired_order(loop)
    loop.answer_passes = False
    loop.not_found(tracked.client_order_id, 8)
    loop.event(loop.snapshot_for(RequestSnapshot(MAIN, tracked.created_ns + 1)))
    assert tracked.state is OrderState.UNKNOWN
    loop.event(loop.snapshot_for(RequestSnapshot(MAIN, tracked.created_ns)))
    assert tracked.state is OrderState.RETIRED


def test_without_a_pass_there_is_no_proof(loop: Loop) -> None:
    loop.ready()
    coid = loop.lost_order()
    loop.answer_passes = False
    loop.not_found(coid, 20, ttl_ends_s=9.05)
    assert loop.stage.tracked(coid).state is OrderState.UNKNOWN  # type: ignore[arg-type]


def test_an_expired_signature_is_proof_as_good_as_a_waiting_cancel(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.sent(BUY, expire_ns=loop.stage.now + 6 * S)
    coid = tracked.client_order_id
    loop.event(SubmitUnknown(MAIN, coid, "timeout", loop.stage.now))
    loop.start_ns = loop.stage.now
    loop.not_found(coid, 10.9)
    assert tracked.state is OrderState.UNKNOWN
    loop.not_found(coid, 3)
    assert (tracked.state, tracked.reason[:21]) == (OrderState.RETIRED, "its signature expired")


def test_a_creation_without_any_answer_becomes_unknown_after_three_seconds(loop: Loop) -> None:
    loop.ready()
    tracked = loop.stage.sent(BUY)
    loop.event(CancelReceived(MAIN, tracked.client_order_id, loop.stage.now))  # any event of the account will do
    loop.run(2.9)
    assert tracked.state is OrderState.SENT
    loop.run(0.2)
    assert tracked.state is OrderState.UNKNOWN


def test_queries_are_bundled_and_paced(loop: Loop) -> None:
    loop.ready()
    flying = [loop.stage.sent(BUY, qty="0.002") for _ in range(14)]
    for tracked in flying:
        loop.event(SubmitUnknown(MAIN, tracked.client_order_id, "timeout", loop.stage.now))
    loop.run(0.26)
    assert [len(command.client_order_ids) for _, command in loop.commands if isinstance(command, QueryOrders)] == [6]
    loop.run(2.8)
    asked = [
        coid for _, command in loop.commands if isinstance(command, QueryOrders) for coid in command.client_order_ids
    ]
    assert sorted(asked[:14]) == [tracked.client_order_id for tracked in flying]
    assert len(asked) == 14


def canceling(loop: Loop) -> int:
    loop.ready()
    tracked = loop.stage.resting(BUY)
    loop.event(CancelSent(MAIN, tracked.client_order_id, loop.stage.now))
    return tracked.client_order_id


def test_a_cancel_without_receipt_is_queried_then_repeated_by_the_other_id_then_for_all(loop: Loop) -> None:
    canceling(loop)
    loop.run(15)
    assert loop.at(QueryOrders)[:4] == [1000, 3000, 9000, 14000]
    assert [(ms, c.by_venue_id) for ms, c in loop.cancels()] == [(3000, True), (14_000, True)]
    assert loop.at(CancelAll) == [9000]


def test_a_received_cancel_is_given_three_seconds(loop: Loop) -> None:
    coid = canceling(loop)
    loop.event(CancelReceived(MAIN, coid, loop.stage.now))  # type: ignore[arg-type]
    loop.run(2.9)
    assert loop.at(QueryOrders) == []
    loop.run(0.2)
    assert loop.at(QueryOrders) == [3000]


def test_a_confirmed_cancel_ends_the_watch(loop: Loop) -> None:
    coid = canceling(loop)
    loop.run(0.5)
    loop.event(report(coid, VenueStatus.CANCELED, at=loop.stage.now))
    loop.run(4)
    assert (loop.at(QueryOrders), loop.cancels()) == ([], [])


def test_a_failed_cancel_is_followed_up(loop: Loop) -> None:
    coid = canceling(loop)
    loop.event(CancelFailed(MAIN, coid, False, "timeout", loop.stage.now))  # type: ignore[arg-type]
    loop.run(3.1)
    assert [ms for ms, _ in loop.cancels()] == [3000]


def test_not_found_on_a_cancel_asks_at_once_what_became_of_the_order(loop: Loop) -> None:
    coid = canceling(loop)
    loop.event(CancelFailed(MAIN, coid, True, "not found", loop.stage.now))  # type: ignore[arg-type]
    assert loop.at(QueryOrders) == [0]
    loop.event(report(coid, VenueStatus.FILLED, "0.01", source=Source.QUERY, at=loop.stage.now))
    loop.run(3)
    assert loop.at(QueryOrders) == [0]
    assert loop.cancels() == []


def test_an_order_in_question_is_cancelled_by_its_inquiry_alone(loop: Loop) -> None:
    coid = canceling(loop)
    loop.open_orders = tuple
    loop.event(CancelFailed(MAIN, coid, True, "not found", loop.stage.now))  # type: ignore[arg-type]
    loop.run(16)
    assert [(ms, c.ttl_ms) for ms, c in loop.cancels()] == [(4000, 5000), (14_000, 5000)]
    assert loop.at(CancelAll) == []


def test_a_cancel_of_an_earlier_life_is_followed_up_from_now_on(loop: Loop) -> None:
    tracked = loop.stage.resting(BUY)
    loop.stage.apply(CancelSent(MAIN, tracked.client_order_id, loop.stage.now))
    loop.stage.now += 3600 * S
    loop.take(loop.reconciler.start(loop.stage.now))
    loop.link(True)
    loop.start_ns = loop.stage.now
    loop.run(8)
    assert loop.at(QueryOrders) == [1000, 3000]
    assert [ms for ms, _ in loop.cancels()] == [3000]
    assert loop.at(CancelAll) == []


def test_after_a_pause_of_the_machine_a_cancel_takes_one_step_at_a_time(loop: Loop) -> None:
    coid = canceling(loop)
    loop.stage.now += 3600 * S
    for _ in range(5):
        loop.event(CancelReceived(MAIN, coid, loop.stage.now))  # type: ignore[arg-type]
    assert len(loop.commands) <= 2
