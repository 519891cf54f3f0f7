"""grvt-pysdk's GrvtCcxtWS, unmodified, on its market-data socket. Arguments: address, frames of a batch.

It keeps no book: a callback gets each frame as a dict. Nobody logs in, so its other sockets are not connected.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.metadata import version
from typing import Any

from counting import Counting
from pysdk import grvt_ccxt_ws
from pysdk.grvt_ccxt_env import GrvtEnv, GrvtWSEndpointType

QUIET = logging.getLogger("pysdk")
QUIET.setLevel(logging.CRITICAL)
ENDPOINT = GrvtWSEndpointType.MARKET_DATA_RPC_FULL


async def main() -> None:
    counting = Counting(int(sys.argv[2]), version=f"grvt-pysdk {version('grvt-pysdk')}")
    grvt_ccxt_ws.get_grvt_ws_endpoint = lambda env, kind: f"{sys.argv[1]}/ws/full"

    async def on_book(_: dict[str, Any]) -> None:
        counting.frame()

    api = grvt_ccxt_ws.GrvtCcxtWS(GrvtEnv.TESTNET, asyncio.get_running_loop(), QUIET, {})

    await api.connect_channel(ENDPOINT)
    await api.subscribe("book.d", on_book, ENDPOINT, {"instrument": "BTC_USDT_Perp", "rate": 50})
    await asyncio.Event().wait()


asyncio.run(main())
