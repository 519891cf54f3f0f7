"""grvt-pysdk's reader, unmodified, on a socket that has every frame ready. It keeps no book: a callback gets a dict."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import version
from typing import Any

from frames import SELECTOR, Frames
from pysdk.grvt_ccxt_env import GrvtEnv, GrvtWSEndpointType
from pysdk.grvt_ccxt_ws import GrvtCcxtWS
from turns import serve

QUIET = logging.getLogger("pysdk")
QUIET.setLevel(logging.CRITICAL)
ENDPOINT = GrvtWSEndpointType.MARKET_DATA_RPC_FULL


class Ready:
    """What the SDK takes for an open socket."""

    open = True
    closed = False

    def __init__(self) -> None:
        self.texts: asyncio.Queue[str] = asyncio.Queue()

    async def recv(self) -> str:
        return await self.texts.get()


def main() -> None:
    frames = Frames(sys.argv[1])
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    seen, wanted = 0, 0
    done = asyncio.Event()
    texts = {"changes": [text.decode() for text in frames.changes(1)], "whole": [frames.whole().decode()] * 100}

    async def on_book(_: dict[str, Any]) -> None:
        nonlocal seen
        seen += 1
        if seen == wanted:
            done.set()

    async def start() -> GrvtCcxtWS:
        return GrvtCcxtWS(GrvtEnv.TESTNET, loop, QUIET, {})

    api = loop.run_until_complete(start())
    socket = Ready()
    api.ws[ENDPOINT] = socket
    api.callbacks[ENDPOINT] = {"v1.book.d": {SELECTOR: on_book}}

    async def play(name: str) -> None:
        nonlocal seen, wanted
        seen, wanted = 0, len(texts[name])
        done.clear()
        for text in texts[name]:
            socket.texts.put_nowait(text)
        await done.wait()

    loop.run_until_complete(play("changes"))  # its reader sleeps for two seconds first
    serve(
        {name: lambda _, name=name: loop.run_until_complete(play(name)) for name in texts},
        version=f"grvt-pysdk {version('grvt-pysdk')}",
    )


main()
