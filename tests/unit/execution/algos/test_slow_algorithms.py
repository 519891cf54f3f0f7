"""twap, pov, iceberg, peg: their timetables, their shares, what they show, what they take at the end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.execution.algos.workbench import ASK, S, Workbench

from perpmaker.execution.algos.moves import CancelChild, Child
from perpmaker.model.execution import Ending
from perpmaker.model.order import OrderState, Side, TimeInForce
from perpmaker.model.quote import Iceberg, Peg, Pov, Sweep, Twap


def test_twap_keeps_to_its_timetable_and_catches_up_what_a_slice_missed() -> None:
    work = Workbench("1", algorithm=Twap(duration_ms=10_000, slices=10))
    begin_ns, sizes = work.now_ns, []
    while not work.parent.is_over:
        if isinstance(work.act(), Child):
            child = work.placed[-1]
            sizes.append(child.qty)
            due = Decimal(min((work.now_ns - begin_ns) // S + 1, 10)) / 10
            assert work.report().filled_qty + child.qty <= due
            work.end("0" if len(sizes) == 3 else child.qty)
        work.later(100)
    assert work.report().ending is Ending.DONE
    assert sizes == [Decimal("0.1")] * 3 + [Decimal("0.2")] + [Decimal("0.1")] * 6


def test_twap_prices_a_slice_from_the_touch_it_meets_and_never_beyond_the_cap_from_arrival() -> None:
    algorithm = Twap(duration_ms=10_000, slices=2, slice_slippage_bps=Decimal(1), max_slippage_bps=Decimal(3))
    work = Workbench("2", algorithm=algorithm)
    assert work.child().px == Decimal("2600.26")
    work.end("0.2")
    work.later(5_000, ask=ASK + 60)
    assert work.child().px == Decimal("2600.78")  # 3 bps from 2600.00, not 1 bps from 2600.60


def test_pov_keeps_its_share_of_what_others_trade() -> None:
    work = Workbench("1", algorithm=Pov(participation=Decimal("0.2"), duration_ms=60_000))
    others = Decimal(0)
    for _ in range(20):
        if isinstance(work.act(), Child):
            qty = work.placed[-1].qty
            work.end(qty)
            work.parent.note_trade(int(qty * 100))  # our own trade is public too
        filled = work.report().filled_qty
        assert filled <= Decimal("0.2") * (filled + others) + Decimal("0.01")
        work.parent.note_trade(20)
        others += Decimal("0.20")
        work.later(1_100)
    filled = work.report().filled_qty
    assert filled >= Decimal("0.2") * (filled + others) - Decimal("0.06")


def test_pov_without_trades_does_nothing() -> None:
    work = Workbench("1", algorithm=Pov(duration_ms=10_000))
    for _ in range(12):
        assert work.act() is None
        work.later(1_000)
    assert (work.report().ending, work.report().filled_qty) == (Ending.DEADLINE, 0)


@pytest.mark.parametrize("side", list(Side))
def test_an_iceberg_shows_a_part_at_its_own_touch_and_shows_the_next_when_that_is_gone(side: Side) -> None:
    work = Workbench("0.25", side, Iceberg(display_qty=Decimal("0.1")))
    touch = Decimal("2599.90") if side is Side.BUY else Decimal("2600.00")
    for shown in ("0.1", "0.1", "0.05"):
        child = work.child()
        assert (child.px, child.qty, child.post_only, child.tif) == (touch, Decimal(shown), True, TimeInForce.GTT)
        work.end(child.qty, OrderState.FILLED)
        work.later(200)
    assert work.report().ending is Ending.DONE
    slippage = work.report().slippage_bps
    assert slippage is not None
    assert slippage < 0


def test_an_iceberg_follows_the_touch_but_not_beyond_its_limit() -> None:
    work = Workbench("0.1", algorithm=Iceberg(display_qty=Decimal("0.1"), limit_px=Decimal("2600.20")))
    work.child()
    work.end("0", OrderState.OPEN)
    work.later(600, ask=ASK + 20)
    assert isinstance(work.act(), CancelChild)
    work.end("0.04", OrderState.CANCELED)  # it filled on the way
    work.later(600, ask=ASK + 100)
    child = work.child()
    assert (child.px, child.qty) == (Decimal("2600.20"), Decimal("0.06"))


def test_a_resting_child_is_withdrawn_when_its_book_is_lost() -> None:
    work = Workbench("0.1", algorithm=Iceberg(display_qty=Decimal("0.1")))
    work.child()
    work.end("0", OrderState.OPEN)
    work.book = None
    assert isinstance(work.act(), CancelChild)


def test_a_peg_makes_first_and_takes_what_is_left_at_its_deadline() -> None:
    work = Workbench("0.2", algorithm=Peg(maker_ms=5_000, take=Sweep(max_slippage_bps=Decimal(5))))
    resting = work.child()
    assert (resting.post_only, resting.px) == (True, Decimal("2599.90"))
    work.end("0.05", OrderState.OPEN)
    work.later(5_000)
    assert isinstance(work.act(), CancelChild)
    work.end("0.05", OrderState.CANCELED)
    work.later(200)
    taking = work.child()
    assert (taking.tif, taking.qty) == (TimeInForce.IOC, Decimal("0.15"))
    assert taking.px <= Decimal("2601.30")
    work.end(taking.qty, OrderState.FILLED)
    work.act()
    assert (work.report().ending, work.report().filled_qty) == (Ending.DONE, Decimal("0.2"))
