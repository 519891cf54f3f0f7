"""Take-profit and stop-loss orders: when they fire, and what becomes of them then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    BOB,
    BTC,
    BUY,
    ETH,
    HOUR_NS,
    INDEX,
    LAST,
    MARK,
    MID,
    MS_NS,
    S_NS,
    SELL,
    START_NS,
    STOP_LOSS,
    TAKE_PROFIT,
    Desk,
    at,
    end_of,
)

from perpmaker.exchange.core.types import (
    NANO,
    BulkOutcome,
    InstrumentMode,
    OrderRejectReason,
    OrderRequest,
    OrderStatus,
    OrderUpdated,
    OrderView,
    Rejection,
    Side,
    TimeInForce,
    TriggerBy,
    TriggerType,
)
from perpmaker.exchange.core.venue import VenueLimits

OPEN, FILLED, CANCELLED = OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELLED
NONE = OrderRejectReason.UNSPECIFIED
WAIT_NS = 25 * MS_NS


def stop(desk: Desk, level: str, *, by: TriggerBy = INDEX, px: str | None = None, **options: Any) -> OrderView:
    """A reduce-only sale of ALICE's long position when the price falls to `level`; without `px` at market."""
    terms: dict[str, Any] = {"is_market": px is None, "reduce_only": True, **options}
    return desk.send(SELL, "0.1", px, trigger=at(STOP_LOSS, level, by), **terms)


def now(desk: Desk, order: OrderView) -> OrderView:
    found = desk.venue.order(order.terms.sub_account_id, client_order_id=order.terms.client_order_id)
    assert found is not None
    return found


@pytest.fixture
def long(desk: Desk) -> Desk:
    """ALICE has 0.1 BTC; the book is as it was before, index and mark are 60,000."""
    desk.market(BUY, "0.1")
    desk.quote(SELL, "60000.1", "0.1")
    return desk


# while it waits


def test_untriggered_order_is_open_with_an_id_and_in_no_book(long: Desk) -> None:
    before = long.venue.book(BTC).snapshot()
    answer = long.venue.create_order(
        long.request(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=at(STOP_LOSS, "59000"))
    )
    assert isinstance(answer, OrderView)
    assert (answer.order_id, answer.state.status) == ("0x00", OrderStatus.PENDING)
    (order,) = long.venue.open_orders(ALICE)
    assert (order.state.status, order.state.book_lots, order.state.traded_lots, order.state.fired_ns) == (
        OPEN,
        100,
        0,
        0,
    )
    assert order.terms.trigger is not None
    assert (order.terms.trigger.kind, order.terms.trigger.by, order.terms.trigger.px_ticks) == (
        STOP_LOSS,
        INDEX,
        590_000,
    )
    assert long.venue.order(ALICE, order_id=order.order_id) == order
    long.collect()
    assert long.path(order) == [(OPEN, NONE)]
    assert long.venue.book(BTC).snapshot() == before


@pytest.mark.parametrize(
    ("side", "kind", "fires", "not_yet"),
    [
        (SELL, STOP_LOSS, "59000", "59000.1"),
        (SELL, TAKE_PROFIT, "61000", "60999.9"),
        (BUY, STOP_LOSS, "61000", "60999.9"),
        (BUY, TAKE_PROFIT, "59000", "59000.1"),
    ],
)
def test_order_fires_at_its_price_and_not_a_tick_before(
    desk: Desk, side: Side, kind: TriggerType, fires: str, not_yet: str
) -> None:
    desk.market(side.opposite, "0.1")
    order = desk.send(side, "0.1", None, is_market=True, reduce_only=True, trigger=at(kind, fires))
    desk.index(not_yet)
    desk.wait_ns(S_NS)
    assert now(desk, order) == order
    desk.index(fires)
    fired_ns = desk.venue.now_ns
    assert now(desk, order).state.fired_ns == fired_ns
    desk.wait_ns(WAIT_NS - 1)
    assert end_of(now(desk, order)) == (OPEN, NONE)
    desk.wait_ns(1)
    assert end_of(now(desk, order)) == (FILLED, NONE)
    assert desk.lots() == 0
    assert desk.path(order) == [(OPEN, NONE), (OPEN, NONE), (FILLED, NONE)]


def move_mid(desk: Desk) -> None:
    """Take the bids down to 50,000, then sample the mid."""
    desk.quote(BUY, "50000", "1")
    desk.hit(SELL, "1", "59999.9", publish=False)
    desk.index("60000")


SOURCES: list[tuple[TriggerBy, Callable[[Desk], None]]] = [
    (INDEX, lambda desk: desk.index("58999")),
    (MARK, lambda desk: desk.venue.set_mark(BTC, 58_999 * NANO)),
    (LAST, lambda desk: desk.venue.print_trade(BTC, SELL, 589_990, 1)),
    (MID, move_mid),
]


@pytest.mark.parametrize("by", list(TriggerBy))
@pytest.mark.parametrize(("moved", "move"), SOURCES, ids=[by.name for by, _ in SOURCES])
def test_order_looks_at_its_own_price_alone(
    long: Desk, by: TriggerBy, moved: TriggerBy, move: Callable[[Desk], None]
) -> None:
    long.venue.set_mark(BTC, 60_000 * NANO)
    order = stop(long, "59000", by=by)
    move(long)
    assert bool(now(long, order).state.fired_ns) is (by is moved)


def test_own_and_foreign_trades_are_the_last_price(long: Desk) -> None:
    order = stop(long, "59900", by=LAST)
    long.quote(BUY, "59900", "1")
    long.hit(SELL, "1.5")
    assert now(long, order).state.fired_ns == long.venue.now_ns


def test_last_price_that_went_back_within_one_act_has_fired(long: Desk) -> None:
    order = stop(long, "59999.9", by=LAST)
    long.hit(SELL, "0.5", publish=True)
    long.hit(BUY, "0.5")
    long.wait_ns(WAIT_NS)
    assert end_of(now(long, order)) == (FILLED, NONE)


def test_without_a_last_price_nothing_fires_by_it() -> None:
    desk = Desk()
    desk.quote(BUY, "59000", "1")
    order = desk.send(BUY, "0.01", "59000", trigger=at(STOP_LOSS, "1000", LAST), time_in_force=TimeInForce.FILL_OR_KILL)
    desk.index("60000")
    assert now(desk, order) == order
    assert not order.state.fired_ns


def test_without_a_mid_nothing_fires_by_it() -> None:
    desk = Desk()
    desk.quote(BUY, "59000", "1")
    order = desk.send(BUY, "0.01", "58000", trigger=at(STOP_LOSS, "1000", MID), post_only=True)
    desk.index("60000")
    assert not now(desk, order).state.fired_ns
    desk.quote(SELL, "61000", "1")
    desk.index("60000")
    assert now(desk, order).state.fired_ns == desk.venue.now_ns


def test_price_that_is_reached_already_fires_at_once(long: Desk) -> None:
    order = stop(long, "60000")
    assert order.state.fired_ns == long.venue.now_ns - WAIT_NS
    assert end_of(order) == (FILLED, NONE)
    assert long.path(order) == [(OPEN, NONE), (OPEN, NONE), (FILLED, NONE)]


def test_frozen_market_fires_nothing_and_an_open_one_catches_up(long: Desk) -> None:
    order = stop(long, "59000", by=MARK)
    long.venue.set_mode(BTC, InstrumentMode.FROZEN)
    long.venue.set_mark(BTC, 50_000 * NANO)
    assert not now(long, order).state.fired_ns
    long.venue.set_mode(BTC, InstrumentMode.ACTIVE)
    long.index("60000")
    assert now(long, order).state.fired_ns == long.venue.now_ns


@pytest.mark.parametrize("by", [MARK, LAST])
def test_group_that_wakes_while_the_market_is_frozen_fires_when_it_trades_again(desk: Desk, by: TriggerBy) -> None:
    requests = group(desk, profit=False, by=by, expires_in_ns=10 * S_NS)
    _, stop_loss = bulk(desk, requests)
    desk.wait_ns(WAIT_NS)
    desk.hit(SELL, "1.05", "59999.9")
    desk.venue.print_trade(BTC, SELL, 580_000, 1)
    desk.venue.set_mark(BTC, 58_000 * NANO)
    desk.venue.set_mode(BTC, InstrumentMode.FROZEN)
    desk.wait_ns(10 * S_NS)
    assert end_of(now(desk, stop_loss)) == (OPEN, NONE)
    assert not now(desk, stop_loss).state.fired_ns
    desk.venue.set_mode(BTC, InstrumentMode.ACTIVE)
    assert now(desk, stop_loss).state.fired_ns == desk.venue.now_ns
    desk.quote(BUY, "58000", "1")
    desk.wait_ns(WAIT_NS)
    assert desk.lots() == 0


def test_ledger_names_the_price_until_it_is_reached(long: Desk) -> None:
    long.maker(BUY, "0.01", "59000")
    stop(long, "59000.5", by=MARK)

    def awaited() -> list[str]:
        return [order.awaits for order in long.venue.ledger().accounts[0].open_orders]

    assert awaited() == ["", "STOP_LOSS MARK 59000.5"]
    long.venue.set_mark(BTC, 59_000 * NANO)
    assert awaited() == ["", ""]


# how it ends without firing


def test_untriggered_order_is_cancelled_by_every_kind_of_cancel(long: Desk) -> None:
    orders = [stop(long, "59000", cid=cid) for cid in (1, 2, 3, 4, 5)]
    long.venue.cancel_order(ALICE, client_order_id=1)
    long.venue.cancel_order(ALICE, order_id=orders[1].order_id)
    long.venue.bulk_orders(ALICE, [], cancel_order_ids=[orders[2].order_id])
    long.venue.cancel_on_disconnect(ALICE, 2_000)
    long.wait_ns(2 * S_NS)
    later = stop(long, "59000", cid=6)
    long.venue.cancel_all(ALICE)
    reasons = [now(long, order).state.reason.name for order in (*orders, later)]
    assert reasons[:3] == ["CLIENT_CANCEL", "CLIENT_CANCEL", "CLIENT_BULK_CANCEL"]
    assert reasons[3:] == ["CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED"] * 2 + ["CLIENT_BULK_CANCEL"]
    long.index("50000")
    assert not [row for row in long.venue.order_history(ALICE).rows if row.state.fired_ns]
    assert long.lots() == 100


def test_untriggered_order_expires_by_its_signature(long: Desk) -> None:
    order = stop(long, "59000", expires_in_ns=HOUR_NS)
    long.wait_ns(HOUR_NS)
    assert end_of(now(long, order)) == (CANCELLED, OrderRejectReason.EXPIRED)
    long.index("50000")
    assert long.lots() == 100


def test_delisting_cancels_an_untriggered_order(long: Desk) -> None:
    order = stop(long, "59000")
    long.venue.set_mode(BTC, InstrumentMode.DELISTED)
    assert end_of(now(long, order)) == (CANCELLED, OrderRejectReason.INSTRUMENT_DEACTIVATED)


def test_signature_too_far_ahead_is_rejected_before_it_waits(long: Desk) -> None:
    order = stop(long, "59000", expires_in_ns=31 * 24 * HOUR_NS)
    assert end_of(order) == (OrderStatus.REJECTED, OrderRejectReason.EXCEED_MAX_SIGNATURE_EXPIRATION)


def test_cancel_during_the_wait_after_firing_takes_the_order_back(long: Desk) -> None:
    order = stop(long, "59000")
    long.index("59000")
    assert long.venue.cancel_order(ALICE, order_id=order.order_id) is None
    long.wait_ns(S_NS)
    assert end_of(now(long, order)) == (CANCELLED, OrderRejectReason.CLIENT_CANCEL)
    assert long.lots() == 100


# what it holds


def test_untriggered_orders_count_to_the_limit_of_open_orders() -> None:
    desk = Desk(limits=VenueLimits(max_open_orders=1))
    desk.send(BUY, "0.01", "61000", trigger=at(STOP_LOSS, "61000"))
    assert desk.refused(BUY, "0.01", "59000") == 2090


def test_reduce_only_holds_no_margin_and_another_trigger_holds_what_a_plain_order_does(long: Desk) -> None:
    before = long.venue.account(ALICE)
    stop(long, "59000")
    assert before is not None
    held = long.venue.account(ALICE)
    assert held is not None
    assert held.initial_margin_nano == before.initial_margin_nano
    order = long.send(BUY, "0.2", "61000", trigger=at(STOP_LOSS, "61000"))
    held = long.venue.account(ALICE)
    assert held is not None
    assert held.initial_margin_nano == 3 * before.initial_margin_nano
    long.venue.cancel_order(ALICE, order_id=order.order_id)
    held = long.venue.account(ALICE)
    assert held is not None
    assert held.initial_margin_nano == before.initial_margin_nano


def test_checks_of_a_plain_order_are_made_at_creation(long: Desk) -> None:
    trigger = at(STOP_LOSS, "59000")
    assert long.refused(SELL, "0.101", None, is_market=True, reduce_only=True, trigger=trigger) == 2402
    assert long.refused(BUY, "0.1", None, is_market=True, reduce_only=True, trigger=trigger) == 2401
    assert long.refused(SELL, "0.1", None, reduce_only=True, trigger=trigger) == 2021
    assert long.refused(BUY, "17", "60000", trigger=trigger) == 2080


def test_position_that_shrinks_leaves_an_untriggered_order_as_it_is(long: Desk) -> None:
    order = stop(long, "59000")
    long.market(SELL, "0.1")
    assert now(long, order) == order


# what becomes of it when it fires


def test_reduce_only_is_trimmed_to_the_position(long: Desk) -> None:
    order = stop(long, "59000")
    long.market(SELL, "0.06")
    long.index("59000")
    long.wait_ns(WAIT_NS)
    ended = now(long, order)
    assert end_of(ended) == (CANCELLED, OrderRejectReason.REDUCE_ONLY_LIMIT)
    assert ended.state.traded_lots == 40
    assert long.lots() == 0


@pytest.mark.parametrize("post_only", [False, True])
def test_nothing_to_reduce_cancels_it_with_fail_reduce_only(long: Desk, post_only: bool) -> None:
    order = stop(long, "59000", px="61000", post_only=post_only)
    long.market(SELL, "0.2")
    long.index("58000")
    long.wait_ns(WAIT_NS)
    assert end_of(now(long, order)) == (CANCELLED, OrderRejectReason.FAIL_REDUCE_ONLY)
    assert long.lots() == -100


def test_limit_order_rests_behind_who_was_there_before(long: Desk) -> None:
    long.quote(SELL, "60000.5", "1")
    order = stop(long, "59000", px="60000.5")
    long.index("59000")
    assert long.venue.book(BTC).at(SELL, 600_005).qty_lots == 1_000
    long.wait_ns(WAIT_NS)
    assert end_of(now(long, order)) == (OPEN, NONE)
    assert [row.leaves_lots for row in long.venue.book(BTC).orders_at(SELL, 600_005)] == [1_000, 100]
    assert long.path(order) == [(OPEN, NONE)] * 3


def test_fired_limit_order_expires_in_the_book(long: Desk) -> None:
    order = stop(long, "59000", px="60000.5", expires_in_ns=HOUR_NS)
    long.index("59000")
    long.wait_ns(HOUR_NS)
    assert end_of(now(long, order)) == (CANCELLED, OrderRejectReason.EXPIRED)
    assert long.venue.book(BTC).at(SELL, 600_005).qty_lots == 0


def test_signature_that_expires_during_the_wait_ends_it(long: Desk) -> None:
    order = stop(long, "59000", expires_in_ns=WAIT_NS + 1)
    long.index("59000")
    long.wait_ns(WAIT_NS)
    assert end_of(now(long, order)) == (CANCELLED, OrderRejectReason.EXPIRED)


@pytest.mark.parametrize(
    ("tif", "reason", "traded"),
    [
        (TimeInForce.IMMEDIATE_OR_CANCEL, OrderRejectReason.IOC_CANCEL, 1_000),
        (TimeInForce.FILL_OR_KILL, OrderRejectReason.FOK_CANCEL, 0),
    ],
)
def test_time_in_force_is_kept(desk: Desk, tif: TimeInForce, reason: OrderRejectReason, traded: int) -> None:
    order = desk.send(BUY, "1.5", "60000.1", trigger=at(STOP_LOSS, "60500"), time_in_force=tif)
    desk.index("60500")
    desk.wait_ns(WAIT_NS)
    assert end_of(now(desk, order)) == (CANCELLED, reason)
    assert desk.lots() == traded


def test_post_only_arrives_without_a_wait_and_is_cancelled_when_it_crosses(desk: Desk) -> None:
    rests = desk.maker(BUY, "0.01", "60000", trigger=at(TAKE_PROFIT, "59500"))
    crosses = desk.maker(BUY, "0.01", "60000.1", trigger=at(TAKE_PROFIT, "59500"))
    desk.index("59500")
    assert end_of(now(desk, rests)) == (OPEN, NONE)
    assert desk.venue.book(BTC).at(BUY, 600_000).qty_lots == 10
    assert end_of(now(desk, crosses)) == (CANCELLED, OrderRejectReason.FAIL_POST_ONLY)


@pytest.mark.parametrize(("px", "post_only"), [("60000.1", False), ("60000", True)])
def test_account_is_checked_again_when_an_order_fires(desk: Desk, px: str, post_only: bool) -> None:
    """10 BTC at leverage 10 need 60,000 of 100,000 at a mark of 60,000, and 110,000 at one of 110,000."""
    order = desk.send(BUY, "10", px, trigger=at(STOP_LOSS, "60500"), post_only=post_only)
    desk.venue.set_mark(BTC, 110_000 * NANO)
    desk.index("60500")
    desk.wait_ns(WAIT_NS)
    assert end_of(now(desk, order)) == (CANCELLED, OrderRejectReason.BELOW_MARGIN)
    assert desk.lots() == 0


def test_orders_fire_oldest_first(desk: Desk) -> None:
    desk.quote(SELL, "60001", "1")
    orders = [
        desk.send(BUY, "0.01", "60001", trigger=at(STOP_LOSS, px), account=account, cid=cid)
        for cid, (px, account) in enumerate([("60300", ALICE), ("60100", BOB), ("60200", ALICE)], start=1)
    ]
    desk.events.clear()
    desk.index("60500")
    fired = [event.order.terms.client_order_id for event in desk.seen(OrderUpdated)]
    assert fired == [1, 2, 3]
    desk.wait_ns(WAIT_NS)
    ends = [event.order.terms.client_order_id for event in desk.seen(OrderUpdated)][3:]
    assert ends == [1, 2, 3]
    assert {now(desk, order).state.fired_ns for order in orders} == {desk.venue.now_ns - WAIT_NS}


def test_fired_order_that_trades_fires_the_next(desk: Desk) -> None:
    """A cascade: each stop's own sale prints the price of the next."""
    for px in ("59900", "59800", "59700"):
        desk.quote(BUY, px, "0.1")
    desk.hit(SELL, "1", "59999.9", publish=False)
    orders = [
        desk.send(SELL, "0.1", None, is_market=True, trigger=at(STOP_LOSS, px, LAST))
        for px in ("59990", "59900", "59800")
    ]
    desk.venue.print_trade(BTC, SELL, 599_900, 1)
    desk.wait_ns(3 * WAIT_NS)
    assert [end_of(now(desk, order))[0] for order in orders] == [FILLED] * 3
    assert [now(desk, order).state.fired_ns - START_NS for order in orders] == [75 * MS_NS, 100 * MS_NS, 125 * MS_NS]
    assert [fill.px_ticks for fill in desk.fills()] == [599_000, 598_000, 597_000]


def test_cascade_of_a_venue_without_waits_ends_before_the_act_does() -> None:
    desk = Desk(limits=VenueLimits(speed_bump_ns=0))
    for px in ("59900", "59800"):
        desk.quote(BUY, px, "0.1")
    for px in ("59990", "59900"):
        desk.send(SELL, "0.1", None, is_market=True, trigger=at(STOP_LOSS, px, LAST))
    desk.venue.print_trade(BTC, SELL, 599_900, 1)
    desk.collect()
    assert [fill.px_ticks for fill in desk.fills()] == [599_000, 598_000]
    assert not desk.venue.open_orders(ALICE)


def test_flow_that_fires_a_post_only_order_rests_before_it() -> None:
    """A bid of 60,100 that takes what is asked rests first: the order it fires would cross it."""
    desk = Desk()
    desk.quote(SELL, "60100", "0.1")
    order = desk.maker(SELL, "0.1", "60050", trigger=at(TAKE_PROFIT, "60100", LAST))
    desk.venue.flow_limit(desk.flow, BTC, BUY, 601_000, 500)
    desk.collect()
    assert end_of(now(desk, order)) == (CANCELLED, OrderRejectReason.FAIL_POST_ONLY)
    assert desk.venue.book(BTC).at(BUY, 601_000).qty_lots == 400


def test_same_signed_payload_makes_one_order_also_after_it_fired(long: Desk) -> None:
    request = long.request(
        SELL, "0.05", None, is_market=True, reduce_only=True, trigger=at(STOP_LOSS, "59000"), nonce=77, cid=77
    )
    long.venue.create_order(request)
    assert long.venue.create_order(request) == Rejection(2012, "77")
    long.index("59000")
    long.wait_ns(WAIT_NS)
    assert isinstance(long.venue.create_order(request), OrderView)
    long.wait_ns(WAIT_NS)
    assert long.lots() == 50
    assert not long.venue.open_orders(ALICE)


# bulk requests


def pair(desk: Desk, *, profit: str = "61000", loss: str = "59000", qty: str = "0.1") -> list[OrderRequest]:
    return [
        desk.request(SELL, size, None, is_market=True, reduce_only=True, trigger=trigger)
        for size, trigger in ((qty, at(TAKE_PROFIT, profit)), ("0.1", at(STOP_LOSS, loss)))
    ]


def bulk(desk: Desk, creations: list[OrderRequest], **cancels: Any) -> list[OrderView]:
    outcome = desk.venue.bulk_orders(ALICE, creations, **cancels)
    assert isinstance(outcome, BulkOutcome), outcome
    desk.collect()
    return [now(desk, view) for view in outcome.orders]


def refused(desk: Desk, creations: list[OrderRequest], **cancels: Any) -> int:
    outcome = desk.venue.bulk_orders(ALICE, creations, **cancels)
    assert isinstance(outcome, Rejection)
    return outcome.code


def test_one_trigger_alone_may_be_created_in_bulk(long: Desk) -> None:
    (order,) = bulk(long, pair(long)[:1])
    assert end_of(order) == (OPEN, NONE)


def test_other_mixtures_are_2236(long: Desk) -> None:
    profit, loss = pair(long)
    assert refused(long, [profit, long.request(SELL, "0.1", "61000")]) == 2236
    assert refused(long, [loss, pair(long)[1]]) == 2236
    assert refused(long, [profit, loss, pair(long)[0]]) == 2236
    assert refused(long, pair(long, qty="0.09")) == 2236
    assert not long.venue.open_orders(ALICE)


@pytest.mark.parametrize(("index", "fires"), [("61000", 0), ("59000", 1)])
def test_of_a_pair_one_fires_and_the_other_is_cancelled(long: Desk, index: str, fires: int) -> None:
    orders = bulk(long, pair(long))
    long.index(index)
    assert end_of(now(long, orders[1 - fires])) == (CANCELLED, OrderRejectReason.OCO_COUNTER_PART_TRIGGERED)
    long.wait_ns(WAIT_NS)
    assert end_of(now(long, orders[fires])) == (FILLED, NONE)
    assert long.lots() == 0


def test_of_a_pair_whose_prices_are_reached_together_the_first_fires(long: Desk) -> None:
    first, second = bulk(long, pair(long, profit="59000", loss="61000"))
    assert first.state.fired_ns
    assert end_of(second) == (CANCELLED, OrderRejectReason.OCO_COUNTER_PART_TRIGGERED)


@pytest.mark.parametrize("which", [0, 1])
def test_cancelling_one_of_a_pair_cancels_both(long: Desk, which: int) -> None:
    orders = bulk(long, pair(long))
    long.venue.cancel_order(ALICE, order_id=orders[which].order_id)
    assert [end_of(now(long, order)) for order in orders] == [(CANCELLED, OrderRejectReason.CLIENT_CANCEL)] * 2


def test_fired_one_of_a_pair_can_be_cancelled_alone_in_its_wait(long: Desk) -> None:
    orders = bulk(long, pair(long))
    long.index("61000")
    long.venue.cancel_order(ALICE, order_id=orders[0].order_id)
    assert [now(long, order).state.reason.name for order in orders] == ["CLIENT_CANCEL", "OCO_COUNTER_PART_TRIGGERED"]


@pytest.mark.parametrize("by_client_id", [False, True])
def test_pair_is_replaced_by_a_pair(long: Desk, by_client_id: bool) -> None:
    old = bulk(long, pair(long))
    ids = [order.terms.client_order_id if by_client_id else order.order_id for order in old]
    cancels = {"cancel_client_order_ids" if by_client_id else "cancel_order_ids": ids}
    new = bulk(long, pair(long, profit="62000"), **cancels)
    assert [end_of(now(long, order)) for order in old] == [(CANCELLED, OrderRejectReason.CLIENT_REPLACE)] * 2
    assert long.venue.open_orders(ALICE) == new
    long.index("62000")
    assert end_of(now(long, new[1])) == (CANCELLED, OrderRejectReason.OCO_COUNTER_PART_TRIGGERED)


def test_replacement_of_another_number_or_of_what_fired_or_is_plain_is_refused(long: Desk) -> None:
    plain = long.maker(BUY, "0.01", "59000")
    single, fired = stop(long, "58000"), stop(long, "59500")
    profit, loss = bulk(long, pair(long))
    long.index("59500")
    new = pair(long, profit="62000")
    assert refused(long, new[:1], cancel_order_ids=[plain.order_id]) == 2222
    assert refused(long, new, cancel_order_ids=[single.order_id]) == 2413
    assert refused(long, new[:1], cancel_order_ids=[profit.order_id]) == 2413
    assert refused(long, new[:1], cancel_order_ids=[fired.order_id]) == 2413
    assert refused(long, new, cancel_order_ids=[profit.order_id, single.order_id]) == 2413
    assert refused(long, new[:1], cancel_order_ids=["0x1234"]) == 2413
    assert end_of(now(long, single)) == end_of(now(long, loss)) == (OPEN, NONE)


# groups: triggers that wait for another order first


def group(
    desk: Desk, *, px: str = "59999.9", profit: bool = True, by: TriggerBy = INDEX, **terms: Any
) -> list[OrderRequest]:
    """A purchase of 0.1, and what closes it: at a loss of 1,000, and at a gain of 1,000."""
    exits = [at(STOP_LOSS, "59000", by)] + ([at(TAKE_PROFIT, "61000", by)] if profit else [])
    orders = [desk.request(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=trigger) for trigger in exits]
    return [desk.request(BUY, "0.1", px, **terms), *orders]


@pytest.mark.parametrize("profit", [False, True])
def test_group_wakes_when_its_first_order_is_filled(desk: Desk, profit: bool) -> None:
    parent, stop_loss, *_ = bulk(desk, group(desk, profit=profit, post_only=True))
    assert end_of(stop_loss) == (OPEN, NONE)
    desk.index("58000")
    assert end_of(now(desk, stop_loss)) == (OPEN, NONE)
    desk.index("60000")
    desk.hit(SELL, "1.1", "59999.9")
    assert end_of(now(desk, parent)) == (FILLED, NONE)
    assert desk.path(stop_loss) == [(OPEN, NONE)] * 2
    desk.quote(BUY, "59998", "1")
    desk.index("59000")
    desk.wait_ns(WAIT_NS)
    assert end_of(now(desk, stop_loss)) == (FILLED, NONE)
    assert desk.lots() == 0
    assert not desk.venue.open_orders(ALICE)


def test_woken_trigger_whose_price_is_reached_fires_at_once(desk: Desk) -> None:
    _, stop_loss, profit = bulk(desk, group(desk, px="60000.1"))
    desk.index("58000")
    desk.wait_ns(WAIT_NS)
    assert desk.lots() == 100
    assert now(desk, stop_loss).state.fired_ns == desk.venue.now_ns
    assert end_of(now(desk, profit)) == (CANCELLED, OrderRejectReason.OCO_COUNTER_PART_TRIGGERED)
    desk.wait_ns(WAIT_NS)
    assert desk.lots() == 0


def test_group_goes_with_a_first_order_that_ends_without_a_trade(desk: Desk) -> None:
    orders = bulk(desk, group(desk, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL, px="59000"))
    desk.wait_ns(WAIT_NS)
    assert [now(desk, order).state.reason.name for order in orders] == ["IOC_CANCEL"] * 3
    rejected = bulk(desk, group(desk, post_only=True, px="60000.1"))
    assert [now(desk, order).state.status.name for order in rejected] == ["REJECTED", "CANCELLED", "CANCELLED"]
    assert not desk.venue.open_orders(ALICE)


def test_part_that_an_ioc_got_is_protected(desk: Desk) -> None:
    desk.hit(BUY, "0.95", "60000.1")
    _, stop_loss, _ = bulk(desk, group(desk, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL, px="60000.1"))
    desk.wait_ns(WAIT_NS)
    assert desk.lots() == 50
    desk.index("59000")
    desk.wait_ns(WAIT_NS)
    ended = now(desk, stop_loss)
    assert end_of(ended) == (CANCELLED, OrderRejectReason.REDUCE_ONLY_LIMIT)
    assert (ended.state.traded_lots, desk.lots()) == (50, 0)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_cancelling_one_of_a_group_cancels_it_whole(desk: Desk, which: int) -> None:
    orders = bulk(desk, group(desk, post_only=True))
    desk.hit(SELL, "1.05", "59999.9")
    desk.venue.cancel_order(ALICE, client_order_id=orders[which].terms.client_order_id)
    assert [end_of(now(desk, order)) for order in orders] == [(CANCELLED, OrderRejectReason.CLIENT_CANCEL)] * 3
    assert desk.lots() == 50


def test_group_is_checked_as_it_will_stand_when_its_first_order_is_filled(desk: Desk) -> None:
    purchase, stop_loss = group(desk, profit=False)
    larger = desk.request(SELL, "0.2", None, is_market=True, reduce_only=True, trigger=at(STOP_LOSS, "59000"))
    same_side = desk.request(BUY, "0.1", "62000", trigger=at(STOP_LOSS, "61000"))
    assert refused(desk, [purchase, larger]) == 2402
    assert refused(desk, [stop_loss]) == 2400
    assert refused(desk, [purchase, same_side]) == 2236
    assert refused(desk, [purchase, purchase, stop_loss]) == 2236
    assert len(bulk(desk, [stop_loss, purchase])) == 2


def test_group_whose_first_order_was_sent_before_is_dropped(desk: Desk) -> None:
    purchase, *exits = group(desk, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL, px="59000", nonce=5)
    desk.venue.create_order(purchase)
    desk.wait_ns(WAIT_NS)
    orders = bulk(desk, [purchase, *exits])
    assert [order.state.status for order in orders] == [CANCELLED] * 3
    assert not desk.venue.open_orders(ALICE)


def too_long(desk: Desk, request: OrderRequest) -> OrderRequest:
    """The same order with a signature the engine does not take."""
    expiration_ns = desk.venue.now_ns + 31 * 24 * HOUR_NS
    signature = msgspec.structs.replace(request.signature, expiration_ns=expiration_ns)
    return msgspec.structs.replace(request, signature=signature)


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("post_only", [False, True])
def test_trigger_that_is_rejected_takes_its_group_with_it(desk: Desk, which: int, post_only: bool) -> None:
    requests = group(desk, px="59999.9" if post_only else "60000.1", post_only=post_only)
    requests[which] = too_long(desk, requests[which])
    orders = bulk(desk, requests)
    desk.wait_ns(WAIT_NS)
    assert {now(desk, order).state.reason.name for order in orders} == {"EXCEED_MAX_SIGNATURE_EXPIRATION"}
    assert (desk.lots(), desk.venue.open_orders(ALICE)) == (0, [])


@pytest.mark.parametrize("which", [0, 1])
def test_trigger_that_is_rejected_takes_the_other_of_its_pair_with_it(long: Desk, which: int) -> None:
    requests = pair(long)
    requests[which] = too_long(long, requests[which])
    orders = bulk(long, requests)
    assert {order.state.reason.name for order in orders} == {"EXCEED_MAX_SIGNATURE_EXPIRATION"}
    assert not long.venue.open_orders(ALICE)


def test_cancel_that_was_there_before_its_group_takes_back_all_of_it(desk: Desk) -> None:
    requests = group(desk, px="60000.1")
    early = requests[1].client_order_id
    desk.venue.cancel_order(ALICE, client_order_id=early, time_to_live_ms=1_000)
    orders = bulk(desk, requests)
    desk.wait_ns(WAIT_NS)
    assert [end_of(now(desk, order)) for order in orders] == [(CANCELLED, OrderRejectReason.CLIENT_CANCEL)] * 3
    assert desk.lots() == 0


def test_group_of_which_a_trigger_was_sent_before_is_dropped(desk: Desk) -> None:
    purchase, stop_loss, profit = group(desk, px="60000.1")
    desk.market(BUY, "0.1")
    desk.venue.create_order(stop_loss)
    desk.venue.cancel_all(ALICE)
    bulk(desk, [purchase, stop_loss, profit])
    desk.wait_ns(WAIT_NS)
    assert (desk.lots(), desk.venue.open_orders(ALICE)) == (100, [])


def test_triggers_of_a_group_are_replaced_once_it_woke_and_not_before(desk: Desk) -> None:
    _, *exits = bulk(desk, group(desk, post_only=True))
    ids = [order.order_id for order in exits]
    assert refused(desk, pair(desk), cancel_order_ids=ids) == 2413
    desk.hit(SELL, "1.1", "59999.9")
    assert len(bulk(desk, pair(desk), cancel_order_ids=ids)) == 2


def test_instruments_do_not_fire_each_other(long: Desk) -> None:
    order = stop(long, "59000")
    long.index("2000", instrument=ETH)
    assert now(long, order) == order
