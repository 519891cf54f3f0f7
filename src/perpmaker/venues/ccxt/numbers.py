"""Exact numbers out of what ccxt hands over: texts as the venue printed them, or floats as they print shortest."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from perpmaker.errors import DataError
from perpmaker.model.units import NS_PER_MS, NS_PER_US


def exact(value: Any, name: str) -> Decimal:
    """Return a finite number exactly as printed; raise DataError for anything else.

    The shortest text that reads back as the same float is the venue's own text up to 15 significant digits.
    """
    if isinstance(value, bool) or value is None:
        raise DataError(f"{name}: {value!r} is not a number")
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise DataError(f"{name}: {str(value)[:40]!r} is not a number") from None
    if not number.is_finite():
        raise DataError(f"{name}: {number} is not finite")
    return number


def optional(value: Any, name: str) -> Decimal | None:
    """As `exact`, None for what was not sent."""
    return None if value is None or value == "" else exact(value, name)


def whole(value: Any, name: str) -> int:
    """Return a whole number, sent as a number or as text."""
    number = exact(value, name)
    if number != number.to_integral_value():
        raise DataError(f"{name}: {number} is not whole")
    return int(number)


def text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise DataError(f"{name}: {str(value)[:40]!r} is not a text")
    return value


def client_id(value: Any) -> int:
    """Return a client order id, 0 for none or for one that is not a number (an order made by other means)."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and int(digits) < 1 << 64 else 0


def ns_of_us(value: Any, name: str) -> int:
    return whole(value, name) * NS_PER_US


def ns_of_ms(value: Any, name: str) -> int:
    return whole(value, name) * NS_PER_MS


def ns_of_iso(value: Any, name: str) -> int:
    """Read an ISO time; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text(value, name))
    except ValueError:
        raise DataError(f"{name}: {str(value)[:40]!r} is not a time") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * NS_PER_US
