"""Finding out what became of single orders: creations without an answer, cancels without an end, orders gone missing.

The times are those of RELIABILITY §5. Nothing is ever concluded from silence: an order is retired only when the venue
answered three times over 5 s that it is not there, once at least when asked about this very order, and a complete pass read
after its last chance to arrive (a cancel's time-to-live ran out, or its signature expired) holds neither the order nor a
fill of it, and the position does not differ. A complete pass answers for all orders at once: after a crash many may be in
question, and the venue allows few reads a second. Of an order that waits for a price it answers nothing: such may not be
shown among the open ones.
"""

from __future__ import annotations

import enum
from collections.abc import Container
from typing import Final

import msgspec

from perpmaker.execution.orders import OrderTable
from perpmaker.execution.tracked import OrderKey, TrackedOrder
from perpmaker.model.commands import CancelAll, CancelOrders, Command, QueryOrders
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    CancelSent,
    Event,
    OrderEvent,
    OrderNotFound,
    OrderReport,
    OrderRetired,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.order import CancelOrder, OrderState
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_UNCONFIRMED: Final = (OrderState.PREPARED, OrderState.SENT)
_UNSURE: Final = (*_UNCONFIRMED, OrderState.UNKNOWN)
_RESTING: Final = (VenueStatus.PENDING, VenueStatus.OPEN)
_TTL_SLACK_NS: Final = 250 * NS_PER_MS
"""A time-to-live may be reported as over this much early by our clock."""
_EXPIRY_SLACK_NS: Final = 5 * NS_PER_S
"""Clocks may differ by this much before a signature surely has expired at the venue."""


class InquiryRules(msgspec.Struct, frozen=True):
    """When to ask, cancel, conclude and give up."""

    create_answer_ns: int = 3 * NS_PER_S
    """A creation without any evidence becomes UNKNOWN; the gateway's own timeout (2 s) normally comes first."""
    query_after_ns: tuple[int, ...] = tuple(ms * NS_PER_MS for ms in (250, 500, 1000, 2000, 4000))
    query_every_ns: int = 2 * NS_PER_S
    """After the list above is used up."""
    query_of_before_every_ns: int = 5 * NS_PER_S
    """For an order of an earlier life, which nothing can send any more: after the first query passes tell enough."""
    query_pace_ns: int = 350 * NS_PER_MS
    query_burst: int = 6
    """Queries of all orders together: so many at once, then one per pace. Passes need the rest of the request budget."""
    ttl_cancel_after_ns: int = 4 * NS_PER_S
    ttl_cancel_every_ns: int = 10 * NS_PER_S
    """Until its end was stated: successive windows of one order are dropped as duplicates, so one is waited out."""
    ttl_retry_ns: int = 1 * NS_PER_S
    """After a waiting cancel that could not be sent."""
    ttl_ms: int = 5000
    not_found_needed: int = 3
    not_found_span_ns: int = 5 * NS_PER_S
    overdue_after_ns: int = 60 * NS_PER_S
    cancel_receipt_ns: int = 1 * NS_PER_S
    cancel_ended_ns: int = 3 * NS_PER_S
    cancel_all_after_ns: int = 9 * NS_PER_S
    cancel_again_ns: int = 5 * NS_PER_S


class Cause(enum.Enum):
    UNKNOWN = "unknown"
    MISSING = "missing"
    """Live here, absent from a complete pass."""
    CANCEL_NOT_FOUND = "cancel_not_found"


class Asked(msgspec.Struct):
    """What is to be done now."""

    commands: list[Command]
    evidence: list[OrderEvent]


class Inquiries:
    """The open questions about orders of one account. Fed after the order table; `due` says what to do by now."""

    def __init__(self, account: AccountId, table: OrderTable, rules: InquiryRules) -> None:
        self._account = account
        self._table = table
        self._rules = rules
        self._unsettled = table.waiting(account)
        self._open: dict[OrderKey, _Inquiry] = {}
        self._cancels: dict[OrderKey, _CancelWatch] = {}
        self._pace = _Pace(rules)
        self._of_before: set[OrderKey] = set()
        """Orders of an earlier life whose outcome is unknown: nobody waits for them, so they are cancelled at once."""

    def restarted(self, now_ns: int) -> list[OrderEvent]:
        """Return the evidence that whatever was under way in the life before is unknown now."""
        flying = [t for t in self._table.live(self._account) if t.state in _UNSURE]
        self._of_before = {tracked.key for tracked in flying}
        text = "the engine restarted before an answer"
        return [SubmitUnknown(self._account, tracked.client_order_id, text, now_ns) for tracked in flying]

    def begin(self, now_ns: int) -> None:
        """The venue can be asked from now on: questions opened before begin now."""
        self.look(now_ns)
        for inquiry in self._open.values():
            inquiry.since_ns = inquiry.next_query_ns = now_ns
        for watch in self._cancels.values():
            watch.begin(now_ns, self._rules)

    def observe(self, event: Event, now_ns: int) -> None:
        """Learn from evidence the order table has seen already."""
        if isinstance(event, CancelFailed):
            self._cancel_failed(event, now_ns)
        elif self._open:
            if isinstance(event, OrderNotFound):
                inquiry = self._open.get(event.client_order_id)
                if inquiry is not None:
                    inquiry.absent_ns.append(event.ts_recv_ns)
                    inquiry.was_asked_about = True
            elif isinstance(event, CancelSent):
                self._cancel_sent(event)
            elif isinstance(event, OrderReport):
                inquiry = self._open.get(event.client_order_id)
                if inquiry is not None and event.status in _RESTING and event.ts_event_ns >= inquiry.since_ns:
                    del self._open[event.client_order_id]
        self.look(now_ns)

    def _cancel_failed(self, event: CancelFailed, now_ns: int) -> None:
        inquiry = self._open.get(event.client_order_id)
        if not event.not_found:
            if inquiry is not None and inquiry.ttl_last_ns <= inquiry.ttl_sent_ns:
                inquiry.ttl_sent_ns = 0  # it opened no window
            return
        if inquiry is None:
            tracked = self._table.get(event.account, event.client_order_id)
            if tracked is not None and not tracked.is_terminal:
                self.suspect(tracked, Cause.CANCEL_NOT_FOUND, now_ns)
        elif inquiry.ttl_sent_ns:
            ran_out_ns = inquiry.ttl_sent_ns + self._rules.ttl_ms * NS_PER_MS - _TTL_SLACK_NS
            if event.ts_recv_ns >= ran_out_ns:
                inquiry.ttl_ended_ns = event.ts_recv_ns
            else:
                inquiry.ttl_sent_ns = 0  # another window, one we do not know the beginning of: ours was dropped

    def _cancel_sent(self, event: CancelSent) -> None:
        """Whoever cancels an unconfirmed order lets the cancel wait; the venue drops one that meets a waiting one."""
        inquiry = self._open.get(event.client_order_id)
        if inquiry is None:
            return
        inquiry.ttl_last_ns = event.ts_recv_ns
        is_over = event.ts_recv_ns >= inquiry.ttl_sent_ns + self._rules.ttl_ms * NS_PER_MS
        if is_over and inquiry.tracked.state in _UNSURE:
            inquiry.ttl_sent_ns = event.ts_recv_ns

    def suspect(self, tracked: TrackedOrder, cause: Cause, now_ns: int) -> bool:
        """Begin to ask about an order; returns False when it is being asked about already."""
        if tracked.key in self._open:
            return False
        rules, of_before = self._rules, tracked.key in self._of_before
        first_ns = now_ns if of_before or cause is not Cause.UNKNOWN else now_ns + rules.query_after_ns[0]
        cancel_after_ns = 0 if of_before else rules.ttl_cancel_after_ns
        inquiry = self._open[tracked.key] = _Inquiry(tracked, cause, now_ns, first_ns, cancel_after_ns)
        if tracked.state in _UNSURE and not of_before:
            inquiry.ttl_sent_ns = inquiry.ttl_last_ns = tracked.cancel_sent_ns
        return True

    def look(self, now_ns: int) -> None:
        """Open and close inquiries as the orders' states say."""
        if self._open:
            for key, inquiry in list(self._open.items()):
                tracked = inquiry.tracked
                if tracked.is_terminal or (inquiry.cause is Cause.UNKNOWN and tracked.state is not OrderState.UNKNOWN):
                    del self._open[key]
        cancels = self._cancels
        if cancels:
            for key, watch in list(cancels.items()):
                if watch.tracked.is_terminal:
                    del cancels[key]
        for tracked in self._unsettled:
            if tracked.state is OrderState.UNKNOWN:
                self.suspect(tracked, Cause.UNKNOWN, now_ns)
            elif tracked.cancel_sent_ns and tracked.key not in cancels and tracked.state not in _UNCONFIRMED:
                cancels[tracked.key] = _CancelWatch(tracked, tracked.cancel_sent_ns, self._rules)

    def on_pass(self, snapshot: AccountSnapshot, equal: Container[InstrumentId]) -> None:
        """Learn from a complete pass; `equal` are the instruments whose position does not differ."""
        shown: set[OrderKey] = {report.client_order_id for report in snapshot.open_orders}
        for key, inquiry in list(self._open.items()):
            tracked = inquiry.tracked
            if key in shown:
                if snapshot.ts_asked_ns >= inquiry.since_ns:
                    del self._open[key]
            elif tracked.order.instrument in equal and snapshot.fills_since_ns <= tracked.created_ns:
                inquiry.searched_ns = snapshot.ts_asked_ns
                if snapshot.ts_asked_ns >= inquiry.since_ns and not tracked.waits:
                    inquiry.absent_ns.append(snapshot.ts_asked_ns)

    @property
    def are_open(self) -> bool:
        """Whether any order is in question; a cancel under way is no question yet."""
        return bool(self._open)

    @property
    def rests_until_ns(self) -> int | None:
        """Until when nothing is to be done about any order; None: as long as they stay so; 0: some are in question."""
        if self._open:
            return 0
        rules, until_ns = self._rules, None
        for tracked in self._unsettled:
            if tracked.state in _UNCONFIRMED:
                answer_ns = tracked.created_ns + rules.create_answer_ns
                if until_ns is None or answer_ns < until_ns:
                    until_ns = answer_ns
        for watch in self._cancels.values():
            next_ns = min(watch.next_ns, watch.since_ns + rules.overdue_after_ns)
            if until_ns is None or next_ns < until_ns:
                until_ns = next_ns
        return until_ns

    def due(self, now_ns: int) -> Asked | None:
        """Return the queries, cancels and conclusions that are due, None for nothing; `observe` comes before."""
        oldest_ns = now_ns - self._rules.create_answer_ns
        unanswered = [t for t in self._unsettled if t.created_ns <= oldest_ns and t.state in _UNCONFIRMED]
        if not unanswered and not self._open and not self._cancels:
            return None
        text = "no answer in time"
        asked = Asked([], [SubmitUnknown(self._account, t.client_order_id, text, now_ns) for t in unanswered])
        queries: list[ClientOrderId] = []
        cancels: list[CancelOrder] = []
        for inquiry in sorted(self._open.values(), key=_next_query):
            self._pursue(inquiry, now_ns, queries, cancels, asked)
        for watch in self._watches():
            self._watch(watch, now_ns, queries, cancels, asked)
        if queries:
            asked.commands.insert(0, QueryOrders(self._account, tuple(dict.fromkeys(queries))))
        if cancels:
            self._table.note_cancels(cancels, now_ns)
            asked.commands.append(CancelOrders(self._account, tuple(cancels)))
        return asked

    def _pursue(
        self,
        inquiry: _Inquiry,
        now_ns: int,
        queries: list[ClientOrderId],
        cancels: list[CancelOrder],
        asked: Asked,
    ) -> None:
        tracked, rules = inquiry.tracked, self._rules
        proof = inquiry.proof(rules, now_ns)
        if proof is not None:
            asked.evidence.append(OrderRetired(self._account, tracked.client_order_id, proof, now_ns))
            return
        if now_ns >= inquiry.next_query_ns and self._pace.take(now_ns):
            queries.append(tracked.client_order_id)
            inquiry.next_query_ns = inquiry.query_after_ns(rules, now_ns)
        if now_ns >= inquiry.next_cancel_ns(rules) and not inquiry.ttl_ended_ns:
            inquiry.ttl_sent_ns = inquiry.ttl_last_ns = inquiry.ttl_tried_ns = now_ns
            cancels.append(_cancel(tracked, ttl_ms=rules.ttl_ms))

    def _watch(
        self,
        watch: _CancelWatch,
        now_ns: int,
        queries: list[ClientOrderId],
        cancels: list[CancelOrder],
        asked: Asked,
    ) -> None:
        if now_ns < watch.next_ns:
            return
        tracked, stage = watch.tracked, watch.advance(now_ns, self._rules)
        if stage == 0 and tracked.cancel_received:
            return
        if self._pace.take(now_ns):
            queries.append(tracked.client_order_id)
        if stage == 0:
            return
        if stage == 2:
            asked.commands.append(CancelAll(self._account, tracked.order.instrument))
        else:  # first by the venue's id, then in turn
            cancels.append(_cancel(tracked, by_venue_id=stage % 2 == 1 and tracked.venue_order_id is not None))

    def next_due_ns(self, now_ns: int) -> int:
        """When `due` has something to do next, or a pass could settle something; 0 when nothing is open."""
        rules = self._rules
        times = [t.created_ns + rules.create_answer_ns for t in self._unsettled if t.state in _UNCONFIRMED]
        for inquiry in self._open.values():
            times.append(max(inquiry.next_query_ns, self._pace.free_ns))
            if not inquiry.ttl_ended_ns:
                times.append(inquiry.next_cancel_ns(rules))
            pass_ns = inquiry.pass_ns(rules)
            if pass_ns is not None and pass_ns > now_ns:
                times.append(pass_ns)
        if self._cancels:
            times += [watch.next_ns for watch in self._watches()]
        return min(times) if times else 0

    def _watches(self) -> list[_CancelWatch]:
        """Return the cancels to follow up; an order in question is cancelled by its inquiry."""
        return [watch for key, watch in self._cancels.items() if key not in self._open]

    def wants_pass(self, now_ns: int) -> bool:
        """Whether a complete pass, asked for now, could settle a question."""
        for inquiry in self._open.values():
            pass_ns = inquiry.pass_ns(self._rules)
            if pass_ns is not None and pass_ns <= now_ns:
                return True
        return False

    @property
    def oldest_created_ns(self) -> int | None:
        """When the oldest order in question was created: fills have to be read back to there."""
        created = [inquiry.tracked.created_ns for inquiry in self._open.values()]
        created += [t.created_ns for t in self._unsettled if t.unbooked_qty]
        return min(created, default=None)

    def overdue(self, now_ns: int) -> dict[InstrumentId, str]:
        """Return the instruments with an order whose fate has been open for too long."""
        found: dict[InstrumentId, str] = {}
        if not self._open and not self._cancels:
            return found
        before_ns = now_ns - self._rules.overdue_after_ns
        questions = [(inquiry.since_ns, inquiry.tracked) for inquiry in self._open.values()]
        questions += [(watch.since_ns, watch.tracked) for watch in self._cancels.values()]
        for since_ns, tracked in questions:
            if since_ns <= before_ns:
                found[tracked.order.instrument] = f"the fate of order {tracked.client_order_id} is not known"
        return found

    def concerns(self, instrument: InstrumentId, now_ns: int) -> bool:
        """Whether the fate of an order of this instrument is in question; one that is proven is not any more."""
        return any(
            inquiry.tracked.order.instrument == instrument and inquiry.proof(self._rules, now_ns) is None
            for inquiry in self._open.values()
        )


class _Inquiry:
    """One order in question."""

    __slots__ = (
        "absent_ns",
        "cancel_after_ns",
        "cause",
        "next_query_ns",
        "searched_ns",
        "since_ns",
        "tracked",
        "ttl_ended_ns",
        "ttl_last_ns",
        "ttl_sent_ns",
        "ttl_tried_ns",
        "was_asked_about",
    )

    def __init__(
        self, tracked: TrackedOrder, cause: Cause, since_ns: int, next_query_ns: int, cancel_after_ns: int
    ) -> None:
        self.tracked = tracked
        self.cause = cause
        self.since_ns = since_ns
        self.next_query_ns = next_query_ns
        self.absent_ns: list[int] = []
        """When the venue said that it is not there: queries by their answer, passes by their question."""
        self.was_asked_about = False
        """Whether a query about this order is among those."""
        self.cancel_after_ns = cancel_after_ns
        self.ttl_sent_ns = self.ttl_last_ns = self.ttl_tried_ns = 0
        """When the waiting cancel left us, the last cancel of whoever sent one, and our last try; 0 for none."""
        self.ttl_ended_ns = 0
        """When the venue said that a waiting cancel ran out without meeting the order."""
        self.searched_ns = 0
        """When the last pass was asked for that shows neither the order, nor a fill of it, nor a changed position."""

    def next_cancel_ns(self, rules: InquiryRules) -> int:
        regular_ns = (
            self.ttl_sent_ns + rules.ttl_cancel_every_ns if self.ttl_sent_ns else self.since_ns + self.cancel_after_ns
        )
        return max(regular_ns, self.ttl_tried_ns + rules.ttl_retry_ns)

    def gone_ns(self) -> int | None:
        """When the order had its last chance to arrive or to live, None while it may still have one."""
        expire_ns = self.tracked.order.expire_ns
        times = [self.ttl_ended_ns] if self.ttl_ended_ns else []
        if expire_ns:
            times.append(expire_ns + _EXPIRY_SLACK_NS)
        return min(times, default=None)

    def query_after_ns(self, rules: InquiryRules, now_ns: int) -> int:
        """Return when to ask again, having asked now."""
        if not self.cancel_after_ns:
            return now_ns + rules.query_of_before_every_ns
        times = (self.since_ns + after_ns for after_ns in rules.query_after_ns)
        return next((at_ns for at_ns in times if at_ns > now_ns), now_ns + rules.query_every_ns)

    def pass_ns(self, rules: InquiryRules) -> int | None:
        """When a complete pass would be the proof that is missing, None while more than that is."""
        gone_ns = self.gone_ns()
        if gone_ns is None or self.searched_ns >= gone_ns or not self.was_asked_about:
            return None
        if len(self.absent_ns) + 1 < rules.not_found_needed:
            return None
        return max(gone_ns, min(self.absent_ns) + rules.not_found_span_ns)

    def proof(self, rules: InquiryRules, now_ns: int) -> str | None:
        gone_ns, answers = self.gone_ns(), self.absent_ns
        if gone_ns is None or now_ns < gone_ns or self.searched_ns < gone_ns or not self.was_asked_about:
            return None
        span_ns = max(answers) - min(answers)
        if len(answers) < rules.not_found_needed or span_ns < rules.not_found_span_ns:
            return None
        how = "a cancel waited for it in vain" if self.ttl_ended_ns else "its signature expired"
        return f"{how}; not found {len(answers)} times over {span_ns / NS_PER_S:.1f} s; no fill, no position difference"


class _Pace:
    """Lets queries pass: a burst, then one per pace."""

    def __init__(self, rules: InquiryRules) -> None:
        self._pace_ns = rules.query_pace_ns
        self._slack_ns = (rules.query_burst - 1) * rules.query_pace_ns
        self._full_ns = 0
        """When the whole burst is free again."""

    @property
    def free_ns(self) -> int:
        """When the next query may go."""
        return self._full_ns - self._slack_ns

    def take(self, now_ns: int) -> bool:
        """Take one; False when none is free."""
        if now_ns < self.free_ns:
            return False
        self._full_ns = max(self._full_ns, now_ns) + self._pace_ns
        return True


class _CancelWatch:
    """One cancel whose end has not been stated."""

    __slots__ = ("next_ns", "since_ns", "stage", "tracked")

    def __init__(self, tracked: TrackedOrder, since_ns: int, rules: InquiryRules) -> None:
        self.tracked = tracked
        self.begin(since_ns, rules)

    def begin(self, now_ns: int, rules: InquiryRules) -> None:
        self.since_ns = now_ns
        self.stage = 0
        self.next_ns = now_ns + rules.cancel_receipt_ns

    def advance(self, now_ns: int, rules: InquiryRules) -> int:
        """Return the stage that is due: receipt, end by query and the other id, cancel-all, then again and again."""
        stage = self.stage
        self.stage += 1
        times = (rules.cancel_receipt_ns, rules.cancel_ended_ns, rules.cancel_all_after_ns)
        wait_ns = times[stage + 1] - times[stage] if stage + 1 < len(times) else rules.cancel_again_ns
        self.next_ns = now_ns + wait_ns
        return stage


def _next_query(inquiry: _Inquiry) -> int:
    return inquiry.next_query_ns


def _cancel(tracked: TrackedOrder, *, ttl_ms: int = 0, by_venue_id: bool = False) -> CancelOrder:
    return CancelOrder(
        account=tracked.order.account,
        instrument=tracked.order.instrument,
        client_order_id=tracked.client_order_id,
        venue_order_id=tracked.venue_order_id,
        ttl_ms=ttl_ms,
        by_venue_id=by_venue_id,
    )
