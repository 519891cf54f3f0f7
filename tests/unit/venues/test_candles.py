"""A bar comes out once, finished, in order, warm-up first."""

from __future__ import annotations

import pytest

from perpmaker.model.events import Bar
from perpmaker.model.ids import InstrumentId
from perpmaker.venues.candles import BarAssembler

MINUTE = 60 * 10**9


def bar(minute: int, close: float = 1.0) -> Bar:
    return Bar(InstrumentId("BTC_USDT_Perp"), 60, minute * MINUTE, 1.0, 2.0, 1.0, close, 0.0, 0, 0)


@pytest.fixture
def out() -> list[tuple[int, float]]:
    return []


@pytest.fixture
def bars(out: list[tuple[int, float]]) -> BarAssembler:
    return BarAssembler(60, lambda b: out.append((b.open_ns // MINUTE, b.close)))


def test_a_repeated_bar_comes_out_once_with_its_last_value(bars: BarAssembler, out: list[tuple[int, float]]) -> None:
    bars.warm(())
    for close in (1.0, 1.5, 1.2):
        bars.add(bar(1, close))
    assert out == []
    bars.add(bar(2))
    assert out == [(1, 1.2)]
    bars.add(bar(1, 9.9))
    bars.add(bar(3))
    assert out == [(1, 1.2), (2, 1.0)]


@pytest.mark.parametrize("order", [[3, 4, 5, 6, 7], [7, 6, 5, 4, 3], [5, 7, 3, 6, 4]])
def test_the_past_and_the_streams_replay_come_out_in_order_whatever_their_order(
    bars: BarAssembler, out: list[tuple[int, float]], order: list[int]
) -> None:
    for minute in order:
        bars.add(bar(minute))
    assert out == []
    bars.warm([bar(minute) for minute in range(6)])
    assert [minute for minute, _ in out] == [0, 1, 2, 3, 4, 5, 6]


def test_what_the_stream_said_wins_over_the_past(bars: BarAssembler, out: list[tuple[int, float]]) -> None:
    bars.add(bar(1, 1.7))
    bars.warm([bar(1, 1.1), bar(2)])
    assert out == [(1, 1.7)]


def test_a_break_is_filled_from_the_past_without_repeating(bars: BarAssembler, out: list[tuple[int, float]]) -> None:
    bars.warm([bar(1), bar(2)])
    bars.cool()
    bars.add(bar(6))
    assert [minute for minute, _ in out] == [1]
    bars.warm([bar(1), bar(2), bar(3), bar(4), bar(5)])
    assert [minute for minute, _ in out] == [1, 2, 3, 4, 5]
