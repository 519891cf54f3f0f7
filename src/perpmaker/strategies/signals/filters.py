"""What a regime filter is: one bar in, a regime and perhaps a signal out.

Adding one is a file of its own (an indicator, thresholds as a `Table` with `make`) and one line in `registry.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from perpmaker.model.events import Bar
from perpmaker.model.order import Side


class Regime(enum.Enum):
    """What kind of market it is."""

    NEUTRAL = "neutral"
    RANGING = "ranging"
    TRENDING = "trending"
    VOLATILE = "volatile"


class FilterReading(msgspec.Struct, frozen=True):
    """What a filter makes of the bars so far. `signal` BUY: the price is low; SELL: it is high. `shown` is for people."""

    regime: Regime
    signal: Side | None
    shown: Mapping[str, float]


class RegimeFilter(Protocol):
    def update(self, bar: Bar) -> FilterReading | None:
        """Take in the next finished bar; None while too few bars were seen."""
        ...


EVERYTHING: Final = frozenset({"signal", "trending", "ranging", "volatile"})
"""What a filter may say. Its table may name in `SAYS` what it ever does, so that keys about the rest are told as inert."""
