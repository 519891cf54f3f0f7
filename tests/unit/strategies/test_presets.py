from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perpmaker.model.order import OrderState, Side
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.presets import MARKET_MAKER
from perpmaker.strategies.registry import parse_params

from .fake_context import FakeContext, book, own_order, perp

BTC = perp()
ID = BTC.instrument_id
MID_BOOK = book(BTC, "59999.9", "60000.1")


def _params(**values: Any) -> MarketMakerParams:
    params = parse_params("market_maker", {"instrument": ID, **values})
    assert isinstance(params, MarketMakerParams)
    return params


def _started(**values: Any) -> tuple[FakeContext, MarketMaker]:
    ctx, maker = FakeContext(BTC), MarketMaker(_params(**values))
    ctx.books[ID] = MID_BOOK
    maker.on_start(ctx)
    return ctx, maker


@pytest.mark.parametrize("name", MARKET_MAKER)
def test_every_preset_says_what_it_sets(name: str) -> None:
    params = _params(preset=name)
    for table, keys in MARKET_MAKER[name].items():
        for key, value in keys.items():
            assert getattr(getattr(params, table), key) == value, f"{table}.{key}"


def test_what_a_configuration_gives_counts_more_than_the_preset() -> None:
    params = _params(preset="classic", quoting={"layers": 3}, regime={"anchor": False})
    assert (params.quoting.layers, params.quoting.model, params.quoting.kappa) == (3, "classic", 1000.0)
    assert (params.regime.anchor, params.regime.latch_max_s) == (False, 0.0)


def test_without_a_preset_nothing_changes() -> None:
    assert _params() == _params(preset="none")


def test_simple_is_one_bid_and_one_ask_around_mid() -> None:
    ctx, _ = _started(preset="simple")
    ladder = ctx.quotes[ID]
    assert [float(quote.px) for quote in ladder.bids] == [pytest.approx(59_970)]
    assert [float(quote.px) for quote in ladder.asks] == [pytest.approx(60_030)]
    assert ladder.bids[0].tolerance_bps == 2.5


def test_classic_is_seven_layers_twelve_bps_apart_from_a_quarter_per_cent_out() -> None:
    ctx, _ = _started(preset="classic")
    ladder = ctx.quotes[ID]
    bids = [(60_000 - float(quote.px)) / 6 for quote in ladder.bids]
    assert bids == pytest.approx([25 + 12 * layer for layer in range(7)])
    assert {quote.qty for quote in ladder.bids} == {Decimal("0.003")}
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(25)


def test_classic_pays_no_heed_to_fees() -> None:
    ctx = FakeContext(BTC)
    ctx.fees = (Decimal("0.004"), Decimal("0.005"))
    ctx.books[ID] = MID_BOOK
    MarketMaker(_params(preset="classic")).on_start(ctx)
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(25)


@pytest.mark.parametrize(("moved", "tolerance"), [("0", 10.0), ("90", 0.0)])
def test_classic_replaces_all_or_nothing(moved: str, tolerance: float) -> None:
    ctx, maker = _started(preset="classic")
    ladder = ctx.quotes[ID]
    for side, quotes in ((Side.BUY, ladder.bids), (Side.SELL, ladder.asks)):
        for quote in quotes:
            order = own_order(BTC, side, str(BTC.round_px(quote.px, side)), str(quote.qty), OrderState.OPEN)
            name = "bid" if side is Side.BUY else "ask"
            ctx.live_orders.append(msgspec.structs.replace(order, tag=f"quote {name} {quote.layer}"))
    moving = ctx.live_orders[3]
    ctx.live_orders[3] = msgspec.structs.replace(moving, px=(moving.px or Decimal(0)) - Decimal(moved))
    maker.on_book(ctx, MID_BOOK)
    ladder = ctx.quotes[ID]
    assert {quote.tolerance_bps for quote in (*ladder.bids, *ladder.asks)} == {tolerance}
