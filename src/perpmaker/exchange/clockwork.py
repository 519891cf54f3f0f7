"""What keeps the exchange going: brings venues and market to the present, and sends what happened, in this order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from perpmaker.clock import Clock
from perpmaker.exchange.core.types import Event
from perpmaker.exchange.core.venue import MarketSource, Venue
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_SHORTEST_NS: Final = 2 * NS_PER_MS
"""Steps closer together than this are taken as one."""
_LONGEST_NS: Final = 100 * NS_PER_MS


class Hub(Protocol):
    """Who tells a venue's listeners."""

    def note(self, events: Iterable[Event]) -> None:
        """Take events in as soon as they are there."""
        ...

    def on_events(self, events: Iterable[Event]) -> None:
        """Send what events say."""
        ...

    def next_due_ns(self) -> int | None:
        """When `tick` next has something to do."""
        ...

    def tick(self) -> None:
        """Send what is due."""
        ...


class _Stand:
    """A venue, who tells of it, and what was not told yet."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self.venue = venue
        self.hub = hub
        self.unsent: list[Event] = []


class Clockwork:
    """Drives the venues by the wall clock. `record` is given every event, by venue, before anybody else hears of it."""

    def __init__(self, clock: Clock, record: Callable[[str, Iterable[Event]], None]) -> None:
        self._clock = clock
        self._record = record
        self._source: MarketSource | None = None
        self._stands: dict[str, _Stand] = {}
        self._sending = False
        self._woken = asyncio.Event()

    def connect(self, source: MarketSource, venues: Mapping[str, tuple[Venue, Hub]]) -> None:
        """Say what moves the market, and who is told."""
        self._source = source
        self._stands = {name: _Stand(venue, hub) for name, (venue, hub) in venues.items()}

    def advance(self) -> None:
        """Bring venues and market to the present; call it before acting on a venue."""
        if self._source is not None:
            self._source.advance(self._clock.now_ns())
        self._collect()

    def settle(self) -> None:
        """Take what an act caused; it is sent right after the act was answered, as the venue acknowledges first."""
        self._collect()
        self._woken.set()
        if not self._sending and any(stand.unsent for stand in self._stands.values()):
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send)

    async def run(self) -> None:
        """Go on until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.advance()
            self._send()
            for stand in self._stands.values():
                stand.hub.tick()
            self._woken.clear()
            timer = loop.call_later(self._pause_ns() / NS_PER_S, self._woken.set)
            await self._woken.wait()
            timer.cancel()

    def _pause_ns(self) -> int:
        now_ns = self._clock.now_ns()
        times = [None if self._source is None else self._source.next_event_ns()]
        for stand in self._stands.values():
            times += [stand.venue.next_timer_ns(), stand.hub.next_due_ns()]
        next_ns = min((time_ns for time_ns in times if time_ns is not None), default=now_ns + _LONGEST_NS)
        return max(_SHORTEST_NS, min(next_ns - now_ns, _LONGEST_NS))

    def _collect(self) -> None:
        for name, stand in self._stands.items():
            events = stand.venue.take_events()
            if events:
                self._record(name, events)
                stand.hub.note(events)
                stand.unsent += events

    def _send(self) -> None:
        self._sending = False
        for stand in self._stands.values():
            events, stand.unsent = stand.unsent, []
            if events:
                stand.hub.on_events(events)
