"""What orders of a size needed on an instrument: the cap that would have done, and how soon children were answered.

Only what took counts: sweeps that ended by themselves. What an order needed is the worst average price of its children; one
that ran out of offers, time or children needed more than anybody knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final

import msgspec

from perpmaker.model.execution import Ending
from perpmaker.model.quote import Sweep, name_of
from perpmaker.research.execution_orders import OrderSeen
from perpmaker.research.execution_sizes import size_named, size_names
from perpmaker.research.quantile import quantile

LEAST_ORDERS: Final = 10
"""Fewer say nothing about the next one."""
LEAST_ANSWERS: Final = 20
SHARE: Final = 0.95
"""Of the orders that a cap is to have done."""
ROOM: Final = 1.25
"""Of the cap, over what was needed."""
LEAST_CAP_BPS: Final = Decimal("0.5")
TIMES_ANSWER: Final = 3
"""A child without an end is waited for so many times as long as the slowest hundredth took."""
TIMEOUT_MS: Final = (250, 10_000)
_SWEEP: Final = name_of(Sweep())
_SHORT: Final = frozenset({Ending.CAP.value, Ending.DEADLINE.value, Ending.MAX_CHILDREN.value})


class Need(msgspec.Struct, frozen=True):
    """Of sweeps of one size on one instrument.

    `cap_bps` is the cap from the arrival touch that would have done 95 of 100, with room on top; None when too few are
    known or more fell short. `timeout_ms` is how long a child may be waited for, None when too few answers are known.
    """

    instrument: str
    size: str
    orders: int
    short: int
    """Ended by cap, deadline or number of children."""
    needed_p50_bps: float | None
    cap_bps: Decimal | None
    answers: int
    timeout_ms: int | None


def needs(orders: Iterable[OrderSeen]) -> tuple[Need, ...]:
    """Return what is known, by instrument and size, smallest first."""
    held: dict[tuple[str, str], list[OrderSeen]] = {}
    for order in orders:
        if order.algorithm == _SWEEP and (order.is_done or order.ending in _SHORT) and order.of_depth is not None:
            held.setdefault((order.instrument, size_named(order.of_depth)), []).append(order)
    places = {size: place for place, size in enumerate(size_names())}
    keys = sorted(held, key=lambda key: (key[0], places[key[1]]))
    return tuple(_need(*key, held[key]) for key in keys)


def need_of(known: Sequence[Need], instrument: str, of_depth: float) -> Need | None:
    """Return what is known of orders of this size on this instrument."""
    size = size_named(of_depth)
    return next((need for need in known if (need.instrument, need.size) == (instrument, size)), None)


def _need(instrument: str, size: str, orders: Sequence[OrderSeen]) -> Need:
    done = [order for order in orders if order.is_done]
    needed = [max(_offsets(order), default=0.0) for order in done] + [math.inf] * (len(orders) - len(done))
    answers = [child.answer_ms for order in orders for child in order.children if child.answer_ms is not None]
    middle = quantile(needed, 0.5)
    return Need(
        instrument=instrument,
        size=size,
        orders=len(orders),
        short=len(orders) - len(done),
        needed_p50_bps=None if middle is None or not math.isfinite(middle) else middle,
        cap_bps=_cap_bps(needed),
        answers=len(answers),
        timeout_ms=_timeout_ms(answers),
    )


def _offsets(order: OrderSeen) -> list[float]:
    return [child.offset_bps for child in order.children if child.offset_bps is not None]


def _cap_bps(needed: Sequence[float]) -> Decimal | None:
    if len(needed) < LEAST_ORDERS:
        return None
    most = sorted(needed)[math.ceil(SHARE * len(needed)) - 1]
    if not math.isfinite(most):
        return None
    cap = Decimal(max(most, 0.0) * ROOM).quantize(Decimal("0.1"), ROUND_CEILING)
    return max(cap, LEAST_CAP_BPS)


def _timeout_ms(answers: Sequence[float]) -> int | None:
    slowest = quantile(answers, 0.99)
    if slowest is None or len(answers) < LEAST_ANSWERS:
        return None
    low, high = TIMEOUT_MS
    return min(max(int(slowest * TIMES_ANSWER), low), high)
