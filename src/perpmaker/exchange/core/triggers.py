"""Orders of one instrument that wait for a price, and which of them a price reaches.

A trigger is reached by its price or one beyond it. Orders that are reached become due and are fired when nothing is half
done (`Engine.fire_due`); what is reached stays so, also when the price goes back at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from perpmaker.exchange.core.orders import ClientOrder
from perpmaker.exchange.core.types import Trigger, TriggerBy


class _Waiting:
    """Orders that wait for one price, by the level it must reach and by age; `above` says from which side."""

    __slots__ = ("above", "orders")

    def __init__(self, *, above: bool) -> None:
        self.above = above
        self.orders: list[tuple[int, int]] = []
        """Levels in nano and order numbers; levels that fire below are negated, so that the next one is first."""

    def key(self, px_nano: int, number: int) -> tuple[int, int]:
        return (px_nano if self.above else -px_nano), number

    def reached(self, px_nano: int) -> list[int]:
        """Take out the numbers of the orders whose level is at `px_nano` or before it."""
        if not self.orders:
            return []
        level = px_nano if self.above else -px_nano
        if self.orders[0][0] > level:
            return []
        count = bisect_right(self.orders, level, key=_level)
        taken, self.orders = self.orders[:count], self.orders[count:]
        return [number for _, number in taken]


class Triggers:
    """`due` is the floor's list of orders to fire."""

    def __init__(self, tick_nano: int, due: list[ClientOrder]) -> None:
        self._tick_nano = tick_nano
        self._due = due
        self._orders: dict[int, ClientOrder] = {}
        self._waiting = {(by, above): _Waiting(above=above) for by in TriggerBy for above in (False, True)}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[ClientOrder]:
        return iter(self._orders.values())

    def add(self, order: ClientOrder, px_nano: int | None) -> None:
        """Let a numbered order wait; with `px_nano`, its price as it stands, it may be due at once."""
        waiting, key = self._place(order)
        insort(waiting.orders, key)
        self._orders[order.number] = order
        if px_nano is not None and key[0] <= waiting.key(px_nano, 0)[0]:
            self.remove(order)
            self._due.append(order)

    def remove(self, order: ClientOrder) -> None:
        """Let an order wait no longer; one that does not is left alone."""
        if self._orders.pop(order.number, None) is not None:
            waiting, key = self._place(order)
            del waiting.orders[bisect_left(waiting.orders, key)]

    def observe(self, by: TriggerBy, px_nano: int) -> None:
        """Take in a price: what it reaches is due."""
        for above in (False, True):
            for number in self._waiting[by, above].reached(px_nano):
                self._due.append(self._orders.pop(number))

    def _place(self, order: ClientOrder) -> tuple[_Waiting, tuple[int, int]]:
        trigger: Trigger | None = order.terms.trigger
        if trigger is None:
            raise ValueError(f"order {order.order_id} has no trigger")
        waiting = self._waiting[trigger.by, trigger.is_above(order.side)]
        return waiting, waiting.key(trigger.px_ticks * self._tick_nano, order.number)


def counterpart(order: ClientOrder) -> ClientOrder | None:
    """The other one of a pair of triggers, while it waits for its price."""
    if order.terms.trigger is None or not order.terms.trigger.counterpart:
        return None
    other = order.account.active.get(order.terms.trigger.counterpart)
    if other is None or other.terms.trigger is None or not other.awaits_price:
        return None
    return other if other.terms.trigger.counterpart == order.terms.client_order_id else None


def linked(order: ClientOrder) -> list[ClientOrder]:
    """The active orders that a trigger which waits cannot outlive."""
    trigger, other = order.terms.trigger, counterpart(order)
    found = [] if other is None else [other]
    parent = order.account.active.get(trigger.parent) if trigger is not None and trigger.parent else None
    return found if parent is None else [*found, parent]


def _level(entry: tuple[int, int]) -> int:
    return entry[0]
