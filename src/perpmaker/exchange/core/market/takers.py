"""Takers: noise, impatient sweeps, informed traders, momentum traders. Their orders never rest."""

from __future__ import annotations

import math
from collections import deque

from perpmaker.exchange.core.market.parameters import TakerParameters
from perpmaker.exchange.core.market.pit import Pit, after, log_normal_lots
from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import Side


class Taker:
    """What all takers share: a participant's number, a size distribution, and taking so far beyond the touch."""

    def __init__(self, pit: Pit, role: str, parameters: TakerParameters, rng: Rng) -> None:
        self.pit = pit
        self.rng = rng
        self.parameters = parameters
        self.participant = pit.join(role)
        self._median_lots = pit.lots(parameters.size_usd)

    def size(self, in_medians: float = 1.0) -> int:
        return log_normal_lots(self.rng, self._median_lots * in_medians, self.parameters.size_sigma)

    def side(self) -> Side:
        return Side.BUY if self.rng.chance(0.5) else Side.SELL

    def take(self, side: Side, qty_lots: int, reach_bps: float, *, retail: bool = False) -> int:
        """Take from the touch to `reach_bps` beyond it; return the lots filled."""
        touch = self.pit.touch_ticks(side.opposite)
        if touch is None:
            return 0
        limit_ticks = touch + side * math.floor(self.pit.distance_ticks(reach_bps))
        return self.pit.take(self.participant, side, qty_lots, limit_ticks, retail=retail)


class NoiseTaker:
    """Trades for reasons of its own, in runs of one side."""

    def __init__(self, pit: Pit, parameters: TakerParameters, rng: Rng) -> None:
        self._taker = Taker(pit, "noise", parameters, rng)
        self._mean_s = 1.0 / parameters.noise_per_s
        self._side = self._taker.side()

    def wake(self, now_ns: int) -> int:
        taker, parameters, rng = self._taker, self._taker.parameters, self._taker.rng
        if not rng.chance(parameters.noise_persistence):
            self._side = taker.side()
        retail = rng.chance(parameters.noise_retail)
        taker.take(self._side, taker.size(), parameters.noise_reach_bps, retail=retail)
        return after(now_ns, rng, self._mean_s)


class Sweeper:
    """Takes everything up to a price: stops, liquidations, orders sent without looking.

    It is partly right: the latent price moves the same way, by a concave function of the reach as in the square-root law
    of market impact (Toth et al., Phys. Rev. X 1, 021006, 2011), and makers learn that late. The rest of it comes back.
    """

    def __init__(self, pit: Pit, parameters: TakerParameters, rng: Rng) -> None:
        self._taker = Taker(pit, "sweep", parameters, rng)
        self._mean_s = 1.0 / parameters.sweep_per_s
        self._most_lots = max(1, round(pit.lots(parameters.sweep_usd)))

    def wake(self, now_ns: int) -> int:
        taker, parameters, rng = self._taker, self._taker.parameters, self._taker.rng
        side = taker.side()
        reach_bps = parameters.sweep_reach_bps * math.sqrt(rng.exponential(1.0))
        retail = rng.chance(parameters.sweep_retail)
        taker.take(side, self._most_lots, reach_bps, retail=retail)
        impact_bps = parameters.sweep_impact * math.sqrt(reach_bps * parameters.sweep_reach_bps)
        taker.pit.latent.jump(side * impact_bps, now_ns)
        return after(now_ns, rng, self._mean_s)


class InformedTrader:
    """Knows the latent price and takes what is quoted too far on the wrong side of it, whoever quotes it."""

    def __init__(self, pit: Pit, parameters: TakerParameters, rng: Rng) -> None:
        self._taker = Taker(pit, "informed", parameters, rng)

    def wake(self, now_ns: int) -> int:
        pit, parameters = self._taker.pit, self._taker.parameters
        value_ticks = pit.ticks(pit.latent.bps(now_ns))
        edge_ticks = pit.distance_ticks(parameters.informed_edge_bps)
        for side in (Side.BUY, Side.SELL):
            quoted = pit.touch_ticks(side.opposite)
            if quoted is not None and side * (value_ticks - quoted) > edge_ticks:
                limit_ticks = math.floor(value_ticks - side * 0.5 * edge_ticks)
                pit.take(self._taker.participant, side, self._taker.size(parameters.informed_size), limit_ticks)
        return after(now_ns, self._taker.rng, parameters.informed_wake_s)


class MomentumTrader:
    """Follows what the mid price did over its last looks."""

    def __init__(self, pit: Pit, parameters: TakerParameters, rng: Rng) -> None:
        self._taker = Taker(pit, "momentum", parameters, rng)
        self._mids_bps: deque[float] = deque(maxlen=parameters.momentum_looks + 1)

    def wake(self, now_ns: int) -> int:
        pit, parameters, rng = self._taker.pit, self._taker.parameters, self._taker.rng
        bid, ask = pit.best_bid_ticks(), pit.best_ask_ticks()
        if bid is not None and ask is not None:
            self._mids_bps.append(pit.bps((bid + ask) / 2))
            trend_bps = self._mids_bps[-1] - self._mids_bps[0]
            if abs(trend_bps) > parameters.momentum_bps and rng.chance(parameters.momentum_chance):
                side = Side.BUY if trend_bps > 0 else Side.SELL
                self._taker.take(side, self._taker.size(parameters.momentum_size), parameters.noise_reach_bps)
        return after(now_ns, rng, parameters.momentum_wake_s)
