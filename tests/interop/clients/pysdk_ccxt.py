"""grvt-pysdk's GrvtCcxt: synchronous REST."""

from __future__ import annotations

from typing import Any

from pysdk.grvt_ccxt import GrvtCcxt
from pysdk.grvt_ccxt_env import GrvtEnv
from pysdk_urls import QUIET, point_at

from scenario import INSTRUMENT, main


class Sync:
    has_streams = streams_each_fill = False

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.api = GrvtCcxt(GrvtEnv.TESTNET, QUIET, point_at(line))
        return list(self.api.markets)

    async def balance(self) -> str:
        return self.api.fetch_balance()["USDT"]["total"]

    async def touch(self) -> tuple[str, str]:
        book = self.api.fetch_order_book(INSTRUMENT, limit=10)
        return book["bids"][0]["price"], book["asks"][0]["price"]

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        params = {"post_only": post_only, "reduce_only": reduce_only}
        order = self.api.create_order(INSTRUMENT, kind, side, qty, px, params)
        return order["metadata"]["client_order_id"]

    async def cancel(self, client_order_id: str) -> None:
        if not self.api.cancel_order(params={"client_order_id": client_order_id}):
            raise SystemExit("the cancel was not acknowledged")

    async def cancel_all(self) -> None:
        if not self.api.cancel_all_orders():
            raise SystemExit("the cancel of all orders was not acknowledged")

    async def open_orders(self) -> list[str]:
        return [order["metadata"]["client_order_id"] for order in self.api.fetch_open_orders(INSTRUMENT)]

    async def position(self) -> str:
        rows = self.api.fetch_positions([INSTRUMENT])
        return rows[0]["size"] if rows else "0"

    async def fills(self) -> list[dict[str, str]]:
        return [fill_of(row) for row in self.api.fetch_my_trades(INSTRUMENT)["result"]]

    def streamed(self) -> dict[str, list[str]]:
        return {}

    async def stop(self) -> None:
        pass


def fill_of(row: dict[str, Any]) -> dict[str, str]:
    names = {"px": "price", "qty": "size", "fee": "fee", "trade_id": "trade_id", "client_order_id": "client_order_id"}
    return {name: row[member] for name, member in names.items()}


if __name__ == "__main__":
    main(Sync())
