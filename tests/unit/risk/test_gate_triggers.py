"""Orders that wait for a price at the venue, at the gate."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.execution.stage import BTC_ID, BUY, MAIN, SELL, D, S, Stage, book_snapshot, replaced, report, ticker

from perpmaker.model.order import TimeInForce, Trigger, TriggerBy, TriggerKind
from perpmaker.risk.codes import Code
from perpmaker.risk.gate import ReadyState
from perpmaker.risk.halts import Halt

STOP, PROFIT = TriggerKind.STOP_LOSS, TriggerKind.TAKE_PROFIT


def trigger(px: str, kind: TriggerKind = STOP) -> Trigger:
    return Trigger(kind, TriggerBy.MARK, D(px))


@pytest.fixture
def stage() -> Stage:
    """One with a long position of 0.05."""
    made = Stage()
    made.trade(BUY, "0.05", trade="t")
    return made


def check(stage: Stage, px: str = "58900", qty: str = "0.05", **more: Any) -> str:
    figures: dict[str, Any] = {"tif": TimeInForce.IOC, "reduce_only": True, "trigger": trigger("59000"), **more}
    side = figures.pop("side", SELL)
    return stage.check(side, px, qty, **figures)


def test_a_stop_far_from_the_market_passes(stage: Stage) -> None:
    assert check(stage) == ""


def test_without_a_trigger_the_same_order_does_not_pass(stage: Stage) -> None:
    assert check(stage, trigger=None) == "PRICE_COLLAR"


def test_it_passes_beside_own_bids_above_its_price_and_they_beside_it(stage: Stage) -> None:
    stage.resting(BUY, "59990")
    stage.resting(SELL, "58900", "0.05", tif=TimeInForce.IOC, reduce_only=True, trigger=trigger("59000"))
    assert stage.check(BUY, "59980") == ""


def test_it_counts_for_no_exposure_until_it_trades(stage: Stage) -> None:
    stage.resting(SELL, "58900", "0.05", tif=TimeInForce.IOC, reduce_only=True, trigger=trigger("59000"))
    assert stage.table.exposure(MAIN, BTC_ID).sell_qty == 0
    stage.limits[MAIN] = replaced(stage.limits[MAIN], max_order_notional=D(5000))
    assert stage.check(SELL, "60010", "0.05", reduce_only=True) == ""


def test_one_that_could_add_to_a_position_counts_in_full(stage: Stage) -> None:
    """Made by hand: the venue has them, we make none."""
    order = stage.order(SELL, "58900", "0.05", trigger=trigger("59000"))
    stage.table.restore(order, stage.now)
    assert stage.table.exposure(MAIN, BTC_ID).sell_qty == D("0.05")
    assert stage.table.best_own_px(BTC_ID, SELL) is None


@pytest.mark.parametrize("reduce_only", [False, True])
def test_one_made_by_hand_stands_in_no_book_of_ours_either(stage: Stage, reduce_only: bool) -> None:
    figures: dict[str, Any] = {"side": SELL, "px": D("58900"), "qty": D("0.05"), "trigger": trigger("59000")}
    stage.apply(report(99, reduce_only=reduce_only, **figures))
    (tracked,) = stage.table.live(MAIN)
    assert not tracked.own
    assert tracked.waits
    levels = stage.table.own_levels(BTC_ID)
    assert (levels.bids, levels.asks) == ({}, {})
    assert stage.table.exposure(MAIN, BTC_ID).sell_qty == (0 if reduce_only else D("0.05"))


@pytest.mark.parametrize(
    "more",
    [{"reduce_only": False}, {"tif": TimeInForce.GTT}, {"tif": TimeInForce.GTT, "post_only": True}],
)
def test_it_only_reduces_and_acts_at_once_or_not_at_all(stage: Stage, more: dict[str, Any]) -> None:
    assert check(stage, **more) == "TRIGGER"


@pytest.mark.parametrize(
    ("kind", "px", "cap", "code"),
    [
        (STOP, "59999.9", "59990", ""),
        (STOP, "60000", "59990", "TRIGGER"),
        (STOP, "60500", "60400", "TRIGGER"),
        (PROFIT, "60000.1", "60000", ""),
        (PROFIT, "60000", "59990", "TRIGGER"),
    ],
)
def test_one_whose_price_is_reached_already_is_refused(
    stage: Stage, kind: TriggerKind, px: str, cap: str, code: str
) -> None:
    assert check(stage, cap, trigger=trigger(px, kind)) == code


def test_it_is_on_the_side_that_closes(stage: Stage) -> None:
    assert check(stage, "61000", side=BUY, trigger=trigger("61000")) == "REDUCE_ONLY"
    assert Stage().check(
        SELL, "58900", "0.05", tif=TimeInForce.IOC, reduce_only=True, trigger=trigger("59000")
    ) == "REDUCE_ONLY"  # fmt: skip


def test_its_price_stays_within_the_collar_of_its_trigger(stage: Stage) -> None:
    assert check(stage, "58410", trigger=trigger("59000")) == ""
    assert check(stage, "58409", trigger=trigger("59000")) == "PRICE_COLLAR"


def test_it_is_as_large_as_what_is_held_and_no_larger_whatever_other_orders_may_be(stage: Stage) -> None:
    stage.limits[MAIN] = replaced(stage.limits[MAIN], max_order_notional=D(1000))
    assert check(stage, qty="0.05") == ""
    assert check(stage, qty="0.051") == "REDUCE_ONLY"


def test_figures_have_to_be_exact(stage: Stage) -> None:
    assert check(stage, trigger=trigger("59000.05")) == "INEXACT"
    assert check(stage, trigger=trigger("NaN")) == "INEXACT"
    assert check(stage, "58900.05") == "INEXACT"
    assert check(stage, qty="0.001") == "MIN_SIZE"


def test_without_a_recent_mark_nobody_knows_whether_it_would_fire(stage: Stage) -> None:
    stage.now += 11 * S
    stage.books.apply(book_snapshot(599_999, 600_001, at=stage.now))
    stage.books.apply(ticker(mark=None, at=stage.now))
    assert check(stage) == "NO_REFERENCE"


def test_it_passes_freezes_and_halts_and_not_the_latch(stage: Stage) -> None:
    stage.readiness.states[(MAIN, BTC_ID)] = ReadyState.FROZEN
    stage.halts.halt(Halt(MAIN, Code.MAX_LOSS, "lost", False, stage.now))
    assert check(stage) == ""
    stage.kill.trip("operator", stage.now)
    assert check(stage) == "KILLED"


def test_it_counts_among_the_open_orders_and_uses_the_rate_of_what_reduces(stage: Stage) -> None:
    stage.limits[MAIN] = replaced(stage.limits[MAIN], max_open_orders=1, orders_per_s=D(1))
    stage.resting(SELL, "58900", "0.05", tif=TimeInForce.IOC, reduce_only=True, trigger=trigger("59000"))
    assert stage.check(BUY, "59980") == "MAX_OPEN_ORDERS"
    stage.limits[MAIN] = replaced(stage.limits[MAIN], max_open_orders=9)
    assert check(stage) == "ORDER_RATE"
    assert stage.check(BUY, "59980") == ""
