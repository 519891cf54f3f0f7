"""What the regime model looks at, measured alike in training and while trading: one sample a second over a window.

Every number is scale-free or a logarithm, so that it means the same at any price.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

from perpmaker.model.book import Book
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.quoting.fair import imbalance

FEATURES: Final = ("volatility", "trend", "spread", "imbalance", "intensity")
"""In the order of their values: ln of volatility (bps per square-root second); |return| over the root of the summed squared
one-second returns (0 to the root of their number); ln of the mean spread (bps); |mean imbalance| (0 to 1); ln(1 + trades
per second)."""
SAMPLE_NS: Final = NS_PER_S
MAX_GAP_NS: Final = 5 * NS_PER_S
"""After a longer silence the window begins anew."""
_LEAST_BPS: Final = 1e-3
"""A still market has a logarithm all the same."""


class _Sample(NamedTuple):
    ts_ns: int
    log_mid: float
    spread_bps: float
    imbalance: float
    trades: int


class MarketFeatures:
    """Keeps the samples of one instrument. `levels` of each side count for the imbalance."""

    def __init__(self, window_s: int, levels: int) -> None:
        self.window_s = window_s
        self._window_ns = window_s * NS_PER_S
        self._levels = levels
        self._samples: deque[_Sample] = deque()
        self._due_ns = 0
        self._book_ns = 0
        self._trades = 0

    @property
    def seen_s(self) -> float:
        """How much of the window is filled."""
        return (self._samples[-1].ts_ns - self._samples[0].ts_ns) / NS_PER_S if self._samples else 0.0

    @property
    def book_ns(self) -> int:
        """When the book of the newest sample was received, 0 before the first."""
        return self._book_ns if self._samples else 0

    def on_trade(self) -> None:
        """Count a trade."""
        self._trades += 1

    def on_book(self, now_ns: int, book: Book) -> bool:
        """Take a whole, fresh book; a sample is taken once a second. Returns whether this was one."""
        if now_ns < self._due_ns:
            return False
        samples = self._samples
        if samples and now_ns - samples[-1].ts_ns > MAX_GAP_NS:
            self.on_gap()
        self._due_ns = now_ns - now_ns % SAMPLE_NS + SAMPLE_NS
        self._book_ns = book.ts_recv_ns
        mid = book.mid
        leaning = imbalance(book.levels(Side.BUY, self._levels), book.levels(Side.SELL, self._levels))
        spread_bps = (book.ask_px - book.bid_px) / mid * 1e4
        samples.append(_Sample(now_ns, math.log(mid), spread_bps, leaning, self._trades))
        self._trades = 0
        while len(samples) > 1 and samples[1].ts_ns <= now_ns - self._window_ns:
            samples.popleft()
        return True

    def on_gap(self) -> None:
        """The book was not whole and fresh throughout."""
        self._samples.clear()
        self._trades = 0

    def values(self) -> tuple[float, ...] | None:
        """Return the features in the order of `FEATURES`, None until the window is full."""
        samples = self._samples
        if len(samples) < 2 or samples[-1].ts_ns - samples[0].ts_ns < self._window_ns - SAMPLE_NS:
            return None
        squares = spreads = leanings = 0.0
        trades = 0
        before = samples[0]
        for sample in samples:
            if sample is not before:
                squares += (sample.log_mid - before.log_mid) ** 2
                spreads += sample.spread_bps
                leanings += sample.imbalance
                trades += sample.trades
            before = sample
        count, span_s = len(samples) - 1, (samples[-1].ts_ns - samples[0].ts_ns) / NS_PER_S
        moved = abs(samples[-1].log_mid - samples[0].log_mid)
        return (
            math.log(max(math.sqrt(squares / span_s) * 1e4, _LEAST_BPS)),
            moved / math.sqrt(squares) if squares > 0 else 0.0,
            math.log(max(spreads / count, _LEAST_BPS)),
            abs(leanings / count),
            math.log1p(trades / span_s),
        )
