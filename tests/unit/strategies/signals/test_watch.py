from __future__ import annotations

from typing import Any

import pytest

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.signals.filters import Regime
from perpmaker.strategies.signals.params import RegimeParams
from perpmaker.strategies.signals.watch import RegimeState, RegimeWatch

from .made_bars import BTC, START_NS, bar


def _watched(closes: list[float], first: int = 0, **keys: Any) -> RegimeWatch:
    watch = RegimeWatch(BTC, RegimeParams(**keys))
    for number, close in enumerate(closes, first):
        watch.on_bar(bar(number, close))
    return watch


def _state(watch: RegimeWatch, minutes: float = 31, *, is_flat: bool = False) -> RegimeState:
    return watch.state(START_NS + round(minutes * 60) * NS_PER_S, is_flat=is_flat)


CALM = [1000.0 + (-1) ** number for number in range(30)]
FALL = [*CALM, 990.0]


def test_it_warms_up_and_says_how_far_it_is() -> None:
    watch = _watched(CALM[:7])
    state = _state(watch)
    assert (state.warm, state.signal, state.shown["regime"]) == (False, None, "warming up, 7 bars")


def test_the_signal_of_the_last_bar_is_in_force() -> None:
    state = _state(_watched(FALL))
    assert (state.regime, state.signal, state.latched) == (Regime.NEUTRAL, Side.BUY, False)
    assert state.shown["latch"] == "buy, given by the filter for 0 s"
    assert isinstance(state.shown["rsi"], float)


def test_a_signal_that_went_neutral_is_latched_and_shown_with_its_age() -> None:
    watch = _watched(FALL, latch_release_buy_rsi=70)
    _state(watch, 31)
    watch.on_bar(bar(31, 993.0))
    watch.on_bar(bar(32, 993.5))
    state = _state(watch, 33)
    assert (state.signal, state.latched) == (Side.BUY, True)
    assert state.shown["latch"] == (
        f"buy, remembered for 120 s, until RSI {state.shown['rsi']:.1f} is above 70, the position is flat, "
        "or 1680 s have passed"
    )


def test_a_latch_without_a_time_limit_names_what_else_ends_it() -> None:
    watch = _watched([*CALM, 1010.0], latch_release_sell_rsi=20, latch_max_s=0)
    _state(watch, 31)
    watch.on_bar(bar(31, 1004.0))
    text = str(_state(watch, 32).shown["latch"])
    assert text.startswith("sell, remembered for 60 s, until RSI ")
    assert text.endswith(" is below 20, or the position is flat")


def test_a_signal_of_an_earlier_life_is_remembered_though_the_filter_is_neutral() -> None:
    before = _watched(FALL, latch_release_buy_rsi=70)
    _state(before, 31)
    memory = before.memory
    assert memory is not None
    after = RegimeWatch(BTC, RegimeParams(latch_release_buy_rsi=70))
    after.restore(memory, [bar(number, close) for number, close in enumerate([*FALL, 993.0, 993.5])])
    state = _state(after, 33)
    assert (state.signal, state.latched) == (Side.BUY, True)
    assert str(state.shown["latch"]).startswith("buy, remembered for 120 s, until RSI ")
    assert after.memory == memory


@pytest.mark.parametrize("late_ns", [0, 50 * NS_PER_MS])
def test_a_bar_that_came_while_nobody_looked_releases_it_though_the_rsi_has_fallen_again(late_ns: int) -> None:
    before = _watched(FALL, latch_release_buy_rsi=50)
    before.state(START_NS + 31 * 60 * NS_PER_S + late_ns, is_flat=False)
    assert before.memory is not None
    after = RegimeWatch(BTC, RegimeParams(latch_release_buy_rsi=50))
    closes = [*FALL, 1000.0, 998.5, 998.0, 997.5, 997.4]
    after.restore(before.memory, [bar(number, close) for number, close in enumerate(closes)])
    state = _state(after, 36)
    rsi = state.shown["rsi"]
    assert rsi is not None
    assert float(rsi) < 50
    assert (state.signal, after.memory) == (None, None)
    assert "RSI 50.5 above 50" in str(state.shown["latch"])


def test_its_time_goes_on_while_nobody_runs() -> None:
    before = _watched(FALL, latch_release_buy_rsi=99, latch_max_s=100)
    _state(before, 31)
    assert before.memory is not None
    after = RegimeWatch(BTC, RegimeParams(latch_release_buy_rsi=99, latch_max_s=100))
    after.restore(before.memory, [bar(number, close) for number, close in enumerate([*FALL, 995.0])])
    assert _state(after, 32).signal is Side.BUY
    assert _state(after, 33).signal is None


def test_why_it_was_released_is_shown() -> None:
    watch = _watched(FALL)
    _state(watch, 31)
    watch.on_bar(bar(31, 998.0))
    state = _state(watch, 32, is_flat=True)
    assert state.signal is None
    assert str(state.shown["latch"]).startswith("released 0 s ago: ")
    assert str(_state(watch, 34, is_flat=True).shown["latch"]).startswith("released 120 s ago: ")


def test_a_hole_of_many_bars_begins_the_warm_up_anew() -> None:
    watch = _watched(FALL)
    watch.on_bar(bar(42, 990.0))
    assert not _state(watch).warm
    short = _watched(FALL)
    short.on_bar(bar(41, 990.0))
    assert _state(short).warm


def test_without_a_filter_there_is_neither_regime_nor_signal() -> None:
    watch = _watched(FALL, filter="none")
    assert not watch.on
    assert (_state(watch).warm, _state(watch).signal) == (False, None)
    assert _state(watch).shown == {"regime": "no filter"}


@pytest.mark.parametrize("name", ["bollinger", "rsi"])
def test_mids_alone_give_a_regime_too(name: str) -> None:
    watch = RegimeWatch(BTC, RegimeParams(filter=name))
    for second in range(0, 30 * 60, 5):
        watch.on_mid(START_NS + second * NS_PER_S, 1000.0 + second % 7)
    assert _state(watch).warm


def test_the_filters_are_chosen_by_name() -> None:
    march = [1000.0 + number for number in range(60)]
    assert _state(_watched(march, filter="adx"), 61).regime is Regime.TRENDING
    assert "adx" in _state(_watched(march, filter="adx"), 61).shown
