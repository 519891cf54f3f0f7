"""Arithmetic on money that never rounds a sum or a product."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Context, DivisionByZero, InvalidOperation, Overflow, getcontext, setcontext
from typing import Final, ParamSpec, TypeVar

_EXACT: Final = Context(prec=80, traps=[DivisionByZero, InvalidOperation, Overflow])
"""Decimal's default of 28 digits would round the sum of a large equity and a fee with many decimals."""

P = ParamSpec("P")
R = TypeVar("R")


def exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function reckon with 80 digits, whatever the context of its caller."""

    @functools.wraps(function)
    def reckoned(*args: P.args, **kwargs: P.kwargs) -> R:
        before = getcontext()
        if before is _EXACT:  # called by one that reckons so already
            return function(*args, **kwargs)
        setcontext(_EXACT)
        try:
            return function(*args, **kwargs)
        finally:
            setcontext(before)

    return reckoned
