"""What reconciliation says: its rules, what it found, what it wants done."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from perpmaker.execution.inquiries import InquiryRules
from perpmaker.model.commands import Command
from perpmaker.model.events import OrderEvent, PositionAdjusted
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.units import NS_PER_MS, NS_PER_S


class ReconcileRules(msgspec.Struct, frozen=True):
    """Times and counts of RELIABILITY §5."""

    inquiries: InquiryRules = InquiryRules()
    pass_every_ns: int = 5 * NS_PER_S
    """Open orders and positions, with the fills since shortly before the last pass."""
    pass_reach_ns: int = 30 * NS_PER_S
    full_pass_every_ns: int = 300 * NS_PER_S
    full_pass_reach_ns: int = 300 * NS_PER_S
    """How far before the last known fill a full pass reads; also how often one is made."""
    search_reach_ns: int = 3600 * NS_PER_S
    """How far back fills are read to explain a position difference."""
    pass_timeout_ns: int = 10 * NS_PER_S
    settle_ns: int = 5 * NS_PER_S
    """Orders and positions with activity this recent are not compared: the venue's reads lag."""
    ask_waiting_ns: int = 30 * NS_PER_S
    ask_waiting_most: int = 3
    """How often one that waits for a price and is not among the open orders is asked about, and how many in one pass."""
    start_passes: int = 2
    soon_ns: int = 500 * NS_PER_MS
    """Between passes while something is not settled."""
    freeze_passes: int = 3
    unfreeze_passes: int = 2


DEFAULT_RULES: Final = ReconcileRules()


class FindingKind(enum.Enum):
    READY = "ready"
    NOT_READY = "not_ready"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    MISSING_ORDER = "missing_order"
    """Live here, absent from the venue's open orders: queried."""
    ZOMBIE_ORDER = "zombie_order"
    """Ended here, open at the venue: cancelled."""
    POSITION_DIFFERENCE = "position_difference"
    ORDER_INCIDENT = "order_incident"
    RETIRED = "retired"
    READ_FAILED = "read_failed"


class Finding(msgspec.Struct, frozen=True):
    """Something reconciliation found, for the log, the journal and the page."""

    kind: FindingKind
    account: AccountId
    instrument: InstrumentId | None
    client_order_id: ClientOrderId | None
    text: str
    ts_ns: int


class Outcome(msgspec.Struct):
    """What the engine has to do: process `evidence` as events, carry out `commands`, tell `findings`."""

    commands: list[Command] = msgspec.field(default_factory=list)
    evidence: list[OrderEvent | PositionAdjusted] = msgspec.field(default_factory=list)
    findings: list[Finding] = msgspec.field(default_factory=list)


NOTHING: Final = Outcome()
"""What most events come to. Nobody adds to it."""


class FreezeCause(enum.Enum):
    UNKNOWN_ORDER = "unknown_order"
    """The fate of an order stayed unknown for 60 s; lifted when it is known."""
    POSITION = "position"
    """A position difference did not converge in three passes and has no price to be booked at; lifted by equal passes."""
    ORDERS = "orders"
    """Open orders did not converge in three passes; lifted by equal passes."""
    OVERFILL = "overfill"
    """Lifted by a person."""
    ADJUSTED = "adjusted"
    """The position was adjusted without fills that explain it; lifted by a person."""
