"""The latent price: what the instrument is worth, known at once to informed traders and late to makers."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

from perpmaker.exchange.core.market.parameters import LatentParameters
from perpmaker.exchange.core.rng import Rng
from perpmaker.model.units import NS_PER_S

_USUAL = 1


class Latent(Protocol):
    """A price in basis points from where it started; it moves as participants look at it."""

    def bps(self, now_ns: int) -> float:
        """The price now."""
        ...

    def seen_bps(self, now_ns: int) -> float:
        """The price as makers see it."""
        ...

    def jump(self, bps: float, now_ns: int) -> None: ...


class LatentPrice:
    """A log price in basis points from its start, diffusing with a volatility that follows a regime, and jumping.

    The price moves when it is looked at, by what fits the time since the last look.
    """

    def __init__(self, parameters: LatentParameters, rng: Rng, now_ns: int) -> None:
        self._parameters = parameters
        self._rng = rng
        self._delay_ns = round(parameters.delay_s * NS_PER_S)
        self._now_ns = now_ns
        self._bps = 0.0
        self._regime = min(_USUAL, len(parameters.regime_factors) - 1)
        self._factor = parameters.regime_factors[self._regime]
        self._regime_end_ns = now_ns + self._dwell_ns()
        self._seen_bps = 0.0
        self._unseen: deque[tuple[int, float]] = deque()
        self._trend = _Trend(parameters, rng.split("trend"), now_ns) if parameters.drift_bps_per_s else None

    def bps(self, now_ns: int) -> float:
        """Return the price now."""
        if now_ns > self._now_ns:
            self._move((now_ns - self._now_ns) / NS_PER_S, now_ns)
            self._now_ns = now_ns
            self._unseen.append((now_ns, self._bps))
        return self._bps

    def seen_bps(self, now_ns: int) -> float:
        """Return the price as it was `delay_s` ago."""
        self.bps(now_ns)
        horizon_ns = now_ns - self._delay_ns
        unseen = self._unseen
        while unseen and unseen[0][0] <= horizon_ns:
            self._seen_bps = unseen.popleft()[1]
        return self._seen_bps

    def jump(self, bps: float, now_ns: int) -> None:
        self._bps = self.bps(now_ns) + bps
        self._unseen.append((now_ns, self._bps))

    @property
    def regime(self) -> int:
        return self._regime

    @property
    def volatility_factor(self) -> float:
        """Diffusion now, as a multiple of `sigma_bps`."""
        return self._factor

    def _move(self, elapsed_s: float, now_ns: int) -> None:
        parameters, rng = self._parameters, self._rng
        while now_ns >= self._regime_end_ns:
            self._regime = self._next_regime()
            self._regime_end_ns += self._dwell_ns()
        wanted = parameters.regime_factors[self._regime]
        self._factor += (wanted - self._factor) * -math.expm1(-elapsed_s / parameters.relaxation_s)
        self._bps += parameters.sigma_bps * self._factor * math.sqrt(elapsed_s) * rng.normal()
        if rng.chance(parameters.news_per_s * elapsed_s):
            self._bps += parameters.news_bps * rng.normal()
        if self._trend is not None:
            self._bps += self._trend.bps_per_s(now_ns) * elapsed_s
        if parameters.reversion_s:
            self._bps *= math.exp(-elapsed_s / parameters.reversion_s)

    def _next_regime(self) -> int:
        others = [regime for regime in range(len(self._parameters.regime_factors)) if regime != self._regime]
        return others[self._rng.below(len(others))] if others else self._regime

    def _dwell_ns(self) -> int:
        return 1 + round(self._rng.exponential(self._parameters.regime_dwell_s[self._regime]) * NS_PER_S)


class _Trend:
    """A drift whose direction is drawn anew now and then."""

    def __init__(self, parameters: LatentParameters, rng: Rng, now_ns: int) -> None:
        self._parameters = parameters
        self._rng = rng
        self._end_ns = now_ns
        self._bps_per_s = 0.0

    def bps_per_s(self, now_ns: int) -> float:
        while now_ns >= self._end_ns:
            self._bps_per_s = self._parameters.drift_bps_per_s * (1 if self._rng.chance(0.5) else -1)
            self._end_ns += 1 + round(self._rng.exponential(self._parameters.drift_dwell_s) * NS_PER_S)
        return self._bps_per_s
