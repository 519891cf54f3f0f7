"""Reconciliation with the venue: what is believed is checked, what is unknown is found out, nothing is assumed."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.execution.orders import OrderTable
from perpmaker.execution.tracked import OrderChange
from perpmaker.model.commands import Command
from perpmaker.model.events import Event, OrderEvent, PositionAdjusted
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.gate import ReadyState


class ReconcileRules(msgspec.Struct, frozen=True):
    """Times and counts of RELIABILITY §5."""

    create_answer_ns: int = 3 * NS_PER_S
    """A creation without any evidence becomes UNKNOWN; the gateway's own timeout (2 s) normally comes first."""
    query_after_ns: tuple[int, ...] = tuple(ms * NS_PER_MS for ms in (250, 500, 1000, 2000, 4000))
    query_every_ns: int = 2 * NS_PER_S
    """After the list above is used up."""
    queries_per_tick: int = 10
    ttl_cancel_after_ns: int = 4 * NS_PER_S
    ttl_ms: int = 5000
    not_found_needed: int = 3
    not_found_span_ns: int = 5 * NS_PER_S
    freeze_after_ns: int = 60 * NS_PER_S
    cancel_receipt_ns: int = 1 * NS_PER_S
    cancel_ended_ns: int = 3 * NS_PER_S
    cancel_all_after_ns: int = 9 * NS_PER_S
    pass_every_ns: int = 5 * NS_PER_S
    full_pass_every_ns: int = 300 * NS_PER_S
    full_pass_reach_ns: int = 300 * NS_PER_S
    """How far before the last known fill a full pass reads."""
    pass_timeout_ns: int = 10 * NS_PER_S
    settle_ns: int = 5 * NS_PER_S
    """Orders and positions with activity this recent are not compared: the venue's reads lag."""
    start_passes: int = 2
    start_pass_gap_ns: int = 500 * NS_PER_MS
    freeze_passes: int = 3


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
    BALANCE_DRIFT = "balance_drift"
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


class Outcome(msgspec.Struct, frozen=True):
    """What the engine has to do: carry out `commands`, process `evidence` as events, tell `findings`."""

    commands: tuple[Command, ...] = ()
    evidence: tuple[OrderEvent | PositionAdjusted, ...] = ()
    findings: tuple[Finding, ...] = ()


class FreezeCause(enum.Enum):
    UNKNOWN_ORDER = "unknown_order"
    """An outcome stayed unknown for 60 s; lifted when it is known."""
    POSITION = "position"
    """A position difference did not converge in three passes; lifted after two equal passes."""
    ORDERS = "orders"
    """Open orders did not converge in three passes; lifted after two equal passes."""
    OVERFILL = "overfill"
    """Lifted by a person."""
    ADJUSTED = "adjusted"
    """The position was adjusted without fills that explain it; lifted by a person."""


class AccountReconciler:
    """Reconciles one account. Fed with every event of it after the order table and the portfolio have seen it."""

    def __init__(
        self,
        account: AccountId,
        instruments: Iterable[InstrumentId],
        table: OrderTable,
        position_of: Callable[[InstrumentId], Decimal],
        *,
        fills_since_ns: int,
        has_history: bool,
        rules: ReconcileRules = DEFAULT_RULES,
    ) -> None:
        """`instruments` are those traded here; others of the account are compared and reported all the same.

        `fills_since_ns` is the journal's last known fill (0: none). Without history (`has_history` False) what the venue
        holds at the start is adopted; with it, a difference is adjusted and the instrument frozen.
        """
        raise NotImplementedError

    @property
    def timer_key(self) -> str:
        """The key of this reconciler's timer: "reconcile ACCOUNT"."""
        raise NotImplementedError

    def start(self, now_ns: int) -> Outcome:
        """Begin; the first pass is asked for when the private stream is up."""
        raise NotImplementedError

    def on_event(self, event: Event, changes: Sequence[OrderChange], now_ns: int) -> Outcome:
        """Learn from an event of this account and the changes the order table made of it. Timers too."""
        raise NotImplementedError

    def request_pass(self, now_ns: int, why: str) -> Outcome:
        """Ask for a full pass soon: after a gap, a pause of the machine, a step of the clock."""
        raise NotImplementedError

    def state(self, instrument: InstrumentId) -> ReadyState:
        raise NotImplementedError

    def freezes(self) -> Mapping[InstrumentId, Mapping[FreezeCause, str]]:
        """Return what is frozen, and why."""
        raise NotImplementedError

    def freeze(self, instrument: InstrumentId, cause: FreezeCause, text: str, now_ns: int) -> Outcome:
        raise NotImplementedError

    def unfreeze(self, instrument: InstrumentId, *, actor: str, now_ns: int) -> Outcome:
        """A person lifts every freeze of the instrument."""
        raise NotImplementedError


class Reconcilers:
    """The reconcilers of all accounts as the gate asks them."""

    def __init__(self) -> None:
        raise NotImplementedError

    def add(self, reconciler: AccountReconciler) -> None:
        raise NotImplementedError

    def get(self, account: AccountId) -> AccountReconciler | None:
        raise NotImplementedError

    def ready_state(self, account: AccountId, instrument: InstrumentId) -> ReadyState:
        raise NotImplementedError
