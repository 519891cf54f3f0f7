"""ccxt.pro's grvt: streams of the book, orders, fills and positions beside asynchronous REST.

Orders and positions of one account have the same selector text, by which ccxt.pro knows streams apart, so positions are
watched by instrument (protocol page §18.3).
"""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt.pro
from ccxt_rest import SYMBOL, exact, fill_of, options, signed_size

from scenario import main


class Pro:
    has_streams = streams_each_fill = True

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.seen: dict[str, list[str]] = {"orders": [], "fills": [], "positions": []}
        self.api = ccxt.pro.grvt(options(line))
        markets = await self.api.load_markets()
        self.book = await self.api.watch_order_book(SYMBOL)
        await self.api.watch_ticker(SYMBOL, {"interval": 1000})
        await self.api.watch_trades(SYMBOL)
        self.tasks = [
            asyncio.create_task(self.watch_book()),
            asyncio.create_task(self.watch("orders", self.api.watch_orders, "clientOrderId")),
            asyncio.create_task(self.watch("fills", self.api.watch_my_trades, "id")),
            asyncio.create_task(self.watch_positions()),
        ]
        await asyncio.sleep(0.5)
        return [market["id"] for market in markets.values()]

    async def watch_book(self) -> None:
        while True:
            self.book = await self.api.watch_order_book(SYMBOL)

    async def watch(self, kind: str, call: Any, name: str) -> None:
        while True:
            self.seen[kind] += [row[name] for row in await call()]

    async def watch_positions(self) -> None:
        while True:
            for row in await self.api.watch_positions([SYMBOL]):
                self.seen["positions"].append(exact(row["contracts"]))

    async def balance(self) -> str:
        return exact((await self.api.fetch_balance())["USDT"]["total"])

    async def touch(self) -> tuple[str, str]:
        return exact(self.book["bids"][0][0]), exact(self.book["asks"][0][0])

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        params = {"postOnly": post_only, "reduceOnly": reduce_only}
        order = await self.api.create_order(SYMBOL, kind, side, float(qty), None if px is None else float(px), params)
        return order["clientOrderId"]

    async def cancel(self, client_order_id: str) -> None:
        await self.api.cancel_order("", SYMBOL, {"clientOrderId": client_order_id})

    async def cancel_all(self) -> None:
        await self.api.cancel_all_orders()

    async def open_orders(self) -> list[str]:
        return [order["clientOrderId"] for order in await self.api.fetch_open_orders(SYMBOL)]

    async def position(self) -> str:
        return signed_size(await self.api.fetch_positions([SYMBOL]))

    async def fills(self) -> list[dict[str, str]]:
        return [fill_of(row) for row in await self.api.fetch_my_trades(SYMBOL)]

    def streamed(self) -> dict[str, list[str]]:
        for task in self.tasks:
            if task.done():
                task.result()
        return self.seen

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.api.close()


if __name__ == "__main__":
    main(Pro())
