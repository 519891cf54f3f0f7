"""What each GRVT error code and each order reason means for the order it was about. One table each, nothing else decides.

Codes: protocol page §8, and the few seen outside it; reasons: §9. A code or reason that is not in its table is ambiguous:
only what is certainly refused may be called rejected.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class Outcome(enum.Enum):
    """What an error answer to a request proves."""

    REJECTED = "rejected"
    """Certainly not executed; the request was wrong, or not allowed now."""
    UNKNOWN = "unknown"
    """May have been executed: reconcile, never resend."""
    RATE_LIMIT = "rate_limit"
    """Certainly not executed: too fast. (2090, too many open orders, is HTTP 429 as well and is no rate limit.)"""
    FATAL = "fatal"
    """Certainly not executed, and nothing of this account, key or address will be until a person acts."""


class Ending(enum.Enum):
    """What a reject or cancel reason says about why an order ended."""

    NONE = "none"
    ASKED = "asked"
    """We asked for it: a cancel, a replacement, the dead-man timer."""
    UNFILLED = "unfilled"
    """The rest of an order that may not rest, or that had nothing left to reduce."""
    EXPIRED = "expired"
    REFUSED = "refused"
    """The order broke a rule; it is certainly dead."""
    VENUE = "venue"
    """The venue's own decision on the account or the market: dead, and a person should know."""
    FAILOVER = "failover"
    """The venue lost orders and may have lost more: everything has to be read again."""
    FATAL = "fatal"
    """The key or account is not accepted: no order of it will be."""
    AMBIGUOUS = "ambiguous"
    """Another order under the same id may be alive: ask before believing."""


SESSION_EXPIRED: Final = 1000
NOT_FOUND: Final = 1004
RATE_LIMITED: Final = 1006
OVERLAPPING: Final = "OVERLAPPING_CLIENT_ORDER_ID"
TTL_CODES: Final = frozenset({2300, 2301})
"""Cancel time-to-live is switched off, or too long: the same cancel without it is still good."""

_FATAL: Final = (1001, 1008, 1400, 2000, 2003, 2004)
_RATE_LIMIT: Final = (RATE_LIMITED,)
_UNKNOWN: Final = (
    1002,  # internal server error
    1005,  # unknown error
    1009,  # endpoint deactivated: HTTP 503, may come from behind the engine
    2012,  # client order id already active: our own first copy may be the active one
    4002,  # transfer failed with an unrefined reason
    4007,  # duplicate of a transfer: the first one counts
    7100,
    7103,
)  # fmt: skip
_REJECTED: Final = (
    *(1000, 1003, 1004, 1012),
    *(1101, 1102, 1103),
    *(2001, 2002, 2005, 2006, 2007, 2008),
    *(2010, 2011, 2020, 2021, 2030, 2031, 2032),
    *(2040, 2041, 2042, 2050, 2051),
    *(2060, 2061, 2062, 2063, 2064, 2065, 2066, 2067, 2070),
    *(2080, 2081, 2082, 2083, 2084, 2090),
    *(2100, 2101, 2102, 2103, 2104, 2105, 2107, 2108),
    *(2110, 2111, 2112, 2113, 2114, 2115, 2116, 2117),
    *(2222, 2232, 2233, 2234, 2235, 2236, 2237, 2238, 2239),
    *(2240, 2241, 2242, 2243, 2244, 2245, 2246),
    *(2300, 2301, 2400, 2401, 2402, 2413),
    *(2450, 2451, 2452, 2453),
    *(2500, 2501, 2502, 2504, 2505, 2506),
    *(3000, 3001, 3004, 3005, 3006, 3007),
    *(3011, 3013, 3020, 3021, 3030, 3031, 3040, 3041, 3042),
    *(4000, 4004, 4005, 4006, 4008, 4009, 4010),
    *(5000, 5001, 5002, 5003, 5004, 5005),
    *(6000, 6100),
    *(7000, 7001, 7002, 7003, 7004, 7005, 7006, 7007),
    *(7101, 7102, 7104, 7201, 7304),
    *(7450, 7451, 7452, 7453, 7454, 7455),
    *(7500, 7501, 7502, 7503, 7504),
)

OUTCOMES: Final[Mapping[int, Outcome]] = MappingProxyType(
    dict.fromkeys(_REJECTED, Outcome.REJECTED)
    | dict.fromkeys(_UNKNOWN, Outcome.UNKNOWN)
    | dict.fromkeys(_RATE_LIMIT, Outcome.RATE_LIMIT)
    | dict.fromkeys(_FATAL, Outcome.FATAL)
)

REQUEST_WIDE: Final = frozenset({1000, 1001, 1003, 1006, 1008, 1400, 2000, 2003, 2004, 2233, 2234, 2235, 2236, 2237})
"""Codes about a request as a whole. Any other one in answer to a bulk request with several orders is about one of them,
and the page does not say what became of the rest."""

_STAND_ALONE: Final = frozenset(
    {
        *(SESSION_EXPIRED, 1003, 1012),
        *(2001, 2002, 2005, 2006, 2007, 2008),  # the signature
        *(2060, 2061, 2062, 2063, 2064, 2065, 2066, 2067, 3000, 7201),  # instrument, price, size
    }
)


def stands_alone(code: int | None, proven: Outcome) -> bool:
    """Say whether an order was certainly not refused for what else stands there, which then need not make room."""
    return proven in (Outcome.RATE_LIMIT, Outcome.FATAL) or code in _STAND_ALONE


def outcome(code: int | None, http_status: int | None = None) -> Outcome:
    """Classify an error answer by its code; by HTTP status only where a proxy sent no code at all.

    A bare 429 and a bare 401 were turned away at the door. Every other answer without a code proves nothing.
    """
    if code is not None:
        return OUTCOMES.get(code, Outcome.UNKNOWN)
    if http_status == 429:
        return Outcome.RATE_LIMIT
    return Outcome.REJECTED if http_status == 401 else Outcome.UNKNOWN


ENDINGS: Final[Mapping[str, Ending]] = MappingProxyType(
    {
        "UNSPECIFIED": Ending.NONE,
        "CLIENT_CANCEL": Ending.ASKED,
        "CLIENT_BULK_CANCEL": Ending.ASKED,
        "CLIENT_SESSION_END": Ending.ASKED,
        "MARKET_CANCEL": Ending.UNFILLED,
        "IOC_CANCEL": Ending.UNFILLED,
        "AON_CANCEL": Ending.UNFILLED,
        "FOK_CANCEL": Ending.UNFILLED,
        "EXPIRED": Ending.EXPIRED,
        "FAIL_POST_ONLY": Ending.REFUSED,
        "FAIL_REDUCE_ONLY": Ending.REFUSED,
        "MM_PROTECTION": Ending.VENUE,
        "SELF_TRADE_PROTECTION": Ending.VENUE,
        "SELF_MATCHED_SUBACCOUNT": Ending.VENUE,
        OVERLAPPING: Ending.AMBIGUOUS,
        "BELOW_MARGIN": Ending.REFUSED,
        "LIQUIDATION": Ending.VENUE,
        "INSTRUMENT_INVALID": Ending.REFUSED,
        "INSTRUMENT_DEACTIVATED": Ending.VENUE,
        "SYSTEM_FAILOVER": Ending.FAILOVER,
        "UNAUTHORISED": Ending.FATAL,
        "SESSION_KEY_EXPIRED": Ending.FATAL,
        "SUB_ACCOUNT_NOT_FOUND": Ending.FATAL,
        "NO_TRADE_PERMISSION": Ending.FATAL,
        "UNSUPPORTED_TIME_IN_FORCE": Ending.REFUSED,
        "MULTI_LEGGED_ORDER": Ending.REFUSED,
        "EXCEED_MAX_POSITION_SIZE": Ending.REFUSED,
        "EXCEED_MAX_SIGNATURE_EXPIRATION": Ending.REFUSED,
        "MARKET_ORDER_WITH_LIMIT_PRICE": Ending.REFUSED,
        "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED": Ending.ASKED,
        "OCO_COUNTER_PART_TRIGGERED": Ending.VENUE,
        "REDUCE_ONLY_LIMIT": Ending.UNFILLED,
        "CLIENT_REPLACE": Ending.ASKED,
        "DERISK_MUST_BE_IOC": Ending.REFUSED,
        "DERISK_MUST_BE_REDUCE_ONLY": Ending.REFUSED,
        "DERISK_NOT_SUPPORTED": Ending.REFUSED,
        "INVALID_ORDER_TYPE": Ending.REFUSED,
        "CURRENCY_NOT_DEFINED": Ending.REFUSED,
        "INVALID_CHAIN_ID": Ending.REFUSED,
        "BUILDER_ORDER_FEE_EXCEED": Ending.REFUSED,
        "BUILDER_ORDER_FEE_NEGATIVE": Ending.REFUSED,
        "BUILDER_ORDER_BUILDER_NOT_AUTHORIZED": Ending.REFUSED,
        "BUILDER_ORDER_BUILDER_NOT_EXIST": Ending.REFUSED,
        "TRADE_PRICE_WORSE_THAN_BANKRUPTCY_PRICE": Ending.VENUE,
        "TOO_MANY_MAKER_ORDERS": Ending.VENUE,
        "REDUCE_ONLY_NOT_SUPPORTED_FOR_SPOT_ORDER": Ending.REFUSED,
        "TPSL_NOT_SUPPORTED_FOR_SPOT_ORDER": Ending.REFUSED,
        "SPOT_ORDER_NOT_SUPPORTED": Ending.REFUSED,
        "INSUFFICIENT_BALANCE": Ending.REFUSED,
        "SPOT_TRADING_BLOCKED_DURING_SOCIALIZED_LOSS": Ending.VENUE,
        "BELOW_MARGIN_WITH_PENALTY_DEVIATION": Ending.REFUSED,
    }
)


def ending(reason: str) -> Ending:
    """Classify a reject or cancel reason; one that the venue invented since is ambiguous, and calls for a query."""
    return ENDINGS.get(reason, Ending.AMBIGUOUS)
