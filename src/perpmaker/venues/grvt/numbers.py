"""Texts from the wire into exact numbers, or DataError. No value ever passes through a float.

NaN, Infinity, 1e400, "", signs where none belong and anything that is not a plain ASCII decimal are refused here, so that
nothing behind has to ask again.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from perpmaker.errors import DataError

_PLAIN: Final = re.compile(r"-?[0-9]{1,28}(?:\.[0-9]{1,28})?")
_SCIENTIFIC: Final = re.compile(r"-?[0-9]{1,28}(?:\.[0-9]{1,28})?[eE][+-]?[0-9]{1,2}")
_MAX_EXPONENT: Final = 28
_CACHE_LIMIT: Final = 1024
"""Texts remembered of prices, and of sizes, of an instrument. In 2.5 minutes of the practice exchange's books 82 and 79 %
of them were found among these many, and 87 and 83 % among any number."""
_MAX_NS: Final = (1 << 63) - 1
_MAX_U64: Final = (1 << 64) - 1
_SHOWN: Final = 40
_POWERS: Final[tuple[int, ...]] = tuple(int("1" + "0" * n) for n in range(_MAX_EXPONENT + 1))


def decimal(text: str, what: str) -> Decimal:
    """Return a signed decimal exactly as printed."""
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    if _SCIENTIFIC.fullmatch(text):  # a client of ours or the venue may print zero as "0E-9"
        value = Decimal(text)
        if -_MAX_EXPONENT <= value.adjusted() <= _MAX_EXPONENT:
            return value
    raise DataError(f"{what}: {text[:_SHOWN]!r} is not a number")


def not_negative(text: str, what: str) -> Decimal:
    """As `decimal`, refusing what is below zero."""
    value = decimal(text, what)
    if value < 0:
        raise DataError(f"{what}: {text[:_SHOWN]!r} is negative")
    return value


def positive(text: str, what: str) -> Decimal:
    """As `decimal`, refusing zero and below."""
    value = decimal(text, what)
    if value <= 0:
        raise DataError(f"{what}: {text[:_SHOWN]!r} is not above zero")
    return value


def nanoseconds(text: str, what: str) -> int:
    """Return a venue time: unix nanoseconds as a decimal text."""
    return _natural(text, what, _MAX_NS)


def unsigned(text: str, what: str) -> int:
    """Return a 64-bit id."""
    return _natural(text, what, _MAX_U64)


def sequence(value: str | int, what: str) -> int:
    """Return a sequence number: texts on the venue, integers in the documentation."""
    if isinstance(value, str):
        return _natural(value, what, _MAX_U64)
    if not 0 <= value <= _MAX_U64:
        raise DataError(f"{what}: {value} is not a sequence number")
    return value


class Steps(dict[str, int]):
    """Reads decimal texts as whole multiples of one step: prices as ticks, sizes as lots.

    `steps[text]` is how many steps `text` is, `least` or more; DataError unless it is an exact multiple. Books repeat the
    same texts, so what was read before is remembered, up to a limit: looking that up costs no call.
    """

    __slots__ = ("_denominator", "_least", "_numerator", "_step", "_what")

    def __init__(self, step: Decimal, what: str, *, least: int = 0) -> None:
        super().__init__()
        if not step.is_finite() or step <= 0:
            raise DataError(f"{what}: a step must be finite and above zero, not {step}")
        self._step = step
        self._what = what
        self._least = least
        self._numerator, self._denominator = step.as_integer_ratio()

    def __missing__(self, text: str) -> int:
        steps = self._parse(text)
        if steps < self._least:
            raise DataError(f"{self._what}: {text[:_SHOWN]!r} is less than {self._least * self._step}")
        if len(self) >= _CACHE_LIMIT:
            self.clear()
        self[text] = steps
        return steps

    def _parse(self, text: str) -> int:
        whole, point, fraction = text.partition(".")
        digits = whole + fraction
        if digits.isdigit() and digits.isascii() and len(digits) <= _MAX_EXPONENT and whole and (fraction or not point):
            steps, rest = divmod(int(digits) * self._denominator, self._numerator * _POWERS[len(fraction)])
        else:
            value = not_negative(text, self._what)
            exact, over = value.as_integer_ratio()
            steps, rest = divmod(exact * self._denominator, self._numerator * over)
        if rest:
            raise DataError(f"{self._what}: {text[:_SHOWN]!r} is not a multiple of {self._step}")
        return steps


def _natural(text: str, what: str, largest: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 20:
        value = int(text)
        if value <= largest:
            return value
    raise DataError(f"{what}: {text[:_SHOWN]!r} is not a whole number from 0 to {largest}")
