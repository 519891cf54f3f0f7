"""The venue's error codes: number, HTTP status, text (protocol page §8)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from perpmaker.errors import PerpmakerError

CODES: Final = MappingProxyType(
    {
        1000: (401, "You need to authenticate prior to using this functionality"),
        1001: (403, "You are not authorized to access this functionality"),
        1002: (500, "Internal Server Error"),
        1003: (400, "Request could not be processed due to malformed syntax"),
        1004: (404, "Data Not Found"),
        1005: (500, "Unknown Error"),
        1006: (429, "You have surpassed the allocated rate limit for your tier"),
        1008: (401, "Your IP has not been whitelisted for access"),
        1009: (503, "We are temporarily deactivating this API endpoint, please try again later"),
        1012: (400, "Invalid signature chain ID"),
        1101: (400, "Feed Format must be in the format of <primary>@<secondary>"),
        1102: (400, "Wrong number of primary selectors"),
        1103: (400, "Wrong number of secondary selectors"),
        1400: (403, "Signer does not have trade permission"),
        2000: (403, "Signature is from an unauthorized signer"),
        2001: (403, "Signature has expired"),
        2002: (403, "Signature does not match payload"),
        2003: (403, "Order sub account does not match logged in user"),
        2004: (403, "Signature is from an expired session key"),
        2005: (403, "Signature V must be 27/28"),
        2006: (403, "Signature R/S must have exactly 64 characters long without 0x prefix"),
        2007: (403, "Signature S must be in the lower half of the curve"),
        2008: (403, "Signature exceeds maximum allowed duration."),
        2010: (400, "Order ID should be empty when creating an order"),
        2011: (400, "Client Order ID should be supplied when creating an order"),
        2012: (400, "Client Order ID overlaps with existing active order"),
        2020: (400, "Market Order must always be supplied without a limit price"),
        2021: (400, "Limit Order must always be supplied with a limit price"),
        2030: (400, "Orderbook Orders must have a TimeInForce of GTT/IOC/FOK"),
        2032: (400, "Post Only can only be set to true for GTT/AON orders"),
        2040: (400, "Order must contain at least one leg"),
        2041: (
            400,
            "Order Legs must be sorted by Derivative.Instrument/Underlying/BaseCurrency/Expiration/StrikePrice",
        ),
        2042: (400, "Orderbook Orders must contain only one leg"),
        2050: (400, "Order state must be empty upon creation"),
        2051: (400, "Order execution metadata must be empty upon creation"),
        2060: (400, "Order Legs contain one or more inactive derivative"),
        2061: (400, "Unsupported Instrument Requested"),
        2062: (400, "Order size smaller than min size"),
        2064: (400, "Invalid limit price tick"),
        2065: (400, "Order size too granular"),
        2066: (400, "Order below minimum notional. Please try again with a higher price or size."),
        2067: (
            400,
            "Order below minimum notional. Please try reducing your position again with a higher price or size.",
        ),
        2070: (400, "Liquidation Order is not supported"),
        2080: (400, "Insufficient margin to create order"),
        2081: (400, "Order Fill would result in exceeding maximum position size"),
        2082: (400, "Pre-order check failed"),
        2083: (
            400,
            "Order Fill would result in exceeding maximum position size under current configurable leverage tier",
        ),
        2084: (400, "Post-order check failed"),
        2090: (429, "Max open orders exceeded"),
        2100: (400, "Invalid initial leverage"),
        2101: (400, "Vaults cannot configure leverage"),
        2102: (400, "Margin type change failed, has open position for this instrument"),
        2103: (400, "Margin type change failed, has open orders for this instrument"),
        2104: (400, "Margin type not supported"),
        2105: (400, "Margin type change failed"),
        2107: (400, "Attempted to set leverage below minimum"),
        2108: (400, "Attempted to set leverage above maximum"),
        2110: (400, "Invalid trigger by"),
        2111: (400, "Unsupported trigger by"),
        2112: (400, "Invalid trigger order"),
        2113: (400, "Trigger price must be non-zero"),
        2114: (400, "Invalid position linked TPSL orders, position linked TPSL must be a reduce-only order"),
        2115: (
            400,
            "Invalid position linked TPSL orders, position linked TPSL must not have smaller size than the position",
        ),
        2116: (400, "Position linked TPSL order for this asset already exists"),
        2117: (400, "Position linked TPSL orders must be created from web or mobile clients"),
        2222: (400, "Order is not a TPSL order"),
        2233: (400, "Both order ID and client order ID cannot be provided"),
        2234: (400, "Bulk create orders must have the same instrument"),
        2235: (400, "Bulk orders count exceeds the maximum allowed"),
        2236: (400, "Bulk orders does not support trigger order"),
        2237: (400, "Bulk orders must be from API source"),
        2242: (
            400,
            "Split TPSL functionality not supported; you may be using a deprecated API, or this functionality is "
            "temporarily disabled",
        ),
        2300: (400, "Order cancel time-to-live settings currently disabled."),
        2301: (400, "Order cancel time-to-live exceeds maximum allowed value."),
        2400: (400, "Reduce only order with no position"),
        2401: (400, "Reduce only order must not increase position size"),
        2402: (400, "Reduce only order size exceeds maximum allowed value"),
        2413: (400, "Replace order failed, number of orders provided does not match the number of orders to replace"),
        3000: (400, "Instrument is invalid"),
        3001: (400, "Stream handler not found"),
        3004: (500, "Instrument does not have a valid maintenance margin configuration"),
        3005: (500, "Instrument's underlying currency does not have a valid balance decimal configuration"),
        3006: (500, "Instrument's quote currency does not have a valid balance decimal configuration"),
        3007: (400, "API is not applicable for spot instruments"),
        3011: (400, "Limit exceeds min or max value"),
        3013: (400, "Exact limit value is not supported"),
        3020: (400, "Sub account ID must be an uint64 integer"),
        3021: (400, "Either order ID or client order ID must be supplied"),
        3030: (400, "Feed rate is invalid"),
        3031: (400, "Depth is invalid"),
        3040: (400, "Candlestick interval is invalid"),
        3041: (400, "Candlestick type is invalid"),
        3042: (400, "Candlestick type is not applicable for spot instruments"),
        6000: (400, "Countdown time is bigger than 300s supported"),
        7201: (400, "Attempted to create a limit order at a price outside of asset's price protection band."),
        7304: (400, "Only position-reducing orders (`reduce_only` as true) allowed for this asset right now."),
        7455: (400, "Not isolated margin position"),
        7500: (400, "Builder Fee exceeds the allowed program limit."),
        7501: (400, "Builder Fee can't be negative."),
        7502: (400, "Builder Account does not exist."),
        7503: (400, "Builder is already authorized for this account with the given fee."),
        7504: (400, "Builder is not authorized for the specified user."),
    }
)
"""Codes of the routes and streams served here. 3001, 7201 and 75xx were seen in clients only, not in the specification."""


class ApiError(PerpmakerError):
    """A request is answered with an error; `code` is a key of `CODES`."""

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.status, standard = CODES.get(code, (500, "Unknown Error"))
        self.message = text or standard
        super().__init__(f"{code} {self.message}")
