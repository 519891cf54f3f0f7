"""A grid over any walk of the price, with partial fills, jumps and restarts: nothing is lost and no limit is passed."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.engine.rig import instrument
from tests.unit.strategies.grid.grid_rig import BTC, GridRig, around, params

from perpmaker.model.order import Side
from perpmaker.strategies.grid.cells import Cell, Cells
from perpmaker.strategies.grid.layout import Site, lay_out
from perpmaker.strategies.grid.lines import narrowest_bps, on_ticks, wanted_lines

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("walk"), st.integers(-70, 70).map(lambda n: 60_000 + 20 * n)),
        st.tuples(st.just("part"), st.integers(-50, 50).map(lambda n: 60_000 + 20 * n)),
        st.tuples(st.just("jump"), st.integers(-70, 70).map(lambda n: 60_000 + 20 * n)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("missed"), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=6,
)
KEYS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["neutral", "long", "short"]),
        "out_of_range": st.sampled_from(["hold", "trail", "recentre", "flatten"]),
        "out_of_range_s": st.sampled_from([0, 5]),
        "reseed": st.booleans(),
        "order_notional": st.sampled_from([200, 480]),
        "orders_per_side": st.sampled_from([2, 20]),
    }
)


def _holds(rig: GridRig) -> None:
    if rig.grid._cells is None:
        return
    assert rig.cells.held == rig.position
    totals = rig.cells.totals(rig.mid[BTC])
    assert abs(totals.profit + totals.inventory_pnl - rig.cash() - rig.position * rig.mid[BTC]) < Decimal("1e-9")
    assert totals.fees == sum((fill.fee for fill in rig.fills), Decimal(0))
    exposed = abs(rig.position) * rig.mid[BTC]
    assert exposed <= rig.spec.accounts[0].limits.max_position_notional * Decimal("1.05")
    bids, asks = rig.prices(Side.BUY), rig.prices(Side.SELL)
    assert not bids or not asks or bids[0] < asks[0], "own orders never cross"
    assert rig.engine.assert_identity() == 1
    for cell in rig.cells.cells:
        assert cell.open_qty >= 0
        assert cell.lower_px < cell.upper_px


@settings(derandomize=True, deadline=None, max_examples=25)
@given(KEYS, STEPS)
def test_cells_hold_what_the_account_holds_and_sum_to_its_cash(
    keys: dict[str, object], steps: list[tuple[str, int]]
) -> None:
    chosen = around(width_bps=330, **keys) if keys["out_of_range"] == "recentre" else keys
    rig = GridRig(**chosen).start()
    rig.run(6)
    for what, value in steps:
        if what == "walk":
            rig.walk(value, step=20.0)
        elif what == "part":
            rig.walk(value, share=Decimal("0.4"), step=50.0)
        elif what == "jump":
            rig.jump(value)
            rig.run(2)
        else:
            if what == "missed" and len(rig.live()) > value:
                rig._execute(rig.orders[rig.live()[value].client_order_id], None, False)
            rig = GridRig(rig).start()
        rig.run(8)
        _holds(rig)


LAYOUTS = st.builds(
    lambda **keys: params(**around(**keys)),
    width_bps=st.floats(20, 5000),
    count=st.integers(1, 60),
    spacing=st.sampled_from(["arithmetic", "geometric", "volatility"]),
    density=st.floats(-2, 2),
    mode=st.sampled_from(["neutral", "long", "short"]),
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(LAYOUTS, st.floats(100.0, 200_000.0))
def test_lines_rise_and_what_is_laid_out_pays_and_fits(chosen: object, mid: float) -> None:
    lines = wanted_lines(chosen, mid, 2e-4)  # type: ignore[arg-type]
    assert len(lines) == chosen.count + 1  # type: ignore[attr-defined]
    assert all(lower < upper for lower, upper in pairwise(lines))
    site = Site(instrument=instrument(), mid=mid, maker_fee=1e-4, limit_notional=5000.0, sigma=2e-4)
    laid = lay_out(chosen, site)  # type: ignore[arg-type]
    if isinstance(laid, str):
        return
    assert narrowest_bps(on_ticks(lines, instrument())) >= 2.5
    for side in Side:
        assert sum(float(c.qty * c.opening_px) for c in laid.cells if c.natural is side) <= 5000.0
    assert all(cell.qty * cell.lower_px >= 100 for cell in laid.cells)
    assert all(one.upper_px == other.lower_px for one, other in pairwise(laid.cells))


FILLS = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(1, 40), st.integers(900, 1100), st.integers(0, 4)), max_size=60
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(FILLS)
def test_any_fills_in_any_cells_keep_the_sum_of_cash_and_holding(fills: list[tuple[Side, int, int, int]]) -> None:
    cells = Cells(
        [
            Cell(Decimal(950 + 20 * n), Decimal(970 + 20 * n), Decimal(10), side, side)
            for n, side in enumerate([Side.BUY, Side.BUY, Side.BUY, Side.SELL, Side.SELL])
        ]
    )
    cash = held = Decimal(0)
    for side, qty, px, number in fills:
        if number == 4:
            cells.spread(side, Decimal(qty), Decimal(px))
        else:
            cells.book(number, side, Decimal(qty), Decimal(px), Decimal(0))
        held += side.sign * qty
        cash -= side.sign * qty * Decimal(px)
        totals = cells.totals(Decimal(1000))
        assert cells.held == held
        assert totals.profit + totals.inventory_pnl == pytest.approx(cash + held * 1000, abs=Decimal("1e-9"))
