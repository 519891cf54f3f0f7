"""What belongs to a pair: quantities and money of each leg, from booked fills, each counted once by its number.

A position has two parts: the pair's own, and the rest that was there before or that a person added. What changes a
position without an order of the pair is a surprise. Where it goes against the pair's own part (deleveraging, or a close
by hand: they cannot be told apart) it reduces that part, and the other leg has to follow; everything else is not the
pair's business. A change without a fill may be a position that was read too early: it counts only when it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.events import Fill
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context

ZERO = Decimal(0)
LASTS_NS: Final = 20 * NS_PER_S
"""A change without a fill that is still there after so long is believed."""


class LegTotals(msgspec.Struct):
    """One leg since the session began. Money in the leg's quote currency; `cash` is sales less purchases, without fees."""

    base_qty: Decimal = ZERO
    """Part of the position that is not the pair's."""
    odd_qty: Decimal = ZERO
    """What the position has changed by without a fill, until that is believed or gone."""
    odd_since_ns: int = 0
    qty: Decimal = ZERO
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    volume: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    fills: int = 0
    funding_before: Decimal = ZERO
    """The account's funding on this instrument when the session began."""

    def book(self, fill: Fill) -> None:
        notional = fill.px * fill.qty
        self.qty += fill.side.sign * fill.qty
        self.cash -= fill.side.sign * notional
        self.fees += fill.fee
        self.volume += notional
        self.fills += 1
        if fill.side is Side.BUY:
            self.bought += fill.qty
        else:
            self.sold += fill.qty

    @property
    def other_qty(self) -> Decimal:
        """The position less the pair's own part."""
        return self.base_qty + self.odd_qty

    def absorb(self, qty: Decimal, px: Decimal, fee: Decimal = ZERO) -> None:
        """Take in a signed change of the position that was no order of the pair's."""
        against = min(abs(qty), abs(self.qty)) if qty * self.qty < 0 else ZERO
        taken = against if qty > 0 else -against
        self.qty += taken
        self.cash -= taken * px
        self.base_qty += qty - taken
        if qty:
            self.fees += fee * abs(taken / qty)


class OwnOrder(msgspec.Struct):
    """A resting order of the pair. `is_over`: its end is known and everything it had filled by then is booked."""

    qty: Decimal
    filled: Decimal = ZERO
    is_over: bool = False


class Holdings(msgspec.Struct):
    """The legs, lead first. `take` brings them up to date and returns what was unexpected, a sentence each."""

    legs: dict[InstrumentId, LegTotals]
    last: int = 0
    """Number of the last fill counted."""
    orders: dict[str, OwnOrder] = {}
    """Resting orders of the last clips, by client order id: whose fills are expected."""

    @classmethod
    def begun(cls, ctx: Context, instruments: Sequence[InstrumentId]) -> Holdings:
        """Begin with nothing; what is held now is not the pair's."""
        legs = {
            name: LegTotals(base_qty=held.qty, funding_before=held.funding)
            for name in instruments
            for held in (ctx.position(name),)
        }
        return cls(legs, ctx.booked_count())

    def adopt_hedged(self, ctx: Context, lot: Decimal) -> Decimal:
        """Make the hedged part of the positions the pair's own, at entry prices; returns it, > 0 on a long lead."""
        (lead, first), (hedge, second) = list(self.legs.items())[:2]
        if first.base_qty * second.base_qty >= 0:
            return ZERO
        matched = lot * int(min(abs(first.base_qty), abs(second.base_qty)) / lot)
        for name, leg in ((lead, first), (hedge, second)):
            taken = matched if leg.base_qty > 0 else -matched
            leg.qty, leg.base_qty = taken, leg.base_qty - taken
            leg.cash = -taken * ctx.position(name).avg_entry_px
        return first.qty

    def placed(self, client_order_id: ClientOrderId, qty: Decimal) -> None:
        """Expect fills of a resting order; the oldest is forgotten."""
        self.orders[str(int(client_order_id))] = OwnOrder(qty)
        while len(self.orders) > 16:
            del self.orders[next(iter(self.orders))]

    def filled(self, client_order_id: ClientOrderId) -> Decimal:
        order = self.orders.get(str(int(client_order_id)))
        return ZERO if order is None else order.filled

    def over(self, client_order_id: ClientOrderId) -> None:
        """A resting order has ended: a fill after this is unexpected."""
        order = self.orders.get(str(int(client_order_id)))
        if order is not None:
            order.is_over = True

    def take(self, ctx: Context) -> list[str]:
        """Count what was booked since the last time; positions that still differ are adjustments."""
        surprises: list[str] = []
        new = ctx.booked(self.last) if ctx.booked_count() > self.last else ()
        for booked in new:
            self.last = max(self.last, booked.number)
            fill = booked.fill
            leg = self.legs[fill.instrument]
            if booked.by == "own" and not fill.is_liquidation:
                leg.book(fill)
                surprises += self._judge(fill)
                continue
            leg.absorb(fill.side.sign * fill.qty, fill.px, fill.fee)
            if booked.by == "other" or fill.is_liquidation:
                surprises.append(f"{_told(fill)} by no order of this pair")
        self.last = max(self.last, ctx.booked_count())
        for name, leg in self.legs.items():
            drift = ctx.position(name).qty - leg.base_qty - leg.qty
            if drift != leg.odd_qty:
                leg.odd_qty, leg.odd_since_ns = drift, ctx.now_ns()
                if drift:
                    surprises.append(f"the position in {name} changed by {drift} without a fill")
            elif drift and ctx.now_ns() - leg.odd_since_ns >= LASTS_NS:
                leg.absorb(drift, ctx.mark_px(name) or ctx.position(name).avg_entry_px)
                leg.odd_qty = ZERO
        return surprises

    def _judge(self, fill: Fill) -> list[str]:
        order = self.orders.get(str(int(fill.client_order_id)))
        if order is None:
            return []
        order.filled += fill.qty
        if order.filled > order.qty:
            return [f"{_told(fill)} beyond the size of its order, {order.qty}"]
        return [f"{_told(fill)} after the end of its order"] if order.is_over else []

    @property
    def delta(self) -> Decimal:
        """Net quantity of the pair over all legs, base units."""
        return sum((leg.qty for leg in self.legs.values()), ZERO)


def status_of(legs: Mapping[InstrumentId, LegTotals], tolerance: Decimal) -> str:
    """Return Flat, Hedged, Unbalanced or Same side."""
    lead, *others = [leg.qty for leg in legs.values()]
    other = sum(others, ZERO)
    if not lead and not other:
        return "Flat"
    if lead * other > 0:
        return "Same side"
    return "Hedged" if abs(lead + other) <= tolerance else "Unbalanced"


def overfills(report: ExecutionReport) -> list[str]:
    """Return the orders of a hedge that were executed beyond their size, a sentence each."""
    side, name = report.order.side.value, report.order.instrument
    return [
        f"{side} {child.filled_qty} {name} beyond the size of its order, {child.qty}"
        for child in report.last_children
        if child.filled_qty > child.qty
    ]


def _told(fill: Fill) -> str:
    return f"{fill.side.value} {fill.qty} {fill.instrument} at {fill.px} (trade {fill.trade_id})"
