"""The market maker: estimates, quoting model, inventory skew, layers and hard cap; docs/explanation/quoting-models.md.

Once per `refresh_interval_s` a plan is made: a `Stance` from the estimates (distances around fair), the regime, what is
allowed at all. On every book it is laid around the present fair value. So the work on a book is plain arithmetic, and the
models may cost what they cost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.events import Bar, BookStale, Connectivity, Fill, Trade
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import OrderView, Side
from perpmaker.model.quote import Quote, Sweep
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Explained, Strategy, StrategyParams, Subscription
from perpmaker.strategies.caution import WIDER_MULT, Caution, Tier
from perpmaker.strategies.estimators.market import MarketEstimates
from perpmaker.strategies.idle import idle_keys
from perpmaker.strategies.presets import MARKET_MAKER
from perpmaker.strategies.quoting.adapt import Look, Tuner
from perpmaker.strategies.quoting.explain import explain_stance, explain_watching
from perpmaker.strategies.quoting.fair import (
    FairPrice,
    FairValue,
    funding_shift,
)
from perpmaker.strategies.quoting.governor import Governor
from perpmaker.strategies.quoting.inert import Inert
from perpmaker.strategies.quoting.inert_watch import InertWatch
from perpmaker.strategies.quoting.inventory import Inventory, Sizes
from perpmaker.strategies.quoting.ladder import VenueRules
from perpmaker.strategies.quoting.maker_params import MarketMakerParams
from perpmaker.strategies.quoting.markouts import Markouts, Place
from perpmaker.strategies.quoting.memo import MakerMemo, decode, encode
from perpmaker.strategies.quoting.models import fee_or_assumed
from perpmaker.strategies.quoting.multiples import Multiples
from perpmaker.strategies.quoting.permit import FREE, Mode, Permit, caution_permit, regime_permit, strictest
from perpmaker.strategies.quoting.protection import Protection
from perpmaker.strategies.quoting.schedule import Schedule
from perpmaker.strategies.quoting.sides import NAMES, Shown, SideLayout, no_nearer, side_of_ladder, whole_or_kept
from perpmaker.strategies.quoting.stance import Conditions, Stance, take_stance
from perpmaker.strategies.quoting.tags import quote_place
from perpmaker.strategies.quoting.toxicity import Vpin
from perpmaker.strategies.regimes.mixture import Mixture
from perpmaker.strategies.signals.anchor import Anchored, anchored
from perpmaker.strategies.signals.latch import LatchMemory
from perpmaker.strategies.signals.watch import RegimeState, RegimeWatch

__all__ = ["MarketMaker", "MarketMakerParams"]

_REFRESH: Final = "refresh"
_FIRED_KEPT: Final = 32


class _Plan(msgspec.Struct, frozen=True):
    """A stance with the venue's rules of the time and its inputs in words: what holds until the next refresh."""

    stance: Stance
    rules: VenueRules
    regime: RegimeState
    spacing_bps: float
    tolerance_bps: float
    limit_notional: float
    funding_shift: float
    permit: Permit
    inputs: Mapping[str, Explained]


class MarketMaker(Strategy[MarketMakerParams]):
    """Quote a ladder on both sides of fair value, leaning against the position."""

    kind: ClassVar[str] = "market_maker"
    params_type: ClassVar[type[StrategyParams]] = MarketMakerParams
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MARKET_MAKER

    def __init__(self, params: MarketMakerParams) -> None:
        super().__init__(params)
        self._estimates = MarketEstimates(params.estimates)
        self._regime = RegimeWatch(params.instrument, params.regime)
        self._fair = FairValue(params.quoting.fair, params.alpha, params.reference)
        self._sizes = Sizes(params.quoting)
        self._schedule = Schedule(params.schedule)
        self._protection = Protection(params.protection)
        self._fired: deque[ClientOrderId] = deque(maxlen=_FIRED_KEPT)
        """The last orders that the venue kept for the protection, and has executed."""
        self._markouts = Markouts(params.markout)
        self._vpin = Vpin(params.toxicity)
        self._governor = Governor(params.governor)
        self._caution = Caution()
        self._mixture = Mixture(params.regime.model, params.regime.blend)
        self._tuner = Tuner(params.adapt, keys=f"{params.quoting} {params.adapt}")
        self._remembered: LatchMemory | None = None
        self._tuned_before = MakerMemo().adapt
        """What the tuner kept in an earlier life; it stays in the memo through lives without a tuner."""
        self._plan: _Plan | None = None
        self._rests_until_ns = {Side.BUY: 0, Side.SELL: 0}
        self._places: dict[ClientOrderId, Place] = {}
        self._inert = InertWatch(params.quoting, idle_keys(params))

    def subscriptions(self) -> Sequence[Subscription]:
        p = self.params
        bars_s = (p.regime.bar_s,) if self._regime.on else ()
        own = Subscription(p.instrument, book_interval_ms=p.book_interval_ms, bars_s=bars_s)
        if p.reference.instrument is None:
            return (own,)
        return (own, Subscription(p.reference.instrument, book_interval_ms=p.book_interval_ms))

    # --- hooks

    def on_start(self, ctx: Context) -> None:
        memo = decode(ctx.recall())
        self._tuned_before = memo.adapt
        self._take_past(ctx, memo)
        self._tell_inert(ctx, self._inert.idle)
        if self._tuner.on and self._tuner.restore(memo.adapt):
            kept = self._tuner.multiples
            fields = {"gamma_mult": f"{kept.gamma:.4g}", "kappa_mult": f"{kept.kappa:.4g}"}
            ctx.notice("info", "adapt_restored", {"instrument": self.params.instrument, **fields})
        self._guard(ctx)
        self._refresh(ctx)

    def _take_past(self, ctx: Context, memo: MakerMemo) -> None:
        """Take the bars of before the start, and the signal that an earlier life remembered."""
        bars = ctx.bars(self.params.instrument, self.params.regime.bar_s)
        self._remembered = memo.latch
        if memo.latch is None or memo.latch.since_ns > ctx.now_ns():
            for bar in bars:
                self._regime.on_bar(bar)
            return
        self._regime.restore(memo.latch, bars)
        held_s = (ctx.now_ns() - memo.latch.since_ns) / NS_PER_S
        fields = {"instrument": self.params.instrument, "side": memo.latch.side.value, "held_s": f"{held_s:.0f}"}
        ctx.notice("info", "latch_restored", fields)

    def _remember(self, ctx: Context) -> None:
        ctx.remember(encode(self._tuner.memory() if self._tuner.on else self._tuned_before, self._regime.memory))

    def on_book(self, ctx: Context, book: Book) -> None:
        if book.instrument.instrument_id != self.params.instrument:
            self._quote_or_withdraw(ctx)
            return
        self._see(ctx, book)
        self._quote(ctx, book)

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        if trade.replayed or trade.instrument != self.params.instrument:
            return
        instrument, now_ns = ctx.instrument(trade.instrument), ctx.now_ns()
        px, qty = trade.px_ticks * float(instrument.tick), trade.qty_lots * float(instrument.lot)
        self._estimates.on_trade(now_ns, px, trade.aggressor)
        self._fair.on_trade(now_ns, qty, trade.aggressor)
        self._vpin.on_trade(now_ns, px * qty, trade.aggressor)
        self._mixture.on_trade()

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        if bar.instrument == self.params.instrument:
            self._regime.on_bar(bar)

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        place = self._places.get(fill.client_order_id)
        if place is not None:
            fee_bps = float(fill.fee / (fill.px * fill.qty)) * 1e4
            self._markouts.on_fill(ctx.now_ns(), place, float(fill.px), fee_bps)
            self._tuner.on_fill(ctx.now_ns(), fill.side, float(fill.px), fee_bps)
        rests_until_ns = ctx.now_ns() + round(self.params.quoting.cool_down_s * NS_PER_S)
        self._rests_until_ns[fill.side] = rests_until_ns
        ctx.set_timer(f"cool_down_{fill.side.value}", rests_until_ns)
        self._guard(ctx)
        self._quote_or_withdraw(ctx)

    def on_order(self, ctx: Context, order: OrderView) -> None:
        if order.trigger is not None:
            if order.cum_qty and order.client_order_id not in self._fired:
                self._fired.append(order.client_order_id)  # what is heard of it later concerns no later position
                self._protection.fired(ctx.now_ns(), order.tag)
                self._plan = None
            return
        place = quote_place(order.tag)
        if place is None:
            return
        if not order.state.is_terminal:
            self._places[order.client_order_id] = place
        elif self._places.pop(order.client_order_id, None) is not None:
            is_dust = self._governor.is_dust(
                float(order.qty * (order.px or 0)), float(ctx.instrument(order.instrument).min_notional)
            )
            self._governor.on_end(ctx.now_ns(), order.state, filled=bool(order.cum_qty), is_dust=is_dust)
            if self._closes:
                self._close(ctx)

    def on_timer(self, ctx: Context, key: str) -> None:
        if key == _REFRESH:
            self._refresh(ctx)
        else:
            self._quote_or_withdraw(ctx)

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        self._quote_or_withdraw(ctx)

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    # --- the plan, once a refresh

    def _refresh(self, ctx: Context) -> None:
        ctx.set_timer(_REFRESH, ctx.now_ns() + round(self.params.quoting.refresh_interval_s * NS_PER_S))
        book = ctx.book(self.params.instrument)
        if book is not None:
            self._see(ctx, book)
            self._plan = self._planned(ctx, book)
            self._adapt(ctx, book, self._plan)
        self._guard(ctx)
        self._quote_or_withdraw(ctx)
        if self._closes:
            self._close(ctx)

    def _see(self, ctx: Context, book: Book) -> None:
        """Take a book into everything that is measured."""
        now_ns, mid = ctx.now_ns(), book.mid
        self._estimates.on_book(now_ns, mid, book.microprice)
        self._regime.on_mid(now_ns, mid)
        self._mixture.on_book(now_ns, book)
        self._tuner.on_mid(now_ns, mid)
        for side, layer in self._markouts.on_mid(now_ns, mid):
            fields = {"instrument": self.params.instrument, "side": side.value, "layer": str(layer)}
            ctx.notice("info", "layer_pulled", fields)
        if self._protection.on:
            self._protect(ctx, now_ns, mid)

    def _protect(self, ctx: Context, now_ns: int, mid: float) -> None:
        """Look whether the position has to be closed; from then on nothing is quoted."""
        position = ctx.position(self.params.instrument)
        px = float(ctx.mark_px(self.params.instrument) or mid)
        was = self._protection.closing
        self._protection.update(now_ns, float(position.qty), float(position.avg_entry_px), px)
        if self._protection.closing and not was:
            fields = {"instrument": self.params.instrument, "reason": self._protection.closing}
            ctx.notice("warning", "protection_closes", fields)
            self._plan = None

    def _guard(self, ctx: Context) -> None:
        """State what is to stand at the venue behind our own closing, for when we cannot act."""
        if self._protection.at_venue:
            position = ctx.position(self.params.instrument)
            guards = self._protection.guards(float(position.qty), float(position.avg_entry_px))
            ctx.protect(self.params.instrument, guards)

    def _planned(self, ctx: Context, book: Book) -> _Plan:
        p, now_ns = self.params, ctx.now_ns()
        instrument = ctx.instrument(p.instrument)
        rules = VenueRules.of(instrument)
        equity = float(ctx.equity())
        self._sizes.follow_equity(equity)
        limit = self._limit_notional(ctx, equity)
        conditions = Conditions(
            fair=self._fair_now(ctx, book).px,
            tick=rules.tick,
            maker_fee=fee_or_assumed(ctx.maker_fee(p.instrument), p.quoting.assumed_maker_fee_bps),
            q_max=max(1.0, limit / self._sizes.order_notional) if self._sizes.order_notional else 1.0,
        )
        reading = self._estimates.reading(now_ns)
        regime = self._regime.state(now_ns, is_flat=not ctx.position(p.instrument).qty)
        if self._regime.memory != self._remembered:
            self._remembered = self._regime.memory
            self._remember(ctx)
        mixture = self._mixture.state(now_ns)
        tier = self._caution.update(ctx.loss_used())
        width = Multiples(width=p.regime.width_mult(regime.regime) * (WIDER_MULT if tier >= Tier.WIDEN else 1.0))
        multiples = width.times(mixture.multiples).times(self._tuner.multiples)
        stance = take_stance(p.quoting, p.estimates, reading, conditions, multiples=multiples)
        if stance.market is not None:
            self._tell_inert(ctx, self._inert.look(now_ns, stance.market, conditions, instrument.quote))
        tolerance = stance.tolerance_bps * self._governor.tolerance_mult(now_ns)
        return _Plan(
            stance=stance,
            rules=rules,
            regime=regime,
            spacing_bps=p.quoting.layer_spacing_bps * multiples.width * multiples.spacing,
            tolerance_bps=min(tolerance, stance.half_spread_bps / 2) if tolerance > stance.tolerance_bps else tolerance,
            limit_notional=limit,
            funding_shift=funding_shift(p.funding, ctx.ticker(p.instrument), now_ns),
            permit=self._permit(ctx, regime),
            inputs={
                **explain_stance(p.quoting, stance, reading, self._inert.found),
                **regime.shown,
                **mixture.shown,
                **self._tuner.shown(),
                **({"caution": self._caution.shown} if tier else {}),
                **({"at_venue": ctx.protected(p.instrument)} if self._protection.at_venue else {}),
                **explain_watching(self._markouts, self._governor.ratios(now_ns), self._vpin.value),
            },
        )

    def _tell_inert(self, ctx: Context, inert: Sequence[Inert]) -> None:
        if inert:
            told = {one.name: one.text for one in inert}
            ctx.notice("warning", "parameters_inert", {"instrument": self.params.instrument, **told})

    def _adapt(self, ctx: Context, book: Book, plan: _Plan) -> None:
        """Let the tuner look once; what it decides is journalled, and what it keeps is remembered."""
        if not self._tuner.on:
            return
        position = ctx.position(self.params.instrument)
        open_pnl = float(position.qty) * (book.mid - float(position.avg_entry_px))
        market = plan.stance.market
        look = Look(
            now_ns=ctx.now_ns(),
            pnl=float(position.realized_pnl - position.fees + position.funding) + open_pnl,
            held_notional=float(position.qty) * book.mid,
            order_notional=self._sizes.order_notional,
            sigma=self._estimates.sigma() or 0.0,
            is_quoting=market is not None and plan.permit.mode is not Mode.NONE and not ctx.paused(),
        )
        for step in self._tuner.look(look):
            ctx.notice("info", step.name, {"instrument": self.params.instrument, **step.fields})
            self._remember(ctx)

    def _permit(self, ctx: Context, regime: RegimeState) -> Permit:
        """Return what every rule together allows now."""
        now_ns, ticker = ctx.now_ns(), ctx.ticker(self.params.instrument)
        resting_s = self._protection.resting_s(now_ns)
        permits = (
            Permit(Mode.NONE, f"closing: {self._protection.closing}") if self._protection.closing else FREE,
            Permit(Mode.NONE, f"rests {resting_s:.0f} s after a closing") if resting_s else FREE,
            self._schedule.permit(now_ns, ticker.next_funding_ns if ticker else 0),
            self._governor.permit(now_ns),
            self._vpin.permit(now_ns),
            regime_permit(regime.regime, self.params.regime.when_trending),
            caution_permit(self._caution),
        )
        return strictest(permits)

    @property
    def _closes(self) -> bool:
        return bool(self._protection.closing) or self._caution.tier is Tier.FLATTEN

    def _limit_notional(self, ctx: Context, equity: float) -> float:
        limit, share = float(ctx.max_position_notional()), self.params.quoting.max_position_equity_frac
        return limit if share is None else min(limit, max(0.0, equity * share))

    # --- the ladder, on every book

    def _quote_or_withdraw(self, ctx: Context) -> None:
        book = ctx.book(self.params.instrument)
        if book is not None:
            self._quote(ctx, book)
            return
        inputs = self._plan.inputs if self._plan else {}
        self._plan = None
        self._estimates.on_gap()
        self._markouts.on_gap()
        self._mixture.on_gap()
        self._tuner.on_gap()
        ctx.quote(self.params.instrument)
        ctx.explain(self.params.instrument, {**inputs, "reasons": ("no fresh book",), "bids": (), "asks": ()})

    def _quote(self, ctx: Context, book: Book) -> None:
        """Lay the plan around the present fair value and state the ladder."""
        plan = self._plan = self._plan or self._planned(ctx, book)
        fair_price = self._fair_now(ctx, book)
        fair, shape = fair_price.px, plan.stance.shape
        self._sizes.follow(fair)
        held = self._inventory(ctx, fair, plan)
        q = self._sizes.q(held)
        reservation = fair * (1 + plan.funding_shift)
        bid_px = reservation - shape.half_bid - shape.skew_bid * q
        ask_px = reservation + shape.half_ask - shape.skew_ask * q
        anchor = self._anchored(ctx, *plan.stance.apart(bid_px, ask_px, q), held, plan)
        bids, no_bids = self._side(ctx, Side.BUY, anchor.bid_px, book, fair, held, plan)
        asks, no_asks = self._side(ctx, Side.SELL, anchor.ask_px, book, fair, held, plan)
        if self.params.quoting.replace == "all":
            bids, asks = whole_or_kept(bids, asks, ctx.open_orders(self.params.instrument))
        ctx.quote(self.params.instrument, bids, asks)
        held_back = [f"{NAMES[side]}: held at the entry price by the anchor" for side in anchor.moved]
        reasons = [plan.permit.reason] if plan.permit.reason else []
        inputs: dict[str, Explained] = {
            **plan.inputs,
            **self._fair.shown(fair_price),
            "fair": fair,
            "q": q,
            "skew_bps": -(shape.skew_bid + shape.skew_ask) / 2 * q / fair * 1e4,
            "funding_shift_bps": plan.funding_shift * 1e4,
            "reasons": (*reasons, *no_bids, *no_asks, *held_back),
            "bids": Shown(bids),
            "asks": Shown(asks),
        }
        ctx.explain(self.params.instrument, inputs)

    def _side(
        self, ctx: Context, side: Side, first_px: float, book: Book, fair: float, held: Inventory, plan: _Plan
    ) -> tuple[Sequence[Quote], Sequence[str]]:
        """Return the quotes of one side, and why any are missing."""
        if plan.permit.mode is Mode.NONE:
            return (), ()
        regime, now_ns = self.params.regime, ctx.now_ns()
        boosted = regime.boost and plan.regime.signal is side
        layout = SideLayout(
            side=side,
            first_px=first_px,
            touch_px=(book.ask_ticks - 1 if side is Side.BUY else book.bid_ticks + 1) * plan.rules.tick,
            mid=book.mid,
            fair=fair,
            qtys=self._sizes.qtys(side, held),
            spacing_bps=plan.spacing_bps,
            tolerance_bps=plan.tolerance_bps,
            reduce_only=plan.permit.mode is Mode.REDUCE,
            boost_bps=(regime.boost_near_bps, regime.boost_far_bps) if boosted else (),
            boost_limit_px=first_px if regime.anchor else side.sign * float("inf"),
            order_qty=self._sizes.order_qty,
        )
        is_pulled = None
        if self._markouts.any_pulled(now_ns):
            is_pulled = lambda layer: self._markouts.is_pulled(now_ns, (side, layer))  # noqa: E731
        quotes, reasons = side_of_ladder(layout, held, self.params.quoting, plan.rules, is_pulled)
        if now_ns < self._rests_until_ns[side]:
            orders = ctx.open_orders(self.params.instrument)
            return no_nearer(quotes, side, orders), (f"{NAMES[side]}: cooling down after a fill",)
        return quotes, reasons

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

    def _inventory(self, ctx: Context, fair: float, plan: _Plan) -> Inventory:
        instrument = self.params.instrument
        return Inventory.of(
            ctx.position(instrument),
            ctx.open_orders(instrument),
            limit_notional=min(plan.limit_notional, float(ctx.max_position_notional())),
            mark_px=max(fair, float(ctx.mark_px(instrument) or 0)),
        )

    def _fair_now(self, ctx: Context, book: Book) -> FairPrice:
        other = self.params.reference.instrument
        return self._fair.of(ctx.now_ns(), book, None if other is None else ctx.book(other))

    def _close(self, ctx: Context) -> None:
        """Flatten by a capped sweep once no quote of ours stands in its way."""
        if not ctx.position(self.params.instrument).qty:
            return
        if not any(quote_place(order.tag) for order in ctx.open_orders(self.params.instrument)):
            cap = Sweep(max_slippage_bps=self.params.protection.close_slippage_bps)
            ctx.target(self.params.instrument, Decimal(0), cap)
