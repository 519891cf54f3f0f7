"""Choppiness as a filter: does the market go anywhere?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from perpmaker.model.events import Bar
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.filters import FilterReading, Regime
from perpmaker.strategies.signals.indicators import Choppiness


class ChoppinessParams(Table, frozen=True, kw_only=True):
    """Dreiss' choppiness index; the thresholds are his, two golden ratios."""

    SAYS: ClassVar[frozenset[str]] = frozenset({"ranging", "trending"})

    period: Annotated[int, key("bars", "How many bars it looks at.", ge=2, le=500)] = 14
    ranging_above: Annotated[float, key("", "Above it the market ranges.", ge=0, le=100)] = 61.8
    trending_below: Annotated[float, key("", "Below it the market trends.", ge=0, le=100)] = 38.2

    def problems(self) -> Sequence[str]:
        if self.trending_below > self.ranging_above:
            return (f"trending_below = {self.trending_below:g}: must not be above ranging_above",)
        return ()

    def make(self) -> ChoppinessFilter:
        return ChoppinessFilter(self)


class ChoppinessFilter:
    """Ranging above one threshold, trending below the other."""

    def __init__(self, params: ChoppinessParams) -> None:
        self._params = params
        self._choppiness = Choppiness(period=params.period)

    def update(self, bar: Bar) -> FilterReading | None:
        self._choppiness.update(bar.high, bar.low, bar.close)
        value, p = self._choppiness.value, self._params
        if value is None:
            return None
        regime = Regime.NEUTRAL
        if value > p.ranging_above:
            regime = Regime.RANGING
        elif value < p.trending_below:
            regime = Regime.TRENDING
        return FilterReading(regime, None, {"choppiness": value})
