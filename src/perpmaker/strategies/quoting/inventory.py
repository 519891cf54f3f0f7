"""What is held, what may still be filled, and how much room the hard cap leaves on each side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from perpmaker.model.account import Position
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.strategies.quoting.params import QuotingParams

_LEAVING = frozenset({OrderState.CANCEL_SENT, OrderState.UNKNOWN})

_SIZE_REFERENCE_MOVE = 0.005
"""Sizes follow the price in steps of half a per cent, so that a lot's rounding does not flicker with every tick."""

_SIZE_EQUITY_MOVE = 0.02


class Inventory(msgspec.Struct, frozen=True):
    """Position and orders of one instrument; quantities in base units, `position` signed, long > 0.

    `leaving_*` are orders that no new ladder can keep and that may still fill: being cancelled, or of unknown fate. Orders
    that rest or are in flight are the ladder itself, which is counted when it is stated. `mark_px` values them all.
    """

    position: float
    leaving_buy: float
    leaving_sell: float
    limit_notional: float
    mark_px: float

    @classmethod
    def of(cls, position: Position, orders: Sequence[OrderView], *, limit_notional: float, mark_px: float) -> Inventory:
        leaving = {Side.BUY: 0.0, Side.SELL: 0.0}
        for order in orders:
            if order.state in _LEAVING:
                leaving[order.side] += float(order.leaves_qty)
        return cls(
            position=float(position.qty),
            leaving_buy=leaving[Side.BUY],
            leaving_sell=leaving[Side.SELL],
            limit_notional=limit_notional,
            mark_px=mark_px,
        )

    def room_notional(self, side: Side) -> float:
        """Return how much more of `side` may be filled before the position limit, in quote currency; may be negative."""
        return self.limit_notional - (side.sign * self.position + self._leaving(side)) * self.mark_px

    def reducing_qty(self, side: Side) -> float:
        """Return how much of `side` may be filled before the position is flat; 0 on the side that adds to it."""
        return max(0.0, -side.sign * self.position - self._leaving(side))

    def _leaving(self, side: Side) -> float:
        return self.leaving_buy if side is Side.BUY else self.leaving_sell


class Sizes:
    """Wanted sizes of the layers in base units, from notionals at a price that moves in steps."""

    def __init__(self, params: QuotingParams) -> None:
        self._params = params
        self._target = float(params.target_position)
        self.order_notional = float(params.order_notional)
        """Of the innermost order."""
        self._reference_px = 0.0
        self._qtys: tuple[float, ...] = ()
        self.order_qty = 0.0
        """The size of the innermost order, the unit of q."""

    def follow_equity(self, equity: float) -> None:
        """Take the account's equity, where sizes are a share of it; they change when it has moved by two per cent."""
        share = self._params.order_equity_frac
        if share is None:
            return
        wanted = max(0.0, equity * share)
        if abs(wanted - self.order_notional) > _SIZE_EQUITY_MOVE * self.order_notional:
            self.order_notional = wanted
            self._reference_px = 0.0

    def follow(self, fair: float) -> None:
        """Take the present fair value; sizes change only when it has moved half a per cent."""
        if abs(fair - self._reference_px) > _SIZE_REFERENCE_MOVE * self._reference_px:
            self._reference_px = fair
            self.order_qty = self.order_notional / fair
            self._qtys = tuple(self.order_qty * self._params.size_multiple(n) for n in range(self._params.layers))

    def q(self, inventory: Inventory) -> float:
        """Return the position beyond the target in orders, long > 0."""
        return (inventory.position - self._target) / self.order_qty if self.order_qty else 0.0

    def qtys(self, side: Side, inventory: Inventory) -> Sequence[float]:
        """Return the sizes of a side, inside first; smaller where they would add to the position, when so configured."""
        beyond = inventory.position - self._target
        factor = self._params.order_amount_shape_factor
        if not factor or beyond * side.sign <= 0 or inventory.limit_notional <= 0:
            return self._qtys
        shrunk = math.exp(-factor * abs(beyond) * inventory.mark_px / inventory.limit_notional)
        return tuple(qty * shrunk for qty in self._qtys)
