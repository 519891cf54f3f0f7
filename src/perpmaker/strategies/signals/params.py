"""The keys of `[strategy.regime]`, with the defaults of REQUIREMENTS §4."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from perpmaker.errors import ConfigError
from perpmaker.strategies.regimes.model import read_model
from perpmaker.strategies.regimes.params import BlendParams
from perpmaker.strategies.schema import key
from perpmaker.strategies.signals.filters import Regime
from perpmaker.strategies.signals.registry import FILTERS, FilterTables


class RegimeParams(FilterTables, frozen=True, kw_only=True):
    """Which filter looks at the bars, and what becomes of what it says."""

    filter: Annotated[str, key("", f"Who says what the market is like: {', '.join(FILTERS)}, or none.")] = "bollinger"
    bar_s: Annotated[int, key("s", "Length of the bars; a length the venue offers.", ge=60, le=86_400)] = 60

    trending_width_mult: Annotated[
        float, key("", "In a trend half-spread and layer spacing are so many times as wide.", ge=0.2, le=10)
    ] = 1.5
    ranging_width_mult: Annotated[float, key("", "The same in a ranging market.", ge=0.2, le=10)] = 1.0
    volatile_width_mult: Annotated[float, key("", "The same in a volatile one.", ge=0.2, le=10)] = 2.0
    when_trending: Annotated[
        Literal["quote", "reduce", "pause"],
        key("", "In a trend: quote on, quote only what reduces the position, or not at all."),
    ] = "quote"

    latch: Annotated[bool, key("", "Remember a signal after the indicator went neutral.")] = True
    latch_max_s: Annotated[
        float, key("s", "A remembered signal is released after this; 0 is never.", ge=0, le=864_000)
    ] = 1800.0
    latch_release_buy_rsi: Annotated[float, key("", "RSI above it releases a buy.", ge=0, le=100)] = 40.0
    latch_release_sell_rsi: Annotated[float, key("", "RSI below it releases a sell.", ge=0, le=100)] = 60.0

    boost: Annotated[bool, key("", "On a signal, add orders on its side.")] = True
    boost_near_bps: Annotated[float, key("bps", "The nearer one's distance from mid.", gt=0, le=500)] = 5.0
    boost_far_bps: Annotated[float, key("bps", "The further one's.", gt=0, le=500)] = 10.0

    anchor: Annotated[
        bool, key("", "Hold exits back to about the entry price. A disposition effect: it keeps losers longer.")
    ] = False
    anchor_loss_bps: Annotated[float, key("bps", "The loss an exit may take without a signal.", ge=0, le=5000)] = 0.0
    anchor_signal_loss_bps: Annotated[float, key("bps", "The loss it may take with one.", ge=0, le=5000)] = 50.0

    model: Annotated[
        str | None,
        key(
            "", "A model of perpmaker train regime, its file counted from the configuration's folder; without it, none."
        ),
    ] = None
    blend: BlendParams = BlendParams()

    def problems(self) -> Sequence[str]:
        found = []
        if self.filter not in (*FILTERS, "none"):
            found.append(f"filter = {self.filter!r}: must be one of {', '.join(FILTERS)}, none")
        if self.boost_near_bps > self.boost_far_bps:
            found.append(f"boost_near_bps = {self.boost_near_bps:g}: must not be above boost_far_bps")
        if self.model is not None:
            try:
                read_model(Path(self.model))
            except ConfigError as error:
                found.append(f"model = {self.model!r}: {error}")
        return found

    def width_mult(self, regime: Regime) -> float:
        """Return how much wider quotes stand in a regime."""
        widths = {
            Regime.TRENDING: self.trending_width_mult,
            Regime.RANGING: self.ranging_width_mult,
            Regime.VOLATILE: self.volatile_width_mult,
        }
        return widths.get(regime, 1.0)
