"""The table of every order of every account: evidence in, changes out.

All evidence (replies, streams, queries, snapshots, the journal at a replay) comes through `OrderTable.apply`; what it does
to an order's state is one pure table, `execution.machine`. The order of arrival does not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from perpmaker.execution.exposures import Exposures
from perpmaker.execution.machine import OF_STATUS, TRANSITIONS, Evidence
from perpmaker.execution.tracked import Incident, OrderChange, OrderKey, TrackedOrder
from perpmaker.marketdata.book import OwnLevels
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    CancelReceived,
    CancelSent,
    Fill,
    OrderEvent,
    OrderNotFound,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    OrderRetired,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, VenueOrderId, client_order_id_parts
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder, OrderState, Refused, Side
from perpmaker.portfolio.trades import Booking, SeenTrades
from perpmaker.risk.gate import Exposure, Gate

_KEPT_DENIED: Final = 500
_ENDED: Final = frozenset({VenueStatus.FILLED, VenueStatus.REJECTED, VenueStatus.CANCELED, VenueStatus.EXPIRED})
_NO_CHANGE: Final[tuple[OrderChange, ...]] = ()

_OF_EVENT: Final[dict[type, Evidence]] = {
    OrderPrepared: Evidence.PREPARED,
    OrderNotSent: Evidence.NOT_SENT,
    SubmitRejected: Evidence.SUBMIT_REFUSED,
    SubmitUnknown: Evidence.SUBMIT_UNKNOWN,
    CancelSent: Evidence.CANCEL_SENT,
    CancelReceived: Evidence.CANCEL_RECEIVED,
    CancelFailed: Evidence.CANCEL_FAILED,
    OrderNotFound: Evidence.NOT_FOUND,
    OrderRetired: Evidence.RETIRED,
}


class OrderTable:
    """Every order of every account. Terminal orders are kept up to `kept_terminal` per account, then forgotten."""

    def __init__(
        self,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        instance: int,
        epoch: int,
        kept_terminal: int = 2_000,
        id_bits: Mapping[AccountId, int] | None = None,
    ) -> None:
        """`instruments` is the engine's live mapping; `instance` and `epoch` are those of the client order ids now made."""
        self._instance = instance
        self._epoch = epoch
        self._kept_terminal = kept_terminal
        self._id_bits = id_bits or {}
        self._accounts: dict[AccountId, _Account] = {}
        self._exposures = Exposures(instruments)

    def admit(
        self, gate: Gate, orders: Sequence[NewOrder], now_ns: int
    ) -> tuple[tuple[Approved, ...], tuple[Refused, ...]]:
        """Pass orders through the gate one by one, entering each approved one (PREPARED) before the next is judged.

        Refused ones are entered as DENIED, so that their strategy can be told by `get(...).view()`.
        """
        approved: list[Approved] = []
        refused: list[Refused] = []
        for order in orders:
            verdict = gate.check(order, now_ns)
            if isinstance(verdict, Approved):
                self._enter(TrackedOrder(order, OrderState.PREPARED, now_ns, kill_epoch=verdict.kill_epoch))
                approved.append(verdict)
            else:
                self._deny(verdict, now_ns)
                refused.append(verdict)
        return tuple(approved), tuple(refused)

    def restore(self, order: NewOrder, ts_ns: int) -> TrackedOrder:
        """Enter an order the journal holds an intent of, at a replay; its state is SENT until evidence says more."""
        known = self.get(order.account, order.client_order_id)
        if known is not None:
            return known
        tracked = TrackedOrder(order, OrderState.SENT, ts_ns)
        self._enter(tracked)
        return tracked

    def apply(self, event: OrderEvent) -> Sequence[OrderChange]:
        """Take in one piece of evidence; returns what it changed."""
        if isinstance(event, OrderReport):
            return self._apply_report(event)
        if isinstance(event, Fill):
            return self._apply_fill(event)
        tracked = self.get(event.account, event.client_order_id)
        if tracked is None:
            return _NO_CHANGE
        tracked.activity_ns = max(tracked.activity_ns, event.ts_recv_ns)
        reason = ""
        if isinstance(event, OrderPrepared):
            pass
        elif isinstance(event, CancelSent):
            tracked.cancel_sent_ns, tracked.cancel_received = event.ts_recv_ns, False
        elif isinstance(event, CancelReceived):
            tracked.cancel_received = tracked.cancel_pending
        elif isinstance(event, CancelFailed):
            tracked.cancel_sent_ns, tracked.cancel_received = 0, False
        elif isinstance(event, OrderNotSent):
            reason = event.reason
        elif isinstance(event, SubmitRejected):
            reason = f"{event.code} {event.text}".strip()
        elif isinstance(event, OrderRetired):
            reason = event.proof
        return self._move(tracked, _OF_EVENT[type(event)], reason)

    def apply_snapshot(self, snapshot: AccountSnapshot, *, opening: bool = False) -> Sequence[OrderChange]:
        """Take in the fills, then the open orders of a pass. Orders missing from it are the reconciler's business.

        `opening`: the account's first pass ever. Its positions include its fills, which are remembered and not booked.
        """
        changes: list[OrderChange] = []
        for fill in snapshot.fills:
            if opening:
                self.remember(fill)
            else:
                changes += self._apply_fill(fill)
        for report in snapshot.open_orders:
            changes += self._apply_report(report)
        return changes

    def remember(self, fill: Fill) -> None:
        """Count a fill as booked without booking it: one from before the account was opened, or in a stored state."""
        self._account(fill.account).trades.add(fill)

    def note_cancels(self, cancels: Iterable[CancelOrder], now_ns: int) -> None:
        """Note cancels as they leave the engine, so that nobody asks twice before CancelSent says that they left us."""
        for cancel in cancels:
            tracked = self.get(cancel.account, cancel.client_order_id)
            if tracked is not None and not tracked.is_terminal and not tracked.cancel_pending:
                tracked.cancel_sent_ns, tracked.cancel_received = now_ns, False
                self._account(cancel.account).unsettled[tracked.key] = tracked

    def get(self, account: AccountId, client_order_id: ClientOrderId) -> TrackedOrder | None:
        """Return an order, terminal ones included while they are kept."""
        known = self._accounts.get(account)
        return None if known is None else known.orders.get(client_order_id)

    def knows(self, account: AccountId, client_order_id: ClientOrderId) -> bool:
        return self.get(account, client_order_id) is not None

    def live(
        self,
        account: AccountId | None = None,
        instrument: InstrumentId | None = None,
        strategy: StrategyId | None = None,
    ) -> list[TrackedOrder]:
        """Return the orders that are not terminal, oldest first, narrowed by whatever is given."""
        if account is not None and instrument is not None and strategy is not None:
            return list(self._account(account).worked.get((instrument, strategy), {}).values())
        accounts = self._accounts.values() if account is None else [self._account(account)]
        return [
            tracked
            for known in accounts
            for tracked in known.live.values()
            if (instrument is None or tracked.order.instrument == instrument)
            and (strategy is None or tracked.order.strategy == strategy)
        ]

    def unsettled(self, account: AccountId) -> Sequence[TrackedOrder]:
        """Return the orders that wait for evidence: any live state but OPEN, a cancel under way, or fills missing."""
        return list(self._account(account).unsettled.values())

    def waiting(self, account: AccountId) -> Collection[TrackedOrder]:
        """Return the same as a view that goes on showing how it is."""
        return self._account(account).unsettled.values()

    def recent(self, account: AccountId, count: int) -> list[TrackedOrder]:
        """Return the last terminal orders still kept, newest first."""
        ended = self._account(account).ended
        return [ended[key] for key in list(ended)[-count:][::-1]] if count > 0 else []

    def exposure(self, account: AccountId, instrument: InstrumentId) -> Exposure:
        """Return what the orders of an account on an instrument can still do to its position."""
        return self._exposures.of(account, instrument)

    def open_count(self, account: AccountId) -> int:
        """Return how many orders of the account are not terminal."""
        known = self._accounts.get(account)
        return 0 if known is None else len(known.live)

    def best_own_px(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        """Return the highest own buy or lowest own sell price that could still trade, over all accounts."""
        return self._exposures.best_px(instrument, side)

    def own_levels(self, instrument: InstrumentId) -> OwnLevels:
        """Return our resting quantity (OPEN, CANCEL_SENT) per price over all accounts, for `Books.view_without`."""
        return self._exposures.own_levels(instrument)

    def _account(self, account: AccountId) -> _Account:
        known = self._accounts.get(account)
        if known is None:
            known = self._accounts[account] = _Account()
        return known

    def _enter(self, tracked: TrackedOrder) -> None:
        known = self._account(tracked.order.account)
        known.orders[tracked.key] = known.live[tracked.key] = tracked
        worked = known.worked.setdefault((tracked.order.instrument, tracked.order.strategy), {})
        worked[tracked.key] = tracked
        if tracked.is_unsettled:
            known.unsettled[tracked.key] = tracked
        self._exposures.count(tracked)

    def _deny(self, refused: Refused, now_ns: int) -> None:
        known = self._account(refused.order.account)
        if refused.order.client_order_id in known.orders:
            return
        tracked = TrackedOrder(refused.order, OrderState.DENIED, now_ns)
        tracked.reason = f"{refused.code}: {refused.text}"
        known.orders[tracked.key] = known.denied[tracked.key] = tracked
        if len(known.denied) > _KEPT_DENIED:
            del known.orders[known.denied.pop(next(iter(known.denied))).key]

    def _apply_report(self, report: OrderReport) -> Sequence[OrderChange]:
        known = self._account(report.account)
        key = _key(report.client_order_id, report.venue_order_id)
        tracked = known.orders.get(key)
        if tracked is None or (tracked.adopted and _is_another(tracked, report)):
            return self._adopt(known, key, report)
        cum_before, id_before = tracked.cum_qty, tracked.venue_order_id
        if report.venue_order_id is not None:
            tracked.venue_order_id = report.venue_order_id
        incident = None
        if report.cum_qty or tracked.cum_qty:
            if report.cum_qty >= tracked.cum_qty and report.avg_px is not None:
                tracked.stated_avg_px = report.avg_px
            tracked.cum_qty = max(tracked.cum_qty, report.cum_qty)
            incident = self._overfilled(tracked)
        elif report.avg_px is not None:  # the usual one, of an order that nobody met
            tracked.stated_avg_px = report.avg_px
        evidence = OF_STATUS[report.status]
        if evidence is Evidence.ACKED and tracked.cancel_sent_ns:
            evidence = Evidence.ACKED_CANCELING
        learned = tracked.cum_qty != cum_before or tracked.venue_order_id != id_before
        changes = self._move(tracked, evidence, report.reason, incident=incident, told=learned)
        if changes or report.source is not Source.SNAPSHOT:
            tracked.activity_ns = max(tracked.activity_ns, report.ts_recv_ns)
        return changes

    def _adopt(self, known: _Account, key: OrderKey, report: OrderReport) -> Sequence[OrderChange]:
        """Enter an order that we know from the venue alone, and say what is odd about it."""
        own, incident = self._whose(report.account, report.client_order_id)
        if report.status in _ENDED:
            if incident is not Incident.HIGHER_EPOCH:
                return _NO_CHANGE
            return (OrderChange(report.account, None, None, None, incident=incident, text=_who(report)),)
        if report.side is None or report.qty is None:
            text = f"{_who(report)} is open and cannot be tracked without side and quantity"
            return (OrderChange(report.account, None, None, None, incident=Incident.UNTRACKED, text=text),)
        order = NewOrder(
            client_order_id=report.client_order_id,
            account=report.account,
            strategy=StrategyId(""),
            instrument=report.instrument,
            side=report.side,
            px=report.px,
            qty=report.qty,
            reduce_only=report.reduce_only,
            trigger=report.trigger,
        )
        tracked = TrackedOrder(order, OrderState.OPEN, report.ts_recv_ns, key=key, own=own, adopted=True)
        tracked.venue_order_id = report.venue_order_id
        tracked.cum_qty = tracked.filled_qty = report.cum_qty
        tracked.stated_avg_px = report.avg_px
        known.ended.pop(key, None)
        known.unsettled.pop(key, None)
        self._enter(tracked)
        return (OrderChange(report.account, tracked, None, tracked.state, incident=incident, text=_who(report)),)

    def _whose(self, account: AccountId, client_order_id: ClientOrderId) -> tuple[bool, Incident]:
        parts = client_order_id_parts(client_order_id, self._id_bits.get(account, 64))
        if parts is None:
            return False, Incident.FOREIGN
        if parts.instance != self._instance:
            return False, Incident.OTHER_INSTANCE
        return True, Incident.HIGHER_EPOCH if parts.epoch > self._epoch else Incident.FORGOTTEN

    def _apply_fill(self, fill: Fill) -> Sequence[OrderChange]:
        known = self._account(fill.account)
        booking = known.trades.add(fill)
        if booking is Booking.DUPLICATE:
            return _NO_CHANGE
        tracked = known.orders.get(_key(fill.client_order_id, fill.venue_order_id))
        state = None if tracked is None else tracked.state
        if booking is not Booking.NEW:
            incident = Incident.FILL_CONFLICT if booking is Booking.CONFLICT else Incident.OLD_FILL
            text = f"trade {fill.trade_id}: {fill.side.value} {fill.qty} at {fill.px} is not booked"
            return (OrderChange(fill.account, tracked, state, state, incident=incident, text=text),)
        if tracked is None:
            _, incident = self._whose(fill.account, fill.client_order_id)
            if incident is Incident.FORGOTTEN:
                incident = Incident.UNTRACKED
            text = f"trade {fill.trade_id} of order {fill.client_order_id}, which is not tracked"
            return (OrderChange(fill.account, None, None, None, fill, incident, text),)
        tracked.activity_ns = max(tracked.activity_ns, fill.ts_recv_ns)
        announced = tracked.cum_qty
        tracked.filled_qty += fill.qty
        tracked.filled_notional += fill.qty * fill.px
        tracked.cum_qty = max(tracked.cum_qty, tracked.filled_qty)
        found = self._overfilled(tracked)
        if found is None and tracked.is_terminal and tracked.filled_qty > announced:
            found = Incident.LATE_FILL
        if fill.side is not tracked.order.side or fill.instrument != tracked.order.instrument:
            found = Incident.CONTRADICTION
        evidence = Evidence.ACKED_CANCELING if tracked.cancel_pending else Evidence.ACKED
        if tracked.filled_qty >= tracked.order.qty and not tracked.adopted:
            evidence = Evidence.FILLED
        return self._move(tracked, evidence, "", fill=fill, incident=found)

    def _overfilled(self, tracked: TrackedOrder) -> Incident | None:
        """Tell once that more was executed than ordered."""
        if tracked.adopted or tracked.overfilled or tracked.cum_qty <= tracked.order.qty:
            return None
        tracked.overfilled = True
        return Incident.OVERFILL

    def _move(
        self,
        tracked: TrackedOrder,
        evidence: Evidence,
        reason: str,
        *,
        fill: Fill | None = None,
        incident: Incident | None = None,
        told: bool = False,
    ) -> Sequence[OrderChange]:
        """Step the state, keep the indices right, and report; `told`: something besides the state changed."""
        before = tracked.state
        after, contradicts = TRANSITIONS[before][evidence]
        if contradicts and incident is None:
            incident = Incident.CONTRADICTION
        if after is not before:
            tracked.enter(after)
            if tracked.is_terminal:
                tracked.reason = reason or tracked.reason
                tracked.cancel_sent_ns = 0
        elif fill is None and incident is None and not told:
            self._file(tracked)
            return _NO_CHANGE
        self._file(tracked)
        self._exposures.count(tracked)
        text = f"{evidence.value} while {before.value}" if incident is Incident.CONTRADICTION else ""
        return (OrderChange(tracked.order.account, tracked, before, tracked.state, fill, incident, text),)

    def _file(self, tracked: TrackedOrder) -> None:
        """Keep the indices: who waits for evidence, who is live, who has ended and may be forgotten."""
        known = self._accounts[tracked.order.account]
        key = tracked.key
        if tracked.is_unsettled:
            known.unsettled[key] = tracked
        else:
            known.unsettled.pop(key, None)
        if not tracked.is_terminal or tracked.state is OrderState.DENIED:
            return
        known.denied.pop(key, None)
        if known.live.pop(key, None) is None:
            return
        known.ended[key] = tracked
        del known.worked[(tracked.order.instrument, tracked.order.strategy)][key]
        if len(known.ended) > self._kept_terminal:
            oldest = next((k for k in known.ended if k not in known.unsettled), None)
            if oldest is not None:
                del known.ended[oldest], known.orders[oldest]


class _Account:
    """The orders of one account, by what becomes of them."""

    __slots__ = ("denied", "ended", "live", "orders", "trades", "unsettled", "worked")

    def __init__(self) -> None:
        self.orders: dict[OrderKey, TrackedOrder] = {}
        """All of the others together."""
        self.live: dict[OrderKey, TrackedOrder] = {}
        self.worked: dict[tuple[InstrumentId, StrategyId], dict[OrderKey, TrackedOrder]] = {}
        """The live ones once more, by instrument and strategy."""
        self.ended: dict[OrderKey, TrackedOrder] = {}
        """Terminal ones, the first to end first."""
        self.denied: dict[OrderKey, TrackedOrder] = {}
        self.unsettled: dict[OrderKey, TrackedOrder] = {}
        """Those of `live` and `ended` that wait for evidence."""
        self.trades = SeenTrades()


def _key(client_order_id: ClientOrderId, venue_order_id: VenueOrderId | None) -> OrderKey:
    return client_order_id or venue_order_id or 0


def _is_another(tracked: TrackedOrder, report: OrderReport) -> bool:
    """Say of an adopted order whether a foreign writer uses its id again: it is unique among active orders only."""
    return (
        not tracked.own
        and tracked.is_terminal
        and report.venue_order_id is not None
        and report.venue_order_id != tracked.venue_order_id
    )


def _who(report: OrderReport) -> str:
    return f"order {report.client_order_id} (venue id {report.venue_order_id})"
