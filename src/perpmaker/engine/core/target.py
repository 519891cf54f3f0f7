"""Reach a wanted position by capped limit IOC children, one at a time: what `ctx.target` and closing stand on.

Each child waits until the one before has ended for certain (an unknown outcome is reconciled first: repeating it could
double the position); then the book is read again. The price is where the visible depth times `depth_haircut` covers what
remains, never beyond the cap from the arrival price. A target of a strategy ends when it is done, capped out, out of
children or out of time; a closing begins afresh then, for as long as the account is not flat.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

from perpmaker.marketdata.book import TopOfBook
from perpmaker.model.book import Level
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, OrderView, Side, TimeInForce
from perpmaker.model.quote import Sweep
from perpmaker.model.units import NS_PER_MS, NS_PER_S

ZERO: Final = Decimal(0)
DEPTH: Final = 50
"""Levels looked at."""
CHILD_LIFE_NS: Final = 10 * NS_PER_S
"""Signature expiration of a child: past it a lost one cannot land any more."""
PAUSE_NS: Final = 250 * NS_PER_MS
"""Between a child and the next look, so that a thin book is not hammered."""


class Ending(enum.Enum):
    """Why a target is not worked any more."""

    DONE = "done"
    CAP = "cap"
    MAX_CHILDREN = "max_children"
    DEADLINE = "deadline"
    BELOW_MINIMUM = "below_minimum"
    """What remains is less than the venue takes."""
    WITHDRAWN = "withdrawn"


class Job(msgspec.Struct, frozen=True):
    """What is to be reached. `closing`: reduce-only, and begun afresh until it is done."""

    account: AccountId
    strategy: StrategyId
    instrument: InstrumentId
    qty: Decimal
    """The wanted position, signed."""
    algorithm: Sweep
    closing: bool
    max_order_notional: Decimal


class Scene(msgspec.Struct, frozen=True):
    """What a step is decided from. `book` is without own orders, None unless usable; `child` the last child now."""

    now_ns: int
    position: Decimal
    instrument: Instrument
    book: TopOfBook | None
    levels: Callable[[Side, int], list[Level]] | None
    child: OrderView | None


class Result(msgspec.Struct, frozen=True):
    """How a target ended. `vwap` None without a fill; `slippage_bps` against arrival, > 0 is worse."""

    ending: Ending
    filled_qty: Decimal
    vwap: Decimal | None
    slippage_bps: Decimal | None
    children: int
    remaining: Decimal


class TargetWorker:
    """Works one job. `step` is called whenever something may have changed; it returns the next child, or None."""

    def __init__(self, job: Job, now_ns: int, next_id: Callable[[], ClientOrderId]) -> None:
        self.job = job
        self.result: Result | None = None
        """Set when the job has ended."""
        self.child_id: ClientOrderId | None = None
        self.waits_for = ""
        """Why nothing is done now, for people."""
        self.started_ns = now_ns
        self._next_id = next_id
        self._round_ns = now_ns
        self._arrival_px: Decimal | None = None
        self._children = 0
        self._all_children = 0
        self._filled = ZERO
        self._notional = ZERO
        self._counted: ClientOrderId | None = None
        self._resume_ns = 0
        self._sign = 1

    @property
    def next_look_ns(self) -> int:
        """When to step again if nothing happens before."""
        return self._resume_ns

    def step(self, scene: Scene) -> NewOrder | None:
        """Return the next child to submit, None to wait or when `result` is set."""
        if self.result is not None:
            return None
        self._resume_ns = scene.now_ns + PAUSE_NS
        if scene.child is not None and not scene.child.state.is_terminal:
            self.waits_for = f"order {scene.child.client_order_id} is {scene.child.state.value}"
            return None
        self._count(scene.child)
        remaining = self.job.qty - scene.position
        if abs(remaining) < scene.instrument.lot:
            self._end(Ending.DONE, remaining)
            return None
        if self._is_over(scene.now_ns):
            if not self.job.closing:
                self._end(self._why_over(), remaining)
                return None
            self._begin_round(scene.now_ns)
        return self._child(scene, remaining)

    def withdraw(self, position: Decimal) -> None:
        """End the job; a child under way is the caller's to cancel."""
        if self.result is None:
            self._end(Ending.WITHDRAWN, self.job.qty - position)

    def _child(self, scene: Scene, remaining: Decimal) -> NewOrder | None:
        if scene.book is None or scene.levels is None:
            self.waits_for = "no fresh book"
            return None
        side = Side.BUY if remaining > 0 else Side.SELL
        if self._arrival_px is None:
            self._arrival_px = self._arrival(scene.book, side)
        priced = self._price(scene, side, abs(remaining), self._cap(scene.instrument, side))
        if priced is None:
            if self.job.closing:
                self._begin_round(scene.now_ns)  # the market left the cap behind: a new arrival price
                self.waits_for = "nothing is offered inside the price cap"
                return None
            self._end(Ending.CAP, remaining)
            return None
        px, qty = priced
        qty = self._clipped(scene.instrument, px, qty, abs(remaining))
        if qty < scene.instrument.min_qty or qty * px < scene.instrument.min_notional:
            if abs(remaining) * px >= scene.instrument.min_notional:
                self.waits_for = "too little is offered inside the price cap"
                return None
            if self.job.closing:
                self.waits_for = f"the venue takes no order as small as {abs(remaining)}"
                return None
            self._end(Ending.BELOW_MINIMUM, remaining)
            return None
        return self._make(side, px, qty, scene)

    def _make(self, side: Side, px: Decimal, qty: Decimal, scene: Scene) -> NewOrder:
        self._sign = side.sign
        self._children += 1
        self._all_children += 1
        self.child_id = self._next_id()
        self.waits_for = ""
        reduces = scene.position * self.job.qty >= 0 and abs(self.job.qty) < abs(scene.position)
        return NewOrder(
            client_order_id=self.child_id,
            account=self.job.account,
            strategy=self.job.strategy,
            instrument=self.job.instrument,
            side=side,
            px=px,
            qty=qty,
            tif=TimeInForce.IOC,
            reduce_only=self.job.closing or reduces,
            expire_ns=scene.now_ns + CHILD_LIFE_NS,
            tag=f"{'close' if self.job.closing else 'sweep'} {self._all_children}",
        )

    def _price(self, scene: Scene, side: Side, qty: Decimal, cap: Decimal) -> tuple[Decimal, Decimal] | None:
        """Return the limit price whose visible depth covers `qty`, and what of `qty` it covers; None for no depth."""
        haircut = Decimal(str(self.job.algorithm.depth_haircut))
        covered, px = ZERO, None
        levels = scene.levels(side.opposite, DEPTH) if scene.levels is not None else []
        for ticks, lots in levels:
            level_px = scene.instrument.px(ticks)
            if (level_px - cap) * side.sign > 0:
                break
            px = level_px
            covered += scene.instrument.qty(lots) * haircut
            if covered >= qty:
                break
        if px is None:
            return None
        return px, min(qty, scene.instrument.round_qty(covered))

    def _clipped(self, instrument: Instrument, px: Decimal, qty: Decimal, remaining: Decimal) -> Decimal:
        """Keep a child under the largest order allowed, and leave no rest that the venue would not take."""
        largest = instrument.round_qty(self.job.max_order_notional * Decimal("0.98") / px)  # marks may be above px
        qty = min(qty, largest)
        rest = remaining - qty
        smallest = (instrument.min_notional / px / instrument.lot).to_integral_value(ROUND_CEILING) * instrument.lot
        smallest = max(smallest, instrument.min_qty)
        if 0 < rest < smallest and qty >= 2 * smallest:
            qty = remaining - smallest if remaining - smallest <= largest else qty - smallest
        return qty

    def _arrival(self, book: TopOfBook, side: Side) -> Decimal:
        if self.job.algorithm.cap_from == "mid":
            return book.mid_px
        return book.instrument.px(book.ask_ticks if side is Side.BUY else book.bid_ticks)

    def _cap(self, instrument: Instrument, side: Side) -> Decimal:
        """The worst price allowed, on the tick."""
        arrival = self._arrival_px or ZERO
        worst = arrival * (1 + side.sign * self.job.algorithm.max_slippage_bps / 10_000)
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return (worst / instrument.tick).to_integral_value(rounding) * instrument.tick

    def _count(self, child: OrderView | None) -> None:
        if child is None or child.client_order_id == self._counted:
            return
        self._counted = child.client_order_id
        self._filled += child.cum_qty
        self._notional += child.cum_qty * (child.avg_px or child.px or ZERO)

    def _is_over(self, now_ns: int) -> bool:
        algorithm = self.job.algorithm
        return self._children >= algorithm.max_children or now_ns - self._round_ns >= algorithm.deadline_ms * NS_PER_MS

    def _why_over(self) -> Ending:
        return Ending.MAX_CHILDREN if self._children >= self.job.algorithm.max_children else Ending.DEADLINE

    def _begin_round(self, now_ns: int) -> None:
        self._round_ns, self._children, self._arrival_px = now_ns, 0, None

    def _end(self, ending: Ending, remaining: Decimal) -> None:
        vwap = self._notional / self._filled if self._filled else None
        slippage = None
        if vwap is not None and self._arrival_px:
            slippage = self._sign * (vwap - self._arrival_px) / self._arrival_px * 10_000
        self.result = Result(ending, self._filled, vwap, slippage, self._all_children, remaining)
