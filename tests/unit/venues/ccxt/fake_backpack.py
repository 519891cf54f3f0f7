"""A scripted Backpack on this machine, written after the venue page: what it says is what a test tells it to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

Json = Any
MARKET: Json = {
    "symbol": "ETH_USDC_PERP",
    "baseSymbol": "ETH",
    "quoteSymbol": "USDC",
    "marketType": "PERP",
    "orderBookState": "Open",
    "visible": True,
    "createdAt": "2025-01-21T06:34:54.691858",
    "filters": {
        "price": {"tickSize": "0.01", "minPrice": "0.01", "maxPrice": None},
        "quantity": {"minQuantity": "0.0001", "maxQuantity": None, "stepSize": "0.0001"},
    },
    "fundingInterval": 28_800_000,
}
SPOT: Json = {**MARKET, "symbol": "USDT_USDC", "baseSymbol": "USDT", "marketType": "SPOT"}


class FakeBackpack:
    """Answers from `answers` by (method, path), else from its own small books; remembers every request."""

    def __init__(self) -> None:
        self.url = self.ws_url = ""
        self.requests: list[tuple[str, str, Json]] = []
        self.answers: dict[tuple[str, str], list[Json]] = {}
        """Scripted answers: (status, body), "drop" for no answer, "cut" for a closed connection."""
        self.orders: dict[str, Json] = {}
        self.history: list[Json] = []
        self.fills: list[Json] = []
        self.positions: list[Json] = []
        self.last_update_id = 100
        self.subscribed: list[Json] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.auto_stream = True
        """Whether an order's life is told on the stream by itself."""
        self._heard = asyncio.Event()
        self._next_id = 4_000_000_000

    def script(self, method: str, path: str, *answers: Json) -> None:
        self.answers.setdefault((method, path), []).extend(answers)

    def of(self, method: str, path: str) -> list[Json]:
        return [body for m, p, body in self.requests if (m, p) == (method, path)]

    async def push(self, stream: str, data: Json) -> None:
        for socket in list(self.sockets):
            if not socket.closed:
                await socket.send_str(json.dumps({"stream": stream, "data": data}))

    async def until_subscribed(self, topic: str, times: int = 1) -> None:
        async with asyncio.timeout(30):
            while (
                sum(topic in one.get("params", []) for one in self.subscribed if one["method"] == "SUBSCRIBE") < times
            ):
                self._heard.clear()
                await self._heard.wait()

    async def depth(self, first: int, last: int, bids: Json, asks: Json, **changes: Json) -> None:
        data = {"e": "depth", "E": 1_700_000_000_000_000 + last, "T": 1_700_000_000_000_000 + last, "s": "ETH_USDC_PERP",
                "U": first, "u": last, "b": bids, "a": asks}  # fmt: skip
        await self.push("depth.ETH_USDC_PERP", {**data, **changes})

    async def order_frame(self, event: str, order: Json, **changes: Json) -> None:
        data = {"e": event, "E": "1700000000000000", "T": "1700000000000000", "s": order["symbol"], "c": order["clientId"],
                "S": order["side"], "o": "LIMIT", "f": "GTC", "q": order["quantity"], "p": order.get("price"),
                "X": order["status"], "i": order["id"], "z": order["executedQuantity"],
                "Z": order["executedQuoteQuantity"], "r": False, "t": None, "V": "RejectTaker", "O": "USER"}  # fmt: skip
        await self.push("account.orderUpdate", {**data, **changes})

    async def cut(self) -> None:
        for socket in list(self.sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        body = await request.json() if request.can_read_body else dict(request.query)
        self.requests.append((request.method, request.path, body))
        self._heard.set()
        scripted = self.answers.get((request.method, request.path))
        if scripted:
            answer = scripted.pop(0)
            if answer == "lose":  # executed, and the answer never comes
                await self._answer(request.method, request.path, body)
                answer = "drop"
            if answer == "drop":
                await asyncio.sleep(30)
            if answer == "cut":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.json_response(answer[1], status=answer[0])
        status, found = await self._answer(request.method, request.path, body)
        return web.json_response(found, status=status)

    async def _answer(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        match method, path:
            case "GET", "/api/v1/markets":
                return 200, [MARKET, SPOT]
            case "GET", "/api/v1/assets" | "/api/v1/securities" | "/wapi/v1/history/funding":
                return 200, []
            case "GET", "/api/v1/time":
                return 200, 1_700_000_000_123
            case "GET", "/api/v1/depth":
                return 200, {"asks": [["3000.02", "1"]], "bids": [["2999.00", "2"], ["3000.00", "1.5"]],
                             "lastUpdateId": str(self.last_update_id), "timestamp": 1_700_000_000_000_000}  # fmt: skip
            case "GET", "/api/v1/capital":
                return 200, {"USDC": {"available": "900.5", "locked": "99.5", "staked": "0"}}
            case "GET", "/api/v1/capital/collateral":
                return 200, {"netEquity": "1001.25", "netEquityAvailable": "800.75"}
            case "GET", "/api/v1/position":
                return 200, self.positions
            case "GET", "/api/v1/orders":
                return 200, list(self.orders.values())
            case "GET", "/wapi/v1/history/fills":
                return 200, self.fills
            case "GET", "/wapi/v1/history/orders":
                return 200, self.history
            case "GET", "/api/v1/ticker":
                return 200, {"symbol": body["symbol"], "lastPrice": "0.9995"}
            case "GET", "/api/v1/klines":
                return 200, []
            case "POST", "/api/v1/order":
                return await self._create(body)
            case "GET", "/api/v1/order":
                found = self._find(body)
                return (200, found) if found else _missing()
            case "DELETE", "/api/v1/order":
                return await self._cancel(body)
            case "DELETE", "/api/v1/orders":
                return 200, [(await self._cancel({"orderId": one}))[1] for one in list(self.orders)]
        return 404, {"code": "RESOURCE_NOT_FOUND", "message": f"no route {method} {path}"}

    async def _create(self, body: Json) -> tuple[int, Json]:
        self._next_id += 1
        order = {
            "id": str(self._next_id), "createdAt": 1_700_000_000_000, "executedQuantity": "0",
            "executedQuoteQuantity": "0", "timeInForce": "GTC", "status": "New", "triggerPrice": None,
            "postOnly": False, "reduceOnly": False, **body,
        }  # fmt: skip
        self.orders[order["id"]] = order
        if self.auto_stream:
            await self.order_frame("orderAccepted", order)
        return 200, order

    async def _cancel(self, body: Json) -> tuple[int, Json]:
        found = self._find(body)
        if found is None:
            return _missing()
        del self.orders[found["id"]]
        found["status"] = "Cancelled"
        self.history.append({**found, "createdAt": "2023-11-14T22:13:20.000"})
        if self.auto_stream:
            await self.order_frame("orderCancelled", found)
        return 200, found

    def _find(self, body: Json) -> Json:
        if body.get("orderId"):
            return self.orders.get(str(body["orderId"]))
        return next((one for one in self.orders.values() if str(one["clientId"]) == str(body["clientId"])), None)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.subscribed.append(json.loads(message.data))
                self._heard.set()
        self.sockets.remove(socket)
        return socket


def _missing() -> tuple[int, Json]:
    return 404, {"code": "RESOURCE_NOT_FOUND", "message": "Order not found"}


@asynccontextmanager
async def running() -> AsyncIterator[FakeBackpack]:
    fake = FakeBackpack()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    fake.url, fake.ws_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
