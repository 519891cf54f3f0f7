"""All estimates of one instrument together, and whether they may be believed yet."""

from __future__ import annotations

import msgspec

from perpmaker.model.order import Side
from perpmaker.strategies.estimators.arrivals import ArrivalEstimator, ArrivalFit
from perpmaker.strategies.estimators.params import EstimateParams
from perpmaker.strategies.estimators.volatility import Sigma, TickVolatility, VolatilityEstimator


class Reading(msgspec.Struct, frozen=True):
    """The estimates as of `now_ns`; `bid` says how trades reach our bids, `ask` our asks."""

    now_ns: int
    observed_s: float
    sigma: Sigma | None
    bid: ArrivalFit | None
    ask: ArrivalFit | None
    trades_bid: int
    trades_ask: int
    tick_sigma: float = 0.0
    """Of the model `classic`: see TickVolatility."""

    def doubts(self, params: EstimateParams, *, sigma: bool, arrivals: bool) -> tuple[str, ...]:
        """Return why the estimates that are needed (`sigma`, `arrivals`) cannot be believed; empty when they can."""
        found: list[str] = []
        if (sigma or arrivals) and (self.sigma is None or self.observed_s < params.warm_up_s):
            found.append(f"seen for {self.observed_s:.0f} of {params.warm_up_s:.0f} s")
        if arrivals:
            sides = (("bids", self.trades_bid, self.bid), ("asks", self.trades_ask, self.ask))
            for name, trades, fit in sides:
                if trades < params.warm_up_trades:
                    found.append(f"{trades} of {params.warm_up_trades} trades reached for {name}")
                elif fit is None:
                    found.append(f"too few distances reached to fit A and kappa of {name}")
                elif fit.age_s(self.now_ns) > params.stale_s:
                    found.append(f"A and kappa of {name} are {fit.age_s(self.now_ns):.0f} s old")
        return tuple(found)


class MarketEstimates:
    """Feeds every estimator from books and trades, and tells them about gaps."""

    def __init__(self, params: EstimateParams) -> None:
        self._volatility = VolatilityEstimator(
            half_life_s=params.sigma_half_life_s,
            typical_half_life_s=params.typical_half_life_s,
            source=params.sigma_from,
        )
        self._ticks = TickVolatility()
        self._arrivals = ArrivalEstimator(interval_s=params.arrival_interval_s, window_s=params.arrival_window_s)

    def on_book(self, now_ns: int, mid: float, microprice: float) -> None:
        self._volatility.update(now_ns, microprice)
        self._ticks.update(mid)
        self._arrivals.on_mid(now_ns, mid)

    def on_trade(self, now_ns: int, px: float, aggressor: Side) -> None:
        self._arrivals.on_trade(now_ns, px, aggressor)

    def on_gap(self) -> None:
        """The book was not whole and fresh throughout."""
        self._arrivals.on_gap()

    def sigma(self) -> float | None:
        """Return sigma as a fraction per square-root second, None before the first second is over."""
        sigma = self._volatility.sigma()
        return None if sigma is None else sigma.sigma

    def reading(self, now_ns: int) -> Reading:
        return Reading(
            now_ns=now_ns,
            observed_s=self._volatility.observed_s,
            sigma=self._volatility.sigma(),
            bid=self._arrivals.fit(Side.BUY),
            ask=self._arrivals.fit(Side.SELL),
            trades_bid=self._arrivals.trades(Side.BUY),
            trades_ask=self._arrivals.trades(Side.SELL),
            tick_sigma=self._ticks.value,
        )
