from __future__ import annotations

import math

import pytest

from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.bench import START_NS, BenchBook, perp
from perpmaker.strategies.regimes.features import FEATURES, MarketFeatures

BTC = perp()


def _book(mid_ticks: int, *, spread: int = 2, bids: int = 30, asks: int = 10, at_ns: int = START_NS) -> BenchBook:
    half = spread // 2
    return BenchBook(BTC, ((mid_ticks - half, bids),), ((mid_ticks + half, asks),), ts_recv_ns=at_ns)


def _fed(features: MarketFeatures, mids: list[int], *, trades: int = 0) -> MarketFeatures:
    for second, mid in enumerate(mids):
        for _ in range(trades):
            features.on_trade()
        features.on_book(START_NS + second * NS_PER_S, _book(mid))
    return features


def test_features_of_a_known_walk_are_those_computed_by_hand() -> None:
    mids = [600_000 + 60 * (second % 2) for second in range(11)]
    values = _fed(MarketFeatures(10, 1), mids, trades=3).values()
    assert values is not None
    named = dict(zip(FEATURES, values, strict=True))
    move = math.log(600_060 / 600_000)
    assert named["volatility"] == pytest.approx(math.log(move * 1e4))
    assert named["trend"] == pytest.approx(0, abs=1e-6)
    assert named["spread"] == pytest.approx(math.log(2 / 600_030 * 1e4), rel=1e-3)
    assert named["imbalance"] == pytest.approx(0.5)
    assert named["intensity"] == pytest.approx(math.log1p(3))


def test_a_straight_line_is_all_trend() -> None:
    values = _fed(MarketFeatures(16, 1), [600_000 + 6 * second for second in range(17)]).values()
    assert values is not None
    assert values[FEATURES.index("trend")] == pytest.approx(4, rel=1e-3)


def test_prices_ten_times_as_high_give_the_same_features() -> None:
    walk = [600_000 + 60 * (second * second % 7) for second in range(20)]
    low = _fed(MarketFeatures(15, 1), walk).values()
    high = MarketFeatures(15, 1)
    for second, mid in enumerate(walk):
        high.on_book(START_NS + second * NS_PER_S, _book(mid * 10, spread=20))
    assert high.values() == pytest.approx(low)


def test_there_are_none_until_the_window_is_full_and_again_after_a_gap() -> None:
    features = MarketFeatures(10, 1)
    _fed(features, [600_000 + second for second in range(9)])
    assert features.values() is None
    features.on_book(START_NS + 9 * NS_PER_S, _book(600_100))
    assert features.values() is not None
    features.on_book(START_NS + 16 * NS_PER_S, _book(600_100))
    assert (features.values(), features.seen_s) == (None, 0.0)


def test_it_looks_once_a_second_however_often_the_book_changes() -> None:
    often, seldom = MarketFeatures(10, 1), MarketFeatures(10, 1)
    for step in range(200):
        now_ns, mid = START_NS + step * 100 * NS_PER_MS, 600_000 + step * step % 17
        often.on_book(now_ns, _book(mid))
        if step % 10 == 0:
            seldom.on_book(now_ns, _book(mid))
    assert often.values() == seldom.values() is not None


def test_a_market_that_stands_still_has_features_too() -> None:
    values = _fed(MarketFeatures(10, 1), [600_000] * 12).values()
    assert values is not None
    assert all(map(math.isfinite, values))
