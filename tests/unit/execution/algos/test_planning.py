"""The plan before anything is sent: what the book of now would give, by the tactic itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.execution.algos.workbench import ASK, RULES, thin_levels

from perpmaker.execution.algos.planning import ExecutionPlan, check_qty, plan
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.order import Side
from perpmaker.model.quote import Iceberg, Peg, Pov, Sweep, Twap, algorithm_named


def book(**shape: int) -> OrderBook:
    made = OrderBook(RULES)
    bids, asks = thin_levels(**shape)
    assert made.snapshot(bids, asks, 0, 0)
    return made


def planned(algorithm: Any, qty: str = "0.2", side: Side = Side.BUY, **options: Any) -> ExecutionPlan:
    shape = options.pop("shape", {"lots": 100})
    return plan(algorithm, side, Decimal(qty), book(**shape), **options)


def test_a_deep_book_is_one_child_at_the_touch() -> None:
    made = planned(Sweep())
    assert [(c.px, c.qty, c.expected_qty) for c in made.children] == [(RULES.px(ASK), Decimal("0.2"), Decimal("0.2"))]
    assert (made.slippage_bps, made.remaining_qty, made.worst_px) == (0, 0, RULES.px(ASK))
    assert made.half_spread_bps > 0


def test_a_thin_book_is_taken_up_to_the_cap_and_the_rest_is_named() -> None:
    made = planned(Sweep(), "1", shape={"lots": 2, "gap": 4})
    assert made.cap_px == Decimal("2601.30")  # 5 bps above 2600.00
    assert made.shown_qty == Decimal("0.66")  # 33 levels of 0.02
    assert made.believed_qty == Decimal("0.462")
    assert made.filled_qty == Decimal("0.46")
    assert made.remaining_qty == Decimal("0.54")
    assert made.worst_px == made.cap_px
    assert 0 < made.slippage_bps < 5
    assert any("comes back into the book" in note for note in made.notes)


def test_the_plan_of_a_sell_mirrors_that_of_a_buy() -> None:
    made = planned(Sweep(), "1", Side.SELL, shape={"lots": 2, "gap": 4})
    assert made.cap_px < made.touch_px
    assert made.slippage_bps > 0
    assert made.worst_px >= made.cap_px


def test_the_limit_of_one_order_makes_more_children() -> None:
    made = planned(Sweep(), "1", largest_notional=Decimal(1000))
    assert len(made.children) == 3
    assert max(child.qty * child.px for child in made.children) <= 1000
    assert made.remaining_qty == 0


def test_our_own_order_on_the_other_side_is_not_reached() -> None:
    made = planned(Sweep(), "1", shape={"lots": 2, "gap": 4}, own_opposite_px=RULES.px(ASK + 8))
    assert made.cap_px == RULES.px(ASK + 7)
    assert made.shown_qty == Decimal("0.04")


def test_presets_price_their_children_as_they_do_at_work() -> None:
    made = planned(algorithm_named("iterative", {}), "0.5", shape={"lots": 2, "gap": 4})
    first, second = made.children[:2]
    assert first.qty == Decimal("0.5")
    assert first.expected_qty == Decimal("0.35")
    assert second.qty == Decimal("0.15")
    chunks = planned(algorithm_named("chunked", {"chunk_qty": "0.05"}), "0.2")
    assert [child.qty for child in chunks.children] == [Decimal("0.05")] * 4


def test_a_twap_plans_its_slices_over_its_duration() -> None:
    made = planned(Twap(duration_ms=60_000, slices=4))
    assert [(child.at_s, child.qty) for child in made.children] == [
        (0.0, Decimal("0.05")),
        (15.0, Decimal("0.05")),
        (30.0, Decimal("0.05")),
        (45.0, Decimal("0.05")),
    ]
    assert (made.lasts_s, made.remaining_qty) == (60.0, 0)


def test_what_depends_on_others_is_said_so() -> None:
    pov = planned(Pov(participation=Decimal("0.1")))
    assert pov.children_expected is None
    assert "others have to trade 1.8 ETH" in pov.notes[0]
    iceberg = planned(Iceberg(display_qty=Decimal("0.05")))
    assert (iceberg.children_expected, iceberg.vwap) == (4, RULES.px(ASK - 10))
    assert iceberg.slippage_bps < 0
    peg = planned(Peg(maker_ms=2000))
    assert peg.notes[0].startswith("rests at the touch for 2 s first")
    assert peg.filled_qty == Decimal("0.2")


@pytest.mark.parametrize(
    ("qty", "said"),
    [
        ("0.205", "multiples of 0.01 ETH; nearest: 0.20 or 0.21"),
        ("0.001", "nearest: 0.01"),
        ("0", "above 0"),
        ("-1", "above 0"),
        ("NaN", "above 0"),
        ("1e30", "out of range"),
        ("1E+999999", "out of range"),
    ],
)
def test_a_quantity_the_venue_does_not_take_is_named_with_what_it_takes(qty: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_qty(RULES, Decimal(qty), Decimal(2600))


def test_a_quantity_below_the_minimum_notional_is_named() -> None:
    with pytest.raises(ValueError, match=r"at least 0\.04 ETH"):
        check_qty(RULES, Decimal("0.02"), Decimal(600))


def test_an_empty_side_cannot_be_planned_on() -> None:
    made = OrderBook(RULES)
    made.snapshot(((ASK - 10, 5),), (), 0, 0)
    with pytest.raises(ValueError, match="empty"):
        plan(Sweep(), Side.BUY, Decimal(1), made)
