"""Making: a post-only child at the touch that follows the market, for iceberg, peg and what a sweep leaves over."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.execution.algos.moves import CancelChild, Child, Done, Look, Move, Tactic, Wait
from perpmaker.execution.algos.pricing import better_px, cap_px, clipped_qty
from perpmaker.model.execution import Ending
from perpmaker.model.order import OrderView, TimeInForce
from perpmaker.model.quote import CapFrom, Iceberg, Peg
from perpmaker.model.units import NS_PER_MS, NS_PER_S

LIFE_SLACK_NS: Final = 30 * NS_PER_S
"""A resting child's signature outlives the deadline by this, so that cancelling, not expiry, ends it."""
LONGEST_LIFE_NS: Final = 3600 * NS_PER_S
"""A child that has rested this long is placed anew."""


class RestAtTouch:
    """Rests at our own side's best price, never beyond the cap, showing `display_qty` at a time."""

    def __init__(
        self,
        *,
        duration_ms: int,
        display_qty: Decimal | None,
        max_slippage_bps: Decimal,
        cap_from: CapFrom,
        repeg_ms: int,
        limit_px: Decimal | None = None,
    ) -> None:
        self.duration_ns = duration_ms * NS_PER_MS
        self._display_qty = display_qty
        self._max_slippage_bps = max_slippage_bps
        self._cap_from = cap_from
        self._repeg_ns = repeg_ms * NS_PER_MS
        self._limit_px = limit_px

    def lasts_ns(self, look: Look) -> int:
        return self.duration_ns

    def next(self, look: Look) -> Move:
        px = self._px(look)
        shown = look.remaining if self._display_qty is None else min(look.remaining, self._display_qty)
        qty = clipped_qty(look, px, shown)
        if not qty:
            qty = clipped_qty(look, px, look.remaining)  # what is shown is less than the venue takes
            if not qty:
                return Done(Ending.BELOW_MINIMUM)
        life_ns = min(look.deadline_ns - look.now_ns + LIFE_SLACK_NS, LONGEST_LIFE_NS)
        return Child(px, qty, TimeInForce.GTT, post_only=True, life_ns=life_ns)

    def tend(self, look: Look, child: OrderView) -> CancelChild | Wait:
        stays_until_ns = look.last_child_ns + self._repeg_ns
        if child.px == self._px(look):
            return Wait("rests at the touch", look.deadline_ns)
        if look.now_ns < stays_until_ns:
            return Wait("rests", stays_until_ns)
        return CancelChild("the touch has moved")

    def _px(self, look: Look) -> Decimal:
        own_touch = look.book.bid_ticks if look.side.sign > 0 else look.book.ask_ticks
        px = better_px(look.side, look.instrument.px(own_touch), cap_px(look, self._max_slippage_bps, self._cap_from))
        if self._limit_px is not None:
            px = better_px(look.side, px, look.instrument.round_px(self._limit_px, look.side))
        return px


def iceberg(algorithm: Iceberg) -> RestAtTouch:
    """`Iceberg` at work."""
    return RestAtTouch(
        duration_ms=algorithm.duration_ms,
        display_qty=algorithm.display_qty,
        max_slippage_bps=algorithm.max_slippage_bps,
        cap_from=algorithm.cap_from,
        repeg_ms=algorithm.repeg_ms,
        limit_px=algorithm.limit_px,
    )


class PegTactic:
    """`Peg` at work: maker until `maker_ms` have passed, then its sweep takes what is left."""

    def __init__(self, algorithm: Peg, take: Tactic) -> None:
        self._maker_ns = algorithm.maker_ms * NS_PER_MS
        self._rest = RestAtTouch(
            duration_ms=algorithm.maker_ms,
            display_qty=algorithm.display_qty,
            max_slippage_bps=algorithm.max_slippage_bps,
            cap_from=algorithm.cap_from,
            repeg_ms=algorithm.repeg_ms,
        )
        self._take = take
        self._made = -1
        """Children placed before the taking began, -1 while it has not."""

    def lasts_ns(self, look: Look) -> int:
        return self._maker_ns + self._take.lasts_ns(look)

    def next(self, look: Look) -> Move:
        if look.now_ns < look.started_ns + self._maker_ns:
            return self._rest.next(look)
        if self._made < 0:
            self._made = look.children
        return self._take.next(_taking(look, self._made, self._maker_ns))

    def tend(self, look: Look, child: OrderView) -> CancelChild | Wait:
        takes_at_ns = look.started_ns + self._maker_ns
        if look.now_ns >= takes_at_ns:
            return CancelChild("its time as a maker is over")
        move = self._rest.tend(look, child)
        if isinstance(move, Wait) and move.until_ns > takes_at_ns:
            return Wait(move.why, takes_at_ns)
        return move


def _taking(look: Look, made: int, maker_ns: int) -> Look:
    """The look of the sweep at the end: its own children and its own beginning, the same arrival."""
    return Look(
        now_ns=look.now_ns,
        started_ns=look.started_ns + maker_ns,
        deadline_ns=look.deadline_ns,
        instrument=look.instrument,
        side=look.side,
        book=look.book,
        arrival=look.arrival,
        qty=look.qty,
        remaining=look.remaining,
        children=look.children - made,
        last_child_ns=max(look.last_child_ns, look.started_ns + maker_ns),
        largest_notional=look.largest_notional,
        own_opposite_px=look.own_opposite_px,
        traded_qty=look.traded_qty,
    )
