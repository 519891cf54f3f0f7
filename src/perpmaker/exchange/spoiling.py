"""Spoiling the content of answers and frames, as fault rules say."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from perpmaker.exchange.faults import FaultSpec

SPOILERS: Final = frozenset({"mutate", "bad_number", "truncate", "crossed"})
"""The actions that change what an answer or a frame says."""


def spoiled(
    message: Any, rules: Iterable[FaultSpec], cross: Callable[[Any], Any], is_price: Callable[[str], bool]
) -> Any:
    """Return the message with what the rules do to its content; the message itself stays.

    `cross` returns a book with a bid above its best ask, `is_price` knows a price member by its name.
    """
    for rule in rules:
        if rule.action in ("mutate", "bad_number"):
            message = copy.deepcopy(message)
            _put(message, rule.field, raw_value(rule), is_price)
        elif rule.action == "crossed":
            message = cross(message)
        elif rule.action == "truncate":
            message = _cut(message, rule.rows)
    return message


def raw_value(rule: FaultSpec) -> Any:
    """The value a rule writes: JSON text as it is when `raw`, which may be no JSON at all (NaN)."""
    return msgspec.Raw(str(rule.value).encode()) if rule.raw else rule.value


def _cut(message: Any, rows: int) -> Any:
    if isinstance(message, list):
        return message[:rows]
    return {name: value[:rows] if isinstance(value, list) else value for name, value in message.items()}


def _put(message: Any, field: str, value: Any, is_price: Callable[[str], bool]) -> bool:
    """Set the first member of this name, or the first price, anywhere in the message; whether there was one."""
    if isinstance(message, list):
        return any(_put(row, field, value, is_price) for row in message)
    if not isinstance(message, dict):
        return False
    for name, old in message.items():
        if name == field or (not field and is_price(name) and isinstance(old, str)):
            message[name] = value
            return True
        if not field and is_price(name) and isinstance(old, list) and old and isinstance(old[0], list):
            old[0][0] = value  # a book's levels as pairs
            return True
    return any(_put(inner, field, value, is_price) for inner in message.values())
