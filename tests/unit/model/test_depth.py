"""Depth tools: what an order of a side meets, and the price a quantity needs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.execution.algos.workbench import RULES, thin_levels

from perpmaker.marketdata.book import OrderBook
from perpmaker.model.depth import bbo, depth, price_for, worst_px
from perpmaker.model.order import Side


def book(levels: int = 60) -> OrderBook:
    made = OrderBook(RULES)
    bids, asks = thin_levels(levels=levels)
    assert made.snapshot(bids, asks, 1, 1)
    return made


def test_bbo_is_exact_and_none_while_a_side_is_empty() -> None:
    top = bbo(book())
    assert top is not None
    assert (top.bid_px, top.ask_px, top.mid_px) == (Decimal("2599.90"), Decimal("2600.00"), Decimal("2599.95"))
    assert (top.touch_px(Side.BUY), top.touch_px(Side.SELL)) == (top.ask_px, top.bid_px)
    assert bbo(OrderBook(RULES)) is None


def test_depth_is_what_an_order_of_the_side_meets() -> None:
    levels = depth(book(), Side.SELL, 3)
    assert [level.px for level in levels] == [Decimal("2599.90"), Decimal("2599.86"), Decimal("2599.82")]
    assert levels[-1].cum_qty == Decimal("0.06")
    assert levels[-1].vwap == Decimal("2599.86")


@pytest.mark.parametrize(("side", "px"), [(Side.BUY, "2600.16"), (Side.SELL, "2599.74")])
def test_the_price_for_a_quantity_is_the_smallest_that_covers_it(side: Side, px: str) -> None:
    found = price_for(book(), Decimal("0.1"), side)
    assert found is not None
    assert (found.px, found.covered_qty, found.is_enough) == (Decimal(px), Decimal("0.10"), True)
    assert found.slippage_bps > 0


def test_a_haircut_needs_a_deeper_price() -> None:
    found = price_for(book(), Decimal("0.1"), Side.BUY, haircut=Decimal("0.5"))
    assert found is not None
    assert found.px == Decimal("2600.36")


def test_too_little_depth_is_said_and_never_beyond_the_slippage() -> None:
    found = price_for(book(), Decimal(5), Side.BUY, Decimal(1))
    assert found is not None
    assert (found.is_enough, found.px) == (False, Decimal("2600.24"))
    assert found.px <= worst_px(RULES, Decimal("2600.00"), Side.BUY, Decimal(1))
    assert price_for(OrderBook(RULES), Decimal(1), Side.BUY) is None
