"""What keeps the exchange going: brings venue and market to the present, and sends what happened, in this order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from perpmaker.clock import Clock
from perpmaker.exchange.core.types import Event
from perpmaker.exchange.core.venue import MarketSource, Venue
from perpmaker.exchange.grvt.hub import Hub
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_SHORTEST_NS: Final = 2 * NS_PER_MS
"""Steps closer together than this are taken as one."""
_LONGEST_NS: Final = 100 * NS_PER_MS


class Clockwork:
    """Drives the venue by the wall clock. `record` is given every event before anybody else hears of it."""

    def __init__(self, venue: Venue, clock: Clock, record: Callable[[Iterable[Event]], None]) -> None:
        self._venue = venue
        self._clock = clock
        self._record = record
        self._source: MarketSource | None = None
        self._hub: Hub | None = None
        self._unsent: list[Event] = []
        self._sending = False
        self._woken = asyncio.Event()

    def connect(self, source: MarketSource, hub: Hub) -> None:
        """Say what moves the market, and who is told."""
        self._source = source
        self._hub = hub

    def advance(self) -> None:
        """Bring venue and market to the present; call it before acting on the venue."""
        (self._source or self._venue).advance(self._clock.now_ns())
        self._collect()

    def settle(self) -> None:
        """Take what an act caused; it is sent right after the act was answered, as the venue acknowledges first."""
        self._collect()
        self._woken.set()
        if self._unsent and not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send)

    async def run(self) -> None:
        """Go on until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.advance()
            self._send()
            if self._hub is not None:
                self._hub.tick()
            self._woken.clear()
            timer = loop.call_later(self._pause_ns() / NS_PER_S, self._woken.set)
            await self._woken.wait()
            timer.cancel()

    def _pause_ns(self) -> int:
        hub_ns = self._hub.next_due_ns() if self._hub is not None else None
        source_ns = self._source.next_event_ns() if self._source is not None else None
        times = (self._venue.next_timer_ns(), source_ns, hub_ns)
        next_ns = min((time_ns for time_ns in times if time_ns is not None), default=self._venue.now_ns + _LONGEST_NS)
        return max(_SHORTEST_NS, min(next_ns - self._venue.now_ns, _LONGEST_NS))

    def _collect(self) -> None:
        events = self._venue.take_events()
        if events:
            self._record(events)
            if self._hub is not None:
                self._hub.note(events)
            self._unsent += events

    def _send(self) -> None:
        self._sending = False
        events, self._unsent = self._unsent, []
        if events and self._hub is not None:
            self._hub.on_events(events)
