"""Candles from trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perpmaker.model.events import Bar, Trade
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S

MAX_GAP: Final = 1440
"""Intervals without a trade that are filled in; a day of minutes."""


class CandleBuilder:
    """Builds bars of `interval_s` seconds by the venue's time; intervals begin at multiples of it in UTC.

    A bar is finished by the first trade of a later interval, or by `advance` once its end has passed. An interval without
    trades repeats the last close with volume 0; after more than `MAX_GAP` of them the series begins anew. Trades
    replayed at a subscription count like others, each trade id once. A trade that belongs to a finished bar is only
    counted in `late_trades`.
    """

    def __init__(self, instrument: Instrument, interval_s: int) -> None:
        if interval_s <= 0:
            raise ValueError(f"a bar must last at least one second, not {interval_s}")
        self.late_trades = 0
        self._instrument = instrument
        self._interval_s = interval_s
        self._interval_ns = interval_s * NS_PER_S
        self._numerator, self._denominator = instrument.tick.as_integer_ratio()
        self._open_ns = 0
        self._open = self._high = self._low = self._close = 0
        """In ticks."""
        self._volume_lots = self._trades = 0
        self._ids: set[str] = set()
        """Trade ids in the bar in the making."""

    def seed(self, bar: Bar) -> None:
        """Start from a finished bar of the venue, so that the series joins it without a hole.

        Ignored when the series has come further, so that a warm-up that answers late does no harm.
        """
        begin_ns = bar.open_ns + self._interval_ns
        if bar.interval_s != self._interval_s or begin_ns <= self._open_ns:
            return
        if self._open_ns and self._trades:
            return
        self._begin(begin_ns, round(bar.close * self._denominator / self._numerator))

    def on_trade(self, trade: Trade) -> Sequence[Bar]:
        """Take in a trade; returns the bars it finished, oldest first."""
        begin_ns = trade.ts_event_ns - trade.ts_event_ns % self._interval_ns
        if self._open_ns == 0:
            self._begin(begin_ns, trade.px_ticks)
        elif begin_ns < self._open_ns:
            self.late_trades += 1
            return ()
        bars = self._finish_until(begin_ns, trade.ts_recv_ns)
        if trade.trade_id in self._ids:
            return bars
        self._ids.add(trade.trade_id)
        ticks = trade.px_ticks
        if self._trades == 0:
            self._open = self._high = self._low = ticks
        self._high, self._low, self._close = max(self._high, ticks), min(self._low, ticks), ticks
        self._volume_lots += trade.qty_lots
        self._trades += 1
        return bars

    def advance(self, now_ns: int) -> Sequence[Bar]:
        """Finish bars whose end has passed at `now_ns`, venue time as well as known."""
        if self._open_ns == 0:
            return ()
        return self._finish_until(now_ns - now_ns % self._interval_ns, now_ns)

    @property
    def end_ns(self) -> int:
        """When the bar in the making ends; 0 before the first trade."""
        return self._open_ns + self._interval_ns if self._open_ns else 0

    def _finish_until(self, begin_ns: int, ts_recv_ns: int) -> list[Bar]:
        bars: list[Bar] = []
        if (begin_ns - self._open_ns) // self._interval_ns > MAX_GAP:
            if self._trades:
                bars.append(self._bar(ts_recv_ns))
            self._begin(begin_ns, self._close)
        while self._open_ns < begin_ns:
            bars.append(self._bar(ts_recv_ns))
            self._begin(self._open_ns + self._interval_ns, self._close)
        return bars

    def _begin(self, open_ns: int, ticks: int) -> None:
        self._open_ns = open_ns
        self._open = self._high = self._low = self._close = ticks
        self._volume_lots = self._trades = 0
        self._ids.clear()

    def _px(self, ticks: int) -> float:
        return ticks * self._numerator / self._denominator

    def _bar(self, ts_recv_ns: int) -> Bar:
        return Bar(
            instrument=self._instrument.instrument_id,
            interval_s=self._interval_s,
            open_ns=self._open_ns,
            open=self._px(self._open),
            high=self._px(self._high),
            low=self._px(self._low),
            close=self._px(self._close),
            volume=float(self._instrument.lot * self._volume_lots),
            trades=self._trades,
            ts_recv_ns=ts_recv_ns,
        )
