"""The floor: aiohttp on uvloop receives a book frame and sends the same bytes each time. Nothing is read or signed."""

from __future__ import annotations

import json
import sys

import aiohttp
import uvloop


async def main() -> None:
    line = json.loads(sys.argv[1])
    reply = b'{"jsonrpc":"2.0","method":"v1/create_order","params":"' + b"x" * 700 + b'","id":1}'
    async with aiohttp.ClientSession() as http:
        books = await http.ws_connect(f"{line['ws_market_data']}/ws/full", max_msg_size=0)
        orders = await http.ws_connect(f"{line['ws_trades']}/ws/full", max_msg_size=0)
        print(json.dumps({"ready": True}), flush=True)
        async for _ in books:
            await orders.send_frame(reply, aiohttp.WSMsgType.TEXT)


uvloop.run(main())
