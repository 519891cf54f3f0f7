"""ccxt.pro's grvt, unmodified: watch_order_book again and again, as its users do. Arguments: address, frames of a batch.

Frames are counted where they are applied: what is watched may have moved on by several.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import ccxt.pro
from counting import Counting

MARKET: dict[str, Any] = {"id": "BTC_USDT_Perp", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT"}
SYMBOL = MARKET["symbol"]


async def main() -> None:
    counting = Counting(int(sys.argv[2]), version=f"ccxt {ccxt.__version__}")
    api = ccxt.pro.grvt({"urls": {"api": {"ws": {"publicMarket": f"{sys.argv[1]}/ws/full"}}}})
    api.set_markets([api.safe_market_structure({**MARKET, "settle": "USDT", "type": "swap", "swap": True})])
    handle = api.handle_order_book

    def counted(client: Any, message: dict[str, Any]) -> None:
        handle(client, message)
        counting.frame()

    api.handle_order_book = counted
    while True:
        await api.watch_order_book(SYMBOL, params={"interval": 50})


asyncio.run(main())
