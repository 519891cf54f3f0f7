"""Orders in the store: intents, and what every piece of evidence made of them.

The states are those of `execution.machine`, the one table that decides what evidence means.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.engine.store.schema import decimal_or_none, plain, plain_or_none
from perpmaker.execution.machine import OF_STATUS, Evidence, step
from perpmaker.model.events import (
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
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, StrategyId, VenueOrderId, client_order_id_parts
from perpmaker.model.order import NewOrder, OrderState

_ZERO: Final = Decimal(0)
_LIVE_STATUS: Final = (VenueStatus.PENDING, VenueStatus.OPEN)
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


class OrderRow(msgspec.Struct):
    """An order while evidence comes in; the fields are the table's columns."""

    account: str
    order_key: str
    client_order_id: str
    venue_order_id: str | None
    strategy: str
    instrument: str
    side: str
    px: Decimal | None
    qty: Decimal
    tif: str
    post_only: bool
    reduce_only: bool
    expire_ns: int
    tag: str
    adopted: bool
    state: OrderState
    reason: str
    cum_qty: Decimal
    filled_qty: Decimal
    filled_notional: Decimal
    stated_avg_px: Decimal | None
    cancel_pending: bool
    created_ns: int
    updated_ns: int
    ended_ns: int | None

    def move(self, evidence: Evidence, reason: str, ts_ns: int) -> None:
        """Step the state; the reason of an end is kept."""
        before = self.state
        self.state, _ = step(before, evidence)
        self.updated_ns = max(self.updated_ns, ts_ns)
        if self.state is not before and self.state.is_terminal:
            self.reason = reason or self.reason
            self.cancel_pending = False
            self.ended_ns = ts_ns if self.ended_ns is None else self.ended_ns

    def row(self) -> tuple[object, ...]:
        return (
            self.account,
            self.order_key,
            self.client_order_id,
            self.venue_order_id,
            self.strategy,
            self.instrument,
            self.side,
            plain_or_none(self.px),
            plain(self.qty),
            self.tif,
            self.post_only,
            self.reduce_only,
            self.expire_ns,
            self.tag,
            self.adopted,
            self.state.value,
            self.reason,
            plain(self.cum_qty),
            plain(self.filled_qty),
            plain(self.filled_notional),
            plain_or_none(self.stated_avg_px),
            self.cancel_pending,
            self.created_ns,
            self.updated_ns,
            self.ended_ns,
        )


_COLUMNS: Final = OrderRow.__struct_fields__
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM orders WHERE account = ? AND order_key = ?"  # noqa: S608 (constants)
_UPSERT: Final = (
    f"INSERT INTO orders ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 (constants)
    "ON CONFLICT (account, order_key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in ("account", "order_key"))
)


class Orders:
    """Applies evidence to order rows. What changed is written by `flush`, before the transaction's commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], OrderRow] = {}
        """The live ones, and those touched since the last flush."""
        self._touched: dict[tuple[str, str], OrderRow] = {}

    def intend(self, order: NewOrder, ts_ns: int) -> None:
        """Enter an order whose intent was written; a repeated one changes nothing."""
        key = _own_key(order.client_order_id)
        if self._get(order.account, key) is None:
            self._enter(_entered(order, key, OrderState.SENT, ts_ns))

    def apply(self, event: OrderEvent) -> None:
        """Take in one piece of evidence. Fills come through `fill`, once each."""
        if isinstance(event, OrderReport):
            self._report(event)
            return
        if isinstance(event, Fill):
            return
        order = self._get(event.account, _own_key(event.client_order_id))
        if order is None:
            return
        reason = ""
        if isinstance(event, CancelSent):
            order.cancel_pending = True
        elif isinstance(event, CancelFailed):
            order.cancel_pending = False
        elif isinstance(event, OrderNotSent):
            reason = event.reason
        elif isinstance(event, SubmitRejected):
            reason = f"{event.code} {event.text}".strip()
        elif isinstance(event, OrderRetired):
            reason = event.proof
        order.move(_OF_EVENT[type(event)], reason, event.ts_recv_ns)
        self._touch(order)

    def fill(self, fill: Fill) -> OrderRow | None:
        """Take in an execution that was not seen before; returns the order it belongs to, if that is known."""
        order = self.find(fill)
        if order is None:
            return None
        order.filled_qty += fill.qty
        order.filled_notional += fill.qty * fill.px
        order.cum_qty = max(order.cum_qty, order.filled_qty)
        evidence = Evidence.ACKED_CANCELING if order.cancel_pending else Evidence.ACKED
        if order.filled_qty >= order.qty and not order.adopted:
            evidence = Evidence.FILLED
        order.move(evidence, "", fill.ts_recv_ns)
        self._touch(order)
        return order

    def find(self, fill: Fill) -> OrderRow | None:
        own = self._get(fill.account, _own_key(fill.client_order_id))
        return own or self._by_venue_id(fill.account, fill.venue_order_id)

    def flush(self) -> None:
        """Write what changed, and forget what has ended."""
        self._connection.executemany(_UPSERT, [order.row() for order in self._touched.values()])
        for key, order in self._touched.items():
            if order.state.is_terminal:
                del self._known[key]
        self._touched.clear()

    def _report(self, report: OrderReport) -> None:
        order = self._get(report.account, _own_key(report.client_order_id))
        if order is None:
            order = self._by_venue_id(report.account, report.venue_order_id)
        if order is None:
            self._adopt(report)
            return
        if report.venue_order_id is not None:
            order.venue_order_id = report.venue_order_id
        if report.cum_qty >= order.cum_qty and report.avg_px is not None:
            order.stated_avg_px = report.avg_px
        order.cum_qty = max(order.cum_qty, report.cum_qty)
        evidence = OF_STATUS[report.status]
        if evidence is Evidence.ACKED and order.cancel_pending:
            evidence = Evidence.ACKED_CANCELING
        order.move(evidence, report.reason, report.ts_recv_ns)
        self._touch(order)

    def _adopt(self, report: OrderReport) -> None:
        """Enter a live order that is known from the venue alone: made by hand, or by another engine."""
        if report.status not in _LIVE_STATUS or report.side is None or report.qty is None or not report.venue_order_id:
            return
        order = NewOrder(
            client_order_id=report.client_order_id,
            account=report.account,
            strategy=StrategyId(""),
            instrument=report.instrument,
            side=report.side,
            px=report.px,
            qty=report.qty,
            reduce_only=report.reduce_only,
        )
        ours = client_order_id_parts(report.client_order_id) is not None
        key = _own_key(report.client_order_id) if ours else _venue_key(report.venue_order_id)
        adopted = _entered(order, key, OrderState.OPEN, report.ts_recv_ns)
        adopted.adopted, adopted.tif = True, ""
        adopted.venue_order_id = report.venue_order_id
        adopted.cum_qty = adopted.filled_qty = report.cum_qty
        adopted.stated_avg_px = report.avg_px
        self._enter(adopted)

    def _by_venue_id(self, account: AccountId, venue_order_id: VenueOrderId | None) -> OrderRow | None:
        return self._get(account, _venue_key(venue_order_id)) if venue_order_id else None

    def _get(self, account: str, key: str) -> OrderRow | None:
        known = self._known.get((account, key))
        if known is None:
            row = self._connection.execute(_SELECT, (account, key)).fetchone()
            if row is not None:
                known = _of_row(row)
                self._known[account, key] = known
                self._touched[account, key] = known  # so that flush forgets an ended one again
        return known

    def _enter(self, order: OrderRow) -> None:
        self._known[order.account, order.order_key] = order
        self._touch(order)

    def _touch(self, order: OrderRow) -> None:
        self._touched[order.account, order.order_key] = order


def _own_key(client_order_id: int) -> str:
    return f"c{client_order_id}"


def _venue_key(venue_order_id: str) -> str:
    return f"v{venue_order_id}"


def _of_row(row: tuple[Any, ...]) -> OrderRow:
    fields = dict(zip(_COLUMNS, row, strict=True))
    for name in ("qty", "cum_qty", "filled_qty", "filled_notional"):
        fields[name] = Decimal(fields[name])
    for name in ("px", "stated_avg_px"):
        fields[name] = decimal_or_none(fields[name])
    for name in ("post_only", "reduce_only", "adopted", "cancel_pending"):
        fields[name] = bool(fields[name])
    return OrderRow(**{**fields, "state": OrderState(fields["state"])})


def _entered(order: NewOrder, key: str, state: OrderState, ts_ns: int) -> OrderRow:
    return OrderRow(
        account=order.account,
        order_key=key,
        client_order_id=str(order.client_order_id),
        venue_order_id=None,
        strategy=order.strategy,
        instrument=order.instrument,
        side=order.side.value,
        px=order.px,
        qty=order.qty,
        tif=order.tif.value,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        expire_ns=order.expire_ns,
        tag=order.tag,
        adopted=False,
        state=state,
        reason="",
        cum_qty=_ZERO,
        filled_qty=_ZERO,
        filled_notional=_ZERO,
        stated_avg_px=None,
        cancel_pending=False,
        created_ns=ts_ns,
        updated_ns=ts_ns,
        ended_ns=None,
    )
