"""The engine's part around one reconciler, and a venue that the test plays."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from tests.unit.execution.stage import (
    BTC_ID,
    BUY,
    MAIN,
    MS,
    S,
    Stage,
    position_report,
    report,
    snapshot,
)

from perpmaker.execution.findings import Finding, FindingKind, Outcome
from perpmaker.execution.reconcile import AccountReconciler
from perpmaker.execution.tracked import OrderChange
from perpmaker.model.commands import CancelOrders, Command, QueryOrders, RequestSnapshot, SetTimer
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    CancelSent,
    Channel,
    Connectivity,
    Event,
    Fill,
    FundingPaid,
    OrderNotFound,
    OrderReport,
    PositionAdjusted,
    PositionReport,
    SnapshotFailed,
    Source,
    SubmitUnknown,
    Timer,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import CancelOrder, OrderState
from perpmaker.risk.gate import ReadyState


class Loop:
    """The engine's part around one reconciler: a queue, timers, and a venue that a test plays."""

    def __init__(self, kind: type[AccountReconciler] = AccountReconciler) -> None:
        self.stage = Stage()
        self.commands: list[tuple[int, Command]] = []
        """(ms since the start, command), timers apart."""
        self.answered = 0
        """How many of them `not_found` has answered."""
        self.findings: list[Finding] = []
        self.timers: dict[str, int] = {}
        self.queue: deque[Event] = deque()
        """Events that came of an event: processed after it, never inside."""
        self.start_ns = self.stage.now
        self.answer_passes = True
        self.reads_fail = False
        self.open_orders: Callable[[], tuple[OrderReport, ...]] = self.resting_here
        self.positions: Callable[[], tuple[PositionReport, ...]] = self.positions_here
        self.pass_fills: tuple[Fill, ...] = ()
        self.reconciler = kind(
            MAIN,
            [BTC_ID],
            self.stage.table,
            position_of=self.stage.account.position_qty,
            mark_px_of=self.stage.account.mark_px,
            fills_since_ns=self.stage.now,
        )

    def resting_here(self) -> tuple[OrderReport, ...]:
        """A venue that agrees with the table about resting orders."""
        live = self.stage.table.live(MAIN)
        shown = [t for t in live if t.state in (OrderState.OPEN, OrderState.CANCEL_SENT)]
        return tuple(
            report(t.client_order_id, cum=str(t.cum_qty), source=Source.SNAPSHOT, at=self.stage.now) for t in shown
        )

    def positions_here(self) -> tuple[PositionReport, ...]:
        """A venue that agrees with the account."""
        qty = self.stage.account.position_qty(BTC_ID)
        return (position_report(str(qty)),) if qty else ()

    def event(self, event: Event) -> None:
        """Process an event and all that comes of it, one after the other."""
        self.queue.append(event)
        self.drain()

    def drain(self) -> None:
        while self.queue:
            self.process(self.queue.popleft())

    def process(self, event: Event) -> None:
        """As the engine does: table, portfolio, reconciler, then what comes of it."""
        if isinstance(event, AccountSnapshot):
            changes = self.stage.table.apply_snapshot(event)
        elif isinstance(event, PositionAdjusted):
            changes = ()
            self.stage.account.on_adjustment(event)
        elif isinstance(event, SnapshotFailed | Timer | Connectivity | PositionReport | FundingPaid):
            changes = ()
        else:
            changes = self.stage.table.apply(event)  # type: ignore[arg-type]
        for change in changes:
            if change.fill is not None:
                self.stage.account.on_fill(change.fill)
        self.carry_out(self.learn(event, changes))

    def learn(self, event: Event, changes: Sequence[OrderChange]) -> Outcome:
        return self.reconciler.on_event(event, changes, self.stage.now)

    def take(self, outcome: Outcome) -> None:
        self.carry_out(outcome)
        self.drain()

    def carry_out(self, outcome: Outcome) -> None:
        self.findings += outcome.findings
        self.queue += outcome.evidence
        for command in outcome.commands:
            if isinstance(command, SetTimer):
                self.timers[command.key] = command.at_ns
                continue
            self.commands.append(((self.stage.now - self.start_ns) // MS, command))
            if isinstance(command, CancelOrders):
                self.queue += [CancelSent(MAIN, c.client_order_id, self.stage.now) for c in command.cancels]
            if isinstance(command, RequestSnapshot) and self.answer_passes:
                failed = SnapshotFailed(MAIN, "502", self.stage.now)
                self.queue.append(failed if self.reads_fail else self.snapshot_for(command))

    def snapshot_for(self, command: RequestSnapshot) -> AccountSnapshot:
        """Answer a pass as the venue that the test plays."""
        return snapshot(
            orders=self.open_orders(),
            positions=self.positions(),
            fills=self.pass_fills,
            asked=self.stage.now,
            fills_since=command.fills_since_ns,
        )

    def run(self, seconds: float) -> None:
        """Let time pass, firing timers as they fall due."""
        end_ns = self.stage.now + int(seconds * S)
        while (due := min(self.timers.values(), default=end_ns + 1)) <= end_ns:
            self.stage.now = max(self.stage.now, due)
            for key in [k for k, at in self.timers.items() if at <= due]:
                del self.timers[key]
                self.event(Timer(key, self.stage.now))
        self.stage.now = end_ns

    def link(self, up: bool, channel: Channel = Channel.PRIVATE) -> None:
        self.event(Connectivity(MAIN, channel, up, "" if up else "reset", self.stage.now))

    def ready(self) -> None:
        """Start, link up, and wait until ready; what led there is forgotten."""
        self.take(self.reconciler.start(self.stage.now))
        self.link(True)
        self.run(1)
        assert self.state() is ReadyState.READY
        self.commands.clear()
        self.answered = 0
        self.findings.clear()
        self.start_ns = self.stage.now

    def state(self, instrument: InstrumentId = BTC_ID) -> ReadyState:
        return self.reconciler.state(instrument)

    def found(self, kind: FindingKind) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind is kind]

    def cancels(self) -> list[tuple[int, CancelOrder]]:
        """Return the single cancels that went out, with their ms since the start."""
        return [(ms, cancel) for ms, c in self.commands if isinstance(c, CancelOrders) for cancel in c.cancels]

    def at(self, kind: type[Command]) -> list[int]:
        """Return when commands of a kind went out, in ms since the start."""
        return [ms for ms, command in self.commands if isinstance(command, kind)]

    def lost_order(self) -> int:
        """Send an order whose answer is lost; returns its id."""
        tracked = self.stage.sent(BUY)
        self.event(SubmitUnknown(MAIN, tracked.client_order_id, "timeout", self.stage.now))
        self.start_ns = self.stage.now
        return tracked.client_order_id

    def not_found(self, coid: int, until_s: float, *, ttl_ends_s: float | None = None) -> None:
        """Let every query find nothing, and the waiting cancel run out once."""
        ended = False
        for _ in range(int(until_s / 0.05)):
            self._find_nothing(coid)
            self.run(0.05)
            if ttl_ends_s is not None and not ended and self.stage.now - self.start_ns >= ttl_ends_s * S:
                ended = True
                self.event(CancelFailed(MAIN, coid, True, "time-to-live ran out", self.stage.now))  # type: ignore[arg-type]
        self._find_nothing(coid)

    def _find_nothing(self, coid: int) -> None:
        unanswered = self.commands[self.answered :]
        self.answered = len(self.commands)
        for _, command in unanswered:
            if isinstance(command, QueryOrders) and coid in command.client_order_ids:
                self.event(OrderNotFound(MAIN, coid, self.stage.now))  # type: ignore[arg-type]
