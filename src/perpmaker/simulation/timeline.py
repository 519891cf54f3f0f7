"""One line of time for an engine and the simulated venues behind it: the same in a backtest and in paper.

Everything happens in the order of its time by our clock; at one instant what the venue says comes first, then the engine's
timers, then the feed. Timers and the venue's words carry the time they were due, not the time somebody looked: so a loop
that wakes late, as a live one does, gives the engine the same events as a tape.

A backtest calls `feed` for each event of the tape. Paper calls it for each event of the live feed, and `advance` when the
clock shows `next_ns`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from perpmaker.model.events import ClockOffset, Event, InstrumentDelisted, InstrumentListed, Timer
from perpmaker.model.ids import HOME_EXCHANGE, InstrumentId
from perpmaker.simulation.schedule import Schedule
from perpmaker.simulation.venue import SimulatedVenue

_NEVER: Final = 1 << 63


class Timeline:
    """`deliver` hands one event to the engine; the commands that it leads to come back as calls before it returns.

    `venues` are named by exchange. At one instant the first named says what it has to say first.
    """

    def __init__(self, venues: Mapping[str, SimulatedVenue], deliver: Callable[[Event], None], now_ns: int) -> None:
        self.venues = dict(venues)
        self.now_ns = now_ns
        self._each = tuple(self.venues.values())
        self._venue_of: dict[InstrumentId, SimulatedVenue | None] = {}
        self._deliver = deliver
        self._timers: dict[str, int] = {}
        self._due: Schedule[str] = Schedule()
        self._advancing = False

    def set_timer(self, key: str, at_ns: int) -> None:
        """Deliver Timer(key) at a time; setting a key again moves it."""
        at_ns = max(at_ns, self.now_ns)
        self._timers[key] = at_ns
        self._due.put(at_ns, key)

    def feed(self, event: Event) -> None:
        """Take in what the feed says, after all that was due before it."""
        self.advance(event.ts_recv_ns)
        venue = self._concerned(event)
        if venue is not None:
            venue.on_market(event)
        outside, self._advancing = self._advancing, True
        try:
            self._deliver(event)
        finally:
            self._advancing = outside
        self.advance(self.now_ns)

    def at_once(self, do: Callable[[], None]) -> None:
        """Do something that the engine may react to, at this instant; then tell what is due by it.

        From within a reaction, what is due waits for the one outside: nothing overtakes what is just being told.
        """
        outside, self._advancing = self._advancing, True
        try:
            do()
        finally:
            self._advancing = outside
        self.advance(self.now_ns)

    def advance(self, now_ns: int) -> None:
        """Do what is due by our clock, instant by instant; asked for from within, it is done by the one outside."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._do_next(now_ns):
                pass
            self.now_ns = max(self.now_ns, now_ns)
        finally:
            self._advancing = False

    @property
    def next_ns(self) -> int | None:
        """When there is something to do next, None for never."""
        times = [venue_ns for venue in self._each if (venue_ns := venue.next_ns) is not None]
        timer_ns = self.next_timer_ns
        return min(times if timer_ns is None else [*times, timer_ns], default=None)

    def _do_next(self, now_ns: int) -> bool:
        """Do what is due next if that is by our clock: what one venue has to say, or else one timer."""
        timer_ns = self.next_timer_ns
        due_ns = _NEVER if timer_ns is None else timer_ns
        times: list[int] = []
        for venue in self._each:
            venue_ns = venue.next_ns
            times.append(_NEVER if venue_ns is None else venue_ns)
            if venue_ns is not None and venue_ns < due_ns:
                due_ns = venue_ns
        if due_ns > now_ns:
            return False
        self.now_ns = max(self.now_ns, due_ns)
        for venue, at_ns in zip(self._each, times, strict=True):
            if at_ns <= self.now_ns:
                for event in venue.advance(self.now_ns):
                    self._deliver(event)
                return True
        key = self._due.pop()[1]
        del self._timers[key]
        self._deliver(Timer(key, self.now_ns))
        return True

    def _concerned(self, event: Event) -> SimulatedVenue | None:
        """Return the venue an event of the feed is about."""
        if isinstance(event, InstrumentListed):
            return self.venues.get(event.instrument.exchange)
        if isinstance(event, ClockOffset):
            return self.venues.get(event.exchange)
        name = getattr(event, "instrument", None)
        if name is None:
            return None
        if name not in self._venue_of or isinstance(event, InstrumentDelisted):
            self._venue_of[name] = self.venues.get(name.partition("@")[2] or HOME_EXCHANGE)
        return self._venue_of[name]

    @property
    def next_timer_ns(self) -> int | None:
        """When the next timer is due, past those that were moved; None for none."""
        while (due_ns := self._due.next_ns) is not None:
            if self._timers.get(self._due.first) == due_ns:
                return due_ns
            self._due.pop()
        return None
