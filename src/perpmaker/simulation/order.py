"""An order of ours as the simulated venue knows it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.model.events import OrderReport, Source, VenueStatus
from perpmaker.model.ids import VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side, TimeInForce

ENDED: Final = frozenset({VenueStatus.FILLED, VenueStatus.REJECTED, VenueStatus.CANCELED, VenueStatus.EXPIRED})
IMMEDIATE: Final = (TimeInForce.IOC, TimeInForce.FOK)


class VenueOrder:
    """One order from its acceptance to its end. Quantities in lots, prices in ticks."""

    __slots__ = (
        "ahead",
        "arrived_ns",
        "cost_tick_lots",
        "cum_lots",
        "expire_ns",
        "instrument",
        "leaves_lots",
        "looked_ns",
        "number",
        "order",
        "order_id",
        "px_ticks",
        "qty_lots",
        "reason",
        "side",
        "spared",
        "status",
        "trimmed_lots",
        "updated_ns",
    )

    def __init__(self, order: NewOrder, instrument: Instrument, px_ticks: int, qty_lots: int, now_ns: int) -> None:
        self.order = order
        self.instrument = instrument
        self.side = order.side
        self.px_ticks = px_ticks
        """0 for a market order."""
        self.qty_lots = self.leaves_lots = qty_lots
        self.cum_lots = self.cost_tick_lots = self.trimmed_lots = 0
        self.status = VenueStatus.PENDING
        self.reason = ""
        self.number = 0
        """Its place in time among all orders that arrived; 0 while it waits."""
        self.order_id = ""
        self.arrived_ns = self.updated_ns = now_ns
        self.expire_ns = order.expire_ns
        self.ahead = 0
        """Others' quantity before us at our price, in parts of a lot."""
        self.spared = 0
        """Of that, what traded in the recording but met others of ours here, so that it would still stand; in parts."""
        self.looked_ns = 0

    @property
    def is_live(self) -> bool:
        return self.status not in ENDED

    @property
    def may_rest(self) -> bool:
        return self.px_ticks > 0 and self.order.tif not in IMMEDIATE

    @property
    def venue_order_id(self) -> VenueOrderId | None:
        return VenueOrderId(self.order_id) if self.order_id else None

    def execute(self, lots: int, px_ticks: int) -> None:
        self.leaves_lots -= lots
        self.cum_lots += lots
        self.cost_tick_lots += lots * px_ticks

    def take_back(self, lots: int, px_ticks: int) -> None:
        """Undo a part of what was executed: it was more than a reduce-only order may do, and is cut off."""
        self.cum_lots -= lots
        self.cost_tick_lots -= lots * px_ticks
        self.trimmed_lots += lots

    def report(self, source: Source, ts_event_ns: int, ts_recv_ns: int) -> OrderReport:
        """Say what the venue knows of it now."""
        order, rules = self.order, self.instrument
        avg_px = rules.tick * self.cost_tick_lots / self.cum_lots if self.cum_lots else None
        return OrderReport(
            account=order.account,
            client_order_id=order.client_order_id,
            venue_order_id=self.venue_order_id,
            instrument=order.instrument,
            status=self.status,
            cum_qty=rules.qty(self.cum_lots),
            avg_px=avg_px,
            reason=self.reason,
            source=source,
            ts_event_ns=ts_event_ns,
            ts_recv_ns=ts_recv_ns,
            side=order.side,
            px=order.px,
            qty=rules.qty(self.qty_lots),
            reduce_only=order.reduce_only,
        )


class Execution:
    """One match of an order of ours with others' flow."""

    __slots__ = ("is_taker", "lots", "order", "px_ticks")

    def __init__(self, order: VenueOrder, lots: int, px_ticks: int, *, is_taker: bool) -> None:
        self.order = order
        self.lots = lots
        self.px_ticks = px_ticks
        self.is_taker = is_taker


def is_better(side: Side, px_ticks: int, than_ticks: int) -> bool:
    """Whether an order of `side` at a price stands before one at the other price."""
    return px_ticks > than_ticks if side is Side.BUY else px_ticks < than_ticks


ZERO: Final = Decimal(0)
