"""The venue's error codes with their HTTP status, and which of them the core's refusals are (protocol page §6)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from perpmaker.errors import PerpmakerError
from perpmaker.exchange.core.types import OrderRejectReason, Rejection

CODES: Final = MappingProxyType(
    {
        "INVALID_CLIENT_REQUEST": (400, "Invalid request"),
        "INVALID_ORDER": (400, "Invalid order"),
        "INVALID_PRICE": (400, "Price is not a multiple of the tick size"),
        "INVALID_QUANTITY": (400, "Quantity is below the minimum or not a multiple of the step size"),
        "INVALID_SIGNATURE": (400, "Invalid signature"),
        "INVALID_SYMBOL": (400, "Invalid symbol"),
        "INVALID_MARKET": (400, "Invalid market"),
        "INVALID_RANGE": (400, "Invalid range"),
        "INSUFFICIENT_FUNDS": (400, "Insufficient funds"),
        "INSUFFICIENT_MARGIN": (400, "Insufficient margin"),
        "MAX_LEVERAGE_REACHED": (400, "Maximum leverage reached"),
        "ORDER_LIMIT": (400, "Too many open orders"),
        "POSITION_LIMIT": (400, "Position limit reached"),
        "ACCOUNT_LIQUIDATING": (400, "Account is being liquidated"),
        "TOO_MANY_REQUESTS": (429, "Too many requests"),
        "TRADING_PAUSED": (400, "Trading is paused"),
        "MAINTENANCE": (503, "Under maintenance"),
        "PRECONDITION_FAILED": (412, "Precondition failed"),
        "RESOURCE_NOT_FOUND": (404, "Resource not found"),
        "UNAUTHORIZED": (401, "Unauthorized"),
        "FORBIDDEN": (403, "Forbidden"),
        "SERVER_ERROR": (503, "Unknown error, the request may or may not have been executed"),
        "TIMEOUT": (504, "Timeout"),
        "NOT_IMPLEMENTED": (400, "Not implemented"),
    }
)
"""The page gives the codes; status and text of most are guesses. A 503 says, as there, that an order may still exist."""

POST_ONLY: Final = "Order would immediately match and take liquidity"
_REDUCE_ONLY: Final = "Reduce only order must reduce the position"


class ApiError(PerpmakerError):
    """A request is answered with an error; `code` is a key of `CODES`."""

    def __init__(self, code: str, text: str = "") -> None:
        self.code = code
        self.status, standard = CODES[code]
        self.message = text or standard
        super().__init__(f"{code} {self.message}")


_OF_REJECTION: Final = MappingProxyType(
    {
        2012: ("INVALID_ORDER", "An open order has this client id"),
        2020: ("INVALID_ORDER", "Market orders have no price"),
        2021: ("INVALID_ORDER", "Limit orders need a price"),
        2032: ("INVALID_ORDER", "Post only orders must be good till cancelled"),
        2060: ("TRADING_PAUSED", ""),
        2061: ("INVALID_SYMBOL", ""),
        2062: ("INVALID_QUANTITY", ""),
        2064: ("INVALID_PRICE", ""),
        2065: ("INVALID_QUANTITY", ""),
        2080: ("INSUFFICIENT_MARGIN", ""),
        2081: ("POSITION_LIMIT", ""),
        2083: ("POSITION_LIMIT", ""),
        2090: ("ORDER_LIMIT", ""),
        2100: ("INSUFFICIENT_MARGIN", ""),
        2107: ("INVALID_RANGE", "Leverage below the minimum"),
        2108: ("MAX_LEVERAGE_REACHED", ""),
        2400: ("INVALID_ORDER", _REDUCE_ONLY),
        2401: ("INVALID_ORDER", _REDUCE_ONLY),
        2402: ("INVALID_ORDER", _REDUCE_ONLY),
        7304: ("INVALID_ORDER", "Only reduce only orders are taken on this market now"),
    }
)
_OF_REASON: Final = MappingProxyType(
    {
        OrderRejectReason.FAIL_POST_ONLY: ("INVALID_ORDER", POST_ONLY),
        OrderRejectReason.FAIL_REDUCE_ONLY: ("INVALID_ORDER", _REDUCE_ONLY),
        OrderRejectReason.BELOW_MARGIN: ("INSUFFICIENT_MARGIN", ""),
        OrderRejectReason.EXCEED_MAX_POSITION_SIZE: ("POSITION_LIMIT", ""),
        OrderRejectReason.INSTRUMENT_DEACTIVATED: ("TRADING_PAUSED", ""),
    }
)


def error_of_rejection(rejection: Rejection) -> ApiError:
    """What the gateway's refusal is called here."""
    return ApiError(*_OF_REJECTION.get(rejection.code, ("INVALID_ORDER", "")))


def error_of_reason(reason: OrderRejectReason) -> ApiError:
    """What it is called that the engine did not take an order."""
    return ApiError(*_OF_REASON.get(reason, ("INVALID_ORDER", "")))
