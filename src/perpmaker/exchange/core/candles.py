"""Candles of one instrument and price type, all intervals at once.

Only the running minute is touched by each update; a finished minute is folded into the eighteen intervals. A minute
without updates is a flat candle at the last close.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from perpmaker.exchange.core.types import Candle, CandleInterval, Page

MINUTE_NS = 60_000_000_000
_DAY = 1_440
_WEEK = 10_080
_MONDAY_NS = 4 * _DAY * MINUTE_NS
"""1970-01-05, a Monday: weeks start there."""
_MAX_IDLE_MINUTES = 2 * _DAY

INTERVAL_NS = {
    CandleInterval.CI_1_M: MINUTE_NS,
    CandleInterval.CI_3_M: 3 * MINUTE_NS,
    CandleInterval.CI_5_M: 5 * MINUTE_NS,
    CandleInterval.CI_15_M: 15 * MINUTE_NS,
    CandleInterval.CI_30_M: 30 * MINUTE_NS,
    CandleInterval.CI_1_H: 60 * MINUTE_NS,
    CandleInterval.CI_2_H: 120 * MINUTE_NS,
    CandleInterval.CI_4_H: 240 * MINUTE_NS,
    CandleInterval.CI_6_H: 360 * MINUTE_NS,
    CandleInterval.CI_8_H: 480 * MINUTE_NS,
    CandleInterval.CI_12_H: 720 * MINUTE_NS,
    CandleInterval.CI_1_D: _DAY * MINUTE_NS,
    CandleInterval.CI_3_D: 3 * _DAY * MINUTE_NS,
    CandleInterval.CI_5_D: 5 * _DAY * MINUTE_NS,
    CandleInterval.CI_1_W: _WEEK * MINUTE_NS,
    CandleInterval.CI_2_W: 2 * _WEEK * MINUTE_NS,
    CandleInterval.CI_3_W: 3 * _WEEK * MINUTE_NS,
    CandleInterval.CI_4_W: 4 * _WEEK * MINUTE_NS,
}


def open_time_ns(interval: CandleInterval, now_ns: int) -> int:
    """When the candle that holds `now_ns` opened: whole intervals of the Unix epoch, weeks from Monday."""
    length = INTERVAL_NS[interval]
    origin = _MONDAY_NS if interval >= CandleInterval.CI_1_W else 0
    return (now_ns - origin) // length * length + origin


class _Bar:
    __slots__ = ("close", "high", "lots", "low", "nano", "open", "open_ns", "trades")

    def __init__(self, open_ns: int, px_nano: int) -> None:
        self.open_ns = open_ns
        self.open = self.high = self.low = self.close = px_nano
        self.lots = self.nano = self.trades = 0

    def fold(self, later: _Bar) -> None:
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.nano += later.nano
        self.trades += later.trades

    def copy_from(self, open_ns: int) -> _Bar:
        copy = _Bar(open_ns, self.open)
        copy.fold(self)
        return copy


class Candles:
    def __init__(self, instrument: str, keep: int) -> None:
        self.instrument = instrument
        self._minute: _Bar | None = None
        self._running: dict[CandleInterval, _Bar] = {}
        self._done: dict[CandleInterval, deque[Candle]] = {interval: deque(maxlen=keep) for interval in CandleInterval}

    def update(self, now_ns: int, px_nano: int, *, lots: int = 0, nano: int = 0, trades: int = 0) -> None:
        self.roll(now_ns)
        minute = self._minute
        if minute is None:
            minute = self._minute = _Bar(now_ns // MINUTE_NS * MINUTE_NS, px_nano)
        if not minute.trades and trades:
            minute.open = minute.high = minute.low = px_nano
        minute.high = max(minute.high, px_nano)
        minute.low = min(minute.low, px_nano)
        minute.close = px_nano
        minute.lots += lots
        minute.nano += nano
        minute.trades += trades

    def roll(self, now_ns: int) -> None:
        """Finish the minutes that ended up to `now_ns`."""
        minute = self._minute
        if minute is None or now_ns < minute.open_ns + MINUTE_NS:
            return
        if now_ns - minute.open_ns > _MAX_IDLE_MINUTES * MINUTE_NS:
            self._finish_minute(minute)
            self._finish_running()
            minute = self._minute = _Bar(now_ns // MINUTE_NS * MINUTE_NS, minute.close)
        while now_ns >= minute.open_ns + MINUTE_NS:
            self._finish_minute(minute)
            minute = self._minute = _Bar(minute.open_ns + MINUTE_NS, minute.close)

    def page(
        self, interval: CandleInterval, *, start_ns: int, end_ns: int | None, before: int | None, limit: int
    ) -> Page[Candle]:
        """Newest first, by open time; `before` is the open time of the last row of the page before."""
        found: list[Candle] = []
        for candle in self._newest_first(interval):
            if candle.open_ns < start_ns:
                break
            if (end_ns is not None and candle.open_ns > end_ns) or (before is not None and candle.open_ns >= before):
                continue
            if len(found) == limit:
                return Page(tuple(found), found[-1].open_ns)
            found.append(candle)
        return Page(tuple(found), None)

    def rows(self) -> list[tuple[CandleInterval, list[Candle]]]:
        """Everything, running candles included, for a state file."""
        return [(interval, list(self._newest_first(interval))[::-1]) for interval in CandleInterval]

    def load(self, rows: list[tuple[CandleInterval, list[Candle]]]) -> None:
        """Take over `rows()`; the last one of each interval goes on running."""
        for interval, candles in rows:
            if not candles:
                continue
            self._done[interval].extend(candles[:-1])
            running = candles[-1]
            bar = _Bar(running.open_ns, running.open_nano)
            bar.high, bar.low, bar.close = running.high_nano, running.low_nano, running.close_nano
            bar.lots, bar.nano, bar.trades = running.volume_lots, running.volume_nano, running.trades
            if interval is CandleInterval.CI_1_M:
                self._minute = bar
            else:
                self._running[interval] = bar
        self._unfold_minute()

    def _unfold_minute(self) -> None:
        """A loaded running candle holds the running minute already: count its volume once."""
        minute = self._minute
        if minute is None:
            return
        for bar in self._running.values():
            bar.lots -= minute.lots
            bar.nano -= minute.nano
            bar.trades -= minute.trades

    def _newest_first(self, interval: CandleInterval) -> Iterator[Candle]:
        running = self._running_candle(interval)
        if running is not None:
            yield running
        yield from reversed(self._done[interval])

    def _running_candle(self, interval: CandleInterval) -> Candle | None:
        minute = self._minute
        if minute is None:
            return None
        if interval is CandleInterval.CI_1_M:
            return self._candle(interval, minute)
        open_ns = open_time_ns(interval, minute.open_ns)
        before = self._running.get(interval)
        if before is None or before.open_ns != open_ns:
            return self._candle(interval, minute.copy_from(open_ns))
        whole = before.copy_from(open_ns)
        whole.fold(minute)
        return self._candle(interval, whole)

    def _finish_minute(self, minute: _Bar) -> None:
        self._done[CandleInterval.CI_1_M].append(self._candle(CandleInterval.CI_1_M, minute))
        end_ns = minute.open_ns + MINUTE_NS
        for interval in CandleInterval:
            if interval is CandleInterval.CI_1_M:
                continue
            open_ns = open_time_ns(interval, minute.open_ns)
            running = self._running.get(interval)
            if running is not None and running.open_ns != open_ns:
                self._done[interval].append(self._candle(interval, running))
                running = None
            if running is None:
                running = self._running[interval] = minute.copy_from(open_ns)
            else:
                running.fold(minute)
            if end_ns >= open_ns + INTERVAL_NS[interval]:
                self._done[interval].append(self._candle(interval, running))
                del self._running[interval]

    def _finish_running(self) -> None:
        """Close every longer candle: after a long silence they start afresh."""
        for interval, running in self._running.items():
            self._done[interval].append(self._candle(interval, running))
        self._running.clear()

    def _candle(self, interval: CandleInterval, bar: _Bar) -> Candle:
        return Candle(
            instrument=self.instrument,
            open_ns=bar.open_ns,
            close_ns=bar.open_ns + INTERVAL_NS[interval],
            open_nano=bar.open,
            high_nano=bar.high,
            low_nano=bar.low,
            close_nano=bar.close,
            volume_lots=bar.lots,
            volume_nano=bar.nano,
            trades=bar.trades,
        )
