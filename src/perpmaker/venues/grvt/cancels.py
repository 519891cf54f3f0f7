"""Cancels of one sub account: always through, never refused by a budget, never assumed to have worked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from perpmaker.clock import Clock
from perpmaker.errors import DataError, VenueUnavailable
from perpmaker.logs import get
from perpmaker.model.events import CancelFailed, CancelReceived, CancelSent, Event
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import CancelOrder
from perpmaker.venues.grvt.answers import Answer, Refusal, Reply
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.codes import NOT_FOUND, TTL_CODES
from perpmaker.venues.grvt.entry import OrderEntry
from perpmaker.venues.grvt.routes import (
    CANCEL_ALL_ORDERS,
    CANCEL_ORDER,
    PERPETUAL,
    CancelRequest,
    Cost,
    OfSubAccount,
)
from perpmaker.venues.transport.rate_limit import RateLimiter

RECEIPT_S: Final = 1.0
MIN_TTL_MS, MAX_TTL_MS = 100, 5000
CANCEL_ALL_TRIES: Final = 8
CANCEL_ALL_PAUSE_S: Final = 0.25

_log = get("venues.grvt.cancels")


class Cancels:
    """Sends cancels over the socket, or over HTTP while that is not open; `cancel_all` tries both until one is received."""

    def __init__(
        self,
        *,
        account: AccountId,
        sub_account_id: str,
        instruments: Mapping[InstrumentId, Instrument],
        entry: OrderEntry,
        codec: Codec,
        limiter: RateLimiter,
        clock: Clock,
        emit: Callable[[Event], None],
        on_answer: Callable[[Cost, Answer], None],
    ) -> None:
        self._account = account
        self._sub_account_id = sub_account_id
        self._instruments = instruments
        self._entry = entry
        self._codec = codec
        self._limiter = limiter
        self._clock = clock
        self._emit = emit
        self._on_answer = on_answer
        self._ttl_is_offered = True
        self._sweeps: set[asyncio.Task[None]] = set()

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        """Send each; every one ends in CancelReceived or CancelFailed."""
        for request in requests:
            self._cancel(request, with_ttl=self._ttl_is_offered)

    def cancel_all(self, instrument: InstrumentId | None) -> None:
        """Cancel everything, or one instrument's orders. It is repeated over either way until the venue has received it."""
        body = self._codec.encode(self._codec.form(OfSubAccount)(self._sub_account_id, **self._filter(instrument)))
        task = asyncio.get_running_loop().create_task(self._sweep(body, instrument))
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)

    async def close(self) -> None:
        tasks = list(self._sweeps)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ttl_text(self, ttl_ms: int) -> str | None:
        """Return the time-to-live as sent, None for the venue's default."""
        if ttl_ms <= 0 or not self._ttl_is_offered:
            return None
        return str(min(max(ttl_ms, MIN_TTL_MS), MAX_TTL_MS))

    def sent(self, request: CancelOrder) -> None:
        self._emit(CancelSent(self._account, request.client_order_id, self._clock.now_ns()))

    def received(self, request: CancelOrder) -> None:
        self._emit(CancelReceived(self._account, request.client_order_id, self._clock.now_ns()))

    def failed(self, request: CancelOrder, reason: str, *, not_found: bool = False) -> None:
        self._emit(CancelFailed(self._account, request.client_order_id, not_found, reason, self._clock.now_ns()))

    def _cancel(self, request: CancelOrder, *, with_ttl: bool) -> None:
        body = self._codec.encode(self._request(request, with_ttl=with_ttl))
        if not self._limiter.try_take(Cost.CANCEL.value):
            self.failed(request, f"the venue asked for silence, {self._limiter.wait_s(Cost.CANCEL.value):.1f} s left")
            return
        leaving = _Leaving(lambda: self.sent(request))

        def on_answer(answer: Answer) -> None:
            self._on_answer(Cost.CANCEL, answer)
            self._answered(request, answer, with_ttl=with_ttl)

        try:
            self._entry.write(CANCEL_ORDER, body, on_answer, timeout_s=RECEIPT_S, release=leaving.release)
        except VenueUnavailable as error:
            self.failed(request, f"not sent: {error}")
        else:
            leaving.written()

    def _request(self, request: CancelOrder, *, with_ttl: bool) -> CancelRequest:
        form = self._codec.form(CancelRequest)
        by_venue_id = request.venue_order_id is not None and (request.by_venue_id or not request.client_order_id)
        if by_venue_id:
            return form(sub_account_id=self._sub_account_id, order_id=str(request.venue_order_id))
        ttl = self.ttl_text(request.ttl_ms) if with_ttl else None
        client_order_id = str(request.client_order_id)
        if ttl is None:
            return form(sub_account_id=self._sub_account_id, client_order_id=client_order_id)
        return form(sub_account_id=self._sub_account_id, client_order_id=client_order_id, time_to_live_ms=ttl)

    def _answered(self, request: CancelOrder, answer: Answer, *, with_ttl: bool) -> None:
        match answer:
            case Reply(body=body):
                try:
                    is_received = self._codec.decode(body, CANCEL_ORDER.reply).result.ack
                except DataError as error:
                    self.failed(request, str(error))
                    return
                if is_received:
                    self.received(request)
                else:
                    self.failed(request, "not acknowledged")
            case Refusal(code=code) if code in TTL_CODES and with_ttl:
                self._ttl_is_offered = False
                _log.warning("cancel_ttl_not_offered", code=code)
                self._cancel(request, with_ttl=False)
            case Refusal(code=code, text=text):
                self.failed(request, f"{code} {text}", not_found=code == NOT_FOUND)
            case _:
                self.failed(request, answer.reason)

    async def _sweep(self, body: bytes, instrument: InstrumentId | None) -> None:
        """Send until received; the second try, and every other one after it, goes over HTTP whatever the socket says."""
        pause_s = CANCEL_ALL_PAUSE_S
        for tried in range(CANCEL_ALL_TRIES):
            reason = await self._sweep_once(body, by_rest=tried % 2 == 1)
            if not reason:
                return
            _log.warning("cancel_all_not_received", instrument=instrument, reason=reason, tried=tried + 1)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 2.0)
        _log.error("cancel_all_failed", instrument=instrument)

    async def _sweep_once(self, body: bytes, *, by_rest: bool) -> str:
        """Return why it was not received, "" when it was."""
        await asyncio.sleep(self._limiter.wait_s(Cost.CANCEL_ALL.value))
        self._limiter.try_take(Cost.CANCEL_ALL.value)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def on_answer(answer: Answer) -> None:
            self._on_answer(Cost.CANCEL_ALL, answer)
            if not waiting.done():
                waiting.set_result(answer)

        write = self._entry.write_by_rest if by_rest else self._entry.write
        try:
            write(CANCEL_ALL_ORDERS, body, on_answer, timeout_s=RECEIPT_S, release=lambda: True)
        except VenueUnavailable as error:
            return str(error)
        answer = await waiting
        if isinstance(answer, Reply):
            try:
                return "" if self._codec.decode(answer.body, CANCEL_ALL_ORDERS.reply).result.ack else "not acknowledged"
            except DataError as error:
                return str(error)
        return f"{answer.code} {answer.text}" if isinstance(answer, Refusal) else answer.reason

    def _filter(self, instrument: InstrumentId | None) -> dict[str, list[str]]:
        if instrument is None:
            return {}
        known = self._instruments.get(instrument)
        if known is not None:
            return {"kind": [PERPETUAL], "base": [known.base], "quote": [known.quote]}
        base, _, rest = instrument.partition("_")
        quote = rest.partition("_")[0]
        return {"kind": [PERPETUAL], "base": [base], "quote": [quote]} if quote else {}


class _Leaving:
    """Says that something has left once it has: after the write over a socket, at the release over HTTP."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._is_released = False
        self._is_written = False

    def release(self) -> bool:
        self._is_released = True
        if self._is_written:
            self._tell()
        return True

    def written(self) -> None:
        self._is_written = True
        if self._is_released:
            self._tell()
