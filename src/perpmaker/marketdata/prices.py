"""Mark, index, last and funding of one instrument, each with the time it was last stated."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.model.events import Ticker

MAX_JUMP: Final = Decimal("1.2")
"""A price that moves by more than this factor at once is believed when it was stated three times in a row."""
_CONFIRMATIONS: Final = 3


class Prices:
    """What the tickers said so far. A ticker without a figure leaves the older one standing, with its older time.

    Times are receive times, 0 while the figure was never stated. `funding_rate` is a fraction per funding interval,
    positive when longs pay. A wild mark or index (RELIABILITY D6) is held back until it is confirmed: it would make a
    false peak or a false loss.
    """

    __slots__ = ("_index", "_mark", "funding_rate", "last_px", "next_funding_ns", "ticker")

    def __init__(self) -> None:
        self._mark = _Guarded()
        self._index = _Guarded()
        self.last_px: Decimal | None = None
        self.funding_rate: Decimal | None = None
        self.next_funding_ns = 0
        self.ticker: Ticker | None = None

    @property
    def mark_px(self) -> Decimal | None:
        return self._mark.px

    @property
    def mark_ns(self) -> int:
        return self._mark.ts_ns

    @property
    def index_px(self) -> Decimal | None:
        return self._index.px

    @property
    def index_ns(self) -> int:
        return self._index.ts_ns

    def update(self, ticker: Ticker) -> None:
        """Take over what this ticker states; figures that are not finite and positive count as not stated."""
        self.ticker = ticker
        self._mark.state(ticker.mark_px, ticker.ts_recv_ns)
        self._index.state(ticker.index_px, ticker.ts_recv_ns)
        if ticker.last_px is not None and ticker.last_px.is_finite() and ticker.last_px > 0:
            self.last_px = ticker.last_px
        if ticker.funding_rate is not None and ticker.funding_rate.is_finite():
            self.funding_rate, self.next_funding_ns = ticker.funding_rate, ticker.next_funding_ns


class _Guarded:
    """A price that does not follow a wild jump at once."""

    __slots__ = ("px", "ts_ns", "wild")

    def __init__(self) -> None:
        self.px: Decimal | None = None
        self.ts_ns = 0
        self.wild: list[Decimal] = []

    def state(self, px: Decimal | None, ts_ns: int) -> None:
        if px is None or not px.is_finite() or px <= 0:
            return
        if self.px is None or _near(px, self.px):
            self.wild.clear()
        else:
            if self.wild and not _near(px, self.wild[-1]):
                self.wild.clear()
            self.wild.append(px)
            if len(self.wild) < _CONFIRMATIONS:
                return
            self.wild.clear()
        self.px, self.ts_ns = px, ts_ns


def _near(px: Decimal, other: Decimal) -> bool:
    return px <= other * MAX_JUMP and other <= px * MAX_JUMP
