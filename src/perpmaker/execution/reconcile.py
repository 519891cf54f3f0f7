"""Reconciliation with the venue: what is believed is checked, what is unknown is found out, nothing is assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from perpmaker.execution.findings import (
    DEFAULT_RULES,
    NOTHING,
    Finding,
    FindingKind,
    FreezeCause,
    Outcome,
    ReconcileRules,
)
from perpmaker.execution.inquiries import Cause, Inquiries
from perpmaker.execution.orders import OrderTable
from perpmaker.execution.tracked import Incident, OrderChange, TrackedOrder
from perpmaker.model.commands import CancelOrders, QueryOrders, RequestSnapshot, SetTimer
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    Channel,
    Connectivity,
    Event,
    Fill,
    OrderNotFound,
    OrderReport,
    PositionAdjusted,
    PositionReport,
    SnapshotFailed,
    Source,
    Timer,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.order import CancelOrder, OrderState
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.gate import ReadyState

_ZERO: Final = Decimal(0)


_RESTING: Final = (OrderState.OPEN, OrderState.CANCEL_SENT)
_BY_EQUAL_PASSES: Final = (FreezeCause.POSITION, FreezeCause.ORDERS)
_OF_RECONCILING: Final = (Timer, Connectivity, AccountSnapshot, SnapshotFailed, CancelFailed, OrderNotFound)
"""Events that mean something here besides what the order table made of them."""


class AccountReconciler:
    """Reconciles one account. Fed with every event of it after the order table and the portfolio have seen it.

    A pass is one AccountSnapshot. An instrument is READY after `start_passes` equal ones in a row, after a lost private
    link again after one, and no order of it is in question any more. Equal means: position as ours, every resting order on
    both sides. What was active in the last 5 s is not compared: such a pass counts for nothing, and another is read soon.
    """

    def __init__(
        self,
        account: AccountId,
        instruments: Iterable[InstrumentId],
        table: OrderTable,
        *,
        position_of: Callable[[InstrumentId], Decimal],
        mark_px_of: Callable[[InstrumentId], Decimal | None],
        fills_since_ns: int,
        rules: ReconcileRules = DEFAULT_RULES,
    ) -> None:
        """`instruments` are those traded here; others of the account are compared and reported all the same.

        `fills_since_ns` is the venue time of the journal's last known fill; of an account without history, of its start.
        `mark_px_of` values an adjustment.
        """
        self._account = account
        self._table = table
        self._position_of = position_of
        self._mark_px_of = mark_px_of
        self._last_fill_ns = fills_since_ns
        self._rules = rules
        self._inquiries = Inquiries(account, table, rules.inquiries)
        self._instruments = {instrument: _Instrument(traded=True) for instrument in instruments}
        self._links = {Channel.PRIVATE: False, Channel.ORDER_ENTRY: True}
        self._begun = False
        """Whether the private stream was ever up in this life: before that nobody can be asked."""
        self._passes_needed = rules.start_passes
        self._asked_ns = 0
        """When the pass under way was asked for; 0 for none."""
        self._due_ns = 0
        """When to ask for the next one; 0 for not yet."""
        self._full_due_ns = 0
        self._good_ns = 0
        """When the last good pass was asked for."""
        self._failures = 0
        self._asked_waiting: dict[ClientOrderId, int] = {}
        """When the orders that wait for a price and are not shown were last asked about."""
        self._counts_from_ns = 0
        """Passes asked for before this prove nothing about being ready."""
        self._timer_ns = 0
        self._calm_until_ns = 0
        """Until when nothing is due but what single orders make so; 0 while anything is in question."""

    @property
    def timer_key(self) -> str:
        """The key of this reconciler's timer: "reconcile ACCOUNT"."""
        return f"reconcile {self._account}"

    def start(self, now_ns: int) -> Outcome:
        """Begin; the first pass is asked for when the private stream is up."""
        outcome = Outcome()
        outcome.evidence += self._inquiries.restarted(now_ns)
        self._schedule(outcome, now_ns)
        return outcome

    def on_event(self, event: Event, changes: Sequence[OrderChange], now_ns: int) -> Outcome:
        """Learn from an event of this account and the changes the order table made of it. Timers too."""
        if now_ns < self._calm_until_ns and not isinstance(event, _OF_RECONCILING) and self._is_calm(changes, now_ns):
            return NOTHING
        outcome = Outcome()
        for change in changes:
            self._on_change(change, outcome, now_ns)
        if isinstance(event, Timer):
            if event.key == self.timer_key:
                self._timer_ns = 0
        elif isinstance(event, Connectivity):
            self._on_link(event, outcome, now_ns)
        elif isinstance(event, AccountSnapshot):
            self._on_snapshot(event, outcome, now_ns)
        elif isinstance(event, SnapshotFailed):
            self._on_failure(event.reason, outcome, now_ns)
        elif isinstance(event, OrderNotFound):
            self._on_not_found(event.client_order_id, outcome, now_ns)
        self._inquiries.observe(event, now_ns)
        self._act(outcome, now_ns)
        self._schedule(outcome, now_ns)
        return outcome

    def request_pass(self, now_ns: int, why: str, *, revoke: bool = True) -> Outcome:
        """Ask for a full pass now: after a gap, a pause of the machine, a step of the clock.

        With `revoke` nothing is READY until that pass was equal.
        """
        outcome = Outcome()
        if revoke:
            self._revoke(why, outcome, now_ns)
        self._due_ns = self._full_due_ns = now_ns
        self._inquiries.look(now_ns)
        self._act(outcome, now_ns)
        self._schedule(outcome, now_ns)
        return outcome

    def state(self, instrument: InstrumentId) -> ReadyState:
        """Return how far the instrument is; one that is not traded here is never ready."""
        if not all(self._links.values()):
            return ReadyState.PRIVATE_DOWN
        known = self._instruments.get(instrument)
        if known is None or not known.traded or not known.ready:
            return ReadyState.STARTING
        return ReadyState.FROZEN if known.freezes else ReadyState.READY

    def freezes(self) -> Mapping[InstrumentId, Mapping[FreezeCause, str]]:
        """Return what is frozen, and why."""
        return {name: dict(known.freezes) for name, known in self._instruments.items() if known.freezes}

    def freeze(self, instrument: InstrumentId, cause: FreezeCause, text: str, now_ns: int) -> Outcome:
        """Freeze an instrument for new risk: as the journal says it was, or for a reason found elsewhere."""
        outcome = Outcome()
        self._freeze(instrument, cause, text, outcome, now_ns)
        return outcome

    def unfreeze(self, instrument: InstrumentId, *, actor: str, now_ns: int) -> Outcome:
        """A person lifts every freeze of the instrument; ValueError without a name."""
        if not actor.strip():
            raise ValueError("a person lifts a freeze: say who")
        outcome = Outcome()
        for cause in list(self._of(instrument).freezes):
            self._unfreeze(instrument, cause, f"lifted by {actor}", outcome, now_ns)
        return outcome

    def _is_calm(self, changes: Sequence[OrderChange], now_ns: int) -> bool:
        """Learn what most events say of orders; False when there may be more to it: then `on_event` looks at everything."""
        for change in changes:
            if change.incident is not None or change.after is OrderState.RETIRED:
                return False
            if change.fill is not None:
                self._on_fill(change.fill, now_ns)
        self._inquiries.look(now_ns)
        rests_until_ns = self._inquiries.rests_until_ns
        return rests_until_ns is None or (rests_until_ns > now_ns and rests_until_ns >= self._timer_ns)

    def _on_fill(self, fill: Fill, now_ns: int) -> None:
        self._last_fill_ns = max(self._last_fill_ns, fill.ts_event_ns)
        self._of(fill.instrument).active_ns = now_ns

    def _on_change(self, change: OrderChange, outcome: Outcome, now_ns: int) -> None:
        tracked, fill = change.order, change.fill
        if fill is not None:
            self._on_fill(fill, now_ns)
        if tracked is not None and change.after is not change.before and tracked.state is OrderState.RETIRED:
            self._find(outcome, FindingKind.RETIRED, tracked.order.instrument, tracked, tracked.reason, now_ns)
        incident = change.incident
        if incident is None:
            return
        instrument = tracked.order.instrument if tracked is not None else fill.instrument if fill is not None else None
        text = f"{incident.value}: {change.text}" if change.text else incident.value
        self._find(outcome, FindingKind.ORDER_INCIDENT, instrument, tracked, text, now_ns)
        if incident is Incident.OVERFILL and instrument is not None:
            self._freeze(instrument, FreezeCause.OVERFILL, "more was executed than ordered", outcome, now_ns)
        if incident is Incident.CONTRADICTION and tracked is not None and not tracked.is_terminal:
            self._inquiries.suspect(tracked, Cause.MISSING, now_ns)
        if incident is not Incident.FOREIGN:
            self._soon(now_ns)

    def _on_link(self, event: Connectivity, outcome: Outcome, now_ns: int) -> None:
        if event.name != self._account or event.channel not in self._links:
            return
        self._links[event.channel] = event.up
        if not event.up:
            self._revoke(f"{event.channel.value} is down: {event.reason}", outcome, now_ns)
        elif self._links[Channel.PRIVATE]:
            self._due_ns = self._full_due_ns = self._counts_from_ns = now_ns
            if not self._begun:
                self._begun = True
                self._inquiries.begin(now_ns)

    def _revoke(self, why: str, outcome: Outcome, now_ns: int) -> None:
        """Nothing is ready until another pass, asked for from now on, was equal."""
        self._calm_until_ns = 0
        if any(known.ready for known in self._instruments.values()):
            self._passes_needed = 1
            self._find(outcome, FindingKind.NOT_READY, None, None, why, now_ns)
        for known in self._instruments.values():
            known.ready, known.equal_passes = False, 0
        self._asked_ns, self._counts_from_ns = 0, now_ns

    def _on_failure(self, reason: str, outcome: Outcome, now_ns: int) -> None:
        """A failed read says nothing about orders or positions: ask again, slower each time."""
        self._asked_ns = 0
        self._failures += 1
        self._due_ns = now_ns + min(self._rules.soon_ns << min(self._failures, 10), 8 * NS_PER_S)
        self._find(outcome, FindingKind.READ_FAILED, None, None, reason, now_ns)

    def _on_snapshot(self, snapshot: AccountSnapshot, outcome: Outcome, now_ns: int) -> None:
        if snapshot.ts_asked_ns < self._asked_ns:
            return  # an answer to a question from before the link was lost
        self._asked_ns, self._failures, self._good_ns = 0, 0, snapshot.ts_asked_ns
        differing = self._compare_positions(snapshot, outcome, now_ns)
        equal = {name for name, known in self._instruments.items() if not known.is_unsure and name not in differing}
        self._inquiries.on_pass(snapshot, equal)
        odd = self._compare_orders(snapshot, outcome, now_ns)
        counts = snapshot.ts_asked_ns >= self._counts_from_ns and all(self._links.values())
        for name, known in self._instruments.items():
            if name in differing or name in odd:
                known.equal_passes = 0
            elif counts and not known.is_unsure:
                known.equal_passes += 1
            self._judge(name, known, name in odd, outcome, now_ns)
        waiting = any(self._waits_for_pass(name, known, now_ns) for name, known in self._instruments.items())
        self._due_ns = now_ns + (self._rules.soon_ns if differing or odd or waiting else self._rules.pass_every_ns)

    def _judge(self, name: InstrumentId, known: _Instrument, is_odd: bool, outcome: Outcome, now_ns: int) -> None:
        known.odd_passes = known.odd_passes + 1 if is_odd else 0
        if known.odd_passes >= self._rules.freeze_passes:
            self._freeze(name, FreezeCause.ORDERS, "open orders do not converge with the venue's", outcome, now_ns)
        if known.equal_passes >= self._rules.unfreeze_passes:
            for cause in _BY_EQUAL_PASSES:
                self._unfreeze(name, cause, "equal again", outcome, now_ns)
        waits = known.equal_passes < self._passes_needed or self._inquiries.concerns(name, now_ns)
        if known.traded and not known.ready and not waits:
            known.ready = True
            self._find(outcome, FindingKind.READY, name, None, f"after {known.equal_passes} equal passes", now_ns)

    def _waits_for_pass(self, name: InstrumentId, known: _Instrument, now_ns: int) -> bool:
        """Whether a pass soon would settle something about an instrument; an order in question says itself when."""
        if not known.traded:
            return False
        if known.is_unsure or any(cause in known.freezes for cause in _BY_EQUAL_PASSES):
            return True
        in_question = known.equal_passes >= self._passes_needed and self._inquiries.concerns(name, now_ns)
        return not known.ready and not in_question

    def _compare_positions(self, snapshot: AccountSnapshot, outcome: Outcome, now_ns: int) -> set[InstrumentId]:
        """Return the instruments whose position differs for sure; mark those too lively to tell."""
        stated = {report.instrument: report for report in snapshot.positions}
        differing: set[InstrumentId] = set()
        for name in list(dict.fromkeys((*self._instruments, *stated))):  # in one order, whatever the hash seed
            known = self._of(name)
            report = stated.get(name)
            difference = (report.qty if report is not None else _ZERO) - self._position_of(name)
            settled = known.active_ns < snapshot.ts_asked_ns - self._rules.settle_ns
            known.is_unsure = difference != 0 and not settled
            if difference == 0:
                known.different_passes = 0
            elif settled:
                known.different_passes += 1
                differing.add(name)
                text = f"the venue holds {difference} more than we know, pass {known.different_passes}"
                self._find(outcome, FindingKind.POSITION_DIFFERENCE, name, None, text, now_ns)
                if known.different_passes >= self._rules.freeze_passes:
                    self._adjust(name, known, report, difference, outcome, now_ns)
        return differing

    def _adjust(
        self,
        name: InstrumentId,
        known: _Instrument,
        report: PositionReport | None,
        difference: Decimal,
        outcome: Outcome,
        now_ns: int,
    ) -> None:
        """No fill explains the difference: believe the venue, book it once, and let a person look at it."""
        px = (report.mark_px if report is not None else None) or self._mark_px_of(name)
        if px is None and report is not None:
            px = report.avg_entry_px
        if px is None:
            text = f"{difference} differ, and there is no price to book it at"
            self._freeze(name, FreezeCause.POSITION, text, outcome, now_ns)
            return
        known.different_passes = 0
        adjustment_id = f"{self._account} {name} {self._position_of(name)} {difference:+} {self._good_ns}"
        outcome.evidence.append(PositionAdjusted(self._account, name, difference, px, adjustment_id, now_ns))
        self._freeze(name, FreezeCause.ADJUSTED, f"{difference} adjusted without fills", outcome, now_ns)

    def _compare_orders(self, snapshot: AccountSnapshot, outcome: Outcome, now_ns: int) -> set[InstrumentId]:
        """Ask about orders missing from the pass, cancel ended ones that it shows; returns the instruments concerned."""
        before_ns = snapshot.ts_asked_ns - self._rules.settle_ns
        shown = {report.client_order_id for report in snapshot.open_orders}
        shown_ids = {report.venue_order_id for report in snapshot.open_orders}
        odd: set[InstrumentId] = set()
        waiting: list[ClientOrderId] = []
        for tracked in self._table.live(self._account):
            if tracked.state not in _RESTING or tracked.client_order_id in shown or tracked.venue_order_id in shown_ids:
                continue
            if max(tracked.activity_ns, tracked.created_ns) >= before_ns:
                continue
            if tracked.waits and tracked.client_order_id:
                waiting.append(tracked.client_order_id)
                continue
            odd.add(tracked.order.instrument)
            self._miss(tracked, snapshot, outcome, now_ns)
        self._ask_waiting(waiting, outcome, now_ns)
        zombies: list[CancelOrder] = []
        for report in snapshot.open_orders:
            ended = self._table.get(self._account, report.client_order_id)
            if ended is None or not ended.is_terminal or not ended.own or ended.activity_ns >= before_ns:
                continue
            odd.add(report.instrument)
            text = f"{ended.state.value} here, {report.status.value} at the venue"
            self._find(outcome, FindingKind.ZOMBIE_ORDER, report.instrument, ended, text, now_ns)
            zombies.append(CancelOrder(self._account, report.instrument, report.client_order_id, report.venue_order_id))
        if zombies:
            outcome.commands.append(CancelOrders(self._account, tuple(zombies)))
        return odd

    def _ask_waiting(self, missing: Sequence[ClientOrderId], outcome: Outcome, now_ns: int) -> None:
        """Ask about orders that wait for a price and are not shown: a venue may keep those apart from its open orders.

        So their absence alone proves nothing, and nothing is in question until a query does not find one either.
        """
        asked = self._asked_waiting
        for name in list(asked):
            known = self._table.get(self._account, name)
            if known is None or known.is_terminal:
                del asked[name]
        rules = self._rules
        due = [name for name in missing if now_ns - asked.get(name, 0) >= rules.ask_waiting_ns]
        if due:
            due = sorted(due, key=lambda name: asked.get(name, 0))[: rules.ask_waiting_most]
            asked.update(dict.fromkeys(due, now_ns))
            outcome.commands.append(QueryOrders(self._account, tuple(due)))

    def _on_not_found(self, client_order_id: ClientOrderId, outcome: Outcome, now_ns: int) -> None:
        tracked = self._table.get(self._account, client_order_id)
        if tracked is None or client_order_id not in self._asked_waiting or tracked.state not in _RESTING:
            return
        if self._inquiries.suspect(tracked, Cause.MISSING, now_ns):
            text = "live here, not known to the venue"
            self._find(outcome, FindingKind.MISSING_ORDER, tracked.order.instrument, tracked, text, now_ns)

    def _miss(self, tracked: TrackedOrder, snapshot: AccountSnapshot, outcome: Outcome, now_ns: int) -> None:
        if tracked.client_order_id:
            if self._inquiries.suspect(tracked, Cause.MISSING, now_ns):
                text = "live here, not among the venue's open orders"
                self._find(outcome, FindingKind.MISSING_ORDER, tracked.order.instrument, tracked, text, now_ns)
            return
        outcome.evidence.append(  # nobody can be asked about a foreign order without a client order id: it has ended
            OrderReport(
                account=self._account,
                client_order_id=tracked.client_order_id,
                venue_order_id=tracked.venue_order_id,
                instrument=tracked.order.instrument,
                status=VenueStatus.CANCELED,
                cum_qty=tracked.cum_qty,
                avg_px=None,
                reason="no longer among the open orders",
                source=Source.SNAPSHOT,
                ts_event_ns=snapshot.ts_event_ns,
                ts_recv_ns=now_ns,
            )
        )

    def _act(self, outcome: Outcome, now_ns: int) -> None:
        """Do what is due: queries and cancels, freezes by age, passes."""
        if not self._begun:
            return
        asked = self._inquiries.due(now_ns)
        if asked is not None:
            outcome.commands += asked.commands
            outcome.evidence += asked.evidence
        overdue = self._inquiries.overdue(now_ns)
        for name, text in overdue.items():
            self._freeze(name, FreezeCause.UNKNOWN_ORDER, text, outcome, now_ns)
        for name, known in self._instruments.items():
            if known.freezes and name not in overdue:
                self._unfreeze(name, FreezeCause.UNKNOWN_ORDER, "every order's fate is known", outcome, now_ns)
        if self._asked_ns and now_ns - self._asked_ns >= self._rules.pass_timeout_ns:
            self._on_failure("no answer in time", outcome, now_ns)
        if self._inquiries.wants_pass(now_ns) or self._is_answered(now_ns):
            self._soon(now_ns)
        if self._due_ns and now_ns >= self._due_ns and not self._asked_ns:
            self._asked_ns, self._due_ns = now_ns, 0
            outcome.commands.append(RequestSnapshot(self._account, self._fills_since_ns(now_ns)))

    def _is_answered(self, now_ns: int) -> bool:
        """Whether an instrument waited for the fate of an order alone, and it is known now."""
        for name, known in self._instruments.items():
            if known.ready or not known.traded or known.equal_passes < self._passes_needed:
                continue
            if not self._inquiries.concerns(name, now_ns):
                return True
        return False

    def _soon(self, now_ns: int) -> None:
        """Have a pass soon, if any may be made yet and none is under way; after a failed one it has its own time."""
        if self._due_ns and not self._failures:
            self._due_ns = min(self._due_ns, max(now_ns, self._good_ns + self._rules.soon_ns))

    def _fills_since_ns(self, now_ns: int) -> int:
        """Return how far back this pass reads fills."""
        rules = self._rules
        if now_ns >= self._full_due_ns or not self._good_ns:
            self._full_due_ns = now_ns + rules.full_pass_every_ns
            since_ns = self._last_fill_ns - rules.full_pass_reach_ns
        else:
            since_ns = self._good_ns - rules.pass_reach_ns
        oldest_ns = self._inquiries.oldest_created_ns
        if oldest_ns is not None:
            since_ns = min(since_ns, oldest_ns)
        if any(known.different_passes for known in self._instruments.values()):
            since_ns = min(since_ns, now_ns - rules.search_reach_ns)
        return max(since_ns, 0)

    def _schedule(self, outcome: Outcome, now_ns: int) -> None:
        """Ask for a timer unless one that is early enough is set."""
        if not self._begun:
            return
        self._set_timer(outcome, now_ns)
        in_question = self._inquiries.are_open or any(
            known.freezes or (known.traded and not known.ready) for known in self._instruments.values()
        )
        self._calm_until_ns = 0 if in_question else self._timer_ns

    def _set_timer(self, outcome: Outcome, now_ns: int) -> None:
        wanted_ns = self._asked_ns + self._rules.pass_timeout_ns if self._asked_ns else self._due_ns
        inquiry_ns = self._inquiries.next_due_ns(now_ns)
        if inquiry_ns and (not wanted_ns or inquiry_ns < wanted_ns):
            wanted_ns = inquiry_ns
        if wanted_ns <= 0:
            return
        wanted_ns = max(wanted_ns, now_ns + NS_PER_MS)
        if not self._timer_ns or wanted_ns < self._timer_ns or self._timer_ns <= now_ns:
            self._timer_ns = wanted_ns
            outcome.commands.append(SetTimer(self.timer_key, wanted_ns))

    def _of(self, instrument: InstrumentId) -> _Instrument:
        """Return what is known of an instrument, one that is not traded here included."""
        known = self._instruments.get(instrument)
        if known is None:
            known = self._instruments[instrument] = _Instrument(traded=False)
        return known

    def _freeze(self, instrument: InstrumentId, cause: FreezeCause, text: str, outcome: Outcome, now_ns: int) -> None:
        self._calm_until_ns = 0
        known = self._of(instrument)
        if cause not in known.freezes:
            known.freezes[cause] = text
            self._find(outcome, FindingKind.FROZEN, instrument, None, f"{cause.value}: {text}", now_ns)

    def _unfreeze(self, instrument: InstrumentId, cause: FreezeCause, text: str, outcome: Outcome, now_ns: int) -> None:
        if self._of(instrument).freezes.pop(cause, None) is not None:
            self._find(outcome, FindingKind.UNFROZEN, instrument, None, f"{cause.value}: {text}", now_ns)

    def _find(
        self,
        outcome: Outcome,
        kind: FindingKind,
        instrument: InstrumentId | None,
        tracked: TrackedOrder | None,
        text: str,
        now_ns: int,
    ) -> None:
        client_order_id = None if tracked is None else tracked.client_order_id
        outcome.findings.append(Finding(kind, self._account, instrument, client_order_id, text, now_ns))


class _Instrument:
    """What reconciliation knows of one instrument."""

    __slots__ = (
        "active_ns",
        "different_passes",
        "equal_passes",
        "freezes",
        "is_unsure",
        "odd_passes",
        "ready",
        "traded",
    )

    def __init__(self, *, traded: bool) -> None:
        self.traded = traded
        self.ready = False
        self.equal_passes = 0
        self.different_passes = 0
        self.odd_passes = 0
        self.is_unsure = False
        """The position differs, but fills came too recently to mean anything."""
        self.active_ns = 0
        """When a fill was last booked."""
        self.freezes: dict[FreezeCause, str] = {}


class Reconcilers:
    """The reconcilers of all accounts, as the gate asks them."""

    def __init__(self) -> None:
        self._by_account: dict[AccountId, AccountReconciler] = {}

    def add(self, account: AccountId, reconciler: AccountReconciler) -> None:
        self._by_account[account] = reconciler

    def get(self, account: AccountId) -> AccountReconciler | None:
        return self._by_account.get(account)

    def ready_state(self, account: AccountId, instrument: InstrumentId) -> ReadyState:
        """Return how far the instrument of the account is; an unknown account is STARTING."""
        reconciler = self._by_account.get(account)
        return ReadyState.STARTING if reconciler is None else reconciler.state(instrument)
