"""Prices of a second venue: the latent price of the first, seen through a basis that comes and goes, in another currency.

Everything is in basis points. The basis is the sum of two mean-reverting processes (Ornstein and Uhlenbeck, 1930): a quick
one, which is what a pair trades on, and a slow one, the drift that a z-score has to follow. The venue's own sweeps push the
quick one, so the two venues' prices part and meet again; they do not move the first venue's price.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from perpmaker.exchange.core.market.latent import Latent
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.venue import MarketSource
from perpmaker.model.units import NS_PER_S

_LN_2: Final = math.log(2.0)


class Reversion(msgspec.Struct, frozen=True):
    """A mean-reverting process: its standard deviation at rest, and how long half of a deviation lasts."""

    sd_bps: float
    half_life_s: float
    mean_bps: float = 0.0


class BasisParameters(msgspec.Struct, frozen=True):
    """How the second venue's price differs from the first's."""

    noise: Reversion = Reversion(sd_bps=3.0, half_life_s=45.0)
    drift: Reversion = Reversion(sd_bps=2.0, half_life_s=1_200.0)
    delay_s: float = 0.1
    """How old what makers see of it is."""


class RevertingPrice:
    """A mean-reverting process as a price of its own. It moves when it is looked at, by what fits the time since."""

    def __init__(self, parameters: Reversion, rng: Rng, now_ns: int) -> None:
        self._parameters = parameters
        self._rng = rng
        self._now_ns = now_ns
        self._rate_per_s = _LN_2 / parameters.half_life_s
        self._away_bps = parameters.sd_bps * rng.normal()

    def bps(self, now_ns: int) -> float:
        if now_ns > self._now_ns:
            kept = math.exp(-self._rate_per_s * (now_ns - self._now_ns) / NS_PER_S)
            renewed = self._parameters.sd_bps * math.sqrt(1.0 - kept * kept)
            self._away_bps = self._away_bps * kept + renewed * self._rng.normal()
            self._now_ns = now_ns
        return self._parameters.mean_bps + self._away_bps

    def seen_bps(self, now_ns: int) -> float:
        return self.bps(now_ns)

    def jump(self, bps: float, now_ns: int) -> None:
        self.bps(now_ns)
        self._away_bps += bps


class FollowedPrice:
    """The latent price of an instrument of the second venue: `leader` + basis + `rate`, less where its own scale starts.

    `rate` is what a unit of the leader's quote currency is worth in this venue's; `start_bps` is the leader's scale seen
    from this one's, so that both stay one price apart from the basis whatever index either started from.
    """

    def __init__(
        self, leader: Latent, rate: Latent, parameters: BasisParameters, rng: Rng, now_ns: int, *, start_bps: float
    ) -> None:
        self._leader = leader
        self._rate = rate
        self._noise = RevertingPrice(parameters.noise, rng.split("noise"), now_ns)
        self._drift = RevertingPrice(parameters.drift, rng.split("drift"), now_ns)
        self._start_bps = start_bps
        self._delay_ns = round(parameters.delay_s * NS_PER_S)
        self._unseen: deque[tuple[int, float]] = deque()
        self._seen_bps = self._own_bps(now_ns)

    def basis_bps(self, now_ns: int) -> float:
        """How far this venue's price is above the leader's, both in one currency."""
        return self._noise.bps(now_ns) + self._drift.bps(now_ns)

    def bps(self, now_ns: int) -> float:
        own = self._own_bps(now_ns)
        if not self._unseen or self._unseen[-1] != (now_ns, own):
            self._unseen.append((now_ns, own))
        return self._leader.bps(now_ns) + own

    def seen_bps(self, now_ns: int) -> float:
        self.bps(now_ns)
        horizon_ns = now_ns - self._delay_ns
        while self._unseen and self._unseen[0][0] <= horizon_ns:
            self._seen_bps = self._unseen.popleft()[1]
        return self._leader.seen_bps(now_ns) + self._seen_bps

    def jump(self, bps: float, now_ns: int) -> None:
        self._noise.jump(bps, now_ns)
        self.bps(now_ns)

    def _own_bps(self, now_ns: int) -> float:
        return self.basis_bps(now_ns) + self._rate.bps(now_ns) + self._start_bps


class Together:
    """Several markets as one source: whoever is next acts first, so that a price they share is looked at in order."""

    def __init__(self, sources: Sequence[MarketSource]) -> None:
        self._sources = tuple(sources)

    def next_event_ns(self) -> int | None:
        times = [time_ns for source in self._sources if (time_ns := source.next_event_ns()) is not None]
        return min(times, default=None)

    def advance(self, now_ns: int) -> None:
        due: list[tuple[int, int]] = []
        for place, source in enumerate(self._sources):
            self._push(due, place, source.next_event_ns())
        while due and due[0][0] <= now_ns:
            at_ns, place = heapq.heappop(due)
            self._sources[place].advance(at_ns)
            self._push(due, place, self._sources[place].next_event_ns())
        for source in self._sources:
            source.advance(now_ns)

    @staticmethod
    def _push(due: list[tuple[int, int]], place: int, at_ns: int | None) -> None:
        if at_ns is not None:
            heapq.heappush(due, (at_ns, place))
