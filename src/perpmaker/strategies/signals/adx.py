"""ADX as a filter: is there a trend?"""

from __future__ import annotations

from typing import Annotated, ClassVar

from perpmaker.model.events import Bar
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.filters import FilterReading, Regime
from perpmaker.strategies.signals.indicators import Adx


class AdxParams(Table, frozen=True, kw_only=True):
    """Wilder's average directional index."""

    SAYS: ClassVar[frozenset[str]] = frozenset({"trending"})

    period: Annotated[int, key("bars", "Its smoothing.", ge=2, le=500)] = 14
    trending_above: Annotated[float, key("", "Above it the market trends.", ge=0, le=100)] = 25.0

    def make(self) -> AdxFilter:
        return AdxFilter(self)


class AdxFilter:
    """Trending above the threshold, neutral below."""

    def __init__(self, params: AdxParams) -> None:
        self._above = params.trending_above
        self._adx = Adx(period=params.period)

    def update(self, bar: Bar) -> FilterReading | None:
        self._adx.update(bar.high, bar.low, bar.close)
        value = self._adx.value
        if value is None:
            return None
        return FilterReading(Regime.TRENDING if value > self._above else Regime.NEUTRAL, None, {"adx": value})
