"""Keeps the quality of orders inside what the venue tolerates, by slowing down before it blocks the symbol.

GRVT's fair-use rules (help pages; PROTOCOL §13): per symbol and ten minutes, unfilled orders >= 0.99 of at least 10,000,
cancelled ones >= 0.99 of at least 5,000, expired ones >= 0.99 of at least 5,000, dust orders >= 0.9 of at least 10,000: a
ban of 5 minutes, then of 2 hours. What dust is the pages do not say; here it is what is near the smallest order allowed.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, Final

import msgspec

from perpmaker.model.order import OrderState
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.quoting.permit import FREE, Mode, Permit
from perpmaker.strategies.schema import Table, key

_BUCKET_NS: Final = 10 * NS_PER_S
_COUNTS: Final = 5
"""Ended orders, and how many of them were unfilled, cancelled, expired, dust."""


class GovernorParams(Table, frozen=True, kw_only=True):
    """The venue's window and rules, and how early to slow down."""

    window_s: Annotated[float, key("s", "The window they are counted in.", ge=10, le=86_400)] = 600.0
    max_ratio: Annotated[
        float, key("", "Unfilled, cancelled or expired orders up to this share are tolerated.", gt=0, le=1)
    ] = 0.99
    unfilled_orders: Annotated[int, key("", "The rule about unfilled ones holds from so many orders on.", ge=1)] = (
        10_000
    )
    cancelled_orders: Annotated[int, key("", "The rule about cancelled ones.", ge=1)] = 5_000
    expired_orders: Annotated[int, key("", "The rule about expired ones.", ge=1)] = 5_000
    max_dust_ratio: Annotated[float, key("", "Dust orders up to this share are tolerated.", gt=0, le=1)] = 0.9
    dust_orders: Annotated[int, key("", "The rule about dust ones.", ge=1)] = 10_000
    dust_mult: Annotated[
        float, key("", "Dust is an order of less than so many of the venue's smallest notional.", ge=1, le=100)
    ] = 1.5
    slow_from: Annotated[float, key("", "At this share of a rule's count, tolerances begin to grow.", gt=0, lt=1)] = 0.5
    slow_mult: Annotated[float, key("", "How many times the tolerance is at the most.", ge=1, le=20)] = 4.0
    stop_from: Annotated[
        float, key("", "At this share nothing is quoted until the window has passed on.", gt=0, le=1)
    ] = 0.9


class Ratios(msgspec.Struct, frozen=True):
    """Orders that ended in the window, and how."""

    orders: int
    unfilled: int
    cancelled: int
    expired: int
    dust: int

    def share(self, count: int) -> float:
        return count / self.orders if self.orders else 0.0


class Governor:
    """Counts ended orders of one symbol in buckets of ten seconds."""

    def __init__(self, params: GovernorParams) -> None:
        self._params = params
        self._buckets: deque[list[int]] = deque()
        self._totals = [0] * _COUNTS

    def is_dust(self, notional: float, min_notional: float) -> bool:
        """Whether an order is so small that the venue may call it dust."""
        return notional < self._params.dust_mult * min_notional

    def on_end(self, now_ns: int, state: OrderState, *, filled: bool, is_dust: bool = False) -> None:
        """Take an order's end; `filled` when any of it was."""
        unfilled = not filled
        self._roll(now_ns)
        begin = now_ns - now_ns % _BUCKET_NS
        if not self._buckets or self._buckets[-1][0] != begin:
            self._buckets.append([begin] + [0] * _COUNTS)
        ended = (
            1,
            int(unfilled),
            int(unfilled and state is OrderState.CANCELED),
            int(unfilled and state is OrderState.EXPIRED),
            int(is_dust),
        )
        for place, one in enumerate(ended):
            self._buckets[-1][place + 1] += one
            self._totals[place] += one

    def ratios(self, now_ns: int) -> Ratios:
        self._roll(now_ns)
        return Ratios(*self._totals)

    def pressure(self, now_ns: int) -> float:
        """Return how near the nearest rule is: 1 is reached. A rule whose share is well inside counts for nothing."""
        p, now = self._params, self.ratios(now_ns)
        rules = (
            (now.unfilled, p.unfilled_orders, p.max_ratio),
            (now.cancelled, p.cancelled_orders, p.max_ratio),
            (now.expired, p.expired_orders, p.max_ratio),
            (now.dust, p.dust_orders, p.max_dust_ratio),
        )
        near = [now.orders / least for count, least, ratio in rules if now.share(count) >= ratio * 0.98]
        return max(near, default=0.0)

    def tolerance_mult(self, now_ns: int) -> float:
        p, pressure = self._params, self.pressure(now_ns)
        if pressure <= p.slow_from:
            return 1.0
        return 1 + (p.slow_mult - 1) * min(1.0, (pressure - p.slow_from) / max(1e-9, p.stop_from - p.slow_from))

    def permit(self, now_ns: int) -> Permit:
        pressure = self.pressure(now_ns)
        if pressure < self._params.stop_from:
            return FREE
        return Permit(Mode.NONE, f"order quality: {pressure:.0%} of what makes the venue block the symbol")

    def _roll(self, now_ns: int) -> None:
        oldest_ns = now_ns - round(self._params.window_s * NS_PER_S)
        while self._buckets and self._buckets[0][0] <= oldest_ns:
            gone = self._buckets.popleft()
            for place in range(_COUNTS):
                self._totals[place] -= gone[place + 1]
