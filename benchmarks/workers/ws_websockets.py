"""The websockets library as grvt-pysdk pins it, looking at nothing. Arguments: address, frames of a batch."""

from __future__ import annotations

import asyncio
import json
import sys

import websockets
from counting import Counting
from frames import SELECTOR


async def main() -> None:
    counting = Counting(int(sys.argv[2]), version=f"websockets {websockets.__version__}")
    async with websockets.connect(f"{sys.argv[1]}/ws/full") as socket:
        params = {"stream": "v1.book.d", "selectors": [SELECTOR]}
        await socket.send(json.dumps({"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1}))
        await socket.recv()
        while True:
            await socket.recv()
            counting.frame()


asyncio.run(main())
