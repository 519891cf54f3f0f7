"""The cells of a grid: what each has open, what it wants next, what it has earned. Pure; a fold over fills.

A long cell buys at its lower line and sells at its upper one; a short cell sells at its upper line and buys back at its
lower one. Partly filled it wants both: the rest of its opening, and the closing of what is open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.order import Side

ZERO: Final = Decimal(0)


class Cell(msgspec.Struct, array_like=True):
    """One cell. Quantities in base units and not negative, amounts in quote currency."""

    lower_px: Decimal
    upper_px: Decimal
    qty: Decimal
    natural: Side
    """The side it opens with when it is empty: BUY for a long cell."""
    side: Side
    """The side of what is open, or `natural` when nothing is."""
    open_qty: Decimal = ZERO
    open_px: Decimal = ZERO
    """Average price of what is open."""
    profit: Decimal = ZERO
    """What its closings earned, before fees."""
    fees: Decimal = ZERO
    cycles: int = 0
    """How many times it was emptied."""

    @property
    def opening_px(self) -> Decimal:
        return self.lower_px if self.side is Side.BUY else self.upper_px

    @property
    def closing_px(self) -> Decimal:
        return self.upper_px if self.side is Side.BUY else self.lower_px

    @property
    def held(self) -> Decimal:
        """What it holds, signed, long > 0."""
        return self.side.sign * self.open_qty

    def book(self, side: Side, qty: Decimal, px: Decimal) -> Decimal:
        """Take a fill; returns what is left of it once all that was open is closed."""
        if side is self.side or not self.open_qty:
            self.side = side
            self.open_px = (self.open_px * self.open_qty + px * qty) / (self.open_qty + qty)
            self.open_qty += qty
            return ZERO
        closed = min(qty, self.open_qty)
        self.profit += self.side.sign * (px - self.open_px) * closed
        self.open_qty -= closed
        if not self.open_qty:
            self.side, self.open_px = self.natural, ZERO
            self.cycles += 1
        return qty - closed


class Order(msgspec.Struct, frozen=True):
    """An order a cell wants. `opens`: it adds to what the cell holds, so it must never take."""

    cell: int
    side: Side
    px: Decimal
    qty: Decimal
    opens: bool


class Totals(msgspec.Struct, frozen=True):
    """The grid's own account, in quote currency: closings, fees, and what is open against a price."""

    profit: Decimal
    fees: Decimal
    inventory_pnl: Decimal
    cycles: int
    held: Decimal


class Cells:
    """All cells, the lowest first; neighbours share a line."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = list(cells)
        self.gone_profit = self.gone_fees = ZERO
        """Of cells that a shift has dropped, and of fills no cell had."""
        self.gone_cycles = 0

    @property
    def lower_px(self) -> Decimal:
        return self.cells[0].lower_px

    @property
    def upper_px(self) -> Decimal:
        return self.cells[-1].upper_px

    @property
    def held(self) -> Decimal:
        return sum((cell.held for cell in self.cells), ZERO)

    def totals(self, px: Decimal) -> Totals:
        return Totals(
            profit=self.gone_profit + sum((cell.profit for cell in self.cells), ZERO),
            fees=self.gone_fees + sum((cell.fees for cell in self.cells), ZERO),
            inventory_pnl=sum((cell.held * (px - cell.open_px) for cell in self.cells), ZERO),
            cycles=self.gone_cycles + sum(cell.cycles for cell in self.cells),
            held=self.held,
        )

    def orders(self, least_qty: Decimal, lot: Decimal) -> Iterator[Order]:
        """Yield what the cells want; `least_qty` is what the venue takes at the least.

        A part smaller than that waits for the other. Where both are smaller, the opening is enlarged: the cell then
        holds a little more than its size and closes all of it.
        """
        for number, cell in enumerate(self.cells):
            rest, open_qty = cell.qty - cell.open_qty, cell.open_qty
            if open_qty >= least_qty:
                yield Order(number, cell.side.opposite, cell.closing_px, open_qty, opens=False)
            elif open_qty and rest < least_qty:
                rest = least_qty
            if rest >= least_qty and rest >= lot:
                yield Order(number, cell.side, cell.opening_px, rest, opens=True)

    def book(self, number: int, side: Side, qty: Decimal, px: Decimal, fee: Decimal) -> None:
        """Take the fill of a cell's order; what it does not hold any more goes to the others."""
        cell = self.cells[number]
        cell.fees += fee
        left = cell.book(side, qty, px)
        if left:
            self.spread(side, left, px)

    def find(self, side: Side, px: Decimal) -> int | None:
        """Return the cell whose order would be filled on this side at exactly this price."""
        for number, cell in enumerate(self.cells):
            if side is cell.side and px == cell.opening_px and cell.open_qty < cell.qty:
                return number
            if side is not cell.side and px == cell.closing_px and cell.open_qty:
                return number
        return None

    def spread(self, side: Side, qty: Decimal, px: Decimal, at: Decimal | None = None) -> None:
        """Give a fill that is of no cell's order to the cells: close what it closes, then open where it belongs.

        A buy closes the short cells from the lowest line up, and opens cells from the price `at` (`px`) up, one size each;
        the last one takes what is too much. A sell is the mirror image.
        """
        order = list(self.cells) if side is Side.BUY else self.cells[::-1]
        for cell in order:
            if qty and cell.open_qty and cell.side is not side:
                qty = cell.book(side, qty, px)
        here = px if at is None else at
        beyond = [cell for cell in order if side.sign * ((cell.lower_px + cell.upper_px) / 2 - here) >= 0] or order[-1:]
        for cell in beyond:
            taken = min(qty, max(ZERO, cell.qty - cell.open_qty))
            if taken:
                cell.book(side, taken, px)
                qty -= taken
        if qty:
            beyond[-1].book(side, qty, px)

    def adopt(self, position: Decimal, px: Decimal) -> Decimal:
        """Make the cells hold what the account holds; returns how much that was off (signed)."""
        off = position - self.held
        if off:
            self.spread(Side.BUY if off > 0 else Side.SELL, abs(off), px)
        return off

    def shift(self, cell: Cell, *, up: bool) -> None:
        """Drop the last cell at one end and take a new one at the other; what it held goes to its neighbour."""
        dropped = self.cells.pop(0 if up else -1)
        self.cells.insert(len(self.cells) if up else 0, cell)
        heir = self.cells[0 if up else -1]
        self.gone_profit += dropped.profit
        self.gone_fees += dropped.fees
        self.gone_cycles += dropped.cycles
        if dropped.open_qty:
            left = heir.book(dropped.side, dropped.open_qty, dropped.open_px)
            if left:
                heir.book(dropped.side, left, dropped.open_px)

    def take_over(self, before: Cells, px: Decimal) -> None:
        """Go on with what other cells had earned, and with what they hold at its own prices, beyond the present price."""
        totals = before.totals(px)
        self.gone_profit, self.gone_fees, self.gone_cycles = totals.profit, totals.fees, totals.cycles
        for cell in before.cells:
            if cell.open_qty:
                self.spread(cell.side, cell.open_qty, cell.open_px, at=px)
