"""What a grid remembers over a restart: its lines, what each cell holds and has earned, and up to which fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from perpmaker.strategies.grid.cells import Cell, Cells
from perpmaker.strategies.grid.params import GridParams

Phase = Literal["waiting", "seeding", "working", "leaving", "stopped"]
"""waiting: no grid yet; seeding: takes its first inventory; leaving: flattens; stopped: a person was asked."""


class Memo(msgspec.Struct):
    """The state of a grid; `fills` is the number of the last fill it has."""

    keys: str
    """The parameters it was laid out by; under others a new grid is laid out."""
    phase: Phase
    fills: int
    cells: list[Cell]
    gone_profit: Decimal
    gone_fees: Decimal
    gone_cycles: int
    question: str = ""
    seed_qty: Decimal = Decimal(0)
    seed_px: Decimal = Decimal(0)
    pnl_from: Decimal = Decimal(0)
    """What the grid had made, open inventory included, when its stop loss began to count."""
    lost: Decimal = Decimal(0)
    """What the stop loss saw when it closed; 0 while it has not."""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Memo)


def encode(memo: Memo) -> str:
    return _ENCODER.encode(memo).decode()


def decode(text: str) -> Memo | None:
    """Return the memo, None for one that is none (an older form of it, or another strategy's)."""
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def keys_of(params: GridParams) -> str:
    """Return what decides about the lines, as text."""
    layout = (
        params.mode,
        params.lower_px,
        params.upper_px,
        params.centre_px,
        params.width_bps,
        params.count,
        params.spacing,
        params.density,
        params.volatility_mult,
        params.volatility_s,
        params.order_notional,
    )
    sized = () if params.order_equity_frac is None else (params.order_equity_frac,)
    return " ".join(str(value) for value in (*layout, *sized))


def cells_of(memo: Memo) -> Cells:
    cells = Cells(memo.cells)
    cells.gone_profit, cells.gone_fees, cells.gone_cycles = memo.gone_profit, memo.gone_fees, memo.gone_cycles
    return cells
