"""Ticker, mark, trades, candles, day statistics, frozen markets."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.exchange.core.desk import ALICE, BOB, BTC, BUY, DAY_NS, ETH, S_NS, SELL, START_NS, Desk

from perpmaker.exchange.core.candles import INTERVAL_NS, Candles, open_time_ns
from perpmaker.exchange.core.day_stats import DayStats
from perpmaker.exchange.core.types import (
    NANO,
    CandleInterval,
    CandleType,
    InstrumentMode,
    InstrumentModeChanged,
    TradePrinted,
)
from perpmaker.exchange.core.venue import VenueLimits

MINUTE_NS = 60 * S_NS
MINUTE_0 = START_NS // MINUTE_NS * MINUTE_NS
CI = CandleInterval


def nano(text: str) -> int:
    return int(Decimal(text) * NANO)


# marks


def test_mark_starts_at_the_index_and_leans_towards_the_book_slowly() -> None:
    desk = Desk()
    assert desk.venue.ticker(BTC).mark_nano == nano("60000")
    desk.quote(BUY, "60029.9", "1")
    desk.quote(SELL, "60030.1", "1")
    desk.wait_ns(3 * S_NS)
    desk.venue.set_index(BTC, nano("60000"))
    assert desk.venue.ticker(BTC).mark_nano == nano("60003")
    for _ in range(100):
        desk.wait_ns(3 * S_NS)
        desk.venue.set_index(BTC, nano("60000"))
    assert nano("60029.9") < desk.venue.ticker(BTC).mark_nano < nano("60030")


def test_swept_book_moves_the_mark_by_no_more_than_its_bound() -> None:
    desk = Desk()
    desk.quote(BUY, "59999.9", "1")
    desk.quote(SELL, "90000", "1")
    desk.wait_ns(100 * S_NS)
    desk.venue.set_index(BTC, nano("60000"))
    assert desk.venue.ticker(BTC).mark_nano == nano("60300")


def test_one_sided_book_leaves_the_mark_with_the_index() -> None:
    desk = Desk()
    desk.quote(BUY, "59000", "1")
    desk.wait_ns(S_NS)
    desk.venue.set_index(BTC, nano("60010"))
    ticker = desk.venue.ticker(BTC)
    assert (ticker.mark_nano, ticker.index_nano, ticker.mid_nano) == (nano("60010"), nano("60010"), None)


def test_held_mark_stays_until_it_is_let_go(desk: Desk) -> None:
    desk.venue.set_mark(BTC, nano("50000"))
    desk.wait_ns(S_NS)
    desk.venue.set_index(BTC, nano("60000"))
    assert desk.venue.ticker(BTC).mark_nano == nano("50000")
    desk.venue.set_mark(BTC, None)
    assert desk.venue.ticker(BTC).mark_nano == nano("60000")


# ticker


def test_ticker_tells_the_touch_the_last_trade_and_the_day(desk: Desk) -> None:
    empty = desk.venue.ticker(ETH)
    assert (empty.last_px_ticks, empty.best_bid_ticks, empty.mid_nano, empty.open_ticks) == (None, None, None, None)
    desk.market(BUY, "0.01")
    desk.market(SELL, "0.02")
    ticker = desk.venue.ticker(BTC)
    assert (ticker.best_bid_ticks, ticker.best_bid_lots) == (599999, 980)
    assert (ticker.best_ask_ticks, ticker.best_ask_lots) == (600001, 990)
    assert (ticker.mid_nano, ticker.last_px_ticks, ticker.last_lots) == (nano("60000"), 599999, 20)
    assert (ticker.buy_volume_24h_lots, ticker.sell_volume_24h_lots) == (10, 20)
    assert (ticker.buy_volume_24h_nano, ticker.sell_volume_24h_nano) == (nano("600.001"), nano("1199.998"))
    assert (ticker.open_ticks, ticker.high_ticks, ticker.low_ticks) == (600001, 600001, 599999)


def test_open_interest_is_the_sum_of_longs_whoever_holds_them(desk: Desk) -> None:
    desk.market(BUY, "0.3")
    assert desk.venue.ticker(BTC).open_interest_lots == 300
    desk.maker(BUY, "0.1", "60000.0", account=BOB)
    desk.market(SELL, "0.1")
    assert desk.venue.ticker(BTC).open_interest_lots == 300
    desk.market(SELL, "0.2")
    desk.market(SELL, "0.1", account=BOB)
    assert desk.venue.ticker(BTC).open_interest_lots == 0


def test_volumes_older_than_a_day_fall_out(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    desk.wait_ns(DAY_NS - MINUTE_NS)
    assert desk.venue.ticker(BTC).buy_volume_24h_lots == 10
    desk.wait_ns(MINUTE_NS)
    ticker = desk.venue.ticker(BTC)
    assert (ticker.buy_volume_24h_lots, ticker.high_ticks, ticker.last_px_ticks) == (0, None, 600001)


def test_day_range_survives_the_minute_that_made_it() -> None:
    day = DayStats()
    for minute, px in enumerate((100, 120, 80, 101)):
        day.add(minute * MINUTE_NS, BUY, px, 1, px)
    assert (day.open_ticks, day.high_low_ticks) == (100, (120, 80))
    day.roll(2 * MINUTE_NS + DAY_NS)
    assert (day.open_ticks, day.high_low_ticks, day.buy_lots) == (101, (101, 101), 1)


# trades


def test_printed_trade_of_a_tape_is_public_but_moves_no_position(desk: Desk) -> None:
    desk.venue.print_trade(BTC, SELL, 599999, 7)
    desk.collect()
    (trade,) = [event.trade for event in desk.seen(TradePrinted)]
    assert (trade.qty_lots, trade.px_ticks, trade.is_taker_buyer, trade.trade_id) == (7, 599999, False, "1-1")
    assert desk.venue.trades(BTC, 10) == [trade]
    assert desk.venue.book(BTC).at(BUY, 599999).qty_lots == 1000


def test_unpublished_taking_prints_no_trade(desk: Desk) -> None:
    desk.maker(SELL, "0.01", "60000.0")
    assert desk.hit(BUY, "0.02", publish=False) == 20
    assert not desk.venue.trades(BTC, 10)
    assert desk.fills()[0].qty_lots == 10


def test_trades_are_kept_bounded_and_paged_by_a_stable_cursor() -> None:
    desk = Desk(limits=VenueLimits(trades_kept=100))
    for lots in range(1, 301):
        desk.venue.print_trade(BTC, BUY, 600000, lots)
    assert [trade.qty_lots for trade in desk.venue.trades(BTC, 3)] == [300, 299, 298]
    page = desk.venue.trade_history(BTC, limit=50)
    desk.venue.print_trade(BTC, BUY, 600000, 301)
    following = desk.venue.trade_history(BTC, limit=50, before=page.next_before)
    assert [trade.qty_lots for trade in following.rows] == list(range(250, 200, -1))


# flow orders


def test_flow_orders_shrink_in_place_and_are_cancelled_once(desk: Desk) -> None:
    order = desk.quote(BUY, "59000", "1")
    desk.venue.flow_reduce(order, 400)
    assert desk.venue.book(BTC).at(BUY, 590000).qty_lots == 400
    desk.venue.flow_reduce(order, 500)
    assert order.leaves_lots == 400
    desk.venue.flow_cancel(order)
    desk.venue.flow_cancel(order)
    assert not order.is_resting
    assert desk.venue.book(BTC).at(BUY, 590000).qty_lots == 0


def test_flow_post_only_order_that_would_cross_is_not_placed(desk: Desk) -> None:
    assert desk.venue.flow_limit(desk.flow, BTC, BUY, 600001, 1, post_only=True) is None
    assert desk.venue.flow_limit(desk.flow, BTC, BUY, 600001, 1, rpi=True) is None
    assert desk.venue.participant_lots(desk.flow, BTC) == 0


def test_flow_limit_order_takes_then_rests(desk: Desk) -> None:
    desk.maker(SELL, "0.01", "60000.0")
    order = desk.quote(BUY, "60000.0", "0.03")
    assert (order.cum_lots, order.leaves_lots) == (10, 20)
    assert desk.venue.participant_lots(desk.flow, BTC) == 10


# frozen markets


def test_frozen_market_neither_trades_nor_moves_but_lets_orders_be_cancelled(desk: Desk) -> None:
    order = desk.maker(BUY, "0.01", "59000")
    desk.venue.set_mode(BTC, InstrumentMode.FROZEN)
    desk.collect()
    assert [event.mode for event in desk.seen(InstrumentModeChanged)] == [InstrumentMode.FROZEN]
    before = desk.venue.ticker(BTC)
    desk.wait_ns(10 * S_NS)
    desk.venue.set_index(BTC, nano("61000"))
    assert desk.hit(SELL, "5") == 0
    assert desk.venue.flow_limit(desk.flow, BTC, BUY, 590001, 1) is None
    desk.venue.print_trade(BTC, BUY, 1, 1)
    assert desk.venue.ticker(BTC) == before
    assert desk.venue.cancel_order(ALICE, order_id=order.order_id) is None
    assert not desk.venue.open_orders(ALICE)


def test_frozen_market_settles_no_funding(desk: Desk) -> None:
    desk.market(BUY, "0.01")
    desk.venue.set_mode(BTC, InstrumentMode.FROZEN)
    desk.wait_ns(DAY_NS)
    assert not desk.venue.funding_history(BTC).rows
    assert len(desk.venue.funding_history(ETH).rows) == 3


# candles


def test_candle_holds_open_high_low_close_and_volumes(desk: Desk) -> None:
    for side, px, lots in ((BUY, 600010, 1), (SELL, 599990, 2), (BUY, 600030, 3), (SELL, 600000, 4)):
        desk.venue.print_trade(BTC, side, px, lots)
    (candle,) = desk.venue.candles(BTC, CI.CI_1_M, CandleType.TRADE).rows
    assert (candle.open_ns, candle.close_ns) == (MINUTE_0, MINUTE_0 + MINUTE_NS)
    assert (candle.open_nano, candle.high_nano, candle.low_nano, candle.close_nano) == (
        nano("60001"),
        nano("60003"),
        nano("59999"),
        nano("60000"),
    )
    assert (candle.volume_lots, candle.trades) == (10, 4)
    assert candle.volume_nano == (600010 * 1 + 599990 * 2 + 600030 * 3 + 600000 * 4) * 10**5


def test_minutes_without_trades_are_flat_at_the_last_close(desk: Desk) -> None:
    desk.venue.print_trade(BTC, BUY, 600010, 1)
    desk.wait_ns(3 * MINUTE_NS)
    rows = desk.venue.candles(BTC, CI.CI_1_M, CandleType.TRADE).rows
    assert [(row.open_ns - MINUTE_0) // MINUTE_NS for row in rows] == [3, 2, 1, 0]
    assert [(row.open_nano, row.trades) for row in rows[:3]] == [(nano("60001"), 0)] * 3


def test_first_trade_of_a_minute_is_its_open(desk: Desk) -> None:
    desk.venue.print_trade(BTC, BUY, 600010, 1)
    desk.wait_ns(MINUTE_NS)
    desk.venue.print_trade(BTC, BUY, 600050, 1)
    latest = desk.venue.candles(BTC, CI.CI_1_M, CandleType.TRADE).rows[0]
    assert (latest.open_nano, latest.low_nano) == (nano("60005"), nano("60005"))


def test_mark_index_and_mid_have_candles_of_their_own(desk: Desk) -> None:
    desk.venue.set_index(BTC, nano("60010"))
    desk.wait_ns(S_NS)
    desk.venue.set_index(BTC, nano("60020"))
    closes = {
        kind: desk.venue.candles(BTC, CI.CI_1_M, kind).rows[0].close_nano
        for kind in (CandleType.MARK, CandleType.INDEX, CandleType.MID)
    }
    assert closes[CandleType.INDEX] == nano("60020")
    assert closes[CandleType.MID] == nano("60000")
    assert closes[CandleType.MARK] == desk.venue.ticker(BTC).mark_nano
    assert not desk.venue.candles(BTC, CI.CI_1_M, CandleType.TRADE).rows


@pytest.mark.parametrize("interval", list(CandleInterval))
def test_every_interval_agrees_with_its_minutes(interval: CandleInterval) -> None:
    """Ten days of irregular updates, two of the minutes in three empty."""
    candles, minutes = Candles(BTC, 20_000), {}
    now_ns = START_NS
    for step in range(1_800):
        now_ns += (1 + step % 5) * 97 * S_NS
        px = 1_000 + step * 37 % 101
        candles.update(now_ns, px, lots=step, nano=2 * step, trades=1)
    for row in candles.page(CI.CI_1_M, start_ns=0, end_ns=None, before=None, limit=20_000).rows:
        minutes.setdefault(open_time_ns(interval, row.open_ns), []).append(row)
    rows = candles.page(interval, start_ns=0, end_ns=None, before=None, limit=20_000).rows
    assert [row.open_ns for row in rows] == sorted(minutes, reverse=True)
    for row in rows:
        inside = minutes[row.open_ns]
        assert row.close_ns == row.open_ns + INTERVAL_NS[interval]
        assert row.open_nano == inside[-1].open_nano
        assert row.close_nano == inside[0].close_nano
        assert row.high_nano == max(minute.high_nano for minute in inside)
        assert row.low_nano == min(minute.low_nano for minute in inside)
        assert row.volume_lots == sum(minute.volume_lots for minute in inside)
        assert row.volume_nano == sum(minute.volume_nano for minute in inside)
        assert row.trades == sum(minute.trades for minute in inside)


def test_weeks_start_on_monday() -> None:
    monday_ns = open_time_ns(CI.CI_1_W, START_NS)
    assert (monday_ns // DAY_NS + 3) % 7 == 0
    assert START_NS - 7 * DAY_NS < monday_ns <= START_NS


def test_long_silence_ends_every_running_candle_and_starts_afresh() -> None:
    candles = Candles(BTC, 1_500)
    candles.update(START_NS, 100, lots=1, nano=1, trades=1)
    candles.update(START_NS + 30 * DAY_NS, 200, lots=1, nano=1, trades=1)
    rows = candles.page(CI.CI_1_W, start_ns=0, end_ns=None, before=None, limit=10).rows
    assert [(row.open_nano, row.volume_lots) for row in rows] == [(200, 1), (100, 1)]


def test_candles_are_bounded_and_paged(desk: Desk) -> None:
    candles = Candles(BTC, 10)
    for minute in range(30):
        candles.update(START_NS + minute * MINUTE_NS, minute, trades=1)
    first = candles.page(CI.CI_1_M, start_ns=0, end_ns=None, before=None, limit=4)
    assert [row.close_nano for row in first.rows] == [29, 28, 27, 26]
    second = candles.page(CI.CI_1_M, start_ns=0, end_ns=None, before=first.next_before, limit=100)
    assert [row.close_nano for row in second.rows] == [25, 24, 23, 22, 21, 20, 19]
    assert second.next_before is None
    window = candles.page(
        CI.CI_1_M, start_ns=MINUTE_0 + 22 * MINUTE_NS, end_ns=MINUTE_0 + 23 * MINUTE_NS, before=None, limit=9
    )
    assert [row.close_nano for row in window.rows] == [23, 22]


# time


def test_time_never_goes_back(desk: Desk) -> None:
    desk.venue.advance(START_NS - S_NS)
    assert desk.venue.now_ns == START_NS


def test_what_is_due_on_the_way_happens_at_its_own_time(desk: Desk) -> None:
    order = desk.maker(BUY, "0.01", "59000", expires_in_ns=30 * S_NS)
    desk.venue.advance(START_NS + DAY_NS)
    closed = desk.venue.order(ALICE, order_id=order.order_id)
    assert closed is not None
    assert closed.state.update_ns == order.terms.signature.expiration_ns
