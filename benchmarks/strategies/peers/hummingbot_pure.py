"""hummingbot's pure market making, from its documentation (hummingbot.org, "Pure Market Making", read in 2026).

One bid and one ask at fixed distances from mid, put down anew each `order_refresh_time`. Written for spot: its inventory
is a base and a quote balance. On a perpetual the position limit L stands for both: value 2 L in all, half of it base when
flat, so its target of 50 % is a flat position.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Final, NamedTuple

from benchmarks.strategies.peers.resting import Proposals, Wanted, affordable

from perpmaker.model.events import Fill
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Strategy, StrategyParams, Subscription
from perpmaker.strategies.schema import key

_TICK_NS = NS_PER_S
"""hummingbot's clock ticks once a second."""


class Multipliers(NamedTuple):
    """What order sizes are multiplied by; 1 and 1 at the target, 2 and 0 at the edges of the range."""

    bid: float
    ask: float


EVEN: Final = Multipliers(1.0, 1.0)


def inventory_skew(base_value: float, total_value: float, target_pct: float, range_value: float) -> Multipliers:
    """Return the multipliers: linear from 2 at target - range over 1 at the target to 0 at target + range."""
    target = total_value * target_pct / 100
    if range_value <= 0:
        return EVEN
    bid = min(2.0, max(0.0, 1.0 - (base_value - target) / range_value))
    return Multipliers(bid, 2.0 - bid)


def proposal(
    mid: float,
    *,
    bid_spread: float,
    ask_spread: float,
    order_amount: float,
    order_levels: int = 1,
    order_level_spread: float = 1.0,
    order_level_amount: float = 0.0,
    size: Multipliers = EVEN,
) -> list[Wanted]:
    """Return bids at mid (1 - spread), asks at mid (1 + spread), spreads in per cent; each level further out."""
    found = []
    for level in range(order_levels):
        amount = order_amount + order_level_amount * level
        bid_px = mid * (1 - (bid_spread + order_level_spread * level) / 100)
        ask_px = mid * (1 + (ask_spread + order_level_spread * level) / 100)
        found.append(Wanted(Side.BUY, bid_px, amount * size.bid))
        found.append(Wanted(Side.SELL, ask_px, amount * size.ask))
    return found


class HummingbotPureParams(StrategyParams, frozen=True, kw_only=True):
    """Its own names and defaults; the spreads, the amount and the refresh time it leaves to its user."""

    order_notional: Annotated[Decimal, key("quote currency", "order_amount, in quote currency.", gt=0)] = Decimal(300)
    bid_spread: Annotated[float, key("per cent of mid", "Of the first bid.", gt=0, le=10)]
    ask_spread: Annotated[float, key("per cent of mid", "Of the first ask.", gt=0, le=10)]
    order_refresh_time: Annotated[float, key("s", "How long a proposal rests.", gt=0)]
    filled_order_delay: Annotated[float, key("s", "No new proposal for so long after a fill.", ge=0)] = 60.0
    order_refresh_tolerance_pct: Annotated[float, key("per cent", "What moved less stays.", ge=-10, le=10)] = 0.0
    order_levels: Annotated[int, key("", "Orders a side.", ge=1)] = 1
    order_level_spread: Annotated[float, key("per cent of mid", "Each further level is so much further out.")] = 1.0
    inventory_skew: Annotated[bool, key("", "Whether sizes lean against the inventory.")] = False
    inventory_target_base_pct: Annotated[float, key("per cent", "Base value wanted, of all.", ge=0, le=100)] = 50.0
    inventory_range_multiplier: Annotated[float, key("", "The range, in sizes of all orders.", gt=0)] = 1.0


class HummingbotPure(Strategy[HummingbotPureParams]):
    """Pure market making."""

    kind: ClassVar[str] = "hummingbot_pure"
    params_type: ClassVar[type[StrategyParams]] = HummingbotPureParams

    def __init__(self, params: HummingbotPureParams) -> None:
        super().__init__(params)
        self._proposals = Proposals(
            params.instrument,
            order_refresh_time=params.order_refresh_time,
            filled_order_delay=params.filled_order_delay,
            order_refresh_tolerance_pct=params.order_refresh_tolerance_pct,
        )

    def subscriptions(self) -> tuple[Subscription, ...]:
        return (Subscription(self.params.instrument, book_interval_ms=1000),)

    def on_start(self, ctx: Context) -> None:
        ctx.set_timer("tick", ctx.now_ns() + _TICK_NS)

    def on_timer(self, ctx: Context, key: str) -> None:
        ctx.set_timer("tick", ctx.now_ns() + _TICK_NS)
        book = ctx.book(self.params.instrument)
        if book is None:
            ctx.cancel_all(self.params.instrument)
            return
        mid = book.mid
        self._proposals.tick(ctx, lambda: self._proposed(ctx, mid))

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self._proposals.on_fill(ctx.now_ns())

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    def _proposed(self, ctx: Context, mid: float) -> list[Wanted]:
        p = self.params
        position = ctx.position(p.instrument).qty
        limit = float(ctx.max_position_notional())
        amount = float(p.order_notional) / mid
        size = EVEN
        if p.inventory_skew:
            total_order_value = 2 * float(p.order_notional) * p.order_levels
            range_value = min(p.inventory_range_multiplier * total_order_value, limit)
            size = inventory_skew(limit + float(position) * mid, 2 * limit, p.inventory_target_base_pct, range_value)
        wanted = proposal(
            mid,
            bid_spread=p.bid_spread,
            ask_spread=p.ask_spread,
            order_amount=amount,
            order_levels=p.order_levels,
            order_level_spread=p.order_level_spread,
            size=size,
        )
        return affordable(wanted, position, limit / mid)
