"""How long the way to the venue and back takes.

`entry_ns` is from our sending to the venue's gateway, `response_ns` from the venue's word to our receipt. Both are asked
once per message, in order, so a seeded draw repeats. The names follow hftbacktest's order latency models
(hftbacktest 2.4, `backtest/models/latency.rs`: ConstantLatency, IntpOrderLatency).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from perpmaker.model.units import NS_PER_S
from perpmaker.simulation.chance import Chance

MAX_HOLD_NS: Final = NS_PER_S
"""Events later than this are taken for stray ones: nothing waits for them."""


class Latency(Protocol):
    """Ways to the venue and back."""

    @property
    def hold_ns(self) -> int:
        """How long after a venue's instant we can know everything that the feed says of it.

        The venue's side is played this much behind our clock, so that an order meets the market of its arrival and not
        the one we had heard of by then.
        """
        ...

    @property
    def heard(self) -> Callable[[int, int], None]:
        """Learns how long a market event took: (venue time, receive time), both on one clock."""
        ...

    def entry_ns(self, now_ns: int) -> int: ...
    def response_ns(self, now_ns: int) -> int: ...

    def describe(self) -> str:
        """Name the model and its numbers, for people."""
        ...


class Hold:
    """How far behind our clock the venue's side is played: as long as the feed takes, at least `floor_ns`.

    It follows the slowest events at once and falls back slowly, by 1/256 of itself an event. An answer cannot be heard
    sooner than market data of the same instant: where the feed is slow, answers are.
    """

    __slots__ = ("_floor_ns", "ns")

    def __init__(self, floor_ns: int) -> None:
        self._floor_ns = self.ns = floor_ns

    def heard(self, ts_event_ns: int, ts_recv_ns: int) -> None:
        took_ns = ts_recv_ns - ts_event_ns
        if took_ns <= MAX_HOLD_NS:
            self.ns = max(self._floor_ns, took_ns, self.ns - (self.ns >> 8))


class ConstantLatency:
    """The same every time."""

    def __init__(self, entry_ns: int, response_ns: int) -> None:
        if entry_ns < 0 or response_ns < 0:
            raise ValueError("a latency is not negative")
        self._entry_ns = entry_ns
        self._response_ns = response_ns
        self._hold = Hold(response_ns)
        self.heard = self._hold.heard

    @property
    def hold_ns(self) -> int:
        return self._hold.ns

    def entry_ns(self, now_ns: int) -> int:
        return self._entry_ns

    def response_ns(self, now_ns: int) -> int:
        return self._response_ns

    def describe(self) -> str:
        return f"constant, entry {_ms(self._entry_ns)}, response {_ms(self._response_ns)}"


class SampledLatency:
    """Drawn with replacement from measured samples, entry and response apart."""

    def __init__(self, entry_ns: Sequence[int], response_ns: Sequence[int], chance: Chance) -> None:
        if not entry_ns or not response_ns or min(*entry_ns, 0) < 0 or min(*response_ns, 0) < 0:
            raise ValueError("measured latencies are needed, none of them negative")
        self._entry = tuple(entry_ns)
        self._response = tuple(response_ns)
        self._chance = chance
        self._median_ns = sorted(self._response)[len(self._response) // 2]
        self._hold = Hold(self._median_ns)
        self.heard = self._hold.heard

    @property
    def hold_ns(self) -> int:
        return self._hold.ns

    def entry_ns(self, now_ns: int) -> int:
        return self._entry[self._chance.below(len(self._entry))]

    def response_ns(self, now_ns: int) -> int:
        return self._response[self._chance.below(len(self._response))]

    def describe(self) -> str:
        return f"measured, {len(self._entry)} entry and {len(self._response)} response samples, median response " + _ms(
            self._median_ns
        )


class LatencyPoint(msgspec.Struct, frozen=True):
    """What was measured at an instant."""

    at_ns: int
    entry_ns: int
    response_ns: int


class InterpolatedLatency:
    """Measured over the time of a tape and linear in between; before the first and after the last point it is theirs."""

    def __init__(self, points: Sequence[LatencyPoint]) -> None:
        if not points:
            raise ValueError("latency points are needed")
        self._points = sorted(points, key=lambda point: point.at_ns)
        self._at = [point.at_ns for point in self._points]
        self._median_ns = sorted(point.response_ns for point in self._points)[len(points) // 2]
        self._hold = Hold(self._median_ns)
        self.heard = self._hold.heard

    @property
    def hold_ns(self) -> int:
        return self._hold.ns

    def entry_ns(self, now_ns: int) -> int:
        before, after, part, whole = self._between(now_ns)
        return before.entry_ns + (after.entry_ns - before.entry_ns) * part // whole

    def response_ns(self, now_ns: int) -> int:
        before, after, part, whole = self._between(now_ns)
        return before.response_ns + (after.response_ns - before.response_ns) * part // whole

    def describe(self) -> str:
        return f"interpolated between {len(self._points)} points, median response {_ms(self._median_ns)}"

    def _between(self, now_ns: int) -> tuple[LatencyPoint, LatencyPoint, int, int]:
        place = bisect_right(self._at, now_ns)
        if place == 0 or place == len(self._points):
            end = self._points[0 if place == 0 else -1]
            return end, end, 0, 1
        before, after = self._points[place - 1], self._points[place]
        return before, after, now_ns - before.at_ns, after.at_ns - before.at_ns


class FollowingLatency:
    """A multiple of what the feed took last: when market data is slow, so are orders.

    hftbacktest's guide "Order Latency Data" derives order latency from feed latency in this way where none was measured.
    It needs nothing that a live run does not know, so paper and backtest agree.
    """

    def __init__(self, *, floor_ns: int, entry_per_cent: int = 100, response_per_cent: int = 100) -> None:
        if floor_ns < 0 or entry_per_cent < 0 or response_per_cent < 0:
            raise ValueError("a latency is not negative")
        self._floor_ns = floor_ns
        self._entry_per_cent = entry_per_cent
        self._response_per_cent = response_per_cent
        self._feed_ns = floor_ns
        self._hold = Hold(floor_ns)

    @property
    def hold_ns(self) -> int:
        return self._hold.ns

    def entry_ns(self, now_ns: int) -> int:
        return max(self._floor_ns, self._feed_ns * self._entry_per_cent // 100)

    def response_ns(self, now_ns: int) -> int:
        return max(self._floor_ns, self._feed_ns * self._response_per_cent // 100)

    def heard(self, ts_event_ns: int, ts_recv_ns: int) -> None:
        if ts_recv_ns - ts_event_ns <= MAX_HOLD_NS:
            self._feed_ns = max(0, ts_recv_ns - ts_event_ns)
        self._hold.heard(ts_event_ns, ts_recv_ns)

    def describe(self) -> str:
        return (
            f"following the feed, entry {self._entry_per_cent} % and response {self._response_per_cent} % of its last "
            f"latency, at least {_ms(self._floor_ns)}"
        )


def _ms(ns: int) -> str:
    return f"{ns / 1e6:g} ms"
