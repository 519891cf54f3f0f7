"""What the execution report says of parent orders that an engine worked, and its sums over orders made up."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.engine.chronicle import written
from tests.unit.engine.rig import BTC, Rig
from tests.unit.engine.test_executions import execute, idle, idle_rig, report

from perpmaker.research.execution_orders import ChildSeen, OrderSeen, gathered, orders_in, venue_of
from perpmaker.research.execution_report import analysed, chosen, hour_of, size_of
from perpmaker.research.quantile import quantile

HOUR_NS = 3_600_000_000_000


def child(number: int = 1, **changes: Any) -> ChildSeen:
    made = ChildSeen(
        number=number, px=Decimal(100), qty=Decimal(1), visible_qty=Decimal(1), filled_qty=Decimal(1),
        notional=Decimal(100), fills=1, was_refused=False, offset_bps=1.0, drift_bps=0.0, answer_ms=30.0, ts_ns=0,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def order(**changes: Any) -> OrderSeen:
    made = OrderSeen(
        id="a", kind="order", strategy="engine", account="main", venue="grvt", instrument=BTC, side="buy",
        algorithm="sweep", qty=Decimal(1), filled_qty=Decimal(1), vwap=Decimal(100), fees=Decimal("0.05"),
        mid_px=Decimal(100), visible_qty=Decimal(10), slippage_bps=2.0, half_spread_bps=0.5, ending="done", text="",
        started_ns=0, took_s=1.0, children=(child(),),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


# what a journal tells


def test_an_order_is_told_as_the_engine_reported_it() -> None:
    rig = idle_rig()
    execute(rig)
    (seen,), end = gathered(rig.journal), report(rig)
    assert (seen.id, seen.kind, seen.algorithm, seen.venue, seen.ending) == (
        "order-01",
        "order",
        "sweep",
        "grvt",
        "done",
    )
    assert (seen.qty, seen.filled_qty, seen.vwap, seen.fees) == (end.order.qty, end.filled_qty, end.vwap, end.fees)
    assert end.slippage_bps is not None
    assert seen.slippage_bps == pytest.approx(float(end.slippage_bps))
    (only,) = seen.children
    assert (only.qty, only.filled_qty, only.fills) == (Decimal("0.010"), Decimal("0.010"), 1)
    assert only.visible_qty > 0
    assert only.drift_bps == 0
    assert only.offset_bps == pytest.approx(seen.slippage_bps)


def test_a_partial_fill_counts_each_of_its_executions() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.010", duration_ms="600000")
    for qty in ("0.003", "0.004"):
        rig.fill(rig.live()[0], Decimal(qty))
    rig.operate("execution_stop", id="order-01")
    rig.run(1)
    (seen,) = gathered(rig.journal)
    (only,) = seen.children
    assert (only.filled_qty, only.fills, only.rested) == (Decimal("0.007"), 2, True)
    assert (seen.ending, seen.filled_qty) == ("stopped", Decimal("0.007"))


def test_an_order_that_is_not_over_is_told_by_its_fills_and_counts_in_no_group() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    px = rig.fill(rig.live()[0], Decimal("0.004")).px
    rig.run(1)
    (seen,) = gathered(rig.journal)
    assert (seen.ending, seen.filled_qty, seen.vwap, seen.took_s) == ("", Decimal("0.004"), px, None)
    analysis = analysed("e", [seen])
    assert (len(analysis.orders), analysis.whole.orders, analysis.by_venue) == (1, 0, ())


def test_steps_to_a_target_and_closings_are_told_apart_from_peoples_orders() -> None:
    rig = idle_rig()
    idle(rig).wanted = Decimal("0.010")
    rig.run(1)
    rig.operate("close")
    rig.run(5)
    assert [(seen.kind, seen.strategy) for seen in gathered(rig.journal)] == [("step", "btc"), ("closing", "engine")]


def test_a_refused_child_is_not_one_that_found_nothing() -> None:
    rig = idle_rig()
    rig.refuses = "closed socket"
    execute(rig)
    rig.run(10)
    (seen,) = gathered(rig.journal)
    assert seen.ending in ("refused", "deadline")
    assert all(one.was_refused for one in seen.children)
    (row, *_) = analysed("e", [seen]).taking
    assert (row.refused, row.nothing) == (1, 0)


def test_orders_whose_beginning_was_pruned_are_told_by_their_end() -> None:
    rig = idle_rig()
    execute(rig)
    (seen,) = gathered([rig.journal[-1], *(r for r in rig.journal if type(r).__name__ == "ExecutionEnded")])
    assert (seen.filled_qty, seen.children) == (Decimal("0.010"), ())


def test_the_venue_is_in_the_instruments_name() -> None:
    assert [venue_of(name) for name in ("ETH_USDT_Perp", "ETH_USDC_PERP@backpack")] == ["grvt", "backpack"]


def test_a_journal_of_many_files_is_read_whole_and_says_how_far_it_is(tmp_path: Path) -> None:
    rig = idle_rig()
    execute(rig)
    cut = next(place for place, record in enumerate(rig.journal) if type(record).__name__ == "ExecutionChild") + 1
    journal = written(tmp_path, rig.journal[:cut])
    journal.rotate(rig.engine.checkpoint())
    for record in rig.journal[cut:]:
        journal.append(record)
    journal.close()
    told: list[tuple[int, int]] = []
    (seen,) = orders_in(tmp_path, lambda done, total: told.append((done, total)))
    assert (seen.filled_qty, [child.fills for child in seen.children]) == (Decimal("0.010"), [1])
    assert told == [(0, 2), (1, 2)]


# sums


def test_slippage_is_weighted_by_what_was_filled_and_percentiles_count_orders() -> None:
    small = order(slippage_bps=10.0)
    large = order(slippage_bps=1.0, qty=Decimal(9), filled_qty=Decimal(9))
    whole = analysed("e", [small, large]).whole
    assert whole.slippage_bps == pytest.approx((10 * 100 + 1 * 900) / 1000)
    assert (whole.slippage_p50_bps, whole.notional) == (5.5, 1000)
    assert whole.fee_bps == pytest.approx(0.1 / 1000 * 10_000)


def test_a_shortfall_lowers_the_filled_share_and_is_not_done() -> None:
    whole = analysed("e", [order(), order(filled_qty=Decimal("0.5"), ending="cap")]).whole
    assert (whole.filled_share, whole.done, whole.orders) == (0.75, 1, 2)


def test_an_order_that_filled_nothing_has_no_slippage() -> None:
    nothing = order(filled_qty=Decimal(0), vwap=None, slippage_bps=None, fees=Decimal(0), ending="cap", children=())
    whole = analysed("e", [nothing]).whole
    assert (whole.slippage_bps, whole.slippage_p50_bps, whole.fee_bps, whole.filled_share) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("qty", "name"),
    [("0.1", "0% to 1%"), ("0.11", "1% to 5%"), ("10", "50% to 100%"), ("10.1", "above 100%")],
)
def test_size_is_the_quantity_in_parts_of_the_depth_at_arrival(qty: str, name: str) -> None:
    assert size_of(order(qty=Decimal(qty))) == name
    assert analysed("e", [order(qty=Decimal(qty))]).by_size[0].name == name


def test_an_order_that_never_met_a_book_has_no_size() -> None:
    assert size_of(order(visible_qty=None, mid_px=None)) == "unknown"
    assert analysed("e", [order(visible_qty=None, mid_px=None)]).by_size[0].name == "unknown"


def test_hours_are_utc_and_there_are_24_of_them() -> None:
    analysis = analysed("e", [order(started_ns=5 * HOUR_NS), order(started_ns=30 * HOUR_NS - 1)])
    assert [group.orders for group in analysis.by_hour] == [2 if hour == 5 else 0 for hour in range(24)]
    assert hour_of(order(started_ns=23 * HOUR_NS)) == 23


def test_venues_and_algorithms_are_groups() -> None:
    analysis = analysed("e", [order(), order(venue="backpack", algorithm="twap")])
    assert [group.name for group in analysis.by_venue] == ["backpack", "grvt"]
    assert [group.name for group in analysis.by_algorithm] == ["sweep", "twap"]


def test_children_are_told_by_what_they_got() -> None:
    got = (
        child(1, filled_qty=Decimal("0.4"), notional=Decimal(40), fills=2, visible_qty=Decimal("0.5")),
        child(2, filled_qty=Decimal(0), notional=Decimal(0), fills=0, offset_bps=None, answer_ms=None),
        child(3, was_refused=True, filled_qty=Decimal(0), notional=Decimal(0), fills=0, offset_bps=None),
    )
    first, second, third = analysed("e", [order(children=got)]).taking
    assert (first.part, first.filled_share, first.of_believed, first.fills) == (1, 0.4, 0.8, 2)
    assert (second.nothing, second.filled_share, second.offset_bps) == (1, 0, None)
    assert (third.refused, third.nothing, third.filled_share) == (1, 0, None)


def test_late_children_are_one_row_and_resting_ones_stand_apart() -> None:
    many = tuple(child(number) for number in range(1, 9))
    analysis = analysed("e", [order(children=(*many, child(9, visible_qty=Decimal(0))))])
    assert [(row.name, row.children) for row in analysis.taking] == [("1", 1), ("2", 1), ("3", 1), ("4", 1), ("5+", 4)]
    assert analysis.resting.children == 1


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.95, 3.85)])
def test_a_quantile_lies_between_its_neighbours(share: float, wanted: float) -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], share) == pytest.approx(wanted)
    assert quantile([], share) is None


@pytest.mark.parametrize(
    ("bounds", "left"),
    [({}, 3), ({"from_ns": 2}, 2), ({"to_ns": 2}, 1), ({"instrument": "ETH"}, 1), ({"from_ns": 2, "to_ns": 3}, 1)],
)
def test_orders_are_chosen_by_their_beginning_and_instrument(bounds: dict[str, Any], left: int) -> None:
    orders = [order(started_ns=1), order(started_ns=2), order(started_ns=3, instrument="ETH")]
    assert len(chosen(orders, **bounds)) == left


def test_the_sum_of_the_groups_is_the_whole() -> None:
    pick: list[Callable[[Any], Any]] = [
        lambda a: a.by_size,
        lambda a: a.by_venue,
        lambda a: a.by_algorithm,
        lambda a: a.by_hour,
    ]
    analysis = analysed(
        "e", [order(qty=Decimal(n), filled_qty=Decimal(n), started_ns=n * HOUR_NS) for n in range(1, 20)]
    )
    for groups in pick:
        assert sum(group.orders for group in groups(analysis)) == 19
        assert sum(group.notional for group in groups(analysis)) == pytest.approx(analysis.whole.notional)


def test_a_rig_and_its_next_life_are_one_history() -> None:
    rig = idle_rig()
    execute(rig)
    later = Rig(*rig.spec.strategies, epoch=2, venue=rig, limits=rig.spec.accounts[0].limits)
    later.engine.restore(None, rig.journal)
    later.start()
    execute(later, command_id="order-02")
    assert [seen.id for seen in gathered([*rig.journal, *later.journal])] == ["order-01", "order-02"]
