"""What a market looks like in numbers: spread, volatility, sizes, order of signs, and what resting at the touch earns.

One definition for the recorded real market and for the simulated one, so that the two can be laid side by side
(docs/explanation/simulated-market.md).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from perpmaker.model.units import NS_PER_MS, NS_PER_S

_SAMPLE_NS = 100 * NS_PER_MS


class Quote(msgspec.Struct, frozen=True, array_like=True):
    """The best prices from `ts_ns` until the next quote."""

    ts_ns: int
    bid_ticks: int
    ask_ticks: int


class Print(msgspec.Struct, frozen=True, array_like=True):
    """A public trade; `sign` is +1 where the taker bought."""

    ts_ns: int
    sign: int
    px_ticks: int
    qty_lots: int


class MarketStatistics(msgspec.Struct, frozen=True):
    duration_s: float
    one_tick_share: float
    """Part of the time with a spread of one tick."""
    return_sd_1s_bps: float
    """Standard deviation of mid returns over 1 s, sampled each 100 ms."""
    return_sd_10s_bps: float
    largest_move_60s_bps: float
    """Median over all seconds t of the largest |mid(t + k s) / mid(t) - 1|, k = 1 .. 60."""
    size_p50_lots: int
    size_p90_lots: int
    size_p99_lots: int
    sign_autocorrelation: float
    """Of the signs of consecutive prints."""
    markout_1s_bps: float
    """Mean over prints of what the maker has gained 1 s later at mid, before fees."""
    markout_10s_bps: float
    touch_markout_1s_bps: float
    """As above, only prints at the best price that stood before them: those a maker at the touch gets."""
    touch_markout_10s_bps: float
    prints_per_s: float
    orders_per_s: float
    """Prints of one time and side count as one order."""
    traded_lots: int

    @property
    def size_p90_to_p50(self) -> float:
        return self.size_p90_lots / self.size_p50_lots

    @property
    def size_p99_to_p50(self) -> float:
        return self.size_p99_lots / self.size_p50_lots


def measure(quotes: Sequence[Quote], prints: Sequence[Print]) -> MarketStatistics:
    """Measure a market; both series in order of time, each with at least two entries, lasting over 60 s."""
    path = _MidPath(quotes)
    sizes = sorted(trade.qty_lots for trade in prints)
    duration_s = (path.end_ns - path.start_ns) / NS_PER_S
    at_touch = _at_touch(quotes, prints)
    return MarketStatistics(
        duration_s=duration_s,
        one_tick_share=_one_tick_share(quotes),
        return_sd_1s_bps=_return_sd_bps(path, 1),
        return_sd_10s_bps=_return_sd_bps(path, 10),
        largest_move_60s_bps=_largest_move_bps(path, 60),
        size_p50_lots=_quantile(sizes, 0.5),
        size_p90_lots=_quantile(sizes, 0.9),
        size_p99_lots=_quantile(sizes, 0.99),
        sign_autocorrelation=_lag_1_autocorrelation([trade.sign for trade in prints]),
        markout_1s_bps=_maker_markout_bps(path, prints, 1),
        markout_10s_bps=_maker_markout_bps(path, prints, 10),
        touch_markout_1s_bps=_maker_markout_bps(path, at_touch, 1),
        touch_markout_10s_bps=_maker_markout_bps(path, at_touch, 10),
        prints_per_s=len(prints) / duration_s,
        orders_per_s=_orders(prints) / duration_s,
        traded_lots=sum(sizes),
    )


def maker_markout_bps(quotes: Sequence[Quote], prints: Sequence[Print], horizon_s: int) -> float:
    """Mean over prints of what their makers have gained `horizon_s` later at mid, before fees."""
    return _maker_markout_bps(_MidPath(quotes), prints, horizon_s)


class _MidPath:
    """The mid price as a step function of time, in ticks."""

    def __init__(self, quotes: Sequence[Quote]) -> None:
        self._times = [quote.ts_ns for quote in quotes]
        self._mids = [(quote.bid_ticks + quote.ask_ticks) / 2 for quote in quotes]
        self.start_ns = self._times[0]
        self.end_ns = self._times[-1]

    def at(self, ts_ns: int) -> float:
        return self._mids[max(0, bisect_right(self._times, ts_ns) - 1)]

    def sampled(self, every_ns: int) -> list[float]:
        return [self.at(ts_ns) for ts_ns in range(self.start_ns, self.end_ns + 1, every_ns)]


def _one_tick_share(quotes: Sequence[Quote]) -> float:
    one_tick_ns = sum(
        later.ts_ns - quote.ts_ns
        for quote, later in itertools.pairwise(quotes)
        if quote.ask_ticks - quote.bid_ticks == 1
    )
    return one_tick_ns / (quotes[-1].ts_ns - quotes[0].ts_ns)


def _return_sd_bps(path: _MidPath, horizon_s: int) -> float:
    mids = path.sampled(_SAMPLE_NS)
    step = horizon_s * NS_PER_S // _SAMPLE_NS
    returns = [1e4 * (later / mid - 1) for mid, later in zip(mids, mids[step:], strict=False)]
    mean = math.fsum(returns) / len(returns)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in returns) / len(returns))


def _largest_move_bps(path: _MidPath, window_s: int) -> float:
    mids = path.sampled(NS_PER_S)
    largest = sorted(
        max(max(window) / window[0] - 1, 1 - min(window) / window[0]) * 1e4
        for window in (mids[start : start + window_s + 1] for start in range(len(mids) - window_s))
    )
    return largest[len(largest) // 2]


def _quantile(ascending: Sequence[int], share: float) -> int:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def _lag_1_autocorrelation(values: Sequence[int]) -> float:
    mean = sum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values)
    covariance = math.fsum((value - mean) * (later - mean) for value, later in itertools.pairwise(values))
    return covariance / variance


def _maker_markout_bps(path: _MidPath, prints: Sequence[Print], horizon_s: int) -> float:
    """The maker of a print is short after a buy: it gains when the mid is below the price later."""
    horizon_ns = horizon_s * NS_PER_S
    gains = [
        1e4 * trade.sign * (1 - path.at(trade.ts_ns + horizon_ns) / trade.px_ticks)
        for trade in prints
        if trade.ts_ns + horizon_ns <= path.end_ns
    ]
    return math.fsum(gains) / len(gains)


def _at_touch(quotes: Sequence[Quote], prints: Sequence[Print]) -> list[Print]:
    times = [quote.ts_ns for quote in quotes]
    found = []
    for trade in prints:
        before = quotes[max(0, bisect_right(times, trade.ts_ns - 1) - 1)]
        if trade.px_ticks == (before.ask_ticks if trade.sign > 0 else before.bid_ticks):
            found.append(trade)
    return found


def _orders(prints: Sequence[Print]) -> int:
    return sum(
        1
        for number, trade in enumerate(prints)
        if number == 0 or (trade.ts_ns, trade.sign) != (prints[number - 1].ts_ns, prints[number - 1].sign)
    )
