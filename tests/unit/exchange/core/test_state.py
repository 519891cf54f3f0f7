"""What survives a restart: the exported document, the events after it, and what is done about open orders."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    BOB,
    BTC,
    BUY,
    ETH,
    HOUR_NS,
    MS_NS,
    SELL,
    Desk,
    end_of,
)

from perpmaker.errors import DataError
from perpmaker.exchange.core.fees import TIERS
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.types import (
    NANO,
    CandleInterval,
    CandleType,
    Event,
    OrderRejectReason,
    OrderStatus,
    OrderUpdated,
    OrderView,
    TimeInForce,
)
from perpmaker.exchange.core.venue import Venue

FAILED_OVER = (OrderStatus.CANCELLED, OrderRejectReason.SYSTEM_FAILOVER)


def trade_a_while(desk: Desk) -> None:
    """Everything a state must hold: fills both ways, a flip, funding, fees and leverage set, closed and open orders."""
    desk.quote(BUY, "59999.8", "5")
    desk.venue.set_index(BTC, 60_010 * NANO)
    desk.market(BUY, "0.5")
    desk.maker(SELL, "0.2", "60000.0", account=BOB)
    desk.send(BUY, "0.2", "60000.0", time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    desk.venue.set_fee_tier(BOB, TIERS[3])
    desk.venue.set_leverage(ALICE, BTC, Decimal(7))
    desk.market(SELL, "1.5")
    desk.venue.pay_funding(rate_cb=123)
    desk.maker(BUY, "0.01", "59000", cid=1)
    desk.venue.cancel_order(ALICE, client_order_id=1)
    desk.maker(SELL, "0.02", "60000.0", cid=2)
    desk.hit(BUY, "0.01", "60000.0")
    desk.wait_ns(2 * HOUR_NS)
    desk.venue.create_order(desk.request(BUY, "0.01", "59000", cid=3))
    desk.collect()


def through_bytes(events: list[Event]) -> list[Event]:
    return [msgspec.json.decode(msgspec.json.encode(event), type=Event) for event in events]


def restore(desk: Desk, state: bytes, events: list[Event]) -> Venue:
    return Venue.restore(state, DEFAULT_INSTRUMENTS, now_ns=desk.venue.now_ns, events=through_bytes(events))


def assert_same_books(old: Venue, new: Venue) -> None:
    """The old venue's orders are failed over, too, to compare."""
    old.fail_over()
    assert new.ledger() == old.ledger()
    for account in (ALICE, BOB):
        assert new.order_history(account) == old.order_history(account)
        assert new.fill_history(account) == old.fill_history(account)
        assert new.funding_payments(account) == old.funding_payments(account)
        assert new.leverages(account) == old.leverages(account)
        assert new.fee_tier(account) == old.fee_tier(account)
    assert new.trades(BTC, 100) == old.trades(BTC, 100)
    for interval in CandleInterval:
        mine, theirs = (venue.candles(BTC, interval, CandleType.TRADE) for venue in (new, old))
        assert mine == theirs
    assert new.funding_history(BTC) == old.funding_history(BTC)


def test_document_alone_restores_everything(desk: Desk) -> None:
    trade_a_while(desk)
    restored = restore(desk, desk.venue.export_state(), [])
    assert_same_books(desk.venue, restored)
    assert restored.account_history(ALICE) == desk.venue.account_history(ALICE)
    assert restored.position_history(ALICE) == desk.venue.position_history(ALICE)
    ours, theirs = restored.ticker(BTC), desk.venue.ticker(BTC)
    assert (ours.mark_nano, ours.buy_volume_24h_lots, ours.high_ticks, ours.funding_rate_cb) == (
        theirs.mark_nano,
        theirs.buy_volume_24h_lots,
        theirs.high_ticks,
        theirs.funding_rate_cb,
    )


def test_events_alone_restore_the_books(desk: Desk) -> None:
    trade_a_while(desk)
    assert_same_books(desk.venue, restore(desk, b"", desk.events))


def test_document_and_later_events_restore_what_neither_has_alone(desk: Desk) -> None:
    desk.market(BUY, "0.3")
    desk.maker(SELL, "0.01", "61000", cid=50)
    document = desk.venue.export_state()
    desk.events.clear()
    trade_a_while(desk)
    desk.venue.cancel_order(ALICE, client_order_id=50)
    desk.collect()
    assert_same_books(desk.venue, restore(desk, document, desk.events))


def test_open_and_pending_orders_end_with_system_failover(desk: Desk) -> None:
    order = desk.maker(SELL, "0.02", "60000.0", cid=2)
    desk.hit(BUY, "0.01", "60000.0")
    desk.venue.create_order(desk.request(BUY, "0.01", "59000", cid=3))
    restored = restore(desk, desk.venue.export_state(), [])
    views = [event.order for event in restored.take_events() if isinstance(event, OrderUpdated)]
    assert [(view.terms.client_order_id, end_of(view)) for view in views] == [(2, FAILED_OVER), (3, FAILED_OVER)]
    assert views[0].state.traded_lots == 10
    assert restored.order(ALICE, order_id=order.order_id) == views[0]
    assert not restored.open_orders(ALICE)
    assert restored.book(BTC).version == 0


def test_counters_go_on_so_that_no_id_is_given_twice(desk: Desk) -> None:
    trade_a_while(desk)
    for state, events in ((desk.venue.export_state(), []), (b"", desk.events)):
        restored = restore(desk, state, events)
        restored.flow_limit(0, BTC, SELL, 600000, 10)
        request = desk.request(BUY, "0.01", "60000", expires_in_ns=HOUR_NS)
        restored.create_order(request)
        restored.advance(restored.now_ns + 25 * MS_NS)
        old_ids = [row.order_id for row in desk.venue.order_history(ALICE).rows]
        new = restored.order(ALICE, client_order_id=request.client_order_id)
        assert new is not None
        assert new.order_id not in old_ids
        assert new.order_id[-16:] > max(order_id[-16:] for order_id in old_ids)
        trade_ids = [fill.trade_id for fill in restored.fill_history(ALICE).rows]
        assert len(set(trade_ids)) == len(trade_ids)


def test_stored_bytes_resent_after_a_restart_make_no_second_order(desk: Desk) -> None:
    request = desk.request(BUY, "0.01", "59000", post_only=True, cid=5)
    desk.venue.create_order(request)
    desk.collect()
    for state, events in ((desk.venue.export_state(), []), (b"", desk.events)):
        restored = restore(desk, state, events)
        restored.take_events()
        assert isinstance(restored.create_order(request), OrderView)
        assert not restored.open_orders(ALICE)
        assert not restored.take_events()


def test_positions_of_all_participants_still_sum_to_zero(desk: Desk) -> None:
    trade_a_while(desk)
    restored = restore(desk, desk.venue.export_state(), [])
    clients = sum(view.qty_lots for account in (ALICE, BOB) for view in restored.positions(account))
    assert clients + restored.participant_lots(0, BTC) == 0
    assert restored.ticker(BTC).open_interest_lots == max(clients, -clients)


def test_time_goes_on_where_it_stood_if_the_clock_is_behind(desk: Desk) -> None:
    desk.wait_ns(HOUR_NS)
    desk.market(BUY, "0.01")
    for state, events in ((desk.venue.export_state(), []), (b"", desk.events)):
        restored = Venue.restore(state, DEFAULT_INSTRUMENTS, now_ns=1, events=events)
        assert restored.now_ns == desk.venue.now_ns
        assert restored.ticker(BTC).next_funding_ns == desk.venue.ticker(BTC).next_funding_ns


@pytest.mark.parametrize("state", [b"{", b"[]", b"{}", b'{"schema_version": 2}', b'{"schema_version": 1}'])
def test_unreadable_state_is_a_data_error(state: bytes) -> None:
    with pytest.raises(DataError, match="state: "):
        Venue.restore(state, DEFAULT_INSTRUMENTS, now_ns=1)


def test_state_of_an_instrument_no_longer_listed_is_a_data_error(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    with pytest.raises(DataError, match="BTC_USDT_Perp is no longer listed"):
        Venue.restore(desk.venue.export_state(), DEFAULT_INSTRUMENTS[1:], now_ns=1)


def test_fill_that_does_not_follow_from_the_books_is_a_data_error(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    desk.market(SELL, "0.01")
    without_the_first = [event for event in desk.events if getattr(event, "fill", None) != desk.fills()[0]]
    with pytest.raises(DataError, match="fill 2-1"):
        restore(desk, b"", without_the_first)


def test_ledger_adds_up_in_decimals(desk: Desk) -> None:
    trade_a_while(desk)
    desk.quote(SELL, "2600", "10", instrument=ETH)
    desk.market(BUY, "1", instrument=ETH)
    for account in desk.venue.ledger().accounts:
        fees = sum((Decimal(fill.fee) + Decimal(fill.builder_fee) for fill in account.fills), Decimal(0))
        realized = sum((Decimal(fill.realized_pnl) for fill in account.fills), Decimal(0))
        paid = sum((Decimal(row.amount) for row in account.funding_payments), Decimal(0))
        assert (fees, realized, paid) == (
            Decimal(account.fees),
            Decimal(account.realized_pnl),
            Decimal(account.funding),
        )
        assert Decimal(account.balance) == Decimal(account.deposits) + realized - fees - paid
        for position in account.positions:
            qty = sum(
                (Decimal(fill.qty) * (1 if fill.side == "BUY" else -1) for fill in account.fills
                 if fill.instrument == position.instrument),
                Decimal(0),
            )  # fmt: skip
            assert qty == Decimal(position.qty)


def test_ledger_lists_open_orders_with_what_is_left_of_them(desk: Desk) -> None:
    desk.maker(SELL, "0.02", "60000.0", cid=2)
    desk.hit(BUY, "0.01", "60000.0")
    desk.venue.create_order(desk.request(BUY, "0.01", "59000", cid=3))
    alice = desk.venue.ledger().accounts[0]
    assert [(row.client_order_id, row.status, row.qty, row.leaves_qty, row.cum_qty) for row in alice.open_orders] == [
        ("2", "OPEN", "0.02", "0.01", "0.01"),
        ("3", "PENDING", "0.01", "0.01", "0.0"),
    ]
