"""A grid in the engine, in virtual time, against a venue whose price walks and fills what it reaches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.engine.rig import BTC, LIMITS, Rig, strategy_spec

from perpmaker.model.order import NewOrder, Side
from perpmaker.strategies.grid.cells import Cells
from perpmaker.strategies.grid.grid import Grid
from perpmaker.strategies.grid.params import GridParams
from perpmaker.strategies.registry import parse_params

KEYS: dict[str, Any] = {
    "instrument": BTC,
    "lower_px": 59_000,
    "upper_px": 61_000,
    "count": 10,
    "spacing": "arithmetic",
    "max_distance_bps": 900,
}
WIDE = msgspec.structs.replace(LIMITS, price_collar_bps=Decimal(1000))


def params(**keys: Any) -> GridParams:
    """Ten cells of 200 between 59,000 and 61,000 unless told otherwise; a key of None is left out."""
    made = parse_params("grid", {key: value for key, value in {**KEYS, **keys}.items() if value is not None})
    assert isinstance(made, GridParams)
    return made


def around(**keys: Any) -> dict[str, Any]:
    """Keys of a grid by its width instead."""
    return {"lower_px": None, "upper_px": None, **keys}


class GridRig(Rig):
    """Adds a walking price and a look inside."""

    def __init__(self, before: GridRig | None = None, **keys: Any) -> None:
        chosen = params(**keys) if before is None else before.keys
        super().__init__(
            strategy_spec(lambda: Grid(chosen)),
            limits=WIDE,
            epoch=1 if before is None else before.spec.epoch + 1,
            venue=before,
        )
        self.keys = chosen
        if before is not None:
            self.engine.restore(None, before.journal)
            self.journal = before.journal

    def walk(self, *prices: float, share: Decimal = Decimal(1), step: float = 10.0) -> None:
        """Move the mid to each price in small steps; what it reaches is filled, the nearest first, `share` of it."""
        for price in prices:
            goal = Decimal(repr(float(price)))
            while self.mid[BTC] != goal:
                far = goal - self.mid[BTC]
                self.mid[BTC] += min(abs(far), Decimal(repr(step))) * (1 if far > 0 else -1)
                self.fill_reached(share)
                self.book()
            self.run(1.2)

    def jump(self, price: float) -> None:
        """Move the mid at once, filling nothing: the market was elsewhere when nobody looked."""
        self.mid[BTC] = Decimal(repr(float(price)))

    def fill_reached(self, share: Decimal = Decimal(1)) -> None:
        for order in sorted(self.live(), key=lambda order: order.side.sign * -(order.px or 0)):
            there = self.orders[order.client_order_id]
            if order.px is None or order.side.sign * (self.mid[BTC] - order.px) > 0:
                continue
            left = order.qty - there.filled
            qty = max(Decimal("0.001"), (left * share).quantize(Decimal("0.001")))
            self.fill(order, min(left, qty))

    @property
    def grid(self) -> Grid:
        (slot,) = self.engine.world.slots.values()
        assert isinstance(slot.strategy, Grid)
        return slot.strategy

    @property
    def cells(self) -> Cells:
        cells = self.grid._cells
        assert cells is not None
        return cells

    @property
    def explained(self) -> dict[str, Any]:
        (slot,) = self.engine.world.slots.values()
        return dict(slot.explained[BTC])

    @property
    def position(self) -> Decimal:
        return self.positions.get(BTC, Decimal(0))

    def prices(self, side: Side) -> list[float]:
        """Prices of the resting orders of a side, nearest first."""
        orders: list[NewOrder] = self.quotes(BTC, side)
        return sorted((float(order.px or 0) for order in orders), reverse=side is Side.BUY)

    def cash(self) -> Decimal:
        """What all fills paid and took in."""
        return -sum((fill.side.sign * fill.qty * fill.px for fill in self.fills), Decimal(0))
