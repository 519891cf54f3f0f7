"""hftbacktest's GLFT example, from its published tutorial ("Guéant–Lehalle–Fernandez-Tapia Market Making Model and Grid
Trading", hftbacktest.readthedocs.io) and arXiv 1605.01862, eq. 4.6-4.7.

Everything is in ticks and per 100 ms step: how deep trades reach beyond mid over the last ten minutes gives A and k, the
standard deviation of mid's moves gives sigma; both are taken anew each five seconds. Quotes stand on a grid of prices. The
tape shows its book less often than each 100 ms: quotes and moves of mid then follow the tape's own steps, what trades
reach is still counted per 100 ms.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from perpmaker.model.book import Book
from perpmaker.model.events import Trade
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Context, Strategy, StrategyParams, Subscription
from perpmaker.strategies.schema import key

_STEP_NS = 100 * NS_PER_MS
_WINDOW_NS = 600 * NS_PER_S
_REFIT_NS = 5 * NS_PER_S
_FITTED_TICKS = 70
_KEPT_TICKS = 500
_LAYERS = 240


class Arrivals(NamedTuple):
    """lambda(depth) = A exp(-k depth): per second, depth in ticks."""

    rate: float
    k: float


def coefficients(xi: float, gamma: float, delta: float, arrivals: Arrivals) -> tuple[float, float]:
    """Return c1 = ln(1 + x) / (xi delta) and c2 = sqrt(gamma / (2 A delta k) (1 + x)^(1 / x + 1)) with x = xi delta / k."""
    rate, k = arrivals
    inner = 1 + xi * delta / k
    c1 = math.log(inner) / (xi * delta)
    c2 = math.sqrt(gamma / (2 * rate * delta * k) * inner ** (k / (xi * delta) + 1))
    return c1, c2


def half_spread_and_skew(sigma: float, arrivals: Arrivals, gamma: float, delta: float = 1.0) -> tuple[float, float]:
    """Return c1 + delta / 2 sigma c2 and sigma c2, in ticks, with xi = gamma; sigma in ticks per square-root second."""
    c1, c2 = coefficients(gamma, gamma, delta, arrivals)
    return c1 + delta / 2 * sigma * c2, sigma * c2


def fit_arrivals(depths: Sequence[float], seconds: float) -> Arrivals | None:
    """Fit ln(lambda) = ln(A) - k depth to the first 70 ticks by plain least squares, None where that gives no decay.

    A step whose deepest trade was `depth` ticks from mid counts for every tick below that; depth is taken at the middle of
    a tick, and ticks that were never reached end the fit.
    """
    counts = np.zeros(_KEPT_TICKS)
    for depth in depths:
        counts[: min(_KEPT_TICKS, max(0, round(depth)))] += 1
    rates = counts[:_FITTED_TICKS] / seconds
    known = rates > 0
    if known.sum() < 2:
        return None
    ticks = np.arange(_FITTED_TICKS)[known] + 0.5
    slope, intercept = np.polyfit(ticks, np.log(rates[known]), 1)
    return Arrivals(float(np.exp(intercept)), float(-slope)) if slope < 0 else None


class Pair(NamedTuple):
    """First quotes in ticks, and the step between levels."""

    bid: float
    ask: float
    step: float


def first_quotes(mid: float, best_bid: int, best_ask: int, half: float, skew: float, held: float) -> Pair:
    """Return the innermost quotes in ticks: around mid - skew held, no better than the touch, on the grid of its step.

    `held` is the position in orders. Bids go down to the grid, asks up.
    """
    reservation = mid - skew * held
    bid = min(round(reservation - half), best_bid)
    ask = max(round(reservation + half), best_ask)
    step = max(round(half), 1)
    return Pair(math.floor(bid / step) * step, math.ceil(ask / step) * step, step)


class HftbacktestGlftParams(StrategyParams, frozen=True, kw_only=True):
    """The example's numbers."""

    order_notional: Annotated[Decimal, key("quote currency", "order_qty, in quote currency.", gt=0)] = Decimal(300)
    gamma: Annotated[float, key("", "gamma, and xi.", gt=0)] = 0.05
    adj1: Annotated[float, key("", "Multiplies the half-spread.", gt=0)] = 1.0
    adj2: Annotated[float, key("", "Multiplies the skew.", ge=0)] = 0.05
    grid_num: Annotated[int, key("", "Levels a side.", ge=1, le=100)] = 20
    max_position: Annotated[float, key("orders", "No bids from here on when long, no asks when short.", gt=0)] = 20.0


class HftbacktestGlft(Strategy[HftbacktestGlftParams]):
    """GLFT on a grid."""

    kind: ClassVar[str] = "hftbacktest_glft"
    params_type: ClassVar[type[StrategyParams]] = HftbacktestGlftParams

    def __init__(self, params: HftbacktestGlftParams) -> None:
        super().__init__(params)
        self._depths: deque[tuple[int, float]] = deque()
        self._moves: deque[tuple[int, float]] = deque()
        self._step_ns = 0
        self._deepest = 0.0
        self._mid = 0.0
        self._mid_ns = 0
        self._first_ns = 0
        self._fitted_ns = 0
        self._found: tuple[float, float] | None = None

    def subscriptions(self) -> tuple[Subscription, ...]:
        return (Subscription(self.params.instrument, book_interval_ms=100),)

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        if trade.replayed or not self._mid:
            return
        step_ns = ctx.now_ns() // _STEP_NS * _STEP_NS
        if step_ns != self._step_ns:
            self._close_step()
            self._step_ns = step_ns
        self._deepest = max(self._deepest, abs(trade.px_ticks - self._mid))

    def on_book(self, ctx: Context, book: Book) -> None:
        now_ns, mid = ctx.now_ns(), (book.bid_ticks + book.ask_ticks) / 2
        if self._mid:
            self._moves.append((now_ns, mid - self._mid))
        else:
            self._first_ns = now_ns
        self._mid, self._mid_ns = mid, now_ns
        if now_ns >= self._fitted_ns + _REFIT_NS:
            self._fitted_ns = now_ns
            self._refit(now_ns)
        if self._found is not None:
            self._quote(ctx, book, *self._found)

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    def _close_step(self) -> None:
        if self._deepest > 0:
            self._depths.append((self._step_ns, self._deepest))
        self._deepest = 0.0

    def _refit(self, now_ns: int) -> None:
        """Take A, k and sigma from the window; without them the last ones hold. It begins when the window is full."""
        for kept in (self._depths, self._moves):
            while kept and kept[0][0] <= now_ns - _WINDOW_NS:
                kept.popleft()
        if now_ns - self._first_ns < _WINDOW_NS:
            return
        arrivals = fit_arrivals([depth for _, depth in self._depths], _WINDOW_NS / NS_PER_S)
        moves = [move for _, move in self._moves]
        if arrivals is None or len(moves) < 2:
            return
        sigma = float(np.std(moves)) * math.sqrt(len(moves) / (_WINDOW_NS / NS_PER_S))
        half, skew = half_spread_and_skew(sigma, arrivals, self.params.gamma)
        self._found = half * self.params.adj1, skew * self.params.adj2

    def _quote(self, ctx: Context, book: Book, half: float, skew: float) -> None:
        p, rules = self.params, ctx.instrument(self.params.instrument)
        qty = rules.round_qty(float(p.order_notional) / book.mid)
        held = float(ctx.position(p.instrument).qty / qty) if qty else 0.0
        first = first_quotes(self._mid, book.bid_ticks, book.ask_ticks, half, skew, held)
        most = min(p.max_position, float(ctx.max_position_notional()) / float(p.order_notional))
        bids = [] if held >= most else self._levels(first.bid, -first.step, qty, float(rules.tick), most - held)
        asks = [] if held <= -most else self._levels(first.ask, first.step, qty, float(rules.tick), most + held)
        ctx.quote(p.instrument, bids, asks)

    def _levels(self, first: float, step: float, qty: Decimal, tick: float, room: float) -> list[Quote]:
        """Return quotes at grid prices; a price keeps its layer, so its order keeps its place in the queue."""
        count = min(self.params.grid_num, math.floor(room + 1e-9))
        prices = [first + step * level for level in range(count)]
        return [Quote(px * tick, qty, layer=int(px / step) % _LAYERS) for px in prices if px > 0]
