"""ccxt's backpack over REST. Orders are known by the venue's ids."""

from __future__ import annotations

from typing import Any

import ccxt
from ccxt_rest import exact

from scenario import main

SYMBOL = "BTC/USDC:USDC"


def options(line: dict[str, Any]) -> dict[str, Any]:
    """The constructor's options (protocol page of Backpack, §8)."""
    second = line["backpack"]
    account, rest, ws = second["accounts"][0], second["rest"], second["ws"]
    urls = {"public": rest, "private": rest, "ws": {"public": ws, "private": ws}}
    return {"apiKey": account["api_key"], "secret": account["secret"], "urls": {"api": urls}}


class Rest:
    has_streams = streams_each_fill = False

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.api = ccxt.backpack(options(line))
        markets = self.api.load_markets()
        self.api.fetch_ticker(SYMBOL)
        self.api.fetch_trades(SYMBOL)
        self.api.fetch_ohlcv(SYMBOL, "1m")
        self.api.fetch_funding_rate(SYMBOL)
        self.api.fetch_funding_rate_history(SYMBOL)
        self.api.fetch_open_interest(SYMBOL)
        self.api.fetch_funding_history(SYMBOL)
        self.api.fetch_ticker("USDT/USDC")
        return [market["id"] for market in markets.values()]

    async def balance(self) -> str:
        return exact(self.api.fetch_balance()["USDC"]["total"])

    async def touch(self) -> tuple[str, str]:
        book = self.api.fetch_order_book(SYMBOL)
        return exact(book["bids"][0][0]), exact(book["asks"][0][0])

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        price = None if px is None else float(px)
        try:
            return self.api.create_order(SYMBOL, kind, side, float(qty), price, params(post_only, reduce_only))["id"]
        except ccxt.InvalidOrder as error:
            return refused(error, post_only)

    async def cancel(self, client_order_id: str) -> None:
        if self.api.cancel_order(client_order_id, SYMBOL)["status"] != "canceled":
            raise SystemExit("the cancel was not carried out")

    async def cancel_all(self) -> None:
        self.api.cancel_all_orders(SYMBOL)

    async def open_orders(self) -> list[str]:
        return [order["id"] for order in self.api.fetch_open_orders(SYMBOL)]

    async def position(self) -> str:
        return size_of(self.api.fetch_positions([SYMBOL]))

    async def fills(self) -> list[dict[str, str]]:
        return [fill_of(row) for row in self.api.fetch_my_trades(SYMBOL)]

    def streamed(self) -> dict[str, list[str]]:
        return {}

    async def stop(self) -> None:
        pass


def params(post_only: bool, reduce_only: bool) -> dict[str, bool]:
    asked = {"postOnly": post_only, "reduceOnly": reduce_only}
    return {name: True for name, wanted in asked.items() if wanted}


def refused(error: ccxt.InvalidOrder, post_only: bool) -> str:
    """A post-only order that would have taken is nothing; any other refusal ends the script."""
    if post_only and "immediately match" in str(error):
        return ""
    raise error


def size_of(positions: list[dict[str, Any]]) -> str:
    return positions[0]["info"]["netQuantity"] if positions else "0"


def fill_of(row: dict[str, Any]) -> dict[str, str]:
    return {
        "trade_id": row["id"],
        "px": row["info"]["price"],
        "qty": row["info"]["quantity"],
        "fee": row["info"]["fee"],
        "client_order_id": row["order"],
    }


if __name__ == "__main__":
    main(Rest())
