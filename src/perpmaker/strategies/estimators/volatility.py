"""Sigma by the clock, not by the tick: an EWMA of one-second moves and one-minute ranges, the larger."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from typing import Final, Literal

import msgspec

from perpmaker.model.units import NS_PER_S

_SAMPLE_NS = NS_PER_S
_BAR_NS = 60 * NS_PER_S
_BARS = 5
_MOVES: Final = 60
_TICK_RETURNS: Final = 20
_ATR_BARS: Final = 14
_MEAN_RANGE_OF_A_MINUTE: Final = math.sqrt(8 * 60 / math.pi)
_MAX_GAP_NS = 5 * NS_PER_S
"""A longer silence says nothing about how the price moved, so the sample and the bar across it are dropped."""

SigmaSource = Literal["larger", "ewma", "range", "stdev", "atr"]

SIGMA_FLOOR = 5e-6
"""0.05 bps per square-root second: below any traded market, above zero, so that nothing is divided by zero."""


class Sigma(msgspec.Struct, frozen=True):
    """Standard deviation of returns as a fraction per square-root second, and the two estimates it is the larger of.

    `typical` is its slow average. Times fair it is quote units per square-root second.
    """

    sigma: float
    typical: float
    ewma: float
    parkinson: float | None


class VolatilityEstimator:
    """Keeps sigma from prices with their receive times.

    The EWMA is of squared log moves of one second, divided by the time they really took, weights halving every
    `half_life_s`. The ranges are Parkinson's (1980, Journal of Business 53(1), 61-65): ln(high / low)**2 / (4 ln 2) is the
    variance of the bar, averaged over the last five one-minute bars. The range sees what the one-second moves miss
    (trends and jumps inside a second); the EWMA sees a change at once.

    `source` chooses: larger is the larger of these two; ewma and range one of them; stdev the standard deviation of the
    last 60 one-second moves; atr the mean true range of the last 14 one-minute bars, divided by sqrt(8 * 60 / pi), the
    mean range of a walk of one per square-root second (Feller 1951, Annals of Mathematical Statistics 22(3), 427-432).
    """

    def __init__(self, *, half_life_s: float, typical_half_life_s: float, source: SigmaSource = "larger") -> None:
        self._source = source
        self._moves: deque[float] = deque(maxlen=_MOVES)
        self._true_ranges: deque[float] = deque(maxlen=_ATR_BARS)
        self._close = 0.0
        self._decay_per_s = math.log(2) / half_life_s
        self._typical_decay_per_s = math.log(2) / typical_half_life_s
        self._variance = 0.0
        self._weight = 0.0
        self._typical_variance = 0.0
        self._typical_weight = 0.0
        self._bars: deque[float] = deque(maxlen=_BARS)
        self._last_ns = 0
        self._observed_ns = 0
        self._sample_ns = 0
        self._sample_px = 0.0
        self._bar_ns = 0
        self._high = 0.0
        self._low = 0.0

    @property
    def observed_s(self) -> float:
        """How long prices were seen, silences left out."""
        return self._observed_ns / NS_PER_S

    def update(self, now_ns: int, px: float) -> None:
        """Take a price > 0 seen at `now_ns`."""
        if not self._last_ns or now_ns - self._last_ns > _MAX_GAP_NS:
            self._begin(now_ns, px)
            return
        self._observed_ns += now_ns - self._last_ns
        self._last_ns = now_ns
        if px > self._high:
            self._high = px
        elif px < self._low:
            self._low = px
        if now_ns - self._sample_ns >= _SAMPLE_NS:
            self._take_sample(now_ns, px)
        if now_ns - self._bar_ns >= _BAR_NS:
            self._close_bar(now_ns, px)

    def sigma(self) -> Sigma | None:
        """Return the estimate, or None before the first second is over."""
        if not self._weight:
            return None
        typical = math.sqrt(self._typical_variance / self._typical_weight)
        return Sigma(
            sigma=max(self._chosen(), SIGMA_FLOOR),
            typical=max(typical, SIGMA_FLOOR),
            ewma=self._ewma(),
            parkinson=self._parkinson(),
        )

    def _ewma(self) -> float:
        return math.sqrt(self._variance / self._weight)

    def _parkinson(self) -> float | None:
        return math.sqrt(sum(self._bars) / len(self._bars)) if self._bars else None

    def _chosen(self) -> float:
        """Return sigma by its source, or the EWMA while that has seen too little."""
        ewma, parkinson = self._ewma(), self._parkinson()
        if self._source == "larger":
            return max(ewma, parkinson or 0.0)
        if self._source == "range" and parkinson is not None:
            return parkinson
        if self._source == "stdev" and len(self._moves) > 1:
            return _deviation(self._moves, len(self._moves))
        if self._source == "atr" and self._true_ranges:
            return sum(self._true_ranges) / len(self._true_ranges) / _MEAN_RANGE_OF_A_MINUTE
        return ewma

    def _begin(self, now_ns: int, px: float) -> None:
        self._last_ns = self._sample_ns = self._bar_ns = now_ns
        self._sample_px = self._high = self._low = self._close = px

    def _take_sample(self, now_ns: int, px: float) -> None:
        seconds = (now_ns - self._sample_ns) / NS_PER_S
        move = math.log(px / self._sample_px)
        variance = move**2 / seconds
        self._moves.append(move / math.sqrt(seconds))
        self._sample_ns, self._sample_px = now_ns, px
        kept = math.exp(-self._decay_per_s * seconds)
        self._variance = kept * self._variance + (1 - kept) * variance
        self._weight = kept * self._weight + (1 - kept)
        self._average_slowly(seconds)

    def _average_slowly(self, seconds: float) -> None:
        sigma = self._chosen()
        kept = math.exp(-self._typical_decay_per_s * seconds)
        self._typical_variance = kept * self._typical_variance + (1 - kept) * sigma * sigma
        self._typical_weight = kept * self._typical_weight + (1 - kept)

    def _close_bar(self, now_ns: int, px: float) -> None:
        seconds = (now_ns - self._bar_ns) / NS_PER_S
        self._bars.append(math.log(self._high / self._low) ** 2 / (4 * math.log(2)) / seconds)
        true_range = math.log(max(self._high, self._close) / min(self._low, self._close))
        self._true_ranges.append(true_range / math.sqrt(seconds * NS_PER_S / _BAR_NS))
        self._close = px
        self._bar_ns, self._high, self._low = now_ns, px, px


class TickVolatility:
    """The original bot's sigma: the sample standard deviation of the last 20 log returns from one mid to the next.

    By ticks, not by the clock, and not scaled to any time; 0 before there are two returns.
    """

    def __init__(self) -> None:
        self._returns: deque[float] = deque(maxlen=_TICK_RETURNS)
        self._mid = 0.0

    @property
    def value(self) -> float:
        count = len(self._returns)
        return _deviation(self._returns, count - 1) if count > 1 else 0.0

    def update(self, mid: float) -> None:
        if self._mid:
            self._returns.append(math.log(mid / self._mid))
        self._mid = mid


def _deviation(values: Collection[float], freedom: int) -> float:
    """Return the root of the squared distances from the mean over `freedom`."""
    mean = sum(values) / len(values)
    return math.sqrt(sum([(value - mean) ** 2 for value in values]) / freedom)
