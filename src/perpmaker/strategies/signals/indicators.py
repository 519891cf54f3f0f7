"""Bollinger bands, RSI, ATR, ADX and Choppiness, one bar at a time in constant time and memory.

Values equal TA-Lib's (BBANDS with a simple average, RSI, ATR, ADX; Choppiness by its formula on TRANGE, MAX and MIN), from
the same bar on: `value` is None while TA-Lib's is not defined. An indicator is plain data with slots, which makes it
fast, and its state can be written down and read back (`msgspec.json`).

Sources: Bollinger (2001), "Bollinger on Bollinger Bands"; Wilder (1978), "New Concepts in Technical Trading Systems"
(RSI, ATR, ADX); Choppiness: E. W. Dreiss, 100 log10(sum of true ranges / (highest - lowest)) / log10(period).
"""

# ruff: noqa: FURB136 (a call of max or min costs more than the rest of a line; backtests feed bars by the million)

from __future__ import annotations

from dataclasses import dataclass, field
from math import log10, sqrt
from typing import Final

_NOTHING: Final = 1e-14
"""Below it a sum of moves is rounding."""


@dataclass(slots=True)
class Bollinger:
    """Mean of the last `period` closes and `width` standard deviations (of the population) on both sides of it.

    The sums are of distances from a reference close and are taken anew once a period, so that nothing drifts.
    """

    period: int = 20
    width: float = 2.0
    value: float | None = None
    """The middle band."""
    lower: float = 0.0
    upper: float = 0.0
    closes: list[float] = field(default_factory=list)
    place: int = 0
    reference: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def update(self, high: float, low: float, close: float) -> None:
        closes, place = self.closes, self.place
        if len(closes) < self.period:
            closes.append(close)
            if len(closes) == self.period:
                self._sum_anew()
        else:
            reference = self.reference
            old, new = closes[place] - reference, close - reference
            closes[place] = close
            self.total += new - old
            self.squares += new * new - old * old
            place += 1
            if place == self.period:
                place = 0
                self._sum_anew()
            self.place = place
        if len(closes) == self.period:
            mean = self.total / self.period
            variance = self.squares / self.period - mean * mean
            far = self.width * sqrt(variance) if variance > 0 else 0.0
            self.value = middle = self.reference + mean
            self.lower = middle - far
            self.upper = middle + far

    def _sum_anew(self) -> None:
        self.reference = reference = sum(self.closes) / self.period
        moves = [close - reference for close in self.closes]
        self.total = sum(moves)
        self.squares = sum([move * move for move in moves])


@dataclass(slots=True)
class Rsi:
    """Wilder's relative strength index, 0 to 100.

    In a market that does not move at all it is 0, as TA-Lib has it; `has_moved` tells that from oversold.
    """

    period: int = 14
    value: float | None = None
    seen: int = 0
    close: float = 0.0
    gain: float = 0.0
    loss: float = 0.0

    @property
    def has_moved(self) -> bool:
        return self.gain + self.loss > _NOTHING

    def update(self, high: float, low: float, close: float) -> None:
        move = close - self.close
        self.close = close
        period = self.period
        if self.value is not None:
            kept = period - 1
            if move > 0:
                self.gain = gain = (self.gain * kept + move) / period
                self.loss = loss = self.loss * kept / period
            else:
                self.gain = gain = self.gain * kept / period
                self.loss = loss = (self.loss * kept - move) / period
            both = gain + loss
            self.value = 100.0 * gain / both if both > 0 else 0.0
            return
        self.seen += 1
        if self.seen == 1:
            return
        if move > 0:
            self.gain += move
        else:
            self.loss -= move
        if self.seen > period:
            self.gain /= period
            self.loss /= period
            both = self.gain + self.loss
            self.value = 100.0 * self.gain / both if both > 0 else 0.0


@dataclass(slots=True)
class Atr:
    """Wilder's average true range, in price units."""

    period: int = 14
    value: float | None = None
    seen: int = 0
    close: float = 0.0
    total: float = 0.0

    def update(self, high: float, low: float, close: float) -> None:
        before = self.close
        self.close = close
        if self.value is not None:
            span = (high if high > before else before) - (low if low < before else before)
            self.value = (self.value * (self.period - 1) + span) / self.period
            return
        self.seen += 1
        if self.seen == 1:
            return
        self.total += max(high, before) - min(low, before)
        if self.seen > self.period:
            self.value = self.total / self.period


@dataclass(slots=True)
class Adx:
    """Wilder's average directional index, 0 to 100: how strong a trend is, whichever way it goes.

    `plus` and `minus` are the smoothed directional moves, `span` the smoothed true range; as in TA-Lib the first of them
    sum over one bar less than the period, and the first value averages as many directional indices as the period has bars.
    """

    period: int = 14
    value: float | None = None
    seen: int = 0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    plus: float = 0.0
    minus: float = 0.0
    span: float = 0.0
    total: float = 0.0

    def update(self, high: float, low: float, close: float) -> None:
        before, up, down, period = self.close, high - self.high, self.low - low, self.period
        self.high, self.low, self.close = high, low, close
        seen = self.seen
        if seen < 2 * period:
            self.seen = seen = seen + 1
            if seen == 1:
                return
        plus, minus, span = self.plus, self.minus, self.span
        if seen > period:
            plus -= plus / period
            minus -= minus / period
            span -= span / period
        if down > 0 and up < down:
            minus += down
        elif up > 0 and up > down:
            plus += up
        span += (high if high > before else before) - (low if low < before else before)
        self.plus, self.minus, self.span = plus, minus, span
        if seen > period:
            both = plus + minus
            if span > 0 and both > 0:
                index = 100.0 * abs(plus - minus) / both
                if self.value is not None:
                    self.value = (self.value * (period - 1) + index) / period
                    return
                self.total += index
            if seen == 2 * period and self.value is None:
                self.value = self.total / period


@dataclass(slots=True)
class Choppiness:
    """100 log10(sum of true ranges / (highest high - lowest low)) / log10(period) over the last `period` bars.

    Near 100 the market goes nowhere at great effort, near 0 it goes straight. Without any range it is 100.
    """

    period: int = 14
    value: float | None = None
    close: float = 0.0
    highs: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    spans: list[float] = field(default_factory=list)
    place: int = -1
    total: float = 0.0
    highest: float = 0.0
    lowest: float = 0.0

    def update(self, high: float, low: float, close: float) -> None:
        before, place = self.close, self.place
        self.close = close
        if place < 0:  # the first bar has no true range
            self.place = 0
            return
        span = (high if high > before else before) - (low if low < before else before)
        highs, lows, spans, period = self.highs, self.lows, self.spans, self.period
        if len(spans) < period:
            highs.append(high)
            lows.append(low)
            spans.append(span)
            if len(spans) < period:
                return
            self.total = sum(spans)
            self.highest, self.lowest = max(highs), min(lows)
        else:
            gone_high, gone_low = highs[place], lows[place]
            total = self.total + (span - spans[place])
            highs[place], lows[place], spans[place] = high, low, span
            if high >= self.highest:
                self.highest = high
            elif gone_high == self.highest:
                self.highest = max(highs)
            if low <= self.lowest:
                self.lowest = low
            elif gone_low == self.lowest:
                self.lowest = min(lows)
            place += 1
            if place == period:
                place = 0
                total = sum(spans)
            self.place, self.total = place, total
        reach = self.highest - self.lowest
        # within the window the sum is never less than the reach, but for rounding
        self.value = 100.0 * log10(self.total / reach) / log10(period) if reach > 0 else 100.0
