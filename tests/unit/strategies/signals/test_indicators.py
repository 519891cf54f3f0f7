from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import talib

from perpmaker.strategies.signals.indicators import Adx, Atr, Bollinger, Choppiness, Rsi

from .made_bars import REAL, Ohlc, real, walk

Arrays = tuple[Any, Any, Any]


def _bands(high: Any, low: Any, close: Any, period: int) -> Any:
    return talib.BBANDS(close, period, 2.0, 2.0, 0)[1]


def _choppiness(high: Any, low: Any, close: Any, period: int) -> Any:
    spans = np.concatenate([[np.nan], talib.SUM(talib.TRANGE(high, low, close)[1:], period)])
    reach = talib.MAX(high, period) - talib.MIN(low, period)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            reach > 0, 100 * np.log10(spans / reach) / np.log10(period), np.where(spans >= 0, 100.0, np.nan)
        )


def _rsi(high: Any, low: Any, close: Any, period: int) -> Any:
    return talib.RSI(close, period)


THEIRS = {Bollinger: _bands, Rsi: _rsi, Atr: talib.ATR, Adx: talib.ADX, Choppiness: _choppiness}
KINDS = tuple(THEIRS)
MARKETS = [*(pytest.param(seed, id=f"seed {seed}") for seed in (1, 2, 3)), pytest.param(0, id="real")]


def _rows(market: int) -> list[Ohlc]:
    if market:
        return walk(market)
    if not REAL.exists():
        pytest.skip("../shared/data is absent")
    return real()


def _arrays(rows: Sequence[Ohlc]) -> Arrays:
    high, low, close = np.array(rows).T.copy()
    return high, low, close


def _ours(indicator: Any, rows: Sequence[Ohlc]) -> Any:
    values = []
    for row in rows:
        indicator.update(*row)
        values.append(np.nan if indicator.value is None else indicator.value)
    return np.array(values)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_equal_talib_from_its_first_one_on(kind: type, market: int) -> None:
    rows = _rows(market)
    period = 20 if kind is Bollinger else 14
    ours, theirs = _ours(kind(), rows), THEIRS[kind](*_arrays(rows), period)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))) < 1e-9


@pytest.mark.parametrize("period", [2, 5, 31])
@pytest.mark.parametrize("kind", KINDS)
def test_values_equal_talib_for_other_periods(kind: type, period: int) -> None:
    rows = walk(7, 600)
    ours, theirs = _ours(kind(period=period), rows), THEIRS[kind](*_arrays(rows), period)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))) < 1e-9


@pytest.mark.parametrize("market", MARKETS)
def test_the_bands_stand_as_far_out_as_talibs(market: int) -> None:
    rows = _rows(market)
    upper, _, lower = talib.BBANDS(_arrays(rows)[2], 20, 2.0, 2.0, 0)
    bands, worst = Bollinger(), 0.0
    for number, row in enumerate(rows):
        bands.update(*row)
        if bands.value is not None:
            worst = max(worst, abs(bands.lower - lower[number]), abs(bands.upper - upper[number]))
    # talib takes the difference of two large squares; relative to the price both agree to the last digits
    assert worst / rows[0][2] < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_its_state_can_be_written_down_and_read_back_at_any_bar(kind: type) -> None:
    rows = walk(5, 120)
    straight, broken = kind(), kind()
    for row in rows:
        straight.update(*row)
        broken.update(*row)
        broken = msgspec.json.decode(msgspec.json.encode(broken), type=kind)
        assert broken.value == straight.value


def test_nothing_drifts_over_many_bars_at_a_high_price() -> None:
    bands, rows = Bollinger(), walk(9, 1000)
    for _ in range(50):
        for row in rows:
            bands.update(*row)
    last = np.array([close for _, _, close in rows[-20:]])
    assert bands.lower == pytest.approx(last.mean() - 2 * last.std(), rel=1e-13)


def test_a_market_that_never_moved_does_not_trend_and_its_rsi_says_that_it_means_nothing() -> None:
    flat = [(5.0, 5.0, 5.0)] * 60
    rsi = Rsi()
    assert _ours(rsi, flat)[-1] == 0.0
    assert not rsi.has_moved
    assert _ours(Adx(), flat)[-1] == 0.0
    assert _ours(Atr(), flat)[-1] == 0.0
    assert _ours(Choppiness(), flat)[-1] == 100.0
    bands = Bollinger()
    _ours(bands, flat)
    assert (bands.lower, bands.upper) == (5.0, 5.0)
