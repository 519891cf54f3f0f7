"""Strategies for tests of the engine."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.unit.engine.rig import BTC, strategy_spec

from perpmaker.engine.core import StrategySpec
from perpmaker.model.book import Book
from perpmaker.model.events import BookStale, Connectivity, Fill
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import OrderView
from perpmaker.model.quote import Quote
from perpmaker.strategies.api import Context, Strategy, StrategyParams


class Maker(Strategy[StrategyParams]):
    """Quotes both sides 10 bps from mid, `layers` deep, and remembers what it was told."""

    kind = "test_maker"

    def __init__(self, params: StrategyParams, layers: int = 1, qty: Decimal = Decimal("0.010")) -> None:
        super().__init__(params)
        self.layers, self.qty = layers, qty
        self.heard: list[tuple[str, Any]] = []

    def on_start(self, ctx: Context) -> None:
        self.heard.append(("start", ctx.now_ns()))

    def on_book(self, ctx: Context, book: Book) -> None:
        self.heard.append(("book", book.mid))
        steps = [(layer, (10 + 5 * layer) / 1e4) for layer in range(self.layers)]
        bids = [Quote(book.mid * (1 - away), self.qty, layer, 2.0) for layer, away in steps]
        asks = [Quote(book.mid * (1 + away), self.qty, layer, 2.0) for layer, away in steps]
        ctx.quote(self.params.instrument, bids, asks)
        ctx.explain(self.params.instrument, {"fair": book.mid})

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self.heard.append(("fill", ctx.position(fill.instrument).qty))

    def on_order(self, ctx: Context, order: OrderView) -> None:
        self.heard.append(("order", order))

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        self.heard.append(("connectivity", event))

    def on_stop(self, ctx: Context) -> None:
        self.heard.append(("stop", ctx.now_ns()))


def made(
    make: Callable[[StrategyParams], Strategy[Any]], name: str = "btc", number: int = 1, on: InstrumentId = BTC
) -> StrategySpec:
    """A spec that makes this strategy on an instrument."""
    return strategy_spec(lambda: make(StrategyParams(instrument=on)), name, number, on)
