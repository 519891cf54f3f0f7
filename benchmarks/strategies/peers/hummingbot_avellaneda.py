"""hummingbot's Avellaneda market making, from its published definition (hummingbot.org and its parameter reference).

It keeps Avellaneda and Stoikov's shape but normalises: the volatility stands where the paper has the variance, the
inventory is a share of all capital, and the horizon is 1 when the strategy runs without an end. Volatility and order
intensity are its own estimates. As in `hummingbot_pure`, the position limit stands for base and quote balance alike.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from benchmarks.strategies.peers.resting import Proposals, Wanted, affordable
from scipy.optimize import least_squares  # type: ignore[import-untyped]

from perpmaker.model.events import Fill, Trade
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Strategy, StrategyParams, Subscription
from perpmaker.strategies.schema import key

_TICK_NS = NS_PER_S
Floats = npt.NDArray[np.float64]


class Quotes(NamedTuple):
    """Reservation price, whole optimal spread and the quotes of the first level, all in quote currency."""

    reservation: float
    spread: float
    bid: float
    ask: float


def quotes(
    mid: float, q: float, *, gamma: float, vol: float, kappa: float, tau: float = 1.0, min_spread_pct: float = 0.0
) -> Quotes:
    """Return r = mid - q gamma vol tau and r -+ spread / 2 with spread = gamma vol tau + 2 ln(1 + gamma / kappa) / gamma.

    `vol` in quote currency per tick (not its square), `q` the inventory's distance from its target as a share of all.
    No quote is nearer to mid than half of `min_spread_pct` per cent.
    """
    reservation = mid - q * gamma * vol * tau
    spread = gamma * vol * tau + 2 * math.log(1 + gamma / kappa) / gamma
    least = mid / 100 * min_spread_pct / 2
    bid = min(reservation - spread / 2, mid - least)
    ask = max(reservation + spread / 2, mid + least)
    return Quotes(reservation, spread, bid, ask)


def instant_volatility(prices: Sequence[float]) -> float:
    """Return sqrt(sum of squared differences / N) in quote currency per tick; N counts prices, not differences."""
    moves = np.diff(np.asarray(prices))
    return math.sqrt(float(moves @ moves) / len(prices))


class Intensity(NamedTuple):
    """alpha exp(-kappa distance): the amount traded at a distance from mid; kappa per quote currency."""

    alpha: float
    kappa: float


def fit_intensity(amounts: Mapping[float, float], before: Intensity) -> Intensity:
    """Fit the curve to amounts by distance, from the last fit on; what cannot be fitted leaves the last one.

    Bounded least squares (dogbox) of scipy, the parameters not below 0. It fits volume against distance, not arrivals per
    second: that is how the strategy defines it.
    """
    distances = sorted(amounts, reverse=True)
    if len(distances) < 2:
        return before
    found = least_squares(
        _residuals,
        (before.kappa, before.alpha),
        args=(np.array(distances), np.array([amounts[distance] for distance in distances])),
        method="dogbox",
        bounds=(0, np.inf),
    )
    kappa, alpha = (float(value) for value in found.x)
    return Intensity(alpha, kappa) if found.success else before


def _residuals(fit: Floats, distances: Floats, amounts: Floats) -> Floats:
    return np.asarray(fit[1] * np.exp(-fit[0] * distances) - amounts)


def shaped_qty(qty: float, q: float, side: Side, eta: float) -> float:
    """Return the size: times exp(-eta |q|) on the side that makes the inventory larger, whole on the other."""
    grows = q * side.sign > 0
    return qty * math.exp(-eta * abs(q)) if grows else qty


def optimised(px: float, side: Side, top_bid: float, top_ask: float, tick: float) -> float:
    """Hold a quote to one tick inside the best price of its side: no use in paying more than that."""
    if side is Side.BUY:
        return min(px, (math.ceil(round(top_bid / tick, 6)) + 1) * tick)
    return max(px, (math.floor(round(top_ask / tick, 6)) - 1) * tick)


class HummingbotAvellanedaParams(StrategyParams, frozen=True, kw_only=True):
    """Its own names and defaults; the amount and the refresh time it leaves to its user."""

    order_notional: Annotated[Decimal, key("quote currency", "order_amount, in quote currency.", gt=0)] = Decimal(300)
    order_refresh_time: Annotated[float, key("s", "How long a proposal rests.", gt=0)]
    risk_factor: Annotated[float, key("", "gamma.", gt=0)] = 1.0
    order_amount_shape_factor: Annotated[float, key("", "eta.", ge=0, le=1)] = 0.0
    min_spread: Annotated[float, key("per cent of mid", "The least spread.", ge=0)] = 0.0
    filled_order_delay: Annotated[float, key("s", "No new proposal for so long after a fill.", ge=0)] = 60.0
    order_refresh_tolerance_pct: Annotated[float, key("per cent", "What moved less stays.", ge=-10, le=10)] = 0.0
    order_optimization_enabled: Annotated[bool, key("", "No quote more than a tick inside the best price.")] = True
    volatility_buffer_size: Annotated[int, key("ticks", "Prices that volatility looks at.", ge=2)] = 200
    trading_intensity_buffer_size: Annotated[int, key("s", "Seconds with trades that the fit looks at.", ge=2)] = 200


class HummingbotAvellaneda(Strategy[HummingbotAvellanedaParams]):
    """Avellaneda market making, infinite time frame."""

    kind: ClassVar[str] = "hummingbot_avellaneda"
    params_type: ClassVar[type[StrategyParams]] = HummingbotAvellanedaParams

    def __init__(self, params: HummingbotAvellanedaParams) -> None:
        super().__init__(params)
        self._proposals = Proposals(
            params.instrument,
            order_refresh_time=params.order_refresh_time,
            filled_order_delay=params.filled_order_delay,
            order_refresh_tolerance_pct=params.order_refresh_tolerance_pct,
        )
        self._mids: deque[float] = deque(maxlen=params.volatility_buffer_size)
        self._seconds: deque[dict[float, float]] = deque(maxlen=params.trading_intensity_buffer_size)
        self._now: dict[float, float] = {}
        self._intensity = Intensity(0.0, 0.0)
        self._mid = 0.0

    def subscriptions(self) -> tuple[Subscription, ...]:
        return (Subscription(self.params.instrument, book_interval_ms=1000),)

    def on_start(self, ctx: Context) -> None:
        ctx.set_timer("tick", ctx.now_ns() + _TICK_NS)

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        if trade.replayed or not self._mid:
            return
        rules = ctx.instrument(trade.instrument)
        distance = round(abs(trade.px_ticks * float(rules.tick) - self._mid), 9)
        self._now[distance] = self._now.get(distance, 0.0) + trade.qty_lots * float(rules.lot)

    def on_timer(self, ctx: Context, key: str) -> None:
        ctx.set_timer("tick", ctx.now_ns() + _TICK_NS)
        book = ctx.book(self.params.instrument)
        if book is None:
            ctx.cancel_all(self.params.instrument)
            return
        self._mid = book.mid
        self._mids.append(book.mid)
        if self._now:
            self._seconds.append(self._now)
            self._now = {}
        if len(self._mids) < (self._mids.maxlen or 0) or len(self._seconds) < (self._seconds.maxlen or 0):
            return
        self._proposals.tick(ctx, lambda: self._proposed(ctx))

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self._proposals.on_fill(ctx.now_ns())

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    def _proposed(self, ctx: Context) -> list[Wanted]:
        p, book = self.params, ctx.book(self.params.instrument)
        self._intensity = fit_intensity(self._amounts(), self._intensity)
        if book is None or self._intensity.kappa <= 0:
            return []
        mid, position = book.mid, ctx.position(p.instrument).qty
        limit_qty = float(ctx.max_position_notional()) / mid
        q = float(position) / (2 * limit_qty)
        found = quotes(
            mid,
            q,
            gamma=p.risk_factor,
            vol=instant_volatility(self._mids),
            kappa=self._intensity.kappa,
            min_spread_pct=p.min_spread,
        )
        qty, tick = float(p.order_notional) / mid, float(ctx.instrument(p.instrument).tick)
        wanted = []
        for side, px in ((Side.BUY, found.bid), (Side.SELL, found.ask)):
            held = optimised(px, side, book.bid_px, book.ask_px, tick) if p.order_optimization_enabled else px
            wanted.append(Wanted(side, held, shaped_qty(qty, q, side, p.order_amount_shape_factor)))
        return affordable(wanted, position, limit_qty)

    def _amounts(self) -> dict[float, float]:
        amounts: dict[float, float] = {}
        for second in self._seconds:
            for distance, amount in second.items():
                amounts[distance] = amounts.get(distance, 0.0) + amount
        return amounts
