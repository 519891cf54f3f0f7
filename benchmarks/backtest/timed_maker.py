"""One order at each touch, looked after by a timer and by nothing else: what the peers' loops do, step by step.

Between two wake-ups nothing happens: a side that is filled stays empty until the next. `touch_maker` states a ladder
instead, which the engine keeps up by itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from perpmaker.model.order import OrderState, Side
from perpmaker.strategies.api import Context, Strategy, StrategyParams
from perpmaker.strategies.schema import key

_LEAVING = (OrderState.CANCEL_SENT, OrderState.UNKNOWN)


class TimedMakerParams(StrategyParams, frozen=True, kw_only=True):
    """How much, and how often."""

    qty: Annotated[Decimal, key("base currency", "Size of each order.", gt=0)]
    every_ms: Annotated[int, key("ms", "Orders are looked after this often.", ge=1)] = 1_000


class TimedMaker(Strategy[TimedMakerParams]):
    """Join the best bid and the best ask by single orders."""

    kind: ClassVar[str] = "timed_maker"
    params_type: ClassVar[type[StrategyParams]] = TimedMakerParams

    def on_start(self, ctx: Context) -> None:
        self.on_timer(ctx, "look")

    def on_timer(self, ctx: Context, key: str) -> None:
        p = self.params
        ctx.set_timer("look", ctx.now_ns() + p.every_ms * 1_000_000)
        book = ctx.book(p.instrument)
        if book is None:
            return
        rules = ctx.instrument(p.instrument)
        wanted = {Side.BUY: rules.round_px(book.bid_px, Side.BUY), Side.SELL: rules.round_px(book.ask_px, Side.SELL)}
        there = set()
        for order in ctx.open_orders(p.instrument):
            if order.px == wanted[order.side]:
                there.add(order.side)
            elif order.state not in _LEAVING:
                ctx.cancel(order.client_order_id)
        for side, px in wanted.items():
            if side not in there:
                ctx.submit(p.instrument, side, p.qty, px, post_only=True)
