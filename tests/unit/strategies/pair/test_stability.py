"""The price stands still when the mid stayed inside the quote of so long ago."""

from __future__ import annotations

from tests.unit.strategies.fake_context import FakeBook, perp

from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.pair.stability import Stability


def book(bid: int, ask: int) -> FakeBook:
    return FakeBook(perp(), bids=((bid, 1),), asks=((ask, 1),))


def seen(*quotes: tuple[float, int, int], over_s: float = 2.0) -> Stability:
    stability = Stability(round(over_s * NS_PER_S))
    for at_s, bid, ask in quotes:
        stability.on_book(round(at_s * NS_PER_S), book(bid, ask))
    return stability


def stable_at(stability: Stability, at_s: float) -> bool | None:
    return stability.is_stable(round(at_s * NS_PER_S))


def test_a_mid_inside_the_earlier_quote_is_stable() -> None:
    assert stable_at(seen((10, 100, 110), (11, 101, 109), (12, 102, 112)), 12.5) is True


def test_a_mid_that_left_it_in_between_is_not_even_when_it_came_back() -> None:
    stability = seen((10, 100, 110), (11, 112, 114), (11.5, 100, 110))
    assert stable_at(stability, 12) is False
    assert stability.unstable == 1


def test_only_the_last_seconds_count() -> None:
    assert stable_at(seen((10, 100, 110), (11, 200, 210), (12, 201, 211), (13.5, 202, 210)), 14) is True


def test_a_quote_that_did_not_change_reaches_back() -> None:
    assert stable_at(seen((10, 100, 110)), 100) is True


def test_a_cold_buffer_decides_by_two_samples_a_second_apart() -> None:
    stability = seen((10, 100, 110), (10.5, 101, 109))
    assert stable_at(stability, 10.9) is None
    assert stable_at(stability, 11.0) is True
    stability.on_book(round(11.0 * NS_PER_S), book(120, 130))
    assert stable_at(stability, 11.0) is False


def test_after_a_gap_nothing_is_known() -> None:
    stability = seen((10, 100, 110))
    stability.on_gap()
    assert stable_at(stability, 20) is None


def test_with_no_time_asked_everything_is_stable() -> None:
    assert stable_at(seen(over_s=0), 1) is True
