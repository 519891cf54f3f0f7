"""What a venue of another kind than GRVT asks of the core: own orders by choice, smallest sizes, plain ids, no wait."""

from __future__ import annotations

import msgspec
import pytest

from perpmaker.exchange.core.instruments import BTC as BTC_RULES
from perpmaker.exchange.core.types import (
    FundingSettled,
    Kind,
    OrderRejectReason,
    OrderStatus,
    Rejection,
    SelfTrade,
    Side,
    TimeInForce,
)
from perpmaker.exchange.core.venue import Venue, VenueLimits

from .desk import ALICE, BTC, HOUR_NS, START_NS, Desk

PLAIN = VenueLimits(speed_bump_ns=0, plain_ids=True)


def crossing(
    self_trade: SelfTrade, tif: TimeInForce = TimeInForce.GOOD_TILL_TIME
) -> tuple[Desk, OrderStatus, OrderStatus]:
    """Alice rests one order and meets it with the next; how both stand then."""
    desk = Desk(limits=PLAIN)
    desk.venue.create_order(desk.request(Side.SELL, "0.01", "60000", cid=1))
    desk.venue.create_order(desk.request(Side.BUY, "0.01", "60000", cid=2, self_trade=self_trade, time_in_force=tif))
    states = []
    for client_order_id in (1, 2):
        view = desk.venue.order(ALICE, client_order_id=client_order_id)
        assert view is not None
        states.append(view.state.status)
    return desk, states[0], states[1]


@pytest.mark.parametrize(
    ("self_trade", "resting", "incoming"),
    [
        (SelfTrade.CANCEL_TAKER, OrderStatus.OPEN, OrderStatus.CANCELLED),
        (SelfTrade.CANCEL_MAKER, OrderStatus.CANCELLED, OrderStatus.OPEN),
        (SelfTrade.CANCEL_BOTH, OrderStatus.CANCELLED, OrderStatus.CANCELLED),
    ],
)
def test_own_order_gives_way_as_chosen_and_is_written_down(
    self_trade: SelfTrade, resting: OrderStatus, incoming: OrderStatus
) -> None:
    desk, first, second = crossing(self_trade)
    assert (first, second) == (resting, incoming)
    (violation,) = desk.venue.ledger().violations
    assert violation.reason == OrderRejectReason.SELF_MATCHED_SUBACCOUNT.name
    assert desk.venue.positions(ALICE) == []


@pytest.mark.parametrize(
    ("self_trade", "resting"),
    [
        (SelfTrade.CANCEL_TAKER, OrderStatus.OPEN),
        (SelfTrade.CANCEL_MAKER, OrderStatus.OPEN),
        (SelfTrade.CANCEL_BOTH, OrderStatus.CANCELLED),
    ],
)
def test_fill_or_kill_never_counts_an_own_order(self_trade: SelfTrade, resting: OrderStatus) -> None:
    _, first, second = crossing(self_trade, TimeInForce.FILL_OR_KILL)
    assert (first, second) == (resting, OrderStatus.CANCELLED)


def test_smallest_size_may_be_several_steps() -> None:
    rules = msgspec.structs.replace(BTC_RULES, min_lots=5, min_notional_nano=0)
    desk = Desk(limits=PLAIN, instruments=(rules,))
    refused = desk.venue.create_order(desk.request(Side.BUY, "0.004", "50000"))
    assert isinstance(refused, Rejection)
    assert refused.code == 2062
    assert not isinstance(desk.venue.create_order(desk.request(Side.BUY, "0.006", "50000")), Rejection)


def test_plain_ids_count_orders_and_single_executions_over_a_restart() -> None:
    desk = Desk(limits=PLAIN)
    for step in range(12):
        desk.venue.flow_limit(desk.flow, BTC, Side.SELL, 600_000 + step, 1)
    desk.venue.create_order(desk.request(Side.BUY, "0.012", "60010", cid=1))
    (account, *_) = desk.venue.ledger().accounts
    assert [fill.trade_id for fill in account.fills] == [str(number) for number in range(1, 12 + 1)][
        : len(account.fills)
    ]
    assert {fill.order_id for fill in account.fills} == {"1"}
    for number in range(2, 12):
        desk.venue.create_order(desk.request(Side.BUY, "0.01", "50000", cid=number))
    events = desk.venue.take_events()
    opened = desk.events
    again = Venue.restore(b"", desk.venue.instruments, now_ns=START_NS, events=[*opened, *events], limits=PLAIN)
    again.take_events()
    again.create_order(desk.request(Side.BUY, "0.01", "50000", cid=99))
    (order,) = again.open_orders(ALICE)
    assert order.order_id == "12"


def test_order_arrives_at_once_without_a_wait() -> None:
    desk = Desk(limits=PLAIN)
    desk.venue.create_order(desk.request(Side.BUY, "0.01", "50000", cid=1))
    (order,) = desk.venue.open_orders(ALICE)
    assert order.state.status is OrderStatus.OPEN


def test_spot_listing_has_no_funding() -> None:
    spot = msgspec.structs.replace(BTC_RULES, name="SPOT", asset_id=9, kind=Kind.SPOT)
    desk = Desk(limits=PLAIN, instruments=(BTC_RULES, spot))
    desk.venue.advance(START_NS + 9 * HOUR_NS)
    settled = [event.rate.instrument for event in desk.venue.take_events() if isinstance(event, FundingSettled)]
    assert set(settled) == {BTC}
    assert [row.instrument for row in desk.venue.pay_funding()] == [BTC]
