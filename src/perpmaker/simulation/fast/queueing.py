"""Our places in the queues, in compiled code: what changes them without filling anything of ours.

Each function does what its namesake in `simulation.market` and `simulation.queue` does, or says that it cannot and leaves
everything as it was; then Python does it. A fill is always Python's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from perpmaker.simulation.fast.compiled import inner
from perpmaker.simulation.fast.layout import (
    AHEAD,
    ARRIVED,
    CLASSIC,
    KEY,
    OPTIMISTIC,
    PESSIMISTIC,
    RISK_AVERSE,
    SPARED,
    TRADED,
)

Ints = npt.NDArray[np.int64]
PARTS: Final = 1_000
UNSURE: Final = -1
_WHOLE: Final = 4.0e18
"""Below this, products of integers are exact."""
_ERROR: Final = 1.0e-12
"""Of the estimate in floating point, generously."""


@inner
def cancelled_ahead(model: int, exponent: int, gone: int, ahead: int, behind: int) -> int:
    """As `queue.cancelled_ahead`; UNSURE where floating point cannot tell on which side of a whole number it lies."""
    if ahead <= 0:
        return 0
    if behind <= 0:
        return min(gone, ahead)
    surely = max(0, gone - behind)
    if model == RISK_AVERSE:
        return min(surely, ahead)
    likely = likely_ahead(exponent, gone, ahead, behind)
    return UNSURE if likely == UNSURE else min(max(likely, surely), ahead)


@inner
def likely_ahead(exponent: int, gone: int, ahead: int, behind: int) -> int:
    """Return gone * ahead**n // (ahead**n + behind**n), or UNSURE."""
    shared, rest = ahead, behind
    while rest:
        shared, rest = rest, shared % rest
    ahead, behind = ahead // shared, behind // shared
    weight = 1.0
    for _ in range(exponent):
        weight *= max(ahead, behind)
    if weight * max(gone, 2) < _WHOLE:
        weight_ahead, weight_behind = 1, 1
        for _ in range(exponent):
            weight_ahead *= ahead
            weight_behind *= behind
        return gone * weight_ahead // (weight_ahead + weight_behind)
    ratio, odds = behind / ahead, 1.0
    for _ in range(exponent):
        odds *= ratio
    estimate = gone / (1.0 + odds)
    whole = int(estimate)
    error = gone * _ERROR + 1e-9
    if estimate - whole < error or whole + 1 - estimate < error:
        return UNSURE
    return whole


@inner
def trade_passes(orders: Ints, count: int, model: int, key: int, lots: int, event_ns: int) -> bool:
    """Let a trade on the side of these orders pass; False, and nothing done, when it may fill one."""
    if count == 0 or model == CLASSIC or orders[0, KEY] < key:
        return True
    if orders[0, KEY] > key:
        return False
    size = lots * PARTS
    for place in range(count):
        if orders[place, KEY] != key or orders[place, ARRIVED] > event_ns or model == PESSIMISTIC:
            break
        reached = size if model == OPTIMISTIC else size - orders[place, AHEAD]
        if reached >= PARTS:
            return False
    before = model != PESSIMISTIC
    for place in range(count):
        if orders[place, KEY] != key:
            break
        orders[place, TRADED] += lots
        before = before and orders[place, ARRIVED] <= event_ns
        if before:
            orders[place, AHEAD] = max(0, orders[place, AHEAD] - size)
    return True


@inner
def level_changes(
    orders: Ints, count: int, queue: int, exponent: int, key: int, before_lots: int, after_lots: int
) -> bool:
    """Judge a new displayed quantity at a price of ours; False when the queue model cannot be sure (some are done then)."""
    after = after_lots * PARTS
    for place in range(count):
        if orders[place, KEY] != key:
            continue
        left = max(0, before_lots - orders[place, TRADED]) * PARTS
        orders[place, TRADED] = 0
        gone = left - after
        if gone > 0:
            behind = max(0, left + orders[place, SPARED] - orders[place, AHEAD])
            cancelled = cancelled_ahead(queue, exponent, gone, orders[place, AHEAD], behind)
            if cancelled == UNSURE:
                return False
            orders[place, AHEAD] -= cancelled
        orders[place, AHEAD] = min(orders[place, AHEAD], after + orders[place, SPARED])
    return True
