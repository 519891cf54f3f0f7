"""What earlier sweeps needed, and what the next one may therefore be given."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.research.test_execution_report import child, order

from perpmaker.research.execution_needs import Need, need_of, needs
from perpmaker.research.execution_orders import OrderSeen


def sweeps(count: int, offset_bps: float = 1.0, **changes: Any) -> list[OrderSeen]:
    got = (child(1, offset_bps=offset_bps / 2, answer_ms=40.0), child(2, offset_bps=offset_bps, answer_ms=40.0))
    return [order(children=got, **changes)] * count


def only(orders: list[OrderSeen]) -> Need:
    (need,) = needs(orders)
    return need


def test_the_cap_is_what_95_of_100_needed_with_room() -> None:
    need = only(sweeps(95, 1.0) + sweeps(5, 4.0))
    assert (need.orders, need.short, need.cap_bps, need.needed_p50_bps) == (100, 0, Decimal("1.3"), 1.0)
    assert only(sweeps(94, 1.0) + sweeps(6, 4.0)).cap_bps == Decimal("5.0")


def test_what_fell_short_needed_more_than_anybody_knows() -> None:
    few = only(sweeps(95) + sweeps(5, ending="cap"))
    assert (few.short, few.cap_bps) == (5, Decimal("1.3"))
    many = only(sweeps(94) + sweeps(6, ending="deadline"))
    assert (many.short, many.cap_bps) == (6, None)
    assert only(sweeps(4) + sweeps(8, ending="max_children")).needed_p50_bps is None


def test_fewer_than_ten_orders_say_nothing() -> None:
    assert only(sweeps(9)).cap_bps is None
    assert only(sweeps(10)).cap_bps == Decimal("1.3")


def test_a_cap_keeps_room_where_orders_got_better_prices() -> None:
    assert only(sweeps(10, -3.0)).cap_bps == Decimal("0.5")


def test_the_timeout_is_three_times_the_slowest_answer_within_bounds() -> None:
    assert only(sweeps(10)).timeout_ms == 250
    slow = [order(children=(child(answer_ms=1_000.0),))] * 20
    assert only(slow).timeout_ms == 3_000
    stuck = [order(children=(child(answer_ms=9_000.0),))] * 20
    assert only(stuck).timeout_ms == 10_000
    assert only(sweeps(9)).timeout_ms is None  # 18 answers


@pytest.mark.parametrize(
    "changes",
    [{"algorithm": "twap"}, {"ending": "stopped"}, {"ending": "stale_book"}, {"ending": ""}, {"visible_qty": None}],
)
def test_only_sweeps_that_ended_by_themselves_count(changes: dict[str, Any]) -> None:
    assert needs(sweeps(10, **changes)) == ()


def test_sizes_and_instruments_stand_apart() -> None:
    largest, small = sweeps(10, 4.0, qty=Decimal(4)), sweeps(10, 2.0, qty=Decimal("0.05"))
    known = needs([*sweeps(10), *largest, *small, *sweeps(10, 3.0, instrument="ETH")])
    assert [(need.instrument, need.size) for need in known] == [
        ("BTC_USDT_Perp", "0% to 1%"),
        ("BTC_USDT_Perp", "5% to 20%"),
        ("BTC_USDT_Perp", "20% to 50%"),
        ("ETH", "5% to 20%"),
    ]
    found = need_of(known, "BTC_USDT_Perp", 0.002)
    assert found is not None
    assert found.cap_bps == Decimal("2.5")
    assert need_of(known, "BTC_USDT_Perp", 0.03) is None
    assert need_of(known, "SOL_USDT_Perp", 0.1) is None
