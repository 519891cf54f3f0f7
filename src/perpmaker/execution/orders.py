"""The table of every order of every account: evidence in, changes out.

All evidence (replies, streams, queries, snapshots, the journal at a replay) comes through `OrderTable.apply`; what it does
to an order's state is one pure table, `execution.machine`. The order of arrival does not matter.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from perpmaker.marketdata.book import OwnLevels
from perpmaker.model.events import AccountSnapshot, Fill, OrderEvent
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, NewOrder, OrderState, OrderView, Refused, Side
from perpmaker.risk.gate import Exposure, Gate


class Incident(enum.Enum):
    """Something about an order that people, or reconciliation, must see."""

    LATE_FILL = "late_fill"
    """A fill came after the order had ended: booked."""
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
    """Evidence about an order that cannot be tracked for lack of figures."""


class TrackedOrder:
    """One order as all evidence so far says. Only the table changes it; others read, or take a `view`."""

    order: NewOrder
    """As it was approved; of an adopted order as the venue states it, with strategy ""."""
    state: OrderState
    own: bool
    """Whether this instance of the engine made it."""
    venue_order_id: VenueOrderId | None
    cum_qty: Decimal
    """Executed by the venue's word or by our fills, whichever is more."""
    filled_qty: Decimal
    """Executed in fills we booked; below `cum_qty` while fills are still under way."""
    avg_px: Decimal | None
    reason: str
    kill_epoch: int
    created_ns: int
    activity_ns: int
    """When the last evidence came, ours or the venue's."""
    cancel_sent_ns: int
    """When the cancel under way left us, 0 for none."""
    cancel_received: bool
    not_found_count: int
    overfilled: bool

    @property
    def client_order_id(self) -> ClientOrderId:
        raise NotImplementedError

    @property
    def leaves_qty(self) -> Decimal:
        """What can still execute: 0 once terminal."""
        raise NotImplementedError

    @property
    def exposure_qty(self) -> Decimal:
        """What our position does not have yet but may get: leaves, plus executions whose fills are not booked."""
        raise NotImplementedError

    @property
    def cancel_pending(self) -> bool:
        raise NotImplementedError

    def view(self) -> OrderView:
        """Return what strategies and pages may see."""
        raise NotImplementedError


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


class OrderTable:
    """Every order of every account. Terminal orders are kept up to `kept_terminal` per account, then forgotten."""

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        instance: int,
        epoch: int,
        kept_terminal: int = 5_000,
    ) -> None:
        """`instruments` is the engine's live mapping; `instance` and `epoch` are those of the client order ids now made."""
        raise NotImplementedError

    def admit(
        self, gate: Gate, orders: Sequence[NewOrder], now_ns: int
    ) -> tuple[tuple[Approved, ...], tuple[Refused, ...]]:
        """Pass orders through the gate one by one, entering each approved one (PREPARED) before the next is judged.

        Refused ones are entered as DENIED, so that their strategy can be told by `get(...).view()`.
        """
        raise NotImplementedError

    def restore(self, order: NewOrder, ts_ns: int) -> TrackedOrder:
        """Enter an order the journal holds an intent of, at a replay; its state is SENT until evidence says more."""
        raise NotImplementedError

    def apply(self, event: OrderEvent) -> Sequence[OrderChange]:
        """Take in one piece of evidence; returns what it changed."""
        raise NotImplementedError

    def apply_snapshot(self, snapshot: AccountSnapshot) -> Sequence[OrderChange]:
        """Take in the fills, then the open orders of a pass. Orders missing from it are the reconciler's business."""
        raise NotImplementedError

    def get(self, account: AccountId, client_order_id: ClientOrderId) -> TrackedOrder | None:
        raise NotImplementedError

    def knows(self, account: AccountId, client_order_id: ClientOrderId) -> bool:
        raise NotImplementedError

    def live(
        self,
        account: AccountId | None = None,
        instrument: InstrumentId | None = None,
        strategy: StrategyId | None = None,
    ) -> list[TrackedOrder]:
        """Return the orders that are not terminal, oldest first, narrowed by whatever is given."""
        raise NotImplementedError

    def unsettled(self, account: AccountId) -> Sequence[TrackedOrder]:
        """Return the orders that wait for evidence: PREPARED, SENT, UNKNOWN, CANCEL_SENT, or with fills missing."""
        raise NotImplementedError

    def recent(self, account: AccountId, count: int) -> list[TrackedOrder]:
        """Return the last terminal orders still kept, newest first."""
        raise NotImplementedError

    def exposure(self, account: AccountId, instrument: InstrumentId) -> Exposure:
        raise NotImplementedError

    def open_count(self, account: AccountId) -> int:
        raise NotImplementedError

    def best_own_px(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        raise NotImplementedError

    def own_levels(self, instrument: InstrumentId) -> OwnLevels:
        """Return our resting quantity (OPEN, CANCEL_SENT) per price over all accounts, for `Books.view_without`."""
        raise NotImplementedError
