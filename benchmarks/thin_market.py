"""A thin book on the practice exchange's core in virtual time, and a wire with latency to it.

0.02 ETH a level, several ticks apart, refilled by simulated flow; every number is drawn from the episode's seed. The same
market, wire and faults meet every scheme.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple

from perpmaker.exchange.core import types as venue_types
from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.instruments import ETH
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import (
    CancelStatusUpdated,
    FillReported,
    Leg,
    OrderRequest,
    OrderUpdated,
    Rejection,
    Signature,
)
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.order import Side, TimeInForce
from perpmaker.model.units import NS_PER_MS, NS_PER_S

START_NS: Final = 1_700_000_000 * NS_PER_S
SUB_ACCOUNT: Final = 4001
NAME: Final = ETH.name
LEVELS: Final = 80
LEVEL_LOTS: Final = 2
"""0.02 ETH."""
START_TICKS: Final = 260_000
LATENCY_NS: Final = 10 * NS_PER_MS
"""One way, for orders, their answers and books alike."""
BOOK_EVERY_NS: Final = 50 * NS_PER_MS
FLOW_MEAN_S: Final = 0.1
IMPACT_TICKS_PER_LOT: Final = 0.1
"""How far the refilled book has moved after each lot of ours: 10 ticks, 0.4 bps, for 1 ETH."""
SIDES: Final = {Side.BUY: venue_types.Side.BUY, Side.SELL: venue_types.Side.SELL}
_TIFS: Final = {
    TimeInForce.GTT: venue_types.TimeInForce.GOOD_TILL_TIME,
    TimeInForce.IOC: venue_types.TimeInForce.IMMEDIATE_OR_CANCEL,
}


class Faults(NamedTuple):
    """What goes wrong in an episode, in ns after it began; 0: nothing."""

    outage_ns: int = 0
    """The book's link is lost then, for a second."""
    loses_first_answer: bool = False
    """Of the first order nothing is heard for three seconds."""


NO_FAULTS: Final = Faults()
OUTAGE_LASTS_NS: Final = NS_PER_S
ANSWER_LATE_NS: Final = 3 * NS_PER_S


class ThinBook:
    """Keeps the thin book: levels around a reference price, refilled, taken from and moved by seeded flow."""

    def __init__(self, venue: Venue, rng: Rng, *, moves: bool) -> None:
        self._venue = venue
        self._rng = rng
        self._participant = venue.add_participant("thin book")
        self._centre = float(START_TICKS)
        self._half = rng.between(4, 10)
        self._orders: dict[tuple[Side, int], Order] = {}
        self._slots: dict[Side, list[int]] = {}
        for side in Side:
            distances = itertools.accumulate(rng.between(3, 7) for _ in range(LEVELS - 1))
            self._slots[side] = [0, *distances]
            for slot in range(LEVELS):
                self._fill(side, slot)
        self._moves = moves
        self.next_ns = self._later() if moves else 1 << 62
        self._index()

    def move(self) -> None:
        """One event of the flow."""
        self.next_ns = self._later()
        kind = self._rng.unit()
        if kind < 0.6:
            self._refill()
        elif kind < 0.75:
            side = Side.BUY if self._rng.chance(0.5) else Side.SELL
            self._venue.flow_take(self._participant, NAME, SIDES[side], self._rng.between(1, 4))
        else:
            self.shift(self._rng.normal() * 3.0)
        self._index()

    def impact(self, signed_lots: int) -> None:
        """Lots of ours were executed: the book moves away a little, unless it is to stand still."""
        if self._moves:
            self.shift(signed_lots * IMPACT_TICKS_PER_LOT)

    def withdraw(self) -> None:
        """Take every order off the book."""
        for order in self._orders.values():
            self._venue.flow_cancel(order)
        self._orders.clear()

    def shift(self, ticks: float) -> None:
        """Move the reference price; levels that would now stand on the wrong side of it are withdrawn."""
        self._centre += ticks
        for (side, slot), order in list(self._orders.items()):
            if order.leaves_lots and (order.px_ticks - self._px(side, 0)) * side.sign > 0:
                self._venue.flow_cancel(order)
                del self._orders[(side, slot)]

    def _refill(self) -> None:
        """Put back the innermost level missing on a side, most often, or one further out."""
        side = Side.BUY if self._rng.chance(0.5) else Side.SELL
        missing = [slot for slot in range(LEVELS) if not self._stands(side, slot)]
        if missing:
            place = int(len(missing) * self._rng.unit() ** 3)
            self._fill(side, missing[place])

    def _stands(self, side: Side, slot: int) -> bool:
        order = self._orders.get((side, slot))
        return order is not None and order.leaves_lots > 0 and order.level is not None

    def _fill(self, side: Side, slot: int) -> None:
        order = self._venue.flow_limit(
            self._participant, NAME, SIDES[side], self._px(side, slot), LEVEL_LOTS, post_only=True
        )
        if order is not None:
            self._orders[(side, slot)] = order

    def _px(self, side: Side, slot: int) -> int:
        return round(self._centre) - side.sign * (self._half + self._slots[side][slot])

    def _later(self) -> int:
        return self._venue.now_ns + 1 + round(self._rng.exponential(FLOW_MEAN_S) * NS_PER_S)

    def _index(self) -> None:
        self._venue.set_index(NAME, round(self._centre * ETH.tick_nano))


class Frame(NamedTuple):
    """A book as it came over the wire, best first."""

    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    event_ns: int

    @property
    def mid_px(self) -> Decimal:
        return Decimal(self.bids[0][0] + self.asks[0][0]) / 200

    def touch_px(self, side: Side) -> Decimal:
        """What an order of `side` meets first."""
        return Decimal((self.asks if side is Side.BUY else self.bids)[0][0]) / 100


class Lab:
    """Venue, market and wire of one episode; `run` lets virtual time pass."""

    def __init__(self, seed: int, *, faults: Faults = NO_FAULTS, moves: bool = True) -> None:
        rng = Rng(seed)
        self.now_ns = START_NS
        self.began_ns = START_NS
        """When the episode's order was given: faults count from here."""
        self.faults = faults
        self.venue = Venue((ETH,), now_ns=START_NS)
        self.venue.open_account(owner="0x1", main_account="0x2", sub_account_id=SUB_ACCOUNT, deposit=Decimal(100_000))
        self.market = ThinBook(self.venue, rng.split("market"), moves=moves)
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        self.on_link: Callable[[bool], None] = lambda up: None
        self.on_event: Callable[[OrderUpdated | FillReported | CancelStatusUpdated], None] = lambda event: None
        self.on_told: Callable[..., None] = lambda number, filled, ended: None
        """For wires that tell of orders as a whole; this one has events."""
        self.on_refusal: Callable[[int, Rejection], None] = lambda client_order_id, refusal: None
        self.orders = 0
        self._first_order = 0
        self._arrival = (0, 0)
        self._nonce = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._link_up = True
        self.at(BOOK_EVERY_NS, self._publish)

    # --- time

    def at(self, delay_ns: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ns + delay_ns, next(self._count), act))

    def run(self, until_ns: int, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; returns whether `stop` came true before `until_ns`."""
        while not stop():
            timer_ns = self.venue.next_timer_ns()
            next_ns = min(self.market.next_ns, self._due[0][0], timer_ns if timer_ns is not None else until_ns)
            if next_ns > until_ns:
                self.now_ns = until_ns
                return False
            self.now_ns = max(self.now_ns, next_ns)
            self.venue.advance(self.now_ns)
            if self.market.next_ns <= self.now_ns:
                self.market.move()
            elif self._due and self._due[0][0] <= self.now_ns:
                heapq.heappop(self._due)[2]()
            self._take()
        return True

    def begin(self) -> None:
        """The order is given now."""
        self.began_ns = self.now_ns
        self.orders, self._first_order = 0, 0
        book = self.venue.book(NAME).snapshot(1, event_ns=self.now_ns)
        self._arrival = (book.bids[0].px_ticks, book.asks[0].px_ticks)
        if self.faults.outage_ns:
            self.at(self.faults.outage_ns, self._lose_link)

    # --- the wire, towards the venue

    def submit(
        self,
        client_order_id: int,
        side: Side,
        qty: Decimal,
        px: Decimal | None,
        tif: TimeInForce = TimeInForce.IOC,
        *,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> None:
        """Send an order; `px` None is a market order."""
        self.orders += 1
        self._first_order = self._first_order or client_order_id
        self._nonce += 1
        expires_ns = self.now_ns + 600 * NS_PER_S
        request = OrderRequest(
            SUB_ACCOUNT,
            (Leg(NAME, SIDES[side], qty, px),),
            Signature("0x1", "0x1", "0x1", 27, expires_ns, self._nonce),
            client_order_id,
            time_in_force=_TIFS[tif],
            is_market=px is None,
            post_only=post_only,
            reduce_only=reduce_only,
        )
        self.at(LATENCY_NS, lambda: self._arrive(request))

    def cancel(self, client_order_id: int, ttl_ms: int | None = None) -> None:
        self.at(
            LATENCY_NS,
            lambda: self.venue.cancel_order(SUB_ACCOUNT, client_order_id=client_order_id, time_to_live_ms=ttl_ms),
        )

    # --- truth

    @property
    def arrival_mid_px(self) -> Decimal:
        """The mid when the order was given, by the venue's own book."""
        return Decimal(sum(self._arrival)) / 200

    def arrival_px(self, side: Side) -> Decimal:
        """The touch when the order was given."""
        return Decimal(self._arrival[1 if side is Side.BUY else 0]) / 100

    @property
    def position(self) -> Decimal:
        position = self.venue.position(SUB_ACCOUNT, NAME)
        return Decimal(0) if position is None else Decimal(position.qty_lots) / 100

    def fills(self) -> list[venue_types.Fill]:
        """The exchange's own book of our fills."""
        return list(self.venue.fill_history(SUB_ACCOUNT, limit=10_000).rows)

    # --- inside

    def _arrive(self, request: OrderRequest) -> None:
        answer = self.venue.create_order(request)
        if isinstance(answer, Rejection):
            client_order_id = request.client_order_id or 0
            self.at(LATENCY_NS, lambda: self.on_refusal(client_order_id, answer))

    def _take(self) -> None:
        for event in self.venue.take_events():
            if isinstance(event, OrderUpdated):
                self._deliver(event, event.order.terms.client_order_id)
            elif isinstance(event, FillReported):
                self.market.impact(int(event.fill.side) * event.fill.qty_lots)
                self._deliver(event, event.fill.client_order_id)
            elif isinstance(event, CancelStatusUpdated):
                self._deliver(event, event.client_order_id)

    def _deliver(self, event: OrderUpdated | FillReported | CancelStatusUpdated, client_order_id: int) -> None:
        lost = self.faults.loses_first_answer and client_order_id == self._first_order
        self.at(ANSWER_LATE_NS if lost else LATENCY_NS, lambda: self.on_event(event))

    def is_lost(self, client_order_id: int) -> bool:
        """Whether nothing is heard of this order for now."""
        return self.faults.loses_first_answer and client_order_id == self._first_order

    def _publish(self) -> None:
        self.at(BOOK_EVERY_NS, self._publish)
        if not self._link_up:
            return
        seen = self.venue.book(NAME).snapshot(100, event_ns=self.now_ns)
        frame = Frame(
            tuple((level.px_ticks, level.qty_lots) for level in seen.bids),
            tuple((level.px_ticks, level.qty_lots) for level in seen.asks),
            self.now_ns,
        )
        self.at(LATENCY_NS, lambda: self.on_frame(frame))

    def _lose_link(self) -> None:
        self._link_up = False
        self.on_link(False)
        self.at(OUTAGE_LASTS_NS, self._regain_link)

    def _regain_link(self) -> None:
        self._link_up = True
        self.on_link(True)
