"""What a report is made of: one strategy's life on one tape, under one or several fill models. Plain arrays, no opinions.

Whoever has run something (a backtest, a paper session) fills these in; `report` and `tuning` read them. Times are UTC
nanoseconds by our clock and never fall; money is in the account's currency, prices in quote currency, quantities in base
units (signed where they are positions). `nan` stands for "not known" and "none there".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from perpmaker.errors import DataError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

CAUSES: Final = ("spread", "adverse", "inventory", "fees", "funding")
"""As `portfolio.attribution` splits PnL; here all are gains, so that fees paid are below zero and the five sum up."""
BAND: Final = ("pessimistic", "queue", "optimistic")
"""Fill models from the worst for us to the best; the middle one is the result, the others say how sure it is."""


@dataclass(frozen=True, eq=False)
class Quotes:
    """Our best resting prices as they were sampled; nan where there was none on a side."""

    ts_ns: Times
    bid_px: Floats
    ask_px: Floats


@dataclass(frozen=True, eq=False)
class Fills:
    """Executions, oldest first. `side` is 1 for a buy, -1 for a sell; `fee` > 0 is a cost."""

    ts_ns: Times
    side: Floats
    px: Floats
    qty: Floats
    fee: Floats
    is_maker: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ts_ns)

    @property
    def notional(self) -> Floats:
        return self.px * self.qty


@dataclass(frozen=True, eq=False)
class Market:
    """One instrument in one run. `mid_px` is without our own orders; `position` holds from its time to the next."""

    instrument: str
    mid_ns: Times
    mid_px: Floats
    position_ns: Times
    position_qty: Floats
    fills: Fills
    quotes: Quotes

    @property
    def notional(self) -> float:
        """Traded, buys and sells."""
        return float(np.sum(self.fills.notional))


@dataclass(frozen=True)
class OrderCounts:
    """What was asked of the venue."""

    orders: int = 0
    filled: int = 0
    """Orders with any fill."""
    refused: int = 0
    """By the risk gate or the venue."""
    canceled: int = 0
    ordered_notional: float = 0.0
    """Each order's price times size."""
    filled_notional: float = 0.0
    """Of those orders, at their own prices."""


@dataclass(frozen=True, eq=False)
class Run:
    """What came of it under one fill model. `causes` are cumulative on the times of the equity, each starting at 0."""

    fill_model: str
    digest: str
    """Hash over the result's integers, which a second run reproduces."""
    ts_ns: Times
    equity: Floats
    causes: Mapping[str, Floats]
    markets: tuple[Market, ...]
    orders: OrderCounts = OrderCounts()
    liquidations: int = 0

    def __post_init__(self) -> None:
        if len(self.ts_ns) != len(self.equity) or any(
            len(values) != len(self.ts_ns) for values in self.causes.values()
        ):
            raise DataError(f"the {self.fill_model} run has an equity and causes of different lengths")
        if len(self.ts_ns) < 2 or bool(np.any(np.diff(self.ts_ns) < 0)):
            raise DataError(f"the {self.fill_model} run needs an equity of two samples or more, in order of time")

    @property
    def pnl(self) -> float:
        return float(self.equity[-1] - self.equity[0])

    @property
    def notional(self) -> float:
        """Traded, buys and sells, of all markets."""
        return sum(market.notional for market in self.markets)


@dataclass(frozen=True, eq=False)
class Results:
    """A result with everything without which it is none: tape, models, seed, hash."""

    title: str
    kind: str
    """What produced it: "backtest", "paper"."""
    tape: str
    """Names what was played; "live" for a paper session."""
    fingerprint: str
    """Names the tape's content; "" for a live feed."""
    from_ns: int
    to_ns: int
    currency: str
    seed: int | None
    models: Mapping[str, str]
    """Latency, queue, fees, funding and what else was assumed, in words, by name."""
    runs: tuple[Run, ...]
    config: Mapping[str, str] = field(default_factory=dict)
    """Keys of the strategies that differ from their defaults, in words."""
    remarks: tuple[str, ...] = ()
    """What a reader has to know about the data: gaps, made-up marks, shifted clocks."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise DataError("a result needs a run")
        if self.to_ns <= self.from_ns:
            raise DataError("a result needs a beginning before its end")

    @property
    def main(self) -> Run:
        """The run that is the result: `queue` when it is there, else the first."""
        return next((run for run in self.runs if run.fill_model == BAND[1]), self.runs[0])

    @property
    def seconds(self) -> float:
        return (self.to_ns - self.from_ns) / 1e9

    def band(self) -> tuple[Run, ...]:
        """The runs in the order of `BAND`, those of other models after them."""
        place = {name: number for number, name in enumerate(BAND)}
        return tuple(sorted(self.runs, key=lambda run: place.get(run.fill_model, len(place))))
