"""The order book: levels, floats, and the book without our own orders."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.execution.stage import BTC, BUY, SELL

from perpmaker.marketdata.book import OrderBook, OwnLevels
from perpmaker.model.book import Book
from perpmaker.model.events import StaleReason


def a_book(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> OrderBook:
    book = OrderBook(BTC)
    assert book.snapshot(bids, asks, 1, 2)
    return book


def test_a_snapshot_in_any_order_gives_sorted_levels_best_first() -> None:
    book = a_book([(99, 5), (100, 3), (97, 1)], [(104, 9), (102, 2)])
    assert book.levels(BUY, 9) == [(100, 3), (99, 5), (97, 1)]
    assert book.levels(SELL, 1) == [(102, 2)]
    assert (book.bid_ticks, book.bid_lots, book.ask_ticks, book.ask_lots) == (100, 3, 102, 2)


def test_a_delta_sets_adds_and_removes_levels() -> None:
    book = a_book([(100, 3), (99, 5)], [(102, 2), (103, 4)])
    assert book.apply([(101, 7), (99, 0)], [(102, 0), (103, 6), (105, 1)], 3, 4)
    assert book.levels(BUY, 9) == [(101, 7), (100, 3)]
    assert book.levels(SELL, 9) == [(103, 6), (105, 1)]
    assert (book.ts_event_ns, book.ts_recv_ns) == (3, 4)


def test_removing_a_level_that_is_not_there_changes_nothing() -> None:
    book = a_book([(100, 3)], [(102, 2)])
    assert book.apply([(90, 0)], [(110, 0)], 3, 4)
    assert (book.levels(BUY, 9), book.levels(SELL, 9)) == ([(100, 3)], [(102, 2)])


def test_negative_quantities_are_refused() -> None:
    assert not a_book([(100, 3)], [(102, 2)]).apply([(99, -1)], [], 3, 4)
    assert not OrderBook(BTC).snapshot([(100, -3)], [(102, 2)], 1, 2)
    assert not OrderBook(BTC).snapshot([(0, 3)], [(102, 2)], 1, 2)


def test_faults_are_an_empty_side_a_lock_and_a_cross() -> None:
    assert a_book([], [(102, 2)]).fault() is StaleReason.EMPTY
    assert a_book([(102, 1)], [(102, 2)]).fault() is StaleReason.CROSSED
    assert a_book([(103, 1)], [(102, 2)]).fault() is StaleReason.CROSSED
    assert a_book([(101, 1)], [(102, 2)]).fault() is None


def test_prices_as_float_are_the_nearest_to_the_decimal_price() -> None:
    book = a_book([(600_001, 500)], [(600_003, 1_500)])
    assert (book.bid_px, book.ask_px, book.mid) == (60_000.1, 60_000.3, 60_000.2)
    assert book.mid_px == Decimal("60000.2")
    assert (book.bid_qty, book.ask_qty) == (0.5, 1.5)


def test_the_microprice_leans_towards_the_thinner_side() -> None:
    book = a_book([(1_000, 300)], [(1_010, 100)])
    assert book.microprice == (100.0 * 100 + 101.0 * 300) / 400


def test_own_quantity_is_taken_out_of_levels_and_of_the_best_prices() -> None:
    book = a_book([(100, 3), (99, 5), (98, 2)], [(102, 2), (103, 4)])
    view = book.without(OwnLevels(bids={100: 3, 99: 1}, asks={103: 4}))
    assert view is not None
    assert view.levels(BUY, 9) == [(99, 4), (98, 2)]
    assert view.levels(SELL, 9) == [(102, 2)]
    assert (view.bid_ticks, view.bid_lots, view.ask_ticks) == (99, 4, 102)
    as_strategies_see_it: Book = view
    assert as_strategies_see_it.mid == 10.05


def test_own_quantity_beyond_what_is_displayed_leaves_no_negative_level() -> None:
    view = a_book([(100, 3), (99, 5)], [(102, 2)]).without(OwnLevels(bids={100: 10, 97: 4}, asks={}))
    assert view is not None
    assert view.levels(BUY, 9) == [(99, 5)]


def test_a_side_of_own_orders_alone_leaves_no_book() -> None:
    assert a_book([(100, 3)], [(102, 2)]).without(OwnLevels(bids={100: 3}, asks={})) is None
