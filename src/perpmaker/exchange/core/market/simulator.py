"""The simulated market as a source of flow: one clockwork over the participants of every instrument."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence

from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.market.latent import Latent, LatentPrice
from perpmaker.exchange.core.market.makers import GapCloser, Ladder, TouchMaker, View
from perpmaker.exchange.core.market.parameters import (
    DEFAULT_MARKETS,
    LEAST_ACTIVITY,
    MOST_ACTIVITY,
    IndexParameters,
    MarketParameters,
    market_like_btc,
    with_activity,
)
from perpmaker.exchange.core.market.pit import Actor, Pit
from perpmaker.exchange.core.market.takers import InformedTrader, MomentumTrader, NoiseTaker, Sweeper
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.units import NS_PER_MS, NS_PER_S

_TAKERS_START_NS = 200 * NS_PER_MS
"""Makers are there first."""


def _of_its_own(_instrument: Instrument, _rng: Rng) -> Latent | None:
    return None


class SimulatedMarket:
    """A `MarketSource`: wakes each participant at its own times and so fills the venue's books and trades in them.

    What happens depends on the seed, the parameters and what clients did, never on how often `advance` is called. Every
    instrument draws from its own stream, so one instrument's clients do not change another's market.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        seed: int,
        markets: Mapping[str, MarketParameters] = DEFAULT_MARKETS,
        activity: float = 1.0,
        latent_of: Callable[[Instrument, Rng], Latent | None] = _of_its_own,
        instruments: Sequence[Instrument] | None = None,
    ) -> None:
        """`activity` scales every market (`parameters.with_activity`); ValueError when it is out of bounds.

        An instrument's own activity multiplies it, held within the bounds.

        `latent_of` may give an instrument a price that it does not make itself. `instruments` are moved, by default all.
        """
        self._venue = venue
        self._latents: dict[str, Latent] = {}
        self._due: list[tuple[int, int, Callable[[int], int | None], _Market]] = []
        self._entries = 0
        rng = Rng(seed)
        now_ns = venue.now_ns
        for instrument in venue.instruments if instruments is None else instruments:
            parameters = markets.get(instrument.name) or market_like_btc(
                tick_bps=1e4 * instrument.tick_nano / instrument.start_px_nano
            )
            own_activity = min(MOST_ACTIVITY, max(LEAST_ACTIVITY, activity * instrument.activity))
            parameters = with_activity(parameters, activity if instrument.activity == 1.0 else own_activity)
            own = rng.split(instrument.name)
            latent = latent_of(instrument, own) or LatentPrice(parameters.latent, own.split("latent"), now_ns)
            self._latents[instrument.name] = latent
            market = _Market(venue, instrument, parameters, latent, own, now_ns)
            for maker in market.makers:
                self._enter(maker.wake(now_ns), maker.wake, market)
            self._enter(market.index.wake(now_ns), market.index.wake, market)
            for taker in market.takers:
                self._enter(now_ns + _TAKERS_START_NS, taker.wake, market)

    def latent(self, instrument: str) -> Latent:
        """The price behind an instrument's market."""
        return self._latents[instrument]

    def next_event_ns(self) -> int | None:
        return self._due[0][0] if self._due else None

    def advance(self, now_ns: int) -> None:
        due = self._due
        while due and due[0][0] <= now_ns:
            at_ns, _, act, market = heapq.heappop(due)
            self._venue.advance(at_ns)
            next_ns = act(at_ns)
            if next_ns is not None:
                self._enter(next_ns, act, market)
            gap_ns = market.gap_due_ns(at_ns)
            if gap_ns is not None:
                self._enter(gap_ns, market.close_gap, market)
        self._venue.advance(now_ns)

    def _enter(self, at_ns: int, act: Callable[[int], int | None], market: _Market) -> None:
        self._entries += 1
        heapq.heappush(self._due, (at_ns, self._entries, act, market))


class _Market:
    """The participants of one instrument."""

    def __init__(
        self,
        venue: Venue,
        instrument: Instrument,
        parameters: MarketParameters,
        latent: Latent,
        rng: Rng,
        now_ns: int,
    ) -> None:
        pit = Pit(venue, instrument, latent)
        crew = [
            TouchMaker(pit, parameters.makers, rng.split(f"touch {number}"), now_ns)
            for number in range(parameters.makers.touch_makers)
        ]
        ladders = [
            Ladder(pit, ladder, View(pit, parameters.makers, rng.split("view"), now_ns), rng.split("ladder"))
            for ladder in parameters.makers.ladders
        ]
        self.makers: list[Actor] = [*crew, *ladders]
        self.takers: list[Actor] = [
            NoiseTaker(pit, parameters.takers, rng.split("noise")),
            Sweeper(pit, parameters.takers, rng.split("sweep")),
            InformedTrader(pit, parameters.takers, rng.split("informed")),
            MomentumTrader(pit, parameters.takers, rng.split("momentum")),
        ]
        self.index = IndexTeller(pit, parameters.index, rng.split("index"))
        self._pit = pit
        self._gap_closer = GapCloser(crew, parameters.makers, rng.split("gap"))
        self._gap_pending = False

    def gap_due_ns(self, now_ns: int) -> int | None:
        """When to answer the spread just seen; None while it is one tick, or an answer is on its way."""
        if self._gap_pending or not self._pit.has_gap():
            return None
        self._gap_pending = True
        return self._gap_closer.due_ns(now_ns)

    def close_gap(self, now_ns: int) -> None:
        self._gap_pending = False
        self._gap_closer.act(now_ns)


class IndexTeller:
    """Tells the venue its index: the latent price as makers see it, less the perpetual's premium, and a little noise."""

    def __init__(self, pit: Pit, parameters: IndexParameters, rng: Rng) -> None:
        self._pit = pit
        self._parameters = parameters
        self._rng = rng
        self._every_ns = round(parameters.every_s * NS_PER_S)
        self._kept = math.exp(-parameters.every_s / parameters.premium_memory_s)
        self._renewed_bps = parameters.premium_sd_bps * math.sqrt(1.0 - self._kept**2)
        self._premium_bps = parameters.premium_mean_bps

    def wake(self, now_ns: int) -> int:
        parameters, rng = self._parameters, self._rng
        away_bps = self._premium_bps - parameters.premium_mean_bps
        self._premium_bps = parameters.premium_mean_bps + away_bps * self._kept + self._renewed_bps * rng.normal()
        noise_bps = parameters.noise_bps * rng.normal()
        self._pit.tell_index(self._pit.latent.seen_bps(now_ns) - self._premium_bps + noise_bps)
        return now_ns + self._every_ns
