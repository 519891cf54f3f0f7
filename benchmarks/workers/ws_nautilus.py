"""nautilus_trader's socket client (compiled Rust) with its order book behind. Arguments: address, frames of a batch.

It has no adapter for GRVT: the subscription and the reading of frames are the few lines an adapter would have.
"""

from __future__ import annotations

import asyncio
import json
import sys

from counting import Counting
from frames import SELECTOR
from nautilus_book import VERSION, Taking
from nautilus_trader.core.nautilus_pyo3 import WebSocketClient, WebSocketConfig

SUBSCRIBE = {"jsonrpc": "2.0", "method": "subscribe", "id": 1}


async def main() -> None:
    counting = Counting(int(sys.argv[2]), version=VERSION)
    taking = Taking()

    def handle(raw: bytes) -> None:
        if b'"feed":{' in raw[:160]:
            taking.take(raw)
            counting.frame()

    config = WebSocketConfig(url=f"{sys.argv[1]}/ws/full", handler=handle, headers=[])
    client = await WebSocketClient.connect(config=config)
    params = {"stream": "v1.book.d", "selectors": [SELECTOR]}
    await client.send_text(json.dumps({**SUBSCRIBE, "params": params}).encode())
    await asyncio.Event().wait()


asyncio.run(main())
