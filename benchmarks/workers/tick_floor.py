"""The floor: picows on uvloop receives a book frame and sends the same bytes each time. Nothing is read or signed."""

from __future__ import annotations

import json
import sys

import picows
import uvloop

REPLY = b'{"jsonrpc":"2.0","method":"v1/create_order","params":"' + b"x" * 700 + b'","id":1}'


class Answering(picows.WSListener):
    orders: picows.WSTransport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            self.orders.send(picows.WSMsgType.TEXT, REPLY)


async def main() -> None:
    line = json.loads(sys.argv[1])
    orders, _ = await picows.ws_connect(picows.WSListener, f"{line['ws_trades']}/ws/full", use_aiofastnet=False)
    listener = Answering()
    listener.orders = orders
    books, _ = await picows.ws_connect(lambda: listener, f"{line['ws_market_data']}/ws/full", use_aiofastnet=False)
    print(json.dumps({"ready": True}), flush=True)
    await books.wait_disconnected()


uvloop.run(main())
