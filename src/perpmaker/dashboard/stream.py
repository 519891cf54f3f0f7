"""One browser's live stream: frames out as it keeps up, acknowledgements in, and an end when it stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from perpmaker import __version__
from perpmaker.clock import Clock
from perpmaker.dashboard.hub import Hub
from perpmaker.dashboard.link import Link, LinkView
from perpmaker.dashboard.pacing import Pacing
from perpmaker.dashboard.websocket import CloseCode

RESYNC_NS: Final = 1_000_000_000


class Head(msgspec.Struct, frozen=True):
    """What each frame says of itself; the hub's part follows in the same object.

    `number` counts this connection's frames from 1. `page` is the digest of the front end this server has: a page made of
    another one loads itself anew.
    """

    number: int
    ts_ns: str
    lag_ms: float
    link: LinkView
    version: str
    page: str


class FromPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"ack": number}`: applied. `{"resync": true}`: a number was missed, send everything."""

    ack: int = 0
    resync: bool = False


class _End(Exception):
    """This browser's stream ends, with a code it can read."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Stream:
    """Serves one browser until it leaves, stalls, or its session ends. `alive` says whether that is still valid."""

    def __init__(
        self, socket: WebSocket, hub: Hub, link: Link, clock: Clock, *, page: str, alive: Callable[[], bool]
    ) -> None:
        self._socket = socket
        self._hub = hub
        self._link = link
        self._clock = clock
        self._page = page
        self._alive = alive
        self._pacing = Pacing()
        self._heard = asyncio.Event()
        self._decode = msgspec.json.Decoder(FromPage).decode
        self._resync_ns = 0

    async def run(self) -> None:
        await self._socket.accept()
        end: _End | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_frames())
                group.create_task(self._receive())
        except* WebSocketDisconnect:
            pass
        except* _End as ends:
            end = _first(ends)
        if end is not None:
            await self._socket.close(end.code, end.reason)

    async def _send_frames(self) -> None:
        while True:
            now_ns = self._clock.monotonic_ns()
            due_ns = self._pacing.due_ns(self._hub.version)
            stalled_at_ns = self._pacing.stalled_at_ns()
            if stalled_at_ns is not None and now_ns >= stalled_at_ns:
                raise _End(CloseCode.STALLED, "frames are not acknowledged")
            if due_ns is not None and now_ns >= due_ns:
                await self._send_frame(now_ns)
                continue
            wake_ns = min(at for at in (due_ns, stalled_at_ns) if at is not None)
            await self._wait((wake_ns - now_ns) / 1e9, for_news=due_ns is not None)

    async def _send_frame(self, now_ns: int) -> None:
        _, part = self._hub.part(self._pacing.seen)
        lag_ms = round(self._pacing.lag_ns / 1e6, 1)
        number = self._pacing.sent(now_ns, self._hub.version)
        head = Head(number, str(self._clock.now_ns()), lag_ms, self._link.view(), __version__, self._page)
        frame = msgspec.json.encode(head)[:-1] + b"," + part[1:]
        try:
            async with asyncio.timeout(max(0.0, (self._pacing.stalled_at_ns() or now_ns) - now_ns) / 1e9):
                await self._socket.send_bytes(frame)
        except TimeoutError:
            raise _End(CloseCode.STALLED, "frames are not read") from None

    async def _wait(self, seconds: float, *, for_news: bool) -> None:
        """Sleep until an acknowledgement, or news from the engine where those could make a frame due, or the time."""
        self._heard.clear()
        events = [self._heard, self._link.changed] if for_news else [self._heard]
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=max(seconds, 0.001), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _receive(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                message = self._decode(text)
            except msgspec.DecodeError:
                raise _End(CloseCode.POLICY, "not a message of this stream") from None
            if not self._alive():
                raise _End(CloseCode.LOGGED_OUT, "logged out")
            now_ns = self._clock.monotonic_ns()
            self._pacing.acknowledged(message.ack, now_ns)
            if message.resync and now_ns - self._resync_ns > RESYNC_NS:
                self._resync_ns = now_ns
                self._pacing.seen = None
            self._heard.set()


def _first(ends: BaseExceptionGroup[_End]) -> _End:
    end = ends.exceptions[0]
    return _first(end) if isinstance(end, BaseExceptionGroup) else end
