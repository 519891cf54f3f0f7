from __future__ import annotations

from decimal import Decimal

import pytest

from perpmaker.strategies.registry import make_strategy

from .fake_context import FakeContext, book, perp

BTC = perp()
ID = BTC.instrument_id


def _quoted(position: str) -> tuple[float, float]:
    ctx = FakeContext(BTC)
    ctx.hold(ID, position)
    strategy = make_strategy("skewed_maker", {"instrument": ID, "qty": "0.01", "half_spread_bps": 5, "skew_bps": 2})
    strategy.on_book(ctx, book(BTC, "59999.9", "60000.1"))
    ladder = ctx.quotes[ID]
    assert [quote.qty for quote in (*ladder.bids, *ladder.asks)] == [Decimal("0.01")] * 2
    return float(ladder.bids[0].px), float(ladder.asks[0].px)


def test_the_example_strategy_quotes_both_sides_of_mid_when_flat() -> None:
    assert _quoted("0") == pytest.approx((59_970.0, 60_030.0))


def test_the_example_strategy_lowers_both_quotes_when_long() -> None:
    assert _quoted("0.03") == pytest.approx((59_934.0, 59_994.0))


def test_the_example_strategy_raises_both_quotes_when_short() -> None:
    assert _quoted("-0.01") == pytest.approx((59_982.0, 60_042.0))
