"""What an algorithm would do on the book of now, before anything is sent. Pure.

The tactic itself is asked, so the plan is what would happen if the book stayed as it is. A sweep meets the book once: what
a child takes is gone for the next one, and nothing comes back. The slices of a twap each meet the book of now, as minutes
lie between them. Of what is shown, `depth_haircut` is believed in, here as at work.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.execution.algos.moves import Child, Done, Look, Tactic, Wait
from perpmaker.execution.algos.parent import ARRIVAL_LEVELS, PAUSE_NS
from perpmaker.execution.algos.pricing import better_px, cap_px, smallest_qty
from perpmaker.execution.algos.resting import iceberg
from perpmaker.execution.algos.taking import SweepTactic, TwapTactic
from perpmaker.marketdata.book import OrderBook
from perpmaker.model.book import Book
from perpmaker.model.depth import Bbo, bbo, depth
from perpmaker.model.execution import Arrival
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.quote import Algorithm, Iceberg, Peg, Pov, Sweep, Twap, name_of
from perpmaker.model.ranges import is_usable
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_ZERO: Final = Decimal(0)
_BPS: Final = Decimal(10_000)
_MOST_MOVES: Final = 50_000
_DUST: Final = Decimal("1e-9")
"""Lots lost to rounding when shares of levels are added up."""
UNLIMITED: Final = Decimal("1e18")
"""Stands for the largest notional of an order where the limits are not known."""


class PlannedChild(msgspec.Struct, frozen=True):
    """One order of the plan: `px` its limit, `expected_qty` what is believed to be there for it at `avg_px`."""

    number: int
    at_s: float
    px: Decimal
    qty: Decimal
    expected_qty: Decimal
    avg_px: Decimal | None


class ExecutionPlan(msgspec.Struct, frozen=True):
    """A parent order on the book of now. Slippage is signed, > 0 is worse, against the touch in parts of the mid."""

    algorithm: str
    side: str
    qty: Decimal
    mid_px: Decimal
    touch_px: Decimal
    half_spread_bps: Decimal
    cap_px: Decimal
    """No child may be priced worse."""
    shown_qty: Decimal
    """What the book shows inside the cap ..."""
    believed_qty: Decimal
    """... and how much of it is believed in."""
    children: tuple[PlannedChild, ...]
    children_expected: int | None
    """None where it depends on how much others trade."""
    worst_px: Decimal | None
    """The worst limit price of a child."""
    filled_qty: Decimal
    vwap: Decimal | None
    slippage_bps: Decimal | None
    remaining_qty: Decimal
    lasts_s: float
    """At most so long."""
    notes: tuple[str, ...]


def plan(
    algorithm: Algorithm,
    side: Side,
    qty: Decimal,
    book: Book,
    *,
    largest_notional: Decimal = UNLIMITED,
    own_opposite_px: Decimal | None = None,
) -> ExecutionPlan:
    """Return what working `qty` would come to; ValueError, in words for people, when no child could be placed at all.

    `book` is without own orders; `own_opposite_px` is our own best order on the other side, which is never reached.
    """
    top = bbo(book)
    if top is None:
        raise ValueError("a side of the book is empty: nothing can be planned on it")
    check_qty(book.instrument, qty, top.touch_px(side))
    look = _first_look(side, qty, book, top, largest_notional, own_opposite_px)
    match algorithm:
        case Sweep():
            return _taking(algorithm, algorithm, look, SweepTactic(algorithm), refills=False)
        case Twap():
            return _taking(algorithm, algorithm, look, TwapTactic(algorithm), refills=True)
        case Peg():
            note = (
                f"rests at the touch for {algorithm.maker_ms / 1000:g} s first; shown is what follows if nothing fills"
            )
            planned = _taking(
                algorithm, algorithm.take, look, SweepTactic(algorithm.take), refills=False, notes=(note,)
            )
            return msgspec.structs.replace(planned, lasts_s=planned.lasts_s + algorithm.maker_ms / 1000)
        case Pov():
            return _by_volume(algorithm, look)
        case Iceberg():
            return _resting(algorithm, look)


def check_qty(rules: Instrument, qty: Decimal, px: Decimal) -> None:
    """Raise ValueError, naming what is allowed, unless the venue takes orders of this quantity at about this price."""
    if not qty.is_finite() or qty <= 0:
        raise ValueError(f"qty {qty}: must be above 0")
    if not is_usable(qty):
        raise ValueError(f"qty {qty}: is out of range")
    if qty % rules.lot:
        below = rules.round_qty(qty)
        near = " or ".join(str(lots) for lots in (below, below + rules.lot) if lots > 0)
        raise ValueError(f"qty {qty}: {rules.symbol} trades in multiples of {rules.lot} {rules.base}; nearest: {near}")
    least = smallest_qty(rules, px)
    if qty < least:
        raise ValueError(
            f"qty {qty}: the venue takes at least {least} {rules.base} of {rules.symbol} now (minimum {rules.min_qty} "
            f"{rules.base} and {rules.min_notional} {rules.quote}, price {px})"
        )


def _first_look(
    side: Side, qty: Decimal, book: Book, top: Bbo, largest_notional: Decimal, own_opposite_px: Decimal | None
) -> Look:
    levels = depth(book, side, ARRIVAL_LEVELS)
    return Look(
        now_ns=0,
        started_ns=0,
        deadline_ns=0,
        instrument=book.instrument,
        side=side,
        book=book,
        arrival=Arrival(top.mid_px, top.touch_px(side), levels[-1].cum_qty, 0),
        qty=qty,
        remaining=qty,
        children=0,
        last_child_ns=0,
        largest_notional=largest_notional,
        own_opposite_px=own_opposite_px,
        traded_qty=_ZERO,
    )


def _taking(
    algorithm: Algorithm, how: Sweep | Twap, look: Look, tactic: Tactic, *, refills: bool, notes: tuple[str, ...] = ()
) -> ExecutionPlan:
    children, lasts_ns, end = _rehearsed(look, tactic, how.depth_haircut, refills=refills)
    cap = cap_px(look, how.max_slippage_bps, how.cap_from)
    left = look.qty - sum((child.expected_qty for child in children), _ZERO)
    if left and end:
        notes = (*notes, f"after that {end}" if children else end)
    if refills:
        notes = (*notes, "each slice is planned on the book of now")
    elif left:
        notes = (
            *notes,
            f"what comes back into the book within {lasts_ns / NS_PER_S:.3g} s is taken too; none is planned on",
        )
    return _assembled(
        algorithm, look, cap, how.depth_haircut, how.depth_levels, children, len(children), lasts_ns, notes
    )


def _by_volume(algorithm: Pov, look: Look) -> ExecutionPlan:
    others = look.qty * (1 - algorithm.participation) / algorithm.participation
    notes = (
        f"keeps at {algorithm.participation * 100:.4g} % of all volume: others have to trade {others:.10g} "
        f"{look.instrument.base} meanwhile; how many children that makes is up to them",
    )
    cap = cap_px(look, algorithm.max_slippage_bps, algorithm.cap_from)
    lasts_ns = algorithm.duration_ms * NS_PER_MS
    return _assembled(algorithm, look, cap, algorithm.depth_haircut, algorithm.depth_levels, (), None, lasts_ns, notes)


def _resting(algorithm: Iceberg, look: Look) -> ExecutionPlan:
    """Each child is taken to fill where it rests: the best that can happen, and said so."""
    tactic, remaining = iceberg(algorithm), look.qty
    children: list[PlannedChild] = []
    cap = cap_px(look, algorithm.max_slippage_bps, algorithm.cap_from)
    if algorithm.limit_px is not None:
        cap = better_px(look.side, cap, look.instrument.round_px(algorithm.limit_px, look.side))
    lasts_ns = algorithm.duration_ms * NS_PER_MS
    while remaining >= look.instrument.lot and len(children) < _MOST_MOVES:
        move = tactic.next(_at(look, 0, lasts_ns, look.book, remaining, len(children), 0))
        if not isinstance(move, Child):
            break
        children.append(PlannedChild(len(children) + 1, 0.0, move.px, move.qty, move.qty, move.px))
        remaining -= move.qty
    notes = ("rests at our side's touch, post-only: whether it fills is up to others; shown is when all of it does",)
    planned = tuple(children)
    return _assembled(algorithm, look, cap, Decimal(1), ARRIVAL_LEVELS, planned, len(planned), lasts_ns, notes)


def _rehearsed(
    look: Look, tactic: Tactic, haircut: Decimal, *, refills: bool
) -> tuple[tuple[PlannedChild, ...], int, str]:
    """Return the children, how long it may take at most, and why it ended short of the whole, "" when it did not."""
    still = _StillBook(look.book, look.side, haircut)
    lasts_ns = tactic.lasts_ns(look)
    children: list[PlannedChild] = []
    now_ns = last_child_ns = 0
    remaining = look.qty
    why = ""
    for _ in range(_MOST_MOVES):
        if remaining < look.instrument.lot:
            return tuple(children), lasts_ns, ""
        if now_ns >= lasts_ns:
            break
        book = look.book if refills else still.book()
        if book is None:
            return tuple(children), lasts_ns, why or "the book shows no more"
        move = tactic.next(_at(look, now_ns, lasts_ns, book, remaining, len(children), last_child_ns))
        if isinstance(move, Wait):
            now_ns, why = max(move.until_ns, now_ns + NS_PER_MS), move.why
        elif isinstance(move, Child):
            filled, avg_px = still.take(move.px, move.qty, keep=refills)
            children.append(PlannedChild(len(children) + 1, now_ns / NS_PER_S, move.px, move.qty, filled, avg_px))
            remaining -= filled
            last_child_ns, now_ns = now_ns, now_ns + PAUSE_NS
        else:
            text = f"{move.ending.value}: {move.text}".rstrip(": ") if isinstance(move, Done) else ""
            return tuple(children), lasts_ns, text
    return tuple(children), lasts_ns, why


def _at(
    look: Look, now_ns: int, lasts_ns: int, book: Book, remaining: Decimal, children: int, last_child_ns: int
) -> Look:
    return msgspec.structs.replace(
        look,
        now_ns=now_ns,
        deadline_ns=lasts_ns,
        book=book,
        remaining=remaining,
        children=children,
        last_child_ns=last_child_ns,
    )


def _assembled(
    algorithm: Algorithm,
    look: Look,
    cap: Decimal,
    haircut: Decimal,
    levels: int,
    children: Sequence[PlannedChild],
    expected: int | None,
    lasts_ns: int,
    notes: tuple[str, ...],
) -> ExecutionPlan:
    side, arrival = look.side, look.arrival
    filled = sum((child.expected_qty for child in children), _ZERO)
    vwap = slippage = None
    if filled:
        vwap = sum((c.expected_qty * c.avg_px for c in children if c.avg_px is not None), _ZERO) / filled
        slippage = side.sign * (vwap - arrival.touch_px) / arrival.mid_px * _BPS
    inside = [level for level in depth(look.book, side, levels) if (level.px - cap) * side.sign <= 0]
    shown = inside[-1].cum_qty if inside else _ZERO
    limits = [child.px for child in children]
    return ExecutionPlan(
        algorithm=name_of(algorithm),
        side=side.value,
        qty=look.qty,
        mid_px=arrival.mid_px,
        touch_px=arrival.touch_px,
        half_spread_bps=arrival.half_spread_bps(side),
        cap_px=cap,
        shown_qty=shown,
        believed_qty=shown * haircut,
        children=tuple(children),
        children_expected=expected,
        worst_px=None if not limits else max(limits) if side is Side.BUY else min(limits),
        filled_qty=filled,
        vwap=vwap,
        slippage_bps=slippage,
        remaining_qty=look.qty - filled,
        lasts_s=lasts_ns / NS_PER_S,
        notes=notes,
    )


class _StillBook:
    """A book that only changes by what is taken from it."""

    def __init__(self, book: Book, side: Side, haircut: Decimal) -> None:
        self._rules = book.instrument
        self._side = side
        self._haircut = haircut
        self._own_side = tuple(book.levels(side, ARRIVAL_LEVELS))
        self._offered = [(ticks, Decimal(lots)) for ticks, lots in book.levels(side.opposite, 1000)]

    def book(self) -> Book | None:
        """Return what is left, None when that is nothing."""
        left = tuple((ticks, int(lots)) for ticks, lots in self._offered if lots >= 1)
        if not left:
            return None
        made = OrderBook(self._rules)
        bids, asks = (self._own_side, left) if self._side is Side.BUY else (left, self._own_side)
        made.snapshot(bids, asks, 0, 0)
        return made

    def take(self, px: Decimal, qty: Decimal, *, keep: bool) -> tuple[Decimal, Decimal | None]:
        """Return how much of `qty` is believed to be there at `px` or better, and its average price.

        With `keep` it is there for the next one too.
        """
        rules, sign = self._rules, self._side.sign
        wanted, filled, notional = qty / rules.lot, _ZERO, _ZERO
        left: list[tuple[int, Decimal]] = []
        for ticks, lots in self._offered:
            here = _ZERO
            if (rules.px(ticks) - px) * sign <= 0:
                here = min(lots * self._haircut, wanted - filled)
            filled += here
            notional += here * rules.px(ticks)
            left.append((ticks, lots - here / self._haircut))
        whole = Decimal(int(filled + _DUST))
        if not keep:
            self._offered = left
        return whole * rules.lot, notional / filled if whole else None
