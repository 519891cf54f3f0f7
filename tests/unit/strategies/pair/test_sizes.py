"""Quantities valid on both venues, and what is held back so that the last of it can be traded."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.unit.strategies.pair.face import HEDGE, LEAD, RULES

from perpmaker.strategies.pair.sizes import (
    away_from_zero,
    common_lot,
    hedgeable,
    larger_lot,
    next_piece,
    smallest_qty,
    towards_zero,
)

D = Decimal


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [("0.01", "0.001", "0.01"), ("0.04", "0.006", "0.12"), ("1", "0.3", "3"), ("10", "4", "20")],
)
def test_the_common_lot_is_whole_on_both_venues(one: str, other: str, common: str) -> None:
    made = [msgspec.structs.replace(RULES[LEAD], lot=D(lot)) for lot in (one, other)]
    assert common_lot(*made) == D(common)


def test_one_lot_means_the_larger_one() -> None:
    assert larger_lot(RULES[LEAD], RULES[HEDGE]) == D("0.01")


def test_the_smallest_order_covers_lot_minimum_and_notional() -> None:
    assert smallest_qty(RULES[LEAD], D(2600)) == D("0.01")
    assert smallest_qty(RULES[LEAD], D(1000)) == D("0.02")
    assert smallest_qty(RULES[HEDGE], D(2600)) == D("0.02")


def test_rounding_never_adds_exposure() -> None:
    assert [towards_zero(D(qty), D("0.01")) for qty in ("0.019", "-0.019", "0")] == [D("0.01"), D("-0.01"), D(0)]


@pytest.mark.parametrize(
    ("open_qty", "to_come", "now"),
    [
        ("0.019", "0", "0"),  # below the minimum: the ledger
        ("0.5", "0", "0.5"),
        ("0.4996", "0", "0.499"),
        ("0.49", "0.01", "0.48"),  # 0.49 would leave 0.01 that nobody takes
        ("0.02", "0.01", "0"),
        ("0.3", "0.2", "0.3"),
    ],
)
def test_so_much_is_hedged_that_the_rest_can_be(open_qty: str, to_come: str, now: str) -> None:
    assert hedgeable(D(open_qty), D(to_come), D("0.001"), D("0.02")) == D(now)


def test_what_is_held_back_is_less_than_two_smallest_orders() -> None:
    for thousandths in range(1, 200):
        for more in range(200):
            open_qty, to_come = D(thousandths) / 1000, D(more) / 1000
            now = hedgeable(open_qty, to_come, D("0.001"), D("0.02"))
            left = open_qty - now
            assert 0 <= left < D("0.04")
            assert left < D("0.02") or to_come
            assert not to_come or not left or left + to_come >= D("0.02") or not now


@pytest.mark.parametrize(
    ("held", "most", "now"),
    [
        ("1", "0.3", "0.3"),
        ("0.31", "0.3", "0.29"),  # 0.3 would leave 0.01 that nobody takes
        ("0.3", "0.5", "0.3"),
        ("0.03", "0.02", "0.02"),  # every piece leaves something that nobody takes
        ("0.3", "0.01", "0"),
        ("0.3", "-0.1", "0"),
    ],
)
def test_a_piece_leaves_what_can_be_traded_later_or_as_little_as_possible(held: str, most: str, now: str) -> None:
    assert next_piece(D(held), D(most), D("0.001"), D("0.02")) == D(now)


def test_pieces_lead_whatever_is_held_to_less_than_the_smallest_order() -> None:
    smallest = D("0.02")
    for most in (D(thousandths) / 1000 for thousandths in range(20, 70, 3)):
        for thousandths in range(1, 200):
            held = D(thousandths) / 1000
            for _ in range(20):
                piece = next_piece(held, most, D("0.001"), smallest)
                assert piece == 0 or smallest <= piece <= most
                held -= piece
            assert 0 <= held < smallest
            assert held == 0 or thousandths < 40 or most < 2 * smallest


def test_rounding_up_never_gives_less() -> None:
    assert [away_from_zero(D(qty), D("0.01")) for qty in ("0.011", "0.02", "0")] == [D("0.02"), D("0.02"), D(0)]
