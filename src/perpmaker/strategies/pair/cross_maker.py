"""Continuous cross-venue making: quotes on the lead from what the hedge venue would pay, every fill hedged there.

A quote earns at least `min_profit_bps` after both venues' fees if its hedge is taken at the prices of the moment. While
anything is open the quotes are withdrawn, and a new one waits for the certain end of the one before: so no more than one
quote can be unhedged at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from perpmaker.model.book import Book
from perpmaker.model.depth import price_for
from perpmaker.model.events import BookStale, Connectivity, Fill
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.order import OrderView, Side
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Context, Explained, Strategy, StrategyParams, Subscription
from perpmaker.strategies.caution import WIDER_MULT, Caution, Tier
from perpmaker.strategies.pair.direction import HAIRCUT
from perpmaker.strategies.pair.emptying import Emptying
from perpmaker.strategies.pair.hedger import Hedger
from perpmaker.strategies.pair.holdings import ZERO, Holdings, overfills, status_of
from perpmaker.strategies.pair.memory import Counts, Memory, PairMemo, ask
from perpmaker.strategies.pair.params import LegParams
from perpmaker.strategies.pair.rates import HedgeRate
from perpmaker.strategies.pair.sizes import away_from_zero, common_lot, larger_lot, smallest_qty, towards_zero, unlike
from perpmaker.strategies.pair.standing import StandingQuote
from perpmaker.strategies.pair.summary import Summary, explained, summarise, tell
from perpmaker.strategies.schema import key

TICK_NS: Final = 250 * NS_PER_MS
MAKES: Final = "make"
"""Its mode, and its phase while it quotes."""
SUMMARY_NS: Final = 60 * NS_PER_S
_TICK, _SUMMARY = "tick", "summary"
_BPS: Final = Decimal(10_000)
_WIDER_BY: Final = Decimal(repr(WIDER_MULT)) - 1


class CrossMakerParams(LegParams, frozen=True, kw_only=True):
    """Quotes on the lead, priced from the hedge venue."""

    qty: Annotated[Decimal, key("base currency", "Size of each quote, and largest unhedged amount.", gt=0)]
    max_qty: Annotated[Decimal, key("base currency", "Largest position on the lead, either way.", gt=0)]
    min_profit_bps: Annotated[
        Decimal, key("bps", "Least profit of a fill after both venues' fees.", ge=-100, le=1000)
    ] = Decimal(1)
    tolerance_bps: Annotated[float, key("bps", "A quote this near its wanted price keeps its place.", ge=0, le=100)] = (
        0.5
    )
    on_unexpected: Annotated[
        Literal["ask", "continue", "stop"], key("", "What a fill does that no order of the strategy explains.")
    ] = "ask"
    session: Annotated[str, key("", "Another name begins anew: the summary counts from nothing.")] = "1"

    def problems(self) -> Sequence[str]:
        found = list(super().problems())
        if self.max_qty < self.qty:
            found.append(f"max_qty = {self.max_qty} must not be less than qty = {self.qty}")
        return found


class Memo(PairMemo, kw_only=True):
    """What it must know again after a restart."""

    stopped: str = ""
    """Why nothing is quoted any more, "" while it is."""
    closing: bool = False
    """A person has its position closed."""


class CrossMaker(Strategy[CrossMakerParams]):
    """Quote both sides of the lead from the hedge venue's executable prices; hedge every fill at once."""

    kind: ClassVar[str] = "cross_maker"
    params_type: ClassVar[type[StrategyParams]] = CrossMakerParams

    def __init__(self, params: CrossMakerParams) -> None:
        super().__init__(params)
        self._legs = (params.instrument, *(leg.instrument for leg in params.other_legs()))
        self._lead, self._hedge = self._legs[:2]
        self._hedger = Hedger(params.hedge, self._legs)
        self._rate = HedgeRate(self._lead, self._hedge, params.max_rate_age_s)
        self._emptying = Emptying(self._lead, params.qty, params.hedge.unwind_max_slippage_bps)
        self._quotes = {side: StandingQuote(self._lead, side) for side in Side}
        self._memory = Memory(Memo, params.session, self._legs)
        self._memo = Memo(session=params.session, holdings=Holdings({}), counts=Counts())
        self._caution = Caution()
        self._started = False

    # --- hooks

    def subscriptions(self) -> Sequence[Subscription]:
        return [Subscription(name, book_interval_ms=50) for name in self._legs]

    def on_start(self, ctx: Context) -> None:
        self._memo = self._memory.recall(ctx) or Memo(
            session=self.params.session, holdings=Holdings.begun(ctx, self._legs), counts=Counts()
        )
        self._started = True
        self._end(ctx, self._memory.end or unlike(*(ctx.instrument(name) for name in self._legs)))
        if self._memo.question:
            ctx.ask(self._memo.question)
        ctx.set_timer(_TICK, ctx.now_ns() + TICK_NS)
        ctx.set_timer(_SUMMARY, ctx.now_ns() + SUMMARY_NS)
        self._step(ctx)

    def on_book(self, ctx: Context, book: Book) -> None:
        self._step(ctx)

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self._step(ctx)

    def on_order(self, ctx: Context, order: OrderView) -> None:
        for quote in self._quotes.values():
            quote.on_order(order)
        self._step(ctx)

    def on_execution(self, ctx: Context, report: ExecutionReport) -> None:
        self._memo.counts.on_execution(self._lead, report)
        for surprise in overfills(report):
            self._surprised(ctx, surprise)
        self._step(ctx)

    def on_timer(self, ctx: Context, key: str) -> None:
        if key == _SUMMARY:
            if not self._is_over or any(leg.qty for leg in self._memo.holdings.legs.values()):
                self._tell_summary(ctx, "pair_progressed")
            ctx.set_timer(_SUMMARY, ctx.now_ns() + SUMMARY_NS)
            return
        ctx.set_timer(_TICK, ctx.now_ns() + TICK_NS)
        self._step(ctx)

    def on_answer(self, ctx: Context, answer: str) -> None:
        self._memo.question, self._hedger.failed = "", ""
        if answer == "stop":
            self._end(ctx, "stopped by a person's answer")
        self._step(ctx)

    def on_told(self, ctx: Context, word: str) -> None:
        self._memo.question, self._hedger.failed = "", ""
        if word == "close":
            self._memo.closing = True
            if any(leg.qty for leg in self._memo.holdings.legs.values()):
                self._memo.stopped = ""
        else:
            self._memo.closing = False
            self._end(ctx, "stopped by a person")
        self._step(ctx)

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        self._step(ctx)

    def on_stop(self, ctx: Context) -> None:
        self._memo.holdings.take(ctx)
        self._tell_summary(ctx, "pair_left")
        self._memory.save(ctx, self._memo, self._memo.stopped, self._memo.closing)

    # --- going on

    def _step(self, ctx: Context) -> None:
        if not self._started:
            return
        for surprise in self._memo.holdings.take(ctx):
            self._surprised(ctx, surprise)
        self._rate.watch(ctx)
        self._mind_loss(ctx)
        self._hedger.step(ctx, self._memo.holdings)
        if self._hedger.failed:
            ask(ctx, self._memo, self._lead, f"{self._hedger.failed}. Go on?")
        why = self._why_not(ctx)
        piece = self._hedger.home_piece(ctx, self._memo.holdings, self.params.qty)
        if not why and piece:
            why = "brings a hedge home"
            if not ctx.open_orders(self._lead):
                self._hedger.bring_home(ctx, self._memo.holdings, piece)
        if not why and self._memo.closing:
            why = self._close(ctx)
        if not why and self._caution.tier is Tier.FLATTEN:
            why = self._take_down(ctx)
        if not why:
            why = self._rate.problem
        wanted = {side: None if why else self._quote_of(ctx, side) for side in Side}
        for side, quote in self._quotes.items():
            quote.step(ctx, self._memo.holdings, wanted[side])
        self._memory.save(ctx, self._memo, self._memo.stopped, self._memo.closing)
        self._explain(ctx, why, wanted[Side.BUY], wanted[Side.SELL])

    def _close(self, ctx: Context) -> str:
        """Go on closing; nothing is quoted meanwhile, nor after it."""
        holdings = self._memo.holdings
        if self._hedger.is_elsewhere(ctx, holdings):
            return f"waits until {self._hedge} takes over what {self._legs[2]} holds"
        if self._emptying.is_over(ctx, holdings) and not self._at_rest:
            self._memo.closing = False
            self._end(ctx, "closed, as a person wanted")
            return self._memo.stopped
        if not self._at_rest:
            self._emptying.step(ctx, holdings)
        return "closes"

    def _mind_loss(self, ctx: Context) -> None:
        """Be as careful as a loss limit asks for."""
        before = self._caution.tier
        if self._caution.update(ctx.loss_used()) is Tier.FLATTEN and before is not Tier.FLATTEN and not self._is_over:
            fields = {"instrument": self._lead, "reason": self._caution.text}
            ctx.notice("warning", "pair_flattens", fields)

    def _take_down(self, ctx: Context) -> str:
        """Take what is held, a quote's size at a time, and quote nothing, for as long as that tier lasts."""
        holdings = self._memo.holdings
        if not self._at_rest and not self._emptying.is_over(ctx, holdings):
            self._emptying.step(ctx, holdings)
        return f"flattens and quotes nothing: {self._caution.text}"

    def _end(self, ctx: Context, text: str) -> None:
        """Quote nothing any more, for that reason; with "" nothing changes."""
        if text and not self._memo.stopped:
            self._memo.stopped = text
            self._tell_summary(ctx, "pair_ended")

    @property
    def _at_rest(self) -> bool:
        """Whether an order of it rests, or may."""
        return any(quote.order is not None for quote in self._quotes.values())

    @property
    def _is_over(self) -> bool:
        return bool(self._memo.stopped) and not self._memo.closing

    def _surprised(self, ctx: Context, what: str) -> None:
        ctx.notice("warning", "pair_surprised", {"instrument": self._lead, "text": what})
        if self.params.on_unexpected == "ask":
            ask(ctx, self._memo, self._lead, f"Unexpected: {what}. Go on?")
        elif self.params.on_unexpected == "stop":
            self._end(ctx, f"unexpected: {what}")

    def _why_not(self, ctx: Context) -> str:
        """Why nothing may be quoted now, "" when it may."""
        if self._memo.question or self._is_over:
            return self._memo.question or self._memo.stopped
        if not self._hedger.is_calm:
            return "waits for the hedge"
        for name in (self._lead, self._hedge):
            why = ctx.hindrance(name)
            if why:
                return f"{name}: {why}"
        return "paused" if ctx.paused() else ""

    def _quote_of(self, ctx: Context, side: Side) -> Quote | None:
        """Return the quote of one side, None where there is no room or no depth, or a price is not known."""
        book, lead_book, rate = ctx.book(self._hedge), ctx.book(self._lead), self._rate.now(ctx)
        qty = self._qty(ctx, side)
        if book is None or lead_book is None or rate is None or not qty:
            return None
        least = self.params.min_profit_bps / _BPS + self.params.fees(ctx)
        if self._caution.tier >= Tier.WIDEN:
            least += abs(least) * _WIDER_BY
        px = quote_px(side, qty, lead_book, book, rate, least)
        return None if px is None else Quote(px, qty, 0, self.params.tolerance_bps)

    def _qty(self, ctx: Context, side: Side) -> Decimal:
        """Return the size of a quote: within the largest position, and less what is open in the same direction.

        What is open never makes it less than the smallest order: open and too little to hedge, it goes with the next fill.
        From three quarters of a loss limit on the largest position is none: only what brings the lead to flat is quoted.
        """
        rules = ctx.instrument(self._lead)
        holdings = self._memo.holdings
        most = self.params.max_qty if self._caution.tier < Tier.REDUCE else ZERO
        room = most - side.sign * holdings.legs[self._lead].qty
        open_qty = max(side.sign * holdings.delta, ZERO)
        lot = common_lot(rules, ctx.instrument(self._hedge))
        mark_px = ctx.mark_px(self._lead) or ZERO
        least = max(smallest_qty(rules, mark_px), smallest_qty(ctx.instrument(self._hedge), mark_px))
        if self.params.qty < least:
            return ZERO
        qty = towards_zero(min(max(self.params.qty - open_qty, away_from_zero(least, lot)), room), lot)
        return qty if qty >= least else ZERO

    # --- telling

    def _summary(self, ctx: Context) -> Summary:
        fills = self._memo.holdings.legs[self._lead].fills
        return summarise(ctx, self._memo.holdings, self._memo.counts, asked=fills, cycles=fills)

    def _tell_summary(self, ctx: Context, name: str) -> None:
        if self._memo.holdings.legs:
            memo = self._memo
            tell(ctx, self._summary(ctx), name, session=memo.session, status=self._status(ctx), text=memo.stopped)

    def _status(self, ctx: Context) -> str:
        return status_of(self._memo.holdings.legs, larger_lot(*(ctx.instrument(name) for name in self._legs)))

    def _explain(self, ctx: Context, why: str, bid: Quote | None, offer: Quote | None) -> None:
        memo = self._memo
        inputs: dict[str, Explained] = {
            "pair": self._status(ctx),
            "mode": MAKES,
            "phase": "end" if self._is_over else "close" if memo.closing else MAKES,
            "lead_qty": str(memo.holdings.legs[self._lead].qty),
            "hedge_qty": str(memo.holdings.legs[self._hedge].qty),
            "net_delta": str(memo.holdings.delta),
            "clip": "resting" if self._at_rest else "taking" if self._emptying.is_at_work(ctx) else "",
            "hedge": self._hedger.rung.value,
            "bid_px": None if bid is None else float(bid.px),
            "ask_px": None if offer is None else float(offer.px),
            **explained(self._summary(ctx)),
            "caution": self._caution.shown,
            "waits_for": why or self._only_reduces,
        }
        ctx.explain(self._lead, inputs)

    @property
    def _only_reduces(self) -> str:
        return f"quotes only what reduces: {self._caution.text}" if self._caution.tier is Tier.REDUCE else ""


def quote_px(side: Side, qty: Decimal, lead: Book, hedge: Book, rate: Decimal, least: Decimal) -> Decimal | None:
    """Return the price on the lead at which a hedge of the whole quantity leaves `least` of notional, not across the touch.

    `rate`: one unit of the hedge's currency in the lead's. None while the hedge's book does not show enough.
    """
    priced = price_for(hedge, qty, side.opposite, haircut=HAIRCUT)
    if priced is None or not priced.is_enough:
        return None
    px = priced.vwap * rate * (1 - side.sign * least)
    touch = lead.instrument.px(lead.ask_ticks - 1 if side is Side.BUY else lead.bid_ticks + 1)
    return min(px, touch) if side is Side.BUY else max(px, touch)
