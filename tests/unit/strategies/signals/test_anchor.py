from __future__ import annotations

import pytest

from perpmaker.model.order import Side
from perpmaker.strategies.signals.anchor import Anchored, anchored


def _at(bid: float, ask: float, position: float, loss_bps: float = 0.0, *, is_over_limit: bool = False) -> Anchored:
    """Anchored at an entry of 1000."""
    return anchored(bid, ask, position=position, entry_px=1000.0, loss_bps=loss_bps, is_over_limit=is_over_limit)


def test_a_long_position_sells_at_no_loss_and_buys_only_below_entry() -> None:
    assert _at(989, 991, 1) == Anchored(989, 1000, (Side.SELL,))
    assert _at(1009, 1011, 1) == Anchored(1000, 1011, (Side.BUY,))


def test_a_short_position_is_the_mirror_image() -> None:
    assert _at(1009, 1011, -1) == Anchored(1000, 1011, (Side.BUY,))
    assert _at(989, 991, -1) == Anchored(989, 1000, (Side.SELL,))


@pytest.mark.parametrize(("position", "expected"), [(1, (989, 995)), (-1, (989, 1000))])
def test_half_a_per_cent_of_loss_is_let_through_when_allowed(position: int, expected: tuple[float, float]) -> None:
    got = _at(989, 991, position, loss_bps=50)
    assert (got.bid_px, got.ask_px) == pytest.approx(expected)


def test_a_short_position_may_buy_back_at_the_allowed_loss() -> None:
    assert _at(1009, 1011, -1, loss_bps=50).bid_px == pytest.approx(1005)


def test_flat_there_is_nothing_to_anchor_to() -> None:
    assert _at(989, 991, 0) == Anchored(989, 991, ())


def test_a_position_over_its_limit_is_not_held_back() -> None:
    assert _at(989, 991, 1, is_over_limit=True) == Anchored(989, 991, ())
