from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from tests.unit.engine.rig import instrument

from perpmaker.errors import ConfigError
from perpmaker.model.commands import SetTimer
from perpmaker.model.order import Side
from perpmaker.model.quote import Sweep
from perpmaker.strategies.grid.layout import Site, lay_out, next_cell
from perpmaker.strategies.grid.lines import on_ticks, wanted_lines

from .grid_rig import GridRig, around, params


def _lines(mid: float = 60_000.0, sigma: float | None = None, **keys: Any) -> list[float]:
    return wanted_lines(params(**keys), mid, sigma)


def _steps(lines: list[float]) -> list[float]:
    return [upper - lower for lower, upper in pairwise(lines)]


def test_arithmetic_lines_have_equal_steps_in_price() -> None:
    assert _steps(_lines(spacing="arithmetic")) == pytest.approx([200] * 10)


def test_geometric_lines_have_equal_steps_in_per_cent() -> None:
    lines = _lines(spacing="geometric")
    assert (lines[0], lines[-1]) == (59_000, pytest.approx(61_000))
    ratios = [upper / lower for lower, upper in pairwise(lines)]
    assert ratios == pytest.approx([(61 / 59) ** 0.1] * 10)


@pytest.mark.parametrize("spacing", ["arithmetic", "geometric"])
def test_density_moves_lines_to_one_end_and_leaves_the_ends(spacing: str) -> None:
    even, low, high = (_lines(spacing=spacing, density=density) for density in (0, 1, -1))
    assert low[0] == even[0] == high[0]
    assert low[-1] == pytest.approx(even[-1]) == high[-1]
    assert all(one < two < three for one, two, three in zip(low[1:-1], even[1:-1], high[1:-1], strict=True))


def test_a_width_lies_around_the_mid_or_a_given_centre() -> None:
    lines = _lines(**around(width_bps=400, spacing="arithmetic"))
    assert (lines[0], lines[-1]) == pytest.approx((58_800, 61_200))
    lines = _lines(**around(width_bps=400, spacing="arithmetic", centre_px=50_000))
    assert (lines[0], lines[-1]) == pytest.approx((49_000, 51_000))
    lines = _lines(**around(width_bps=400, spacing="geometric"))
    assert lines[-1] / lines[0] == pytest.approx(1.04)


@pytest.mark.parametrize(("keys", "factor"), [({}, 1), ({"volatility_mult": 2}, 2), ({"volatility_s": 240}, 2)])
def test_a_volatile_market_gets_a_wider_grid(keys: dict[str, Any], factor: float) -> None:
    lines = _lines(sigma=1e-4, **around(spacing="volatility", **keys))
    assert lines[1] / lines[0] - 1 == pytest.approx(factor * 1e-4 * 60**0.5, rel=1e-3)
    wilder = _lines(sigma=2e-4, **around(spacing="volatility", **keys))
    assert wilder[1] - wilder[0] == pytest.approx(2 * (lines[1] - lines[0]), rel=2e-2)


def test_lines_lie_on_the_nearest_tick() -> None:
    assert on_ticks([100.04, 100.06, 100.1], instrument()) == [Decimal("100.0"), Decimal("100.1"), Decimal("100.1")]


GOLDEN = {
    "arithmetic, 7 steps of 400 / 7": (
        {"lower_px": 1800, "upper_px": 2200, "count": 7},
        "0.01",
        (1800.0, 1857.14, 1914.29, 1971.43, 2028.57, 2085.71, 2142.86, 2200.0),
    ),
    "geometric, 7 ratios of (22 / 18) ** (1 / 7)": (
        {"lower_px": 1800, "upper_px": 2200, "count": 7, "spacing": "geometric"},
        "0.01",
        (1800.0, 1852.35, 1906.22, 1961.65, 2018.70, 2077.41, 2137.83, 2200.0),
    ),
    "geometric, 10 ratios of (61 / 59) ** 0.1": (
        {"spacing": "geometric"},
        "0.1",
        (59000.0, 59197.0, 59394.7, 59593.0, 59792.0, 59991.7, 60192.0, 60393.0, 60594.6, 60797.0, 61000.0),
    ),
    "4 % around the mid": (
        around(width_bps=400, count=4, spacing="geometric"),
        "0.1",
        (58834.8, 59414.6, 60000.0, 60591.2, 61188.2),
    ),
    "steps of one sigma of a minute, sigma 1 bp": (
        around(spacing="volatility", count=4),
        "0.1",
        (59907.1, 59953.5, 60000.0, 60046.5, 60093.0),
    ),
    "denser below, by squares": ({"density": 1, "count": 4}, "0.1", (59000.0, 59125.0, 59500.0, 60125.0, 61000.0)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_grids(name: str) -> None:
    """Computed apart, with 50 digits, from the definitions in docs/explanation/grid.md."""
    keys, tick, expected = GOLDEN[name]
    lines = wanted_lines(params(**keys), 60_000.0, 1e-4)
    rules = msgspec.structs.replace(instrument(), tick=Decimal(tick))
    assert [float(line) for line in on_ticks(lines, rules)] == list(expected)


def _laid(**keys: Any) -> Any:
    return lay_out(params(**keys), Site(instrument(), 60_000.0, 0.0, 50_000.0, None))


def test_lines_that_fall_on_one_tick_are_refused() -> None:
    assert "does not pay" in _laid(lower_px=59_999.9, upper_px=60_000.1, count=5, min_profit_bps=0)


@pytest.mark.parametrize(("mode", "longs"), [("neutral", 5), ("long", 10), ("short", 0)])
def test_the_mode_says_which_cells_are_long(mode: str, longs: int) -> None:
    cells = _laid(mode=mode).cells
    assert [cell.natural for cell in cells] == [Side.BUY] * longs + [Side.SELL] * (10 - longs)


def test_cells_have_the_asked_size_at_their_own_price() -> None:
    cells = _laid(order_notional=300).cells
    assert cells[0].qty == Decimal("0.005")
    assert all(float(cell.qty * cell.opening_px) <= 300 for cell in cells)


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("spacing", ["arithmetic", "geometric"])
def test_a_next_cell_goes_on_with_the_step_of_the_last(spacing: str, up: bool) -> None:
    chosen = params(spacing=spacing)
    laid = lay_out(chosen, Site(instrument(), 60_000.0, 0.0, 50_000.0, None))
    assert not isinstance(laid, str)
    cell = next_cell(laid, chosen, instrument(), 60_000.0, up=up)
    assert cell is not None
    last = laid.cells[-1 if up else 0]
    assert (cell.lower_px == last.upper_px) if up else (cell.upper_px == last.lower_px)
    ratio = float(cell.upper_px / cell.lower_px) / float(last.upper_px / last.lower_px)
    assert ratio == pytest.approx(1, rel=1e-4)


def test_there_is_no_cell_below_nothing() -> None:
    chosen = params(lower_px=10_000, upper_px=100_000, count=2)
    laid = lay_out(chosen, Site(instrument(), 60_000.0, 0.0, 50_000.0, None))
    assert not isinstance(laid, str)
    assert next_cell(laid, chosen, instrument(), 60_000.0, up=False) is None


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"upper_px": None}, "lower_px and upper_px: give both or neither"),
        ({"lower_px": 62_000}, "lower_px = 62000: must be less than upper_px = 61000"),
        ({"spacing": "volatility"}, "spacing volatility finds its own range"),
        ({"out_of_range": "recentre"}, "out_of_range = 'recentre': needs width_bps"),
        ({"activate_above_px": 2.0, "activate_below_px": 1.0}, "activate_above_px = 2: must not be above"),
        ({"count": 0}, "count = 0: must be a whole number >= 1"),
    ],
)
def test_impossible_grids_are_refused(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        params(**keys)


def test_a_seeding_takes_within_its_cap() -> None:
    rig = GridRig(mode="long", seed_slippage_bps=7).start()
    rig.run(3)
    algorithms = [report.order.algorithm for report in rig.engine.executions.reports()]
    assert algorithms == [Sweep(max_slippage_bps=Decimal(7))]


def test_it_looks_at_itself_as_often_as_asked() -> None:
    for interval_s, looks in ((0.5, 20), (5, 2)):
        rig = GridRig(refresh_interval_s=interval_s).start()
        before = [key for key, _ in _timers(rig)]
        rig.run(10)
        assert len(_timers(rig)) - len(before) == pytest.approx(looks, abs=1)


def _timers(rig: GridRig) -> list[tuple[str, int]]:
    return [(c.key, c.at_ns) for c in rig.commands if isinstance(c, SetTimer) and c.key == "strategy btc refresh"]
