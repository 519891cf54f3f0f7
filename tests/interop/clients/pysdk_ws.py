"""grvt-pysdk's GrvtCcxtWS: its four sockets (two legacy, two JSON-RPC), orders sent as RPCs, private streams."""

from __future__ import annotations

import asyncio
from typing import Any

from pysdk.grvt_ccxt_env import GrvtEnv, GrvtWSEndpointType
from pysdk.grvt_ccxt_ws import GrvtCcxtWS
from pysdk_pro import Pro
from pysdk_urls import QUIET, point_at

from scenario import INSTRUMENT, main, now, say, until

LEGACY, RPC = GrvtWSEndpointType.TRADE_DATA, GrvtWSEndpointType.TRADE_DATA_RPC_FULL
PUBLIC, PUBLIC_RPC = GrvtWSEndpointType.MARKET_DATA, GrvtWSEndpointType.MARKET_DATA_RPC_FULL
PUBLIC_STREAMS = ("mini.s", "mini.d", "ticker.s", "ticker.d", "book.s", "book.d", "trade", "candle")


class Ws(Pro):
    has_streams = streams_each_fill = True

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.seen: dict[str, list[str]] = {"orders": [], "fills": [], "positions": []}
        self.public: dict[str, int] = {}
        self.bid_ask = ("", "")
        self.api = GrvtCcxtWS(GrvtEnv.TESTNET, asyncio.get_running_loop(), QUIET, point_at(line))
        await self.api.initialize()
        await until("four sockets", lambda: now(self.api.are_endpoints_connected(self.api.endpoint_types)))
        for stream in PUBLIC_STREAMS:
            for kind in (PUBLIC, PUBLIC_RPC):
                await self.api.subscribe(stream, self.on_public, kind, {"instrument": INSTRUMENT})
        await self.api.subscribe("order", self.on_order, LEGACY)
        await self.api.subscribe("state", self.on_state, RPC, {"instrument": INSTRUMENT})
        await self.api.subscribe("fill", self.on_fill, RPC, {"kind": "PERPETUAL", "base": "BTC", "quote": "USDT"})
        await self.api.subscribe("position", self.on_position, LEGACY, {"instrument": INSTRUMENT})
        await self.api.subscribe("cancel", self.on_public, LEGACY)
        await until("a book", lambda: now(all(self.bid_ask)))
        return list(self.api.markets)

    async def on_public(self, message: dict[str, Any]) -> None:
        self.public[message["stream"]] = self.public.get(message["stream"], 0) + 1
        if message["stream"] == "v1.book.s":
            feed = message["feed"]
            self.bid_ask = (feed["bids"][0]["price"], feed["asks"][0]["price"])

    async def on_order(self, message: dict[str, Any]) -> None:
        self.seen["orders"].append(message["feed"]["metadata"]["client_order_id"])

    async def on_state(self, message: dict[str, Any]) -> None:
        self.seen["orders"].append(message["feed"]["client_order_id"])

    async def on_fill(self, message: dict[str, Any]) -> None:
        self.seen["fills"].append(message["feed"]["trade_id"])

    async def on_position(self, message: dict[str, Any]) -> None:
        self.seen["positions"].append(message["feed"]["size"])

    async def touch(self) -> tuple[str, str]:
        return self.bid_ask

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        params = {"post_only": post_only, "reduce_only": reduce_only}
        payload = await self.api.rpc_create_order(INSTRUMENT, kind, side, qty, px, params)
        client_order_id = payload["params"]["order"]["metadata"]["client_order_id"]
        await until("the new order in its stream", lambda: now(client_order_id in self.seen["orders"]))
        return client_order_id

    async def cancel(self, client_order_id: str) -> None:
        await self.api.rpc_cancel_order(params={"client_order_id": client_order_id, "time_to_live_ms": "500"})

    async def cancel_all(self) -> None:
        await self.api.rpc_cancel_all_orders()

    def streamed(self) -> dict[str, list[str]]:
        return self.seen

    async def stop(self) -> None:
        say("public streams", frames=self.public)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self.api.__aexit__()
        await self.api._session.close()


if __name__ == "__main__":
    main(Ws())
