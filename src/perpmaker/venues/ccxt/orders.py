"""Orders and cancels through ccxt: recorded, checked against the kill epoch, sent once, and ended in one of four ways.

ccxt signs inside its own request, so the record holds what the request says (its client order id and parameters) instead of
signed bytes, and the kill epoch is compared twice: when it is recorded, and with the connection in hand, right before the
first byte leaves. A request that ended before that point was certainly not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import DataError
from perpmaker.logs import get
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    Event,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    Source,
    SubmitRejected,
    SubmitUnknown,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.order import Approved, CancelOrder, NewOrder, TimeInForce
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.venues.api import IntentLog, KillEpoch, Timings
from perpmaker.venues.ccxt.account import Account
from perpmaker.venues.ccxt.library import CallFailed, Sending, call
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import Quirks
from perpmaker.venues.ccxt.verdicts import Answered, Verdict
from perpmaker.venues.transport.rate_limit import RateLimiter

CREATE, CANCEL, READ = "create", "cancel", "read"
ANSWER_S: Final = 2.0
"""Without an answer to a creation in this time its outcome is unknown (RELIABILITY §5)."""
RECEIPT_S: Final = 2.0
CANCELS_FIRST_S: Final = 1.0
"""How long a replacement's creations wait for the answers to its cancels."""
AGAIN_S: Final = 0.5
"""How often a cancel that waits for its order looks for it."""
SWEEPS: Final = 8
NO_CODE: Final = 400
"""What a refusal counts as that ccxt itself made, or that came without an HTTP status."""

_log = get("venues.ccxt.orders")


class OrdersOwner(Protocol):
    """Whom orders ask and tell."""

    def emit(self, event: Event) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    def listed(self, instrument: InstrumentId) -> Listed | None: ...
    def why_not(self) -> str:
        """Return why no order can leave now, "" when one can."""
        ...

    def written(self, order: NewOrder) -> None: ...
    def accepted(self, report: OrderReport) -> None: ...
    def answered(self, kind: str, outcome: Answered) -> None:
        """Act on what a failure means beyond the request it is about."""
        ...


class Orders:
    """Order entry of one account."""

    def __init__(
        self,
        *,
        account: AccountId,
        client: Any,
        quirks: Quirks,
        owner: OrdersOwner,
        reader: Account,
        intents: IntentLog,
        kill: KillEpoch,
        limiter: RateLimiter,
        clock: Clock,
        timings: Timings,
    ) -> None:
        self._account = account
        self._client = client
        self._quirks = quirks
        self._owner = owner
        self._reader = reader
        self._intents = intents
        self._kill = kill
        self._limiter = limiter
        self._clock = clock
        self._timings = timings

    def submit(self, orders: Sequence[Approved]) -> None:
        """Record each order and set it on its way."""
        for approved in orders:
            self._submit(approved)

    def replace(self, request: ReplaceOrders) -> None:
        """Cancel first; the creations follow when the cancels are answered, or a second later."""
        cancels = [self._owner.spawn(self._cancel(one)) for one in request.cancels]
        self._owner.spawn(self._follow(cancels, request.orders))

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        """Send each; every one ends in CancelReceived or CancelFailed."""
        for request in requests:
            self._owner.spawn(self._cancel(request))

    def cancel_all(self, instrument: InstrumentId | None) -> None:
        """Cancel everything, or one instrument's orders, again and again until the venue has received it."""
        self._owner.spawn(self._sweep(instrument))

    # --- creations

    def _submit(self, approved: Approved) -> None:
        order = approved.order
        reason = self._why_not(approved)
        request: tuple[Any, ...] = ()
        if not reason:
            began_ns = self._clock.monotonic_ns()
            try:
                request = self._request(order)
                self._intents.intent(order, msgspec.json.encode([self._quirks.ccxt_id, "create_order", *request]))
            except (DataError, OSError) as error:
                reason = f"not recorded: {error}" if isinstance(error, OSError) else str(error)
            self._timings.record("journal", self._clock.monotonic_ns() - began_ns)
        if reason:
            self._tell_not_sent(order, reason)
            return
        self._owner.written(order)
        self._owner.emit(OrderPrepared(self._account, order.client_order_id, self._clock.now_ns()))
        self._owner.spawn(self._create(approved, request))

    def _why_not(self, approved: Approved) -> str:
        if approved.kill_epoch != self._kill.current:
            return "the kill epoch changed"
        if self._owner.listed(approved.order.instrument) is None:
            return f"{approved.order.instrument} is not listed"
        reason = self._owner.why_not()
        if not reason and not self._limiter.try_take(CREATE):
            reason = f"no request budget for {self._limiter.wait_s(CREATE):.2f} s"
        return reason

    def _request(self, order: NewOrder) -> tuple[Any, ...]:
        """Return ccxt's arguments; raise DataError for what the venue cannot be told exactly."""
        quirks, listed = self._quirks, self._owner.listed(order.instrument)
        if listed is None:
            raise DataError(f"{order.instrument} is not listed")
        if order.client_order_id >= 1 << quirks.client_id_bits:
            raise DataError(f"client order id {order.client_order_id} is wider than {quirks.client_id_bits} bits")
        if order.tif not in (TimeInForce.GTT, TimeInForce.IOC, TimeInForce.FOK):
            raise DataError(f"{order.tif.value} is not offered")
        if order.trigger is not None:
            raise DataError("an order that waits for a price is not offered")
        try:
            listed.instrument.to_lots(order.qty)
            if order.px is not None:
                listed.instrument.to_ticks(order.px)
        except ValueError as error:
            raise DataError(str(error)) from None
        name = order.client_order_id
        params: dict[str, Any] = {"clientOrderId": str(name) if quirks.client_id_as_text else int(name)}
        if order.post_only:
            params[quirks.post_only_param] = True
        elif order.px is not None:
            params["timeInForce"] = quirks.gtt if order.tif is TimeInForce.GTT else order.tif.name
        if order.reduce_only:
            params["reduceOnly"] = True
        kind, px = ("market", None) if order.px is None else ("limit", _plain(order.px))
        return listed.symbol, kind, order.side.value, _plain(listed.contracts(order.qty)), px, params

    async def _create(self, approved: Approved, request: tuple[Any, ...]) -> None:
        order = approved.order
        sending = Sending(lambda: approved.kill_epoch == self._kill.current)
        began_ns = self._clock.monotonic_ns()
        try:
            row = await call(self._client, "create_order", *request, sending=sending, limit_s=ANSWER_S)
        except CallFailed as error:
            self._failed(order, error.outcome)
            return
        self._timings.record("ack", self._clock.monotonic_ns() - began_ns)
        try:
            report = self._reader.report(row, Source.REPLY)
            if report.client_order_id != order.client_order_id:
                raise DataError(f"the answer is about {report.client_order_id}")
        except DataError as error:
            self._tell_unknown(order, f"unreadable answer: {error}")
        else:
            self._owner.accepted(report)

    def _failed(self, order: NewOrder, outcome: Answered) -> None:
        self._owner.answered(CREATE, outcome)
        if not outcome.sent:
            self._tell_not_sent(order, outcome.text)
        elif outcome.verdict in (Verdict.REJECTED, Verdict.RATE_LIMIT, Verdict.FATAL):
            status = outcome.http_status or NO_CODE
            now_ns = self._clock.now_ns()
            self._owner.emit(SubmitRejected(self._account, order.client_order_id, status, outcome.text, now_ns))
        else:
            self._tell_unknown(order, outcome.text)

    async def _follow(self, cancels: list[asyncio.Task[None]], orders: Sequence[Approved]) -> None:
        if cancels:
            await asyncio.wait(cancels, timeout=CANCELS_FIRST_S)
        self.submit(orders)

    # --- cancels

    async def _cancel(self, request: CancelOrder) -> None:
        """Cancel once; with a time-to-live, look for the order until it can no longer arrive.

        The venue keeps no cancel waiting, so that is done here: "not found" at the end says that the order was not there
        for the whole time, and for as long as a request lost on the way could still have come.
        """
        listed = self._owner.listed(request.instrument)
        if listed is None:
            self._tell_cancel_failed(request, f"{request.instrument} is not listed", not_found=False)
            return
        self._owner.emit(CancelSent(self._account, request.client_order_id, self._clock.now_ns()))
        waits_ns = max(request.ttl_ms * NS_PER_MS, int(self._quirks.late_arrival_s * NS_PER_S)) if request.ttl_ms else 0
        until_ns = self._clock.monotonic_ns() + waits_ns
        while True:
            failed = await self._cancel_once(request, listed)
            if failed is None:
                self._owner.emit(CancelReceived(self._account, request.client_order_id, self._clock.now_ns()))
                return
            is_over = self._clock.monotonic_ns() >= until_ns
            if failed.verdict is not Verdict.NOT_FOUND or is_over:
                self._tell_cancel_failed(request, failed.text, not_found=failed.verdict is Verdict.NOT_FOUND)
                return
            await asyncio.sleep(AGAIN_S)

    async def _cancel_once(self, request: CancelOrder, listed: Listed) -> Answered | None:
        """Return how it failed, None when the venue has received it."""
        by_venue = request.venue_order_id is not None and (request.by_venue_id or not request.client_order_id)
        how = self._quirks.cancel_by_client_id
        if not by_venue and how is not None:
            params = {how.symbol_key: listed.market_id, how.id_key: int(request.client_order_id), **dict(how.extra)}
            return await self._try(how.method, params)
        if request.venue_order_id is None:
            report = await self._venue_id(listed, request.client_order_id)
            if isinstance(report, Answered):
                return report
            return await self._try("cancel_order", report, listed.symbol)
        return await self._try("cancel_order", request.venue_order_id, listed.symbol)

    async def _venue_id(self, listed: Listed, client_order_id: ClientOrderId) -> str | Answered:
        """Find the venue's own id of a live order, where that alone cancels."""
        rows = await self._read("fetch_open_orders", listed.symbol)
        if isinstance(rows, Answered):
            return rows
        for row in rows:
            if str(row.get("clientOrderId")) == str(client_order_id):
                return str(row["id"])
        return Answered(Verdict.NOT_FOUND, "", "not among the live orders", 0, True)

    async def _sweep(self, instrument: InstrumentId | None) -> None:
        pause_s = 0.25
        for tried in range(SWEEPS):
            reason = await self._sweep_once(instrument)
            if not reason:
                return
            _log.warning("cancel_all_not_received", account=self._account, reason=reason, tried=tried + 1)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)
        _log.error("cancel_all_failed", account=self._account, instrument=instrument)

    async def _sweep_once(self, instrument: InstrumentId | None) -> str:
        """Return why it was not received, "" when it was."""
        symbols: set[str | None] = {None}
        if instrument is not None:
            listed = self._owner.listed(instrument)
            symbols = set() if listed is None else {listed.symbol}
        elif self._quirks.cancel_all_needs_symbol:
            rows = await self._read("fetch_open_orders")
            if isinstance(rows, Answered):
                return rows.text
            symbols = {str(row["symbol"]) for row in rows}
        failed = await asyncio.gather(*(self._try("cancel_all_orders", symbol) for symbol in symbols))
        return "; ".join(one.text for one in failed if one is not None and one.verdict is not Verdict.NOT_FOUND)

    async def _try(self, method: str, *arguments: Any) -> Answered | None:
        """Send what cancels; never refused by a budget, silent only while the venue asked cancels to be."""
        await asyncio.sleep(self._limiter.wait_s(CANCEL))
        self._limiter.try_take(CANCEL)
        found = await self._read(method, *arguments)
        return found if isinstance(found, Answered) else None

    async def _read(self, method: str, *arguments: Any) -> Any:
        try:
            return await call(self._client, method, *arguments, limit_s=RECEIPT_S)
        except CallFailed as error:
            self._owner.answered(CANCEL, error.outcome)
            return error.outcome

    def _tell_not_sent(self, order: NewOrder, reason: str) -> None:
        self._owner.emit(OrderNotSent(self._account, order.client_order_id, reason, self._clock.now_ns()))

    def _tell_unknown(self, order: NewOrder, reason: str) -> None:
        self._owner.emit(SubmitUnknown(self._account, order.client_order_id, reason, self._clock.now_ns()))

    def _tell_cancel_failed(self, request: CancelOrder, reason: str, *, not_found: bool) -> None:
        now_ns = self._clock.now_ns()
        self._owner.emit(CancelFailed(self._account, request.client_order_id, not_found, reason, now_ns))


def _plain(number: Decimal) -> str:
    """Print a number in full: ccxt reads texts exactly."""
    return format(number, "f")
