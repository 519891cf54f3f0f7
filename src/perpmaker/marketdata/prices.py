"""Mark, index, last and funding of one instrument, each with the time it was last stated."""

from __future__ import annotations

from decimal import Decimal

from perpmaker.model.events import Ticker


class Prices:
    """What the tickers said so far. A ticker without a figure leaves the older one standing, with its older time.

    Times are receive times, 0 while the figure was never stated. `funding_rate` is a fraction per funding interval,
    positive when longs pay.
    """

    __slots__ = ("funding_rate", "index_ns", "index_px", "last_px", "mark_ns", "mark_px", "next_funding_ns", "ticker")

    def __init__(self) -> None:
        self.mark_px: Decimal | None = None
        self.index_px: Decimal | None = None
        self.last_px: Decimal | None = None
        self.funding_rate: Decimal | None = None
        self.mark_ns = self.index_ns = self.next_funding_ns = 0
        self.ticker: Ticker | None = None

    def update(self, ticker: Ticker) -> None:
        """Take over what this ticker states; figures that are not finite and positive count as not stated."""
        self.ticker = ticker
        if _usable(ticker.mark_px):
            self.mark_px, self.mark_ns = ticker.mark_px, ticker.ts_recv_ns
        if _usable(ticker.index_px):
            self.index_px, self.index_ns = ticker.index_px, ticker.ts_recv_ns
        if _usable(ticker.last_px):
            self.last_px = ticker.last_px
        if ticker.funding_rate is not None and ticker.funding_rate.is_finite():
            self.funding_rate, self.next_funding_ns = ticker.funding_rate, ticker.next_funding_ns


def _usable(px: Decimal | None) -> bool:
    return px is not None and px.is_finite() and px > 0
