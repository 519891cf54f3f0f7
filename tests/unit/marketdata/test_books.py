"""Which books may be traded on."""

from __future__ import annotations

import pytest
from tests.unit.execution.stage import BTC, BTC_ID, BUY, ETH, ETH_ID, T0, S, book_snapshot, replaced, ticker

from perpmaker.marketdata.book import OwnLevels
from perpmaker.marketdata.books import Books, Transition
from perpmaker.model.events import (
    BookDelta,
    BookStale,
    Channel,
    ClockOffset,
    Connectivity,
    InstrumentDelisted,
    InstrumentListed,
    StaleReason,
    Trade,
)
from perpmaker.model.ids import TradeId


def delta(bids: tuple[tuple[int, int], ...] = (), asks: tuple[tuple[int, int], ...] = (), *, at: int) -> BookDelta:
    return BookDelta(BTC_ID, bids, asks, at, at)


def trade(*, at: int, replayed: bool = False) -> Trade:
    return Trade(BTC_ID, 600_000, 1, BUY, TradeId("1"), at, at, replayed)


@pytest.fixture
def books() -> Books:
    """Both instruments usable at T0."""
    books = Books([BTC, ETH])
    books.apply(book_snapshot(599_999, 600_001))
    books.apply(book_snapshot(259_999, 260_001, instrument=ETH_ID))
    return books


def test_a_book_is_unusable_until_its_first_snapshot() -> None:
    books = Books([BTC])
    assert books.stale_reason(BTC_ID, T0) is StaleReason.STARTING
    assert books.book(BTC_ID, T0) is None
    assert list(books.apply(book_snapshot(599_999, 600_001))) == [Transition(BTC_ID, None, T0)]
    assert books.book(BTC_ID, T0) is not None


def test_a_delta_before_the_snapshot_is_dropped() -> None:
    books = Books([BTC])
    assert not books.apply(delta(((599_999, 1),), ((600_001, 1),), at=T0))
    assert books.stale_reason(BTC_ID, T0) is StaleReason.STARTING
    assert books.age_ns(BTC_ID, T0) is None


def test_a_usable_book_that_stays_usable_reports_nothing(books: Books) -> None:
    assert not books.apply(delta(((599_998, 7),), at=T0 + S))
    assert books.stale_reason(BTC_ID, T0 + S) is None


@pytest.mark.parametrize("reason", [StaleReason.GAP, StaleReason.BAD_FRAME, StaleReason.DISCONNECTED])
def test_what_the_feed_cannot_vouch_for_heals_only_with_a_snapshot(books: Books, reason: StaleReason) -> None:
    assert list(books.apply(BookStale(BTC_ID, reason, T0))) == [Transition(BTC_ID, reason, T0)]
    assert not books.apply(delta(((599_999, 5),), ((600_001, 5),), at=T0 + 1))
    assert books.stale_reason(BTC_ID, T0 + 1) is reason
    assert list(books.apply(book_snapshot(599_999, 600_001, at=T0 + 2))) == [Transition(BTC_ID, None, T0 + 2)]
    assert books.stale_counts[BTC_ID][reason] == 1


def test_a_crossed_book_is_stale_in_the_same_step_and_heals_when_it_uncrosses(books: Books) -> None:
    assert list(books.apply(delta(((600_001, 3),), at=T0 + 1))) == [Transition(BTC_ID, StaleReason.CROSSED, T0 + 1)]
    assert books.book(BTC_ID, T0 + 1) is None
    assert list(books.apply(delta(((600_001, 0),), at=T0 + 2))) == [Transition(BTC_ID, None, T0 + 2)]


def test_a_crossed_snapshot_is_stale(books: Books) -> None:
    assert books.apply(book_snapshot(600_002, 600_001, at=T0 + 1))[0].reason is StaleReason.CROSSED


def test_a_book_with_an_empty_side_is_stale(books: Books) -> None:
    gone = tuple((600_001 + i, 0) for i in range(5))
    assert books.apply(delta((), gone, at=T0 + 1))[0].reason is StaleReason.EMPTY


def test_a_negative_quantity_loses_the_book(books: Books) -> None:
    assert books.apply(delta(((599_990, -4),), at=T0 + 1))[0].reason is StaleReason.BAD_FRAME
    assert not books.apply(delta(((599_990, 4),), at=T0 + 2))


def test_silence_of_two_seconds_is_stale_and_any_frame_of_the_instrument_is_a_heartbeat(books: Books) -> None:
    books.apply(ticker(at=T0 + S))
    books.apply(trade(at=T0 + 2 * S))
    assert books.stale_reason(BTC_ID, T0 + 4 * S) is None
    assert books.stale_reason(BTC_ID, T0 + 4 * S + 1) is StaleReason.SILENT
    assert books.stale_reason(ETH_ID, T0 + 2 * S + 1) is StaleReason.SILENT


def test_silence_is_reported_by_the_timer_and_ends_with_the_next_frame(books: Books) -> None:
    due_ns = books.next_silence_ns
    assert due_ns == T0 + 2 * S + 1
    assert not books.advance(due_ns - 1)
    assert {t.instrument: t.reason for t in books.advance(due_ns)} == dict.fromkeys(
        (BTC_ID, ETH_ID), StaleReason.SILENT
    )
    assert books.next_silence_ns == 0
    assert list(books.apply(ticker(at=due_ns + 5))) == [Transition(BTC_ID, None, due_ns + 5)]


def test_replayed_trades_are_no_heartbeat(books: Books) -> None:
    books.apply(trade(at=T0 + 2 * S, replayed=True))
    assert books.stale_reason(BTC_ID, T0 + 3 * S) is StaleReason.SILENT


def test_frames_with_old_venue_time_make_the_book_old(books: Books) -> None:
    late = replaced(delta(((599_998, 7),), at=T0), ts_recv_ns=T0 + 2 * S + 1)
    assert books.apply(late)[0].reason is StaleReason.OLD
    assert books.apply(delta(((599_998, 8),), at=T0 + 3 * S))[0].reason is None


def test_a_ticker_that_is_old_on_arrival_is_no_heartbeat_and_states_nothing(books: Books) -> None:
    books.apply(replaced(ticker(mark="59000"), ts_recv_ns=T0 + 3 * S))
    assert books.stale_reason(BTC_ID, T0 + 3 * S) is StaleReason.SILENT
    prices = books.prices(BTC_ID)
    assert prices is not None
    assert prices.mark_px is None


def test_venue_time_is_judged_by_the_measured_clock_offset(books: Books) -> None:
    books.apply(ClockOffset("grvt", -5 * S, 1_000, T0))  # the venue's clock runs five seconds behind ours
    behind = replaced(delta(((599_998, 7),), at=T0 - 4 * S), ts_recv_ns=T0 + S)
    assert not books.apply(behind)
    assert books.stale_reason(BTC_ID, T0 + S) is None


def test_a_lost_market_data_link_makes_every_book_of_the_exchange_stale(books: Books) -> None:
    lost = books.apply(Connectivity("grvt", Channel.MARKET_DATA, False, "reset", T0 + 1))
    assert {t.instrument: t.reason for t in lost} == dict.fromkeys((BTC_ID, ETH_ID), StaleReason.DISCONNECTED)
    assert not books.apply(Connectivity("grvt", Channel.MARKET_DATA, True, "", T0 + 2))
    assert books.stale_reason(BTC_ID, T0 + 2) is StaleReason.DISCONNECTED


def test_the_private_link_says_nothing_about_books(books: Books) -> None:
    assert not books.apply(Connectivity("main", Channel.PRIVATE, False, "reset", T0 + 1))


def test_a_new_tick_size_makes_the_old_levels_meaningless(books: Books) -> None:
    coarser = replaced(BTC, tick=BTC.tick * 10)
    assert books.apply(InstrumentListed(coarser, T0 + 1))[0].reason is StaleReason.STARTING
    assert books.instrument(BTC_ID) == coarser


def test_new_rules_with_the_same_tick_and_lot_keep_the_book(books: Books) -> None:
    stricter = replaced(BTC, min_notional=BTC.min_notional * 2)
    assert not books.apply(InstrumentListed(stricter, T0 + 1))
    book = books.book(BTC_ID, T0 + 1)
    assert book is not None
    assert book.instrument == stricter


def test_a_delisted_instrument_is_unknown(books: Books) -> None:
    assert books.apply(InstrumentDelisted(BTC_ID, T0 + 1))[0].reason is StaleReason.DISCONNECTED
    assert books.instrument(BTC_ID) is None
    assert books.book(BTC_ID, T0 + 1) is None


def test_the_view_without_own_orders_is_only_given_of_a_usable_book(books: Books) -> None:
    own = OwnLevels(bids={599_999: 100}, asks={})
    view = books.view_without(BTC_ID, own, T0)
    assert view is not None
    assert view.bid_ticks == 599_998
    assert books.view_without(BTC_ID, own, T0 + 3 * S) is None
