"""Points grvt-pysdk at the exchange of a ready line; it has no option for that (protocol page §18.2)."""

from __future__ import annotations

import logging
from typing import Any

from pysdk import grvt_ccxt_env, grvt_ccxt_ws
from pysdk.grvt_ccxt_env import GrvtEndpointType, GrvtWSEndpointType

QUIET = logging.getLogger("pysdk")
QUIET.setLevel(logging.CRITICAL)


def point_at(line: dict[str, Any]) -> dict[str, str]:
    """Replace the URL tables; return the constructor's `parameters` for the first account."""
    rest = {
        GrvtEndpointType.EDGE: line["edge"],
        GrvtEndpointType.TRADE_DATA: line["trades"],
        GrvtEndpointType.MARKET_DATA: line["market_data"],
    }
    sockets = {
        GrvtWSEndpointType.TRADE_DATA: f"{line['ws_trades']}/ws",
        GrvtWSEndpointType.MARKET_DATA: f"{line['ws_market_data']}/ws",
        GrvtWSEndpointType.TRADE_DATA_RPC_FULL: f"{line['ws_trades']}/ws/full",
        GrvtWSEndpointType.MARKET_DATA_RPC_FULL: f"{line['ws_market_data']}/ws/full",
    }
    grvt_ccxt_env.get_grvt_endpoint_domains = lambda env: rest
    grvt_ccxt_ws.get_grvt_ws_endpoint = lambda env, kind: sockets[kind]
    account = line["accounts"][0]
    return {
        "trading_account_id": account["sub_account_id"],
        "api_key": account["api_key"],
        "private_key": account["private_key"],
    }
