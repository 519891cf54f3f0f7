"""One instrument's trading pit: what every participant in it sees and may do."""

from __future__ import annotations

import math
from typing import Protocol

from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.market.latent import Latent
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import NANO, Side
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.units import NS_PER_S


class Actor(Protocol):
    """A participant that decides whenever it wakes."""

    def wake(self, now_ns: int) -> int:
        """Look, act, and return when to wake next."""


class Pit:
    """The book of one instrument, its latent price, and the conversions between the two.

    The latent price starts at the venue's index, which a restarted venue has kept.

    Participants reach clients' orders, and are reached by them, through the book alone.
    """

    def __init__(self, venue: Venue, instrument: Instrument, latent: Latent) -> None:
        self.instrument = instrument
        self.latent = latent
        self._venue = venue
        self._book = venue.book(instrument.name)
        start_px_nano = venue.ticker(instrument.name).index_nano
        self._start_ticks = start_px_nano / instrument.tick_nano
        self._lots_per_usd = NANO * NANO / (start_px_nano * instrument.lot_nano)

    def join(self, role: str) -> int:
        """Return a new participant's number."""
        return self._venue.add_participant(f"{role} {self.instrument.name}")

    def best_bid_ticks(self) -> int | None:
        return self._book.best_bid_ticks

    def best_ask_ticks(self) -> int | None:
        return self._book.best_ask_ticks

    def touch_ticks(self, side: Side) -> int | None:
        """The best price of `side`'s own orders."""
        return self._book.best_bid_ticks if side is Side.BUY else self._book.best_ask_ticks

    def has_gap(self) -> bool:
        """Whether both sides are quoted, more than a tick apart."""
        bid, ask = self._book.best_bid_ticks, self._book.best_ask_ticks
        return bid is not None and ask is not None and ask - bid > 1

    def ticks(self, bps: float) -> float:
        """The price at `bps` on the latent price's scale, in ticks and parts of a tick."""
        return self._start_ticks * math.exp(bps * 1e-4)

    def bps(self, ticks: float) -> float:
        """The inverse of `ticks`."""
        return 1e4 * math.log(ticks / self._start_ticks)

    def distance_ticks(self, bps: float) -> float:
        """`bps` of the price as a distance in ticks, at the start price."""
        return self._start_ticks * bps * 1e-4

    def lots(self, usd: float) -> float:
        return usd * self._lots_per_usd

    def rest(self, participant: int, side: Side, px_ticks: int, qty_lots: int) -> Order | None:
        """Quote, never taking: None when the price would cross."""
        if px_ticks < 1:
            return None
        return self._venue.flow_limit(participant, self.instrument.name, side, px_ticks, qty_lots, post_only=True)

    def cancel(self, order: Order) -> None:
        self._venue.flow_cancel(order)

    def take(self, participant: int, side: Side, qty_lots: int, limit_ticks: int, *, retail: bool = False) -> int:
        """Take at `limit_ticks` or better; return the lots filled."""
        if limit_ticks < 1:
            return 0
        return self._venue.flow_take(
            participant, self.instrument.name, side, qty_lots, limit_ticks=limit_ticks, retail=retail
        )

    def tell_index(self, bps: float) -> None:
        self._venue.set_index(self.instrument.name, round(self.ticks(bps) * self.instrument.tick_nano))


def log_normal_lots(rng: Rng, median_lots: float, sigma: float) -> int:
    """A size of at least one lot."""
    return max(1, round(median_lots * math.exp(sigma * rng.normal())))


def after(now_ns: int, rng: Rng, mean_s: float) -> int:
    """A time that is exponential with this mean from `now_ns`."""
    return now_ns + 1 + round(rng.exponential(mean_s) * NS_PER_S)
