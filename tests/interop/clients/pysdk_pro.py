"""grvt-pysdk's GrvtCcxtPro: asynchronous REST."""

from __future__ import annotations

from typing import Any

from pysdk.grvt_ccxt_env import GrvtEnv
from pysdk.grvt_ccxt_pro import GrvtCcxtPro
from pysdk_ccxt import fill_of
from pysdk_urls import QUIET, point_at

from scenario import INSTRUMENT, main


class Pro:
    has_streams = streams_each_fill = False

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.api = GrvtCcxtPro(GrvtEnv.TESTNET, QUIET, point_at(line))
        await self.api.load_markets()
        return list(self.api.markets)

    async def balance(self) -> str:
        return (await self.api.fetch_balance())["USDT"]["total"]

    async def touch(self) -> tuple[str, str]:
        book = await self.api.fetch_order_book(INSTRUMENT, limit=10)
        return book["bids"][0]["price"], book["asks"][0]["price"]

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        params = {"post_only": post_only, "reduce_only": reduce_only}
        order = await self.api.create_order(INSTRUMENT, kind, side, qty, px, params)
        return order["metadata"]["client_order_id"]

    async def cancel(self, client_order_id: str) -> None:
        if not await self.api.cancel_order(params={"client_order_id": client_order_id}):
            raise SystemExit("the cancel was not acknowledged")

    async def cancel_all(self) -> None:
        if not await self.api.cancel_all_orders():
            raise SystemExit("the cancel of all orders was not acknowledged")

    async def open_orders(self) -> list[str]:
        return [order["metadata"]["client_order_id"] for order in await self.api.fetch_open_orders(INSTRUMENT)]

    async def position(self) -> str:
        rows = await self.api.fetch_positions([INSTRUMENT])
        return rows[0]["size"] if rows else "0"

    async def fills(self) -> list[dict[str, str]]:
        return [fill_of(row) for row in (await self.api.fetch_my_trades(INSTRUMENT))["result"]]

    def streamed(self) -> dict[str, list[str]]:
        return {}

    async def stop(self) -> None:
        await self.api._session.close()


if __name__ == "__main__":
    main(Pro())
