"""From a wanted ladder to the fewest changes."""

from __future__ import annotations

import pytest
from tests.unit.execution.stage import BTC, BTC_ID, BUY, MAIN, MAKER, MS, OTHER, SELL, D, S, Stage, fill, report

from perpmaker.execution.tracked import TrackedOrder
from perpmaker.execution.working import Dropped, LadderChange, LadderRules, WorkingOrders, quote_slot, quote_tag
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    OrderPrepared,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import OrderState, TimeInForce
from perpmaker.model.quote import Quote


class Ladder:
    """A ladder on a stage: changes go through the gate and out, answers come when the test says."""

    def __init__(self, rules: LadderRules | None = None) -> None:
        self.stage = Stage()
        self.working = WorkingOrders(
            account=MAIN,
            strategy=MAKER,
            instrument=BTC_ID,
            table=self.stage.table,
            next_id=self.stage.ids.next,
            rules=rules or LadderRules(),
        )

    def change(self, bids: list[Quote], asks: list[Quote] | None = None, **more: int) -> LadderChange:
        book = self.stage.books.book(BTC_ID, self.stage.now)
        assert book is not None
        stands = self.working.stands(bids, asks or [], instrument=BTC, book=book, now_ns=self.stage.now)
        change = self.working.change(bids, asks or [], instrument=BTC, book=book, now_ns=self.stage.now, **more)
        assert change.is_empty or not stands
        return change

    def stands(self, bids: list[Quote]) -> bool:
        book = self.stage.books.book(BTC_ID, self.stage.now)
        assert book is not None
        return self.working.stands(bids, [], instrument=BTC, book=book, now_ns=self.stage.now)

    def send(self, change: LadderChange) -> list[TrackedOrder]:
        """Let a change leave; returns its new orders, SENT."""
        approved, _ = self.stage.table.admit(self.stage.gate, change.orders, self.stage.now)
        ids = [a.order.client_order_id for a in approved]
        self.working.sent(change, ids, self.stage.now)
        for cancel in change.cancels:
            self.apply(CancelSent(MAIN, cancel.client_order_id, self.stage.now))
        for coid in ids:
            self.apply(OrderPrepared(MAIN, coid, self.stage.now))
        return [self.stage.tracked(coid) for coid in ids]

    def rest(self, bids: list[Quote], asks: list[Quote] | None = None) -> list[TrackedOrder]:
        """Change, send, and have everything answered."""
        change = self.change(bids, asks)
        orders = self.send(change)
        for cancel in change.cancels:
            self.apply(report(cancel.client_order_id, VenueStatus.CANCELED, at=self.stage.now))
        for tracked in orders:
            self.apply(report(tracked.client_order_id, at=self.stage.now))
        return orders

    def apply(self, event) -> None:  # type: ignore[no-untyped-def]
        for change in self.stage.table.apply(event):
            self.working.on_change(change, self.stage.now)


def quote(px: str | float, qty: str = "0.01", layer: int = 0, tolerance_bps: float = 0.0) -> Quote:
    return Quote(px if isinstance(px, float) else D(px), D(qty), layer, tolerance_bps)


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def reasons(change: LadderChange) -> list[Dropped]:
    return [dropped.reason for dropped in change.dropped]


def test_an_empty_ladder_becomes_post_only_orders_rounded_outward(ladder: Ladder) -> None:
    change = ladder.change([quote(59_990.17, "0.0109")], [quote(60_010.11)])
    assert [(o.side, o.px, o.qty, o.post_only, o.tag) for o in change.orders] == [
        (BUY, D("59990.1"), D("0.010"), True, "quote bid 0"),
        (SELL, D("60010.2"), D("0.01"), True, "quote ask 0"),
    ]
    assert change.orders[0].expire_ns == ladder.stage.now + 120 * S
    assert change.cancels == ()


def test_the_same_ladder_again_changes_nothing(ladder: Ladder) -> None:
    ladder.rest([quote("59990")], [quote("60010")])
    change = ladder.change([quote("59990")], [quote("60010")])
    assert (change.is_empty, change.kept) == (True, 2)


def test_a_ladder_stands_until_a_wish_or_an_order_of_it_is_another(ladder: Ladder) -> None:
    wanted = [quote("59990"), quote("59980", layer=1)]
    assert not ladder.stands(wanted)
    first, second = ladder.rest(wanted)
    assert ladder.stands(wanted)
    assert ladder.stands([quote("59990"), quote("59980", layer=1)])
    assert not ladder.stands([quote("59990"), quote("59970", layer=1)])
    ladder.apply(fill(first.client_order_id, "0.004"))
    assert not ladder.stands(wanted)
    assert ladder.change(wanted).is_empty
    assert ladder.stands(wanted)
    ladder.apply(CancelSent(MAIN, second.client_order_id, ladder.stage.now))
    assert not ladder.stands(wanted)


def test_an_order_in_flight_that_fits_is_kept(ladder: Ladder) -> None:
    ladder.send(ladder.change([quote("59990")]))
    change = ladder.change([quote("59990")])
    assert (change.is_empty, change.kept, change.dropped) == (True, 1, ())


def test_an_order_within_tolerance_keeps_its_queue_place_whatever_the_others_do(ladder: Ladder) -> None:
    near, far = ladder.rest([quote("59990", layer=0), quote("59900", layer=1)])
    change = ladder.change([quote("59993", layer=0, tolerance_bps=1), quote("59800", layer=1, tolerance_bps=1)])
    assert change.kept == 1
    assert [c.client_order_id for c in change.cancels] == [far.client_order_id]
    assert [(o.px, o.tag) for o in change.orders] == [(D(59800), "quote bid 1")]
    assert near.state is OrderState.OPEN


def test_tolerance_is_measured_in_bps_of_the_wanted_price(ladder: Ladder) -> None:
    ladder.rest([quote("59940")])
    assert ladder.change([quote("59946", tolerance_bps=1.01)]).is_empty
    assert not ladder.change([quote("59946", tolerance_bps=0.99)]).is_empty


@pytest.mark.parametrize(("filled", "kept"), [("0.005", True), ("0.006", False)])
def test_a_partly_filled_order_is_kept_while_half_of_the_wanted_is_left(
    ladder: Ladder, filled: str, kept: bool
) -> None:
    (tracked,) = ladder.rest([quote("59990")])
    ladder.apply(fill(tracked.client_order_id, filled))
    assert ladder.change([quote("59990")]).is_empty is kept


def test_an_order_larger_than_wanted_is_replaced(ladder: Ladder) -> None:
    ladder.rest([quote("59990", "0.01")])
    assert ladder.change([quote("59990", "0.0095")]).kept == 0
    assert ladder.change([quote("59990", "0.0100")]).kept == 1
    assert not ladder.change([quote("59990", "0.005")]).is_empty


def test_a_quote_near_its_expiry_is_renewed(ladder: Ladder) -> None:
    (old,) = ladder.rest([quote("59990")])
    ladder.stage.now += 115 * S
    ladder.stage.refresh()
    change = ladder.change([quote("59990")])
    assert [c.client_order_id for c in change.cancels] == [old.client_order_id]
    assert len(change.orders) == 1


def test_what_is_not_wanted_is_withdrawn(ladder: Ladder) -> None:
    bid, ask = ladder.rest([quote("59990")], [quote("60010")])
    change = ladder.change([], [quote("60010")])
    assert [c.client_order_id for c in change.cancels] == [bid.client_order_id]
    assert change.orders == ()
    assert ask.state is OrderState.OPEN


def test_withdrawing_reaches_orders_in_flight_by_time_to_live(ladder: Ladder) -> None:
    ladder.rest([quote("59990", layer=0)])
    (flying,) = ladder.send(ladder.change([quote("59990", layer=0), quote("59980", layer=1)]))
    cancels = {c.client_order_id: c.ttl_ms for c in ladder.working.pull()}
    assert cancels[flying.client_order_id] == 5000
    assert sorted(cancels.values()) == [0, 5000]


def test_a_cancel_is_asked_for_once(ladder: Ladder) -> None:
    ladder.rest([quote("59990")])
    change = ladder.change([])
    ladder.working.sent(change, [], ladder.stage.now)
    assert ladder.change([]).is_empty
    assert ladder.working.pull() == ()


def test_a_moved_quote_is_cancelled_and_replaced_in_one_change_then_waits(ladder: Ladder) -> None:
    (old,) = ladder.rest([quote("59990")])
    change = ladder.change([quote("59970")])
    assert [c.client_order_id for c in change.cancels] == [old.client_order_id]
    (new,) = ladder.send(change)
    ladder.apply(report(new.client_order_id))
    again = ladder.change([quote("59950")])  # the old cancel is not confirmed: no third order on this layer
    assert (again.orders, reasons(again)) == ((), [Dropped.IN_FLIGHT])
    assert [c.client_order_id for c in again.cancels] == [new.client_order_id]
    ladder.apply(report(old.client_order_id, VenueStatus.CANCELED))
    ladder.send(again)
    assert reasons(ladder.change([quote("59950")])) == [Dropped.IN_FLIGHT]
    ladder.apply(report(new.client_order_id, VenueStatus.CANCELED))
    assert len(ladder.change([quote("59950")]).orders) == 1


def test_an_order_in_flight_at_the_wrong_price_is_waited_for(ladder: Ladder) -> None:
    (flying,) = ladder.send(ladder.change([quote("59990")]))
    change = ladder.change([quote("59970")])
    assert (change.is_empty, reasons(change)) == (True, [Dropped.IN_FLIGHT])
    ladder.apply(report(flying.client_order_id))
    assert len(ladder.change([quote("59970")]).cancels) == 1


def test_an_unknown_order_holds_its_layer(ladder: Ladder) -> None:
    (flying,) = ladder.send(ladder.change([quote("59990")]))
    ladder.apply(SubmitUnknown(MAIN, flying.client_order_id, "timeout", ladder.stage.now))
    change = ladder.change([quote("59970")])
    assert (change.is_empty, reasons(change)) == (True, [Dropped.IN_FLIGHT])


def test_at_most_two_requests_are_unanswered_but_cancels_go_out(ladder: Ladder) -> None:
    (resting,) = ladder.rest([quote("59990", layer=0)])
    first = ladder.send(ladder.change([quote("59990", layer=0), quote("59980", layer=1)]))
    ladder.send(ladder.change([quote("59990", layer=0), quote("59980", layer=1), quote("59970", layer=2)]))
    blocked = ladder.change([quote("59950", layer=0), quote("59980", layer=1), quote("59970", layer=2)])
    assert (blocked.orders, reasons(blocked)) == ((), [Dropped.UNANSWERED])
    assert [c.client_order_id for c in blocked.cancels] == [resting.client_order_id]
    ladder.apply(report(first[0].client_order_id))
    assert len(ladder.change([quote("59950", layer=0), quote("59980", layer=1)]).orders) == 1


def test_a_cancel_receipt_answers_a_request(ladder: Ladder) -> None:
    one, two = ladder.rest([quote("59990", layer=0), quote("59980", layer=1)])
    ladder.send(ladder.change([quote("59980", layer=1)]))
    ladder.send(ladder.change([]))
    assert reasons(ladder.change([quote("59960", layer=5)])) == [Dropped.UNANSWERED]
    ladder.apply(CancelReceived(MAIN, one.client_order_id, ladder.stage.now))
    assert reasons(ladder.change([quote("59960", layer=5)])) == []
    assert two.cancel_pending


def test_a_failed_cancel_answers_a_request_and_may_be_asked_again(ladder: Ladder) -> None:
    (resting,) = ladder.rest([quote("59990")])
    ladder.send(ladder.change([]))
    ladder.apply(CancelFailed(MAIN, resting.client_order_id, False, "timeout", ladder.stage.now))
    assert len(ladder.change([]).cancels) == 1


def test_prices_are_clipped_so_as_not_to_cross_the_venues_book(ladder: Ladder) -> None:
    change = ladder.change([quote("60005")], [quote("59990")])
    assert [(o.side, o.px) for o in change.orders] == [(BUY, D("60000.0")), (SELL, D("60000.0"))]


def test_a_quote_that_would_meet_an_own_live_order_waits(ladder: Ladder) -> None:
    ladder.stage.refresh(600_199, 600_201)
    ladder.stage.resting(SELL, px="60010", account=OTHER)
    change = ladder.change([quote("60010")])
    assert (change.is_empty, reasons(change)) == (True, [Dropped.OWN_CROSS])


def test_an_order_that_is_only_too_passive_stays_until_it_can_be_replaced(ladder: Ladder) -> None:
    ladder.rest([quote("59950")])
    change = ladder.change([quote("59990")], allowance=0)
    assert (change.is_empty, reasons(change)) == (True, [Dropped.NO_BUDGET])
    aggressive = ladder.change([quote("59940")], allowance=0)
    assert (len(aggressive.cancels), reasons(aggressive)) == (1, [Dropped.NO_BUDGET])


def test_inner_layers_get_the_budget_first(ladder: Ladder) -> None:
    bids = [quote("59970", layer=2), quote("59980", layer=1), quote("59990", layer=0)]
    change = ladder.change(bids, [quote("60010", layer=0)], allowance=3)
    assert [o.tag for o in change.orders] == ["quote bid 0", "quote ask 0", "quote bid 1"]
    assert [(d.layer, d.reason) for d in change.dropped] == [(2, Dropped.NO_BUDGET)]


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (quote(float("nan")), Dropped.BAD_PRICE),
        (quote(float("inf")), Dropped.BAD_PRICE),
        (quote("-5"), Dropped.BAD_PRICE),
        (quote("59990", "NaN"), Dropped.BAD_PRICE),
        (quote("59990", "0.0009"), Dropped.BELOW_MIN_QTY),
        (quote("59990", "0.001"), Dropped.BELOW_MIN_NOTIONAL),
        (quote("59990", layer=-1), Dropped.BAD_LAYER),
        (quote("59990", layer=256), Dropped.BAD_LAYER),
    ],
)
def test_a_quote_that_cannot_be_sent_is_dropped_with_its_reason(ladder: Ladder, wanted: Quote, reason: Dropped) -> None:
    change = ladder.change([wanted])
    assert (change.is_empty, reasons(change)) == (True, [reason])


def test_a_layer_stated_twice_counts_once(ladder: Ladder) -> None:
    change = ladder.change([quote("59990"), quote("59980")])
    assert ([o.px for o in change.orders], reasons(change)) == ([D(59990)], [Dropped.BAD_LAYER])


@pytest.mark.parametrize(
    "wanted",
    [quote(float("nan")), quote(1e308), quote("sNaN"), quote("59990", "NaN"), quote("59990", "sNaN", tolerance_bps=9)],
)
def test_a_quote_that_can_no_longer_be_sent_is_withdrawn(ladder: Ladder, wanted: Quote) -> None:
    ladder.rest([quote("59990")])
    change = ladder.change([wanted])
    assert (len(change.cancels), reasons(change)) == (1, [Dropped.BAD_PRICE])


def test_a_quantity_between_two_lots_keeps_the_order_of_the_lower_one(ladder: Ladder) -> None:
    ladder.rest([quote("59990", "0.0109", tolerance_bps=1)])
    assert ladder.change([quote("59990.5", "0.0103", tolerance_bps=1)]).kept == 1


def test_at_a_glance_and_in_full_the_same_orders_are_kept() -> None:
    """Walks the wanted price through the tolerance, where the quick look gives way to the exact one."""
    kept = []
    for step in range(-80, 80):
        ladder = Ladder()
        ladder.rest([quote("59940", tolerance_bps=1)])
        kept.append(ladder.change([quote(59_940 + step / 10, tolerance_bps=1)]).kept == 1)
    assert kept == [abs(59_940 - (59_940 + step / 10)) * 1e4 <= 59_940 + step / 10 for step in range(-80, 80)]


def test_rejections_hold_the_side_back_longer_each_time(ladder: Ladder) -> None:
    waits = []
    for _ in range(3):
        (flying,) = ladder.send(ladder.change([quote("59990")]))
        ladder.apply(report(flying.client_order_id, VenueStatus.REJECTED, reason="FAIL_POST_ONLY"))
        assert reasons(ladder.change([quote("59990")])) == [Dropped.REJECT_HOLD]
        assert len(ladder.change([], [quote("60010")]).orders) == 1
        waited = 0
        while ladder.change([quote("59990")]).is_empty:
            ladder.stage.now += 100 * MS
            waited += 100
            ladder.stage.refresh()
        waits.append(waited)
    assert waits == [500, 1000, 2000]
    (flying,) = ladder.send(ladder.change([quote("59990")]))
    ladder.apply(report(flying.client_order_id))
    ladder.apply(report(flying.client_order_id, VenueStatus.CANCELED))
    assert len(ladder.change([quote("59990")]).orders) == 1


def test_a_quote_the_gate_refused_is_not_offered_again_at_once(ladder: Ladder) -> None:
    ladder.send(ladder.change([quote("58000")]))
    assert reasons(ladder.change([quote("58000")])) == [Dropped.REJECT_HOLD]
    ladder.stage.now += 250 * MS
    assert len(ladder.change([quote("58000")]).orders) == 1


def test_orders_that_are_no_quotes_are_left_alone(ladder: Ladder) -> None:
    ladder.stage.resting(BUY, px="59990", tag="test order")
    assert ladder.change([]).is_empty
    assert ladder.working.pull() == ()


def test_after_a_restart_the_tags_give_the_ladder_back(ladder: Ladder) -> None:
    (resting,) = ladder.rest([quote("59990", layer=3)])
    again = WorkingOrders(
        account=MAIN, strategy=MAKER, instrument=BTC_ID, table=ladder.stage.table, next_id=ladder.stage.ids.next
    )
    assert [c.client_order_id for c in again.pull()] == [resting.client_order_id]


def test_two_orders_on_one_layer_leave_one(ladder: Ladder) -> None:
    good = ladder.stage.resting(BUY, px="59990", tag=quote_tag(BUY, 0))
    extra = ladder.stage.resting(BUY, px="59980", tag=quote_tag(BUY, 0))
    change = ladder.change([quote("59990")])
    assert [c.client_order_id for c in change.cancels] == [extra.client_order_id]
    assert (change.orders, good.state) == ((), OrderState.OPEN)


def test_a_tag_names_a_slot_and_nothing_else_does() -> None:
    assert quote_slot(quote_tag(SELL, 12)) == (SELL, 12)
    assert quote_slot("quote bid") is None
    with pytest.raises(ValueError, match="between 0 and 255"):
        quote_tag(BUY, 256)


def _retail(px: str, layer: int = 0) -> Quote:
    return Quote(D(px), D("0.01"), layer, rpi=True)


def test_a_retail_quote_becomes_an_rpi_order_that_is_no_part_of_the_public_book(ladder: Ladder) -> None:
    shown, hidden = ladder.rest([quote("59990"), _retail("59990", layer=128)])
    assert (shown.order.tif, hidden.order.tif) == (TimeInForce.GTT, TimeInForce.RPI)
    assert hidden.order.post_only
    assert ladder.stage.table.own_levels(BTC_ID).bids == {599_900: 10}
    assert ladder.change([quote("59990"), _retail("59990", layer=128)]).is_empty


def test_a_quote_that_became_retail_is_replaced(ladder: Ladder) -> None:
    (order,) = ladder.rest([quote("59990")])
    change = ladder.change([_retail("59990")])
    assert [cancel.client_order_id for cancel in change.cancels] == [order.client_order_id]
    assert [new.tif for new in change.orders] == [TimeInForce.RPI]
