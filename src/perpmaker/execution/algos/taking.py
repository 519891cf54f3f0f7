"""Taking depth: the sweep, and the slices of twap and pov, which are small sweeps on a timetable."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from perpmaker.execution.algos.moves import CancelChild, Child, Done, Look, Move, Wait
from perpmaker.execution.algos.pricing import better_px, cap_px, clipped_qty, short_of_own, smallest_qty
from perpmaker.model.depth import PriceFor, price_inside, worst_px
from perpmaker.model.execution import Ending
from perpmaker.model.order import OrderView
from perpmaker.model.quote import CapFrom, Pov, Sweep, Twap
from perpmaker.model.units import NS_PER_MS, NS_PER_S

SHORTEST_NS: Final = 5 * NS_PER_S
LONGEST_NS: Final = 20 * NS_PER_S
REFILL_NS: Final = 10 * NS_PER_S
"""What a book is given to show once more as much as it showed inside the cap at arrival."""
_LOOK_AGAIN_NS: Final = 250 * NS_PER_MS
_NOTHING: Final = "nothing is offered inside the price cap"


class TakeOnly:
    """A tactic whose children never rest."""

    def tend(self, look: Look, child: OrderView) -> CancelChild | Wait:
        return CancelChild("an immediate order rests")


class SweepTactic(TakeOnly):
    """`Sweep` at work. A child asks for all that remains (or a chunk of it) at the smallest price that depth covers.

    When the book covers less than that, the child goes to the cap and takes what is there. Further children wait until
    enough has come back to be worth one of those still aimed at, or until its share of the time has passed: so that few
    children do on a book that refills slowly.
    """

    def __init__(self, algorithm: Sweep) -> None:
        self._algorithm = algorithm
        self._nothing_since_ns = 0

    def lasts_ns(self, look: Look) -> int:
        if self._algorithm.deadline_ms:
            return self._algorithm.deadline_ms * NS_PER_MS
        priced = self._priced(look, look.qty, self._algorithm.depth_haircut)
        if priced is None:
            return LONGEST_NS
        to_come_back = look.qty / priced.covered_qty - 1
        return min(max(SHORTEST_NS + int(REFILL_NS * to_come_back), SHORTEST_NS), LONGEST_NS)

    def next(self, look: Look) -> Move:
        algorithm = self._algorithm
        if look.children >= algorithm.max_children:
            return Done(Ending.MAX_CHILDREN)
        wanted = look.remaining if algorithm.chunk_qty is None else min(look.remaining, algorithm.chunk_qty)
        first = look.children == 0 and algorithm.first_child_haircut is not None
        priced = self._priced(look, wanted, algorithm.first_child_haircut if first else algorithm.depth_haircut)
        if priced is None:
            return self._without_offer(look)
        self._nothing_since_ns = 0
        cap = cap_px(look, algorithm.max_slippage_bps, algorithm.cap_from)
        px = cap
        if priced.is_enough:
            px = better_px(look.side, cap, look.instrument.worse(priced.px, look.side, ticks=self._offset(look)))
        qty = clipped_qty(look, px, wanted)
        if not qty:
            return Done(Ending.BELOW_MINIMUM)
        if look.children and not priced.is_enough:
            left = self._children_aimed_at(look)
            due_ns = look.last_child_ns + (look.deadline_ns - look.last_child_ns) // (left + 1)
            if priced.covered_qty * left < look.remaining and look.now_ns < due_ns:
                return Wait("too little is offered inside the price cap", due_ns, Ending.CAP)
        return Child(px, qty, visible_qty=priced.covered_qty)

    def _without_offer(self, look: Look) -> Move:
        self._nothing_since_ns = self._nothing_since_ns or look.now_ns
        patience_ms = self._algorithm.patience_ms
        if patience_ms is not None and look.now_ns - self._nothing_since_ns >= patience_ms * NS_PER_MS:
            return Done(Ending.CAP)
        return Wait(_NOTHING, look.now_ns + _LOOK_AGAIN_NS, Ending.CAP)

    def _priced(self, look: Look, qty: Decimal, haircut: Decimal | None) -> PriceFor | None:
        algorithm = self._algorithm
        cap = cap_px(look, algorithm.max_slippage_bps, algorithm.cap_from)
        haircut = algorithm.depth_haircut if haircut is None else haircut
        return price_inside(look.book, qty, look.side, cap, haircut=haircut, levels=algorithm.depth_levels)

    def _children_aimed_at(self, look: Look) -> int:
        """How many more should do; one at least, and none beyond those allowed."""
        aim = min(self._algorithm.aim_children, self._algorithm.max_children)
        return max(aim - look.children, 1)

    def _offset(self, look: Look) -> int:
        algorithm = self._algorithm
        if not look.children:
            return algorithm.first_child_offset_ticks
        return min(look.children * algorithm.retry_offset_ticks, algorithm.max_offset_ticks)


class TwapTactic(TakeOnly):
    """`Twap` at work: at each slice's time, what the timetable wants done by then and is not."""

    def __init__(self, algorithm: Twap) -> None:
        self._algorithm = algorithm

    def lasts_ns(self, look: Look) -> int:
        return self._algorithm.duration_ms * NS_PER_MS

    def next(self, look: Look) -> Move:
        algorithm = self._algorithm
        slice_ns = algorithm.duration_ms * NS_PER_MS // algorithm.slices
        number = min((look.now_ns - look.started_ns) // slice_ns + 1, algorithm.slices)
        next_ns = look.started_ns + number * slice_ns
        due = look.qty * number / algorithm.slices - (look.qty - look.remaining)
        if number == algorithm.slices:
            due = look.remaining
        slice_begin_ns = next_ns - slice_ns
        cap = _near_cap(look, algorithm.max_slippage_bps, algorithm.cap_from, algorithm.slice_slippage_bps)
        if number < algorithm.slices:
            tried = look.children > 0 and look.last_child_ns >= slice_begin_ns
            if tried or due < smallest_qty(look.instrument, cap):
                return Wait("the next slice is not due", next_ns)
        return _slice(look, due, cap, algorithm, next_ns)


class PovTactic(TakeOnly):
    """`Pov` at work: fills f of a volume v by others keep f / (f + v) at the participation."""

    def __init__(self, algorithm: Pov) -> None:
        self._algorithm = algorithm

    def lasts_ns(self, look: Look) -> int:
        return self._algorithm.duration_ms * NS_PER_MS

    def next(self, look: Look) -> Move:
        algorithm = self._algorithm
        if algorithm.participation == 1:
            due = look.remaining
        else:
            wanted = look.traded_qty * algorithm.participation / (1 - algorithm.participation)
            due = min(wanted - (look.qty - look.remaining), look.remaining)
        cap = _near_cap(look, algorithm.max_slippage_bps, algorithm.cap_from, algorithm.child_slippage_bps)
        if due < min(smallest_qty(look.instrument, cap), look.remaining):
            return Wait("the market has not traded enough", look.now_ns + NS_PER_S)
        return _slice(look, due, cap, algorithm, look.now_ns + NS_PER_S)


def _slice(look: Look, due: Decimal, cap: Decimal, algorithm: Twap | Pov, again_ns: int) -> Move:
    """Return a child for what is due, or what hinders it."""
    qty = clipped_qty(look, cap, due)
    if not qty:
        return Done(Ending.BELOW_MINIMUM)
    priced = price_inside(
        look.book, qty, look.side, cap, haircut=algorithm.depth_haircut, levels=algorithm.depth_levels
    )
    if priced is None:
        return Wait(_NOTHING, min(again_ns, look.now_ns + _LOOK_AGAIN_NS), Ending.CAP)
    return Child(priced.px if priced.is_enough else cap, qty, visible_qty=priced.covered_qty)


def _near_cap(look: Look, max_slippage_bps: Decimal, cap_from: CapFrom, near_bps: Decimal) -> Decimal:
    """Return the cap from arrival, or that from the touch of now if it is nearer."""
    ticks = look.book.ask_ticks if look.side.sign > 0 else look.book.bid_ticks
    near = worst_px(look.instrument, look.instrument.px(ticks), look.side, near_bps)
    return better_px(look.side, cap_px(look, max_slippage_bps, cap_from), short_of_own(look, near))
