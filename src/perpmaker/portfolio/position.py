"""A position by average entry, exact; and the same fills first-in first-out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from perpmaker.model.account import Position
from perpmaker.model.events import Fill
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side


class RunningPosition:
    """A position by average entry, as the venue reckons PnL.

    `cost` is what the open quantity was bought for (negative for a short), `realized_pnl` what was taken out of it: their
    sum is exact however the average is rounded. Fees and funding are kept beside, never inside, the PnL.
    """

    instrument: InstrumentId
    qty: Decimal
    cost: Decimal
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    volume: Decimal
    """Notional traded, both sides."""

    def __init__(self, instrument: InstrumentId, qty: Decimal = Decimal(0), avg_entry_px: Decimal = Decimal(0)) -> None:
        raise NotImplementedError

    def trade(self, side: Side, px: Decimal, qty: Decimal) -> Decimal:
        """Book an execution; returns the PnL it realised, fees apart."""
        raise NotImplementedError

    def unrealized(self, mark_px: Decimal) -> Decimal:
        raise NotImplementedError

    @property
    def avg_entry_px(self) -> Decimal:
        """0 when flat; rounded to 1e-12."""
        raise NotImplementedError

    def view(self) -> Position:
        raise NotImplementedError


class FifoMatch(msgspec.Struct, frozen=True):
    """A quantity opened at one price and closed at another; `pnl` without fees."""

    qty: Decimal
    open_px: Decimal
    close_px: Decimal
    opened_ns: int
    closed_ns: int
    pnl: Decimal


class FifoLots:
    """Open lots oldest first. What a fill closes is matched with the oldest: the grid's profit, not the venue's."""

    realized_pnl: Decimal

    def __init__(self) -> None:
        raise NotImplementedError

    def on_fill(self, fill: Fill) -> Sequence[FifoMatch]:
        """Book a fill; returns what it closed, oldest first. What is left opens a lot."""
        raise NotImplementedError
