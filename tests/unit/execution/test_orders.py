"""The order table: evidence in, changes out, exposure counted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.execution.stage import (
    BTC_ID,
    BUY,
    EPOCH,
    INSTANCE,
    MAIN,
    MAKER,
    OTHER,
    SELL,
    T0,
    D,
    S,
    Stage,
    fill,
    report,
    snapshot,
)

from perpmaker.execution.tracked import Incident
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    OrderNotFound,
    OrderNotSent,
    OrderPrepared,
    OrderRetired,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderIds
from perpmaker.model.order import CancelOrder, OrderState, TimeInForce, Trigger, TriggerBy, TriggerKind
from perpmaker.risk.gate import Exposure
from perpmaker.risk.limits import Limits


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_admitted_order_counts_before_a_byte_leaves(stage: Stage) -> None:
    tracked = stage.admit(BUY, qty="0.01")
    assert tracked.state is OrderState.PREPARED
    assert stage.table.exposure(MAIN, BTC_ID) == Exposure(D("0.01"), D(0), 0)
    assert (stage.table.open_count(MAIN), stage.table.best_own_px(BTC_ID, BUY)) == (1, D(59990))


def test_orders_of_one_batch_count_against_each_other(stage: Stage) -> None:
    stage.limits[MAIN] = Limits(max_open_orders=2, orders_per_s=D(100))
    orders = [stage.order() for _ in range(4)]
    approved, refused = stage.table.admit(stage.gate, orders, stage.now)
    assert [a.order for a in approved] == orders[:2]
    assert [r.code for r in refused] == ["MAX_OPEN_ORDERS"] * 2


def test_a_refused_order_is_kept_as_denied_with_its_reason(stage: Stage) -> None:
    order = stage.order(px="90000")
    stage.table.admit(stage.gate, [order], stage.now)
    view = stage.tracked(order.client_order_id).view()
    assert view.state is OrderState.DENIED
    assert view.reason.startswith("PRICE_COLLAR")
    assert stage.table.open_count(MAIN) == 0


def test_the_life_of_a_filled_order(stage: Stage) -> None:
    tracked = stage.admit()
    coid = tracked.client_order_id
    seen = []
    for event in (
        OrderPrepared(MAIN, coid, T0),
        report(coid),
        fill(coid, "0.004", "59990", trade="a"),
        report(coid, cum="0.004", avg_px=D(59990)),
        fill(coid, "0.006", "59980", trade="b"),
        report(coid, VenueStatus.FILLED, "0.01", avg_px=D(59984)),
    ):
        change = stage.apply(event)
        seen.append((tracked.state, str(tracked.cum_qty), change is not None))
    assert seen == [
        (OrderState.SENT, "0", True),
        (OrderState.OPEN, "0", True),
        (OrderState.OPEN, "0.004", True),
        (OrderState.OPEN, "0.004", False),
        (OrderState.FILLED, "0.010", True),
        (OrderState.FILLED, "0.010", False),
    ]
    assert tracked.view().avg_px == D(59984)
    assert stage.table.exposure(MAIN, BTC_ID) == Exposure(D(0), D(0), 0)


def test_repeated_evidence_changes_nothing(stage: Stage) -> None:
    tracked = stage.resting()
    coid = tracked.client_order_id
    assert stage.apply(fill(coid, "0.002")) is not None
    for event in (fill(coid, "0.002"), report(coid), report(coid, cum="0.002"), OrderPrepared(MAIN, coid, T0)):
        assert stage.apply(event) is None
    assert tracked.filled_qty == D("0.002")


def test_a_fill_before_the_create_answer_is_known_by_the_prepared_id(stage: Stage) -> None:
    tracked = stage.sent()
    change = stage.apply(fill(tracked.client_order_id, "0.004"))
    assert change is not None
    assert (change.order, change.after, change.incident) == (tracked, OrderState.OPEN, None)
    assert stage.apply(SubmitUnknown(MAIN, tracked.client_order_id, "timeout", T0)) is None


def test_a_cancel_receipt_is_not_a_cancel(stage: Stage) -> None:
    tracked = stage.resting()
    coid = tracked.client_order_id
    stage.apply(CancelSent(MAIN, coid, T0))
    stage.apply(CancelReceived(MAIN, coid, T0))
    assert (tracked.state, tracked.cancel_received) == (OrderState.CANCEL_SENT, True)
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == D("0.01")
    stage.apply(fill(coid, "0.004"))
    assert (tracked.state, tracked.leaves_qty) == (OrderState.CANCEL_SENT, D("0.006"))
    stage.apply(report(coid, VenueStatus.CANCELED, "0.004", reason="CLIENT_CANCEL"))
    assert (tracked.state, tracked.reason) == (OrderState.CANCELED, "CLIENT_CANCEL")
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == 0


def test_not_found_on_a_cancel_leaves_the_order_live(stage: Stage) -> None:
    tracked = stage.resting()
    coid = tracked.client_order_id
    stage.apply(CancelSent(MAIN, coid, T0))
    stage.apply(CancelFailed(MAIN, coid, True, "not found", T0))
    assert (tracked.state, tracked.cancel_pending) == (OrderState.OPEN, False)
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == D("0.01")


@pytest.mark.parametrize("shown_by", [report, fill])
def test_a_cancel_of_an_order_in_flight_shows_once_the_venue_has_it(stage: Stage, shown_by: Any) -> None:
    tracked = stage.sent()
    stage.apply(CancelSent(MAIN, tracked.client_order_id, T0))
    assert (tracked.state, tracked.cancel_pending) == (OrderState.SENT, True)
    stage.apply(shown_by(tracked.client_order_id, qty="0.001" if shown_by is fill else None))
    assert tracked.state is OrderState.CANCEL_SENT


def test_a_cancel_is_noted_as_it_leaves_the_engine(stage: Stage) -> None:
    tracked = stage.resting()
    cancel = CancelOrder(MAIN, BTC_ID, tracked.client_order_id)
    stage.table.note_cancels([cancel], T0 + 5)
    stage.table.note_cancels([cancel], T0 + 9)
    assert (tracked.state, tracked.cancel_sent_ns) == (OrderState.OPEN, T0 + 5)


def test_an_unknown_order_counts_in_full_until_it_is_known(stage: Stage) -> None:
    tracked = stage.sent()
    coid = tracked.client_order_id
    stage.apply(SubmitUnknown(MAIN, coid, "timeout", T0))
    assert stage.table.exposure(MAIN, BTC_ID) == Exposure(D("0.01"), D(0), 1)
    assert stage.apply(OrderNotFound(MAIN, coid, T0)) is None
    assert stage.table.exposure(MAIN, BTC_ID).unknown == 1
    stage.apply(report(coid, source=Source.QUERY))
    assert (tracked.state, stage.table.exposure(MAIN, BTC_ID).unknown) == (OrderState.OPEN, 0)


@pytest.mark.parametrize(
    ("make", "state", "reason"),
    [
        (lambda coid: OrderNotSent(MAIN, coid, "socket closed", T0), OrderState.NOT_SENT, "socket closed"),
        (lambda coid: SubmitRejected(MAIN, coid, 2066, "below minimum", T0), OrderState.REJECTED, "2066 below minimum"),
        (lambda coid: OrderRetired(MAIN, coid, "proof", T0), OrderState.RETIRED, "proof"),
        (lambda coid: report(coid, VenueStatus.EXPIRED, reason="EXPIRED"), OrderState.EXPIRED, "EXPIRED"),
    ],
)
def test_ends_give_their_reason_and_free_their_exposure(stage: Stage, make, state, reason) -> None:  # type: ignore[no-untyped-def]
    tracked = stage.sent()
    stage.apply(make(tracked.client_order_id))
    assert (tracked.state, tracked.reason) == (state, reason)
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == 0
    assert (stage.table.best_own_px(BTC_ID, BUY), stage.table.live()) == (None, [])


def test_fill_after_cancel_is_booked_once_and_flagged(stage: Stage) -> None:
    tracked = stage.resting()
    coid = tracked.client_order_id
    stage.apply(report(coid, VenueStatus.CANCELED))
    change = stage.apply(fill(coid, "0.004"))
    assert change is not None
    assert (change.fill, change.incident) == (fill(coid, "0.004"), Incident.LATE_FILL)
    assert tracked.state is OrderState.CANCELED
    assert stage.apply(fill(coid, "0.004")) is None


def test_a_fill_that_the_end_announced_is_not_late(stage: Stage) -> None:
    tracked = stage.resting()
    coid = tracked.client_order_id
    stage.apply(report(coid, VenueStatus.CANCELED, "0.004"))
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == D("0.004")
    assert stage.table.unsettled(MAIN) == [tracked]
    change = stage.apply(fill(coid, "0.004"))
    assert change is not None
    assert change.incident is None
    assert (stage.table.exposure(MAIN, BTC_ID).buy_qty, stage.table.unsettled(MAIN)) == (D(0), [])


def test_a_report_counts_executions_until_their_fills_are_booked(stage: Stage) -> None:
    tracked = stage.resting()
    stage.apply(report(tracked.client_order_id, VenueStatus.FILLED, "0.01"))
    assert (tracked.state, tracked.unbooked_qty) == (OrderState.FILLED, D("0.01"))
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == D("0.01")
    stage.apply(fill(tracked.client_order_id, "0.01"))
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == 0


def test_an_overfill_is_booked_as_the_venue_says_and_flagged_once(stage: Stage) -> None:
    tracked = stage.resting()
    coid = tracked.client_order_id
    incidents = [
        change.incident if (change := stage.apply(event)) else None
        for event in (
            fill(coid, "0.01", trade="a"),
            fill(coid, "0.002", trade="b"),
            fill(coid, "0.002", trade="c"),
        )
    ]
    assert incidents == [None, Incident.OVERFILL, Incident.LATE_FILL]
    assert (tracked.state, tracked.cum_qty, tracked.overfilled) == (OrderState.FILLED, D("0.014"), True)


def test_an_overfill_by_report_is_flagged(stage: Stage) -> None:
    tracked = stage.resting()
    change = stage.apply(report(tracked.client_order_id, cum="0.02"))
    assert change is not None
    assert change.incident is Incident.OVERFILL
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == D("0.02")


def test_a_fill_with_known_id_and_other_figures_is_not_booked(stage: Stage) -> None:
    tracked = stage.resting()
    stage.apply(fill(tracked.client_order_id, "0.002"))
    change = stage.apply(fill(tracked.client_order_id, "0.003"))
    assert change is not None
    assert (change.fill, change.incident) == (None, Incident.FILL_CONFLICT)
    assert tracked.filled_qty == D("0.002")


def test_a_fill_on_the_other_side_than_ordered_is_booked_and_contradicts(stage: Stage) -> None:
    tracked = stage.resting()
    change = stage.apply(fill(tracked.client_order_id, "0.002", side=SELL))
    assert change is not None
    assert (change.incident, change.fill is not None) == (Incident.CONTRADICTION, True)


def test_a_refusal_of_an_order_the_venue_shows_open_contradicts_and_ends_nothing(stage: Stage) -> None:
    tracked = stage.resting()
    change = stage.apply(SubmitRejected(MAIN, tracked.client_order_id, 2012, "overlaps", T0))
    assert change is not None
    assert (change.incident, tracked.state) == (Incident.CONTRADICTION, OrderState.OPEN)


def test_an_open_report_after_the_end_is_stale_and_changes_nothing(stage: Stage) -> None:
    tracked = stage.resting()
    stage.apply(report(tracked.client_order_id, VenueStatus.CANCELED))
    assert stage.apply(report(tracked.client_order_id, source=Source.SNAPSHOT)) is None
    assert tracked.state is OrderState.CANCELED


def test_a_retired_order_that_turns_up_contradicts(stage: Stage) -> None:
    tracked = stage.sent()
    stage.apply(OrderRetired(MAIN, tracked.client_order_id, "proof", T0))
    change = stage.apply(report(tracked.client_order_id))
    assert change is not None
    assert (change.incident, tracked.state) == (Incident.CONTRADICTION, OrderState.RETIRED)


def foreign(coid: int, **more: object):  # type: ignore[no-untyped-def]
    return report(coid, side=BUY, px=D(59000), qty=D("0.5"), **more)  # type: ignore[arg-type]


def test_a_foreign_order_is_adopted_and_counted(stage: Stage) -> None:
    change = stage.apply(foreign(77, cum="0.1"))
    assert change is not None
    assert change.order is not None
    assert (change.incident, change.before, change.order.own) == (Incident.FOREIGN, None, False)
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == D("0.4")
    assert stage.table.best_own_px(BTC_ID, BUY) == D(59000)
    assert stage.table.live(MAIN, BTC_ID, MAKER) == []
    stage.apply(report(77, VenueStatus.CANCELED))
    assert stage.table.exposure(MAIN, BTC_ID).buy_qty == 0


def test_a_foreign_stop_stands_in_no_book_until_it_executes(stage: Stage) -> None:
    trigger = Trigger(TriggerKind.STOP_LOSS, TriggerBy.MARK, D(61000))
    stage.apply(foreign(77, trigger=trigger))
    assert stage.table.best_own_px(BTC_ID, BUY) is None
    stage.apply(foreign(77, trigger=trigger, cum="0.1"))
    assert stage.table.best_own_px(BTC_ID, BUY) == D(59000)
    assert stage.table.own_levels(BTC_ID).bids == {590_000: 400}
    stage.apply(report(77, VenueStatus.CANCELED))
    assert stage.table.best_own_px(BTC_ID, BUY) is None


def test_a_stop_of_our_own_stands_in_no_book_even_while_it_executes(stage: Stage) -> None:
    trigger = Trigger(TriggerKind.STOP_LOSS, TriggerBy.MARK, D(61000))
    order = msgspec.structs.replace(stage.order(), tif=TimeInForce.IOC, reduce_only=True, trigger=trigger)
    stage.table.restore(order, T0)
    stage.apply(report(order.client_order_id, cum="0.001"))
    assert stage.table.best_own_px(BTC_ID, order.side) is None


def test_a_foreign_writer_may_use_an_id_again(stage: Stage) -> None:
    stage.apply(foreign(77, venue_id="a"))
    stage.apply(foreign(77, venue_id="a", status=VenueStatus.CANCELED))
    change = stage.apply(foreign(77, venue_id="b"))
    assert change is not None
    assert change.after is OrderState.OPEN


def test_orders_without_a_client_id_are_told_apart_by_the_venues(stage: Stage) -> None:
    stage.apply(foreign(0, venue_id="a"))
    stage.apply(foreign(0, venue_id="b"))
    assert stage.table.open_count(MAIN) == 2
    stage.apply(report(0, VenueStatus.CANCELED, venue_id="a"))
    assert [t.venue_order_id for t in stage.table.live(MAIN)] == ["b"]


@pytest.mark.parametrize(
    ("instance", "epoch", "incident", "own"),
    [
        (INSTANCE, EPOCH, Incident.FORGOTTEN, True),
        (INSTANCE, EPOCH + 1, Incident.HIGHER_EPOCH, True),
        (INSTANCE + 1, EPOCH, Incident.OTHER_INSTANCE, False),
    ],
)
def test_ids_say_whose_an_order_is(stage: Stage, instance: int, epoch: int, incident: Incident, own: bool) -> None:
    coid = ClientOrderIds(instance=instance, strategy=3, epoch=epoch).next()
    change = stage.apply(foreign(coid))
    assert change is not None
    assert change.order is not None
    assert (change.incident, change.order.own) == (incident, own)


def test_an_ended_order_of_a_higher_epoch_is_flagged_though_nothing_is_left_of_it(stage: Stage) -> None:
    coid = ClientOrderIds(instance=INSTANCE, strategy=3, epoch=EPOCH + 1).next()
    change = stage.apply(foreign(coid, status=VenueStatus.CANCELED))
    assert change is not None
    assert (change.order, change.incident) == (None, Incident.HIGHER_EPOCH)
    assert stage.apply(foreign(78, status=VenueStatus.CANCELED)) is None


def test_an_open_order_without_figures_cannot_be_tracked_and_is_told(stage: Stage) -> None:
    change = stage.apply(report(77))
    assert change is not None
    assert (change.order, change.incident) == (None, Incident.UNTRACKED)


def test_a_fill_of_an_order_nobody_tracks_is_booked_once(stage: Stage) -> None:
    change = stage.apply(fill(77))
    assert change is not None
    assert (change.order, change.fill, change.incident) == (None, fill(77), Incident.FOREIGN)
    assert stage.apply(fill(77)) is None


def test_a_snapshot_applies_fills_and_orders(stage: Stage) -> None:
    tracked = stage.sent()
    coid = tracked.client_order_id
    changes = stage.table.apply_snapshot(
        snapshot(orders=(report(coid, cum="0.002", source=Source.SNAPSHOT),), fills=(fill(coid, "0.002"),))
    )
    assert [change.fill is not None for change in changes] == [True, False]
    assert (tracked.state, tracked.filled_qty) == (OrderState.OPEN, D("0.002"))


def test_the_opening_snapshot_remembers_its_fills_and_books_none(stage: Stage) -> None:
    assert not stage.table.apply_snapshot(snapshot(fills=(fill(77),)), opening=True)
    assert stage.apply(fill(77)) is None


def test_accounts_do_not_share_orders_but_own_prices_span_them(stage: Stage) -> None:
    stage.resting(BUY, px="59990")
    stage.resting(BUY, px="59995", account=OTHER)
    stage.resting(SELL, px="60020", account=OTHER)
    assert stage.table.exposure(MAIN, BTC_ID) == Exposure(D("0.01"), D(0), 0)
    assert stage.table.best_own_px(BTC_ID, BUY) == D(59995)
    assert stage.table.best_own_px(BTC_ID, SELL) == D(60020)
    assert (stage.table.open_count(MAIN), stage.table.open_count(OTHER), len(stage.table.live())) == (1, 2, 3)


def test_the_best_own_price_falls_back_when_the_best_order_ends(stage: Stage) -> None:
    best, _ = stage.resting(BUY, px="59995"), stage.resting(BUY, px="59990")
    stage.apply(report(best.client_order_id, VenueStatus.CANCELED))
    assert stage.table.best_own_px(BTC_ID, BUY) == D(59990)


def test_own_levels_are_what_rests_over_all_accounts(stage: Stage) -> None:
    partly = stage.resting(BUY, px="59990", qty="0.01")
    stage.resting(BUY, px="59990", qty="0.005", account=OTHER)
    stage.sent(BUY, px="59980")
    canceling = stage.resting(SELL, px="60020")
    stage.apply(CancelSent(MAIN, canceling.client_order_id, T0))
    stage.apply(fill(partly.client_order_id, "0.004"))
    own = stage.table.own_levels(BTC_ID)
    assert (dict(own.bids), dict(own.asks)) == ({599_900: 11}, {600_200: 10})
    assert stage.table.own_levels(BTC_ID) is own


def test_terminal_orders_are_kept_up_to_a_bound() -> None:
    stage = Stage()
    stage.table._kept_terminal = 3
    ids = []
    for _ in range(5):
        tracked = stage.resting()
        ids.append(tracked.client_order_id)
        stage.apply(report(tracked.client_order_id, VenueStatus.CANCELED))
    assert [stage.table.get(MAIN, coid) is not None for coid in ids] == [False, False, True, True, True]
    assert [t.client_order_id for t in stage.table.recent(MAIN, 2)] == [ids[4], ids[3]]


def test_an_ended_order_that_waits_for_fills_is_not_forgotten() -> None:
    stage = Stage()
    stage.table._kept_terminal = 1
    waiting = stage.resting()
    stage.apply(report(waiting.client_order_id, VenueStatus.FILLED, "0.01"))
    for _ in range(3):
        stage.apply(report(stage.resting().client_order_id, VenueStatus.CANCELED))
    assert stage.table.get(MAIN, waiting.client_order_id) is waiting


def test_refused_orders_do_not_push_ended_ones_out() -> None:
    stage = Stage()
    ended = stage.resting()
    stage.apply(report(ended.client_order_id, VenueStatus.CANCELED))
    for _ in range(600):
        stage.table.admit(stage.gate, [stage.order(px="90000")], stage.now)
    assert stage.table.get(MAIN, ended.client_order_id) is ended
    assert len(stage.table._account(MAIN).orders) == 501


def test_a_restored_intent_is_sent_until_evidence_says_more(stage: Stage) -> None:
    order = stage.order()
    tracked = stage.table.restore(order, T0)
    assert stage.table.restore(order, T0 + 1) is tracked
    assert (tracked.state, stage.table.exposure(MAIN, BTC_ID).buy_qty) == (OrderState.SENT, D("0.01"))


def test_evidence_about_orders_of_nobody_is_ignored(stage: Stage) -> None:
    assert stage.apply(CancelReceived(MAIN, stage.ids.next(), T0)) is None


def test_activity_is_what_changed_not_what_a_pass_repeats(stage: Stage) -> None:
    tracked = stage.resting()
    stage.apply(report(tracked.client_order_id, source=Source.SNAPSHOT, at=T0 + 9 * S))
    assert tracked.activity_ns == T0
    stage.apply(report(tracked.client_order_id, cum="0.001", source=Source.SNAPSHOT, at=T0 + 9 * S))
    assert tracked.activity_ns == T0 + 9 * S
    assert isinstance(tracked.cum_qty, Decimal)
