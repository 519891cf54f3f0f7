"""The smallest bot on grvt-pysdk's GrvtCcxtWS, unmodified: each book frame is answered by rpc_create_order."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "interop" / "clients"))

from pysdk.grvt_ccxt_env import GrvtEnv, GrvtWSEndpointType
from pysdk.grvt_ccxt_ws import GrvtCcxtWS
from pysdk_urls import QUIET, point_at

INSTRUMENT = "BTC_USDT_Perp"


async def main() -> None:
    loop = asyncio.get_running_loop()
    api = GrvtCcxtWS(GrvtEnv.TESTNET, loop, QUIET, point_at(json.loads(sys.argv[1])))
    said = False

    async def on_book(message: dict[str, Any]) -> None:
        nonlocal said
        px = f"{float(message['feed']['bids'][0]['price']) * 0.99:.1f}"
        await api.rpc_create_order(INSTRUMENT, "limit", "buy", "0.002", px, {"time_in_force": "IMMEDIATE_OR_CANCEL"})
        if not said:
            said = True
            print(json.dumps({"ready": True, "version": f"grvt-pysdk {version('grvt-pysdk')}"}), flush=True)

    await api.initialize()
    while not api.are_endpoints_connected(api.endpoint_types):  # noqa: ASYNC110 (the SDK has no event for it)
        await asyncio.sleep(0.1)
    await api.subscribe(
        "book.s", on_book, GrvtWSEndpointType.MARKET_DATA_RPC_FULL, {"instrument": INSTRUMENT, "depth": 10}
    )
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
