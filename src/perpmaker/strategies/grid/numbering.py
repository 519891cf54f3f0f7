"""Which cell an order belongs to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import OrderView
from perpmaker.strategies.quoting.tags import quote_place

_KEPT: Final = 1000


class Numbering:
    """Learns it from the orders' tags, which name cells by their number; `begin` when the numbers have become others."""

    def __init__(self) -> None:
        self._cell_of: dict[ClientOrderId, int] = {}
        self._ids: deque[ClientOrderId] = deque()
        self._before: set[ClientOrderId] = set()

    def begin(self, live: Iterable[OrderView]) -> None:
        """The cells have other numbers from now on: orders of before are told by their price, not by their tag."""
        self._cell_of.clear()
        self._ids.clear()
        self._before = {order.client_order_id for order in live}

    def note(self, order: OrderView) -> None:
        """Learn whose order it is; the last thousand are known."""
        place, name = quote_place(order.tag), order.client_order_id
        if place is None or name in self._cell_of or name in self._before or order.state.is_terminal:
            return
        self._cell_of[name] = place[1]
        self._ids.append(name)
        if len(self._ids) > _KEPT:
            self._cell_of.pop(self._ids.popleft(), None)

    def cell_of(self, name: ClientOrderId) -> int | None:
        """Return the cell's number, None for an order of before or of somebody else."""
        return self._cell_of.get(name)
