"""A grid in the words of the dashboard and the journal."""

from __future__ import annotations

from perpmaker.strategies.api import Explained
from perpmaker.strategies.grid.cells import Cells, Totals


def totals_shown(totals: Totals) -> dict[str, Explained]:
    """Return the grid's own account: closings and fees apart from what is open, in quote currency."""
    return {
        "grid_profit": float(totals.profit),
        "grid_fees": float(totals.fees),
        "inventory_pnl": float(totals.inventory_pnl),
        "grid_cycles": totals.cycles,
        "grid_held": float(totals.held),
    }


def levels_text(cells: Cells) -> tuple[str, ...]:
    """Return one text per cell, the lowest first: "lower upper long|short held profit fees cycles".

    `held` is signed; `profit` is what closings earned before `fees`. The lines of the picture are its first two columns.
    """
    return tuple(
        f"{cell.lower_px} {cell.upper_px} {'long' if cell.side.sign > 0 else 'short'} {cell.held} "
        f"{cell.profit:f} {cell.fees:f} {cell.cycles}"
        for cell in cells.cells
    )
