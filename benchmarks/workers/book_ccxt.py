"""ccxt.pro's grvt, unmodified: a text as its socket client has it, decoded (orjson) and applied to its order book."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import ccxt.pro
from frames import Frames
from turns import serve

MARKET: dict[str, Any] = {"id": "BTC_USDT_Perp", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT"}


async def main() -> None:
    frames = Frames(sys.argv[1])
    api = ccxt.pro.grvt()
    api.set_markets([api.safe_market_structure({**MARKET, "settle": "USDT", "type": "swap", "swap": True})])
    client = api.client("ws://127.0.0.1:9/never-opened")
    whole, changes = frames.whole().decode(), [text.decode() for text in frames.changes(1)]
    take = client.handle_text_or_binary_message

    def begin(_: int) -> None:
        take(whole)

    def each(_: int) -> None:
        for text in changes:
            take(text)

    def again(_: int) -> None:
        for _ in range(100):
            take(whole)

    begin(0)
    each(0)
    book = api.orderbooks["BTC/USDT:USDT"]
    book.limit()
    touch = [f"{book[side][0][0]:.1f}" for side in ("bids", "asks")]
    serve({"changes": each, "whole": again}, before={"changes": begin}, touch=touch, version=f"ccxt {ccxt.__version__}")


asyncio.run(main())
