"""Done-when 2: small tapes whose fills were worked out by hand; each docstring is the working.

Unless a case says otherwise the book is 100 bid for 10 and 101 offered for 10, and our order is one to buy 5 at 100.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from perpmaker.model.events import (
    CancelFailed,
    Fill,
    OrderNotFound,
    OrderPrepared,
    OrderReport,
    Source,
    SubmitRejected,
    SubmitUnknown,
)
from perpmaker.model.order import NewOrder, TimeInForce
from perpmaker.model.units import NS_PER_MS
from perpmaker.simulation import FeeSchedule, FillModel, MarginRules, QueueModel, margin_brackets

from .lab import BUY, MAIN, SELL, START_NS, Lab


def opened(**changes: object) -> Lab:
    lab = Lab(**changes)  # type: ignore[arg-type]
    lab.book(0, {100: 10, 99: 20}, {101: 10, 102: 20})
    return lab


def quoting(**changes: object) -> tuple[Lab, NewOrder]:
    """A bid of 5 at 100, sent at 10 and at the venue at 20, behind the 10 shown there."""
    lab = opened(**changes)
    return lab, lab.quote(10, BUY, 100, 5)


def test_01_queue_ahead_takes_the_trade_first() -> None:
    """10 stand before us; a trade of 8 leaves 2 of them, one of 3 takes these 2 and 1 of ours."""
    lab, order = quoting()
    lab.trade(30, 100, 8, SELL)
    assert lab.to(40).fills() == []
    lab.trade(50, 100, 3, SELL)
    assert lab.to(60).fills(order) == [(100, 1)]


def test_02_partial_fills_add_up_to_the_order_and_no_further() -> None:
    """The 10 ahead are traded at once; then 2, 2 and 9 trade: we get 2, 2 and the 1 that is left of 5."""
    lab, order = quoting()
    for ms, lots in ((30, 10), (40, 2), (50, 2), (60, 9)):
        lab.trade(ms, 100, lots, SELL)
    assert lab.to(80).fills(order) == [(100, 2), (100, 2), (100, 1)]
    assert lab.ended(order) == ("filled", "", 5)


def test_03_a_cancel_ahead_of_us_brings_us_forward_by_its_likely_part() -> None:
    """10 ahead, 10 come behind, then 4 vanish without a trade: n = 3 says half of them stood ahead, as 10**3 = 10**3.

    So 8 are ahead: a trade of 8 does not reach us, the next lot does.
    """
    lab, order = quoting()
    lab.level(30, BUY, 100, 20)
    lab.level(40, BUY, 100, 16)
    lab.trade(50, 100, 8, SELL)
    assert lab.to(60).fills() == []
    lab.trade(70, 100, 1, SELL)
    assert lab.to(80).fills(order) == [(100, 1)]


def test_04_a_risk_averse_queue_believes_that_others_cancel_behind_us() -> None:
    """As the case before, but all 4 stood behind: 10 are ahead still, so 10 must trade before us."""
    lab, order = quoting(queue_model=QueueModel.RISK_AVERSE)
    lab.level(30, BUY, 100, 20)
    lab.level(40, BUY, 100, 16)
    lab.trade(50, 100, 10, SELL)
    assert lab.to(60).fills() == []
    lab.trade(70, 100, 1, SELL)
    assert lab.to(80).fills(order) == [(100, 1)]


def test_05_what_traded_is_not_counted_as_cancelled_again() -> None:
    """A trade of 6 leaves 4 ahead, the book then shows 4: nobody cancelled, so 4 more must trade before our first lot."""
    lab, order = quoting()
    lab.trade(30, 100, 6, SELL)
    lab.level(31, BUY, 100, 4)
    lab.trade(40, 100, 4, SELL)
    assert lab.to(50).fills() == []
    lab.trade(60, 100, 2, SELL)
    assert lab.to(70).fills(order) == [(100, 2)]


def test_06_an_order_is_never_further_back_than_what_is_shown() -> None:
    """The level falls from 10 to 3 without a trade: with nobody behind us all 7 stood ahead; 3 are, then we."""
    lab, order = quoting()
    lab.level(30, BUY, 100, 3)
    lab.trade(40, 100, 4, SELL)
    assert lab.to(50).fills(order) == [(100, 1)]


def test_07_a_trade_through_our_price_fills_us_first_bounded_by_its_size() -> None:
    """Somebody sells 3 at 99: had our bid at 100 been there, these 3 had met it; 2 of ours are left."""
    lab, order = quoting()
    lab.trade(30, 99, 3, SELL)
    assert lab.to(40).fills(order) == [(100, 3)]
    assert lab.ended(order) == ("open", "", 3)


def test_08_one_trade_never_fills_two_own_orders_twice() -> None:
    """Bids of 5 at 100 and 5 at 99; 7 are sold at 98: 5 go to the better one, only the other 2 to the worse."""
    lab, first = quoting()
    second = lab.quote(20, BUY, 99, 5)
    lab.trade(50, 98, 7, SELL)
    lab.to(60)
    assert (lab.fills(first), lab.fills(second)) == ([(100, 5)], [(99, 2)])


def test_09_two_own_orders_at_one_price_share_what_passes_those_ahead() -> None:
    """Both stand behind the same 10. Of a trade of 17 those take 10, the older order 5, the younger the other 2."""
    lab, first = quoting()
    second = lab.quote(20, BUY, 100, 5)
    lab.trade(50, 100, 17, SELL)
    lab.to(60)
    assert (lab.fills(first), lab.fills(second)) == ([(100, 5)], [(100, 2)])


def test_10_an_order_that_crosses_on_arrival_takes_what_is_shown_level_by_level() -> None:
    """Buying 25 up to 102 of 10 at 101 and 20 at 102: 10 at 101, 15 at 102, as taker, heard 5 ms after its arrival."""
    lab = opened()
    order = lab.take(10, BUY, 102, 25)
    assert lab.to(40).fills(order) == [(101, 10), (102, 15)]
    assert lab.ended(order) == ("filled", "", 25)
    fill = lab.of(Fill)[0]
    assert (fill.is_taker, lab.heard_ms(fill)) == (True, (20, 25))


def test_11_an_immediate_order_is_cancelled_beyond_what_its_limit_reaches() -> None:
    """Buying 25 up to 101 finds 10; the other 15 are cancelled, never rest."""
    lab = opened()
    order = lab.take(10, BUY, 101, 25)
    assert lab.to(40).fills(order) == [(101, 10)]
    assert lab.ended(order) == ("canceled", "IOC_CANCEL", 10)


def test_12_what_one_order_took_another_does_not_find_again() -> None:
    """The tape goes on showing 10 at 101; our first order took 7 of them, so our second one finds 3."""
    lab = opened()
    lab.take(10, BUY, 101, 7)
    second = lab.take(30, BUY, 101, 7)
    assert lab.to(60).fills(second) == [(101, 3)]


def test_13_latency_race_a_trade_before_the_arrival_does_not_fill() -> None:
    """Sent at 10, at the venue at 20. 30 traded at 99 at 19: too early for us. The same at 21 fills us."""
    lab, order = quoting()
    lab.trade(19, 99, 30, SELL)
    assert lab.to(50).fills() == []
    lab.trade(51, 99, 30, SELL)
    assert lab.to(60).fills(order) == [(100, 5)]


def test_14_latency_race_a_cancel_under_way_is_too_late_for_a_trade_before_its_arrival() -> None:
    """The cancel leaves at 50 and arrives at 60; a trade at 59 fills 2 of ours, one at 61 finds nothing."""
    lab, order = quoting()
    lab.trade(30, 100, 10, SELL)
    lab.cancel(50, order)
    lab.trade(59, 100, 2, SELL)
    lab.trade(61, 100, 2, SELL)
    assert lab.to(90).fills(order) == [(100, 2)]
    assert lab.ended(order) == ("canceled", "CLIENT_CANCEL", 2)


def test_15_a_frame_that_is_very_late_fills_no_order_that_came_after_it() -> None:
    """A trade of 19 is heard 60 ms late, when our order of 20 rests already: it was not there at 19."""
    lab, _ = quoting()
    lab.trade(19, 99, 30, SELL, late_ms=60)
    assert lab.to(100).fills() == []


def test_16_a_post_only_order_that_would_take_is_rejected() -> None:
    """At 20 the offer stands at 101, where our bid wants to rest."""
    lab = opened()
    order = lab.quote(10, BUY, 101, 5)
    assert lab.to(40).fills() == []
    assert lab.ended(order) == ("rejected", "FAIL_POST_ONLY", 0)


def test_17_the_market_of_the_arrival_counts_not_the_one_we_saw() -> None:
    """We send at 10 a bid at 101 that takes nothing any more: at 15 the offer at 101 went, at 20 the order rests."""
    lab = opened()
    order = lab.send(10, lab.order(BUY, 101, 5))
    lab.level(15, SELL, 101, 0)
    assert lab.to(40).ended(order) == ("open", "", 0)


def test_18_a_book_that_reaches_our_price_met_us_at_our_price_with_what_it_shows() -> None:
    """The bids at 100 go, then 3 are offered at 100: they would have met our bid; 3 of 5 at 100, and never again."""
    lab, order = quoting()
    lab.level(30, BUY, 100, 0)
    lab.level(31, SELL, 100, 3)
    lab.level(32, SELL, 102, 4)
    assert lab.to(60).fills(order) == [(100, 3)]


def test_19_an_order_that_may_take_waits_25_ms_in_front_of_the_market() -> None:
    """Sent at 10, at the gateway at 20, at the market at 45: the offer at 101 went at 44, so it pays 102."""
    lab = opened(speed_bump_ns=25 * NS_PER_MS)
    order = lab.take(10, BUY, 102, 5)
    lab.level(44, SELL, 101, 0)
    assert lab.to(80).fills(order) == [(102, 5)]
    assert lab.heard_ms(lab.of(Fill)[0]) == (45, 50)


def test_20_a_cancel_meets_an_order_that_waits() -> None:
    lab = opened(speed_bump_ns=25 * NS_PER_MS)
    order = lab.take(10, BUY, 102, 5)
    lab.cancel(20, order)
    assert lab.to(80).fills() == []
    assert lab.ended(order) == ("canceled", "CLIENT_CANCEL", 0)


def test_21_funding_is_paid_on_what_is_held_at_the_boundary() -> None:
    """Long 5 at a mark of 100 at 1000 ms and a rate of 0.1 %: longs pay 0.5. The 5 more of the same instant come later."""
    lab = opened()
    lab.ticker(5, 100, funding="0.001", next_funding_ms=1000)
    lab.take(10, BUY, 101, 5)
    lab.take(990, BUY, 102, 5)
    lab.to(1100)
    assert lab.position == 10
    assert lab.funding() == [Decimal("-0.500000000")]
    assert lab.venue.accounts[MAIN].balance == Decimal("999999.5")


def test_22_a_short_receives_funding_and_a_flat_account_nothing() -> None:
    lab = opened()
    lab.ticker(5, 100, funding="0.001", next_funding_ms=1000)
    assert lab.to(1100).funding() == []
    lab.take(1110, SELL, 100, 2)
    lab.ticker(1200, 100, funding="0.001", next_funding_ms=2000)
    assert lab.to(2100).funding() == [Decimal("0.200000000")]


def test_23_liquidation_when_equity_falls_below_maintenance() -> None:
    """100 USD, leverage 10: long 8 at 101 is 808 of notional, 80.8 of initial margin. Maintenance is 2 % of notional.

    Equity at a mark of 91 is 100 - 80 = 20 over 14.56: held. At 90 it is 12 under 14.4: the 8 go at the best bids, 10 at
    100 in the book, at a fee of 1 %: 8. So 100 - 8 - 8 = 84 are left, and the resting bid is gone.
    """
    fees = FeeSchedule(Decimal(0), Decimal(0), Decimal("0.01"))
    lab = opened(balance=100, fees=fees, margin=MarginRules(leverage=10, maintenance_frac=Decimal("0.02")))
    lab.take(10, BUY, 101, 8)
    resting = lab.quote(30, BUY, 99, 1)
    lab.ticker(50, 91)
    assert lab.to(60).position == 8
    lab.ticker(70, 90)
    lab.to(90)
    assert lab.position == 0
    last = lab.of(Fill)[-1]
    assert (last.px, last.qty, last.fee, last.is_liquidation) == (100, 8, 8, True)
    assert lab.ended(resting) == ("canceled", "LIQUIDATION", 0)
    assert lab.venue.accounts[MAIN].balance == 84


TIERS = MarginRules(
    leverage=20,
    brackets={
        "BTC_USDT_Perp": margin_brackets(
            [
                (Decimal(1000), Decimal("0.02"), Decimal("0.05")),
                (Decimal(2000), Decimal("0.05"), Decimal("0.05")),
                (None, Decimal("0.10"), Decimal("0.20")),
            ]
        )
    },
)
"""Maintenance of a notional N: 0.02 N below 1000, 0.05 N - 30 below 2000, 0.10 N - 130 above."""


def test_23b_maintenance_margin_is_that_of_the_bracket_the_notional_is_in() -> None:
    """350 USD, leverage 20: short 19 at 100 is 1900, in the second bracket, 0.05 x 1900 - 30 = 65 to hold.

    At a mark of 105 it is 1995, still there: equity 350 - 95 = 255 over 69.75. At 110 it is 2090, in the third:
    0.10 x 2090 - 130 = 79 under 350 - 190 = 160: held. At 114 it is 2166: 86.6 over 350 - 266 = 84, so it is taken out,
    where the rate of the second bracket (78.3) and the first's (43.32) would have held it. The 10 offered at 101, the 9
    at 102: 1928 paid for 1900, at no fee, leave 350 - 28 = 322.
    """
    lab = opened(balance=350, margin=TIERS)
    lab.book(1, {100: 30}, {101: 10, 102: 20})
    lab.ticker(2, 100)
    lab.take(10, SELL, 100, 19)
    for ms, mark in ((50, 105), (70, 110), (90, 113)):
        lab.ticker(ms, mark)
        assert lab.to(ms + 10).position == -19
    lab.ticker(110, 114)
    assert lab.to(130).position == 0
    assert [(fill.px, fill.qty, fill.is_liquidation) for fill in lab.of(Fill)] == [
        (100, 19, False),
        (101, 10, True),
        (102, 9, True),
    ]
    assert lab.venue.accounts[MAIN].balance == 322


def test_23c_a_bracket_bounds_the_leverage_with_which_a_position_grows_into_it() -> None:
    """At leverage 20, 5 % of initial margin: 19 at 100 are in the second bracket, one more is in the third, of 20 %."""
    lab = opened(margin=TIERS)
    lab.ticker(2, 100)
    lab.quote(10, BUY, 99, 19)
    lab.quote(20, BUY, 98, 1)
    (refused,) = lab.to(40).of(SubmitRejected)
    assert (refused.client_order_id, refused.code) == (2, 2083)


@pytest.mark.parametrize("floor", [Decimal(1000), Decimal(2000)])
def test_23d_maintenance_margin_has_no_step_where_brackets_meet(floor: Decimal) -> None:
    nano = Decimal("1e-9")
    assert abs(TIERS.maintenance("BTC_USDT_Perp", floor) - TIERS.maintenance("BTC_USDT_Perp", floor - nano)) < nano


def test_23e_an_instrument_has_its_own_brackets_else_those_of_all_else_the_one_rate() -> None:
    own, everybody = TIERS.brackets["BTC_USDT_Perp"], margin_brackets([(None, Decimal("0.5"), None)])
    rules = MarginRules(10, Decimal("0.03"), {"BTC_USDT_Perp": own})
    assert rules.maintenance("BTC_USDT_Perp@elsewhere", Decimal(100)) == 2
    assert rules.maintenance("ETH_USDT_Perp", Decimal(100)) == 3
    both = MarginRules(10, Decimal("0.03"), {"BTC_USDT_Perp": own, "": everybody})
    assert both.maintenance("ETH_USDT_Perp", Decimal(100)) == 50


def test_24_an_order_beyond_the_initial_margin_is_refused() -> None:
    """100 USD at leverage 10 carry 1000 of notional at mark: 9 at 100 pass, 11 do not."""
    lab = opened(balance=100)
    lab.ticker(5, 100)
    lab.quote(10, BUY, 99, 9)
    lab.quote(20, BUY, 98, 2)
    (refused,) = lab.to(40).of(SubmitRejected)
    assert (refused.client_order_id, refused.code) == (2, 2080)


def test_24b_the_creations_of_a_request_are_judged_together_and_refused_together() -> None:
    """9 and 2 in one request: each alone fits into the 1000, both do not, so neither is taken; 9 and 1 are.

    2080 may be about one of them, so nothing is known of either: at the venue at 20, here at 25. Asked at 30, at the venue
    at 40, it says at 45 that it has none.
    """
    lab = opened(balance=100)
    lab.ticker(5, 100)
    lab.send(10, lab.order(BUY, 99, 9), lab.order(BUY, 98, 2))
    assert lab.to(24).of(SubmitUnknown) == []
    unknown = lab.to(30).of(SubmitUnknown)
    assert [(one.client_order_id, one.reason.split()[0]) for one in unknown] == [(1, "2080"), (2, "2080")]
    assert lab.of(SubmitRejected) == []
    lab.venue.query(MAIN, [one.client_order_id for one in unknown], lab.now_ns)
    assert lab.to(44).of(OrderNotFound) == []
    assert [one.client_order_id for one in lab.to(45).of(OrderNotFound)] == [1, 2]
    assert not lab.venue.accounts[MAIN].live
    lab.send(50, lab.order(BUY, 99, 9), lab.order(BUY, 98, 1))
    assert sorted(lab.to(80).venue.accounts[MAIN].live) == [3, 4]


def test_24c_a_replacement_is_judged_without_what_it_cancels() -> None:
    """9 at 99 rest of the 10 that the margin carries. 9 instead of them fit; 9 beside them would not."""
    lab = opened(balance=100)
    lab.ticker(5, 100)
    old = lab.quote(10, BUY, 99, 9)
    new = lab.order(BUY, 98, 9)
    lab.replace(30, [old], new)
    assert lab.to(60).of(SubmitRejected) == []
    assert lab.ended(old) == ("canceled", "CLIENT_REPLACE", 0)
    assert list(lab.venue.accounts[MAIN].live) == [new.client_order_id]


def test_24d_a_refused_replacement_cancels_nothing_until_the_cancels_come_by_themselves() -> None:
    """Sent at 30, at the venue at 40: 11 are beyond the margin. The refusal is here at 45, the cancel there at 55."""
    lab = opened(balance=100)
    lab.ticker(5, 100)
    old = lab.quote(10, BUY, 99, 9)
    lab.replace(30, [old], lab.order(BUY, 98, 11))
    assert list(lab.to(54).venue.accounts[MAIN].live) == [old.client_order_id]
    assert [refused.code for refused in lab.of(SubmitRejected)] == [2080]
    assert lab.to(70).ended(old) == ("canceled", "CLIENT_CANCEL", 0)
    (ended,) = [one for one in lab.of(OrderReport) if one.reason == "CLIENT_CANCEL"]
    assert lab.heard_ms(ended) == (55, 60)


def test_24e_where_each_order_of_a_request_counts_for_itself_the_others_stand() -> None:
    lab = opened(balance=100, whole_requests=False)
    lab.ticker(5, 100)
    old = lab.quote(10, BUY, 99, 9)
    fits, too_much = lab.order(BUY, 98, 9), lab.order(BUY, 97, 2)
    lab.replace(30, [old], fits, too_much)
    assert [one.client_order_id for one in lab.to(60).of(SubmitRejected)] == [too_much.client_order_id]
    assert lab.ended(old) == ("canceled", "CLIENT_REPLACE", 0)
    assert list(lab.venue.accounts[MAIN].live) == [fits.client_order_id]


def test_24f_an_id_that_is_in_use_proves_nothing_and_asking_shows_the_order_that_has_it() -> None:
    """Our own first copy may be the one that is active: 2012 leaves even a single order unknown."""
    lab = opened()
    first = lab.quote(10, BUY, 99, 5)
    lab.send(30, msgspec.structs.replace(first, px=Decimal(98)))
    (unknown,) = lab.to(50).of(SubmitUnknown)
    assert (unknown.client_order_id, unknown.reason.split()[0]) == (first.client_order_id, "2012")
    lab.venue.query(MAIN, [first.client_order_id], lab.now_ns)
    (found,) = [one for one in lab.to(70).of(OrderReport) if one.source is Source.QUERY]
    assert (found.px, found.status.value) == (99, "open")


def test_25_reduce_only_without_a_position_is_refused_and_else_trimmed() -> None:
    lab = opened(speed_bump_ns=25 * NS_PER_MS)
    lab.take(10, SELL, 100, 5, reduce_only=True)
    assert [refused.code for refused in lab.to(40).of(SubmitRejected)] == [2400]
    lab.take(50, BUY, 101, 5)
    lab.to(120)
    closing = lab.take(130, SELL, 100, 5, reduce_only=True)
    again = lab.take(131, SELL, 100, 5, reduce_only=True)
    lab.to(220)
    assert (lab.fills(closing), lab.fills(again), lab.position) == ([(100, 5)], [], 0)
    assert lab.ended(again) == ("rejected", "FAIL_REDUCE_ONLY", 0)


def test_26_fees_are_booked_by_who_took_and_rounded_for_the_venue() -> None:
    """2 bps to the taker of 3 at 101 is 0.0606; a third of a millionth to the maker is rounded up to a nano."""
    lab = opened(fees=FeeSchedule(Decimal("0.0000000000333"), Decimal("0.0002"), Decimal(0)))
    lab.take(10, BUY, 101, 3)
    lab.quote(30, BUY, 100, 5)
    lab.trade(60, 100, 15, SELL)
    lab.to(80)
    assert [fill.fee for fill in lab.of(Fill)] == [Decimal("0.060600000"), Decimal("0.000000017")]


def test_27_a_cancel_armed_before_its_order_meets_it_and_an_unmet_one_says_so() -> None:
    lab = opened()
    order = lab.order(BUY, 99, 5)
    lab.cancel(10, order, ttl_ms=300)
    lab.send(100, order)
    assert lab.to(150).ended(order) == ("canceled", "CLIENT_CANCEL", 0)
    lab.cancel(200, order, ttl_ms=300)
    assert lab.to(500).of(CancelFailed) == []
    (failed,) = lab.to(520).of(CancelFailed)
    assert failed.not_found


def test_28_an_order_expires_with_its_signature() -> None:
    lab = opened()
    order = lab.send(10, lab.order(BUY, 100, 5, expire_ns=START_NS + 500 * NS_PER_MS))
    lab.trade(600, 99, 50, SELL)
    assert lab.to(650).fills() == []
    assert lab.ended(order) == ("expired", "EXPIRED", 0)


def test_29_all_or_nothing_fills_whole_or_not_at_all() -> None:
    lab = opened()
    too_much = lab.take(10, BUY, 101, 11, tif=TimeInForce.FOK)
    enough = lab.take(30, BUY, 101, 10, tif=TimeInForce.FOK)
    lab.to(60)
    assert (lab.fills(too_much), lab.fills(enough)) == ([], [(101, 10)])
    assert lab.ended(too_much) == ("canceled", "FOK_CANCEL", 0)


def test_30_what_a_taking_order_leaves_rests_in_front_of_nobody() -> None:
    """Buying 15 at 101: 10 taken, 5 rest at 101 alone, as maker, and a sale of 2 there meets them."""
    lab = opened()
    order = lab.send(10, lab.order(BUY, 101, 15, post_only=False))
    lab.level(25, SELL, 101, 0)
    lab.trade(40, 101, 2, SELL)
    assert lab.to(60).fills(order) == [(101, 10), (101, 2)]
    assert [fill.is_taker for fill in lab.of(Fill)] == [True, False]


# --- the other fill models on the same tapes


def test_31_optimistic_fills_on_every_trade_at_our_price_bounded_by_its_size() -> None:
    lab, order = quoting(fill_model=FillModel.OPTIMISTIC)
    lab.trade(30, 100, 3, SELL)
    lab.trade(40, 100, 8, SELL)
    assert lab.to(60).fills(order) == [(100, 3), (100, 2)]


def test_32_pessimistic_fills_only_on_a_trade_beyond_our_price() -> None:
    lab, order = quoting(fill_model=FillModel.PESSIMISTIC)
    lab.trade(30, 100, 500, SELL)
    lab.level(31, BUY, 100, 0)
    lab.level(32, SELL, 100, 5)
    assert lab.to(40).fills() == []
    lab.trade(50, 99, 4, SELL)
    assert lab.to(60).fills(order) == [(100, 4)]


def test_33_classic_fills_a_cross_at_once_even_post_only() -> None:
    lab = opened(fill_model=FillModel.CLASSIC)
    order = lab.quote(10, BUY, 102, 500)
    assert lab.to(40).fills(order) == [(102, 500)]
    assert not lab.of(Fill)[0].is_taker


def test_34_classic_fills_at_the_touch_in_about_a_tenth_of_its_looks_once_a_second() -> None:
    """1000 looks at one order after the other at the touch; the seed gives 96, the binomial's 99.9 % is 69 to 132."""
    lab = opened(fill_model=FillModel.CLASSIC)
    lab.quote(10, BUY, 100, 1)
    filled = 0
    for second in range(1, 1001):
        lab.level(second * 1000, SELL, 102, 20)
        lab.level(second * 1000 + 1, SELL, 102, 21)  # no second look within the second
        lab.to(second * 1000 + 100)
        if len(lab.fills()) > filled:
            filled = len(lab.fills())
            lab.quote(second * 1000 + 200, BUY, 100, 1)
    assert 69 <= filled <= 132


# --- what every venue does


def test_35_an_order_is_prepared_accepted_open_in_this_order() -> None:
    lab, order = quoting()
    lab.to(60)
    told = [e for e in lab.events if getattr(e, "client_order_id", 0) == order.client_order_id]
    assert isinstance(told[0], OrderPrepared)
    assert [(r.status.value, r.source) for r in told[1:]] == [("pending", Source.REPLY), ("open", Source.STREAM)]
    assert lab.heard_ms(told[1]) == (20, 25)


def test_36_too_many_creations_are_refused_and_cancels_never() -> None:
    lab = opened(orders_per_s=1, orders_burst=2)
    orders = [lab.order(BUY, 90 + n, 1) for n in range(3)]
    lab.send(10, *orders)
    assert [(r.client_order_id, r.code) for r in lab.to(40).of(SubmitRejected)] == [(3, 1006)]
    for order in orders[:2]:
        lab.cancel(50, order)
    assert lab.to(100).ended(orders[1])[0] == "canceled"


def test_37_a_price_outside_of_the_band_is_refused() -> None:
    lab = opened(price_band_bps=500)
    lab.ticker(5, 100)
    lab.quote(10, BUY, 94, 1)
    lab.quote(20, BUY, 95, 1)
    assert [(r.client_order_id, r.code) for r in lab.to(40).of(SubmitRejected)] == [(1, 7201)]


def test_38_all_orders_are_cancelled_when_nobody_refreshes_the_countdown() -> None:
    lab, order = quoting()
    lab.venue.keep_alive(MAIN, 100 * NS_PER_MS, lab.now_ns)
    assert lab.to(90).ended(order)[0] == "open"
    assert lab.to(200).ended(order) == ("canceled", "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED", 0)


def test_39_a_position_that_shrinks_cuts_the_reduce_only_orders_on_it() -> None:
    lab = opened()
    lab.take(10, BUY, 101, 5)
    lab.to(30)
    resting = lab.quote(40, SELL, 105, 5, reduce_only=True)
    lab.take(60, SELL, 100, 2)
    assert lab.to(90).ended(resting)[0] == "open"
    lab.trade(100, 105, 50, BUY)
    lab.to(120)
    assert lab.fills(resting) == [(105, 3)]
    assert (lab.position, lab.ended(resting)) == (0, ("canceled", "REDUCE_ONLY_LIMIT", 3))


def test_41_reduce_only_orders_together_never_turn_a_position_round() -> None:
    """Long 5, two reduce-only asks of 5 at 105; 50 are bought there: the older closes, the younger is cut to nothing."""
    lab = opened()
    lab.take(10, BUY, 101, 5)
    first, second = (lab.quote(ms, SELL, 105, 5, reduce_only=True) for ms in (40, 41))
    lab.trade(100, 105, 50, BUY)
    lab.to(120)
    assert (lab.fills(first), lab.fills(second), lab.position) == ([(105, 5)], [], 0)
    assert lab.ended(second) == ("canceled", "REDUCE_ONLY_LIMIT", 0)


def test_42_what_one_of_ours_took_brings_no_other_of_ours_forward() -> None:
    """First behind 10, second behind 20. Of 15 sold 10 meet others and 5 the first; the tape shows 5 left, but with us
    there 10 of the second's 20 still stand: of 12 sold next, 10 meet those and 2 the second.
    """
    lab, first = quoting()
    lab.level(25, BUY, 100, 20)
    second = lab.quote(30, BUY, 100, 5)
    lab.trade(50, 100, 15, SELL)
    lab.level(51, BUY, 100, 5)
    lab.trade(60, 100, 12, SELL)
    lab.to(80)
    assert (lab.fills(first), lab.fills(second)) == ([(100, 5)], [(100, 2)])


def test_43_after_a_trade_beyond_our_price_nobody_stands_before_us() -> None:
    """10 stood ahead; 2 are sold at 99, so those are gone, whatever the book still shows: of 3 sold at 100 we get 3."""
    lab, order = quoting()
    lab.trade(30, 99, 2, SELL)
    lab.trade(40, 100, 3, SELL)
    assert lab.to(60).fills(order) == [(100, 2), (100, 3)]


@pytest.mark.parametrize("model", list(FillModel))
def test_40_the_same_tape_and_seed_give_the_same_events(model: FillModel) -> None:
    def told() -> bytes:
        lab, order = quoting(fill_model=model)
        for step in range(60):
            lab.trade(100 + step * 40, 99 + step % 3, 1 + step % 5, (BUY, SELL)[step % 2])
            lab.level(110 + step * 40, (BUY, SELL)[step % 2], 100 + step % 2, step % 7)
            lab.quote(120 + step * 40, (SELL, BUY)[step % 2], 101 - step % 2, 2)
        lab.cancel(3000, order)
        return msgspec.json.encode(lab.to(4000).events)

    assert told() == told()
