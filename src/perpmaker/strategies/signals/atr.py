"""ATR as a filter: is the market wilder than it has been?"""

from __future__ import annotations

from typing import Annotated, ClassVar

from perpmaker.model.events import Bar
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.filters import FilterReading, Regime
from perpmaker.strategies.signals.indicators import Atr


class AtrParams(Table, frozen=True, kw_only=True):
    """Wilder's average true range against its own slow average."""

    SAYS: ClassVar[frozenset[str]] = frozenset({"volatile"})

    period: Annotated[int, key("bars", "Its smoothing.", ge=2, le=500)] = 14
    slow_bars: Annotated[int, key("bars", "How slowly the usual range follows.", ge=2, le=10_000)] = 100
    volatile_above: Annotated[float, key("", "Volatile above so many usual ranges.", gt=1, le=100)] = 1.5

    def make(self) -> AtrFilter:
        return AtrFilter(self)


class AtrFilter:
    """Volatile while the range, as a fraction of price, is well above its exponential average."""

    def __init__(self, params: AtrParams) -> None:
        self._params = params
        self._atr = Atr(period=params.period)
        self._usual = 0.0

    def update(self, bar: Bar) -> FilterReading | None:
        self._atr.update(bar.high, bar.low, bar.close)
        if self._atr.value is None:
            return None
        share = self._atr.value / bar.close
        weight = 2 / (self._params.slow_bars + 1)
        self._usual = share if self._usual == 0.0 else self._usual + weight * (share - self._usual)
        wild = share > self._params.volatile_above * self._usual
        return FilterReading(Regime.VOLATILE if wild else Regime.NEUTRAL, None, {"atr_bps": share * 1e4})
