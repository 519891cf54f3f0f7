"""Cancels and their time to live, bulk requests, the disconnect countdown."""

from __future__ import annotations

import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    BOB,
    BTC,
    BUY,
    ETH,
    MS_NS,
    S_NS,
    SELL,
    START_NS,
    STOP_LOSS,
    Desk,
    at,
    end_of,
)

from perpmaker.exchange.core.types import (
    BulkOutcome,
    CancelStatus,
    CancelStatusUpdated,
    InstrumentFilter,
    OrderRejectReason,
    OrderStatus,
    Rejection,
)


def cancel_statuses(desk: Desk) -> list[tuple[int, CancelStatus, int]]:
    return [
        (event.client_order_id, event.status, event.event_ns - START_NS) for event in desk.seen(CancelStatusUpdated)
    ]


# single cancels


def test_cancel_by_order_id_of_a_closed_or_foreign_order_is_1004(desk: Desk) -> None:
    order = desk.maker(BUY, "0.01", "59000")
    assert desk.venue.cancel_order(BOB, order_id=order.order_id) == Rejection(1004, order.order_id)
    assert desk.venue.cancel_order(ALICE, order_id=order.order_id) is None
    assert desk.venue.cancel_order(ALICE, order_id=order.order_id) == Rejection(1004, order.order_id)
    assert desk.venue.cancel_order(ALICE, order_id="nonsense") == Rejection(1004, "nonsense")


@pytest.mark.parametrize("order_id", [None, "", "0x00"])
def test_cancel_without_any_id_is_3021(desk: Desk, order_id: str | None) -> None:
    assert desk.venue.cancel_order(ALICE, order_id=order_id, client_order_id=0) == Rejection(3021)


@pytest.mark.parametrize(("ttl_ms", "kept_ms"), [(None, 100), (0, 100), (99, 100), (500, 500), (5_000, 5_000)])
def test_cancel_of_an_unknown_client_id_expires_after_its_time_to_live(
    desk: Desk, ttl_ms: int | None, kept_ms: int
) -> None:
    assert desk.venue.cancel_order(ALICE, client_order_id=9, time_to_live_ms=ttl_ms) is None
    desk.wait_ns(kept_ms * MS_NS - 1)
    assert not cancel_statuses(desk)
    desk.wait_ns(1)
    assert cancel_statuses(desk) == [(9, CancelStatus.EXPIRED, kept_ms * MS_NS)]


def test_time_to_live_above_five_seconds_is_2301_for_client_ids_only(desk: Desk) -> None:
    answer = desk.venue.cancel_order(ALICE, client_order_id=9, time_to_live_ms=5_001)
    assert isinstance(answer, Rejection)
    assert answer.code == 2301
    order = desk.maker(BUY, "0.01", "59000")
    assert desk.venue.cancel_order(ALICE, order_id=order.order_id, time_to_live_ms=5_001) is None


def test_second_armed_cancel_is_dropped_as_a_duplicate_and_does_not_prolong_the_first(desk: Desk) -> None:
    desk.venue.cancel_order(ALICE, client_order_id=9, time_to_live_ms=200)
    desk.wait_ns(100 * MS_NS)
    desk.venue.cancel_order(ALICE, client_order_id=9, time_to_live_ms=5_000)
    desk.wait_ns(5 * S_NS)
    assert cancel_statuses(desk) == [
        (9, CancelStatus.DROPPED_DUPLICATE, 100 * MS_NS),
        (9, CancelStatus.EXPIRED, 200 * MS_NS),
    ]


def test_armed_cancel_kills_one_order_and_is_used_up(desk: Desk) -> None:
    desk.venue.cancel_order(ALICE, client_order_id=9, time_to_live_ms=500)
    assert end_of(desk.maker(BUY, "0.01", "59000", cid=9))[0] is OrderStatus.CANCELLED
    assert end_of(desk.maker(BUY, "0.01", "59000", cid=9))[0] is OrderStatus.OPEN
    desk.wait_ns(S_NS)
    assert not cancel_statuses(desk)


def test_armed_cancel_of_one_account_leaves_the_others_alone(desk: Desk) -> None:
    desk.venue.cancel_order(BOB, client_order_id=9, time_to_live_ms=500)
    assert end_of(desk.maker(BUY, "0.01", "59000", cid=9))[0] is OrderStatus.OPEN


# cancel all


@pytest.mark.parametrize(
    ("which", "left"),
    [
        (InstrumentFilter(), []),
        (InstrumentFilter(bases=("BTC",)), [ETH]),
        (InstrumentFilter(instruments=(ETH,)), [BTC]),
        (InstrumentFilter(quotes=("USDC",)), [BTC, ETH]),
    ],
)
def test_cancel_all_takes_what_its_filter_names(desk: Desk, which: InstrumentFilter, left: list[str]) -> None:
    desk.maker(BUY, "0.01", "59000")
    desk.maker(BUY, "0.1", "2500", instrument=ETH)
    desk.maker(BUY, "0.01", "59000", account=BOB)
    assert desk.venue.cancel_all(ALICE, which) == 2 - len(left)
    assert [view.terms.instrument for view in desk.venue.open_orders(ALICE)] == left
    assert len(desk.venue.open_orders(BOB)) == 1


def test_cancel_all_takes_pending_orders_unless_told_to_miss_them(desk: Desk) -> None:
    desk.venue.create_order(desk.request(BUY, "0.01", "59000"))
    assert desk.venue.cancel_all(ALICE, miss_pending=True) == 0
    assert desk.venue.cancel_all(ALICE) == 1


# bulk


def test_bulk_creates_a_ladder_and_answers_in_order(desk: Desk) -> None:
    prices = ["59000.0", "58999.0", "58998.0"]
    answer = desk.venue.bulk_orders(ALICE, [desk.request(BUY, "0.01", px, post_only=True) for px in prices])
    assert isinstance(answer, BulkOutcome)
    assert [order.terms.px_ticks for order in answer.orders] == [590000, 589990, 589980]
    assert [view.state.status for view in desk.venue.open_orders(ALICE)] == [OrderStatus.OPEN] * 3


def test_bulk_replace_cancels_before_it_creates(desk: Desk) -> None:
    """The new ask stands where the old bid stood, which would have been an own match."""
    bid = desk.maker(BUY, "0.01", "60000.0")
    answer = desk.venue.bulk_orders(
        ALICE, [desk.request(SELL, "0.01", "60000.0", post_only=True)], cancel_order_ids=[bid.order_id]
    )
    assert isinstance(answer, BulkOutcome)
    assert answer.cancel_acks == (True,)
    (ask,) = desk.venue.open_orders(ALICE)
    assert ask.terms.side is SELL
    assert ask.order_id != bid.order_id
    replaced = desk.venue.order(ALICE, order_id=bid.order_id)
    assert replaced is not None
    assert replaced.state.reason is OrderRejectReason.CLIENT_REPLACE


def test_bulk_cancel_by_client_id_arms_unknown_ones_and_by_order_id_says_so(desk: Desk) -> None:
    answer = desk.venue.bulk_orders(ALICE, [], cancel_client_order_ids=[77], time_to_live_ms=500)
    assert answer == BulkOutcome((), (True,))
    assert end_of(desk.maker(BUY, "0.01", "59000", cid=77))[0] is OrderStatus.CANCELLED
    assert desk.venue.bulk_orders(ALICE, [], cancel_order_ids=["0x1234"]) == BulkOutcome((), (False,))


def test_bulk_with_one_bad_creation_does_nothing(desk: Desk) -> None:
    old = desk.maker(BUY, "0.01", "59000")
    bulk = [desk.request(BUY, "0.01", "58000"), desk.request(BUY, "0.01", "58000.05")]
    answer = desk.venue.bulk_orders(ALICE, bulk, cancel_order_ids=[old.order_id])
    assert isinstance(answer, Rejection)
    assert answer.code == 2064
    assert desk.venue.open_orders(ALICE) == [old]


def test_bulk_codes(desk: Desk) -> None:
    def code(*creations: object, **cancels: list[object]) -> int:
        answer = desk.venue.bulk_orders(ALICE, creations, **cancels)  # type: ignore[arg-type]
        assert isinstance(answer, Rejection)
        return answer.code

    good = desk.request(BUY, "0.01", "59000")
    other = desk.request(BUY, "0.1", "2500", instrument=ETH)
    assert code(cancel_order_ids=["0x1"], cancel_client_order_ids=[1]) == 2233
    assert code(good, other) == 2234
    assert code(*[good] * 101) == 2235
    assert code(cancel_order_ids=[f"0x{n:x}" for n in range(1, 102)]) == 2235
    assert code(good, desk.request(BUY, "0.01", "59000", trigger=at(STOP_LOSS, "59000"))) == 2236
    assert code(good, desk.request(BUY, "0.01", "59000", cid=good.client_order_id)) == 2012
    assert code(desk.request(BUY, "0.01", "59000", account=BOB)) == 2003
    assert code(time_to_live_ms=5_001) == 2301  # type: ignore[arg-type]


def test_bulk_of_a_hundred_is_allowed(desk: Desk) -> None:
    answer = desk.venue.bulk_orders(ALICE, [desk.request(BUY, "0.002", "59000", post_only=True) for _ in range(100)])
    assert isinstance(answer, BulkOutcome)
    assert desk.venue.book(BTC).at(BUY, 590000).num_orders == 100


# cancel on disconnect


@pytest.mark.parametrize(("countdown_ms", "fires_s"), [(1_001, 1), (1_999, 1), (2_000, 2), (300_000, 300)])
def test_countdown_is_floored_to_seconds_and_takes_pending_orders_too(
    desk: Desk, countdown_ms: int, fires_s: int
) -> None:
    desk.venue.cancel_on_disconnect(ALICE, countdown_ms)
    desk.maker(BUY, "0.01", "59000")
    desk.maker(BUY, "0.01", "59000", account=BOB)
    desk.venue.advance(START_NS + fires_s * S_NS - 1)
    desk.venue.create_order(desk.request(BUY, "0.01", "59001"))
    assert len(desk.venue.open_orders(ALICE)) == 2
    desk.venue.advance(START_NS + fires_s * S_NS)
    assert not desk.venue.open_orders(ALICE)
    assert len(desk.venue.open_orders(BOB)) == 1


@pytest.mark.parametrize("off_ms", [0, 300, 1_000])
def test_countdown_up_to_a_second_disables_it(desk: Desk, off_ms: int) -> None:
    desk.maker(BUY, "0.01", "59000")
    desk.venue.cancel_on_disconnect(ALICE, 5_000)
    desk.venue.cancel_on_disconnect(ALICE, off_ms)
    desk.wait_ns(600 * S_NS)
    assert len(desk.venue.open_orders(ALICE)) == 1


def test_countdown_is_refreshed_by_each_call_and_fires_once(desk: Desk) -> None:
    desk.maker(BUY, "0.01", "59000")
    for _ in range(5):
        desk.venue.cancel_on_disconnect(ALICE, 2_000)
        desk.wait_ns(1_900 * MS_NS)
    assert len(desk.venue.open_orders(ALICE)) == 1
    desk.wait_ns(100 * MS_NS)
    assert not desk.venue.open_orders(ALICE)
    desk.maker(BUY, "0.01", "59000")
    desk.wait_ns(600 * S_NS)
    assert len(desk.venue.open_orders(ALICE)) == 1


def test_countdown_above_300_s_is_6000_and_leaves_the_running_one(desk: Desk) -> None:
    desk.venue.cancel_on_disconnect(ALICE, 2_000)
    assert desk.venue.cancel_on_disconnect(ALICE, 300_001) == Rejection(6000, "300001 ms")
    desk.maker(BUY, "0.01", "59000")
    desk.wait_ns(2 * S_NS)
    assert not desk.venue.open_orders(ALICE)
