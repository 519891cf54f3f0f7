"""How many orders a strategy keeps at once at the most; what is quoted is counted beside what is said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from perpmaker.strategies.api import StrategyParams
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.orders_kept import orders_kept
from perpmaker.strategies.registry import parse_params

from .fake_context import FakeContext, book, perp

BTC = perp()
PROTECTED = {"stop_loss_bps": 50, "trailing_stop_bps": 90, "take_profit_bps": 80}
PAIR = {"hedge_account": "hedge", "hedge_instrument": "ETH_USDC_PERP", "qty": "0.1", "max_qty": "1"}


def _params(kind: str, **values: Any) -> StrategyParams:
    return parse_params(kind, {"instrument": BTC.instrument_id, **values})


@pytest.mark.parametrize(
    ("kind", "values", "kept"),
    [
        ("market_maker", {"quoting": {"layers": 3}, "regime": {"filter": "none"}}, (6, 0)),
        ("market_maker", {"quoting": {"layers": 3}}, (8, 0)),  # the filter's signals add two on their side
        ("market_maker", {"quoting": {"layers": 3}, "regime": {"boost": False}}, (6, 0)),
        ("market_maker", {"quoting": {"layers": 3}, "regime": {"filter": "adx"}}, (6, 0)),  # gives no signals
        ("market_maker", {"quoting": {"layers": 3, "rpi_share": 0.5}}, (16, 0)),
        ("market_maker", {"quoting": {"layers": 3, "rpi_share": 1}}, (8, 0)),
        ("market_maker", {"quoting": {"layers": 3}, "protection": {"stop_loss_bps": 50}}, (10, 0)),
        ("market_maker", {"quoting": {"layers": 3}, "protection": {"trailing_stop_bps": 50}}, (10, 0)),
        ("market_maker", {"quoting": {"layers": 3}, "protection": PROTECTED}, (12, 0)),
        ("market_maker", {"quoting": {"layers": 3}, "protection": {"time_limit_s": 50}}, (8, 0)),
        ("market_maker", {"quoting": {"layers": 3}, "protection": {**PROTECTED, "at_venue": False}}, (8, 0)),
        ("grid", {"count": 40, "orders_per_side": 6}, (12, 0)),
        ("grid", {"count": 4, "orders_per_side": 6}, (5, 0)),
        ("skewed_maker", {"qty": "0.1"}, (2, 0)),
        ("cross_maker", PAIR, (2, 1)),
    ],
)
def test_the_most_orders_at_once_follow_from_the_parameters(
    kind: str, values: dict[str, Any], kept: tuple[int, int]
) -> None:
    assert orders_kept(_params(kind, **values), triggers=True) == kept


def test_where_the_venue_keeps_no_triggers_none_are_counted() -> None:
    params = _params("market_maker", quoting={"layers": 3}, protection=PROTECTED)
    assert orders_kept(params, triggers=False) == (8, 0)


def test_of_a_strategy_of_ones_own_nothing_is_known() -> None:
    assert orders_kept(StrategyParams(instrument=BTC.instrument_id), triggers=True) is None


@pytest.mark.parametrize("rpi_share", [0, 0.5])
def test_a_maker_quotes_as_many_as_are_counted(rpi_share: float) -> None:
    quoting = {"model": "fixed", "layers": 3, "rpi_share": rpi_share, "order_notional": Decimal(300)}
    params = _params("market_maker", quoting=quoting, regime={"filter": "none"})
    assert isinstance(params, MarketMakerParams)
    ctx = FakeContext(BTC)
    ctx.books[BTC.instrument_id] = book(BTC, "59999.9", "60000.1")
    maker = MarketMaker(params)
    maker.on_start(ctx)
    maker.on_book(ctx, ctx.books[BTC.instrument_id])
    ladder = ctx.quotes[BTC.instrument_id]
    assert orders_kept(params, triggers=False) == (len(ladder.bids) + len(ladder.asks), 0)
