"""ccxt's grvt over REST, with its default options: wallet login, builder fee and all."""

from __future__ import annotations

from typing import Any

import ccxt

from scenario import INSTRUMENT, main

SYMBOL = "BTC/USDT:USDT"


def options(line: dict[str, Any]) -> dict[str, Any]:
    """The constructor's options (protocol page §18.2)."""
    rest = {"privateEdge": line["edge"], "privateTrading": line["trades"], "publicMarket": line["market_data"]}
    urls: dict[str, Any] = {name: f"{url}/" for name, url in rest.items()}
    urls["ws"] = {
        "publicMarket": f"{line['ws_market_data']}/ws/full",
        "privateTrading": f"{line['ws_trades']}/ws/full",
    }
    return {"privateKey": line["accounts"][0]["private_key"], "urls": {"api": urls}}


class Rest:
    has_streams = streams_each_fill = False

    async def start(self, line: dict[str, Any]) -> list[str]:
        self.api = ccxt.grvt(options(line))
        markets = self.api.load_markets()
        self.api.fetch_ticker(SYMBOL)
        self.api.fetch_trades(SYMBOL)
        self.api.fetch_ohlcv(SYMBOL, "1m")
        self.api.fetch_funding_rate_history(SYMBOL)
        return [market["id"] for market in markets.values()]

    async def balance(self) -> str:
        return exact(self.api.fetch_balance()["USDT"]["total"])

    async def touch(self) -> tuple[str, str]:
        book = self.api.fetch_order_book(SYMBOL)
        return exact(book["bids"][0][0]), exact(book["asks"][0][0])

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        kind = "market" if px is None else "limit"
        params = {"postOnly": post_only, "reduceOnly": reduce_only}
        order = self.api.create_order(SYMBOL, kind, side, float(qty), None if px is None else float(px), params)
        return order["clientOrderId"]

    async def cancel(self, client_order_id: str) -> None:
        self.api.cancel_order("", SYMBOL, {"clientOrderId": client_order_id})

    async def cancel_all(self) -> None:
        self.api.cancel_all_orders()

    async def open_orders(self) -> list[str]:
        return [order["clientOrderId"] for order in self.api.fetch_open_orders(SYMBOL)]

    async def position(self) -> str:
        return signed_size(self.api.fetch_positions([SYMBOL]))

    async def fills(self) -> list[dict[str, str]]:
        return [fill_of(row) for row in self.api.fetch_my_trades(SYMBOL)]

    def streamed(self) -> dict[str, list[str]]:
        return {}

    async def stop(self) -> None:
        pass


def exact(value: float) -> str:
    """The decimal a float was read from: its shortest form."""
    return format(value, ".15g") if "e" in repr(value) else repr(value)


def signed_size(positions: list[dict[str, Any]]) -> str:
    if not positions:
        return "0"
    return exact(positions[0]["contracts"] * (1 if positions[0]["side"] == "long" else -1))


def fill_of(row: dict[str, Any]) -> dict[str, str]:
    return {
        "trade_id": row["id"],
        "px": exact(row["price"]),
        "qty": exact(row["amount"]),
        "fee": exact(row["fee"]["cost"]),
        "client_order_id": row["info"]["client_order_id"],
    }


assert INSTRUMENT == "BTC_USDT_Perp"

if __name__ == "__main__":
    main(Rest())
