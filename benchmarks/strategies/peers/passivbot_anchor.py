"""passivbot's anchor maker (`ema_anchor`), from its published definition: quotes stand off exponential averages of price.

Three averages with the spans s0, s1 and sqrt(s0 s1) minutes; the bid is `offset` below the lowest of them, the ask above
the highest, both moved against the inventory. A passive bid is never above the best bid. Spans and offset are its published
defaults, the inventory weight the one of its long side.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, ClassVar, NamedTuple

from perpmaker.model.book import Book
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Strategy, StrategyParams, Subscription
from perpmaker.strategies.schema import key

_TICK_NS = NS_PER_S
_MINUTE_NS = 60 * NS_PER_S
_TOLERANCE_BPS = 0.5
_REACH = 0.009
"""Further from mid than this fraction nothing is put down: the price collar of every contestant's account is 0.01."""


class Band(NamedTuple):
    """Prices in quote currency."""

    bid: float
    ask: float


def ema_step(ema: float, close: float, span: float) -> float:
    """Return the average after a minute's close, with the weight 2 / (span + 1)."""
    weight = 2 / (span + 1)
    return ema + weight * (close - ema)


def band(emas: tuple[float, float, float], offset: float, exposure: float, psize_weight: float) -> Band:
    """Return EMA_low (1 - offset - shift) and EMA_high (1 + offset - shift), shift = exposure psize_weight.

    `exposure` is the position's notional over its limit, long > 0.
    """
    shift = exposure * psize_weight
    return Band(min(emas) * (1 - offset - shift), max(emas) * (1 + offset - shift))


class PassivbotAnchorParams(StrategyParams, frozen=True, kw_only=True):
    """Its own names; spans in minutes."""

    order_notional: Annotated[Decimal, key("quote currency", "base_qty_pct, in quote currency.", gt=0)] = Decimal(300)
    ema_span_0: Annotated[float, key("min", "One average's span.", gt=0)] = 200.0
    ema_span_1: Annotated[float, key("min", "Another's.", gt=0)] = 800.0
    offset: Annotated[float, key("", "Distance from the averages, a fraction.", ge=0)] = 0.002
    offset_psize_weight: Annotated[float, key("", "How far a full exposure moves both quotes, a fraction.", ge=0)] = (
        0.3576
    )


class PassivbotAnchor(Strategy[PassivbotAnchorParams]):
    """Quotes off averages of price."""

    kind: ClassVar[str] = "passivbot_anchor"
    params_type: ClassVar[type[StrategyParams]] = PassivbotAnchorParams

    def __init__(self, params: PassivbotAnchorParams) -> None:
        super().__init__(params)
        spans = params.ema_span_0, params.ema_span_1
        self._spans = (*spans, math.sqrt(spans[0] * spans[1]))
        self._emas: tuple[float, float, float] | None = None
        self._minute = 0

    def subscriptions(self) -> tuple[Subscription, ...]:
        return (Subscription(self.params.instrument, book_interval_ms=1000),)

    def on_start(self, ctx: Context) -> None:
        ctx.set_timer("tick", ctx.now_ns() + _TICK_NS)

    def on_timer(self, ctx: Context, key: str) -> None:
        ctx.set_timer("tick", ctx.now_ns() + _TICK_NS)
        book = ctx.book(self.params.instrument)
        if book is None:
            ctx.quote(self.params.instrument)
            return
        self._average(ctx.now_ns() // _MINUTE_NS, book.mid)
        if self._emas is not None:
            self._quote(ctx, book, self._emas)

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    def _average(self, minute: int, mid: float) -> None:
        """Take a minute's close; the first price is where all averages begin."""
        if self._emas is None:
            self._emas = (mid, mid, mid)
        elif minute != self._minute:
            first, second, third = (ema_step(ema, mid, span) for ema, span in zip(self._emas, self._spans, strict=True))
            self._emas = (first, second, third)
        self._minute = minute

    def _quote(self, ctx: Context, book: Book, emas: tuple[float, float, float]) -> None:
        p, rules = self.params, ctx.instrument(self.params.instrument)
        limit = float(ctx.max_position_notional())
        held = float(ctx.position(p.instrument).qty) * book.mid
        found = band(emas, p.offset, held / limit, p.offset_psize_weight)
        qty = rules.round_qty(float(p.order_notional) / book.mid)
        order, bid, ask = float(p.order_notional), min(found.bid, book.bid_px), max(found.ask, book.ask_px)
        is_low, is_high = bid < book.mid * (1 - _REACH), ask > book.mid * (1 + _REACH)
        bids = [] if is_low or held + order > limit else [Quote(bid, qty, tolerance_bps=_TOLERANCE_BPS)]
        asks = [] if is_high or held - order < -limit else [Quote(ask, qty, tolerance_bps=_TOLERANCE_BPS)]
        ctx.quote(p.instrument, bids, asks)
