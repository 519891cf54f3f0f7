"""A grid after a restart is the grid of before: from its memo, the fills that came meanwhile, and the account."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from perpmaker.engine.records import Remembered
from perpmaker.model.order import Side

from .grid_rig import BTC, GridRig


def _lived(**keys: object) -> GridRig:
    rig = GridRig(**keys).start()
    rig.run(1)
    rig.walk(59_390, 59_810)
    return rig


def _state(rig: GridRig) -> list[tuple[object, ...]]:
    return [msgspec.structs.astuple(cell) for cell in rig.cells.cells]


def _orders(rig: GridRig) -> set[tuple[Side, Decimal | None, Decimal]]:
    return {(order.side, order.px, order.qty) for order in rig.live()}


@pytest.mark.parametrize("mode", ["neutral", "long", "short"])
def test_cells_profits_and_orders_are_those_of_before(mode: str) -> None:
    before = _lived(mode=mode)
    state, orders = _state(before), _orders(before)
    after = GridRig(before).start()
    after.run(3)
    assert _state(after) == state
    assert _orders(after) == orders
    assert after.grid._phase == "working"


def test_fills_that_came_while_nobody_was_there_are_folded_in_at_their_level() -> None:
    before = _lived()
    bid = max(before.quotes(BTC, Side.BUY), key=lambda order: order.px or Decimal(0))
    before._execute(before.orders[bid.client_order_id], None, False)
    after = GridRig(before).start()
    after.run(3)
    number = int(bid.tag.split()[-1])
    assert after.cells.cells[number].open_qty == bid.qty
    assert after.cells.cells[number].open_px == bid.px
    assert after.cells.held == after.position


def test_a_partial_fill_that_came_meanwhile_leaves_the_level_partly_open() -> None:
    before = _lived(order_notional=600)
    bid = max(before.quotes(BTC, Side.BUY), key=lambda order: order.px or Decimal(0))
    before._execute(before.orders[bid.client_order_id], Decimal("0.004"), False)
    before.jump(float(bid.px or 0) + 50)
    after = GridRig(before).start()
    after.run(3)
    number = int(bid.tag.split()[-1])
    cell = after.cells.cells[number]
    assert (cell.open_qty, cell.open_px) == (Decimal("0.004"), bid.px)
    (closing,) = [order for order in after.quotes(BTC, Side.SELL) if order.qty == Decimal("0.004")]
    assert closing.px == cell.upper_px
    assert (Side.BUY, cell.lower_px, cell.qty - Decimal("0.004")) in _orders(after)


def test_without_its_memo_it_takes_the_position_over() -> None:
    before = _lived()
    before.journal[:] = [record for record in before.journal if not isinstance(record, Remembered)]
    after = GridRig(before).start()
    after.run(3)
    assert after.cells.held == after.position == before.position
    assert after.live()


def test_under_other_parameters_a_new_grid_is_laid_out_with_what_is_held() -> None:
    before = _lived()
    before.keys = msgspec.structs.replace(before.keys, count=5)
    after = GridRig(before).start()
    after.run(3)
    assert len(after.cells.cells) == 5
    assert after.cells.held == after.position


def test_a_stopped_grid_stays_stopped_and_asks_again() -> None:
    before = _lived(out_of_range="stop", out_of_range_s=1)
    before.walk(58_900)
    before.run(3)
    after = GridRig(before).start()
    after.run(3)
    (slot,) = after.engine.world.slots.values()
    assert slot.question.startswith("The price left the grid")
    assert after.live() == []


def test_a_price_that_passed_lines_meanwhile_is_sold_to_no_worse_than_the_line() -> None:
    before = _lived()
    held = before.position
    assert held > 0
    after = GridRig(before)
    after.jump(60_700)
    after.start()
    after.run(2)
    closings = [order for order in after.quotes(BTC, Side.SELL) if order.px < 60_800]
    assert sum(order.qty for order in closings) == held
    assert all(order.px == Decimal("60699.6") for order in closings), "at the best price that rests"
    after.walk(60_790)
    assert after.position == 0
    assert all(cell.profit >= 0 for cell in after.cells.cells)
