"""RSI as a filter: oversold is a buy, overbought a sell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from perpmaker.model.events import Bar
from perpmaker.model.order import Side
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.filters import FilterReading, Regime
from perpmaker.strategies.signals.indicators import Rsi


class RsiParams(Table, frozen=True, kw_only=True):
    """Wilder's relative strength index. The latch reads it too, whatever the filter."""

    SAYS: ClassVar[frozenset[str]] = frozenset({"signal"})

    period: Annotated[int, key("bars", "Its smoothing.", ge=2, le=500)] = 14
    buy_below: Annotated[float, key("", "At or below it is a buy.", ge=0, le=100)] = 30.0
    sell_above: Annotated[float, key("", "At or above it is a sell.", ge=0, le=100)] = 70.0

    def problems(self) -> Sequence[str]:
        if self.buy_below >= self.sell_above:
            return (f"buy_below = {self.buy_below:g}: must be less than sell_above = {self.sell_above:g}",)
        return ()

    def make(self) -> RsiFilter:
        return RsiFilter(self)


class RsiFilter:
    """Says buy when falls have had the upper hand, sell when rises have."""

    def __init__(self, params: RsiParams) -> None:
        self._params = params
        self._rsi = Rsi(period=params.period)

    def update(self, bar: Bar) -> FilterReading | None:
        self._rsi.update(bar.high, bar.low, bar.close)
        value, p = self._rsi.value, self._params
        if value is None:
            return None
        signal = None
        if self._rsi.has_moved:
            signal = Side.BUY if value <= p.buy_below else Side.SELL if value >= p.sell_above else None
        return FilterReading(Regime.NEUTRAL, signal, {})
