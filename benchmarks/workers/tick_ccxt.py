"""The smallest bot on ccxt.pro's grvt, unmodified, its rate limiter off: each book change is answered by create_order.

It does not wait for the exchange's answer before it looks at the next change, as an order by HTTP otherwise would have it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "interop" / "clients"))

import ccxt.pro
from ccxt_rest import SYMBOL, options


async def main() -> None:
    api = ccxt.pro.grvt({**options(json.loads(sys.argv[1])), "enableRateLimit": False})
    await api.load_markets()
    under_way: set[asyncio.Task[object]] = set()
    said = False
    while True:
        book = await api.watch_order_book(SYMBOL, params={"interval": 50})
        px = round(book["bids"][0][0] * 0.99, 1)
        task = asyncio.create_task(api.create_order(SYMBOL, "limit", "buy", 0.002, px, {"timeInForce": "IOC"}))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        if not said:
            said = True
            await task
            print(json.dumps({"ready": True, "version": f"ccxt {ccxt.__version__}"}), flush=True)


asyncio.run(main())
