"""What an account's streams owe us: the proof that they still tell everything."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import Final

from perpmaker.clock import Clock
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.units import NS_PER_S

PATIENCE_S: Final = 3.0
"""A stream that owes us a frame for this long is mute."""
REMEMBERED: Final = 2_000


class Debts:
    """What the streams owe: a report for every order whose creation was acknowledged, a fill for every traded quantity.

    Only orders acknowledged since the streams were last made whole are looked at: about others a fill may have been missed,
    and reading the account again is what finds those.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reports: dict[ClientOrderId, int] = {}
        self._fills: dict[ClientOrderId, int] = {}
        self._filled: OrderedDict[ClientOrderId, Decimal] = OrderedDict()
        self._early: set[ClientOrderId] = set()
        self._claimed: dict[ClientOrderId, Decimal] = {}

    def written(self, client_order_id: ClientOrderId) -> None:
        """An order left us: its fills count from zero."""
        self._filled[client_order_id] = Decimal(0)
        while len(self._filled) > REMEMBERED:
            self._forget(self._filled.popitem(last=False)[0])

    def acknowledged(self, client_order_id: ClientOrderId) -> None:
        """The answer to the creation was good: a report has to follow, unless it has already come."""
        if client_order_id in self._filled and client_order_id not in self._early:
            self._reports[client_order_id] = self._due()

    def reported(self, client_order_id: ClientOrderId, cum_qty: Decimal) -> None:
        self._reports.pop(client_order_id, None)
        filled = self._filled.get(client_order_id)
        if filled is None:
            return
        self._early.add(client_order_id)
        if cum_qty > filled:
            self._claimed[client_order_id] = max(cum_qty, self._claimed.get(client_order_id, cum_qty))
            self._fills.setdefault(client_order_id, self._due())

    def filled(self, client_order_id: ClientOrderId, qty: Decimal) -> None:
        filled = self._filled.get(client_order_id)
        if filled is None:
            return
        self._filled[client_order_id] = filled + qty
        if filled + qty >= self._claimed.get(client_order_id, Decimal(0)):
            self._fills.pop(client_order_id, None)
            self._claimed.pop(client_order_id, None)

    def overdue(self) -> str:
        """Return what should have come by now, "" when nothing."""
        now_ns = self._clock.monotonic_ns()
        for what, debts in (("report", self._reports), ("fill", self._fills)):
            for client_order_id, due_ns in debts.items():
                if now_ns > due_ns:
                    return f"no {what} of order {client_order_id} in {PATIENCE_S:g} s"
        return ""

    def forget_all(self) -> None:
        """The streams were broken or made whole: what they owed before can no longer be told."""
        for debts in (self._reports, self._fills, self._filled, self._claimed):
            debts.clear()
        self._early.clear()

    def _forget(self, client_order_id: ClientOrderId) -> None:
        self._reports.pop(client_order_id, None)
        self._fills.pop(client_order_id, None)
        self._claimed.pop(client_order_id, None)
        self._early.discard(client_order_id)

    def _due(self) -> int:
        return self._clock.monotonic_ns() + int(PATIENCE_S * NS_PER_S)
