from __future__ import annotations

from typing import Annotated, Any

import pytest

from perpmaker.errors import ConfigError
from perpmaker.model.events import Bar
from perpmaker.model.order import Side
from perpmaker.strategies.registry import parse_params
from perpmaker.strategies.schema import Table, key
from perpmaker.strategies.signals.adx import AdxParams
from perpmaker.strategies.signals.atr import AtrParams
from perpmaker.strategies.signals.bollinger import BollingerParams
from perpmaker.strategies.signals.choppiness import ChoppinessParams
from perpmaker.strategies.signals.filters import FilterReading, Regime, RegimeFilter
from perpmaker.strategies.signals.registry import FILTERS, FilterTables, make_filter
from perpmaker.strategies.signals.rsi import RsiParams

from .made_bars import BTC, bar


def _last(made: RegimeFilter, bars: list[Bar]) -> FilterReading:
    reading = None
    for one in bars:
        reading = made.update(one)
    assert reading is not None
    return reading


def _straight(count: int, step: float) -> list[Bar]:
    """Each bar a step up or down, with little back and forth."""
    closes = [1000 + number * step for number in range(count)]
    return [bar(n, c, high=max(c, c - step) + 0.1, low=min(c, c - step) - 0.1) for n, c in enumerate(closes)]


def _to_and_fro(count: int, far: float = 5.0) -> list[Bar]:
    return [bar(n, 1000 + far * (-1) ** n, high=1000 + far, low=1000 - far) for n in range(count)]


def _wobble(count: int, last: float) -> list[Bar]:
    """Closes between 999 and 1001, then one elsewhere."""
    return [*(bar(n, 1000 + (-1) ** n) for n in range(count)), bar(count, last)]


@pytest.mark.parametrize(("last", "signal"), [(990.0, Side.BUY), (1010.0, Side.SELL), (1000.0, None)])
def test_bollinger_buys_on_the_lower_band_and_sells_on_the_upper(last: float, signal: Side | None) -> None:
    assert _last(BollingerParams().make(), _wobble(30, last)).signal is signal


def test_bollinger_bands_further_out_say_less() -> None:
    assert _last(BollingerParams(width=2).make(), _wobble(30, 1003)).signal is Side.SELL
    assert _last(BollingerParams(width=8).make(), _wobble(30, 1003)).signal is None


def test_bollinger_bands_without_width_say_nothing() -> None:
    assert _last(BollingerParams().make(), [bar(n, 1000.0) for n in range(30)]).signal is None


@pytest.mark.parametrize(("step", "signal"), [(-1.0, Side.BUY), (1.0, Side.SELL), (0.0, None)])
def test_rsi_buys_oversold_and_sells_overbought(step: float, signal: Side | None) -> None:
    assert _last(RsiParams().make(), _straight(30, step)).signal is signal


def test_rsi_thresholds_are_keys() -> None:
    falling = _straight(30, -1.0)
    mixed = [*falling, bar(30, 975.0)]
    assert _last(RsiParams().make(), mixed).signal is Side.BUY
    assert _last(RsiParams(buy_below=10).make(), mixed).signal is None


def test_adx_calls_a_straight_march_a_trend_and_to_and_fro_none() -> None:
    assert _last(AdxParams().make(), _straight(60, 1.0)).regime is Regime.TRENDING
    assert _last(AdxParams().make(), _to_and_fro(60)).regime is Regime.NEUTRAL
    assert _last(AdxParams(trending_above=100).make(), _straight(60, 1.0)).regime is Regime.NEUTRAL


def test_choppiness_tells_ranging_from_trending() -> None:
    assert _last(ChoppinessParams().make(), _straight(60, 1.0)).regime is Regime.TRENDING
    assert _last(ChoppinessParams().make(), _to_and_fro(60)).regime is Regime.RANGING
    lenient = ChoppinessParams(ranging_above=100, trending_below=0)
    assert _last(lenient.make(), _straight(60, 1.0)).regime is Regime.NEUTRAL


def test_atr_calls_a_market_volatile_that_is_wilder_than_it_was() -> None:
    calm = [bar(n, 1000.0, high=1000.5, low=999.5) for n in range(200)]
    wild = [bar(200 + n, 1000.0, high=1004.0, low=996.0) for n in range(20)]
    assert _last(AtrParams().make(), calm).regime is Regime.NEUTRAL
    assert _last(AtrParams().make(), [*calm, *wild]).regime is Regime.VOLATILE
    assert _last(AtrParams(volatile_above=50).make(), [*calm, *wild]).regime is Regime.NEUTRAL


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_says_nothing_before_it_has_seen_enough(name: str) -> None:
    made = make_filter(name, FilterTables())
    assert made.update(bar(0, 1000.0)) is None


def _regime(**values: Any) -> Any:
    return parse_params("market_maker", {"instrument": BTC, "regime": values})


def test_an_unknown_filter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"filter = 'macd': must be one of bollinger, rsi, adx, atr, choppiness, none"
    ):
        _regime(filter="macd")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"rsi": {"buy_below": 80}}, r"regime\.rsi\.buy_below = 80: must be less than sell_above = 70"),
        ({"choppiness": {"trending_below": 90}}, r"trending_below = 90: must not be above ranging_above"),
        ({"boost_near_bps": 20}, "boost_near_bps = 20: must not be above boost_far_bps"),
        ({"bollinger": {"period": 1}}, r"regime\.bollinger\.period = 1: must be a whole number"),
    ],
)
def test_impossible_thresholds_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        _regime(**values)


def test_a_filter_of_ones_own_is_one_class_and_one_line() -> None:
    class Rising:
        def __init__(self, params: RisingParams) -> None:
            self._least, self._close = params.least, 0.0

        def update(self, one: Bar) -> FilterReading | None:
            before, self._close = self._close, one.close
            if not before:
                return None
            rose = one.close - before >= self._least
            return FilterReading(Regime.TRENDING if rose else Regime.NEUTRAL, None, {})

    class RisingParams(Table, frozen=True, kw_only=True):
        least: Annotated[float, key("quote currency", "The least rise.")] = 1.0

        def make(self) -> RegimeFilter:
            return Rising(self)

    class MyTables(FilterTables, frozen=True, kw_only=True):
        rising: RisingParams = RisingParams()

    made = make_filter("rising", MyTables(rising=RisingParams(least=2.0)))
    assert _last(made, [bar(0, 1000.0), bar(1, 1002.0)]).regime is Regime.TRENDING
    assert _last(made, [bar(2, 1003.0)]).regime is Regime.NEUTRAL
