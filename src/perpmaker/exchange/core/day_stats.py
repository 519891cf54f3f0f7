"""Twenty-four hours of trading in minute buckets: volumes by taker side, open, high and low."""

from __future__ import annotations

from collections import deque

from perpmaker.exchange.core.candles import MINUTE_NS
from perpmaker.exchange.core.types import Side

DAY_NS = 1_440 * MINUTE_NS


class _Minute:
    __slots__ = ("buy_lots", "buy_nano", "high", "low", "open", "open_ns", "sell_lots", "sell_nano")

    def __init__(self, open_ns: int, px_ticks: int) -> None:
        self.open_ns = open_ns
        self.open = self.high = self.low = px_ticks
        self.buy_lots = self.buy_nano = self.sell_lots = self.sell_nano = 0


class DayStats:
    """Sums over the last 24 hours, to the minute; prices in ticks, None before the first trade."""

    def __init__(self) -> None:
        self._minutes: deque[_Minute] = deque()
        self._closed_range: tuple[int, int] | None = None
        self.buy_lots = self.buy_nano = self.sell_lots = self.sell_nano = 0

    def add(self, now_ns: int, side: Side, px_ticks: int, lots: int, nano: int) -> None:
        """Count one trade; `side` is the taker's."""
        open_ns = now_ns // MINUTE_NS * MINUTE_NS
        if not self._minutes or self._minutes[-1].open_ns != open_ns:
            self.roll(now_ns)
            self._minutes.append(_Minute(open_ns, px_ticks))
            self._closed_range = None
        minute = self._minutes[-1]
        minute.high = max(minute.high, px_ticks)
        minute.low = min(minute.low, px_ticks)
        if side is Side.BUY:
            minute.buy_lots += lots
            minute.buy_nano += nano
            self.buy_lots += lots
            self.buy_nano += nano
        else:
            minute.sell_lots += lots
            minute.sell_nano += nano
            self.sell_lots += lots
            self.sell_nano += nano

    def roll(self, now_ns: int) -> None:
        """Drop what is older than 24 hours."""
        while self._minutes and self._minutes[0].open_ns <= now_ns - DAY_NS:
            old = self._minutes.popleft()
            self.buy_lots -= old.buy_lots
            self.buy_nano -= old.buy_nano
            self.sell_lots -= old.sell_lots
            self.sell_nano -= old.sell_nano
            self._closed_range = None

    @property
    def open_ticks(self) -> int | None:
        return self._minutes[0].open if self._minutes else None

    @property
    def high_low_ticks(self) -> tuple[int, int] | None:
        if not self._minutes:
            return None
        running = self._minutes[-1]
        if self._closed_range is None:
            highs, lows = running.high, running.low
            for minute in self._minutes:
                highs = max(highs, minute.high)
                lows = min(lows, minute.low)
            self._closed_range = highs, lows
        high, low = self._closed_range
        return max(high, running.high), min(low, running.low)

    def rows(self) -> list[tuple[int, int, int, int, int, int, int, int]]:
        return [
            (m.open_ns, m.open, m.high, m.low, m.buy_lots, m.buy_nano, m.sell_lots, m.sell_nano) for m in self._minutes
        ]

    def load(self, rows: list[tuple[int, int, int, int, int, int, int, int]]) -> None:
        for open_ns, open_ticks, high, low, buy_lots, buy_nano, sell_lots, sell_nano in rows:
            minute = _Minute(open_ns, open_ticks)
            minute.high, minute.low = high, low
            minute.buy_lots, minute.buy_nano, minute.sell_lots, minute.sell_nano = (
                buy_lots,
                buy_nano,
                sell_lots,
                sell_nano,
            )
            self._minutes.append(minute)
            self.buy_lots += buy_lots
            self.buy_nano += buy_nano
            self.sell_lots += sell_lots
            self.sell_nano += sell_nano
        self._closed_range = None
