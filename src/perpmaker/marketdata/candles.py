"""Candles from trades."""

from __future__ import annotations

from collections.abc import Sequence

from perpmaker.model.events import Bar, Trade
from perpmaker.model.instrument import Instrument


class CandleBuilder:
    """Builds bars of `interval_s` seconds by the venue's time; intervals begin at multiples of it in UTC.

    A bar is finished by the first trade of a later interval, or by `advance` once its end has passed. An interval without
    trades repeats the last close with volume 0; after more than `MAX_GAP` of them the series begins anew. Replayed
    trades count. A trade that belongs to a finished bar is only counted in `late_trades`.
    """

    late_trades: int

    def __init__(self, instrument: Instrument, interval_s: int) -> None:
        raise NotImplementedError

    def seed(self, bar: Bar) -> None:
        """Start from a finished bar of the venue, so that the series joins it without a hole."""
        raise NotImplementedError

    def on_trade(self, trade: Trade) -> Sequence[Bar]:
        """Take in a trade; returns the bars it finished, oldest first."""
        raise NotImplementedError

    def advance(self, now_ns: int) -> Sequence[Bar]:
        """Finish bars whose end has passed at `now_ns`, venue time as well as known."""
        raise NotImplementedError

    @property
    def end_ns(self) -> int:
        """When the bar in the making ends; 0 before the first trade."""
        raise NotImplementedError
