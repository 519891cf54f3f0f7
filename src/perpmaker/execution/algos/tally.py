"""The children of a parent order, counted by what is proven about them."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from perpmaker.model.events import Fill
from perpmaker.model.execution import ChildReport
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import OrderState, OrderView

ZERO: Final = Decimal(0)


class ChildRecord(msgspec.Struct, frozen=True):
    """A child as a checkpoint keeps it; also one whose order has been forgotten since."""

    client_order_id: ClientOrderId
    number: int
    px: Decimal
    qty: Decimal
    cum_qty: Decimal = ZERO
    filled_qty: Decimal = ZERO
    filled_notional: Decimal = ZERO
    fees: Decimal = ZERO


class ChildTally:
    """One child. `cum_qty` is the most that any evidence proves, never less than its fills."""

    __slots__ = ("client_order_id", "cum_qty", "fees", "filled_notional", "filled_qty", "number", "px", "qty", "view")

    def __init__(self, record: ChildRecord) -> None:
        self.client_order_id = record.client_order_id
        self.number = record.number
        self.px = record.px
        self.qty = record.qty
        self.cum_qty = record.cum_qty
        self.filled_qty = record.filled_qty
        self.filled_notional = record.filled_notional
        self.fees = record.fees
        self.view: OrderView | None = None

    @property
    def avg_px(self) -> Decimal:
        """By its fills; while some are missing by the venue's average, at worst by its limit."""
        if self.filled_qty == self.cum_qty:
            return self.filled_notional / self.filled_qty
        stated = None if self.view is None else self.view.avg_px
        return self.px if stated is None else stated

    @property
    def is_live(self) -> bool:
        return self.view is not None and not self.view.state.is_terminal

    @property
    def was_refused(self) -> bool:
        """Whether it never stood in the market: denied, rejected, or not sent at all."""
        refusals = (OrderState.DENIED, OrderState.REJECTED, OrderState.NOT_SENT)
        return self.view is not None and self.view.state in refusals and not self.cum_qty

    def record(self) -> ChildRecord:
        return ChildRecord(
            self.client_order_id,
            self.number,
            self.px,
            self.qty,
            self.cum_qty,
            self.filled_qty,
            self.filled_notional,
            self.fees,
        )


class Tally:
    """All children of a parent order. A fill counts once per event handed in: the order table sees to that."""

    def __init__(self) -> None:
        self._children: dict[ClientOrderId, ChildTally] = {}
        self.last: ChildTally | None = None

    def __len__(self) -> int:
        return len(self._children)

    def __contains__(self, client_order_id: object) -> bool:
        return client_order_id in self._children

    def add(self, record: ChildRecord) -> ChildTally:
        """Enter a child before it is sent."""
        self.last = self._children[record.client_order_id] = ChildTally(record)
        return self.last

    def see(self, view: OrderView) -> None:
        """Take in what is known of a child now."""
        child = self._children.get(view.client_order_id)
        if child is not None:
            child.view = view
            child.cum_qty = max(child.cum_qty, view.cum_qty)

    def book(self, fill: Fill) -> None:
        """Take in a fill of a child."""
        child = self._children.get(fill.client_order_id)
        if child is None:
            return
        child.filled_qty += fill.qty
        child.filled_notional += fill.qty * fill.px
        child.fees += fill.fee
        child.cum_qty = max(child.cum_qty, child.filled_qty)

    @property
    def stood(self) -> int:
        """How many were not refused before they could trade."""
        return sum(not child.was_refused for child in self._children.values())

    @property
    def filled_qty(self) -> Decimal:
        """What is proven to have been executed."""
        return sum((child.cum_qty for child in self._children.values()), ZERO)

    @property
    def vwap(self) -> Decimal | None:
        filled = self.filled_qty
        if not filled:
            return None
        return sum((child.cum_qty * child.avg_px for child in self._children.values() if child.cum_qty), ZERO) / filled

    @property
    def fees(self) -> Decimal:
        return sum((child.fees for child in self._children.values()), ZERO)

    @property
    def is_booked(self) -> bool:
        """Whether every execution the venue stated has come as fills."""
        return all(child.filled_qty >= child.cum_qty for child in self._children.values())

    @property
    def live(self) -> ChildTally | None:
        """The child that may still trade, if there is one. There is never a second."""
        return next((child for child in reversed(self._children.values()) if child.is_live), None)

    def records(self) -> tuple[ChildRecord, ...]:
        return tuple(child.record() for child in self._children.values())

    def newest(self, most: int) -> tuple[ChildReport, ...]:
        """Return how the newest children stand, oldest first."""
        total = self.filled_qty
        found: list[ChildReport] = []
        for child in islice(reversed(self._children.values()), most):
            view = child.view
            found.append(
                ChildReport(
                    number=child.number,
                    px=child.px,
                    qty=child.qty,
                    filled_qty=child.cum_qty,
                    total_qty=total,
                    avg_px=child.avg_px if child.cum_qty else None,
                    state="" if view is None else view.state.value,
                    is_over=view is not None and not child.is_live,
                    reason="" if view is None else view.reason,
                )
            )
            total -= child.cum_qty
        return tuple(reversed(found))
