"""One trade is booked once."""

from __future__ import annotations

from tests.unit.execution.stage import BUY, SELL, T0, fill

from perpmaker.portfolio.trades import Booking, SeenTrades


def test_a_repeated_fill_is_a_duplicate_whatever_its_source() -> None:
    seen = SeenTrades()
    assert [seen.add(fill(1)), seen.add(fill(1, at=T0 + 9))] == [Booking.NEW, Booking.DUPLICATE]


def test_both_sides_of_one_trade_id_are_two_fills() -> None:
    seen = SeenTrades()
    assert [seen.add(fill(1, side=BUY)), seen.add(fill(2, side=SELL))] == [Booking.NEW, Booking.NEW]


def test_a_known_trade_id_with_other_figures_is_a_conflict() -> None:
    seen = SeenTrades()
    seen.add(fill(1, qty="0.01"))
    assert seen.add(fill(1, qty="0.02")) is Booking.CONFLICT
    assert seen.add(fill(1, px="60001")) is Booking.CONFLICT
    assert seen.add(fill(2)) is Booking.CONFLICT
    assert seen.add(fill(1, qty="0.010")) is Booking.DUPLICATE


def test_memory_is_bounded_and_what_may_be_forgotten_is_not_booked_again() -> None:
    seen = SeenTrades(kept=3)
    for number in range(5):
        assert seen.add(fill(1, trade=f"t{number}", at=T0 + number)) is Booking.NEW
    assert seen.add(fill(1, trade="t0", at=T0)) is Booking.TOO_OLD
    assert seen.add(fill(1, trade="t4", at=T0 + 4)) is Booking.DUPLICATE
    assert seen.add(fill(1, trade="new", at=T0 + 2)) is Booking.NEW
