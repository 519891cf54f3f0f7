"""What an algorithm sees and what it may want: the whole interface between the two.

A `Tactic` is asked for its next move whenever something happened (a book, evidence about its child, a timer) and no child
is live; while a resting child is live it is asked to tend it. It keeps no count of its own: what is done and what remains
is proven by evidence and handed in, so a tactic can be made anew in the middle of a parent order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.execution import Arrival, Ending
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderView, Side, TimeInForce
from perpmaker.model.units import NS_PER_S

CHILD_LIFE_NS = 10 * NS_PER_S
"""Signature expiration of an IOC child: past it a lost one cannot land any more."""


class Look(msgspec.Struct, frozen=True):
    """A parent order and its market at one instant. `book` is without own orders, whole and fresh."""

    now_ns: int
    started_ns: int
    deadline_ns: int
    instrument: Instrument
    side: Side
    book: Book
    arrival: Arrival
    qty: Decimal
    """The parent's whole quantity."""
    remaining: Decimal
    """What is proven to be left of it; > 0."""
    children: int
    """Placed so far and not refused, this look's next one not included."""
    last_child_ns: int
    """When the last child was placed, `started_ns` before the first."""
    largest_notional: Decimal
    """Of one order, by the account's limits."""
    own_opposite_px: Decimal | None
    """Our own best order on the other side, over all accounts: never to be reached."""
    traded_qty: Decimal
    """Public volume since the start, our own fills taken off."""


class Child(msgspec.Struct, frozen=True):
    """Wanted next: one order."""

    px: Decimal
    qty: Decimal
    tif: TimeInForce = TimeInForce.IOC
    post_only: bool = False
    life_ns: int = CHILD_LIFE_NS
    """After this it cannot rest or arrive any more."""
    visible_qty: Decimal = Decimal(0)
    """What the book showed inside the price, haircut taken off."""


class CancelChild(msgspec.Struct, frozen=True):
    """Wanted next: the resting child gone."""

    why: str


class Wait(msgspec.Struct, frozen=True):
    """Nothing now. `ending` is what this amounts to when the deadline comes first."""

    why: str
    until_ns: int
    ending: Ending = Ending.DEADLINE


class Done(msgspec.Struct, frozen=True):
    """Nothing more."""

    ending: Ending
    text: str = ""


Move = Child | CancelChild | Wait | Done


class Tactic(Protocol):
    """One algorithm at work."""

    def lasts_ns(self, look: Look) -> int:
        """How long the parent order may take, decided once, at arrival."""
        ...

    def next(self, look: Look) -> Move:
        """Say what to do while no child is live."""
        ...

    def tend(self, look: Look, child: OrderView) -> CancelChild | Wait:
        """Say what to do about a child that rests. IOC children are waited for without asking."""
        ...
