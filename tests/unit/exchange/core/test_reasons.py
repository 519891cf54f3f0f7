"""How orders end: one row for each reason the engine gives, with the status it comes with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    ALICE_2,
    BTC,
    BUY,
    DAY_NS,
    MS_NS,
    NANO,
    S_NS,
    SELL,
    Desk,
    end_of,
)

from perpmaker.exchange.core.types import (
    InstrumentMode,
    OrderRejectReason,
    OrderStatus,
    OrderView,
    TimeInForce,
)

IOC, FOK = TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL
RPI = TimeInForce.RETAIL_PRICE_IMPROVEMENT


def client_cancel(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000")
    desk.venue.cancel_order(ALICE, order_id=order.order_id)
    return order


def client_cancel_while_pending(desk: Desk) -> OrderView:
    order = desk.venue.create_order(desk.request(BUY, "0.01", "59000", cid=9))
    desk.venue.cancel_order(ALICE, client_order_id=9)
    assert isinstance(order, OrderView)
    return order


def cancelled_on_arrival(desk: Desk) -> OrderView:
    desk.venue.cancel_order(ALICE, client_order_id=9, time_to_live_ms=500)
    desk.wait_ns(499 * MS_NS)
    return desk.maker(BUY, "0.01", "59000", cid=9)


def bulk_cancel(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000")
    desk.venue.bulk_orders(ALICE, [], cancel_order_ids=[order.order_id])
    return order


def cancel_all(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000")
    desk.venue.cancel_all(ALICE)
    return order


def market_rest(desk: Desk) -> OrderView:
    return desk.market(BUY, "2")


def market_ioc_rest(desk: Desk) -> OrderView:
    return desk.market(BUY, "2", time_in_force=IOC)


def ioc_rest(desk: Desk) -> OrderView:
    return desk.send(BUY, "2", "60000.1", time_in_force=IOC)


def ioc_unfilled(desk: Desk) -> OrderView:
    return desk.send(BUY, "2", "60000.0", time_in_force=IOC)


def fok_too_large(desk: Desk) -> OrderView:
    return desk.send(BUY, "2", "60000.1", time_in_force=FOK)


def market_fok_too_large(desk: Desk) -> OrderView:
    return desk.market(BUY, "2", time_in_force=FOK)


def expiry(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000", expires_in_ns=30 * S_NS)
    desk.wait_ns(30 * S_NS)
    return order


def expiry_during_the_wait(desk: Desk) -> OrderView:
    return desk.send(BUY, "0.01", "59000", expires_in_ns=20 * MS_NS)


def post_only_cross(desk: Desk) -> OrderView:
    return desk.maker(BUY, "0.01", "60000.1")


def rpi_cross(desk: Desk) -> OrderView:
    return desk.send(BUY, "0.01", "60000.1", time_in_force=RPI)


def reduce_only_too_late(desk: Desk) -> OrderView:
    desk.market(BUY, "0.01")
    order = desk.venue.create_order(desk.request(SELL, "0.01", None, is_market=True, reduce_only=True))
    desk.venue.create_order(desk.request(SELL, "0.01", "59000", time_in_force=IOC))
    assert isinstance(order, OrderView)
    second = desk.venue.create_order(desk.request(SELL, "0.01", None, is_market=True, reduce_only=True))
    assert isinstance(second, OrderView)
    return second


def reduce_only_position_gone(desk: Desk) -> OrderView:
    desk.market(BUY, "0.01")
    order = desk.maker(SELL, "0.01", "61000", reduce_only=True)
    desk.market(SELL, "0.01")
    return order


def reduce_only_trimmed_then_filled(desk: Desk) -> OrderView:
    desk.market(BUY, "0.03")
    order = desk.maker(SELL, "0.03", "60000.1", reduce_only=True)
    desk.market(SELL, "0.01")
    desk.hit(BUY, "1.02", "60000.1")
    return order


def own_sub_account(desk: Desk) -> OrderView:
    desk.maker(SELL, "0.01", "60000.0")
    return desk.send(BUY, "0.01", "60000.0")


def own_owner(desk: Desk) -> OrderView:
    desk.maker(SELL, "0.01", "60000.0", account=ALICE_2)
    return desk.send(BUY, "0.01", "60000.0")


def own_owner_fok(desk: Desk) -> OrderView:
    desk.maker(SELL, "0.01", "60000.0", account=ALICE_2)
    return desk.send(BUY, "0.02", "60000.1", time_in_force=FOK)


def margin_gone_during_the_wait(desk: Desk) -> OrderView:
    desk.maker(SELL, "0.01", "61000")
    order = desk.venue.create_order(desk.request(BUY, "16", "59000"))
    desk.venue.set_mark(BTC, 70_000 * NANO)
    assert isinstance(order, OrderView)
    return order


def leverage_bracket_passed_during_the_wait(desk: Desk) -> OrderView:
    rich = Desk(deposit="100000000")
    desk.venue, desk.flow, desk.events = rich.venue, rich.flow, rich.events
    order = desk.venue.create_order(desk.request(BUY, "490", "59000"))
    desk.venue.set_mark(BTC, 62_000 * NANO)
    assert isinstance(order, OrderView)
    return order


def delisted(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000")
    desk.venue.set_mode(BTC, InstrumentMode.DELISTED)
    return order


def frozen_during_the_wait(desk: Desk) -> OrderView:
    order = desk.venue.create_order(desk.request(BUY, "0.01", "59000"))
    desk.venue.set_mode(BTC, InstrumentMode.FROZEN)
    assert isinstance(order, OrderView)
    return order


def failover(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000")
    assert desk.venue.fail_over() == 1
    return order


def signature_too_long(desk: Desk) -> OrderView:
    return desk.maker(BUY, "0.01", "59000", expires_in_ns=30 * DAY_NS + 1)


def disconnect_countdown(desk: Desk) -> OrderView:
    desk.venue.cancel_on_disconnect(ALICE, 5_999)
    order = desk.maker(BUY, "0.01", "59000")
    desk.wait_ns(5 * S_NS)
    return order


def replaced(desk: Desk) -> OrderView:
    order = desk.maker(BUY, "0.01", "59000")
    desk.venue.bulk_orders(ALICE, [desk.request(BUY, "0.01", "58000")], cancel_order_ids=[order.order_id])
    return order


C, R = OrderStatus.CANCELLED, OrderStatus.REJECTED
ENDS: list[tuple[Callable[[Desk], OrderView], OrderStatus, str]] = [
    (client_cancel, C, "CLIENT_CANCEL"),
    (client_cancel_while_pending, C, "CLIENT_CANCEL"),
    (cancelled_on_arrival, C, "CLIENT_CANCEL"),
    (bulk_cancel, C, "CLIENT_BULK_CANCEL"),
    (cancel_all, C, "CLIENT_BULK_CANCEL"),
    (market_rest, C, "MARKET_CANCEL"),
    (market_ioc_rest, C, "IOC_CANCEL"),
    (ioc_rest, C, "IOC_CANCEL"),
    (ioc_unfilled, C, "IOC_CANCEL"),
    (fok_too_large, C, "FOK_CANCEL"),
    (market_fok_too_large, C, "FOK_CANCEL"),
    (expiry, C, "EXPIRED"),
    (expiry_during_the_wait, R, "EXPIRED"),
    (post_only_cross, R, "FAIL_POST_ONLY"),
    (rpi_cross, R, "FAIL_POST_ONLY"),
    (reduce_only_too_late, R, "FAIL_REDUCE_ONLY"),
    (reduce_only_position_gone, C, "REDUCE_ONLY_LIMIT"),
    (reduce_only_trimmed_then_filled, C, "REDUCE_ONLY_LIMIT"),
    (own_sub_account, C, "SELF_MATCHED_SUBACCOUNT"),
    (own_owner, C, "SELF_TRADE_PROTECTION"),
    (own_owner_fok, C, "SELF_TRADE_PROTECTION"),
    (margin_gone_during_the_wait, R, "BELOW_MARGIN"),
    (leverage_bracket_passed_during_the_wait, R, "EXCEED_MAX_POSITION_SIZE"),
    (delisted, C, "INSTRUMENT_DEACTIVATED"),
    (frozen_during_the_wait, R, "INSTRUMENT_DEACTIVATED"),
    (failover, C, "SYSTEM_FAILOVER"),
    (signature_too_long, R, "EXCEED_MAX_SIGNATURE_EXPIRATION"),
    (disconnect_countdown, C, "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED"),
    (replaced, C, "CLIENT_REPLACE"),
]


@pytest.mark.parametrize(("story", "status", "reason"), ENDS, ids=[story.__name__ for story, _, _ in ENDS])
def test_order_ends_with_its_reason_and_is_closed_history(
    desk: Desk, story: Callable[[Desk], OrderView], status: OrderStatus, reason: str
) -> None:
    order = story(desk)
    desk.wait_ns(25 * MS_NS)
    client_order_id = order.terms.client_order_id
    closed = desk.venue.order(ALICE, client_order_id=client_order_id)
    assert closed is not None
    assert end_of(closed) == (status, OrderRejectReason[reason])
    assert closed.state.book_lots == 0
    assert desk.path(order)[-1] == (status, OrderRejectReason[reason])
    assert client_order_id not in [view.terms.client_order_id for view in desk.venue.open_orders(ALICE)]
    assert closed in desk.venue.order_history(ALICE).rows
