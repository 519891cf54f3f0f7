"""Order books in arrays that compiled code and Python share, and the book that Python sees of them.

A side is an ascending array of keys, best last, beside an array of lots: the key is the price in ticks for bids and its
negative for asks. Most changes are near the end. It is the arrangement of `marketdata.book.OrderBook`, and behaves as it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from perpmaker.marketdata.book import OrderBook
from perpmaker.model.book import Level
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.simulation.fast.compiled import compiled, inner

Ints = npt.NDArray[np.int64]
BID, ASK = 0, 1
_NEAR = 8
"""Levels looked at one by one before the search halves its way."""


class Shelf:
    """The arrays of a number of books: `keys[book, side, place]`, `lots` alike, and how many places are `used`."""

    def __init__(self, books: int, depth: int = 256) -> None:
        self.keys: Ints = np.zeros((books, 2, depth), dtype=np.int64)
        self.lots: Ints = np.zeros((books, 2, depth), dtype=np.int64)
        self.used: Ints = np.zeros((books, 2), dtype=np.int64)

    @property
    def depth(self) -> int:
        return int(self.keys.shape[2])

    def deepen(self, depth: int) -> None:
        """Make room for so many levels a side."""
        books, sides, before = self.keys.shape
        if depth <= before:
            return
        room = np.zeros((2, books, sides, max(depth, 2 * before)), dtype=np.int64)
        room[0, :, :, :before], room[1, :, :, :before] = self.keys, self.lots
        self.keys, self.lots = room[0], room[1]


class ShelfBook(OrderBook):
    """A book of a shelf. Its best prices are plain attributes: whoever changed the arrays from outside calls `refresh`."""

    __slots__ = ("_place", "_shelf")

    def __init__(self, instrument: Instrument, shelf: Shelf, place: int) -> None:
        super().__init__(instrument)
        self._shelf = shelf
        self._place = place

    def plain(self) -> OrderBook:
        """Return the same book without arrays."""
        book = OrderBook(self.instrument)
        book.snapshot(tuple(self.each(Side.BUY)), tuple(self.each(Side.SELL)), self.ts_event_ns, self.ts_recv_ns)
        return book

    def take_over(self, book: OrderBook) -> None:
        """Become what another book is."""
        self._start(tuple(book.each(Side.BUY)), tuple(book.each(Side.SELL)))
        self.refresh(book.ts_event_ns, book.ts_recv_ns)

    def snapshot(self, bids: Sequence[Level], asks: Sequence[Level], ts_event_ns: int, ts_recv_ns: int) -> bool:
        if any(ticks <= 0 or lots <= 0 for side in (bids, asks) for ticks, lots in dict(side).items()):
            self.clear()
            return False
        self._start(bids, asks)
        self.refresh(ts_event_ns, ts_recv_ns)
        return True

    def become(
        self, ts_event_ns: int, ts_recv_ns: int, bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int
    ) -> None:
        """Take over what whoever changed the arrays says of the times and the best prices."""
        self.ts_event_ns, self.ts_recv_ns = ts_event_ns, ts_recv_ns
        self.bid_ticks, self.bid_lots, self.ask_ticks, self.ask_lots = bid_ticks, bid_lots, ask_ticks, ask_lots

    def apply(self, bids: Sequence[Level], asks: Sequence[Level], ts_event_ns: int, ts_recv_ns: int) -> bool:
        shelf, place = self._shelf, self._place
        for side, sign, levels in ((BID, 1, bids), (ASK, -1, asks)):
            if levels:
                shelf.deepen(int(shelf.used[place, side]) + len(levels))
                told = np.array(levels, dtype=np.int64)
                if not set_levels(shelf.keys, shelf.lots, shelf.used, place, side, sign, told):
                    return False
        self.refresh(ts_event_ns, ts_recv_ns)
        return True

    def clear(self) -> None:
        self._shelf.used[self._place] = 0
        self.bid_ticks = self.ask_ticks = self.bid_lots = self.ask_lots = 0

    def lots_at(self, side: Side, ticks: int) -> int:
        shelf, bids = self._shelf, side is Side.BUY
        key = ticks if bids else -ticks
        return lots_of(shelf.keys, shelf.lots, shelf.used, self._place, BID if bids else ASK, key)

    def each(self, side: Side) -> Iterator[Level]:
        shelf, place = self._shelf, self._place
        at, sign = (BID, 1) if side is Side.BUY else (ASK, -1)
        for number in range(int(shelf.used[place, at]) - 1, -1, -1):
            yield sign * int(shelf.keys[place, at, number]), int(shelf.lots[place, at, number])

    def refresh(self, ts_event_ns: int, ts_recv_ns: int) -> None:
        """Read the best prices from the arrays."""
        shelf, place = self._shelf, self._place
        self.ts_event_ns, self.ts_recv_ns = ts_event_ns, ts_recv_ns
        bids, asks = shelf.used[place].tolist()
        self.bid_ticks = int(shelf.keys[place, BID, bids - 1]) if bids else 0
        self.bid_lots = int(shelf.lots[place, BID, bids - 1]) if bids else 0
        self.ask_ticks = -int(shelf.keys[place, ASK, asks - 1]) if asks else 0
        self.ask_lots = int(shelf.lots[place, ASK, asks - 1]) if asks else 0

    def _start(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        shelf, place = self._shelf, self._place
        shelf.deepen(max(len(bids), len(asks)))
        for side, sign, levels in ((BID, 1, bids), (ASK, -1, asks)):
            lots_at = {sign * ticks: lots for ticks, lots in levels}
            keys = sorted(lots_at)
            shelf.used[place, side] = len(keys)
            shelf.keys[place, side, : len(keys)] = keys
            shelf.lots[place, side, : len(keys)] = [lots_at[key] for key in keys]


@inner
def find(keys: Ints, used: int, key: int) -> int:
    """Return the place of the first key that is not below `key`, from the end."""
    place = used
    nearest = max(0, used - _NEAR)
    while place > nearest and keys[place - 1] >= key:
        place -= 1
    if place > nearest or nearest == 0:
        return place
    low, high = 0, place
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def set_level(keys: Ints, lots: Ints, used: Ints, book: int, side: int, key: int, qty: int) -> None:
    """Set a level, remove it with 0; there must be room for one more."""
    row, amounts, count = keys[book, side], lots[book, side], used[book, side]
    place = find(row, count, key)
    if place < count and row[place] == key:
        if qty:
            amounts[place] = qty
            return
        for number in range(place, count - 1):
            row[number] = row[number + 1]
            amounts[number] = amounts[number + 1]
        used[book, side] = count - 1
    elif qty:
        for number in range(count, place, -1):
            row[number] = row[number - 1]
            amounts[number] = amounts[number - 1]
        row[place] = key
        amounts[place] = qty
        used[book, side] = count + 1


@compiled
def set_levels(keys: Ints, lots: Ints, used: Ints, book: int, side: int, sign: int, told: Ints) -> bool:
    """Set levels, (price, lots) each; False, and the rest is left, at a level below zero where there was none."""
    for number in range(len(told)):
        key, qty = sign * told[number, 0], told[number, 1]
        if qty < 0 and lots_of(keys, lots, used, book, side, key) == 0:
            return False
        set_level(keys, lots, used, book, side, key, max(qty, 0))
    return True


@compiled
def lots_of(keys: Ints, lots: Ints, used: Ints, book: int, side: int, key: int) -> int:
    """Return the lots at a key, 0 for none."""
    count = used[book, side]
    place = find(keys[book, side], count, key)
    if place < count and keys[book, side, place] == key:
        return int(lots[book, side, place])
    return 0
