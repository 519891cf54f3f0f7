from __future__ import annotations

import math
from decimal import Decimal

import pytest
from tests.unit.strategies.fake_context import FakeContext, own_order, perp

from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.strategies.quoting.inventory import Inventory, Sizes
from perpmaker.strategies.quoting.params import QuotingParams

BTC = perp()


def _held(position: str, *orders: OrderView) -> Inventory:
    ctx = FakeContext(BTC)
    ctx.hold(BTC.instrument_id, position)
    return Inventory.of(ctx.position(BTC.instrument_id), orders, limit_notional=5_000.0, mark_px=50_000.0)


def test_flat_leaves_the_whole_limit_on_both_sides() -> None:
    held = _held("0")
    assert (held.room_notional(Side.BUY), held.room_notional(Side.SELL)) == (5_000.0, 5_000.0)


def test_a_position_takes_room_from_its_side_and_gives_it_to_the_other() -> None:
    long, short = _held("0.04"), _held("-0.04")
    assert (long.room_notional(Side.BUY), long.room_notional(Side.SELL)) == pytest.approx((3_000.0, 7_000.0))
    assert (short.room_notional(Side.BUY), short.room_notional(Side.SELL)) == pytest.approx((7_000.0, 3_000.0))


@pytest.mark.parametrize("state", [OrderState.CANCEL_SENT, OrderState.UNKNOWN])
def test_an_order_that_may_still_fill_but_cannot_be_kept_takes_room(state: OrderState) -> None:
    held = _held("0", own_order(BTC, Side.BUY, "50000", "0.01", state))
    assert (held.room_notional(Side.BUY), held.room_notional(Side.SELL)) == pytest.approx((4_500.0, 5_000.0))


@pytest.mark.parametrize("state", [OrderState.PREPARED, OrderState.SENT, OrderState.OPEN])
def test_an_order_of_the_ladder_is_counted_with_the_ladder(state: OrderState) -> None:
    held = _held("0", own_order(BTC, Side.SELL, "50000", "0.01", state))
    assert held.room_notional(Side.SELL) == 5_000.0


def test_q_counts_orders_beyond_the_target() -> None:
    sizes = Sizes(QuotingParams(order_notional=Decimal(500), target_position=Decimal("0.02")))
    sizes.follow(50_000.0)
    assert sizes.q(_held("0.05")) == pytest.approx(3.0)
    assert sizes.q(_held("0.02")) == 0.0
    assert sizes.q(_held("0")) == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("ladder", "multiples"), [("flat", (1.0, 1.0, 1.0)), ("linear", (1.0, 1.5, 2.0)), ("geometric", (1.0, 1.5, 2.25))]
)
def test_the_size_ladder_grows_outwards(ladder: str, multiples: tuple[float, ...]) -> None:
    sizes = Sizes(QuotingParams(layers=3, order_notional=Decimal(500), size_ladder=ladder))  # type: ignore[arg-type]
    sizes.follow(50_000.0)
    assert [qty / 0.01 for qty in sizes.qtys(Side.BUY, _held("0"))] == pytest.approx(multiples)


def test_sizes_follow_the_price_only_in_steps() -> None:
    sizes = Sizes(QuotingParams(layers=1, order_notional=Decimal(500)))
    sizes.follow(50_000.0)
    sizes.follow(50_200.0)
    assert sizes.order_qty == 0.01
    sizes.follow(50_300.0)
    assert sizes.order_qty == pytest.approx(500 / 50_300)


def test_the_shape_factor_shrinks_only_the_side_that_adds() -> None:
    sizes = Sizes(QuotingParams(layers=1, order_notional=Decimal(500), order_amount_shape_factor=2.0))
    sizes.follow(50_000.0)
    half_full = _held("0.05")
    assert sizes.qtys(Side.BUY, half_full) == pytest.approx((0.01 * math.exp(-1.0),))
    assert sizes.qtys(Side.SELL, half_full) == (0.01,)
    assert sizes.qtys(Side.BUY, _held("0")) == sizes.qtys(Side.SELL, _held("0")) == (0.01,)
