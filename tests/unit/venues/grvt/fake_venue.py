"""A small scripted venue on a real loopback socket: says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from aiohttp import WSMsgType, web

from perpmaker.clock import WallClock
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.environments import READY_KEYS, Environment, environment

API_KEY = "fake-venue-api-key"
PRIVATE_KEY = "0x" + "11" * 32
SUB_ACCOUNT = "4611686018427387904"

Json = dict[str, Any]
RpcHandler = Callable[[Json], Any]
"""Takes the request's body or params; returns the payload, an `Error`, `SILENT` or `DROP`."""


class Error(Exception):
    """An error answer: code, HTTP status, and headers of a REST answer."""

    def __init__(self, code: int, status: int = 400, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.headers = headers or {}


SILENT = object()
"""Never answer."""
DROP = object()
"""Cut the connection instead of answering."""


class Socket:
    """The venue's end of one WebSocket."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        self.ws = ws
        self.headers = request.headers
        self.requests: list[Json] = []
        self.subscribed: list[tuple[str, str]] = []

    async def send(self, frame: Json | str) -> None:
        await self.ws.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def feed(self, stream: str, selector: str, number: int, feed: Json, prev: int | None = None) -> None:
        """Send a frame; `number` 0 is a snapshot."""
        before = (number - 1 if number else 0) if prev is None else prev
        await self.send(
            {
                "stream": stream,
                "selector": selector,
                "sequence_number": str(number),
                "feed": feed,
                "prev_sequence_number": str(before),
            }
        )

    async def cut(self) -> None:
        """End the TCP connection without a closing handshake."""
        assert self.ws._req is not None
        transport = self.ws._req.transport
        if transport is not None:
            transport.abort()


class FakeVenue:
    """Scripted by assigning to `rpc[route]`, `on_login`, `on_subscribed`, `on_upgrade`."""

    def __init__(self) -> None:
        self.rpc: dict[str, RpcHandler] = {}
        self.calls: list[tuple[str, Json]] = []
        self.call_headers: list[dict[str, str]] = []
        self.logins = 0
        self.login_bodies: list[Json] = []
        self.cookies: set[str] = set()
        self.cookie_life_s = 3600
        self.on_login: Callable[[], Awaitable[web.StreamResponse | None]] | None = None
        self.upgrade_status: int | None = None
        self.sockets: list[Socket] = []
        self.on_subscribed: Callable[[Socket, str, str], Awaitable[None]] | None = None
        self.subscribe_answer: Callable[[str, list[str]], Any] | None = None
        self.opened = asyncio.Event()
        self.server_time_ms: int | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_post("/auth/api_key/login", self._login)
        app.router.add_get("/time", self._time)
        app.router.add_get("/ws/full", self._ws)
        app.router.add_post("/{encoding}/{version}/{route}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        if self._runner is not None:
            for socket in self.sockets:
                await socket.cut() if not socket.ws.closed else None
            await self._runner.cleanup()
            self._runner = None

    @property
    def environment(self) -> Environment:
        return environment(
            "local",
            {key: f"{'ws' if key.startswith('ws_') else 'http'}://127.0.0.1:{self.port}" for key in READY_KEYS},
        )

    def routes_called(self) -> list[str]:
        return [route for route, _ in self.calls]

    def asked(self, route: str) -> list[Json]:
        return [body for called, body in self.calls if called == route]

    async def _login(self, request: web.Request) -> web.StreamResponse:
        self.logins += 1
        self.login_bodies.append(await request.json())
        if self.on_login is not None:
            special = await self.on_login()
            if special is not None:
                return special
        cookie = f"cookie-{self.logins}"
        self.cookies.add(cookie)
        return login_answer(cookie, self.cookie_life_s)

    async def _time(self, request: web.Request) -> web.StreamResponse:
        if self.server_time_ms is None:
            return web.json_response({"code": 1002, "message": "", "status": 500}, status=500)
        return web.json_response({"server_time": self.server_time_ms})

    def _authenticated(self, request: web.Request) -> bool:
        return request.cookies.get("gravity") in self.cookies and "X-Grvt-Account-Id" in request.headers

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        route = f"{request.match_info['version']}/{request.match_info['route']}"
        raw = await request.read()
        body = json.loads(raw)
        self.calls.append((route, body))
        self.call_headers.append(dict(request.headers))
        if "sub_account_id" in raw.decode() and not self._authenticated(request):
            return _error(Error(1000, 401))
        payload = await _called(self.rpc[route], body)
        if payload is SILENT:
            await asyncio.sleep(3600)
        if payload is DROP:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(payload, web.StreamResponse):
            return payload
        return _error(payload) if isinstance(payload, Error) else web.json_response(payload)

    async def _ws(self, request: web.Request) -> web.StreamResponse:
        if self.upgrade_status is not None:
            return web.Response(status=self.upgrade_status)
        if "Cookie" in request.headers and not self._authenticated(request):
            return web.Response(status=401)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        socket = Socket(ws, request)
        self.sockets.append(socket)
        self.opened.set()
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await self._on_frame(socket, json.loads(message.data))
        return ws

    async def _on_frame(self, socket: Socket, frame: Json) -> None:
        socket.requests.append(frame)
        method = frame["method"]
        if method in {"subscribe", "unsubscribe"}:
            await self._on_subscription(socket, frame)
            return
        self.calls.append((method, frame["params"]))
        payload = await _called(self.rpc[method], frame["params"])
        if payload is SILENT:
            return
        if payload is DROP:
            await socket.cut()
            return
        answer: Json = {"jsonrpc": "2.0", "id": frame["id"], "method": method}
        if isinstance(payload, Error):
            answer["error"] = {"code": payload.code, "message": "refused by the script"}
        else:
            answer["result"] = payload
        await socket.send(answer)

    async def _on_subscription(self, socket: Socket, frame: Json) -> None:
        stream, selectors = frame["params"]["stream"], frame["params"]["selectors"]
        answer: Json = {"jsonrpc": "2.0", "id": frame["id"], "method": frame["method"]}
        if frame["method"] == "unsubscribe":
            socket.subscribed = [
                entry for entry in socket.subscribed if entry[1] not in selectors or entry[0] != stream
            ]
            await socket.send(answer | {"result": {"stream": stream, "unsubs": selectors}})
            return
        result = self.subscribe_answer(stream, selectors) if self.subscribe_answer else subscribed(stream, selectors)
        if result is SILENT:
            return
        if isinstance(result, Error):
            await socket.send(answer | {"error": {"code": result.code, "message": "refused by the script"}})
            return
        await socket.send(answer | {"result": result})
        for selector in selectors:
            socket.subscribed.append((stream, selector))
            if self.on_subscribed is not None:
                await self.on_subscribed(socket, stream, selector)


def subscribed(stream: str, selectors: list[str], first: int = 1, snapshots: int | None = None) -> Json:
    """Return the ordinary answer to a subscription."""
    count = (
        snapshots if snapshots is not None else (0 if stream in {"v1.order", "v1.state", "v1.cancel", "v1.fill"} else 1)
    )
    return {
        "stream": stream,
        "subs": selectors,
        "unsubs": [],
        "num_snapshots": [count] * len(selectors),
        "first_sequence_number": [str(first)] * len(selectors),
        "latest_sequence_number": [str(first - 1)] * len(selectors),
    }


def login_answer(cookie: str, life_s: int = 3600, *, date: bool = True) -> web.Response:
    now = WallClock().now_ns() / NS_PER_S
    response = web.json_response({"status": "success", "location": "", "sub_account_id": SUB_ACCOUNT})
    expires = formatdate(now + life_s, usegmt=True)
    response.headers["Set-Cookie"] = f"gravity={cookie}; Path=/; Expires={expires}; HttpOnly"
    response.headers["X-Grvt-Account-Id"] = "ACC:fake"
    if date:
        response.headers["Date"] = formatdate(now, usegmt=True)
    return response


def _error(error: Error) -> web.Response:
    body = {"code": error.code, "message": "refused by the script", "status": error.status}
    return web.json_response(body, status=error.status, headers=error.headers)


async def _called(handler: RpcHandler, body: Json) -> Any:
    payload = handler(body)
    return await payload if asyncio.iscoroutine(payload) else payload
