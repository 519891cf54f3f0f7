"""A parent order at work: fixed arrival, one child at a time, sizes from what is proven, an end that tells the truth.

`step` is called whenever something may have changed and returns at most one thing to do. The rules that hold for every
algorithm are here, the choice of the next child is the tactic's:

- The arrival price is taken from the first usable book and never again.
- A child is placed only when the one before has ended for certain and a book newer than that end has been seen. An unknown
  outcome is not an end: reconciliation proves it first. What remains is the quantity less everything proven.
- A stop, or the deadline, cancels a live child and waits for its end; then the report is final, fills and fees included.
- Children that are refused again and again end it; refusals back off meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.execution.algos.moves import CancelChild, Child, Done, Look, Move, Tactic, Wait
from perpmaker.execution.algos.tactics import resting_leftover, tactic_of
from perpmaker.execution.algos.tally import ZERO, ChildRecord, ChildTally, Tally
from perpmaker.model.book import Book
from perpmaker.model.depth import bbo, depth
from perpmaker.model.events import Fill
from perpmaker.model.execution import Arrival, Ending, ExecutionReport, ParentOrder
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderState, OrderView, TimeInForce
from perpmaker.model.quote import Sweep
from perpmaker.model.units import NS_PER_MS, NS_PER_S

PAUSE_NS: Final = 100 * NS_PER_MS
"""Between a child's end and the next child, so that a thin book is not hammered."""
NEWER_BOOK_NS: Final = 1 * NS_PER_S
"""How long a book newer than the child's end is waited for; a book that says nothing has not changed."""
BACK_OFF_NS: Final = 250 * NS_PER_MS
BACK_OFF_MOST_NS: Final = 2 * NS_PER_S
MAX_REFUSALS: Final = 5
"""In a row."""
STALE_PATIENCE_NS: Final = 2 * NS_PER_S
"""Of the slow algorithms with a book that must not be traded on; a sweep says its own, none by default."""
SETTLE_NS: Final = 2 * NS_PER_S
"""How long a final report waits for fills the venue has stated."""
CANCEL_AGAIN_NS: Final = 1 * NS_PER_S
DEFAULT_TIMEOUT_NS: Final = 1 * NS_PER_S
ARRIVAL_LEVELS: Final = 50
TOLD_CHILDREN: Final = 20
"""Of a report."""
_REST_AFTER: Final = (Ending.CAP, Ending.DEADLINE, Ending.MAX_CHILDREN)


class Scene(msgspec.Struct, frozen=True):
    """What a step is decided from.

    `book` is without own orders, None unless it may be traded on. `remaining` is given where a wanted position is the aim:
    its distance from what is proven of the position, > 0 in the direction of the parent's side; None otherwise. `hindrance`
    says why no order passes now, "" when one may.
    """

    now_ns: int
    instrument: Instrument
    book: Book | None
    view: Callable[[ClientOrderId], OrderView | None]
    largest_notional: Decimal
    hindrance: str = ""
    remaining: Decimal | None = None
    own_opposite_px: Decimal | None = None


class ParentAtRest(msgspec.Struct, frozen=True):
    """What a checkpoint keeps of a parent order."""

    order: ParentOrder
    arrival: Arrival | None
    started_ns: int
    deadline_ns: int
    children: tuple[ChildRecord, ...]
    others_qty: Decimal = ZERO
    """What others were seen to trade meanwhile."""


class Parent:
    """One parent order. `step` says what to do, `see` and `book` take in evidence, `report` tells how it stands."""

    def __init__(self, order: ParentOrder, now_ns: int) -> None:
        self.order = order
        self.arrival: Arrival | None = None
        self.tally = Tally()
        self.started_ns = now_ns
        self.deadline_ns = 0
        self.ended_ns = 0
        self.next_look_ns = now_ns
        """When to step again if nothing happens before."""
        self.others_qty = ZERO
        """What others were seen to trade since the start, as of the last look."""
        self._tactic: Tactic = tactic_of(order.algorithm)
        self._ending: Ending | None = None
        self._text = ""
        self._end_text = ""
        self._wait_ending = Ending.DEADLINE
        self._remaining = order.qty
        self._traded_lots = 0
        self._others_before = self._own_before = ZERO
        """Of the life before: what others traded, and what of ours this life's public trades do not have."""
        self._placed_ns = 0
        self._child_ended_ns = 0
        self._cancel_asked_ns = 0
        self._settle_since_ns = 0
        self._stale_since_ns = 0
        self._refusals = 0
        self._rests = False
        """What is left over rests at the touch; the ending is known already."""
        self._last_tif = TimeInForce.IOC
        algorithm = order.algorithm
        timeout_ms = getattr(algorithm, "child_timeout_ms", None)
        self._timeout_ns = DEFAULT_TIMEOUT_NS if timeout_ms is None else timeout_ms * NS_PER_MS

    @classmethod
    def resumed(cls, rest: ParentAtRest, fills: Iterable[Fill], now_ns: int) -> Parent:
        """Go on with a parent order of the life before; `fills` are all that are booked of its children."""
        parent = cls(rest.order, rest.started_ns)
        parent.arrival, parent.deadline_ns = rest.arrival, rest.deadline_ns
        parent._others_before = parent.others_qty = rest.others_qty
        for child in rest.children:
            parent.tally.add(ChildRecord(child.client_order_id, child.number, child.px, child.qty))
        for fill in fills:
            parent.tally.book(fill)
        parent._own_before = parent.tally.filled_qty
        parent._placed_ns = parent._child_ended_ns = now_ns
        return parent

    @property
    def is_over(self) -> bool:
        return self.ended_ns > 0

    @property
    def is_ending(self) -> bool:
        """Whether nothing more will be placed."""
        return self._ending is not None and not self._rests

    @property
    def remaining(self) -> Decimal:
        """As of the last step."""
        return self._remaining

    @property
    def waits_for(self) -> str:
        """Why nothing is done now, for people."""
        return self._text

    # --- taking in

    def book(self, fill: Fill) -> None:
        """Take in a fill of a child, once per trade."""
        self.tally.book(fill)

    def note_trade(self, lots: int) -> None:
        """Count public volume while it works."""
        self._traded_lots += lots

    def stop(self, ending: Ending = Ending.STOPPED, text: str = "") -> None:
        """Place nothing more; the end comes when the live child has ended."""
        if self._ending is None or self._rests:
            self._ending, self._end_text, self._rests = ending, text, False
            self._text = text

    def placed(self, client_order_id: ClientOrderId, child: Child, now_ns: int) -> ChildTally:
        """Note the child that the last step asked for, under its id and before it is sent."""
        self._placed_ns, self._child_ended_ns, self._cancel_asked_ns = now_ns, 0, 0
        return self.tally.add(ChildRecord(client_order_id, len(self.tally) + 1, child.px, child.qty))

    # --- deciding

    def step(self, scene: Scene) -> Child | CancelChild | None:
        """Return the next thing to do, None to wait or when it is over."""
        if self.is_over:
            return None
        self.next_look_ns = scene.now_ns + BACK_OFF_NS
        self._refresh(scene)
        live = self.tally.live
        if live is not None and live.view is not None:
            return self._tend(scene, live.view)
        if self._ending is not None and not self._rests:
            self._settle(scene)
            return None
        return self._go_on(scene)

    def conclude(self, view: Callable[[ClientOrderId], OrderView | None], now_ns: int) -> None:
        """End a stopped one whose instrument is not there any more, once its last child has ended."""
        last = self.tally.last
        known = None if last is None else view(last.client_order_id)
        if known is not None:
            self.tally.see(known)
        if self.is_ending and self.tally.live is None:
            self._text, self.ended_ns = self._end_text, now_ns

    def abandon(self, view: Callable[[ClientOrderId], OrderView | None], text: str, now_ns: int) -> None:
        """End at once with what is known: nobody will hear of its account any more. Says so when that may not be all."""
        for child in self.tally.records():
            known = view(child.client_order_id)
            if known is not None:
                self.tally.see(known)
        self.stop(Ending.RESTART, text)
        last = self.tally.last
        if last is not None and last.is_live:  # without a view it had ended before the journal's last checkpoint
            self._end_text += (
                f"; what became of its last order ({last.client_order_id}) was not known: look at the venue, it may be "
                "open or filled"
            )
        self._remaining = self.order.qty - self.tally.filled_qty
        self._text, self.ended_ns = self._end_text, now_ns

    def _refresh(self, scene: Scene) -> None:
        last = self.tally.last
        if last is not None:
            was_live = last.is_live or last.view is None
            view = scene.view(last.client_order_id)
            if view is not None:
                self.tally.see(view)
            if was_live and view is not None and not last.is_live:
                self._child_ended_ns = scene.now_ns
                self._refusals = self._refusals + 1 if last.was_refused else 0
        self._remaining = self.order.qty - self.tally.filled_qty if scene.remaining is None else scene.remaining

    def _tend(self, scene: Scene, view: OrderView) -> CancelChild | None:
        """A child is live: wait for its end, or bring it about."""
        now_ns, why = scene.now_ns, ""
        self._text = f"order {view.client_order_id} is {view.state.value}"
        rests = view.state is OrderState.OPEN and self._last_tif is not TimeInForce.IOC
        if self.is_ending:
            why = "stopped"
        elif self.deadline_ns and now_ns >= self.deadline_ns:
            why = "the deadline has passed"
        elif rests and self._remaining < scene.instrument.lot:
            why = "nothing remains to be done"
        elif rests and scene.book is None:
            why = "the book must not be traded on"
        elif rests and scene.book is not None:
            move = self._tactic.tend(self._look(scene, scene.book), view)
            if isinstance(move, CancelChild):
                why = move.why
            else:
                self._text, self.next_look_ns = move.why, move.until_ns
        elif view.state is OrderState.OPEN and now_ns - self._placed_ns >= self._timeout_ns:
            why = "it should have ended at once"
        if not why or (self._cancel_asked_ns and now_ns - self._cancel_asked_ns < CANCEL_AGAIN_NS):
            return None
        self._cancel_asked_ns = now_ns
        return CancelChild(why)

    def _go_on(self, scene: Scene) -> Child | None:
        """No child is live: is there an end, a hindrance, or a next child?"""
        if self._remaining < scene.instrument.lot:
            self._end(scene, Ending.DONE)
            return None
        if self.deadline_ns and scene.now_ns >= self.deadline_ns:
            self._end(scene, self._wait_ending, self._refusal() or self._text)
            return None
        if self._refusals >= MAX_REFUSALS:
            self._end(scene, Ending.REFUSED, self._refusal())
            return None
        if scene.book is None:
            self._without_book(scene)
            return None
        self._stale_since_ns = 0
        if self.arrival is None and not self._arrive(scene, scene.book):
            self._without_book(scene)
            return None
        if scene.hindrance:
            self._text = scene.hindrance
            return None
        if self._too_early(scene, scene.book):
            return None
        return self._carry_out(scene, self._tactic.next(self._look(scene, scene.book)))

    def _refusal(self) -> str:
        """Why the last child was refused, "" when it was not."""
        last = self.tally.last
        return last.view.reason if self._refusals and last is not None and last.view is not None else ""

    def _carry_out(self, scene: Scene, move: Move) -> Child | None:
        match move:
            case Child():
                self._text, self._last_tif = "", move.tif
                self._wait_ending = Ending.DEADLINE
                return move
            case Wait():
                self._text, self._wait_ending = move.why, move.ending
                self.next_look_ns = move.until_ns
                if self.deadline_ns:
                    self.next_look_ns = min(self.next_look_ns, self.deadline_ns)
            case Done():
                self._end(scene, move.ending, move.text)
                return None
            case CancelChild():
                pass
        return None

    def _without_book(self, scene: Scene) -> None:
        self._text = "no fresh book"
        self._stale_since_ns = self._stale_since_ns or scene.now_ns
        algorithm, patience_ns = self.order.algorithm, STALE_PATIENCE_NS
        if isinstance(algorithm, Sweep):
            patience_ns = algorithm.stale_patience_ms * NS_PER_MS
        if scene.now_ns - self._stale_since_ns >= patience_ns:
            self._end(scene, Ending.STALE_BOOK, "the book must not be traded on")

    def _arrive(self, scene: Scene, book: Book) -> bool:
        """Fix the arrival price; False while a side is empty."""
        top = bbo(book)
        if top is None:
            return False
        side = self.order.side
        levels = depth(book, side, ARRIVAL_LEVELS)
        self.arrival = Arrival(top.mid_px, top.touch_px(side), levels[-1].cum_qty, scene.now_ns)
        self.started_ns = scene.now_ns
        self.deadline_ns = scene.now_ns + self._tactic.lasts_ns(self._look(scene, book))
        return True

    def _too_early(self, scene: Scene, book: Book) -> bool:
        """After a child: a pause, then a newer book; after refusals longer and longer."""
        if self._child_ended_ns == 0:
            return False
        since_ns = scene.now_ns - self._child_ended_ns
        pause_ns = PAUSE_NS
        if self._refusals:
            pause_ns = min(BACK_OFF_NS << (self._refusals - 1), BACK_OFF_MOST_NS)
        if since_ns < pause_ns:
            self._text, self.next_look_ns = "a pause after the last child", self._child_ended_ns + pause_ns
            return True
        if book.ts_recv_ns > self._child_ended_ns or since_ns >= NEWER_BOOK_NS:
            return False
        self._text, self.next_look_ns = "a newer book is to come", self._child_ended_ns + NEWER_BOOK_NS
        return True

    def _look(self, scene: Scene, book: Book) -> Look:
        arrival = self.arrival
        if arrival is None:
            raise ValueError("a parent order looks at the market only once it has arrived")
        own_qty = self.tally.filled_qty - self._own_before
        others_qty = self._others_before + scene.instrument.qty(self._traded_lots) - own_qty
        self.others_qty = max(self.others_qty, others_qty)  # too low until the public has seen our last fill
        return Look(
            now_ns=scene.now_ns,
            started_ns=self.started_ns,
            deadline_ns=self.deadline_ns,
            instrument=scene.instrument,
            side=self.order.side,
            book=book,
            arrival=arrival,
            qty=self.order.qty,
            remaining=self._remaining,
            children=self.tally.stood,
            last_child_ns=self._placed_ns or self.started_ns,
            largest_notional=scene.largest_notional,
            own_opposite_px=scene.own_opposite_px,
            traded_qty=self.others_qty,
        )

    # --- ending

    def _end(self, scene: Scene, ending: Ending, text: str = "") -> None:
        """Nothing more is placed, unless what is left is to rest; the report is final once the fills are in."""
        if self._rests:
            ending = Ending.DONE if ending is Ending.DONE else self._ending or ending
            self._rests = False
        elif ending in _REST_AFTER and (resting := resting_leftover(self.order.algorithm)) is not None:
            self._tactic, self._rests = resting, True
            self._ending, self._end_text = ending, text
            self.deadline_ns = scene.now_ns + resting.duration_ns
            self.next_look_ns = scene.now_ns
            return
        self._ending, self._end_text = ending, text
        self._settle(scene)

    def _settle(self, scene: Scene) -> None:
        if self._remaining < scene.instrument.lot:
            self._ending, self._end_text = Ending.DONE, ""
        self._text = self._end_text
        self._settle_since_ns = self._settle_since_ns or scene.now_ns
        if self.tally.is_booked or scene.now_ns - self._settle_since_ns >= SETTLE_NS:
            self.ended_ns = scene.now_ns
        else:
            self.next_look_ns = self._settle_since_ns + SETTLE_NS

    def report(self) -> ExecutionReport:
        """Return the truth as of now."""
        arrival, vwap, side = self.arrival, self.tally.vwap, self.order.side
        slippage = half_spread = None
        if arrival is not None:
            half_spread = arrival.half_spread_bps(side)
            if vwap is not None:
                slippage = side.sign * (vwap - arrival.touch_px) / arrival.mid_px * 10_000
        filled = self.tally.filled_qty
        return ExecutionReport(
            order=self.order,
            state="ended" if self.is_over else "stopping" if self.is_ending else "working",
            filled_qty=filled,
            remaining_qty=self.order.qty - filled if self.order.target_qty is None else self._remaining,
            vwap=vwap,
            fees=self.tally.fees,
            arrival=arrival,
            slippage_bps=slippage,
            half_spread_bps=half_spread,
            children=len(self.tally),
            ending=self._ending,
            text=self._text,
            started_ns=self.started_ns,
            deadline_ns=self.deadline_ns,
            ended_ns=self.ended_ns,
            last_children=self.tally.newest(TOLD_CHILDREN),
        )

    def at_rest(self) -> ParentAtRest:
        return ParentAtRest(
            self.order, self.arrival, self.started_ns, self.deadline_ns, self.tally.records(), self.others_qty
        )
