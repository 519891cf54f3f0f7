"""One instrument's book: price levels of resting orders in time order, in whole ticks and lots.

Displayed orders and RPI orders rest in separate halves: RPI orders are not in the public book and only retail flow
meets them (PROTOCOL 11.2). At one price retail flow takes displayed orders first [guess].

Every change of a displayed level is remembered under a growing version, so that feeds of any rate can ask for what
changed since they last asked.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge
from itertools import islice, repeat
from operator import neg

import msgspec

from perpmaker.exchange.core.types import BookChanged, BookLevel, BookSnapshot, Event, Side, TickerChanged

_REMEMBERED_LEVELS = 2_500
"""Changed levels a feed may ask for: seconds of them; one that asks for older ones takes a snapshot."""


class Order:
    """A resting or arriving order as the book sees it; orders of simulated flow are nothing more than this."""

    __slots__ = ("cum_lots", "leaves_lots", "level", "next", "participant", "prev", "px_ticks", "rpi", "side")

    def __init__(self, participant: int, side: Side, px_ticks: int, leaves_lots: int, *, rpi: bool = False) -> None:
        self.participant = participant
        self.side = side
        self.px_ticks = px_ticks
        self.leaves_lots = leaves_lots
        self.cum_lots = 0
        self.rpi = rpi
        self.level: Level | None = None
        self.prev: Order | None = None
        self.next: Order | None = None

    @property
    def is_resting(self) -> bool:
        return self.level is not None


class Level:
    """The orders at one price, oldest first, as a doubly linked list."""

    __slots__ = ("book", "head", "lots", "num_orders", "px_ticks", "tail")

    def __init__(self, book: Book, px_ticks: int) -> None:
        self.book = book
        self.px_ticks = px_ticks
        self.lots = 0
        self.num_orders = 0
        self.head: Order | None = None
        self.tail: Order | None = None


class BookChanges(msgspec.Struct, frozen=True):
    """Displayed levels that changed, best first; size 0 means gone."""

    version: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]


class _Half:
    """One side's levels; `keys` is sorted so that the best price is last (asks are negated)."""

    __slots__ = ("book", "keys", "levels", "sign")

    def __init__(self, book: Book, side: Side) -> None:
        self.book = book
        self.sign = int(side)
        self.levels: dict[int, Level] = {}
        self.keys: list[int] = []

    def best(self) -> Level | None:
        return self.levels[self.sign * self.keys[-1]] if self.keys else None

    def open_level(self, px_ticks: int) -> Level:
        level = self.levels.get(px_ticks)
        if level is None:
            level = self.levels[px_ticks] = Level(self.book, px_ticks)
            key = self.sign * px_ticks
            if not self.keys or key > self.keys[-1]:
                self.keys.append(key)
            else:
                insort(self.keys, key)
        return level

    def close_level(self, px_ticks: int) -> None:
        del self.levels[px_ticks]
        key = self.sign * px_ticks
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]


class Book:
    def __init__(self, instrument: str, events: list[Event]) -> None:
        self.instrument = instrument
        self.version = 0
        self._displayed = {side: _Half(self, side) for side in Side}
        self._rpi = {side: _Half(self, side) for side in Side}
        self._touched: dict[int, int] = {}
        self._floor_version = 0
        self._events = events
        self._book_announced = False
        self._ticker_announced = False

    # reading

    @property
    def best_bid_ticks(self) -> int | None:
        keys = self._displayed[Side.BUY].keys
        return keys[-1] if keys else None

    @property
    def best_ask_ticks(self) -> int | None:
        keys = self._displayed[Side.SELL].keys
        return -keys[-1] if keys else None

    def best(self, side: Side) -> BookLevel | None:
        level = self._displayed[side].best()
        return None if level is None else BookLevel(level.px_ticks, level.lots, level.num_orders)

    def at(self, side: Side, px_ticks: int) -> BookLevel:
        """The displayed level at a price; size 0 when there is none."""
        level = self._displayed[side].levels.get(px_ticks)
        return BookLevel(px_ticks, 0, 0) if level is None else BookLevel(px_ticks, level.lots, level.num_orders)

    def depth(self, side: Side, levels: int | None = None) -> tuple[BookLevel, ...]:
        """Displayed levels, best first; all of them when `levels` is None."""
        half = self._displayed[side]
        found = (half.levels[half.sign * key] for key in islice(reversed(half.keys), levels))
        return tuple(BookLevel(level.px_ticks, level.lots, level.num_orders) for level in found)

    def orders_at(self, side: Side, px_ticks: int, *, rpi: bool = False) -> list[Order]:
        """The orders at a price, oldest first."""
        level = (self._rpi if rpi else self._displayed)[side].levels.get(px_ticks)
        orders: list[Order] = []
        order = level.head if level is not None else None
        while order is not None:
            orders.append(order)
            order = order.next
        return orders

    def snapshot(self, levels: int | None = None, *, event_ns: int = 0) -> BookSnapshot:
        bids, asks = self.depth(Side.BUY, levels), self.depth(Side.SELL, levels)
        return BookSnapshot(self.instrument, event_ns, self.version, bids, asks)

    def changes_since(self, version: int) -> BookChanges | None:
        """Return the levels changed after `version` as they are now; None when that is too long ago: take a snapshot.

        A feed keeps the version it was last given; feeds of one rate can share one call.
        """
        if version < self._floor_version:
            return None
        bids: list[BookLevel] = []
        asks: list[BookLevel] = []
        for key, changed in reversed(self._touched.items()):
            if changed <= version:
                break
            if key & 1:
                bids.append(self.at(Side.BUY, key >> 1))
            else:
                asks.append(self.at(Side.SELL, key >> 1))
        bids.sort(key=_px, reverse=True)
        asks.sort(key=_px)
        return BookChanges(self.version, tuple(bids), tuple(asks))

    # matching reads

    def first_against(self, side: Side, limit_ticks: int | None, *, retail: bool) -> Order | None:
        """Return the resting order that a taker of `side` meets first at `limit_ticks` or better, None if none."""
        opposite = side.opposite
        level = self._displayed[opposite].best()
        if retail and self._rpi[opposite].keys:
            hidden = self._rpi[opposite].best()
            if level is None or (hidden is not None and side * (hidden.px_ticks - level.px_ticks) < 0):
                level = hidden
        if level is None or (limit_ticks is not None and side * (level.px_ticks - limit_ticks) > 0):
            return None
        return level.head

    def walk(self, side: Side, limit_ticks: int | None, *, retail: bool) -> Iterator[Order]:
        """The resting orders that a taker of `side` would meet, in the order it would meet them."""
        halves = [self._displayed[side.opposite]]
        if retail:
            halves.append(self._rpi[side.opposite])
        best_first = merge(*(zip(map(neg, reversed(half.keys)), repeat(place)) for place, half in enumerate(halves)))
        for negated_key, place in best_first:
            px_ticks = -negated_key * halves[place].sign
            if limit_ticks is not None and side * (px_ticks - limit_ticks) > 0:
                return
            order = halves[place].levels[px_ticks].head
            while order is not None:
                yield order
                order = order.next

    def crosses(self, side: Side, px_ticks: int) -> bool:
        """Whether a displayed order of `side` at this price would meet a displayed order."""
        keys = self._displayed[side.opposite].keys
        return bool(keys) and side * px_ticks + keys[-1] >= 0

    # changing

    def add(self, order: Order) -> None:
        """Put an order at the end of its price's queue."""
        level = (self._rpi if order.rpi else self._displayed)[order.side].open_level(order.px_ticks)
        order.level = level
        order.prev = level.tail
        order.next = None
        if level.tail is None:
            level.head = order
        else:
            level.tail.next = order
        level.tail = order
        level.num_orders += 1
        level.lots += order.leaves_lots
        if not order.rpi:
            self._touch(order.side, order.px_ticks)

    def shrink(self, order: Order, by_lots: int) -> None:
        """Take lots off a resting order, keeping its place; at 0 it leaves the book."""
        level = order.level
        if level is None:
            return
        order.leaves_lots -= by_lots
        level.lots -= by_lots
        if order.leaves_lots == 0:
            self._unlink(order, level)
        if not order.rpi:
            self._touch(order.side, order.px_ticks)

    def remove(self, order: Order) -> None:
        """Take an order off the book; it keeps its `leaves_lots`."""
        level = order.level
        if level is None:
            return
        level.lots -= order.leaves_lots
        self._unlink(order, level)
        if not order.rpi:
            self._touch(order.side, order.px_ticks)

    def announce_ticker(self) -> None:
        if not self._ticker_announced:
            self._ticker_announced = True
            self._events.append(TickerChanged(self.instrument))

    def events_taken(self) -> None:
        """Announce the next changes anew."""
        self._book_announced = False
        self._ticker_announced = False

    def _unlink(self, order: Order, level: Level) -> None:
        if order.prev is None:
            level.head = order.next
        else:
            order.prev.next = order.next
        if order.next is None:
            level.tail = order.prev
        else:
            order.next.prev = order.prev
        order.level = order.prev = order.next = None
        level.num_orders -= 1
        if level.num_orders == 0:
            (self._rpi if order.rpi else self._displayed)[order.side].close_level(level.px_ticks)

    def _touch(self, side: Side, px_ticks: int) -> None:
        self.version += 1
        key = px_ticks << 1 | (side is Side.BUY)
        self._touched.pop(key, None)
        self._touched[key] = self.version
        if len(self._touched) > _REMEMBERED_LEVELS:
            self._forget_oldest()
        if not self._book_announced:
            self._book_announced = True
            self._events.append(BookChanged(self.instrument))
        if not self._ticker_announced:
            keys = self._displayed[side].keys
            if not keys or side * px_ticks >= keys[-1]:
                self.announce_ticker()

    def _forget_oldest(self) -> None:
        for key in list(islice(self._touched, _REMEMBERED_LEVELS // 2)):
            self._floor_version = self._touched.pop(key)


def _px(level: BookLevel) -> int:
    return level.px_ticks
