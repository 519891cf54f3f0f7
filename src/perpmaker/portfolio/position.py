"""A position by average entry, exact; and the same fills first-in first-out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.account import Position
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side

ZERO: Final = Decimal(0)
_DECIMALS: Final = -12
_PRECISION: Final = Decimal((0, (1,), _DECIMALS))
"""Averages are rounded to this: what a division leaves over stays in the cost, so that no sum is touched by it."""


class RunningPosition:
    """A position by average entry, as the venue reckons PnL.

    `cost` is what the open quantity was bought for (negative for a short), `realized_pnl` what was taken out of it: their
    sum is exact however the average is rounded. `fees` and `funding` are kept beside, never inside, the PnL; `volume` is
    the notional traded, both sides.
    """

    __slots__ = ("cost", "fees", "funding", "instrument", "qty", "realized_pnl", "volume")

    def __init__(self, instrument: InstrumentId, qty: Decimal = ZERO, avg_entry_px: Decimal = ZERO) -> None:
        self.instrument = instrument
        self.qty = qty
        self.cost = _rounded(qty * avg_entry_px)
        self.realized_pnl = self.fees = self.funding = self.volume = ZERO

    def trade(self, side: Side, px: Decimal, qty: Decimal) -> Decimal:
        """Book an execution; returns the PnL it realised, fees apart."""
        before = self.qty
        signed = qty if side is Side.BUY else -qty
        self.volume += px * qty
        self.qty = after = before + signed
        if before * signed >= 0:
            self.cost += px * signed
            return ZERO
        if before * after > 0:
            taken = _rounded(self.cost * -signed / before)
            realized = px * -signed - taken
            self.cost -= taken
        else:  # all of it is closed, and what is over opens the other side
            realized = px * before - self.cost
            self.cost = px * after
        self.realized_pnl += realized
        return realized

    def unrealized(self, mark_px: Decimal) -> Decimal:
        """Return what closing at `mark_px` would realise."""
        return self.qty * mark_px - self.cost

    @property
    def avg_entry_px(self) -> Decimal:
        """0 when flat; rounded to 1e-12."""
        return _rounded(self.cost / self.qty) if self.qty else ZERO

    def view(self) -> Position:
        """Return it as strategies and pages see it."""
        return Position(
            instrument=self.instrument,
            qty=self.qty,
            avg_entry_px=self.avg_entry_px,
            realized_pnl=self.realized_pnl,
            fees=self.fees,
            funding=self.funding,
        )


def _rounded(amount: Decimal) -> Decimal:
    """Round what has more decimals than `_PRECISION`; leave the rest as short as it is."""
    exponent = amount.as_tuple().exponent
    return amount.quantize(_PRECISION) if isinstance(exponent, int) and exponent < _DECIMALS else amount


class FifoMatch(msgspec.Struct, frozen=True):
    """A quantity opened at one price and closed at another; `pnl` without fees. `side` is that of the opening fill."""

    side: Side
    qty: Decimal
    open_px: Decimal
    close_px: Decimal
    opened_ns: int
    closed_ns: int
    pnl: Decimal


class FifoLot(msgspec.Struct, frozen=True):
    """An open quantity and what it was opened at."""

    qty: Decimal
    px: Decimal
    opened_ns: int


class FifoLots:
    """Open lots oldest first. What a fill closes is matched with the oldest: the grid's profit, not the venue's."""

    __slots__ = ("_lots", "realized_pnl", "side")

    def __init__(self, side: Side = Side.BUY, lots: Iterable[FifoLot] = (), realized_pnl: Decimal = ZERO) -> None:
        self.side = side
        """The side of every open lot: BUY while long."""
        self._lots = deque(lots)
        self.realized_pnl = realized_pnl

    @property
    def lots(self) -> tuple[FifoLot, ...]:
        """Return the open lots, oldest first."""
        return tuple(self._lots)

    @property
    def qty(self) -> Decimal:
        """What is open, signed."""
        return self.side.sign * sum((lot.qty for lot in self._lots), ZERO)

    def book(self, side: Side, px: Decimal, qty: Decimal, ts_ns: int) -> Sequence[FifoMatch]:
        """Book an execution; returns what it closed, oldest first. What is left opens a lot."""
        left = qty
        matches: list[FifoMatch] = []
        while left and self._lots and side is not self.side:
            lot = self._lots[0]
            matched = min(left, lot.qty)
            pnl = self.side.sign * (px - lot.px) * matched
            matches.append(FifoMatch(self.side, matched, lot.px, px, lot.opened_ns, ts_ns, pnl))
            self.realized_pnl += pnl
            left -= matched
            if matched == lot.qty:
                self._lots.popleft()
            else:
                self._lots[0] = FifoLot(lot.qty - matched, lot.px, lot.opened_ns)
        if left:
            self.side = side
            self._lots.append(FifoLot(left, px, ts_ns))
        return matches
