"""Market makers: a crew that competes at the touch, and ladders of depth behind it.

Each sees the latent price late and with an error of its own. Because the errors differ, one maker's bid is usually held
back only by another's ask, which is what keeps the spread at one tick; because they are late, informed takers find them
stale.
"""

from __future__ import annotations

import math

from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.market.parameters import LadderParameters, MakerParameters
from perpmaker.exchange.core.market.pit import Pit, after, log_normal_lots
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import Side
from perpmaker.model.units import NS_PER_S

_ROUNDING = 1e-6
"""A wanted price this close to a tick, in ticks, is that tick."""


class View:
    """A maker's opinion of the price: the latent one as of a while ago, plus an error that fades and renews itself."""

    def __init__(self, pit: Pit, parameters: MakerParameters, rng: Rng, now_ns: int) -> None:
        self._pit = pit
        self._sd_bps = parameters.view_noise_bps
        self._memory_s = parameters.view_memory_s
        self._rng = rng
        self._now_ns = now_ns
        self._error_bps = self._sd_bps * rng.normal()

    def bps(self, now_ns: int) -> float:
        kept = math.exp(-(now_ns - self._now_ns) / NS_PER_S / self._memory_s)
        self._now_ns = now_ns
        renewed = self._sd_bps * math.sqrt(1.0 - kept * kept) * self._rng.normal()
        self._error_bps = self._error_bps * kept + renewed
        return self._pit.latent.seen_bps(now_ns) + self._error_bps


class TouchMaker:
    """Quotes one order a side tightly around its view, post-only, and moves a quote that is off by its tolerance."""

    def __init__(self, pit: Pit, parameters: MakerParameters, rng: Rng, now_ns: int) -> None:
        self._pit = pit
        self._participant = pit.join("touch maker")
        self._parameters = parameters
        self._rng = rng
        self._view = View(pit, parameters, rng, now_ns)
        self._median_lots = pit.lots(parameters.touch_usd)
        self._tolerance_ticks = max(1.0, pit.distance_ticks(parameters.tolerance_bps))
        self._quotes: dict[Side, Order | None] = {Side.BUY: None, Side.SELL: None}

    def wake(self, now_ns: int) -> int:
        view_bps = self._view.bps(now_ns)
        half_bps = self._parameters.touch_half_spread_bps
        bid_ticks = math.floor(self._pit.ticks(view_bps - half_bps) + _ROUNDING)
        ask_ticks = max(bid_ticks + 1, math.ceil(self._pit.ticks(view_bps + half_bps) - _ROUNDING))
        wanted = {Side.BUY: bid_ticks, Side.SELL: ask_ticks}
        moving = [side for side in Side if self._must_move(side, wanted[side])]
        for side in moving:
            self._withdraw(side)
        for side in moving:
            self._place(side, self._uncrossed(side, wanted[side]))
        return after(now_ns, self._rng, self._parameters.touch_wake_s)

    def narrow(self, now_ns: int) -> None:
        """Improve the side of a wide spread that this maker's view leans to, as far as the view allows."""
        bid, ask = self._pit.best_bid_ticks(), self._pit.best_ask_ticks()
        if bid is None or ask is None or ask - bid <= 1:
            return
        wanted_ticks = self._pit.ticks(self._view.bps(now_ns))
        if 2 * wanted_ticks > bid + ask:
            self._replace(Side.BUY, min(ask - 1, math.floor(wanted_ticks)))
        else:
            self._replace(Side.SELL, max(bid + 1, math.ceil(wanted_ticks)))

    def _replace(self, side: Side, px_ticks: int) -> None:
        self._withdraw(side)
        self._place(side, px_ticks)

    def _must_move(self, side: Side, wanted_ticks: int) -> bool:
        quote = self._quotes[side]
        if quote is None or not quote.is_resting:
            return True
        shy_ticks = side * (wanted_ticks - quote.px_ticks)
        return not -0.5 * self._tolerance_ticks <= shy_ticks <= self._tolerance_ticks

    def _uncrossed(self, side: Side, px_ticks: int) -> int:
        """Return the price, or the best one that only just does not take."""
        opposite = self._pit.touch_ticks(side.opposite)
        return px_ticks if opposite is None else side * min(side * px_ticks, side * opposite - 1)

    def _withdraw(self, side: Side) -> None:
        quote = self._quotes[side]
        if quote is not None and quote.is_resting:
            self._pit.cancel(quote)

    def _place(self, side: Side, px_ticks: int) -> None:
        size = log_normal_lots(self._rng, self._median_lots, self._parameters.touch_size_sigma)
        self._quotes[side] = self._pit.rest(self._participant, side, px_ticks, size)


class Ladder:
    """Depth: an order at each of a row of distances a side, moved only when its distance is off by a good part."""

    def __init__(self, pit: Pit, parameters: LadderParameters, view: View, rng: Rng) -> None:
        self._pit = pit
        self._participant = pit.join("ladder")
        self._parameters = parameters
        self._rng = rng
        self._view = view
        self._median_lots_per_bps = pit.lots(parameters.usd_per_bps)
        self._rungs = [_Rung(side, bps) for bps in parameters.distances_bps for side in (Side.BUY, Side.SELL)]

    def wake(self, now_ns: int) -> int:
        view_ticks = self._pit.ticks(self._view.bps(now_ns))
        moving = [rung for rung in self._rungs if self._must_move(rung, view_ticks)]
        for rung in moving:
            if rung.order is not None:
                self._pit.cancel(rung.order)
        for rung in moving:
            self._place(rung, view_ticks)
        return after(now_ns, self._rng, self._parameters.wake_s)

    def _must_move(self, rung: _Rung, view_ticks: float) -> bool:
        order = rung.order
        if order is None:
            return True
        if not order.is_resting:
            return self._rng.chance(self._parameters.refill_chance)
        distance_ticks = self._pit.distance_ticks(rung.distance_bps)
        off_ticks = abs(rung.side * (view_ticks - order.px_ticks) - distance_ticks)
        return off_ticks > max(1.0, self._parameters.tolerance * distance_ticks)

    def _place(self, rung: _Rung, view_ticks: float) -> None:
        parameters, rng = self._parameters, self._rng
        distance_ticks = self._pit.distance_ticks(rung.distance_bps)
        px_ticks = round(view_ticks - rung.side * distance_ticks * (0.85 + 0.3 * rng.unit()))
        median_lots = self._median_lots_per_bps * max(1.0, rung.distance_bps)
        size = log_normal_lots(rng, median_lots, parameters.size_sigma)
        rung.order = self._pit.rest(self._participant, rung.side, px_ticks, size)


class GapCloser:
    """When the spread is wider than a tick, one of the crew answers within milliseconds."""

    def __init__(self, crew: list[TouchMaker], parameters: MakerParameters, rng: Rng) -> None:
        self._crew = crew
        self._shortest_s, self._longest_s = parameters.gap_reaction_s
        self._rng = rng

    def due_ns(self, now_ns: int) -> int:
        """When the fastest maker will have answered a gap seen now."""
        wait_s = self._shortest_s + (self._longest_s - self._shortest_s) * self._rng.unit()
        return now_ns + 1 + round(wait_s * NS_PER_S)

    def act(self, now_ns: int) -> None:
        self._crew[self._rng.below(len(self._crew))].narrow(now_ns)


class _Rung:
    __slots__ = ("distance_bps", "order", "side")

    def __init__(self, side: Side, distance_bps: float) -> None:
        self.side = side
        self.distance_bps = distance_bps
        self.order: Order | None = None
