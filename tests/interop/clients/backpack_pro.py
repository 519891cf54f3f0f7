"""ccxt.pro's backpack: streams of the book, orders and positions beside asynchronous REST; fills are in order updates."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt.pro
from backpack_rest import SYMBOL, fill_of, options, params, refused, size_of
from ccxt_rest import exact

from scenario import main


class Pro:
    has_streams = True
    streams_each_fill = False

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.seen: dict[str, list[str]] = {"orders": [], "fills": [], "positions": []}
        self.api = ccxt.pro.backpack(options(line))
        markets = await self.api.load_markets()
        self.book = await self.api.watch_order_book(SYMBOL)  # appears once ten deltas came
        await self.api.watch_ticker(SYMBOL)
        await self.api.watch_trades(SYMBOL)
        await self.api.watch_bids_asks([SYMBOL, "USDT/USDC"])
        self.tasks = [
            asyncio.create_task(call()) for call in (self.watch_book, self.watch_orders, self.watch_positions)
        ]
        await asyncio.sleep(0.5)
        return [market["id"] for market in markets.values()]

    async def watch_book(self) -> None:
        while True:
            self.book = await self.api.watch_order_book(SYMBOL)

    async def watch_orders(self) -> None:
        """Orders by id, and the trade id of the fill that an order's last raw message carries."""
        while True:
            for row in await self.api.watch_orders(SYMBOL):
                self.seen["orders"].append(row["id"])
                if row["info"]["e"] == "orderFill":
                    self.seen["fills"].append(str(row["info"]["t"]))

    async def watch_positions(self) -> None:
        while True:
            for row in await self.api.watch_positions([SYMBOL]):
                self.seen["positions"].append(row["info"]["q"])

    async def balance(self) -> str:
        return exact((await self.api.fetch_balance())["USDC"]["total"])

    async def touch(self) -> tuple[str, str]:
        return exact(self.book["bids"][0][0]), exact(self.book["asks"][0][0])

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        price = None if px is None else float(px)
        try:
            order = await self.api.create_order(SYMBOL, kind, side, float(qty), price, params(post_only, reduce_only))
        except ccxt.InvalidOrder as error:
            return refused(error, post_only)
        return order["id"]

    async def cancel(self, client_order_id: str) -> None:
        if (await self.api.cancel_order(client_order_id, SYMBOL))["status"] != "canceled":
            raise SystemExit("the cancel was not carried out")

    async def cancel_all(self) -> None:
        await self.api.cancel_all_orders(SYMBOL)

    async def open_orders(self) -> list[str]:
        return [order["id"] for order in await self.api.fetch_open_orders(SYMBOL)]

    async def position(self) -> str:
        return size_of(await self.api.fetch_positions([SYMBOL]))

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
