"""Candles from trades."""

from __future__ import annotations

import itertools

import pytest
from tests.unit.execution.stage import BTC, BTC_ID, BUY, S

from perpmaker.marketdata.candles import MAX_GAP, CandleBuilder
from perpmaker.model.events import Bar, Trade
from perpmaker.model.ids import TradeId

MINUTE = 60 * S
OPEN = 1_790_000_040 * S  # a full minute
NUMBERS = itertools.count()


def trade(at: int, ticks: int, lots: int = 10, trade_id: str = "") -> Trade:
    return Trade(BTC_ID, ticks, lots, BUY, TradeId(trade_id or f"n{next(NUMBERS)}"), at, at)


@pytest.fixture
def candles() -> CandleBuilder:
    return CandleBuilder(BTC, 60)


def figures(bar: Bar) -> tuple[float, float, float, float, float, int]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades


def test_a_bar_is_finished_by_the_first_trade_of_the_next_interval(candles: CandleBuilder) -> None:
    for at, ticks in ((1, 600_000), (2, 600_050), (3, 599_900), (59, 600_010)):
        assert not candles.on_trade(trade(OPEN + at * S, ticks))
    (bar,) = candles.on_trade(trade(OPEN + 60 * S, 600_020))
    assert bar.open_ns == OPEN
    assert figures(bar) == (60_000.0, 60_005.0, 59_990.0, 60_001.0, 0.04, 4)


def test_a_bar_is_finished_by_time_alone(candles: CandleBuilder) -> None:
    candles.on_trade(trade(OPEN, 600_000))
    assert candles.end_ns == OPEN + MINUTE
    assert not candles.advance(OPEN + MINUTE - 1)
    (bar,) = candles.advance(OPEN + MINUTE)
    assert bar.trades == 1


def test_intervals_without_trades_repeat_the_close(candles: CandleBuilder) -> None:
    candles.on_trade(trade(OPEN, 600_000))
    bars = candles.on_trade(trade(OPEN + 3 * MINUTE, 600_100))
    assert [bar.open_ns for bar in bars] == [OPEN, OPEN + MINUTE, OPEN + 2 * MINUTE]
    assert figures(bars[2]) == (60_000.0, 60_000.0, 60_000.0, 60_000.0, 0.0, 0)


def test_after_a_long_gap_the_series_begins_anew(candles: CandleBuilder) -> None:
    candles.on_trade(trade(OPEN, 600_000))
    bars = candles.on_trade(trade(OPEN + (MAX_GAP + 5) * MINUTE, 700_000))
    assert [bar.open_ns for bar in bars] == [OPEN]
    assert candles.end_ns == OPEN + (MAX_GAP + 6) * MINUTE


def test_a_late_trade_does_not_change_a_finished_bar(candles: CandleBuilder) -> None:
    candles.on_trade(trade(OPEN + MINUTE, 600_000))
    assert not candles.on_trade(trade(OPEN + MINUTE - 1, 650_000))
    assert candles.late_trades == 1
    (bar,) = candles.advance(OPEN + 2 * MINUTE)
    assert bar.high == 60_000.0


def test_a_repeated_trade_counts_once(candles: CandleBuilder) -> None:
    candles.on_trade(trade(OPEN, 600_000, trade_id="same"))
    candles.on_trade(trade(OPEN, 600_000, trade_id="same"))
    (bar,) = candles.advance(OPEN + MINUTE)
    assert (bar.trades, bar.volume) == (1, 0.01)


def test_a_seed_joins_the_series_to_the_venues_bars(candles: CandleBuilder) -> None:
    candles.seed(Bar(BTC_ID, 60, OPEN, 1.0, 1.0, 1.0, 60_000.0, 1.0, 1, OPEN + MINUTE))
    (bar,) = candles.on_trade(trade(OPEN + 2 * MINUTE, 600_100))
    assert (bar.open_ns, bar.close) == (OPEN + MINUTE, 60_000.0)


def test_a_seed_that_comes_late_does_not_undo_trades(candles: CandleBuilder) -> None:
    candles.on_trade(trade(OPEN, 600_000))
    candles.seed(Bar(BTC_ID, 60, OPEN, 1.0, 1.0, 1.0, 50_000.0, 1.0, 1, OPEN + MINUTE))
    (bar,) = candles.advance(OPEN + MINUTE)
    assert bar.close == 60_000.0


def test_an_interval_shorter_than_a_second_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one second"):
        CandleBuilder(BTC, 0)
