"""What an exception of ccxt proves about the request it ended. One table by class, and a venue's own codes before it.

A class that is not in the table proves nothing: only what is certainly refused may be called rejected. `ExchangeError`
alone is ccxt's word for an error it does not know, `OperationFailed` its word for everything that may have happened.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec


class Verdict(enum.Enum):
    REJECTED = "rejected"
    """Certainly not executed."""
    NOT_FOUND = "not_found"
    """The venue knows no such order: no proof that there never was one."""
    RATE_LIMIT = "rate_limit"
    """Certainly not executed: too fast."""
    FATAL = "fatal"
    """Certainly not executed, and nothing of this key will be until a person acts."""
    UNKNOWN = "unknown"


class Answered(msgspec.Struct, frozen=True):
    """How a request ended that did not succeed. `code` is the venue's own word, "" when it sent none."""

    verdict: Verdict
    code: str
    text: str
    http_status: int
    sent: bool
    """Whether a byte of it can have left us."""


VERDICTS: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "AuthenticationError": Verdict.FATAL,  # PermissionDenied, AccountNotEnabled, AccountSuspended
        "RateLimitExceeded": Verdict.RATE_LIMIT,
        "InvalidNonce": Verdict.REJECTED,  # the signature's time was outside its window
        "ChecksumError": Verdict.UNKNOWN,
        "OrderNotFound": Verdict.NOT_FOUND,
        "OrderNotCached": Verdict.NOT_FOUND,
        "DuplicateOrderId": Verdict.UNKNOWN,  # our own first copy may be the one that is alive
        "InvalidOrder": Verdict.REJECTED,  # OrderImmediatelyFillable, OrderNotFillable, ContractUnavailable
        "InsufficientFunds": Verdict.REJECTED,
        "BadRequest": Verdict.REJECTED,  # BadSymbol
        "ArgumentsRequired": Verdict.REJECTED,  # ccxt itself refused to send it
        "NotSupported": Verdict.REJECTED,
        "OperationRejected": Verdict.REJECTED,  # MarketClosed, NoChange, RestrictedLocation
        "CancelPending": Verdict.UNKNOWN,
        "ExchangeError": Verdict.UNKNOWN,
        "OperationFailed": Verdict.UNKNOWN,  # NetworkError, ExchangeNotAvailable, RequestTimeout, BadResponse
        "BaseError": Verdict.UNKNOWN,
    }
)


def verdict_of(error: BaseException, codes: Mapping[str, Verdict]) -> tuple[Verdict, str, str]:
    """Return what an exception proves, the venue's code and its words; its own codes count before ccxt's classes."""
    code, said = _venue_words(str(error))
    if code in codes:
        return codes[code], code, said
    for kind in type(error).__mro__:
        known = VERDICTS.get(kind.__name__)
        if known is not None:
            return known, code, said
    return Verdict.UNKNOWN, code, said


def _venue_words(message: str) -> tuple[str, str]:
    """Read `{"code":..,"message":..}` out of ccxt's text, which is the exchange's name and the answer's body."""
    _, _, body = message.partition(" ")
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return "", message
    if not isinstance(answer, dict):
        return "", message
    code = answer.get("code")
    return ("" if code is None else str(code)), str(answer.get("message") or answer.get("msg") or message)
