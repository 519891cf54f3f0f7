"""Exact conversions between decimal text and the core's scaled integers."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from perpmaker.exchange.core.types import NANO

_EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""Wide enough that a number of `_MAX_DIGITS` digits times 10**9 is never rounded."""
_MAX_DIGITS = 100


def decimal_text(scaled: int, places: int = 9) -> str:
    """Return `scaled / 10**places` as the venue prints decimals: at least one place ("0.0"), no trailing zeros.

    PROTOCOL 2: "0.0", "88107.3" seen live.
    """
    sign = "-" if scaled < 0 else ""
    whole, part = divmod(abs(scaled), 10**places)
    if not part:
        return f"{sign}{whole}.0"
    return f"{sign}{whole}.{part:0{places}d}".rstrip("0")


def percent_text(rate_cb: int) -> str:
    """Return a rate in centibeeps as a percent: 450 is "0.045"."""
    return decimal_text(rate_cb, 4)


def to_nano(value: Decimal | str | int) -> int:
    """Return `value` in nanos; a value finer than nine places is an error, not a rounding."""
    scaled = _EXACT.multiply(Decimal(value), NANO)
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{value} has more than nine decimal places")
    return int(scaled)


def whole_steps(value: Decimal, step_nano: int) -> int | None:
    """Return how many steps of `step_nano` make `value`, None when it is not a whole number of them."""
    if not value.is_finite() or value.adjusted() >= _MAX_DIGITS or len(value.as_tuple().digits) > _MAX_DIGITS:
        return None
    scaled = _EXACT.multiply(value, NANO)
    if scaled != scaled.to_integral_value():
        return None
    steps, rest = divmod(int(scaled), step_nano)
    return None if rest else steps


def div_half_even(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, ties to even; `denominator` > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def div_up(numerator: int, denominator: int) -> int:
    """Divide and round towards plus infinity; `denominator` > 0."""
    return -(-numerator // denominator)
