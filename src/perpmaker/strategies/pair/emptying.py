"""Leads a position on the lead to nothing by taking, a piece at a time: every fill is hedged before the next piece."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.model.ids import InstrumentId
from perpmaker.model.quote import Sweep
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context
from perpmaker.strategies.pair.holdings import ZERO, Holdings
from perpmaker.strategies.pair.sizes import next_piece, smallest_qty

TAKE_MS: Final = 5_000
AGAIN_NS: Final = NS_PER_S
"""Between two pieces of which the first brought nothing."""


class Emptying:
    """`step` while the legs are even and nothing rests on the lead; over when what is left is too little to trade."""

    def __init__(self, lead: InstrumentId, piece: Decimal, max_slippage_bps: Decimal) -> None:
        self._lead = lead
        self._piece = piece
        """Largest one, and so the largest unhedged amount, but where the venue takes no order so small: see `_most`."""
        self._algorithm = Sweep(max_slippage_bps=max_slippage_bps, aim_children=20, deadline_ms=TAKE_MS)
        self._begun_ns = 0

    def is_over(self, ctx: Context, holdings: Holdings) -> bool:
        return abs(holdings.legs[self._lead].qty) < self._smallest(ctx) and not self.is_at_work(ctx)

    def is_at_work(self, ctx: Context) -> bool:
        report = ctx.execution(self._lead)
        return report is not None and report.state != "ended"

    def step(self, ctx: Context, holdings: Holdings) -> None:
        """Have the next piece taken, unless one is on its way."""
        if self.is_at_work(ctx) or ctx.now_ns() - self._begun_ns < AGAIN_NS:
            return
        leg = holdings.legs[self._lead]
        least = self._smallest(ctx)
        piece = next_piece(abs(leg.qty), self._most(holdings, least), ctx.instrument(self._lead).lot, least)
        if piece:
            self._begun_ns = ctx.now_ns()
            ctx.target(self._lead, leg.other_qty + leg.qty - piece.copy_sign(leg.qty), self._algorithm)

    def _most(self, holdings: Holdings, least: Decimal) -> Decimal:
        """Return the largest piece now: less what is open already in its direction, which was too little to hedge.

        Never less than the venue's smallest order, as nobody takes less: unhedged is then that order and what is open, and
        together they can be hedged. Waiting instead would be for ever, as nothing else lowers what is open.
        """
        leg = holdings.legs[self._lead]
        open_qty = max(-holdings.delta.copy_sign(holdings.delta * leg.qty), ZERO)
        return max(self._piece - open_qty, least)

    def _smallest(self, ctx: Context) -> Decimal:
        return smallest_qty(ctx.instrument(self._lead), ctx.mark_px(self._lead) or ZERO)
