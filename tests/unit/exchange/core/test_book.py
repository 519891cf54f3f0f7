"""Levels, queues, deltas."""

from __future__ import annotations

from tests.unit.exchange.core.desk import BTC, BUY, SELL, Desk

from perpmaker.exchange.core import book as book_module
from perpmaker.exchange.core.book import Book, Order
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import BookChanged, BookLevel, Event, Side, TickerChanged

Levels = dict[int, tuple[int, int]]


def order(side: Side, px_ticks: int, lots: int, *, rpi: bool = False) -> Order:
    return Order(0, side, px_ticks, lots, rpi=rpi)


def fresh() -> tuple[Book, list[Event]]:
    events: list[Event] = []
    return Book(BTC, events), events


def as_levels(levels: tuple[BookLevel, ...]) -> Levels:
    return {level.px_ticks: (level.qty_lots, level.num_orders) for level in levels}


def apply(levels: Levels, changes: tuple[BookLevel, ...]) -> None:
    for level in changes:
        if level.qty_lots:
            levels[level.px_ticks] = (level.qty_lots, level.num_orders)
        else:
            assert level.num_orders == 0
            levels.pop(level.px_ticks, None)


def test_snapshot_is_best_first_with_size_and_order_count() -> None:
    book, _ = fresh()
    for px, lots in ((100, 5), (102, 1), (102, 2), (99, 7)):
        book.add(order(BUY, px, lots))
    for px, lots in ((105, 4), (104, 3)):
        book.add(order(SELL, px, lots))
    taken = book.snapshot(2, event_ns=9)
    assert taken.bids == (BookLevel(102, 3, 2), BookLevel(100, 5, 1))
    assert taken.asks == (BookLevel(104, 3, 1), BookLevel(105, 4, 1))
    assert (taken.event_ns, taken.version) == (9, 6)
    assert len(book.snapshot().bids) == 3


def test_order_removed_from_the_middle_of_a_queue_leaves_the_others_in_order() -> None:
    book, _ = fresh()
    orders = [order(SELL, 100, n + 1) for n in range(4)]
    for resting in orders:
        book.add(resting)
    for gone in (orders[1], orders[3]):
        book.remove(gone)
        assert not gone.is_resting
    assert book.orders_at(SELL, 100) == [orders[0], orders[2]]
    assert book.at(SELL, 100) == BookLevel(100, 4, 2)
    book.remove(orders[0])
    book.remove(orders[0])
    assert book.orders_at(SELL, 100) == [orders[2]]
    assert book.first_against(BUY, 100, retail=False) is orders[2]


def test_shrinking_keeps_the_place_in_the_queue() -> None:
    book, _ = fresh()
    first, second = order(BUY, 100, 5), order(BUY, 100, 5)
    book.add(first)
    book.add(second)
    book.shrink(first, 4)
    assert book.orders_at(BUY, 100) == [first, second]
    book.shrink(first, 1)
    assert book.orders_at(BUY, 100) == [second]


def test_changes_since_names_each_changed_level_once_as_it_is_now() -> None:
    book, _ = fresh()
    resting = order(BUY, 100, 5)
    book.add(resting)
    before = book.version
    book.shrink(resting, 1)
    book.shrink(resting, 1)
    book.add(order(SELL, 103, 2))
    book.add(order(SELL, 102, 1))
    changes = book.changes_since(before)
    assert changes is not None
    assert changes.bids == (BookLevel(100, 3, 1),)
    assert changes.asks == (BookLevel(102, 1, 1), BookLevel(103, 2, 1))
    book.remove(resting)
    again = book.changes_since(changes.version)
    assert again is not None
    assert (again.bids, again.asks) == ((BookLevel(100, 0, 0),), ())


def test_feeds_of_any_rate_follow_the_same_book_by_deltas() -> None:
    """Random adds, shrinks and removals; three feeds ask at different rates and each ends with the true book."""
    book, _ = fresh()
    rng = Rng(5)
    resting: list[Order] = []
    feeds: list[tuple[int, int, Levels, Levels]] = [(every, 0, {}, {}) for every in (1, 7, 50)]
    for step in range(2_100):
        pick = rng.below(3)
        if pick == 0 or not resting:
            side = BUY if rng.below(2) else SELL
            px = 100 + rng.below(20) if side is BUY else 130 + rng.below(20)
            resting.append(order(side, px, 1 + rng.below(9)))
            book.add(resting[-1])
        elif pick == 1:
            book.remove(resting.pop(rng.below(len(resting))))
        else:
            shrunk = resting[rng.below(len(resting))]
            book.shrink(shrunk, 1)
            if not shrunk.leaves_lots:
                resting.remove(shrunk)
        for index, (every, version, bids, asks) in enumerate(feeds):
            if step % every == every - 1:
                changes = book.changes_since(version)
                assert changes is not None
                apply(bids, changes.bids)
                apply(asks, changes.asks)
                feeds[index] = (every, changes.version, bids, asks)
    whole = book.snapshot()
    for _, version, bids, asks in feeds:
        assert (version, bids, asks) == (book.version, as_levels(whole.bids), as_levels(whole.asks))


def test_feed_that_asks_too_late_is_told_to_take_a_snapshot() -> None:
    book, _ = fresh()
    for px in range(1, book_module._REMEMBERED_LEVELS + 2):
        book.add(order(BUY, px, 1))
    assert book.changes_since(0) is None
    kept = book.changes_since(book.version - 100)
    assert kept is not None
    assert len(kept.bids) == 100


def test_rpi_orders_are_counted_nowhere_in_the_displayed_book() -> None:
    book, events = fresh()
    hidden = order(SELL, 100, 5, rpi=True)
    book.add(hidden)
    assert (book.version, book.snapshot().asks, book.best_ask_ticks, events) == (0, (), None, [])
    assert book.orders_at(SELL, 100, rpi=True) == [hidden]
    book.remove(hidden)
    assert not book.orders_at(SELL, 100, rpi=True)


def test_changes_are_announced_once_until_events_are_taken(desk: Desk) -> None:
    desk.events.clear()
    desk.venue.flow_limit(desk.flow, BTC, BUY, 500000, 1)
    desk.venue.flow_limit(desk.flow, BTC, BUY, 500001, 1)
    assert desk.collect() == [BookChanged(BTC)]
    desk.venue.flow_limit(desk.flow, BTC, BUY, 600000, 1)
    assert desk.collect() == [BookChanged(BTC), TickerChanged(BTC)]
    assert desk.collect() == []
