"""Bollinger bands as a filter: a close on or under the lower band is a buy, on or over the upper one a sell."""

from __future__ import annotations

from typing import Annotated, ClassVar

from perpmaker.model.events import Bar
from perpmaker.model.order import Side
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.filters import FilterReading, Regime
from perpmaker.strategies.signals.indicators import Bollinger


class BollingerParams(Table, frozen=True, kw_only=True):
    """Bands around a moving average."""

    SAYS: ClassVar[frozenset[str]] = frozenset({"signal"})

    period: Annotated[int, key("bars", "How many closes the bands are made of.", ge=2, le=500)] = 20
    width: Annotated[float, key("", "How many standard deviations they are away.", gt=0, le=10)] = 2.0

    def make(self) -> BollingerFilter:
        return BollingerFilter(self)


class BollingerFilter:
    """Buys low, sells high; a band without any width says nothing."""

    def __init__(self, params: BollingerParams) -> None:
        self._bands = Bollinger(period=params.period, width=params.width)

    def update(self, bar: Bar) -> FilterReading | None:
        bands = self._bands
        bands.update(bar.high, bar.low, bar.close)
        if bands.value is None:
            return None
        signal = None
        if bands.upper > bands.lower:
            signal = Side.BUY if bar.close <= bands.lower else Side.SELL if bar.close >= bands.upper else None
        shown = {"band_lower": bands.lower, "band_upper": bands.upper}
        return FilterReading(Regime.NEUTRAL, signal, shown)
