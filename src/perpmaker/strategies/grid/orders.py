"""From what the cells want to what is stated: only what may rest, only the nearest, only what the limit leaves room for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from perpmaker.model.book import Book
from perpmaker.model.order import Side
from perpmaker.model.quote import Quote
from perpmaker.strategies.grid.cells import Cells
from perpmaker.strategies.grid.cells import Order as Wanted
from perpmaker.strategies.grid.params import GridParams

__all__ = ["Wanted", "ladder", "wanted_orders"]

PASSED_TOLERANCE_BPS: Final = 2.0
"""Of a closing that the market has passed: it rests at the touch, and follows it when that is so far away."""


def wanted_orders(
    cells: Cells, book: Book, params: GridParams, *, least: Decimal, position: Decimal, limit_notional: Decimal
) -> tuple[list[Wanted], str]:
    """Return the orders to state, nearest first, and why some that could stand are left out ("" for none).

    An order that opens waits while its line is on the other side of the market: it would take, or be moved. One that
    closes is stated all the same; execution holds it back to the best price that rests, which is better than its line.
    """
    instrument = book.instrument
    mid = Decimal(repr(book.mid))
    reach = mid * Decimal(repr(params.max_distance_bps)) / 10_000
    found: list[Wanted] = []
    missing = ""
    for side in Side:
        standing = [
            order for order in _standing(cells, book, side, least, instrument.lot) if abs(order.px - mid) <= reach
        ]
        room = limit_notional - side.sign * position * mid
        for order in standing[: params.orders_per_side]:
            room -= order.qty * order.px
            if order.opens and room < 0:
                missing = "position limit"
                continue
            found.append(order)
    return _uncrossed(found), missing


def ladder(orders: Sequence[Wanted], book: Book) -> tuple[list[Quote], list[Quote]]:
    """Return bids and asks; the layer of a quote is its cell.

    A quote stays exactly on its line, but for one the market has passed: it follows the touch with some tolerance.
    """
    touch = {side: book.instrument.px(book.ask_ticks if side is Side.BUY else book.bid_ticks) for side in Side}
    sides: dict[Side, list[Quote]] = {Side.BUY: [], Side.SELL: []}
    for order in orders:
        passed = order.side.sign * (order.px - touch[order.side]) >= 0
        tolerance_bps = PASSED_TOLERANCE_BPS if passed else 0.0
        sides[order.side].append(Quote(px=order.px, qty=order.qty, layer=order.cell, tolerance_bps=tolerance_bps))
    return sides[Side.BUY], sides[Side.SELL]


def _standing(cells: Cells, book: Book, side: Side, least: Decimal, lot: Decimal) -> list[Wanted]:
    """Return a side's orders that may rest, nearest to the market first."""
    touch_px = book.instrument.px(book.ask_ticks if side is Side.BUY else book.bid_ticks)
    orders = [
        order
        for order in cells.orders(least, lot)
        if order.side is side and (not order.opens or side.sign * (touch_px - order.px) > 0)
    ]
    orders.sort(key=lambda order: (-side.sign * order.px, order.cell))
    return orders


def _uncrossed(orders: Sequence[Wanted]) -> list[Wanted]:
    """Leave out openings at or beyond a price at which a closing of ours is wanted: the closing goes first."""
    closing_sells = [order.px for order in orders if order.side is Side.SELL and not order.opens]
    closing_buys = [order.px for order in orders if order.side is Side.BUY and not order.opens]
    lowest = min(closing_sells, default=None)
    highest = max(closing_buys, default=None)
    return [
        order
        for order in orders
        if not order.opens
        or (order.side is Side.BUY and (lowest is None or order.px < lowest))
        or (order.side is Side.SELL and (highest is None or order.px > highest))
    ]
