"""A and kappa by the clock: how deep trades reach past fair value in each interval, bids and asks apart.

A resting quote at distance d is filled when a trade reaches it, so what counts is how often an interval's deepest trade
reaches at least d (the exceedance), not how many trades print at d. Counting intervals instead of trades also makes one
large order that sweeps ten levels one event.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S

GRID_BPS: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
"""Distances from the interval's first mid at which exceedances are counted."""

_MIN_COUNT = 3
_MIN_LEVELS = 3
_MAX_MISSED_INTERVALS = 5

RATE_FLOOR = 0.01
"""Arrivals per second: an order a hundred seconds. Below it the formulas ask for absurd spreads."""
KAPPA_RANGE_PER_BPS: Final = (0.02, 10.0)
"""1 / kappa between 0.1 bps (finer than any tick matters) and 50 bps (further than anything is quoted)."""


class ArrivalFit(msgspec.Struct, frozen=True):
    """Trades reach a quote at distance d (bps) `rate * exp(-kappa_per_bps * d)` times a second.

    `r2` is the weighted fit's share of explained variance of the log rates, 1 is perfect; `levels` how many distances it
    used; `as_of_ns` when the newest trade in it arrived, which is its age.
    """

    rate: float
    kappa_per_bps: float
    r2: float
    levels: int
    intervals: int
    as_of_ns: int

    def age_s(self, now_ns: int) -> float:
        return (now_ns - self.as_of_ns) / NS_PER_S


class ArrivalEstimator:
    """Counts, over a rolling window of intervals, how deep trades reached on each side of the interval's first mid."""

    def __init__(self, *, interval_s: float, window_s: float) -> None:
        self._interval_ns = round(interval_s * NS_PER_S)
        self._interval_s = interval_s
        size = max(1, round(window_s / interval_s))
        self._sides = {Side.BUY: _Reach(size), Side.SELL: _Reach(size)}
        self._buy, self._sell = self._sides[Side.BUY], self._sides[Side.SELL]
        self._mid = 0.0
        self._start_mid = 0.0
        self._end_ns = 0

    def on_mid(self, now_ns: int, mid: float) -> None:
        """Take the mid of a whole, fresh book; it closes intervals that are over."""
        if self._end_ns and now_ns >= self._end_ns:
            self._close_intervals(now_ns)
        if not self._end_ns:
            self._end_ns = now_ns + self._interval_ns
            self._start_mid = mid
        self._mid = mid

    def on_trade(self, now_ns: int, px: float, aggressor: Side) -> None:
        """Take a trade; a selling aggressor reaches bids, a buying one asks. Ignored while no mid is known."""
        if self._end_ns and now_ns >= self._end_ns:
            self._close_intervals(now_ns)
        if not self._end_ns:
            return
        beyond = (px / self._start_mid - 1) * 1e4
        if aggressor is Side.BUY:
            self._sell.reach(beyond, now_ns)
        else:
            self._buy.reach(-beyond, now_ns)

    def on_gap(self) -> None:
        """Forget the running interval: the book or the trades were not seen throughout."""
        self._end_ns = 0
        self._buy.drop()
        self._sell.drop()

    def trades(self, side: Side) -> int:
        """Return how many trades reached towards quotes of `side` since the start."""
        return self._sides[side].trades

    def intervals(self, side: Side) -> int:
        """Return how many intervals the window holds for quotes of `side`."""
        return len(self._sides[side].window)

    def exceedances(self, side: Side) -> list[int]:
        """Return how many of them reached each distance of `GRID_BPS`."""
        return list(self._sides[side].counts)

    def fit(self, side: Side) -> ArrivalFit | None:
        """Return A and kappa for our quotes of `side`, or None while too few distances were reached."""
        reach = self._sides[side]
        return fit_exceedances(reach.counts, len(reach.window), self._interval_s, reach.last_trade_ns)

    def _close_intervals(self, now_ns: int) -> None:
        """Close what is over by `now_ns`; intervals tile time, so the present one began with the mid known until now."""
        over = 1 + (now_ns - self._end_ns) // self._interval_ns
        if over > _MAX_MISSED_INTERVALS:
            self.on_gap()
            return
        for _ in range(over):  # an interval without any event is evidence too: nothing arrived
            self._buy.close()
            self._sell.close()
        self._start_mid = self._mid
        self._end_ns += over * self._interval_ns


class _Reach:
    """One side: how many grid distances each interval of the window reached, and the counts per distance."""

    def __init__(self, size: int) -> None:
        self.window: deque[int] = deque()
        self.counts = [0] * len(GRID_BPS)
        self.trades = 0
        self.last_trade_ns = 0
        self._size = size
        self._reached = 0

    def reach(self, distance_bps: float, now_ns: int) -> None:
        self.trades += 1
        self.last_trade_ns = now_ns
        reached = bisect_right(GRID_BPS, distance_bps)
        self._reached = max(self._reached, reached)

    def close(self) -> None:
        self.window.append(self._reached)
        for level in range(self._reached):
            self.counts[level] += 1
        self._reached = 0
        if len(self.window) > self._size:
            for level in range(self.window.popleft()):
                self.counts[level] -= 1

    def drop(self) -> None:
        self._reached = 0


def fit_exceedances(counts: Sequence[int], intervals: int, interval_s: float, as_of_ns: int) -> ArrivalFit | None:
    """Fit ln(rate) = ln(A) - kappa * d to the counts at `GRID_BPS`, weighted; None below three usable distances.

    With Poisson arrivals an interval stays unreached with probability exp(-rate * interval), so
    rate = -ln(1 - count / intervals) / interval. By the delta method ln(rate) has the variance
    p / (n (1 - p) ln(1 - p)**2), p = count / n; its inverse is the weight. It fades both where hardly anything arrived and
    where every interval was reached. Distances reached fewer than three times are left out.
    """
    points: list[tuple[float, float, float]] = []
    for distance, count in zip(GRID_BPS, counts, strict=True):
        if count < _MIN_COUNT:
            break
        p = min(count / intervals, 1 - 0.5 / intervals)
        unreached = -math.log1p(-p)
        points.append((distance, math.log(unreached / interval_s), intervals * (1 - p) / p * unreached**2))
    if len(points) < _MIN_LEVELS:
        return None
    slope, intercept, r2 = _weighted_line(points)
    low, high = KAPPA_RANGE_PER_BPS
    return ArrivalFit(
        rate=max(math.exp(intercept), RATE_FLOOR),
        kappa_per_bps=min(max(-slope, low), high),
        r2=r2,
        levels=len(points),
        intervals=intervals,
        as_of_ns=as_of_ns,
    )


def _weighted_line(points: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Return slope, intercept and R² of the weighted least-squares line through (x, y, weight)."""
    total = sum(w for _, _, w in points)
    mean_x = sum(x * w for x, _, w in points) / total
    mean_y = sum(y * w for _, y, w in points) / total
    var_x = sum(w * (x - mean_x) ** 2 for x, _, w in points)
    var_y = sum(w * (y - mean_y) ** 2 for _, y, w in points)
    cov = sum(w * (x - mean_x) * (y - mean_y) for x, y, w in points)
    slope = cov / var_x
    r2 = cov * cov / (var_x * var_y) if var_y > 0 else 0.0
    return slope, mean_y - slope * mean_x, r2
