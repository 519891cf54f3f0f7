"""The market maker: estimates, quoting model, inventory skew, layers and hard cap; docs/explanation/quoting-models.md.

Once per `refresh_interval_s` a `Stance` is taken from the estimates (distances around fair); on every book it is laid
around the present fair value. So the work on a book is plain arithmetic, and the models may cost what they cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.events import Bar, BookStale, Connectivity, Fill, Trade
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Explained, Strategy, StrategyParams, Subscription
from perpmaker.strategies.estimators.market import MarketEstimates
from perpmaker.strategies.estimators.params import EstimateParams
from perpmaker.strategies.quoting.explain import explain_stance
from perpmaker.strategies.quoting.inert import Inert, inert_parameters
from perpmaker.strategies.quoting.inventory import Inventory, Sizes
from perpmaker.strategies.quoting.ladder import SideWish, VenueRules, side_quotes
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.permit import FREE, Mode, Permit, strictest
from perpmaker.strategies.quoting.stance import Conditions, Stance, take_stance
from perpmaker.strategies.schema import key
from perpmaker.strategies.signals.anchor import Anchored, anchored
from perpmaker.strategies.signals.filters import Regime
from perpmaker.strategies.signals.params import RegimeParams
from perpmaker.strategies.signals.watch import RegimeState, RegimeWatch

_REFRESH: Final = "refresh"
_INERT_CHECK_NS: Final = 30 * NS_PER_S
_GOING: Final = (OrderState.CANCEL_SENT, OrderState.UNKNOWN)
_NAMES: Final = {Side.BUY: "bids", Side.SELL: "asks"}


class MarketMakerParams(StrategyParams, frozen=True, kw_only=True):
    """A market maker on one instrument."""

    book_interval_ms: Annotated[
        int, key("ms", "Quotes follow the book at most this often; 0 is every change.", ge=0, le=60_000)
    ] = 50
    quoting: QuotingParams = msgspec.field(default_factory=QuotingParams)
    estimates: EstimateParams = msgspec.field(default_factory=EstimateParams)
    regime: RegimeParams = msgspec.field(default_factory=RegimeParams)


class _Plan(msgspec.Struct, frozen=True):
    """A stance with the venue's rules of the time and its inputs in words: what holds until the next refresh."""

    stance: Stance
    rules: VenueRules
    regime: RegimeState
    spacing_bps: float
    permit: Permit
    inputs: Mapping[str, Explained]


class MarketMaker(Strategy[MarketMakerParams]):
    """Quote a ladder on both sides of fair value, leaning against the position."""

    kind: ClassVar[str] = "market_maker"
    params_type: ClassVar[type[StrategyParams]] = MarketMakerParams

    def __init__(self, params: MarketMakerParams) -> None:
        super().__init__(params)
        self._estimates = MarketEstimates(params.estimates)
        self._regime = RegimeWatch(params.instrument, params.regime)
        self._sizes = Sizes(params.quoting)
        self._plan: _Plan | None = None
        self._rests_until_ns = {Side.BUY: 0, Side.SELL: 0}
        self._inert: tuple[Inert, ...] = ()
        self._inert_checked_ns = 0

    def subscriptions(self) -> Sequence[Subscription]:
        p = self.params
        bars_s = (p.regime.bar_s,) if self._regime.on else ()
        return (Subscription(p.instrument, book_interval_ms=p.book_interval_ms, bars_s=bars_s),)

    def on_start(self, ctx: Context) -> None:
        for bar in ctx.bars(self.params.instrument, self.params.regime.bar_s):
            self._regime.on_bar(bar)
        self._refresh(ctx)

    def on_book(self, ctx: Context, book: Book) -> None:
        self._estimates.on_book(ctx.now_ns(), book.mid, book.microprice)
        self._regime.on_mid(ctx.now_ns(), book.mid)
        self._quote(ctx, book)

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        self._regime.on_bar(bar)

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        if not trade.replayed:
            px = trade.px_ticks * float(ctx.instrument(trade.instrument).tick)
            self._estimates.on_trade(ctx.now_ns(), px, trade.aggressor)

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        rests_until_ns = ctx.now_ns() + round(self.params.quoting.cool_down_s * NS_PER_S)
        self._rests_until_ns[fill.side] = rests_until_ns
        ctx.set_timer(f"cool_down_{fill.side.value}", rests_until_ns)
        self._quote_or_withdraw(ctx)

    def on_timer(self, ctx: Context, key: str) -> None:
        if key == _REFRESH:
            self._refresh(ctx)
        else:
            self._quote_or_withdraw(ctx)

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        self._quote_or_withdraw(ctx)

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    def _refresh(self, ctx: Context) -> None:
        ctx.set_timer(_REFRESH, ctx.now_ns() + round(self.params.quoting.refresh_interval_s * NS_PER_S))
        book = ctx.book(self.params.instrument)
        if book is not None:
            self._estimates.on_book(ctx.now_ns(), book.mid, book.microprice)
            self._regime.on_mid(ctx.now_ns(), book.mid)
            self._plan = self._planned(ctx, book)
        self._quote_or_withdraw(ctx)

    def _quote_or_withdraw(self, ctx: Context) -> None:
        book = ctx.book(self.params.instrument)
        if book is not None:
            self._quote(ctx, book)
            return
        inputs = self._plan.inputs if self._plan else {}
        self._plan = None
        self._estimates.on_gap()
        ctx.quote(self.params.instrument)
        ctx.explain(self.params.instrument, {**inputs, "reasons": ("no fresh book",)})

    def _quote(self, ctx: Context, book: Book) -> None:
        """Lay the stance around the present fair value and state the ladder."""
        plan = self._plan = self._plan or self._planned(ctx, book)
        instrument, fair, shape = self.params.instrument, self._fair(book), plan.stance.shape
        self._sizes.follow(fair)
        held = self._inventory(ctx, fair)
        q = self._sizes.q(held)
        anchor = self._anchored(
            ctx, fair - shape.half_bid - shape.skew_bid * q, fair + shape.half_ask - shape.skew_ask * q, held, plan
        )
        bids, no_bids = self._side(ctx, Side.BUY, anchor.bid_px, book, fair, held, plan)
        asks, no_asks = self._side(ctx, Side.SELL, anchor.ask_px, book, fair, held, plan)
        ctx.quote(instrument, bids, asks)
        held_back = [f"{_NAMES[side]}: held at the entry price by the anchor" for side in anchor.moved]
        inputs: dict[str, Explained] = {
            **plan.inputs,
            "fair": fair,
            "q": q,
            "skew_bps": -(shape.skew_bid + shape.skew_ask) / 2 * q / fair * 1e4,
            "reasons": tuple(reason for reason in (plan.permit.reason, no_bids, no_asks, *held_back) if reason),
        }
        ctx.explain(instrument, inputs)

    def _side(
        self, ctx: Context, side: Side, first_px: float, book: Book, fair: float, held: Inventory, plan: _Plan
    ) -> tuple[Sequence[Quote], str]:
        """Return the quotes of one side, and why any are missing, "" when none is."""
        if plan.permit.mode is Mode.NONE:
            return (), ""
        p = self.params.quoting
        wish = SideWish(
            side=side,
            first_px=first_px,
            touch_px=(book.ask_ticks - 1 if side is Side.BUY else book.bid_ticks + 1) * plan.rules.tick,
            far_px=fair * (1 - side.sign * p.max_distance_bps / 1e4),
            spacing=fair * plan.spacing_bps / 1e4,
            qtys=self._sizes.qtys(side, held),
            room_notional=held.room_notional(side),
            mark_px=held.mark_px,
            tolerance_bps=plan.stance.tolerance_bps,
            room_qty=held.reducing_qty(side) if plan.permit.mode is Mode.REDUCE else math.inf,
        )
        quotes, missing = side_quotes(wish, plan.rules)
        if plan.regime.signal is side and self.params.regime.boost and plan.permit.mode is Mode.QUOTE:
            quotes += self._boost(wish, quotes, book.mid, plan)
        if ctx.now_ns() < self._rests_until_ns[side]:
            resting = _resting_px(ctx.open_orders(self.params.instrument), side)
            return _no_nearer(quotes, side, resting), f"{_NAMES[side]}: cooling down after a fill"
        return quotes, f"{_NAMES[side]}: {missing}" if missing else ""

    def _boost(self, wish: SideWish, ladder: Sequence[Quote], mid: float, plan: _Plan) -> list[Quote]:
        """Return the extra orders of a signal, as layers of their own behind the ladder's; the cap counts them too."""
        p, sign = self.params.regime, wish.side.sign
        room = wish.room_notional - sum(float(quote.qty) * max(float(quote.px), wish.mark_px) for quote in ladder)
        made: list[Quote] = []
        for extra, distance_bps in enumerate((p.boost_near_bps, p.boost_far_bps)):
            wanted_px = mid * (1 - sign * distance_bps / 1e4)
            one = msgspec.structs.replace(
                wish,
                first_px=sign * min(sign * wanted_px, sign * wish.first_px) if p.anchor else wanted_px,
                qtys=(self._sizes.order_qty,),
                room_notional=room,
            )
            quotes, _ = side_quotes(one, plan.rules)
            for quote in quotes:
                made.append(msgspec.structs.replace(quote, layer=self.params.quoting.layers + extra))
                room -= float(quote.qty) * max(float(quote.px), wish.mark_px)
        return made

    def _anchored(self, ctx: Context, bid_px: float, ask_px: float, held: Inventory, plan: _Plan) -> Anchored:
        p = self.params.regime
        if not p.anchor:
            return Anchored(bid_px, ask_px, ())
        return anchored(
            bid_px,
            ask_px,
            position=held.position,
            entry_px=float(ctx.position(self.params.instrument).avg_entry_px),
            loss_bps=p.anchor_loss_bps if plan.regime.signal is None else p.anchor_signal_loss_bps,
            is_over_limit=abs(held.position) * held.mark_px > held.limit_notional,
        )

    def _inventory(self, ctx: Context, fair: float) -> Inventory:
        instrument = self.params.instrument
        return Inventory.of(
            ctx.position(instrument),
            ctx.open_orders(instrument),
            limit_notional=float(ctx.max_position_notional()),
            mark_px=max(fair, float(ctx.mark_px(instrument) or 0)),
        )

    def _fair(self, book: Book) -> float:
        return book.microprice if self.params.quoting.fair == "microprice" else book.mid

    def _planned(self, ctx: Context, book: Book) -> _Plan:
        p, now_ns = self.params, ctx.now_ns()
        instrument = ctx.instrument(p.instrument)
        rules = VenueRules.of(instrument)
        conditions = Conditions(
            fair=self._fair(book),
            tick=rules.tick,
            maker_fee=float(ctx.maker_fee(p.instrument) or 0),
            q_max=max(1.0, float(ctx.max_position_notional() / p.quoting.order_notional)),
        )
        reading = self._estimates.reading(now_ns)
        regime = self._regime.state(now_ns, is_flat=not ctx.position(p.instrument).qty)
        width = p.regime.width_mult(regime.regime)
        stance = take_stance(p.quoting, p.estimates, reading, conditions, width=width)
        if stance.market is not None and now_ns >= self._inert_checked_ns + _INERT_CHECK_NS:
            self._inert_checked_ns = now_ns
            self._look_for_inert(ctx, stance, conditions, instrument)
        return _Plan(
            stance=stance,
            rules=rules,
            regime=regime,
            spacing_bps=p.quoting.layer_spacing_bps * width,
            permit=strictest((self._regime_permit(regime),)),
            inputs={**explain_stance(p.quoting, stance, reading, self._inert), **regime.shown},
        )

    def _regime_permit(self, regime: RegimeState) -> Permit:
        wanted = self.params.regime.when_trending
        if regime.regime is not Regime.TRENDING or wanted == "quote":
            return FREE
        if wanted == "reduce":
            return Permit(Mode.REDUCE, "only what reduces the position is quoted: the market trends")
        return Permit(Mode.NONE, "nothing is quoted: the market trends")

    def _look_for_inert(self, ctx: Context, stance: Stance, conditions: Conditions, instrument: Instrument) -> None:
        """Find the parameters that have no effect now; tell when there are others than before."""
        if stance.market is None:
            return
        before = {inert.name for inert in self._inert}
        self._inert = inert_parameters(
            self.params.quoting,
            stance.market,
            q_max=conditions.q_max,
            tick=conditions.tick,
            maker_fee=conditions.maker_fee,
            quote_currency=instrument.quote,
        )
        if {inert.name for inert in self._inert} - before:
            told = {inert.name: inert.text for inert in self._inert}
            ctx.notice("warning", "parameters_inert", {"instrument": instrument.symbol, **told})


def _resting_px(orders: Sequence[OrderView], side: Side) -> dict[int, float]:
    """Return the prices of a side's whole quotes by their layers. One that was partly filled is left out."""
    head = f"quote {'bid' if side is Side.BUY else 'ask'} "
    return {
        int(order.tag.removeprefix(head)): float(order.px)
        for order in orders
        if order.tag.startswith(head) and order.px is not None and not order.cum_qty and order.state not in _GOING
    }


def _no_nearer(quotes: Sequence[Quote], side: Side, resting_px: Mapping[int, float]) -> list[Quote]:
    """Return the quotes of a side that cools down: what rests may stay or move away from the market, nothing is new."""
    sign = side.sign
    return [
        msgspec.structs.replace(quote, px=sign * min(sign * float(quote.px), sign * resting_px[quote.layer]))
        for quote in quotes
        if quote.layer in resting_px
    ]
