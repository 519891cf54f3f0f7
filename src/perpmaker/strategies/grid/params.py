"""The keys of a grid (REQUIREMENTS §5)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

from perpmaker.strategies.api import StrategyParams
from perpmaker.strategies.schema import key

GridMode = Literal["neutral", "long", "short"]
OutOfRange = Literal["hold", "stop", "flatten", "trail", "recentre"]


class GridParams(StrategyParams, frozen=True, kw_only=True):
    """A grid on one instrument: give `lower_px` and `upper_px`, or a width around a centre."""

    mode: Annotated[
        GridMode,
        key("", "neutral: buys below the centre, sells above it; long: only ever long; short: only ever short."),
    ] = "neutral"
    lower_px: Annotated[float | None, key("quote currency", "The lowest line.", gt=0)] = None
    upper_px: Annotated[float | None, key("quote currency", "The highest line.", gt=0)] = None
    centre_px: Annotated[
        float | None, key("quote currency", "The middle, with width_bps; without it, the mid at the start.", gt=0)
    ] = None
    width_bps: Annotated[
        float, key("bps", "From the lowest to the highest line, when these are not given.", gt=0, le=20_000)
    ] = 400.0
    count: Annotated[int, key("cells", "Cells between the lines; there is one line more.", ge=1, le=200)] = 20
    spacing: Annotated[
        Literal["arithmetic", "geometric", "volatility"],
        key("", "Equal steps in price, in per cent, or in per cent as wide as the market is volatile (no range then)."),
    ] = "geometric"
    volatility_mult: Annotated[
        float, key("", "volatility: a step is so many standard deviations of a move of volatility_s.", gt=0, le=100)
    ] = 1.0
    volatility_s: Annotated[float, key("s", "volatility: the time that move takes.", gt=0, le=86_400)] = 60.0
    density: Annotated[
        float, key("", "0: even lines; > 0: denser towards the lowest line, < 0: towards the highest.", ge=-2, le=2)
    ] = 0.0
    order_notional: Annotated[Decimal, key("quote currency", "Size of each cell.", gt=0)] = Decimal(200)
    order_equity_frac: Annotated[
        float | None,
        key("", "Size of each cell as a share of equity when it is laid out, instead of order_notional.", gt=0, le=1),
    ] = None
    stop_loss: Annotated[
        Decimal | None,
        key(
            "quote currency",
            "Close the position and stop once the grid has lost so much: closings, fees and inventory together.",
            gt=0,
        ),
    ] = None
    min_profit_bps: Annotated[
        float, key("bps", "The least a cell has to earn after both fees; a narrower grid is refused.", ge=0, le=1000)
    ] = 0.5
    assumed_maker_fee_bps: Annotated[
        float, key("bps", "Maker fee, > 0 a cost, until the venue or own fills have told it.", ge=-100, le=100)
    ] = 2.0
    orders_per_side: Annotated[int, key("", "At most so many orders a side, the nearest.", ge=1, le=50)] = 10
    max_distance_bps: Annotated[
        float,
        key(
            "bps", "A line further than this from mid has no order yet; keep it inside the price collar.", gt=0, le=5000
        ),
    ] = 90.0
    seed: Annotated[
        bool, key("", "long, short: take at the start what the cells beyond the price sell (buy back).")
    ] = True
    reseed: Annotated[bool, key("", "Take it again whenever the grid has become flat inside its range.")] = False
    seed_slippage_bps: Annotated[
        Decimal, key("bps", "Cap of a seeding, a flattening and a stop loss, from the touch.", gt=0, le=1000)
    ] = Decimal(10)
    activate_above_px: Annotated[float | None, key("quote currency", "Begin once mid is at or above.", gt=0)] = None
    activate_below_px: Annotated[float | None, key("quote currency", "Begin once mid is at or below.", gt=0)] = None
    out_of_range: Annotated[
        OutOfRange,
        key(
            "",
            "hold: wait; stop: withdraw the orders and ask; flatten: close the position besides; trail: follow with the "
            "lines; recentre: lay the grid around the price anew.",
        ),
    ] = "hold"
    out_of_range_s: Annotated[
        float, key("s", "Mid has to be out of the range for so long before that.", ge=0, le=86_400)
    ] = 60.0
    refresh_interval_s: Annotated[float, key("s", "Looks at itself at least this often.", ge=0.1, le=60)] = 1.0

    def problems(self) -> Sequence[str]:
        found = []
        if (self.lower_px is None) != (self.upper_px is None):
            found.append("lower_px and upper_px: give both or neither")
        if self.lower_px is not None and self.upper_px is not None and self.lower_px >= self.upper_px:
            found.append(f"lower_px = {self.lower_px:g}: must be less than upper_px = {self.upper_px:g}")
        if self.lower_px is not None and self.spacing == "volatility":
            found.append("lower_px and upper_px: spacing volatility finds its own range; give neither")
        if self.lower_px is not None and self.out_of_range == "recentre":
            found.append("out_of_range = 'recentre': needs width_bps instead of lower_px and upper_px")
        above, below = self.activate_above_px, self.activate_below_px
        if above is not None and below is not None and above > below:
            found.append(f"activate_above_px = {above:g}: must not be above activate_below_px = {below:g}")
        return found
