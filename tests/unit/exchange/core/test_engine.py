"""Matching and the life of an order."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    ALICE_2,
    BOB,
    BTC,
    BUY,
    MS_NS,
    SELL,
    START_NS,
    Desk,
    end_of,
)

from perpmaker.exchange.core.types import (
    OrderRejectReason,
    OrderStatus,
    OrderUpdated,
    OrderView,
    PositionUpdated,
    TimeInForce,
    TradePrinted,
)

NONE = OrderRejectReason.UNSPECIFIED
PENDING, OPEN, FILLED = OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.FILLED
RPI = TimeInForce.RETAIL_PRICE_IMPROVEMENT


def test_reply_to_a_creation_is_pending_without_an_order_id(desk: Desk) -> None:
    view = desk.venue.create_order(desk.request(BUY, "0.01", "59000", post_only=True))
    assert isinstance(view, OrderView)
    assert (view.order_id, view.state.status, view.state.book_lots) == ("0x00", PENDING, 10)


def test_post_only_order_opens_at_once_with_an_id_like_the_venues(desk: Desk) -> None:
    desk.venue.create_order(desk.request(BUY, "0.01", "59000", post_only=True, cid=5))
    order = desk.venue.order(ALICE, client_order_id=5)
    assert order is not None
    assert (order.order_id, order.state.status) == ("0x0101010503ababab0000000000000001", OPEN)
    assert desk.venue.order(ALICE, order_id=order.order_id.upper().replace("0X", "0x")) == order
    assert desk.venue.order(BOB, order_id=order.order_id) is None


def test_order_refused_by_the_engine_has_an_id_all_the_same(desk: Desk) -> None:
    order = desk.maker(BUY, "0.01", "60000.1")
    assert (order.order_id, order.state.status) == ("0x0101010503ababab0000000000000001", OrderStatus.REJECTED)
    assert desk.venue.order(ALICE, order_id=order.order_id) == order


def test_order_that_may_take_waits_25_ms_as_pending(desk: Desk) -> None:
    desk.venue.create_order(desk.request(BUY, "0.01", "60000.1", cid=5))
    desk.venue.advance(START_NS + 25 * MS_NS - 1)
    waiting = desk.venue.order(ALICE, client_order_id=5)
    assert waiting is not None
    assert (waiting.order_id, waiting.state.status) == ("0x00", PENDING)
    assert desk.venue.next_timer_ns() == START_NS + 25 * MS_NS
    desk.venue.advance(START_NS + 25 * MS_NS)
    desk.collect()
    assert [event.order.state.status for event in desk.seen(OrderUpdated)] == [PENDING, FILLED]
    assert desk.fills()[0].event_ns == START_NS + 25 * MS_NS


def test_maker_quotes_moved_during_the_wait_are_not_taken(desk: Desk) -> None:
    desk.venue.create_order(desk.request(BUY, "0.01", "60000.1", cid=5))
    desk.hit(BUY, "1")
    desk.wait_ns(25 * MS_NS)
    order = desk.venue.order(ALICE, client_order_id=5)
    assert order is not None
    assert (order.state.status, order.state.traded_lots) == (OPEN, 0)


def test_taker_pays_resting_prices_best_first_under_one_execution(desk: Desk) -> None:
    desk.quote(SELL, "60000.3", "1")
    order = desk.send(BUY, "1.5", "60000.3")
    assert [(fill.px_ticks, fill.qty_lots, fill.trade_id) for fill in desk.fills()] == [
        (600001, 1000, "1-1"),
        (600003, 500, "1-2"),
    ]
    assert end_of(order) == (FILLED, NONE)
    assert order.state.avg_px_nano == 60_000_166_666_667


def test_older_order_at_a_price_fills_first(desk: Desk) -> None:
    first = desk.maker(SELL, "0.01", "60000.0")
    second = desk.maker(SELL, "0.01", "60000.0", account=BOB)
    desk.hit(BUY, "0.015", "60000.0")
    assert [(fill.qty_lots, fill.order_id) for fill in desk.fills()] == [(10, first.order_id)]
    assert [(fill.qty_lots, fill.order_id) for fill in desk.fills(BOB)] == [(5, second.order_id)]


def test_partial_fill_keeps_the_order_open_and_moves_its_numbers(desk: Desk) -> None:
    order = desk.maker(SELL, "0.03", "60000.0")
    desk.hit(BUY, "0.01", "60000.0")
    now = desk.venue.order(ALICE, order_id=order.order_id)
    assert now is not None
    state = now.state
    assert (state.status, state.book_lots, state.traded_lots, state.avg_px_nano) == (OPEN, 20, 10, 60_000 * 10**9)
    assert desk.path(order) == [(OPEN, NONE), (OPEN, NONE)]


def test_rest_of_a_crossing_limit_order_stays_in_the_book(desk: Desk) -> None:
    order = desk.send(BUY, "1.5", "60000.1")
    assert (order.state.status, order.state.book_lots, order.state.traded_lots) == (OPEN, 500, 1000)
    assert desk.venue.book(BTC).best_bid_ticks == 600001
    assert desk.path(order) == [(PENDING, NONE), (OPEN, NONE)]


def test_events_of_a_fill_come_as_trade_then_fill_then_order_then_position(desk: Desk) -> None:
    desk.maker(SELL, "0.01", "60000.0")
    desk.events.clear()
    desk.hit(BUY, "0.01", "60000.0")
    names = [type(event).__name__ for event in desk.events]
    assert [name for name in names if not name.endswith("Changed")] == [
        "TradePrinted",
        "FillReported",
        "OrderUpdated",
        "PositionUpdated",
    ]


def test_both_clients_of_a_trade_get_the_same_trade_id_and_opposite_sides(desk: Desk) -> None:
    desk.maker(SELL, "0.01", "60000.0", account=BOB)
    desk.send(BUY, "0.01", "60000.0")
    (taker,), (maker,) = desk.fills(ALICE), desk.fills(BOB)
    assert (taker.trade_id, taker.side, taker.is_taker) == (maker.trade_id, BUY, True)
    assert (maker.side, maker.is_taker) == (SELL, False)
    (trade,) = [event.trade for event in desk.seen(TradePrinted)]
    assert (trade.trade_id, trade.is_taker_buyer, trade.qty_lots) == (taker.trade_id, True, 10)


def test_fill_or_kill_fills_whole_over_several_levels(desk: Desk) -> None:
    desk.quote(SELL, "60000.3", "1")
    order = desk.send(BUY, "2", "60000.3", time_in_force=TimeInForce.FILL_OR_KILL)
    assert end_of(order) == (FILLED, NONE)


def test_market_order_without_a_book_is_cancelled_whole() -> None:
    desk = Desk()
    assert end_of(desk.market(BUY, "0.01"))[1] is OrderRejectReason.MARKET_CANCEL


# RPI


def test_rpi_order_is_not_displayed_and_met_by_retail_flow_only(desk: Desk) -> None:
    order = desk.send(SELL, "0.01", "60000.0", time_in_force=RPI)
    assert order.state.status is OPEN
    assert desk.venue.book(BTC).best_ask_ticks == 600001
    desk.hit(BUY, "0.01")
    assert not desk.fills()
    desk.hit(BUY, "0.02", retail=True)
    assert [(fill.px_ticks, fill.qty_lots, fill.is_rpi) for fill in desk.fills()] == [(600000, 10, True)]
    assert [event.trade.is_rpi for event in desk.seen(TradePrinted)] == [False, True, False]


def test_retail_flow_takes_displayed_orders_first_at_one_price(desk: Desk) -> None:
    desk.send(SELL, "0.01", "60000.1", time_in_force=RPI)
    desk.hit(BUY, "1", retail=True)
    assert not desk.fills()
    desk.hit(BUY, "0.01", retail=True)
    assert desk.fills()[0].is_rpi


def test_displayed_order_may_rest_at_the_price_of_a_hidden_rpi_order(desk: Desk) -> None:
    desk.send(SELL, "0.01", "60000.0", time_in_force=RPI, account=BOB)
    assert end_of(desk.maker(BUY, "0.01", "60000.0")) == (OPEN, NONE)


def test_retail_fill_or_kill_counts_rpi_size(desk: Desk) -> None:
    desk.send(SELL, "1", "60000.0", time_in_force=RPI, account=BOB)
    order = desk.send(BUY, "2", "60000.1", time_in_force=TimeInForce.FILL_OR_KILL, retail=True)
    assert end_of(order) == (FILLED, NONE)


# own orders


@pytest.mark.parametrize(("other", "reason"), [(ALICE, "SELF_MATCHED_SUBACCOUNT"), (ALICE_2, "SELF_TRADE_PROTECTION")])
def test_own_match_stops_the_incoming_order_and_is_a_violation(desk: Desk, other: int, reason: str) -> None:
    resting = desk.maker(SELL, "0.01", "60000.1", account=other)
    incoming = desk.send(BUY, "1.5", "60000.1")
    assert incoming.state.traded_lots == 1000
    assert end_of(incoming) == (OrderStatus.CANCELLED, OrderRejectReason[reason])
    still = desk.venue.order(other, order_id=resting.order_id)
    assert still == resting
    (violation,) = desk.venue.ledger().violations
    assert msgspec.to_builtins(violation) == {
        "reason": reason,
        "instrument": BTC,
        "px": "60000.1",
        "event_ns": str(incoming.state.update_ns),
        "incoming_order_id": incoming.order_id,
        "incoming_sub_account_id": str(ALICE),
        "incoming_client_order_id": str(incoming.terms.client_order_id),
        "resting_order_id": resting.order_id,
        "resting_sub_account_id": str(other),
        "resting_client_order_id": str(resting.terms.client_order_id),
    }


def test_other_owners_trade_without_a_violation(desk: Desk) -> None:
    desk.maker(SELL, "0.01", "60000.0", account=BOB)
    assert end_of(desk.send(BUY, "0.01", "60000.0")) == (FILLED, NONE)
    assert not desk.venue.ledger().violations


def test_post_only_order_that_crosses_an_own_order_fails_post_only_without_a_violation(desk: Desk) -> None:
    desk.maker(SELL, "0.01", "60000.0")
    order = desk.maker(BUY, "0.01", "60000.0")
    assert end_of(order)[1] is OrderRejectReason.FAIL_POST_ONLY
    assert not desk.venue.ledger().violations


# reduce-only


def test_resting_reduce_only_orders_are_trimmed_as_the_position_shrinks(desk: Desk) -> None:
    desk.market(BUY, "0.05")
    far = desk.maker(SELL, "0.05", "61000", reduce_only=True)
    near = desk.maker(SELL, "0.03", "60500", reduce_only=True)
    desk.market(SELL, "0.03")
    states = [desk.venue.order(ALICE, order_id=order.order_id) for order in (far, near)]
    assert [(state.state.status, state.state.book_lots) for state in states if state] == [(OPEN, 20), (OPEN, 20)]
    assert desk.venue.book(BTC).at(SELL, 610000).qty_lots == 20


def test_reduce_only_order_never_turns_the_position(desk: Desk) -> None:
    """Both could close the whole position; the taker sweeps the two."""
    desk.market(BUY, "0.05")
    for px in ("60000.0", "60000.0"):
        desk.maker(SELL, "0.05", px, reduce_only=True)
    assert desk.hit(BUY, "0.1", "60000.0") == 50
    assert desk.lots() == 0
    assert not desk.venue.open_orders(ALICE)


def test_arriving_reduce_only_order_is_cut_to_what_is_left_of_the_position(desk: Desk) -> None:
    desk.market(BUY, "0.05")
    desk.venue.create_order(desk.request(SELL, "0.02", "59999.9", cid=1))
    desk.venue.create_order(desk.request(SELL, "0.05", "59999.9", reduce_only=True, cid=2))
    desk.wait_ns(25 * MS_NS)
    order = desk.venue.order(ALICE, client_order_id=2)
    assert order is not None
    assert (order.state.traded_lots, order.terms.qty_lots) == (30, 50)
    assert order.state.reason is OrderRejectReason.REDUCE_ONLY_LIMIT
    assert desk.lots() == 0


# positions on the stream


def test_closing_fill_sends_a_last_position_of_zero(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    desk.market(SELL, "0.01")
    positions = [event.position.qty_lots for event in desk.seen(PositionUpdated)]
    assert positions == [10, 0]
    assert not desk.venue.positions(ALICE)


# repeated payloads


def test_same_signed_payload_again_after_the_order_ended_is_acknowledged_and_dropped(desk: Desk) -> None:
    request = desk.request(BUY, "0.01", "59000", post_only=True, cid=5)
    desk.venue.create_order(request)
    desk.venue.cancel_order(ALICE, client_order_id=5)
    desk.collect()
    desk.events.clear()
    again = desk.venue.create_order(msgspec.structs.replace(request, client_order_id=6))
    assert isinstance(again, OrderView)
    assert again.state.status is PENDING
    assert not desk.collect()
    assert not desk.venue.open_orders(ALICE)


def test_other_nonce_makes_the_same_order_a_new_one(desk: Desk) -> None:
    desk.maker(BUY, "0.01", "59000", cid=5)
    desk.venue.cancel_order(ALICE, client_order_id=5)
    assert desk.maker(BUY, "0.01", "59000", cid=5).state.status is OPEN


def test_same_payload_while_the_order_is_active_is_2012(desk: Desk) -> None:
    request = desk.request(BUY, "0.01", "59000", post_only=True, cid=5)
    desk.venue.create_order(request)
    answer = desk.venue.create_order(request)
    assert getattr(answer, "code", None) == 2012
