"""From parameters and a price to a grid, or to the sentence that says why there is none."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import msgspec

from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.strategies.grid.cells import Cell, Cells
from perpmaker.strategies.grid.lines import narrowest_bps, on_ticks, wanted_lines
from perpmaker.strategies.grid.params import GridMode, GridParams
from perpmaker.strategies.quoting.ladder import VenueRules


class Site(msgspec.Struct, frozen=True):
    """What a grid is laid out for. `maker_fee` a fraction of notional; `limit_notional` the most it may hold.

    `order_notional` is the size of each cell; None: that of the parameters.
    """

    instrument: Instrument
    mid: float
    maker_fee: float
    limit_notional: float
    sigma: float | None
    order_notional: Decimal | None = None


def lay_out(params: GridParams, site: Site) -> Cells | str:
    """Return the cells, or why not."""
    instrument = site.instrument
    lines = on_ticks(wanted_lines(params, site.mid, site.sigma), instrument)
    step_bps = narrowest_bps(lines)
    costs_bps = 2 * site.maker_fee * 1e4 + params.min_profit_bps
    if step_bps <= 0 or step_bps < costs_bps:
        return (
            f"the narrowest step of {step_bps:.2f} bps does not pay: two maker fees of {site.maker_fee * 1e4:g} bps "
            f"and min_profit_bps {params.min_profit_bps:g} need {costs_bps:.2f}"
        )
    notional = params.order_notional if site.order_notional is None else site.order_notional
    cells = [make_cell(lower, upper, params, instrument, site.mid, notional) for lower, upper in pairwise(lines)]
    for cell in cells:
        if cell.qty < least_qty(instrument, cell.lower_px):
            return f"{size_text(params, notional)} is below the venue's minimum at {cell.lower_px}"
    worst = max(
        sum(float(cell.qty * cell.opening_px) for cell in cells if cell.natural is side)
        for side in (Side.BUY, Side.SELL)
    )
    if worst > site.limit_notional:
        return f"filled to one end it holds {worst:.0f}: more than the position limit of {site.limit_notional:.0f}"
    return Cells(cells)


def size_text(params: GridParams, notional: Decimal) -> str:
    """Say the size of a cell by the key that sets it."""
    if params.order_equity_frac is None:
        return f"order_notional = {notional}"
    return f"order_equity_frac = {params.order_equity_frac:g} makes cells of {notional:.2f}, which"


def make_cell(
    lower: Decimal, upper: Decimal, params: GridParams, instrument: Instrument, mid: float, notional: Decimal
) -> Cell:
    """Return an empty cell of this size between two lines."""
    side = natural_side(params.mode, lower, upper, mid)
    qty = instrument.round_qty(notional / (lower if side is Side.BUY else upper))
    least = least_qty(instrument, lower)
    if qty < least < notional / lower + instrument.lot:
        qty = least
    return Cell(lower_px=lower, upper_px=upper, qty=qty, natural=side, side=side)


def natural_side(mode: GridMode, lower: Decimal, upper: Decimal, mid: float) -> Side:
    """Return how a cell opens. In a neutral grid those below the price are long, those above it short.

    The cell around the price gets its order on its further line, so that the nearest line has none.
    """
    if mode == "neutral":
        return Side.BUY if float(lower + upper) / 2 <= mid else Side.SELL
    return Side.BUY if mode == "long" else Side.SELL


def next_cell(
    cells: Cells,
    params: GridParams,
    instrument: Instrument,
    mid: float,
    *,
    up: bool,
    notional: Decimal | None = None,
) -> Cell | None:
    """Return the cell that goes on at one end with the step of the last one; None where there is no price any more."""
    last = cells.cells[-1 if up else 0]
    if params.spacing == "arithmetic":
        step = last.upper_px - last.lower_px
        line = last.upper_px + step if up else last.lower_px - step
    else:
        ratio = last.upper_px / last.lower_px
        line = last.upper_px * ratio if up else last.lower_px / ratio
    if line < instrument.tick:
        return None
    (line,) = on_ticks([float(line)], instrument)
    lower, upper = (last.upper_px, line) if up else (line, last.lower_px)
    size = params.order_notional if notional is None else notional
    return make_cell(lower, upper, params, instrument, mid, size) if lower < upper else None


def least_qty(instrument: Instrument, px: Decimal) -> Decimal:
    """Return the smallest quantity the venue takes at a price."""
    return instrument.lot * VenueRules.of(instrument).least_lots(float(px))
