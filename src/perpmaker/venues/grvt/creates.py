"""New orders and replacements: each order is signed and recorded, at once or in steps before (`prepare`), then judged,
checked against the kill epoch and written in one step.

What becomes of a creation is decided here alone: certainly refused, certainly not sent, reported by the venue, or unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, Protocol, TypeVar

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import DataError, VenueUnavailable
from perpmaker.logs import get
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    Event,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    Source,
    SubmitRejected,
    SubmitUnknown,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder
from perpmaker.venues.api import IntentLog, KillEpoch, Timings
from perpmaker.venues.grvt import parse
from perpmaker.venues.grvt.answers import Answer, Lost, NotSent, Refusal, Reply
from perpmaker.venues.grvt.cancels import Cancels
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.codes import REQUEST_WIDE, Outcome, stands_alone
from perpmaker.venues.grvt.entry import OrderEntry
from perpmaker.venues.grvt.objects import WireOrder
from perpmaker.venues.grvt.orders import OrderWriter, SignedOrder
from perpmaker.venues.grvt.routes import (
    BULK_ORDERS,
    CREATE_ORDER,
    MAX_BULK,
    BulkReply,
    BulkRequest,
    Cost,
    CreateRequest,
)
from perpmaker.venues.transport.rate_limit import RateLimiter

T = TypeVar("T")

ANSWER_S: Final = 2.0
"""Without an answer to a creation in this time its outcome is unknown (RELIABILITY §5)."""

_log = get("venues.grvt.creates")


class CreatesOwner(Protocol):
    """What creations ask, and whom they tell."""

    def emit(self, event: Event) -> None: ...
    def why_not(self, order: NewOrder) -> str:
        """Return why this order cannot leave now, "" when it can."""
        ...

    def written(self, order: NewOrder) -> None:
        """The order's bytes are about to leave."""
        ...

    def accepted(self, report: OrderReport) -> None:
        """The venue's answer to a creation."""
        ...

    def answered(self, cost: Cost, answer: Answer) -> None:
        """Any answer, for budgets, sessions and fatal codes."""
        ...


class Creates:
    """Sends creations, singly or in bulk."""

    def __init__(
        self,
        *,
        account: AccountId,
        sub_account_id: str,
        instruments: Mapping[InstrumentId, Instrument],
        owner: CreatesOwner,
        entry: OrderEntry,
        writer: OrderWriter,
        codec: Codec,
        limiter: RateLimiter,
        intents: IntentLog,
        kill: KillEpoch,
        cancels: Cancels,
        clock: Clock,
        timings: Timings,
    ) -> None:
        self._account = account
        self._sub_account_id = sub_account_id
        self._instruments = instruments
        self._owner = owner
        self._entry = entry
        self._writer = writer
        self._codec = codec
        self._limiter = limiter
        self._intents = intents
        self._kill = kill
        self._cancels = cancels
        self._clock = clock
        self._timings = timings
        self._ready: dict[ClientOrderId, SignedOrder | None] = {}
        """What was prepared ahead of its request; None for what was told not to be sent."""

    def prepare(self, approved: Approved) -> None:
        """Sign and record one order ahead of the request that will carry it."""
        self._ready[approved.order.client_order_id] = self._signed(approved)

    def forget(self, orders: Sequence[Approved]) -> None:
        for approved in orders:
            self._ready.pop(approved.order.client_order_id, None)

    def submit(self, orders: Sequence[Approved]) -> None:
        """Send new orders: one request for each run of orders on one instrument; bulk takes none that waits (2236)."""
        for _, run in groupby(orders, key=_request_of):
            for chunk in _chunks(list(run)):
                self._send(chunk, ())

    def replace(self, request: ReplaceOrders) -> None:
        """Cancel, then create, in one request; cancels never depend on whether the creations can leave."""
        by_client_id = [cancel for cancel in request.cancels if cancel.client_order_id and not cancel.by_venue_id]
        self._cancels.cancel([cancel for cancel in request.cancels if cancel not in by_client_id])
        waiting = [approved for approved in request.orders if approved.order.trigger is not None]
        orders = _chunks([approved for approved in request.orders if approved.order.trigger is None])
        cancels = _chunks(by_client_id)
        for index in range(max(len(orders), len(cancels))):
            self._send(orders[index] if index < len(orders) else (), cancels[index] if index < len(cancels) else ())
        self.submit(waiting)

    def _send(self, approved: Sequence[Approved], cancels: Sequence[CancelOrder]) -> None:
        """Sign and record what was not prepared, check all, the epoch last, and write, without an await in between."""
        signed = self._prepare(approved)
        batch = _Batch(signed, cancels, min((a.kill_epoch for a in approved), default=self._kill.current))
        if not signed:
            self._cancels.cancel(cancels)
        elif batch.is_single:
            body = self._codec.encode(self._codec.form(CreateRequest)(order=msgspec.Raw(signed[0].body)))
            self._write(body, batch)
        else:
            self._limiter.try_take(Cost.CANCEL.value)  # what a bulk request costs besides its creations
            self._write(self._bulk_body(batch), batch)

    def _prepare(self, approved: Sequence[Approved]) -> list[SignedOrder]:
        """Return the orders that are signed and recorded; the others have been told that they are not sent."""
        signed: list[SignedOrder] = []
        for one in approved:
            client_order_id = one.order.client_order_id
            if client_order_id in self._ready:
                written = self._still_sendable(self._ready.pop(client_order_id))
            else:
                written = self._signed(one)
            if written is not None:
                signed.append(written)
        return signed

    def _still_sendable(self, signed: SignedOrder | None) -> SignedOrder | None:
        """Judge anew what was prepared in an earlier turn: the venue may have asked for silence since, or be gone."""
        if signed is None:
            return None
        reason = self._owner.why_not(signed.order)
        if not reason and self._limiter.penalty_s() > 0:
            reason = f"the venue asked for silence, {self._limiter.penalty_s():.2f} s left"
        if not reason:
            return signed
        self._not_sent(signed.order.client_order_id, reason)
        return None

    def _signed(self, approved: Approved) -> SignedOrder | None:
        order = approved.order
        reason = self._why_not(approved)
        if not reason:
            try:
                began_ns = self._clock.monotonic_ns()
                written = self._writer.write(order, self._instruments[order.instrument])
                signed_ns = self._clock.monotonic_ns()
                self._intents.intent(written.order, written.body)
                self._timings.record("sign", signed_ns - began_ns)
                self._timings.record("journal", self._clock.monotonic_ns() - signed_ns)
            except (DataError, OSError) as error:
                reason = f"not recorded: {error}" if isinstance(error, OSError) else str(error)
            else:
                return written
        self._not_sent(order.client_order_id, reason)
        return None

    def _why_not(self, approved: Approved) -> str:
        order = approved.order
        if approved.kill_epoch != self._kill.current:
            return "the kill epoch changed"
        if order.instrument not in self._instruments:
            return f"{order.instrument} is not listed"
        reason = self._owner.why_not(order)
        if not reason and not self._limiter.try_take(Cost.CREATE.value):
            reason = f"no request budget for {self._limiter.wait_s(Cost.CREATE.value):.2f} s"
        return reason

    def _write(self, body: bytes, batch: _Batch) -> None:
        def release() -> bool:
            if batch.kill_epoch != self._kill.current:
                return False
            for signed in batch.signed:
                self._owner.written(signed.order)
            return True

        began_ns = self._clock.monotonic_ns()

        def on_answer(answer: Answer) -> None:
            if isinstance(answer, Reply | Refusal):
                self._timings.record("ack", self._clock.monotonic_ns() - began_ns)
            self._owner.answered(Cost.CREATE, answer)
            self._answered(batch, answer)

        try:
            if batch.is_single:
                self._entry.write(CREATE_ORDER, body, on_answer, timeout_s=ANSWER_S, release=release)
            else:
                self._entry.write(BULK_ORDERS, body, on_answer, timeout_s=ANSWER_S, release=release)
        except VenueUnavailable as error:
            self._tell_prepared(batch)
            self._none_left(batch, str(error))
            return
        self._timings.record("write", self._clock.monotonic_ns() - began_ns)
        self._tell_prepared(batch)
        for cancel in batch.cancels:
            self._cancels.sent(cancel)

    def _bulk_body(self, batch: _Batch) -> bytes:
        request = self._codec.form(BulkRequest)(
            sub_account_id=self._sub_account_id,
            orders=[msgspec.Raw(signed.body) for signed in batch.signed],
            order_i_ds=[],
            client_order_i_ds=[str(cancel.client_order_id) for cancel in batch.cancels],
        )
        ttl = self._cancels.ttl_text(max((cancel.ttl_ms for cancel in batch.cancels), default=0))
        return self._codec.encode(request if ttl is None else msgspec.structs.replace(request, time_to_live_ms=ttl))

    def _answered(self, batch: _Batch, answer: Answer) -> None:
        match answer:
            case Reply() if batch.is_single:
                self._one_answered(batch.signed[0].order.client_order_id, answer)
            case Reply():
                self._bulk_answered(batch, answer)
            case Refusal():
                self._refused(batch, answer)
            case Lost(reason=reason):
                self._all_unknown(batch, reason)
                for cancel in batch.cancels:
                    self._cancels.failed(cancel, reason)
            case NotSent(reason=reason):
                self._none_left(batch, reason)

    def _one_answered(self, client_order_id: ClientOrderId, answer: Reply) -> None:
        try:
            order = self._codec.decode(answer.body, CREATE_ORDER.reply).result
        except DataError as error:
            self._unknown(client_order_id, f"unreadable answer: {error}")
            return
        if not self._report(order, {client_order_id}):
            self._unknown(client_order_id, "the answer does not say what became of it")

    def _bulk_answered(self, batch: _Batch, answer: Reply) -> None:
        """Each order by its client id, whatever the order of the rows; what is missing is unknown."""
        try:
            reply = self._codec.decode(answer.body, BULK_ORDERS.reply)
        except DataError as error:
            reply = BulkReply(orders=[])
            _log.warning("bulk_answer_unreadable", reason=str(error))
        missing = {signed.order.client_order_id for signed in batch.signed}
        for order in reply.orders:
            self._report(order, missing)
        for signed in batch.signed:
            if signed.order.client_order_id in missing:
                self._unknown(signed.order.client_order_id, "the answer does not name it")
        if len(reply.cancel_acks) != len(batch.cancels):
            for cancel in batch.cancels:
                self._cancels.failed(cancel, f"{len(reply.cancel_acks)} receipts for {len(batch.cancels)} cancels")
            return
        for cancel, ack in zip(batch.cancels, reply.cancel_acks, strict=True):
            self._cancels.received(cancel) if ack.ack else self._cancels.failed(cancel, "not acknowledged")

    def _report(self, order: WireOrder, awaited: set[ClientOrderId]) -> bool:
        """Pass on the venue's statement if it is about one of `awaited`, which it is taken out of."""
        try:
            report = parse.order_report(order, self._account, Source.REPLY, self._clock.now_ns())
        except DataError as error:
            _log.warning("order_answer_unreadable", reason=str(error))
            return False
        if report.client_order_id not in awaited:
            return False
        awaited.discard(report.client_order_id)
        self._owner.accepted(report)
        return True

    def _refused(self, batch: _Batch, answer: Refusal) -> None:
        """One code for one order is about that order; for several it may be about one, and says nothing of the rest.

        The cancels of a refused request go out again by themselves: they have no receipt.
        """
        is_certain = answer.outcome is not Outcome.UNKNOWN
        if len(batch.signed) > 1 and answer.code not in REQUEST_WIDE and answer.outcome is not Outcome.RATE_LIMIT:
            is_certain = False
        for signed in batch.signed:
            client_order_id = signed.order.client_order_id
            if is_certain:
                code = answer.code or 0
                now_ns = self._clock.now_ns()
                alone = stands_alone(answer.code, answer.outcome)
                self._owner.emit(
                    SubmitRejected(self._account, client_order_id, code, answer.text, now_ns, stands_alone=alone)
                )
            else:
                self._unknown(client_order_id, f"{answer.code} {answer.text}")
        self._cancels.cancel(batch.cancels)

    def _none_left(self, batch: _Batch, reason: str) -> None:
        """Certainly nothing has left: the creations are over, the cancels go by themselves."""
        for signed in batch.signed:
            self._not_sent(signed.order.client_order_id, reason)
        self._cancels.cancel(batch.cancels)

    def _tell_prepared(self, batch: _Batch) -> None:
        now_ns = self._clock.now_ns()
        for signed in batch.signed:
            self._owner.emit(OrderPrepared(self._account, signed.order.client_order_id, now_ns))

    def _all_unknown(self, batch: _Batch, reason: str) -> None:
        for signed in batch.signed:
            self._unknown(signed.order.client_order_id, reason)

    def _unknown(self, client_order_id: ClientOrderId, reason: str) -> None:
        self._owner.emit(SubmitUnknown(self._account, client_order_id, reason, self._clock.now_ns()))

    def _not_sent(self, client_order_id: ClientOrderId, reason: str) -> None:
        self._owner.emit(OrderNotSent(self._account, client_order_id, reason, self._clock.now_ns()))


class _Batch(msgspec.Struct, frozen=True):
    """What one request carries."""

    signed: list[SignedOrder]
    cancels: Sequence[CancelOrder]
    kill_epoch: int

    @property
    def is_single(self) -> bool:
        """One creation and nothing else: an ordinary create."""
        return len(self.signed) == 1 and not self.cancels


def _request_of(approved: Approved) -> tuple[InstrumentId, ClientOrderId]:
    """Return what tells the requests of a row of orders apart."""
    order = approved.order
    return order.instrument, ClientOrderId(0) if order.trigger is None else order.client_order_id


def _chunks(rows: list[T]) -> list[list[T]]:
    return [rows[start : start + MAX_BULK] for start in range(0, len(rows), MAX_BULK)]
