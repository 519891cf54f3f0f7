"""Where the lines of a grid are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.strategies.grid.params import GridParams


def wanted_lines(params: GridParams, mid: float, sigma: float | None) -> list[float]:
    """Return the lines from the lowest up, in quote units, `count` + 1 of them.

    `sigma` is a fraction per square-root second, needed for spacing volatility alone. Line number n of N is at
    u = (n / N) ** 2 ** density of the way, in price (arithmetic) or in its logarithm.
    """
    lower, upper = _range(params, mid, sigma)
    bent = 2.0**params.density
    shares = [(number / params.count) ** bent for number in range(params.count + 1)]
    if params.spacing == "arithmetic":
        return [lower + share * (upper - lower) for share in shares]
    return [lower * (upper / lower) ** share for share in shares]


def _range(params: GridParams, mid: float, sigma: float | None) -> tuple[float, float]:
    if params.lower_px is not None and params.upper_px is not None:
        return params.lower_px, params.upper_px
    centre = params.centre_px or mid
    if params.spacing == "arithmetic":
        half = centre * params.width_bps / 2e4
        return centre - half, centre + half
    growth = math.log1p(params.width_bps / 1e4)
    if params.spacing == "volatility":
        if sigma is None:
            raise ValueError("spacing volatility needs sigma")
        growth = params.count * params.volatility_mult * sigma * math.sqrt(params.volatility_s)
    return centre * math.exp(-growth / 2), centre * math.exp(growth / 2)


def on_ticks(lines: Sequence[float], instrument: Instrument) -> list[Decimal]:
    """Return the lines on the nearest ticks."""
    return [instrument.round_px(line + float(instrument.tick) / 2, Side.BUY) for line in lines]


def narrowest_bps(lines: Sequence[Decimal]) -> float:
    """Return the narrowest step, in bps of its lower line; 0 or less when two lines fall together."""
    return min(float((upper - lower) / lower) for lower, upper in pairwise(lines)) * 1e4
