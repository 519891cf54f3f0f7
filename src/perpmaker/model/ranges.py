"""Ranges of parameters: each check returns what is wrong, in words for people, or nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

MOST_DIGITS: Final = 18
"""A figure is of use between 1e-18 and 1e18: beyond that arithmetic on it overflows, and nobody means it."""


def check(algorithm: msgspec.Struct, problems: list[str]) -> None:
    """Raise ValueError with every problem, unless there is none."""
    if problems:
        raise ValueError(f"{algorithm.__struct_config__.tag}: {'; '.join(problems)}")


def between(name: str, value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [f"{name} must be {low} to {high}, not {value}"]


def is_usable(value: Decimal) -> bool:
    """Say whether a figure that was typed can be reckoned with: finite, and of a size that something has."""
    return value.is_finite() and (not value or abs(value.adjusted()) <= MOST_DIGITS)


def positive(name: str, value: Decimal) -> list[str]:
    return [] if is_usable(value) and value > 0 else [f"{name} must be above 0, not {value}"]


def share(name: str, value: Decimal) -> list[str]:
    return [] if is_usable(value) and 0 < value <= 1 else [f"{name} must be above 0 and at most 1, not {value}"]


def slippage(value: Decimal, name: str = "max_slippage_bps") -> list[str]:
    return [] if is_usable(value) and 0 <= value <= 1000 else [f"{name} must be 0 to 1000 basis points, not {value}"]


def alert(value: Decimal | None) -> list[str]:
    return [] if value is None or is_usable(value) else [f"alert_slippage_bps must be a number, not {value}"]
