"""How uvicorn speaks HTTP and WebSocket here: with limits it does not have by itself.

The locked set of packages has no WebSocket library for uvicorn, and the page needs little of the protocol; so
`websocket.py` does the framing and `StreamProtocol` plugs it into uvicorn (`Config(ws=...)`). If such a library is ever
locked, `StreamProtocol` and `websocket.py` can go, but for the limits.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast
from urllib.parse import unquote

import h11
from starlette.types import Message
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from perpmaker import logs
from perpmaker.dashboard import websocket
from perpmaker.dashboard.pacing import Allowance
from perpmaker.dashboard.websocket import CloseCode, Opcode, ProtocolError

MAX_CONNECTIONS: Final = 512
REQUEST_TIMEOUT_S: Final = 10.0
"""From connecting to a request's whole head; a connection that is slower holds a place for nothing."""
MAX_MESSAGE_BYTES: Final = 64 * 1024
MESSAGES_PER_S: Final = 20.0
MESSAGE_BURST: Final = 60.0
MAX_UNSENT_BYTES: Final = 4 * 1024 * 1024
CLOSE_TIMEOUT_S: Final = 1.0


class ImpatientHttp(H11Protocol):
    """uvicorn's HTTP with a limit on connections, and on the time until the first request is there."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, transport.abort)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class StreamProtocol(asyncio.Protocol):
    """A WebSocket connection as uvicorn wants it: ASGI events on one side, a transport on the other."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._app = config.loaded_app
        self._state = server_state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._reader = websocket.Reader(MAX_MESSAGE_BYTES)
        self._allowance = Allowance(MESSAGES_PER_S, MESSAGE_BURST, self._now_ns())
        self._writable = asyncio.Event()
        self._writable.set()
        self._key = b""
        self._accepted = self._closing = False
        self._rejection: list[bytes] = []
        self._log = logs.get("dashboard")

    # What uvicorn and the transport call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if not self._key:
            self._begin(data)
            return
        before = self._reader.frames
        try:
            received = self._reader.feed(data)
            for _ in range(self._reader.frames - before):
                if not self._allowance.take(self._now_ns()):
                    raise ProtocolError(CloseCode.TOO_FAST, "too many messages")
        except ProtocolError as error:
            self._close(error.code, str(error))
            return
        for message in received:
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        self._closing = True
        self._writable.set()
        self._events.put_nowait({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL})

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def shutdown(self) -> None:
        """The server ends."""
        if self._accepted:
            self._close(CloseCode.RESTART, "the dashboard ends")
        else:
            self._transport.close()

    # Inside.

    def _now_ns(self) -> int:
        return int(self._loop.time() * 1e9)

    def _begin(self, data: bytes) -> None:
        """Start the application on the upgrade request, which uvicorn hands over as text again."""
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        request = connection.next_event()
        if not isinstance(request, h11.Request):
            self._transport.abort()
            return
        headers = [(name.lower(), value) for name, value in request.headers]
        found = dict(headers)
        self._key = found.get(b"sec-websocket-key", b"")
        if request.method != b"GET" or found.get(b"sec-websocket-version") != b"13" or len(self._key) != 24:
            body = b"not a WebSocket handshake of version 13"
            self._write_head(400, [(b"content-length", str(len(body)).encode()), (b"sec-websocket-version", b"13")])
            self._transport.write(body)
            self._closing = True
            self._transport.close()
            return
        path, _, query = request.target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": "",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "subprotocols": [],
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }
        self._events.put_nowait({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 (root of this connection's task)
            self._log.error("stream_failed", error=f"{type(error).__name__}: {error}")
        if not self._closing:
            self._close(CloseCode.NORMAL, "") if self._accepted else self._transport.close()

    def _on_message(self, message: websocket.Received) -> None:
        if message.opcode == Opcode.TEXT:
            try:
                text = message.payload.decode()
            except UnicodeDecodeError:
                self._close(CloseCode.INVALID_TEXT, "not UTF-8")
                return
            self._events.put_nowait({"type": "websocket.receive", "text": text})
        elif message.opcode == Opcode.PING:
            self._transport.write(websocket.frame(Opcode.PONG, message.payload))
        elif message.opcode == Opcode.CLOSE:
            code = websocket.close_code(message.payload)
            self._events.put_nowait({"type": "websocket.disconnect", "code": code})
            self._close(CloseCode.NORMAL, "")

    async def _receive(self) -> Message:
        return await self._events.get()

    async def _send(self, message: Message) -> None:
        if self._closing:
            return
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.send":
            await self._send_text(message)
        elif kind == "websocket.close":
            if self._accepted:
                self._close(message.get("code", CloseCode.NORMAL), message.get("reason") or "")
            else:
                self._write_head(403, [(b"content-length", b"0")])
                self._end()
        elif kind == "websocket.http.response.start":
            self._write_head(message["status"], message["headers"])
        elif kind == "websocket.http.response.body":
            self._transport.write(message.get("body", b""))
            if not message.get("more_body", False):
                self._end()

    def _accept(self, message: Message) -> None:
        self._accepted = True
        headers = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", websocket.accept_key(self._key)),
            *message.get("headers", []),
        ]
        self._write_head(101, headers)

    async def _send_text(self, message: Message) -> None:
        text = message.get("text")
        payload = message["bytes"] if text is None else text.encode()
        # A browser gets text messages whatever the caller had; frames are encoded once, as bytes.
        self._transport.write(websocket.frame(Opcode.TEXT, payload))
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._transport.abort()
        await self._writable.wait()

    def _write_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        lines = [b"HTTP/1.1 %d %s" % (status, _PHRASES.get(status, b""))]
        lines += [name + b": " + value for name, value in headers]
        self._transport.write(b"\r\n".join(lines) + b"\r\n\r\n")

    def _close(self, code: int, reason: str) -> None:
        """Say goodbye, and do not wait long for a peer that does not listen."""
        if self._closing:
            return
        self._transport.write(websocket.close_frame(code, reason))
        self._events.put_nowait({"type": "websocket.disconnect", "code": code})
        self._end()

    def _end(self) -> None:
        self._closing = True
        self._transport.close()
        self._writable.set()
        self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)


_PHRASES: Final = {
    101: b"Switching Protocols",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    503: b"Service Unavailable",
}
