"""The floor: picows on uvloop receives frames and looks at nothing. Arguments: address, frames of a batch."""

from __future__ import annotations

import json
import sys

import picows
import uvloop
from counting import Counting
from frames import SELECTOR


class Receiving(picows.WSListener):
    def __init__(self, counting: Counting) -> None:
        self._frame = counting.frame
        self._answered = False

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        if self._answered:
            self._frame()
        self._answered = True  # the first is the reply to the subscription


async def main() -> None:
    listener = Receiving(Counting(int(sys.argv[2])))
    transport, _ = await picows.ws_connect(lambda: listener, f"{sys.argv[1]}/ws/full", use_aiofastnet=False)
    params = {"stream": "v1.book.d", "selectors": [SELECTOR]}
    subscribe = {"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1}
    transport.send(picows.WSMsgType.TEXT, json.dumps(subscribe).encode())
    await transport.wait_disconnected()


uvloop.run(main())
