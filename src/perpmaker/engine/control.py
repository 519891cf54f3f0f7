"""The control API of the engine (control/messages.py says what it offers), on loopback alone.

Every request and every upgrade needs a Host of ours, no foreign Origin, and the token of this start. Subscribers get one
frame per 100 ms at most and none while two are unacknowledged: who reads slowly sees fewer, newer frames and costs
nothing. What is alike for all subscribers (status, books) is encoded once per frame interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
from aiohttp import WSMsgType, web

from perpmaker.control.messages import (
    BookRows,
    CandleRow,
    CommandAnswer,
    CommandRequest,
    EquityPoint,
    FillRow,
    LogLine,
    Status,
)

FRAME_INTERVAL_S: Final = 0.1
MAX_UNACKNOWLEDGED: Final = 2
STALLED_S: Final = 10.0
MAX_SUBSCRIBERS: Final = 8
MAX_BODY_BYTES: Final = 64 * 1024
PORTS_TRIED: Final = 50
_JSON: Final = "application/json"
_encode = msgspec.json.Encoder().encode


class ControlSource(Protocol):
    """What the server shows and passes on; the live engine implements it."""

    def status(self) -> Status: ...
    def books(self) -> dict[str, BookRows]: ...
    def last_fills(self, limit: int) -> list[FillRow]:
        """Newest first."""
        ...

    def fills_after(self, number: int) -> list[FillRow]:
        """Oldest first; bounded: of a long history only the newest."""
        ...

    def logs_after(self, number: int) -> list[LogLine]: ...
    def equity_after(self, number: int) -> tuple[list[EquityPoint], int]:
        """The points after the `number`-th, and the number of the last one."""
        ...

    def candles_after(self, open_s: dict[str, int]) -> dict[str, list[CandleRow]]:
        """Per instrument the candles that began at or after the time given for it (0 when absent)."""
        ...

    def metrics(self) -> str: ...
    async def command(self, request: CommandRequest, peer: str) -> CommandAnswer: ...
    def now_ns(self) -> int: ...


class _Shared(msgspec.Struct):
    """What every subscriber's next frame has in common, already encoded."""

    ts_ns: str
    status: msgspec.Raw
    books: msgspec.Raw


class _Frame(msgspec.Struct):
    """control.messages.Frame with parts that are encoded once for all."""

    number: int
    full: bool
    ts_ns: str
    status: msgspec.Raw
    books: msgspec.Raw
    candles: dict[str, list[CandleRow]]
    fills: list[FillRow]
    equity: list[EquityPoint]
    logs: list[LogLine]


class Cursor:
    """How far one subscriber's picture goes; makes its next frame."""

    def __init__(self) -> None:
        self.number = 0
        self._fill = 0
        self._log = 0
        self._equity = 0
        self._open_s: dict[str, int] = {}
        self._forming: dict[str, CandleRow] = {}

    def frame(self, source: ControlSource, shared: _Shared) -> bytes:
        """Return everything since the last frame; of the first one, everything."""
        self.number += 1
        fills = source.fills_after(self._fill)
        logs = source.logs_after(self._log)
        equity, self._equity = source.equity_after(self._equity)
        if fills:
            self._fill = fills[-1].number
        if logs:
            self._log = logs[-1].number
        return _encode(
            _Frame(
                number=self.number,
                full=self.number == 1,
                ts_ns=shared.ts_ns,
                status=shared.status,
                books=shared.books,
                candles=self._new_candles(source),
                fills=fills,
                equity=equity,
                logs=logs,
            )
        )

    def _new_candles(self, source: ControlSource) -> dict[str, list[CandleRow]]:
        changed: dict[str, list[CandleRow]] = {}
        for instrument, candles in source.candles_after(self._open_s).items():
            if not candles or candles == [self._forming.get(instrument)]:
                continue
            self._open_s[instrument] = candles[-1].open_s
            self._forming[instrument] = candles[-1]
            changed[instrument] = candles
        return changed


class ControlServer:
    """Serves one engine. `start` binds and returns; `stop` ends every subscription."""

    def __init__(self, source: ControlSource, *, port: int, on_trouble: Callable[[str], None]) -> None:
        self.token = secrets.token_urlsafe(32)
        self._source = source
        self._wanted_port = port
        self._on_trouble = on_trouble
        self._subscribers: set[web.WebSocketResponse] = set()
        self._shared: _Shared | None = None
        self._shared_until = 0.0
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    async def start(self) -> None:
        """Bind the port, or the next free one; raises OSError when none of the next fifty is free."""
        listener = _bind(self._wanted_port)
        self.port = listener.getsockname()[1]
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/v1/status", self._status)
        app.router.add_get("/v1/trades", self._trades)
        app.router.add_get("/v1/logs", self._logs)
        app.router.add_get("/v1/metrics", self._metrics)
        app.router.add_post("/v1/commands", self._commands)
        app.router.add_get("/v1/stream", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        for subscriber in tuple(self._subscribers):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(subscriber.close(code=1001, message=b"engine stopped"), 0.5)
        if self._runner is not None:
            await self._runner.cleanup()

    # --- who may ask

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        own = {f"{host}:{self.port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        if request.headers.get("Host", "") not in own:
            return _refusal(403, "this host name is not served here")
        origin = request.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in own:
            return _refusal(403, "requests from other origins are not served")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token.encode(), self.token.encode()):
            return _refusal(401, "the token is missing or wrong; it is in run/engine.json")
        return await handler(request)

    # --- one answer each

    async def _status(self, _: web.Request) -> web.Response:
        return _json(self._source.status())

    async def _trades(self, request: web.Request) -> web.Response:
        limit = _number(request, "limit", default=100)
        if limit is None:
            return _refusal(400, "limit must be a whole number")
        return _json(self._source.last_fills(max(0, min(limit, 10_000))))

    async def _logs(self, request: web.Request) -> web.Response:
        after = _number(request, "after", default=0)
        if after is None:
            return _refusal(400, "after must be a whole number")
        return _json(self._source.logs_after(after))

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self._source.metrics(), content_type="text/plain", charset="utf-8")

    async def _commands(self, request: web.Request) -> web.Response:
        if request.content_type != _JSON:
            return _refusal(415, f"a command is {_JSON}")
        try:
            command = msgspec.json.decode(await request.read(), type=CommandRequest)
        except msgspec.DecodeError as error:
            return _refusal(400, f"not a command: {error}")
        return _json(await self._source.command(command, request.remote or ""))

    # --- the stream

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            return _refusal(503, f"{MAX_SUBSCRIBERS} subscribers are served already")
        ws = web.WebSocketResponse(heartbeat=15.0, timeout=2.0, max_msg_size=4096, compress=False)
        await ws.prepare(request)
        self._subscribers.add(ws)
        window = _Window()
        sender = asyncio.create_task(self._send_frames(ws, window), name="control-stream")
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT or not window.acknowledge(message.data):
                    break
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
            self._subscribers.discard(ws)
        return ws

    async def _send_frames(self, ws: web.WebSocketResponse, window: _Window) -> None:
        cursor = Cursor()
        try:
            while not ws.closed:
                await window.wait_open()
                await ws.send_frame(cursor.frame(self._source, self._shared_now()), WSMsgType.TEXT)
                window.sent = cursor.number
                await asyncio.sleep(FRAME_INTERVAL_S)
        except TimeoutError:
            await ws.close(code=1008, message=b"no acknowledgement for ten seconds")
        except ConnectionError:
            return
        except Exception as error:  # noqa: BLE001 (a task root: the page may fail, trading goes on)
            self._on_trouble(f"control stream ended: {type(error).__name__}: {error}")
            await ws.close(code=1011, message=b"internal error")

    def _shared_now(self) -> _Shared:
        now = asyncio.get_running_loop().time()
        if self._shared is None or now >= self._shared_until:
            self._shared = _Shared(
                ts_ns=str(self._source.now_ns()),
                status=msgspec.Raw(_encode(self._source.status())),
                books=msgspec.Raw(_encode(self._source.books())),
            )
            self._shared_until = now + 0.9 * FRAME_INTERVAL_S
        return self._shared


class _Window:
    """Frames under way to one subscriber."""

    def __init__(self) -> None:
        self.sent = 0
        self._acknowledged = 0
        self._open = asyncio.Event()

    def acknowledge(self, text: str) -> bool:
        """Take in {"ack": number}; returns False for anything else."""
        try:
            number = msgspec.json.decode(text, type=dict[str, int])["ack"]
        except (msgspec.DecodeError, KeyError):
            return False
        self._acknowledged = max(self._acknowledged, min(number, self.sent))
        self._open.set()
        return True

    async def wait_open(self) -> None:
        """Return when fewer than two frames are unacknowledged; raise TimeoutError when that takes ten seconds."""
        async with asyncio.timeout(STALLED_S):
            while self.sent - self._acknowledged >= MAX_UNACKNOWLEDGED:
                self._open.clear()
                await self._open.wait()


def _bind(port: int) -> socket.socket:
    """Return a listening socket on loopback, on `port` or the next free one; port 0 takes any."""
    problem: OSError | None = None
    for candidate in [0] if port == 0 else range(port, min(port + PORTS_TRIED, 65_536)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(64)
        except OSError as error:
            listener.close()
            problem = error
            continue
        return listener
    raise OSError(f"no free port from {port} on for the control API: {problem}")


def _json(value: object) -> web.Response:
    return web.Response(body=_encode(value), content_type=_JSON)


def _refusal(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)


def _number(request: web.Request, name: str, *, default: int) -> int | None:
    text = request.query.get(name, "")
    if not text:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
