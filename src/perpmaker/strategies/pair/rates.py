"""What the hedge's currency is worth in the lead's: known only while somebody has said so lately.

Where it is not known no price of one venue is compared with one of the other: nothing is built or quoted on such a
comparison. Hedging, unwinding and closing compare no prices across venues, and go on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context

LASTS_NS: Final = 5 * NS_PER_S
"""An unknown rate is told once it has been unknown for so long: before the first answer of a feed it is no news."""


class HedgeRate:
    """One unit of the hedge's quote currency in the lead's; exactly 1 where both are quoted in the same."""

    def __init__(self, lead: InstrumentId, hedge: InstrumentId, max_age_s: float) -> None:
        self.problem = ""
        """Why the last answer was None, without figures that change by themselves; "" when it was known."""
        self._lead, self._hedge = lead, hedge
        self._max_age_s = max_age_s
        self._unknown_ns = 0
        self._is_told = False

    def now(self, ctx: Context) -> Decimal | None:
        """Return the rate, None while nobody has told one, or not lately enough."""
        source, target = ctx.instrument(self._hedge).quote, ctx.instrument(self._lead).quote
        told = ctx.conversion(source, target)
        if source == target:
            self.problem = ""
            return Decimal(1)
        if told is None:
            self.problem = f"nobody has told what 1 {source} is worth in {target}"
            return None
        if ctx.now_ns() - told.ts_ns > self._max_age_s * NS_PER_S:
            self.problem = f"what 1 {source} is worth in {target} was told more than {self._max_age_s:g} s ago"
            return None
        self.problem = ""
        return told.rate

    def watch(self, ctx: Context) -> None:
        """Say, once each time, that it has become unknown, and that it is known again."""
        rate = self.now(ctx)
        if rate is None:
            self._unknown_ns = self._unknown_ns or ctx.now_ns()
            if not self._is_told and ctx.now_ns() - self._unknown_ns >= LASTS_NS:
                self._is_told = True
                ctx.notice("warning", "pair_rate_unknown", {"instrument": self._lead, "text": self.problem})
            return
        self._unknown_ns = 0
        if self._is_told:
            self._is_told = False
            ctx.notice("info", "pair_rate_known", {"instrument": self._lead, "rate": str(rate)})


def last_told(ctx: Context, source: InstrumentId, target: InstrumentId) -> Decimal | None:
    """Return the last rate between two instruments' quote currencies however old it is, None before the first: for sums
    that people read, which decide nothing."""
    told = ctx.conversion(ctx.instrument(source).quote, ctx.instrument(target).quote)
    return None if told is None else told.rate
