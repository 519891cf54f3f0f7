"""One order as all evidence so far says, and what a piece of evidence changed about it."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.events import Fill
from perpmaker.model.ids import AccountId, ClientOrderId, VenueOrderId
from perpmaker.model.order import NewOrder, OrderState, OrderView

_ZERO: Final = Decimal(0)

OrderKey = int | str
"""The client order id, or the venue's id of an order that has none."""


class Incident(enum.Enum):
    """Something about an order that people, or reconciliation, must see."""

    LATE_FILL = "late_fill"
    """A fill came that the order's end had not announced: booked."""
    OVERFILL = "overfill"
    """More was executed than ordered: booked as the venue says; the instrument freezes."""
    CONTRADICTION = "contradiction"
    """Evidence that cannot be true together with what is known: queried, never acted on."""
    FILL_CONFLICT = "fill_conflict"
    """A known trade id came again with other figures: not booked."""
    OLD_FILL = "old_fill"
    """A fill from before everything remembered: not booked."""
    FOREIGN = "foreign"
    """An order that is not of our form (made by hand): counted, never cancelled unasked."""
    OTHER_INSTANCE = "other_instance"
    """An order of our form by another instance: a second engine works this account."""
    HIGHER_EPOCH = "higher_epoch"
    """An order of ours with a later boot epoch than this one: the journal was rolled back."""
    FORGOTTEN = "forgotten"
    """A live order of ours that the table does not know (journal lost, or forgotten since): adopted."""
    UNTRACKED = "untracked"
    """Evidence about an order that cannot be tracked for lack of figures, or is no longer: fills are booked."""


class TrackedOrder:
    """One order as all evidence so far says. Only the table changes it; others read, or take a `view`."""

    __slots__ = (
        "activity_ns",
        "adopted",
        "cancel_received",
        "cancel_sent_ns",
        "counted",
        "created_ns",
        "cum_qty",
        "filled_notional",
        "filled_qty",
        "is_terminal",
        "key",
        "kill_epoch",
        "order",
        "overfilled",
        "own",
        "px_float",
        "reason",
        "state",
        "stated_avg_px",
        "venue_order_id",
    )

    def __init__(
        self,
        order: NewOrder,
        state: OrderState,
        created_ns: int,
        *,
        key: OrderKey | None = None,
        kill_epoch: int = 0,
        own: bool = True,
        adopted: bool = False,
    ) -> None:
        self.order = order
        """As it was approved; of an adopted order as the venue states it, with strategy ""."""
        self.key: OrderKey = order.client_order_id if key is None else key
        self.state = state
        """Set by `enter` alone."""
        self.is_terminal = state.is_terminal
        """As the state says; a plain attribute, because it is asked for on every book change."""
        self.px_float = 0.0 if order.px is None else float(order.px)
        self.own = own
        """Whether this instance of the engine made it."""
        self.adopted = adopted
        """Whether we know it from the venue alone."""
        self.venue_order_id: VenueOrderId | None = None
        self.cum_qty = _ZERO
        """Executed by the venue's word or by our fills, whichever is more."""
        self.filled_qty = _ZERO
        """Executed in fills we booked; below `cum_qty` while fills are still under way."""
        self.filled_notional = _ZERO
        self.stated_avg_px: Decimal | None = None
        self.reason = ""
        self.kill_epoch = kill_epoch
        self.created_ns = created_ns
        self.activity_ns = created_ns
        """When something about it last changed, or was last asked."""
        self.cancel_sent_ns = 0
        """When the cancel under way left us, 0 for none."""
        self.cancel_received = False
        self.overfilled = False
        self.counted = _ZERO
        """Its part of the table's exposure."""

    @property
    def client_order_id(self) -> ClientOrderId:
        return self.order.client_order_id

    @property
    def waits(self) -> bool:
        """Whether it is one that waits for a price: in no book, and nothing to be met there. Never a quote."""
        return self.order.trigger is not None

    def enter(self, state: OrderState) -> None:
        """Take on a state; for the table alone."""
        self.state, self.is_terminal = state, state.is_terminal

    @property
    def cancel_pending(self) -> bool:
        """Whether a cancel left us that nothing has answered with an end or a failure yet."""
        return self.cancel_sent_ns != 0

    @property
    def is_unsettled(self) -> bool:
        """Whether it waits for evidence: any live state but OPEN, a cancel under way, or fills missing."""
        if self.cum_qty != self.filled_qty:
            return True
        return not self.is_terminal and (self.state is not OrderState.OPEN or self.cancel_sent_ns != 0)

    @property
    def leaves_qty(self) -> Decimal:
        """What can still execute: 0 once terminal."""
        if self.is_terminal:
            return _ZERO
        return max(self.order.qty - self.cum_qty, _ZERO) if self.cum_qty else self.order.qty

    @property
    def unbooked_qty(self) -> Decimal:
        """What the venue says was executed and no fill told us yet."""
        return self.cum_qty - self.filled_qty

    @property
    def exposure_qty(self) -> Decimal:
        """What our position does not have yet but may get: leaves, plus executions whose fills are not booked.

        Of a reduce-only order that waits for a price the latter alone: the venue trims it to the position it then meets.
        """
        if self.is_terminal or (self.order.trigger is not None and self.order.reduce_only):
            return self.cum_qty - self.filled_qty
        return max(self.order.qty, self.cum_qty) - self.filled_qty if self.cum_qty else self.order.qty

    @property
    def avg_px(self) -> Decimal | None:
        """By our fills once they are complete, before that as the venue states it."""
        if self.filled_qty and self.filled_qty == self.cum_qty and not self.adopted:
            return self.filled_notional / self.filled_qty
        return self.stated_avg_px

    def view(self) -> OrderView:
        """Return what strategies and pages may see."""
        return OrderView(
            client_order_id=self.order.client_order_id,
            instrument=self.order.instrument,
            side=self.order.side,
            px=self.order.px,
            qty=self.order.qty,
            cum_qty=self.cum_qty,
            state=self.state,
            avg_px=self.avg_px,
            tag=self.order.tag,
            reason=self.reason,
            trigger=self.order.trigger,
        )


class OrderChange(msgspec.Struct, frozen=True):
    """What one piece of evidence changed. A repeated one changes nothing and gives no OrderChange."""

    account: AccountId
    order: TrackedOrder | None
    """None for a fill or a report of an order nobody tracks."""
    before: OrderState | None
    """None when the order is new to the table."""
    after: OrderState | None
    fill: Fill | None = None
    """The fill this booked: for the portfolio and the strategy, once."""
    incident: Incident | None = None
    text: str = ""
