"""Positions by average entry and first-in first-out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.execution.stage import BTC_ID, BUY, SELL

from perpmaker.model.order import Side
from perpmaker.portfolio.position import FifoLots, RunningPosition

D = Decimal


def traded(*fills: tuple[Side, str, str]) -> tuple[RunningPosition, list[Decimal]]:
    position = RunningPosition(BTC_ID)
    return position, [position.trade(side, D(px), D(qty)) for side, px, qty in fills]


def test_adding_moves_the_average_and_realises_nothing() -> None:
    position, realized = traded((BUY, "100", "1"), (BUY, "110", "3"))
    assert (position.qty, position.avg_entry_px, realized) == (D(4), D("107.5"), [D(0), D(0)])
    assert position.unrealized(D(108)) == D(2)


def test_reducing_keeps_the_average_and_realises_the_part() -> None:
    position, realized = traded((BUY, "100", "4"), (SELL, "103", "1"))
    assert (position.qty, position.avg_entry_px, realized[1]) == (D(3), D(100), D(3))


def test_a_short_earns_when_the_price_falls() -> None:
    position, realized = traded((SELL, "100", "2"), (BUY, "90", "1"))
    assert (position.qty, position.avg_entry_px, realized[1]) == (D(-1), D(100), D(10))
    assert position.unrealized(D(95)) == D(5)


def test_flipping_realises_everything_and_opens_at_the_new_price() -> None:
    position, realized = traded((BUY, "100", "1"), (SELL, "110", "3"))
    assert (position.qty, position.avg_entry_px, realized[1]) == (D(-2), D(110), D(10))


def test_going_flat_leaves_no_cost_behind() -> None:
    position, realized = traded((BUY, "100", "1"), (BUY, "101", "2"), (SELL, "102", "3"))
    assert (position.qty, position.cost, position.avg_entry_px) == (D(0), D(0), D(0))
    assert sum(realized) == D(4)
    assert position.view().realized_pnl == D(4)


def test_realised_and_unrealised_sum_exactly_though_the_average_has_no_end() -> None:
    position, realized = traded((BUY, "100", "1"), (BUY, "100.1", "2"), (SELL, "101", "1"), (SELL, "99", "0.7"))
    cash = -D("100") - D("200.2") + D("101") + D("69.3")
    assert sum(realized) + position.unrealized(D("100.3")) == cash + D("1.3") * D("100.3")


def test_volume_counts_both_sides() -> None:
    assert traded((BUY, "100", "1"), (SELL, "110", "3"))[0].volume == D(430)


def test_fifo_closes_the_oldest_lot_first() -> None:
    lots = FifoLots()
    lots.book(BUY, D(100), D(1), 1)
    lots.book(BUY, D(110), D(1), 2)
    (first, second) = lots.book(SELL, D(120), D("1.5"), 3)
    assert (first.open_px, first.qty, first.pnl, first.opened_ns) == (D(100), D(1), D(20), 1)
    assert (second.open_px, second.qty, second.pnl) == (D(110), D("0.5"), D(5))
    assert (lots.qty, lots.realized_pnl) == (D("0.5"), D(25))


def test_fifo_flips_into_a_lot_of_the_other_side() -> None:
    lots = FifoLots()
    lots.book(SELL, D(100), D(1), 1)
    (match,) = lots.book(BUY, D(90), D(3), 2)
    assert (match.side, match.pnl) == (SELL, D(10))
    assert (lots.qty, lots.side, lots.lots[0].px) == (D(2), BUY, D(90))


@pytest.mark.parametrize("first", [BUY, SELL])
def test_fifo_and_average_agree_once_flat(first: Side) -> None:
    position, lots = RunningPosition(BTC_ID), FifoLots()
    for ns, (side, px, qty) in enumerate(
        ((first, "100", "1"), (first, "103", "2"), (first.opposite, "101", "1.5"), (first.opposite, "99", "1.5"))
    ):
        position.trade(side, D(px), D(qty))
        lots.book(side, D(px), D(qty), ns)
    assert position.qty == lots.qty == 0
    assert position.realized_pnl == lots.realized_pnl
