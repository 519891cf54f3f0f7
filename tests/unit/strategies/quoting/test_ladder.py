from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.strategies.fake_context import perp

from perpmaker.model.order import Side
from perpmaker.strategies.quoting.ladder import SideWish, VenueRules, side_quotes

BTC = VenueRules.of(perp())
BID = SideWish(
    side=Side.BUY,
    first_px=59_990.0,
    touch_px=60_000.0,
    far_px=59_500.0,
    spacing=10.0,
    qtys=(0.005, 0.005, 0.005),
    room_notional=5_000.0,
    mark_px=60_000.0,
    tolerance_bps=0.25,
)
ASK = msgspec.structs.replace(BID, side=Side.SELL, first_px=60_010.0, touch_px=60_000.0, far_px=60_500.0)


def _quoted(wish: SideWish, **changes: Any) -> tuple[list[tuple[float, Decimal]], str | None]:
    quotes, missing = side_quotes(msgspec.structs.replace(wish, **changes), BTC)
    assert [quote.layer for quote in quotes] == list(range(len(quotes)))
    return [(float(quote.px), quote.qty) for quote in quotes], missing


def test_layers_go_outwards_by_the_spacing() -> None:
    five = Decimal("0.005")
    assert _quoted(BID) == ([(59_990.0, five), (59_980.0, five), (59_970.0, five)], None)
    assert _quoted(ASK) == ([(60_010.0, five), (60_020.0, five), (60_030.0, five)], None)


def test_a_quote_through_the_touch_rests_at_it_and_the_others_keep_their_distance() -> None:
    bids, _ = _quoted(BID, first_px=60_050.0)
    asks, _ = _quoted(ASK, first_px=59_900.0)
    assert [px for px, _ in bids] == [60_000.0, 59_990.0, 59_980.0]
    assert [px for px, _ in asks] == [60_000.0, 60_010.0, 60_020.0]


def test_layers_beyond_the_far_bound_are_left_out() -> None:
    bids, missing = _quoted(BID, far_px=59_985.0)
    assert [px for px, _ in bids] == [59_990.0]
    assert missing == "from layer 1 on further out than max_distance_bps"
    asks, _ = _quoted(ASK, far_px=60_025.0)
    assert [px for px, _ in asks] == [60_010.0, 60_020.0]


def test_sizes_round_down_to_the_lot() -> None:
    assert _quoted(BID, qtys=(0.00599,))[0] == [(59_990.0, Decimal("0.005"))]


def test_a_size_that_is_whole_lots_stays_so_despite_float_arithmetic() -> None:
    assert _quoted(BID, qtys=(0.001 * 3 + 0.001 * 4,))[0] == [(59_990.0, Decimal("0.007"))]


def test_rounding_below_the_minimum_notional_goes_up_by_less_than_a_lot() -> None:
    assert _quoted(BID, qtys=(0.0018,))[0] == [(59_990.0, Decimal("0.002"))]


def test_a_size_wanted_below_the_minimum_is_not_quoted_at_all() -> None:
    assert _quoted(BID, qtys=(0.0009,)) == ([], "layer 0 of 53.99 is below the venue's minimum")


def test_the_minimum_is_taken_at_the_layers_own_price() -> None:
    edge = VenueRules(tick=0.01, lot=Decimal(1), lot_qty=1.0, min_qty=1.0, min_notional=100.0)
    wish = msgspec.structs.replace(
        BID, first_px=50.0, touch_px=60.0, far_px=40.0, spacing=0.5, qtys=(2.0, 2.0), mark_px=50.0
    )
    quotes, missing = side_quotes(wish, edge)
    assert [quote.qty for quote in quotes] == [Decimal(2)]
    assert missing == "layer 1 of 99.00 is below the venue's minimum"


@pytest.mark.parametrize("wish", [BID, ASK])
def test_quotes_fill_the_room_and_no_more(wish: SideWish) -> None:
    quotes, missing = _quoted(wish, room_notional=500.0)
    assert [qty for _, qty in quotes] == [Decimal("0.005"), Decimal("0.003")]
    assert missing == "position limit"
    assert sum(float(qty) * max(px, 60_000.0) for px, qty in quotes) <= 500.0


@pytest.mark.parametrize("room", [-100.0, 0.0, 119.0])
def test_no_room_for_the_smallest_order_is_no_quote(room: float) -> None:
    assert _quoted(BID, room_notional=room) == ([], "position limit")


def test_quotes_carry_the_tolerance() -> None:
    quotes, _ = side_quotes(BID, BTC)
    assert {quote.tolerance_bps for quote in quotes} == {0.25}
