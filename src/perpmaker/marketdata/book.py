"""One instrument's order book in integer ticks and lots, and the same book without our own orders.

Each side is a sorted list of prices, best last, beside a dict from price to lots: at a venue's depths this beats every
container with better asymptotics (docs/reference/dependencies.md: 0.25 us an update).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from operator import neg
from typing import Final

import msgspec

from perpmaker.model.book import Level
from perpmaker.model.events import StaleReason
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side

_HALF: Final = Decimal("0.5")


class OwnLevels(msgspec.Struct, frozen=True):
    """Our own resting quantity, lots per price in ticks, over all our accounts."""

    bids: Mapping[int, int]
    asks: Mapping[int, int]


class TopOfBook:
    """Best prices and what follows from them. Implements the arithmetic of `model.book.Book`; 0 stands for no level.

    Prices as float are correctly rounded quotients of integers, so equal ticks give equal floats.
    """

    __slots__ = (
        "_denominator",
        "_numerator",
        "ask_lots",
        "ask_ticks",
        "bid_lots",
        "bid_ticks",
        "instrument",
        "ts_event_ns",
        "ts_recv_ns",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._numerator, self._denominator = instrument.tick.as_integer_ratio()
        self.bid_ticks = self.ask_ticks = self.bid_lots = self.ask_lots = 0
        self.ts_event_ns = self.ts_recv_ns = 0

    @property
    def bid_px(self) -> float:
        return self.bid_ticks * self._numerator / self._denominator

    @property
    def ask_px(self) -> float:
        return self.ask_ticks * self._numerator / self._denominator

    @property
    def bid_qty(self) -> float:
        return float(self.instrument.lot * self.bid_lots)

    @property
    def ask_qty(self) -> float:
        return float(self.instrument.lot * self.ask_lots)

    @property
    def mid(self) -> float:
        return (self.bid_ticks + self.ask_ticks) * self._numerator / (2 * self._denominator)

    @property
    def mid_px(self) -> Decimal:
        """The mid, exact: what PnL is attributed against."""
        return self.instrument.tick * (self.bid_ticks + self.ask_ticks) * _HALF

    @property
    def microprice(self) -> float:
        """(bid_px * ask_qty + ask_px * bid_qty) / (bid_qty + ask_qty): the mid leaning towards the thinner side."""
        weighted = self.bid_ticks * self.ask_lots + self.ask_ticks * self.bid_lots
        return weighted * self._numerator / (self._denominator * (self.bid_lots + self.ask_lots))


class OrderBook(TopOfBook):
    """A mutable book fed with snapshots and deltas. It does not judge itself: `fault` says what is wrong, `Books` acts."""

    __slots__ = ("_ask_lots", "_ask_prices", "_bid_lots", "_bid_prices")

    def __init__(self, instrument: Instrument) -> None:
        super().__init__(instrument)
        self._bid_lots: dict[int, int] = {}
        self._ask_lots: dict[int, int] = {}
        self._bid_prices: list[int] = []
        """Ascending: the best bid is last."""
        self._ask_prices: list[int] = []
        """Negated and ascending: the best ask is last, so that both sides change near their end."""

    def snapshot(self, bids: Sequence[Level], asks: Sequence[Level], ts_event_ns: int, ts_recv_ns: int) -> bool:
        """Replace everything. Returns False, leaving an empty book, when a price or quantity is not positive."""
        self._bid_lots = dict(bids)
        self._ask_lots = dict(asks)
        self._bid_prices = sorted(self._bid_lots)
        self._ask_prices = sorted(map(neg, self._ask_lots))
        if (self._bid_prices and not (self._bid_prices[0] > 0 < min(self._bid_lots.values()))) or (
            self._ask_prices and not (self._ask_prices[-1] < 0 < min(self._ask_lots.values()))
        ):
            self.clear()
            return False
        self._touch(ts_event_ns, ts_recv_ns)
        return True

    def apply(self, bids: Sequence[Level], asks: Sequence[Level], ts_event_ns: int, ts_recv_ns: int) -> bool:
        """Set the changed levels; quantity 0 removes one. Returns False when a number is negative: the book is lost."""
        lots_at, prices = self._bid_lots, self._bid_prices
        for ticks, lots in bids:
            if lots > 0:
                if ticks not in lots_at:
                    insort(prices, ticks)
                lots_at[ticks] = lots
            elif lots_at.pop(ticks, 0):
                del prices[bisect_left(prices, ticks)]
            elif lots < 0:
                return False
        lots_at, prices = self._ask_lots, self._ask_prices
        for ticks, lots in asks:
            if lots > 0:
                if ticks not in lots_at:
                    insort(prices, -ticks)
                lots_at[ticks] = lots
            elif lots_at.pop(ticks, 0):
                del prices[bisect_left(prices, -ticks)]
            elif lots < 0:
                return False
        self._touch(ts_event_ns, ts_recv_ns)
        return True

    def clear(self) -> None:
        """Forget every level."""
        self._bid_lots, self._ask_lots, self._bid_prices, self._ask_prices = {}, {}, [], []
        self.bid_ticks = self.ask_ticks = self.bid_lots = self.ask_lots = 0

    def fault(self) -> StaleReason | None:
        """Return EMPTY when a side has no level, CROSSED when the best prices cross or lock, else None."""
        if not self.bid_ticks or not self.ask_ticks:
            return StaleReason.EMPTY
        return StaleReason.CROSSED if self.bid_ticks >= self.ask_ticks else None

    def lots_at(self, side: Side, ticks: int) -> int:
        """Return the displayed lots at a price, 0 for none."""
        return (self._bid_lots if side is Side.BUY else self._ask_lots).get(ticks, 0)

    def levels(self, side: Side, count: int) -> list[Level]:
        """Return up to `count` levels of the bids (BUY) or asks (SELL), best first."""
        return list(islice(self.each(side), count))

    def each(self, side: Side) -> Iterator[Level]:
        """Walk the levels of a side, best first."""
        if side is Side.BUY:
            lots_at = self._bid_lots
            return ((ticks, lots_at[ticks]) for ticks in reversed(self._bid_prices))
        lots_at = self._ask_lots
        return ((-negated, lots_at[-negated]) for negated in reversed(self._ask_prices))

    def without(self, own: OwnLevels) -> BookWithout | None:
        """Return this book less our own quantity; None when that leaves a side empty."""
        view = BookWithout(self, own)
        return view if view.bid_ticks and view.ask_ticks else None

    def _touch(self, ts_event_ns: int, ts_recv_ns: int) -> None:
        self.ts_event_ns, self.ts_recv_ns = ts_event_ns, ts_recv_ns
        if self._bid_prices:
            self.bid_ticks = self._bid_prices[-1]
            self.bid_lots = self._bid_lots[self.bid_ticks]
        else:
            self.bid_ticks = self.bid_lots = 0
        if self._ask_prices:
            self.ask_ticks = -self._ask_prices[-1]
            self.ask_lots = self._ask_lots[self.ask_ticks]
        else:
            self.ask_ticks = self.ask_lots = 0


class BookWithout(TopOfBook):
    """A book less our own orders, for pricing. It shares the book it came from: valid until that one changes.

    Own quantity that the book does not show yet (an order just accepted, a frame still under way) takes what is displayed
    at its price for ours: rather too little depth than our own price as somebody else's.
    """

    __slots__ = ("_book", "_own")

    def __init__(self, book: OrderBook, own: OwnLevels) -> None:
        self.instrument, self._numerator, self._denominator = book.instrument, book._numerator, book._denominator
        self.ts_event_ns, self.ts_recv_ns = book.ts_event_ns, book.ts_recv_ns
        self.bid_ticks, self.bid_lots, self.ask_ticks, self.ask_lots = (
            book.bid_ticks,
            book.bid_lots,
            book.ask_ticks,
            book.ask_lots,
        )
        self._book, self._own = book, own
        if self.bid_ticks in own.bids:
            self.bid_ticks, self.bid_lots = next(self.each(Side.BUY), (0, 0))
        if self.ask_ticks in own.asks:
            self.ask_ticks, self.ask_lots = next(self.each(Side.SELL), (0, 0))

    def levels(self, side: Side, count: int) -> list[Level]:
        """As `OrderBook.levels`, less our own quantity; levels that are all ours are left out."""
        return list(islice(self.each(side), count))

    def each(self, side: Side) -> Iterator[Level]:
        """Walk what is left of a side, best first."""
        own = self._own.bids if side is Side.BUY else self._own.asks
        for ticks, lots in self._book.each(side):
            left = lots - own.get(ticks, 0)
            if left > 0:
                yield ticks, left
