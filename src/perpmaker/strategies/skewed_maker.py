"""The smallest useful strategy, kept as an example: two quotes that lean against the position (DESIGN §3).

It clips nothing, estimates nothing and knows no limit of its own; execution rounds outward, the risk gate caps.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from perpmaker.model.book import Book
from perpmaker.model.quote import Quote
from perpmaker.strategies.api import Context, Strategy, StrategyParams
from perpmaker.strategies.schema import key


class SkewedMakerParams(StrategyParams, frozen=True, kw_only=True):
    """How far from mid, how much, and how strongly to lean."""

    qty: Annotated[Decimal, key("base currency", "Size of each quote, and the unit of inventory.", gt=0)]
    half_spread_bps: Annotated[float, key("bps", "Distance of each quote from mid.", gt=0, le=1000)] = 5.0
    skew_bps: Annotated[float, key("bps", "Both quotes move this far per qty of inventory.", ge=0, le=1000)] = 1.0


class SkewedMaker(Strategy[SkewedMakerParams]):
    """Quote both sides of mid, leaning `skew_bps` per `qty` of inventory against the position."""

    kind: ClassVar[str] = "skewed_maker"
    params_type: ClassVar[type[StrategyParams]] = SkewedMakerParams

    def on_book(self, ctx: Context, book: Book) -> None:
        p = self.params
        lean_bps = p.skew_bps * float(ctx.position(p.instrument).qty / p.qty)
        bid_px = book.mid * (1 - (p.half_spread_bps + lean_bps) / 1e4)
        ask_px = book.mid * (1 + (p.half_spread_bps - lean_bps) / 1e4)
        ctx.quote(p.instrument, bid=Quote(bid_px, p.qty), ask=Quote(ask_px, p.qty))
