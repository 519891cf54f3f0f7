"""The strategy of the backtest benchmark: one quote at each touch, stated anew by a timer. It listens to nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from perpmaker.model.quote import Quote
from perpmaker.strategies.api import Context, Strategy, StrategyParams
from perpmaker.strategies.schema import key


class TouchMakerParams(StrategyParams, frozen=True, kw_only=True):
    """How much, and how often."""

    qty: Annotated[Decimal, key("base currency", "Size of each quote.", gt=0)]
    every_ms: Annotated[int, key("ms", "Quotes are stated anew this often.", ge=1)] = 1_000
    quotes: Annotated[bool, key("", "Whether it quotes at all, or only looks.")] = True


class TouchMaker(Strategy[TouchMakerParams]):
    """Join the best bid and the best ask."""

    kind: ClassVar[str] = "touch_maker"
    params_type: ClassVar[type[StrategyParams]] = TouchMakerParams

    def on_start(self, ctx: Context) -> None:
        self.on_timer(ctx, "quote")

    def on_timer(self, ctx: Context, key: str) -> None:
        p = self.params
        ctx.set_timer("quote", ctx.now_ns() + p.every_ms * 1_000_000)
        book = ctx.book(p.instrument)
        if book is not None and p.quotes:
            ctx.quote(p.instrument, bid=Quote(book.bid_px, p.qty), ask=Quote(book.ask_px, p.qty))
