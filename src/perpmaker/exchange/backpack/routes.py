"""Every request of the protocol page (§3, §4) as a table: where it is, what is signed for it, and who answers."""

from __future__ import annotations

from typing import Final

import msgspec


class Route(msgspec.Struct, frozen=True):
    """One request. `op` names it for fault rules; its method is that name in lower case with underscores."""

    method: str
    path: str
    op: str
    instruction: str = ""
    """What is signed; "" for a public request."""
    served: bool = True
    """False: the venue has it, here it answers NOT_IMPLEMENTED."""

    @property
    def name(self) -> str:
        """The method that answers."""
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in self.op)


def _signed(method: str, path: str, instruction: str, *, op: str = "", served: bool = True) -> Route:
    return Route(method, path, op or instruction, instruction, served)


ROUTES: Final = (
    Route("GET", "/api/v1/ping", "ping"),
    Route("GET", "/api/v1/time", "time"),
    Route("GET", "/api/v1/status", "status"),
    Route("GET", "/api/v1/assets", "assets"),
    Route("GET", "/api/v1/securities", "securities"),
    Route("GET", "/api/v1/markets", "markets"),
    Route("GET", "/api/v1/depth", "depth"),
    Route("GET", "/api/v1/ticker", "ticker"),
    Route("GET", "/api/v1/tickers", "tickers"),
    Route("GET", "/api/v1/klines", "klines"),
    Route("GET", "/api/v1/trades", "trades"),
    Route("GET", "/api/v1/trades/history", "tradesHistory"),
    Route("GET", "/api/v1/markPrices", "markPrices"),
    Route("GET", "/api/v1/fundingRates", "fundingRates"),
    Route("GET", "/api/v1/openInterest", "openInterest"),
    _signed("GET", "/api/v1/account", "accountQuery"),
    _signed("PATCH", "/api/v1/account", "accountUpdate"),
    _signed("GET", "/api/v1/capital", "balanceQuery"),
    _signed("GET", "/api/v1/capital/collateral", "collateralQuery"),
    _signed("POST", "/api/v1/order", "orderExecute"),
    _signed("GET", "/api/v1/order", "orderQuery"),
    _signed("DELETE", "/api/v1/order", "orderCancel"),
    _signed("POST", "/api/v1/orders", "orderExecute", op="orderExecuteBatch"),
    _signed("GET", "/api/v1/orders", "orderQueryAll"),
    _signed("DELETE", "/api/v1/orders", "orderCancelAll"),
    _signed("GET", "/api/v1/position", "positionQuery"),
    _signed("GET", "/wapi/v1/history/orders", "orderHistoryQueryAll"),
    _signed("GET", "/wapi/v1/history/fills", "fillHistoryQueryAll"),
    _signed("GET", "/wapi/v1/history/funding", "fundingHistoryQueryAll"),
    _signed("GET", "/wapi/v1/history/settlement", "settlementHistoryQueryAll", served=False),
    _signed("GET", "/wapi/v1/capital/withdrawals", "withdrawalQueryAll", served=False),
    _signed("POST", "/wapi/v1/capital/withdrawals", "withdraw", served=False),
    _signed("GET", "/wapi/v1/capital/deposits", "depositQueryAll", served=False),
    _signed("GET", "/wapi/v1/capital/deposit/address", "depositAddressQuery", served=False),
)
OPS: Final = frozenset(route.op for route in ROUTES) | {"ws", "subscribe", "unsubscribe"}
"""What a fault rule may name as `op`."""
