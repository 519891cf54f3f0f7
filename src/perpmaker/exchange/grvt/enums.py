"""The venue's enums by name (protocol page §9), as they travel; the numbers are the core's."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final

from perpmaker.exchange.core import types as core


def _names(numbered: type[enum.IntEnum]) -> frozenset[str]:
    return frozenset(numbered.__members__)


ENUMS: Final = MappingProxyType(
    {
        "OrderStatus": _names(core.OrderStatus),
        "TimeInForce": _names(core.TimeInForce),
        "OrderRejectReason": _names(core.OrderRejectReason),
        "CancelStatus": _names(core.CancelStatus),
        "CandlestickInterval": _names(core.CandleInterval),
        "CandlestickType": _names(core.CandleType),
        "PositionMarginType": _names(core.PositionMarginType),
        "PositionCloseStatus": _names(core.PositionCloseStatus),
        "Kind": frozenset({"PERPETUAL", "FUTURE", "CALL", "PUT", "SPOT_SWAP"}),
        "Venue": frozenset({"ORDERBOOK", "RFQ"}),
        "InstrumentSettlementPeriod": frozenset({"PERPETUAL", "DAILY", "WEEKLY", "MONTHLY", "QUARTERLY"}),
        "FundingRateAggregationType": frozenset({"FUNDING_INTERVAL", "ONE_HOURLY", "FOUR_HOURLY", "EIGHT_HOURLY"}),
        "TriggerType": frozenset({"UNSPECIFIED", "TAKE_PROFIT", "STOP_LOSS"}),
        "TriggerBy": frozenset({"UNSPECIFIED", "INDEX", "LAST", "MID", "MARK"}),
        "MarginType": frozenset({"SIMPLE_CROSS_MARGIN", "PORTFOLIO_CROSS_MARGIN"}),
        "SubAccountMode": frozenset({"SINGLE_ASSET_MODE"}),
        "BrokerTag": frozenset({"UNSPECIFIED", "COIN_ROUTES", "ALERTATRON", "ORIGAMI"}),
        "TransferType": frozenset({"UNSPECIFIED", "STANDARD"}),
        "WalletType": frozenset({"FUNDING", "SPOT", "FUTURES"}),
    }
)

CURRENCY_IDS: Final = MappingProxyType(
    {"USD": 1, "USDC": 2, "USDT": 3, "ETH": 4, "BTC": 5, "SOL": 6, "ARB": 7, "BNB": 8}
)
CURRENCY_DECIMALS: Final = MappingProxyType({"USD": 6, "USDC": 6, "USDT": 6})
DEFAULT_CURRENCY_DECIMALS: Final = 9
"""Balance exponents: USDT's was captured from the venue; coins have the base_decimals of their perpetuals."""
