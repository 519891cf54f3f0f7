"""A Backpack client as small as it gets: signs, calls, listens. It knows the wire from the protocol page alone."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from perpmaker.clock import WallClock

from .client import WAIT_S, Answer, Client, Socket

ETH = "ETH_USDC_PERP"
INSTRUCTIONS = {
    ("GET", "/api/v1/account"): "accountQuery",
    ("PATCH", "/api/v1/account"): "accountUpdate",
    ("GET", "/api/v1/capital"): "balanceQuery",
    ("GET", "/api/v1/capital/collateral"): "collateralQuery",
    ("POST", "/api/v1/order"): "orderExecute",
    ("GET", "/api/v1/order"): "orderQuery",
    ("DELETE", "/api/v1/order"): "orderCancel",
    ("POST", "/api/v1/orders"): "orderExecute",
    ("GET", "/api/v1/orders"): "orderQueryAll",
    ("DELETE", "/api/v1/orders"): "orderCancelAll",
    ("GET", "/api/v1/position"): "positionQuery",
    ("GET", "/wapi/v1/history/orders"): "orderHistoryQueryAll",
    ("GET", "/wapi/v1/history/fills"): "fillHistoryQueryAll",
    ("GET", "/wapi/v1/history/funding"): "fundingHistoryQueryAll",
    ("GET", "/wapi/v1/history/settlement"): "settlementHistoryQueryAll",
    ("GET", "/wapi/v1/capital/withdrawals"): "withdrawalQueryAll",
    ("POST", "/wapi/v1/capital/withdrawals"): "withdraw",
    ("GET", "/wapi/v1/capital/deposits"): "depositQueryAll",
    ("GET", "/wapi/v1/capital/deposit/address"): "depositAddressQuery",
}
"""The page's table."""


def sign(secret: str, text: str) -> str:
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret)[:32])
    return base64.b64encode(key.sign(text.encode())).decode()


def signed_text(instruction: str, orders: list[dict[str, Any]], timestamp: int, window: int) -> str:
    """Written from the page, apart from the exchange's own."""
    text = ""
    for params in orders:
        text += f"instruction={instruction}&"
        for name in sorted(params):
            value = params[name]
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            text += f"{name}={shown}&"
    return f"{text}timestamp={timestamp}&window={window}"


class BackpackClient:
    """One account of the second venue, by the exchange's ready line."""

    def __init__(self, http: aiohttp.ClientSession, line: dict[str, Any], account: int = 0) -> None:
        self.http = http
        self.line = line
        self.keys: dict[str, str] = line["backpack"]["accounts"][account]
        self.control = Client(http, line).control

    def headers(
        self, instruction: str, orders: list[dict[str, Any]], *, window: int = 5_000, shift_ms: int = 0
    ) -> dict[str, str]:
        timestamp = WallClock().now_ns() // 1_000_000 + shift_ms
        return {
            "X-API-Key": self.keys["api_key"],
            "X-Timestamp": str(timestamp),
            "X-Window": str(window),
            "X-Signature": sign(self.keys["secret"], signed_text(instruction, orders, timestamp, window)),
        }

    async def call(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        params = {} if params is None else params
        if headers is None:
            instruction = INSTRUCTIONS.get((method, path))
            orders = params if isinstance(params, list) else [params]
            headers = {} if instruction is None else self.headers(instruction, orders)
        more: dict[str, Any] = {"params": params} if method == "GET" else {"json": params}
        url = f"{self.line['backpack']['rest']}{path}"
        async with self.http.request(method, url, headers=headers, **more) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            body = msgspec.json.decode(raw) if is_json else raw.decode()
            return Answer(response.status, body, dict(response.headers))

    async def ok(self, method: str, path: str, params: Any = None) -> Any:
        answer = await self.call(method, path, params)
        assert answer.status == 200, answer.body
        return answer.body

    async def get(self, path: str, **params: Any) -> Any:
        return await self.ok("GET", path, params)

    def order(self, side: str = "Bid", *, px: str | None = None, qty: str = "0.05", **more: Any) -> dict[str, Any]:
        """An order's parameters; without a price a market order."""
        params: dict[str, Any] = {"symbol": ETH, "side": side, "quantity": qty}
        params |= {"orderType": "Market"} if px is None else {"orderType": "Limit", "price": px}
        return params | more

    async def place(self, side: str = "Bid", **more: Any) -> dict[str, Any]:
        """Send an order that must be accepted."""
        answer: dict[str, Any] = await self.ok("POST", "/api/v1/order", self.order(side, **more))
        return answer

    async def rest(self, **more: Any) -> dict[str, Any]:
        """An order far from the market."""
        return await self.place(px="2000", postOnly=True, **more)

    async def ledger(self) -> dict[str, Any]:
        """This account's part of the venue's books."""
        books = (await self.control("GET", "/ledger"))["venues"]["backpack"]
        return next(row for row in books["accounts"] if row["main_account"] == self.keys["api_key"])

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            while not wanted(books := await self.ledger()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return books

    async def touch(self, symbol: str = ETH) -> tuple[Decimal, Decimal]:
        book = await self.get("/api/v1/depth", symbol=symbol)
        return max(Decimal(px) for px, _ in book["bids"]), min(Decimal(px) for px, _ in book["asks"])

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[BackpackSocket]:
        async with self.http.ws_connect(self.line["backpack"]["ws"]) as ws:
            yield BackpackSocket(ws, self)


class BackpackSocket(Socket):
    """A WebSocket whose frames can be waited for."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, client: BackpackClient) -> None:
        super().__init__(ws)
        self._client = client

    async def listen(self, *streams: str, signature: list[str] | None = None, method: str = "SUBSCRIBE") -> None:
        request: dict[str, Any] = {"method": method, "params": list(streams)}
        if signature is None and any(stream.startswith("account.") for stream in streams):
            proof = self._client.headers("subscribe", [{}])
            signature = [proof[f"X-{name}"] for name in ("API-Key", "Signature", "Timestamp", "Window")]
        if signature is not None:
            request["signature"] = signature
        await self.ws.send_json(request)

    async def data(self, stream: str, wanted: Callable[[Any], bool] = lambda data: True) -> Any:
        frame = await self.until(lambda message: message.get("stream") == stream and wanted(message["data"]))
        return frame["data"]
