"""What every part of the simulated venue shares: its markets, accounts and time, and the way its words take to us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event, Source, Ticker, Trade, VenueStatus
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.simulation.account import SimulatedAccount
from perpmaker.simulation.chance import Chance
from perpmaker.simulation.latency import Latency
from perpmaker.simulation.market import Market
from perpmaker.simulation.order import VenueOrder
from perpmaker.simulation.schedule import Schedule
from perpmaker.simulation.settings import VenueSettings

FUNDING, MARKET, OURS = 0, 1, 2
"""Ranks of what happens at one instant."""
DISCONNECTED: Final = "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED"

Action = Callable[[int], None]
"""Called with the venue's time."""
Shown = BookDelta | BookSnapshot | BookStale | Trade | Ticker
"""What the feed shows of a market."""


class House:
    def __init__(self, settings: VenueSettings, latency: Latency, chance: Chance, mark: str) -> None:
        self.settings = settings
        self.latency = latency
        self.chance = chance
        self.mark = mark
        """Begins every id that is given here."""
        self.markets: dict[InstrumentId, Market] = {}
        self.accounts: dict[AccountId, SimulatedAccount] = {}
        self.offset_ns = 0
        """The venue's clock minus ours."""
        self.venue_ns = 0
        """Everything of the venue up to here is done."""
        self.actions: Schedule[Action | Shown] = Schedule()
        """By the venue's time."""
        self.deliveries: Schedule[Event] = Schedule()
        """By ours."""
        self._numbered = 0
        self._heard_ns: dict[AccountId, int] = {}

    def number(self, order: VenueOrder) -> None:
        """Give an order its place in time and its id."""
        self._numbered += 1
        order.number, order.order_id = self._numbered, f"{self.mark}{self._numbered}"

    def recv_ns(self, account: AccountId, venue_ns: int) -> int:
        """When we hear what the venue says now: after the response latency, in order, never before we could know it."""
        ours_ns = venue_ns - self.offset_ns
        recv_ns = ours_ns + max(self.latency.response_ns(ours_ns), self.latency.hold_ns)
        recv_ns = self._heard_ns[account] = max(recv_ns, self._heard_ns.get(account, 0))
        return recv_ns

    def tell_at(self, recv_ns: int, event: Event) -> None:
        self.deliveries.put(recv_ns, event)

    def report(self, order: VenueOrder, venue_ns: int, source: Source = Source.STREAM) -> None:
        recv_ns = self.recv_ns(order.order.account, venue_ns)
        self.tell_at(recv_ns, order.report(source, venue_ns, recv_ns))

    def tell_position(self, name: AccountId, instrument: InstrumentId, venue_ns: int) -> None:
        recv_ns = self.recv_ns(name, venue_ns)
        market = self.markets[instrument]
        self.tell_at(recv_ns, self.accounts[name].position_report(market, venue_ns, recv_ns))

    def close(self, order: VenueOrder, status: VenueStatus, reason: str, venue_ns: int) -> None:
        self.markets[order.order.instrument].remove(order)
        order.status, order.reason, order.updated_ns = status, reason, venue_ns
        self.accounts[order.order.account].close(order)
        self.report(order, venue_ns)

    def cancel_all(
        self, name: AccountId, instrument: InstrumentId | None, venue_ns: int, reason: str = "CLIENT_BULK_CANCEL"
    ) -> None:
        for order in list(self.accounts[name].live.values()):
            if instrument in (None, order.order.instrument):
                self.close(order, VenueStatus.CANCELED, reason, venue_ns)
