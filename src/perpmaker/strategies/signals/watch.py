"""Bars in; the regime, the signal in force and what people should know of them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from perpmaker.model.events import Bar
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.signals.bars import Bars
from perpmaker.strategies.signals.filters import FilterReading, Regime
from perpmaker.strategies.signals.indicators import Rsi
from perpmaker.strategies.signals.latch import Latch, LatchMemory
from perpmaker.strategies.signals.params import RegimeParams
from perpmaker.strategies.signals.registry import make_filter

MAX_MISSING: Final = 10
"""Bars that may be missing in a row; after more the filters begin anew."""


class RegimeState(msgspec.Struct, frozen=True):
    """What holds now. `signal` is the one in force, given or remembered. `warm`: the filter has seen enough bars."""

    regime: Regime
    signal: Side | None
    latched: bool
    warm: bool
    shown: Mapping[str, float | str | None]
    """For the dashboard and the journal: regime, signal, latch, rsi, and the filter's own values."""


class RegimeWatch:
    """Feeds the chosen filter, the RSI of the latch, and the latch."""

    def __init__(self, instrument: InstrumentId, params: RegimeParams) -> None:
        self._params = params
        self._bars = Bars(instrument, params.bar_s)
        self._latch = Latch(params)
        self._last_open_ns = 0
        self._begin()

    @property
    def on(self) -> bool:
        """Whether there is a filter at all."""
        return self._params.filter != "none"

    @property
    def memory(self) -> LatchMemory | None:
        """The signal in force, for the next life."""
        return self._latch.memory

    def restore(self, memory: LatchMemory, bars: Iterable[Bar]) -> None:
        """Begin with the bars of before the start and with the signal of an earlier life, which bars since may release."""
        self._latch.restore(memory)
        for bar in bars:
            self.on_bar(bar)
            closed_ns = bar.open_ns + bar.interval_s * NS_PER_S
            if self._reading is not None and closed_ns > memory.since_ns:  # the bar that gave it closed before
                self._latch.update(closed_ns, self._reading.signal, self._rsi.value, is_flat=False)

    def on_bar(self, bar: Bar) -> None:
        """Take a finished bar of the venue; the past ones of a warm-up count like others."""
        self._take(self._bars.on_venue(bar))

    def on_mid(self, now_ns: int, mid: float) -> None:
        """Take a mid price, for the bars the venue does not send."""
        self._take(self._bars.on_mid(now_ns, mid))

    def state(self, now_ns: int, *, is_flat: bool) -> RegimeState:
        """Return what holds now; the latch is looked at anew, as time and position release it too."""
        reading = self._reading
        if reading is None:
            return RegimeState(Regime.NEUTRAL, None, latched=False, warm=False, shown=self._warming_up())
        latch, rsi = self._latch, self._rsi.value
        latch.update(now_ns, reading.signal, rsi, is_flat=is_flat)
        latched = latch.side is not None and not latch.given
        shown: dict[str, float | str | None] = {
            "regime": reading.regime.value,
            "signal": latch.side.value if latch.side else "none",
            "latch": latch.text(now_ns, rsi),
            "rsi": rsi,
            **reading.shown,
        }
        return RegimeState(reading.regime, latch.side, latched=latched, warm=True, shown=shown)

    def _begin(self) -> None:
        p = self._params
        self._filter = make_filter(p.filter, p) if p.filter != "none" else None
        self._rsi = Rsi(period=p.rsi.period)
        self._reading: FilterReading | None = None
        self._seen = 0

    def _take(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            if self._last_open_ns and bar.open_ns - self._last_open_ns > (MAX_MISSING + 1) * bar.interval_s * NS_PER_S:
                self._begin()
            self._last_open_ns = bar.open_ns
            self._seen += 1
            self._rsi.update(bar.high, bar.low, bar.close)
            if self._filter is not None:
                self._reading = self._filter.update(bar)

    def _warming_up(self) -> dict[str, float | str | None]:
        if not self.on:
            return {"regime": "no filter"}
        return {"regime": f"warming up, {self._seen} bars"}
