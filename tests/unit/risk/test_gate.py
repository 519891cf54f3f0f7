"""The gate: what passes, what does not, and by which code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.execution.stage import (
    BTC,
    BTC_ID,
    BUY,
    ETH_ID,
    MAIN,
    MS,
    OTHER,
    SELL,
    T0,
    D,
    S,
    Stage,
    fill,
    replaced,
    ticker,
)

from perpmaker.model.events import BookStale, StaleReason, SubmitUnknown
from perpmaker.model.ids import AccountId, instrument_id
from perpmaker.model.order import Approved
from perpmaker.risk.codes import MEANING, Code
from perpmaker.risk.gate import ReadyState
from perpmaker.risk.halts import Halt
from perpmaker.risk.limits import Limits


@pytest.fixture
def stage() -> Stage:
    return Stage()


def limit(stage: Stage, **limits: Any) -> None:
    stage.limits[MAIN] = replaced(stage.limits[MAIN], **limits)


def test_an_order_inside_every_limit_is_approved_with_the_kill_epoch(stage: Stage) -> None:
    stage.kill.restore(epoch=41, latched=False)
    order = stage.order()
    assert stage.gate.check(order, stage.now) == Approved(order, 41)


def test_every_code_is_documented() -> None:
    assert set(MEANING) == set(Code)
    assert all(code.value == code.name for code in Code)


def test_the_kill_latch_refuses_everything_even_what_reduces(stage: Stage) -> None:
    stage.trade(BUY, "0.05", trade="t")
    stage.kill.trip("operator", T0)
    assert stage.check() == "KILLED"
    assert stage.check(SELL, "60010", "0.01", reduce_only=True) == "KILLED"


def test_nothing_passes_unarmed(stage: Stage) -> None:
    stage.gate.armed = False
    assert stage.check() == "NOT_ARMED"


def test_an_account_that_is_unknown_unopened_or_without_limits_is_refused(stage: Stage) -> None:
    assert stage.check(account=AccountId("nobody")) == "UNKNOWN_ACCOUNT"
    del stage.limits[OTHER]
    assert stage.check(account=OTHER) == "UNKNOWN_ACCOUNT"
    stage.account._opened = False
    assert stage.check() == "UNKNOWN_ACCOUNT"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ReadyState.STARTING, "NOT_READY"),
        (ReadyState.PRIVATE_DOWN, "PRIVATE_DOWN"),
        (ReadyState.FROZEN, "FROZEN"),
        (ReadyState.READY, ""),
    ],
)
def test_readiness_is_needed(stage: Stage, state: ReadyState, code: str) -> None:
    stage.readiness.states[(MAIN, BTC_ID)] = state
    assert stage.check() == code


def test_a_frozen_instrument_lets_pass_what_only_reduces(stage: Stage) -> None:
    limit(stage, max_order_notional=D(10_000))
    stage.trade(BUY, "0.05", trade="t")
    stage.readiness.states[(MAIN, BTC_ID)] = ReadyState.FROZEN
    assert stage.check(SELL, "60010", "0.05") == ""
    assert stage.check(SELL, "60010", "0.051") == "FROZEN"
    assert stage.check(BUY) == "FROZEN"


def test_an_instrument_the_venue_does_not_list_is_refused(stage: Stage) -> None:
    assert stage.check(instrument=instrument_id("DOGE_USDT_Perp")) == "UNKNOWN_INSTRUMENT"


def test_a_stale_book_is_refused(stage: Stage) -> None:
    stage.books.apply(BookStale(BTC_ID, StaleReason.GAP, stage.now))
    assert stage.check() == "STALE_DATA"
    stage.refresh()
    assert stage.check() == ""
    stage.now += 2 * S + 1
    assert stage.check() == "STALE_DATA"


@pytest.mark.parametrize(
    ("px", "qty"),
    [
        ("59990.05", "0.01"),
        ("59990", "0.0105"),
        ("59990", "0"),
        ("59990", "-0.01"),
        ("-59990", "0.01"),
        ("NaN", "0.01"),
        ("59990", "NaN"),
        ("sNaN", "0.01"),
        ("Infinity", "0.01"),
        ("59990", "Infinity"),
        ("-Infinity", "0.01"),
    ],
)
def test_figures_that_are_no_exact_positive_multiples_are_refused(stage: Stage, px: str, qty: str) -> None:
    assert stage.check(px=px, qty=qty) == "INEXACT"


def test_an_unpriced_market_order_is_refused(stage: Stage) -> None:
    assert stage.check(px=None) == "NO_PRICE"


@pytest.mark.parametrize(
    ("px", "code"), [("59400", ""), ("59399.9", "PRICE_COLLAR"), ("60600", ""), ("60600.1", "PRICE_COLLAR")]
)
def test_prices_stay_within_a_hundred_bps_of_the_mark(stage: Stage, px: str, code: str) -> None:
    assert stage.check(px=px) == code


@pytest.mark.parametrize(("px", "code"), [("59700", ""), ("59500", "PRICE_COLLAR")])
def test_the_worst_of_mark_and_index_counts(stage: Stage, px: str, code: str) -> None:
    stage.books.apply(ticker(mark="60000", index="60300"))
    assert stage.check(px=px) == code


def test_own_mid_counts_beside_the_mark(stage: Stage) -> None:
    stage.refresh(bid=603_999, ask=604_001)
    assert stage.check(px="59700") == "PRICE_COLLAR"
    assert stage.check(px="60500") == ""


def test_without_a_recent_mark_nothing_passes(stage: Stage) -> None:
    stage.now += 10 * S
    stage.refresh()
    stage.now += 10 * S
    stage.books.apply(ticker(mark=None, index="60000", at=stage.now))
    assert stage.check() == ""
    stage.now += 1
    stage.books.apply(ticker(mark=None, index="60000", at=stage.now))
    assert stage.check() == "NO_REFERENCE"


def test_sizes_below_the_instruments_minimum_are_refused(stage: Stage) -> None:
    assert stage.check(qty="0.001") == "MIN_SIZE"
    assert stage.check(qty="0.002") == ""


def test_sizes_above_the_instruments_maximum_are_refused(stage: Stage) -> None:
    stage.books._feeds[BTC_ID].book.instrument = replaced(BTC, max_position_qty=D("0.012"))
    assert stage.check(qty="0.013") == "MAX_SIZE"
    stage.trade(BUY, "0.006", trade="t")
    assert stage.check(qty="0.006") == ""
    assert stage.check(qty="0.007") == "MAX_POSITION"


def test_an_orders_notional_is_judged_at_the_highest_price_known(stage: Stage) -> None:
    limit(stage, max_order_notional=D(600))
    assert stage.check(BUY, "60000", "0.01") == ""
    assert stage.check(SELL, "60000.1", "0.01") == "MAX_ORDER_NOTIONAL"
    stage.books.apply(ticker(mark="60000", index="60100"))
    assert stage.check(BUY, "60000", "0.01") == "MAX_ORDER_NOTIONAL"


@pytest.mark.parametrize(
    ("side", "qty", "code"), [(SELL, "0.05", ""), (SELL, "0.051", "REDUCE_ONLY"), (BUY, "0.01", "REDUCE_ONLY")]
)
def test_a_reduce_only_order_must_only_reduce(stage: Stage, side: Any, qty: str, code: str) -> None:
    limit(stage, max_order_notional=D(10_000))
    stage.trade(BUY, "0.05", trade="t")
    assert stage.check(side, "60010", qty, reduce_only=True) == code


@pytest.mark.parametrize(("side", "prices"), [(BUY, ("59990", "59980")), (SELL, ("60010", "60020"))])
def test_what_already_reduces_counts_against_what_still_may(stage: Stage, side: Any, prices: tuple[str, str]) -> None:
    stage.trade(side.opposite, "0.05", trade="t")
    for px in prices:
        stage.resting(side, px=px, qty="0.015")
    limit(stage, max_position_notional=D(1))
    assert stage.check(side, prices[1], "0.016", reduce_only=True) == ""
    stage.resting(side, px=prices[1], qty="0.01")
    assert stage.check(side, prices[1], "0.011", reduce_only=True) == "REDUCE_ONLY"
    assert stage.check(side, prices[1], "0.011") == "MAX_POSITION"
    assert stage.check(side, prices[1], "0.01") == ""


def test_reduce_only_without_a_position_is_refused(stage: Stage) -> None:
    assert stage.check(reduce_only=True) == "REDUCE_ONLY"


@pytest.mark.parametrize("account", [MAIN, OTHER])
@pytest.mark.parametrize("answered", [True, False])
def test_no_order_may_meet_an_own_one_of_any_account_resting_or_in_flight(
    stage: Stage, account: AccountId, answered: bool
) -> None:
    make = stage.resting if answered else stage.admit
    make(SELL, px="60010", account=account)
    assert stage.check(BUY, "60009.9") == ""
    assert stage.check(BUY, "60010") == "OWN_CROSS"
    assert stage.check(BUY, "60020") == "OWN_CROSS"
    make(BUY, px="59990", account=account)
    assert stage.check(SELL, "59990.1") == ""
    assert stage.check(SELL, "59990") == "OWN_CROSS"


def test_what_only_reduces_may_not_meet_an_own_order_either(stage: Stage) -> None:
    stage.trade(BUY, "0.05", trade="t")
    stage.resting(BUY, px="59990")
    assert stage.check(SELL, "59990", "0.01", reduce_only=True) == "OWN_CROSS"


def test_orders_of_another_instrument_do_not_meet(stage: Stage) -> None:
    stage.resting(SELL, px="2601", qty="0.1", instrument=ETH_ID)
    assert stage.check(BUY, "60010") == ""


def test_the_position_counts_every_open_and_unanswered_order_as_filled(stage: Stage) -> None:
    limit(stage, max_position_notional=D(1800))
    stage.resting(BUY, px="59990")
    stage.admit(BUY, px="59980")
    assert stage.check(BUY, "59970") == ""
    unknown = stage.sent(BUY, px="59970")
    stage.apply(SubmitUnknown(MAIN, unknown.client_order_id, "timeout", T0))
    assert stage.check(BUY, "59960") == "MAX_POSITION"
    assert stage.check(SELL, "60010", "0.01") == ""


def test_the_sides_of_a_ladder_do_not_net(stage: Stage) -> None:
    limit(stage, max_position_notional=D(600))
    stage.resting(BUY, px="59990")
    assert stage.check(SELL, "60000", "0.01") == ""
    assert stage.check(BUY, "59980", "0.002") == "MAX_POSITION"


def test_the_position_limit_holds_on_the_short_side(stage: Stage) -> None:
    limit(stage, max_position_notional=D(1200))
    stage.trade(SELL, "0.01", trade="t")
    assert stage.check(SELL, "60000", "0.01") == ""
    assert stage.check(SELL, "60000", "0.011") == "MAX_POSITION"


def test_each_instrument_has_the_whole_position_limit(stage: Stage) -> None:
    stage.trade(BUY, "0.083", trade="t")
    assert stage.check(BUY, "59990") == "MAX_POSITION"
    assert stage.check(BUY, "2599", "0.3", instrument=ETH_ID) == ""


def test_a_position_beyond_the_limit_may_still_be_reduced(stage: Stage) -> None:
    stage.trade(BUY, "1", trade="t")
    assert stage.check(SELL, "60010", "0.016") == ""
    assert stage.check(BUY, "59990", "0.002") == "MAX_POSITION"


def test_open_orders_are_counted_per_account(stage: Stage) -> None:
    limit(stage, max_open_orders=2)
    stage.resting()
    stage.admit(BUY, px="2599", qty="0.1", instrument=ETH_ID)
    assert stage.check() == "MAX_OPEN_ORDERS"
    assert stage.check(account=OTHER) == ""


def test_with_two_unknown_orders_there_is_no_third(stage: Stage) -> None:
    for _ in range(2):
        assert stage.check() == ""
        tracked = stage.sent()
        stage.apply(SubmitUnknown(MAIN, tracked.client_order_id, "timeout", T0))
    stage.trade(BUY, "0.05", trade="t")
    assert stage.check() == "UNKNOWN_ORDERS"
    assert stage.check(SELL, "60010", "0.01") == "UNKNOWN_ORDERS"
    assert stage.check(BUY, "2599", "0.1", instrument=ETH_ID) == ""


def test_a_client_order_id_is_used_once(stage: Stage) -> None:
    tracked = stage.resting()
    assert stage.check(client_order_id=tracked.client_order_id) == "DUPLICATE_ID"


def test_no_second_holds_more_orders_than_the_rate(stage: Stage) -> None:
    limit(stage, orders_per_s=D(3))
    assert stage.gate.allowance(MAIN, stage.now) == 3
    codes = []
    for _ in range(5):
        codes.append(stage.check())
        stage.now += 100 * MS
    assert codes == ["", "", "", "ORDER_RATE", "ORDER_RATE"]
    assert stage.gate.allowance(MAIN, stage.now) == 0
    stage.now = T0 + S
    stage.refresh()
    assert [stage.check(), stage.check()] == ["", "ORDER_RATE"]
    assert stage.check(account=OTHER) == ""


def test_refused_orders_use_no_rate(stage: Stage) -> None:
    limit(stage, orders_per_s=D(1))
    assert [stage.check(px="1000"), stage.check(qty="9"), stage.check()] == ["PRICE_COLLAR", "MAX_ORDER_NOTIONAL", ""]


def test_what_only_reduces_has_a_rate_of_its_own(stage: Stage) -> None:
    limit(stage, orders_per_s=D(1))
    stage.trade(BUY, "0.05", trade="t")
    assert [stage.check(), stage.check()] == ["", "ORDER_RATE"]
    assert [stage.check(SELL, "60010"), stage.check(SELL, "60010")] == ["", "ORDER_RATE"]


def test_a_rate_below_one_a_second_spreads_orders_out(stage: Stage) -> None:
    limit(stage, orders_per_s=D("0.5"))
    codes = []
    for _ in range(4):
        codes.append(stage.check())
        stage.now += S
        stage.refresh()
    assert codes == ["", "ORDER_RATE", "", "ORDER_RATE"]


def lose(stage: Stage, amount: str) -> None:
    """Realise a loss and keep a long position of 0.01."""
    stage.account.on_fill(fill(0, "0.01", "60000", BUY, trade="loss", fee=amount))
    stage.account.on_mark(BTC_ID, D(60_000))


def test_the_days_loss_stops_new_risk_at_the_limit(stage: Stage) -> None:
    lose(stage, "49.99")
    assert stage.check() == ""
    stage.account.on_fill(fill(0, "0.01", "60001", BUY, trade="t2"))
    assert stage.check() == "MAX_LOSS"
    assert stage.check(SELL, "60010", "0.01") == ""


def test_the_drawdown_stops_new_risk_at_the_limit(stage: Stage) -> None:
    limit(stage, max_loss=D(1_000_000), max_drawdown_frac=D("0.001"))
    lose(stage, "99")
    assert stage.check() == ""
    stage.account.on_fill(fill(0, "0.01", "60000", BUY, trade="t2", fee="1"))
    assert stage.check() == "MAX_DRAWDOWN"
    assert stage.check(SELL, "60010", "0.01") == ""


def test_a_loss_that_cannot_be_computed_stops_new_risk(stage: Stage) -> None:
    stage.account.on_fill(fill(0, "1", "2600", BUY, trade="t", instrument=ETH_ID))
    assert stage.account.equity is None
    assert stage.check() == "MAX_LOSS"


def test_a_halted_account_only_reduces(stage: Stage) -> None:
    stage.trade(BUY, "0.05", trade="t")
    stage.halts.halt(Halt(MAIN, Code.MAX_LOSS, "yesterday", False, T0))
    assert stage.check() == "HALTED"
    assert stage.check(SELL, "60010", "0.01") == ""
    stage.halts.resume(MAIN, actor="ann")
    assert stage.check() == ""


def test_a_refusal_names_the_order_and_the_figures(stage: Stage) -> None:
    refused = stage.gate.check(stage.order(px="60700"), stage.now)
    assert not isinstance(refused, Approved)
    assert refused.order.px == D(60_700)
    assert refused.text == "60700 is more than 100 bps from the mark 60000"


def test_the_defaults_are_the_documented_ones() -> None:
    limits = Limits()
    assert (
        limits.max_position_notional,
        limits.max_order_notional,
        limits.max_open_orders,
        limits.price_collar_bps,
        limits.orders_per_s,
        limits.max_loss,
        limits.max_drawdown_frac,
    ) == (5000, 1000, 60, 100, 10, 50, Decimal("0.05"))


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ({"max_loss": D("NaN")}, "max_loss"),
        ({"max_order_notional": D("Infinity")}, "max_order_notional"),
        ({"max_position_notional": D(0)}, "max_position_notional"),
        ({"orders_per_s": D(-1)}, "orders_per_s"),
        ({"max_drawdown_frac": D("1.5")}, "fraction of the peak"),
        ({"price_collar_bps": D(10_000)}, "price_collar_bps"),
        ({"max_open_orders": 0}, "max_open_orders"),
    ],
)
def test_impossible_limits_cannot_be_made(limits: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Limits(**limits)
