"""What a restart does to triggers: those that did not fire go on waiting, and none fires twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    BTC,
    BUY,
    HOUR_NS,
    MARK,
    MS_NS,
    S_NS,
    SELL,
    STOP_LOSS,
    TAKE_PROFIT,
    Desk,
    at,
    end_of,
)

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.types import (
    NANO,
    BulkOutcome,
    Event,
    OrderRejectReason,
    OrderStatus,
    OrderUpdated,
    OrderView,
    Rejection,
)
from perpmaker.exchange.core.venue import Venue

WAIT_NS = 25 * MS_NS
FAILED_OVER = (OrderStatus.CANCELLED, OrderRejectReason.SYSTEM_FAILOVER)
OPEN = (OrderStatus.OPEN, OrderRejectReason.UNSPECIFIED)


class Lives:
    """A desk whose memory is a document, or the events since its first moment."""

    def __init__(self, desk: Desk, kept: str) -> None:
        self.desk = desk
        self.kept = kept

    def restart(self, *, after_ns: int = 0, written: int | None = None) -> Venue:
        """The next life, which begins `after_ns` later; of the events only the first `written` were kept."""
        desk = self.desk
        desk.collect()
        document = desk.venue.export_state() if self.kept == "document" else b""
        events: list[Event] = [] if document else desk.events[:written]
        through_bytes = [msgspec.json.decode(msgspec.json.encode(event), type=Event) for event in events]
        now_ns = desk.venue.now_ns + after_ns
        desk.venue = Venue.restore(document, DEFAULT_INSTRUMENTS, now_ns=now_ns, events=through_bytes)
        desk.flow = desk.venue.add_participant("flow")
        desk.events = desk.events[:written]
        desk.quote(BUY, "58000", "1")
        desk.collect()
        return desk.venue


@pytest.fixture(params=["document", "events"])
def lives(desk: Desk, request: pytest.FixtureRequest) -> Lives:
    """ALICE has 0.1 BTC."""
    desk.market(BUY, "0.1")
    return Lives(desk, request.param)


def stop(desk: Desk, level: str, **options: Any) -> OrderView:
    return desk.send(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=at(STOP_LOSS, level), **options)


def pair(desk: Desk) -> tuple[OrderView, OrderView]:
    requests = [
        desk.request(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=trigger)
        for trigger in (at(TAKE_PROFIT, "61000"), at(STOP_LOSS, "59000"))
    ]
    assert isinstance(desk.venue.bulk_orders(ALICE, requests), BulkOutcome)
    desk.collect()
    profit, loss = desk.venue.open_orders(ALICE)
    return profit, loss


def now(venue: Venue, order: OrderView) -> OrderView:
    found = venue.order(ALICE, client_order_id=order.terms.client_order_id)
    assert found is not None
    return found


def test_untriggered_order_waits_on_as_the_same_order(lives: Lives) -> None:
    order = stop(lives.desk, "59000")
    plain = lives.desk.maker(BUY, "0.01", "59000")
    venue = lives.restart()
    assert venue.open_orders(ALICE) == [order]
    assert venue.order(ALICE, order_id=order.order_id) == order
    assert end_of(now(venue, plain)) == FAILED_OVER
    lives.desk.index("59000")
    lives.desk.wait_ns(WAIT_NS)
    assert now(venue, order).state.status is OrderStatus.FILLED
    assert lives.desk.lots() == 0


def test_it_fires_once_however_often_the_exchange_restarts(lives: Lives) -> None:
    order = stop(lives.desk, "59000")
    for _ in range(3):
        lives.restart()
    lives.desk.index("59000")
    lives.desk.wait_ns(WAIT_NS)
    for _ in range(2):
        lives.restart()
        lives.desk.index("58000")
        lives.desk.wait_ns(S_NS)
    fired = {
        event.order.state.fired_ns
        for event in lives.desk.seen(OrderUpdated)
        if event.order.terms.client_order_id == order.terms.client_order_id and event.order.state.fired_ns
    }
    assert len(fired) == 1
    assert lives.desk.lots() == 0


def test_order_that_fired_and_waits_or_rests_is_failed_over(lives: Lives) -> None:
    waits = stop(lives.desk, "59000")
    rests = lives.desk.maker(SELL, "0.1", "62000", reduce_only=True, trigger=at(STOP_LOSS, "59000"))
    lives.desk.index("59000")
    venue = lives.restart()
    lives.desk.index("58000")
    lives.desk.wait_ns(S_NS)
    for order in (waits, rests):
        assert end_of(now(venue, order)) == FAILED_OVER
        assert now(venue, order).state.fired_ns
    assert lives.desk.lots() == 100


def test_order_that_expired_while_the_exchange_was_down_does_not_fire(lives: Lives) -> None:
    order = stop(lives.desk, "59000", expires_in_ns=HOUR_NS)
    venue = lives.restart(after_ns=2 * HOUR_NS)
    venue.advance(venue.now_ns)
    assert end_of(now(venue, order)) == (OrderStatus.CANCELLED, OrderRejectReason.EXPIRED)
    lives.desk.index("59000")
    assert lives.desk.lots() == 100


def test_same_payload_is_known_after_a_restart(lives: Lives) -> None:
    request = lives.desk.request(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=at(STOP_LOSS, "59000"))
    lives.desk.venue.create_order(request)
    venue = lives.restart()
    assert venue.create_order(request) == Rejection(2012, str(request.client_order_id))
    lives.desk.index("59000")
    lives.desk.wait_ns(WAIT_NS)
    assert lives.desk.lots() == 0
    assert len(lives.desk.fills()) == 2


def test_margin_and_the_limit_of_open_orders_are_held_again(lives: Lives) -> None:
    lives.desk.send(BUY, "0.2", "61000", trigger=at(STOP_LOSS, "61000"))
    before = lives.desk.venue.account(ALICE)
    venue = lives.restart()
    after = venue.account(ALICE)
    assert before is not None
    assert after is not None
    assert after.initial_margin_nano == before.initial_margin_nano
    assert after.initial_margin_nano == 1_800 * NANO
    venue.cancel_all(ALICE)
    closed = venue.account(ALICE)
    assert closed is not None
    assert closed.initial_margin_nano == 600 * NANO


def test_pair_stays_a_pair(lives: Lives) -> None:
    profit, loss = pair(lives.desk)
    venue = lives.restart()
    assert venue.open_orders(ALICE) == [profit, loss]
    lives.desk.index("61000")
    assert end_of(now(venue, loss)) == (OrderStatus.CANCELLED, OrderRejectReason.OCO_COUNTER_PART_TRIGGERED)
    lives.desk.wait_ns(WAIT_NS)
    assert now(venue, profit).state.status is OrderStatus.FILLED


def group(desk: Desk) -> list[OrderView]:
    """A purchase of 0.1 at 59,999.9, and what closes it."""
    requests = [desk.request(BUY, "0.1", "59999.9", post_only=True)]
    requests += [
        desk.request(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=trigger)
        for trigger in (at(TAKE_PROFIT, "61000"), at(STOP_LOSS, "59000"))
    ]
    outcome = desk.venue.bulk_orders(ALICE, requests)
    assert isinstance(outcome, BulkOutcome)
    desk.collect()
    return [now(desk.venue, view) for view in outcome.orders]


def test_group_whose_first_order_is_failed_over_goes_with_it(lives: Lives) -> None:
    orders = group(lives.desk)
    venue = lives.restart()
    assert [end_of(now(venue, order)) for order in orders] == [FAILED_OVER] * 3


def test_group_whose_first_order_traded_in_part_protects_that_part(lives: Lives) -> None:
    """The position is 0.1 and what the purchase got, 0.04; the stop sells its whole 0.1 of it."""
    orders = group(lives.desk)
    lives.desk.hit(SELL, "1.04", "59999.9")
    venue = lives.restart()
    assert end_of(now(venue, orders[0])) == FAILED_OVER
    assert [end_of(now(venue, order)) for order in orders[1:]] == [OPEN] * 2
    lives.restart()
    lives.desk.index("59000")
    lives.desk.wait_ns(WAIT_NS)
    assert lives.desk.lots() == 40


@pytest.mark.parametrize("place", range(8))
def test_log_cut_anywhere_in_the_fill_of_a_group_leaves_all_of_it_or_nothing(desk: Desk, place: int) -> None:
    orders = group(desk)
    whole = len(desk.events)
    desk.hit(SELL, "1.1", "59999.9")
    lives = Lives(desk, "events")
    venue = lives.restart(written=whole + place)
    protected = [end_of(now(venue, order)) == OPEN for order in orders[1:]]
    filled = desk.lots() == 100
    assert protected in ([filled] * 2, [now(venue, orders[0]).state.traded_lots > 0] * 2)


def test_countdown_goes_on_over_a_restart(lives: Lives) -> None:
    order = stop(lives.desk, "59000")
    lives.desk.venue.cancel_on_disconnect(ALICE, 10_000)
    lives.desk.wait_ns(4 * S_NS)
    venue = lives.restart(after_ns=5 * S_NS)
    lives.desk.wait_ns(S_NS - 1)
    assert end_of(now(venue, order)) == OPEN
    lives.desk.wait_ns(1)
    gone = (OrderStatus.CANCELLED, OrderRejectReason.CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED)
    assert end_of(now(venue, order)) == gone


def test_countdown_that_is_over_or_off_takes_no_later_order(lives: Lives) -> None:
    lives.desk.venue.cancel_on_disconnect(ALICE, 2_000)
    lives.desk.wait_ns(3 * S_NS)
    order = stop(lives.desk, "59000")
    venue = lives.restart()
    venue.cancel_on_disconnect(ALICE, 2_000)
    venue.cancel_on_disconnect(ALICE, 0)
    venue = lives.restart(after_ns=HOUR_NS)
    lives.desk.wait_ns(S_NS)
    assert end_of(now(venue, order)) == OPEN


@pytest.mark.parametrize("place", range(6))
def test_log_cut_anywhere_in_the_firing_of_a_pair_fires_at_most_one(desk: Desk, place: int) -> None:
    """The kill comes while the events of the firing are written: fired, the counterpart's end, later the fill."""
    desk.market(BUY, "0.1")
    lives = Lives(desk, "events")
    profit, loss = pair(desk)
    whole = len(desk.events)
    desk.index("61000")
    desk.wait_ns(WAIT_NS)
    venue = lives.restart(written=whole + place)
    desk.index("59000")
    desk.wait_ns(WAIT_NS)
    desk.index("61000")
    desk.wait_ns(WAIT_NS)
    ends = [now(venue, order).state for order in (profit, loss)]
    assert sum(state.traded_lots for state in ends) in {0, 100}
    assert sum(bool(state.fired_ns) for state in ends) == 1
    assert desk.lots() in {0, 100}
    assert not venue.open_orders(ALICE)


def test_mark_that_was_held_is_let_go_and_fires_nothing(lives: Lives) -> None:
    order = lives.desk.send(SELL, "0.1", None, is_market=True, reduce_only=True, trigger=at(STOP_LOSS, "59000", MARK))
    venue = lives.restart()
    lives.desk.index("60000")
    assert end_of(now(venue, order)) == OPEN
    venue.set_mark(BTC, 59_000 * NANO)
    assert now(venue, order).state.fired_ns == venue.now_ns
