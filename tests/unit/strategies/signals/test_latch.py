from __future__ import annotations

from typing import Any

import pytest

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.signals.latch import Latch
from perpmaker.strategies.signals.params import RegimeParams


def _latched(side: Side | None = Side.BUY, **keys: Any) -> Latch:
    """A signal that was given at 0 s and is neutral again at 60 s, with an RSI on its side and a position."""
    latch = Latch(RegimeParams(**keys))
    latch.update(0, side, _rsi(side), is_flat=False)
    latch.update(60 * NS_PER_S, None, _rsi(side), is_flat=False)
    return latch


def _rsi(side: Side | None) -> float:
    return 70.0 if side is Side.SELL else 30.0


@pytest.mark.parametrize("side", Side)
def test_a_signal_is_remembered_after_the_indicator_went_neutral(side: Side) -> None:
    latch = _latched(side)
    assert (latch.side, latch.given) == (side, False)


@pytest.mark.parametrize(
    ("side", "rsi", "held"),
    [(Side.BUY, 40.0, True), (Side.BUY, 40.1, False), (Side.SELL, 60.0, True), (Side.SELL, 59.9, False)],
)
def test_it_is_released_when_the_rsi_has_recovered(side: Side, rsi: float, held: bool) -> None:
    latch = _latched(side)
    latch.update(120 * NS_PER_S, None, rsi, is_flat=False)
    assert (latch.side is side) is held
    assert latch.released == ("" if held else f"RSI {rsi:.1f} {'above 40' if side is Side.BUY else 'below 60'}")


def test_the_rsi_that_releases_it_is_a_key() -> None:
    latch = _latched(Side.BUY, latch_release_buy_rsi=55)
    latch.update(120 * NS_PER_S, None, 50.0, is_flat=False)
    assert latch.side is Side.BUY
    latch = _latched(Side.SELL, latch_release_sell_rsi=45)
    latch.update(120 * NS_PER_S, None, 50.0, is_flat=False)
    assert latch.side is Side.SELL


def test_it_is_released_when_the_position_is_flat() -> None:
    latch = _latched()
    latch.update(61 * NS_PER_S, None, 30.0, is_flat=True)
    assert latch.side is None
    assert latch.released == "the position is flat"


def test_a_signal_that_is_given_counts_even_when_flat() -> None:
    latch = Latch(RegimeParams())
    latch.update(0, Side.BUY, 20.0, is_flat=True)
    assert latch.side is Side.BUY


def test_it_is_released_after_its_time_counted_from_when_the_signal_began() -> None:
    latch = _latched(latch_max_s=100)
    latch.update(90 * NS_PER_S, Side.BUY, 30.0, is_flat=False)
    latch.update(99 * NS_PER_S, None, 30.0, is_flat=False)
    assert latch.side is Side.BUY
    latch.update(100 * NS_PER_S, None, 30.0, is_flat=False)
    assert latch.side is None
    assert latch.released == "latch_max_s = 100 passed"


def test_without_a_limit_it_is_held_for_as_long_as_the_crash_lasts() -> None:
    latch = _latched(latch_max_s=0)
    latch.update(10**6 * NS_PER_S, None, 30.0, is_flat=False)
    assert latch.side is Side.BUY


def test_an_opposite_signal_takes_its_place_at_once() -> None:
    latch = _latched(Side.BUY)
    latch.update(120 * NS_PER_S, Side.SELL, 70.0, is_flat=False)
    assert (latch.side, latch.since_ns) == (Side.SELL, 120 * NS_PER_S)


def test_a_signal_begins_anew_after_it_was_released() -> None:
    latch = _latched(latch_max_s=100)
    latch.update(100 * NS_PER_S, None, 30.0, is_flat=False)
    latch.update(200 * NS_PER_S, Side.BUY, 30.0, is_flat=False)
    assert (latch.side, latch.since_ns) == (Side.BUY, 200 * NS_PER_S)


def test_switched_off_it_remembers_nothing() -> None:
    assert _latched(latch=False).side is None


def test_before_the_rsi_is_known_only_time_and_flatness_release() -> None:
    latch = _latched()
    latch.update(61 * NS_PER_S, None, None, is_flat=False)
    assert latch.side is Side.BUY
