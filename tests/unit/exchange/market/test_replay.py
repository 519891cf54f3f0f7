"""A tape played into the venue: its book, clients' fills against it, its pace and its end."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.unit.exchange.core.desk import ALICE, BOB, BTC, BUY, MS_NS, S_NS, SELL, START_NS, Desk

from perpmaker.errors import DataError
from perpmaker.exchange.core.replay import TapeMarket
from perpmaker.exchange.core.types import (
    BookLevel,
    InstrumentMode,
    InstrumentModeChanged,
    OrderStatus,
    OrderView,
    Side,
    TradePrinted,
)
from perpmaker.tape.binance import BookTicker, DepthSnapshot, DepthUpdate, PxQty, Row, Trade, parse_line

RECORDER_NS = 1_723_161_255_000_000_000
"""The recorder's clock has nothing to do with ours."""

Levels = dict[str, str]


def levels(of: Levels) -> tuple[PxQty, ...]:
    return tuple((Decimal(px), Decimal(qty)) for px, qty in of.items())


def snapshot(at_ms: float = 0, *, last: int = 100, bids: Levels | None = None, asks: Levels | None = None) -> Row:
    """Three levels a side, 2 and 3 and 4 BTC, with 100.0 | 100.1 in the middle of things."""
    bids = {"60000.0": "2", "59999.9": "3", "59999.0": "4"} if bids is None else bids
    asks = {"60000.1": "2", "60000.2": "3", "60001.0": "4"} if asks is None else asks
    return DepthSnapshot(recv(at_ms), recv(at_ms), last, levels(bids), levels(asks))


def depth(
    at_ms: float, last: int, *, first: int | None = None, bids: Levels | None = None, asks: Levels | None = None
) -> Row:
    first = last if first is None else first
    sides = levels(bids or {}), levels(asks or {})
    return DepthUpdate(recv(at_ms), recv(at_ms), "BTCUSDT", first, last, first - 1, *sides)


def ticker(at_ms: float, last: int, bid: str, bid_qty: str, ask: str, ask_qty: str) -> Row:
    best = (Decimal(text) for text in (bid, bid_qty, ask, ask_qty))
    return BookTicker(recv(at_ms), recv(at_ms), "BTCUSDT", last, *best)


def trade(at_ms: float, taker: Side, px: str, qty: str) -> Row:
    return Trade(recv(at_ms), recv(at_ms), "BTCUSDT", 1, Decimal(px), Decimal(qty), taker is SELL)


def recv(at_ms: float) -> int:
    return RECORDER_NS + round(at_ms * MS_NS)


def tick(at_ms: float) -> Row:
    """A row that says nothing new."""
    return depth(at_ms, 1)


class Player:
    """A desk whose venue plays a tape; milliseconds count from the row after the snapshot."""

    def __init__(self, *rows: Row, speed: float = 1.0) -> None:
        self.desk = Desk()
        self.market = TapeMarket(self.desk.venue, [[snapshot(), tick(0), *rows]], speed=speed)
        self.book = self.desk.venue.book(BTC)

    def play(self, until_ms: float) -> None:
        self.market.advance(START_NS + round(until_ms * MS_NS))
        self.desk.collect()

    def post(self, side: Side, qty: str, px: str, account: int = ALICE) -> OrderView:
        return self.desk.maker(side, qty, px, account=account)

    def bids(self) -> list[tuple[int, int, int]]:
        return plain(self.book.depth(BUY))

    def asks(self) -> list[tuple[int, int, int]]:
        return plain(self.book.depth(SELL))

    def printed(self) -> list[tuple[int, int]]:
        return [(event.trade.px_ticks, event.trade.qty_lots) for event in self.desk.seen(TradePrinted)]

    def filled(self, account: int = ALICE) -> list[tuple[int, int]]:
        return [(fill.px_ticks, fill.qty_lots) for fill in self.desk.fills(account)]


def plain(depth_of_side: tuple[BookLevel, ...]) -> list[tuple[int, int, int]]:
    return [(level.px_ticks, level.qty_lots, level.num_orders) for level in depth_of_side]


# the book


def test_the_whole_book_is_there_at_once() -> None:
    player = Player()
    assert player.bids() == [(600_000, 2_000, 1), (599_999, 3_000, 1), (599_990, 4_000, 1)]
    assert player.asks() == [(600_001, 2_000, 1), (600_002, 3_000, 1), (600_010, 4_000, 1)]


def test_depth_updates_set_and_remove_levels() -> None:
    player = Player(
        depth(10, 101, bids={"60000.0": "0", "59999.9": "1", "59998.0": "5"}, asks={"60000.1": "7"}), tick(20)
    )
    player.play(10)
    assert player.bids() == [(599_999, 1_000, 1), (599_990, 4_000, 1), (599_980, 5_000, 1)]
    assert player.asks()[0] == (600_001, 7_000, 1)


def test_updates_that_a_late_snapshot_does_not_know_are_applied_after_it() -> None:
    desk = Desk()
    rows = [
        depth(0, 99, bids={"60000.0": "9"}),
        trade(1, SELL, "60000.0", "1"),
        depth(2, 101, bids={"60000.0": "8"}),
        snapshot(3),
        tick(4),
    ]
    TapeMarket(desk.venue, [rows])
    best = desk.venue.book(BTC).best(BUY)
    assert best is not None
    assert best.qty_lots == 8_000
    assert desk.seen(TradePrinted) == []


def test_a_ticker_is_the_best_price_until_a_later_depth_update() -> None:
    player = Player(
        ticker(10, 105, "60000.1", "1.5", "60000.2", "2.5"),
        depth(20, 103, first=101, bids={"60000.0": "6"}, asks={"60000.1": "9", "60000.2": "9"}),
        depth(30, 106, first=104, asks={"60000.2": "0"}),
        tick(40),
    )
    player.play(10)
    assert player.bids()[:2] == [(600_001, 1_500, 1), (600_000, 2_000, 1)]
    assert player.asks()[:2] == [(600_002, 2_500, 1), (600_010, 4_000, 1)]
    player.play(20)
    assert player.bids()[:2] == [(600_001, 1_500, 1), (600_000, 6_000, 1)]
    assert player.asks()[0] == (600_002, 2_500, 1)
    player.play(30)
    assert player.asks()[0] == (600_010, 4_000, 1)


def test_a_ticker_older_than_the_book_is_ignored() -> None:
    player = Player(ticker(10, 100, "60000.0", "9", "60000.1", "9"), tick(20))
    player.play(10)
    assert player.bids()[0] == (600_000, 2_000, 1)


def test_after_a_gap_only_the_last_ticker_and_new_levels_are_known() -> None:
    player = Player(
        ticker(10, 101, "60000.0", "1", "60000.1", "1"),
        depth(20, 210, first=200, bids={"59990.0": "5"}),
        tick(30),
    )
    player.play(20)
    assert player.bids() == [(600_000, 1_000, 1), (599_900, 5_000, 1)]
    assert player.asks() == [(600_001, 1_000, 1)]


def test_a_later_snapshot_replaces_the_book() -> None:
    player = Player(snapshot(10, last=200, bids={"59000.0": "1"}, asks={"59000.1": "1"}), tick(20))
    player.play(10)
    assert player.bids() == [(590_000, 1_000, 1)]
    assert player.asks() == [(590_001, 1_000, 1)]


def test_recorded_trades_are_published() -> None:
    player = Player(trade(10, BUY, "60000.1", "0.5"), tick(20))
    player.play(10)
    (event,) = player.desk.seen(TradePrinted)
    assert (event.trade.px_ticks, event.trade.qty_lots, event.trade.is_taker_buyer) == (600_001, 500, True)
    assert event.trade.event_ns == START_NS + 10 * MS_NS


def test_the_recorded_mid_is_the_index() -> None:
    player = Player(ticker(10, 101, "60001.0", "1", "60001.1", "1"), tick(1_000))
    assert player.desk.venue.ticker(BTC).index_nano == 60_000_050_000_000
    player.play(210)
    assert player.desk.venue.ticker(BTC).index_nano == 60_001_050_000_000


# clients taking


def test_what_a_client_took_stays_taken_until_the_level_changes() -> None:
    player = Player(
        ticker(100, 101, "60000.0", "5", "60000.1", "2"),
        depth(110, 102, first=101, asks={"60000.1": "2"}),
        depth(120, 103, asks={"60000.1": "1.9"}),
        tick(130),
    )
    player.desk.send(BUY, "1.5", "60000.1", time_in_force=3)
    assert player.filled() == [(600_001, 1_500)]
    player.play(110)
    assert player.asks()[0] == (600_001, 500, 1)
    player.play(120)
    assert player.asks()[0] == (600_001, 1_900, 1)


def test_a_level_taken_whole_is_gone_until_it_changes() -> None:
    player = Player(depth(100, 101, asks={"60000.1": "0.7"}), tick(130))
    player.desk.send(BUY, "4", "60000.2", time_in_force=3)
    assert player.filled() == [(600_001, 2_000), (600_002, 2_000)]
    assert player.asks()[0] == (600_002, 1_000, 1)
    player.play(100)
    assert player.asks()[:2] == [(600_001, 700, 1), (600_002, 1_000, 1)]


# clients resting


def test_a_clients_order_shows_in_the_book_beside_the_tapes() -> None:
    player = Player()
    player.post(BUY, "0.5", "60000.0")
    assert player.bids()[0] == (600_000, 2_500, 2)


def test_a_trade_through_the_price_fills_up_to_its_size() -> None:
    player = Player(trade(50, SELL, "59999.0", "0.3"), trade(60, SELL, "59999.0", "0.3"), tick(90))
    player.post(BUY, "0.5", "59999.5")
    player.play(50)
    assert player.filled() == [(599_995, 300)]
    player.play(60)
    assert player.filled() == [(599_995, 300), (599_995, 200)]
    assert player.printed() == [(599_995, 300), (599_995, 200), (599_990, 100)]


def test_trades_at_the_price_use_up_the_queue_first() -> None:
    player = Player(
        trade(50, SELL, "60000.0", "1.5"),
        trade(60, SELL, "60000.0", "0.7"),
        trade(70, SELL, "60000.0", "5"),
        tick(90),
    )
    order = player.post(BUY, "0.5", "60000.0")
    player.play(50)
    assert player.filled() == []
    player.play(60)
    assert player.filled() == [(600_000, 200)]
    player.play(70)
    assert player.filled() == [(600_000, 200), (600_000, 300)]
    assert sum(lots for _, lots in player.printed()) == 1_500 + 700 + 5_000
    assert player.desk.path(order)[-1][0] is OrderStatus.FILLED


def test_sizes_that_shrink_without_a_trade_do_not_help_a_resting_order() -> None:
    player = Player(depth(50, 101, bids={"60000.0": "0.1"}), trade(60, SELL, "60000.0", "1.9"), tick(90))
    player.post(BUY, "0.5", "60000.0")
    player.play(60)
    assert player.filled() == []


def test_sizes_that_grow_stand_behind_a_resting_order() -> None:
    player = Player(depth(50, 101, bids={"60000.0": "9"}), trade(60, SELL, "60000.0", "2.1"), tick(90))
    player.post(BUY, "0.5", "60000.0")
    player.play(50)
    assert player.bids()[0] == (600_000, 9_500, 3)
    player.play(60)
    assert player.filled() == [(600_000, 100)]


def test_an_order_in_front_of_the_displayed_best_is_filled_by_the_next_trade_at_its_price() -> None:
    player = Player(
        ticker(10, 101, "60000.0", "2", "60000.5", "2"),
        trade(60, SELL, "60000.3", "0.2"),
        trade(70, SELL, "60000.0", "0.2"),
        tick(90),
    )
    player.play(10)
    player.post(BUY, "0.5", "60000.3")
    player.play(70)
    assert player.filled() == [(600_003, 200), (600_003, 200)]


def test_two_clients_at_one_price_are_filled_in_order_of_time() -> None:
    player = Player(
        depth(40, 101, bids={"60000.0": "0.5"}),
        trade(300, SELL, "60000.0", "2.3"),
        trade(310, SELL, "60000.0", "0.4"),
        tick(400),
    )
    player.post(BUY, "0.5", "60000.0")
    player.play(200)
    player.post(BUY, "0.5", "60000.0", account=BOB)
    player.play(300)
    assert (player.filled(), player.filled(BOB)) == ([(600_000, 300)], [])
    player.play(310)
    assert player.filled() == [(600_000, 300), (600_000, 200)]
    assert player.filled(BOB) == [(600_000, 200)]


def test_a_best_ask_that_crosses_a_bid_trades_with_it_at_its_price_up_to_what_is_displayed() -> None:
    player = Player(
        ticker(50, 101, "59998.0", "2", "59999.0", "0.2"),
        ticker(60, 102, "59998.0", "2", "59999.0", "0.4"),
        tick(90),
    )
    player.post(BUY, "0.5", "59999.5")
    player.play(50)
    assert player.filled() == [(599_995, 200)]
    player.play(60)
    assert player.filled() == [(599_995, 200), (599_995, 300)]
    assert player.bids()[0] == (599_980, 2_000, 1)
    assert player.asks()[0] == (599_990, 100, 1)


def test_a_best_bid_that_crosses_an_ask_trades_with_it() -> None:
    player = Player(ticker(50, 101, "60001.5", "1", "60002.0", "1"), tick(90))
    player.post(SELL, "0.5", "60001.0")
    player.play(50)
    assert player.filled() == [(600_010, 500)]
    assert player.bids()[0] == (600_015, 500, 1)


def test_the_tape_never_trades_with_itself() -> None:
    player = Player(
        depth(50, 101, bids={"60000.2": "1"}),
        ticker(60, 102, "59998.0", "2", "59999.0", "0.2"),
        tick(90),
    )
    player.play(60)
    assert player.printed() == []
    assert player.bids()[0] == (599_980, 2_000, 1)


def test_a_trade_reaches_only_the_side_it_was_taken_from() -> None:
    player = Player(trade(50, BUY, "60000.1", "9"), tick(90))
    player.post(BUY, "0.5", "60000.0")
    player.play(50)
    assert player.filled() == []


def test_a_cancelled_order_is_not_filled() -> None:
    player = Player(trade(50, SELL, "59990.0", "9"), tick(90))
    order = player.post(BUY, "0.5", "60000.0")
    player.desk.venue.cancel_order(ALICE, client_order_id=order.terms.client_order_id)
    player.play(50)
    assert player.filled() == []


# pace and end


def test_rows_come_at_their_own_pace_from_now_on() -> None:
    player = Player(depth(1_000, 101, bids={"60000.0": "9"}), tick(2_000))
    player.play(999.9)
    assert player.bids()[0][1] == 2_000
    player.play(1_000)
    assert player.bids()[0][1] == 9_000


def test_a_speed_of_twenty_plays_a_second_in_fifty_milliseconds() -> None:
    player = Player(depth(1_000, 101, bids={"60000.0": "9"}), tick(2_000), speed=20)
    player.play(49.9)
    assert player.bids()[0][1] == 2_000
    player.play(50)
    assert player.bids()[0][1] == 9_000


def test_long_pauses_are_cut_and_steps_back_in_time_are_none() -> None:
    player = Player(depth(3_600_000, 101, bids={"60000.0": "9"}), depth(10, 102, bids={"60000.0": "8"}), tick(1_010))
    player.play(4_999)
    assert player.bids()[0][1] == 2_000
    player.play(5_000)
    assert player.bids()[0][1] == 8_000


def test_it_does_not_matter_how_often_time_is_advanced() -> None:
    rows = [depth(10 * n, 100 + n, bids={"60000.0": str(n)}, asks={"60000.1": str(n)}) for n in range(1, 40)]
    seen = []
    for step_ms in (1, 130):
        player = Player(*rows, trade(395, SELL, "60000.0", "1"), tick(600))
        for at_ms in range(step_ms, 520 + step_ms, step_ms):
            player.play(at_ms)
        seen.append((player.bids(), player.printed(), player.desk.venue.ticker(BTC).index_nano))
    assert seen[0] == seen[1]


def test_tapes_are_played_one_after_the_other() -> None:
    desk = Desk()
    first = [snapshot(), tick(0), depth(100, 101, bids={"60000.0": "5"})]
    second = [depth(400, 102, bids={"60000.0": "6"}), tick(500)]
    market = TapeMarket(desk.venue, [first, second])
    for at_ms, lots in ((100, 5_000), (399, 5_000), (400, 6_000)):
        market.advance(START_NS + at_ms * MS_NS)
        best = desk.venue.book(BTC).best(BUY)
        assert best is not None
        assert best.qty_lots == lots


def test_the_end_of_the_tape_freezes_the_market_and_says_so() -> None:
    player = Player(trade(10, BUY, "60000.1", "1"), depth(50, 101, bids={"60000.0": "9"}))
    order = player.post(BUY, "0.5", "59999.0")
    assert player.market.next_event_ns() is not None
    player.play(60)
    assert player.market.next_event_ns() is None
    assert player.market.end is not None
    assert (player.market.end.reason, player.market.end.ts_ns) == ("end of tape", START_NS + 50 * MS_NS)
    assert player.desk.venue.mode(BTC) is InstrumentMode.FROZEN
    (frozen,) = player.desk.seen(InstrumentModeChanged)
    assert (frozen.instrument, frozen.mode) == (BTC, InstrumentMode.FROZEN)

    book, index_nano = player.bids(), player.desk.venue.ticker(BTC).index_nano
    player.play(10_000)
    assert (player.bids(), player.desk.venue.ticker(BTC).index_nano) == (book, index_nano)
    assert player.desk.refused(BUY, "0.5", "59990.0") == 2060
    player.desk.venue.cancel_order(ALICE, client_order_id=order.terms.client_order_id)
    player.desk.collect()
    assert player.desk.path(order)[-1][0] is OrderStatus.CANCELLED


def damaged() -> Iterator[Row]:
    yield snapshot()
    yield tick(0)
    yield depth(10, 101, bids={"60000.0": "5"})
    raise DataError("capture.gz:4: cut off")


def test_a_tape_that_breaks_off_freezes_the_market_with_the_reason() -> None:
    desk = Desk()
    market = TapeMarket(desk.venue, [damaged()])
    market.advance(START_NS + S_NS)
    assert desk.venue.mode(BTC) is InstrumentMode.FROZEN
    assert market.end is not None
    assert market.end.reason == "capture.gz:4: cut off"


@pytest.mark.parametrize(
    "row",
    [
        depth(10, 101, bids={"60000.05": "5"}),
        trade(10, BUY, "60000.1", "0.0005"),
        Trade(recv(10), recv(10), "ETHUSDT", 1, Decimal(2600), Decimal(1), False),
    ],
    ids=["off the tick", "off the lot", "another symbol"],
)
def test_a_row_that_cannot_be_ours_freezes_the_market(row: Row) -> None:
    player = Player(row, tick(20))
    player.play(30)
    assert player.market.end is not None
    assert player.market.end.ts_ns == START_NS + 10 * MS_NS
    assert "ETHUSDT" in player.market.end.reason or "grid" in player.market.end.reason


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no row with a symbol"),
        ([tick(0), tick(1)], "no book to start with"),
        ([snapshot(), tick(0)], "known: BTCUSDT"),
        ([snapshot(bids={"60000.05": "1"}), tick(0)], "does not fit the grid"),
    ],
    ids=["empty", "no snapshot", "unknown symbol", "off the grid"],
)
def test_a_tape_that_cannot_start_is_a_data_error(rows: list[Row], words: str) -> None:
    symbols = {"BTCUSDT": "DOGE_USDT_Perp"} if "known" in words else {"BTCUSDT": BTC}
    with pytest.raises(DataError, match=words):
        TapeMarket(Desk().venue, [rows], symbols=symbols)


def test_a_tape_does_not_play_backwards() -> None:
    with pytest.raises(ValueError, match="forwards"):
        TapeMarket(Desk().venue, [[snapshot(), tick(0)]], speed=0)


def test_a_capture_as_it_is_written_plays() -> None:
    lines = [
        b'1723161255000000000 {"lastUpdateId":100,"E":1723161256501,"T":1723161256493,'
        b'"bids":[["60000.00","2.000"]],"asks":[["60000.10","1.000"]]}',
        b'1723161255010000000 {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":101,"s":"BTCUSDT",'
        b'"b":"60000.00","B":"1.500","a":"60000.10","A":"1.000","T":1723161256313,"E":1723161256313}}',
        b'1723161255020000000 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,'
        b'"s":"BTCUSDT","t":1,"p":"60000.10","q":"0.006","X":"MARKET","m":false}}',
    ]
    rows = [row for row in map(parse_line, lines) if row is not None]
    desk = Desk()
    market = TapeMarket(desk.venue, [rows])
    market.advance(START_NS + S_NS)
    desk.collect()
    assert plain(desk.venue.book(BTC).depth(BUY)) == [(600_000, 1_500, 1)]
    assert [event.trade.qty_lots for event in desk.seen(TradePrinted)] == [6]
