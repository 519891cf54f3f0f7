"""Continuous cross-venue making: quotes on the lead from what the hedge venue would pay, every fill hedged there.

A quote earns at least `min_profit_bps` after both venues' fees if its hedge is taken at the prices of the moment. While
anything is open the quotes are withdrawn, and a new one waits for the certain end of the one before: so no more than one
quote can be unhedged at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.depth import price_for
from perpmaker.model.events import BookStale, Connectivity, Fill
from perpmaker.model.execution import Ending, ExecutionReport
from perpmaker.model.order import OrderView, Side
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Context, Explained, Strategy, StrategyParams, Subscription
from perpmaker.strategies.pair.direction import HAIRCUT
from perpmaker.strategies.pair.hedger import Hedger
from perpmaker.strategies.pair.holdings import ZERO, Holdings, overfills, status_of
from perpmaker.strategies.pair.params import LegParams
from perpmaker.strategies.pair.rates import HedgeRate
from perpmaker.strategies.pair.sizes import common_lot, larger_lot, smallest_qty, towards_zero, unlike
from perpmaker.strategies.pair.standing import StandingQuote
from perpmaker.strategies.pair.summary import Counts, Summary, shown, summarise
from perpmaker.strategies.schema import key

TICK_NS: Final = 250 * NS_PER_MS
SUMMARY_NS: Final = 60 * NS_PER_S
_TICK, _SUMMARY = "tick", "summary"
_BPS: Final = Decimal(10_000)


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


class Memo(msgspec.Struct):
    """What it must know again after a restart."""

    session: str
    holdings: Holdings
    counts: Counts
    question: str = ""
    stopped: str = ""


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
        self._quotes = {side: StandingQuote(self._lead, side) for side in Side}
        self._memo = Memo(params.session, Holdings({}), Counts())
        self._started = False
        self._saved: tuple[object, ...] = ()

    # --- hooks

    def subscriptions(self) -> Sequence[Subscription]:
        return [Subscription(name, book_interval_ms=50) for name in self._legs]

    def on_start(self, ctx: Context) -> None:
        self._memo = self._remembered(ctx) or Memo(self.params.session, Holdings.begun(ctx, self._legs), Counts())
        self._started = True
        self._memo.stopped = unlike(*(ctx.instrument(name) for name in self._legs)) or self._memo.stopped
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
        if report.order.instrument != self._lead and report.ending is not Ending.DONE:
            self._memo.counts.hedge_retries += 1
        for surprise in overfills(report):
            self._surprised(ctx, surprise)
        self._step(ctx)

    def on_timer(self, ctx: Context, key: str) -> None:
        if key == _SUMMARY:
            self._tell_summary(ctx, "pair_progressed")
            ctx.set_timer(_SUMMARY, ctx.now_ns() + SUMMARY_NS)
            return
        ctx.set_timer(_TICK, ctx.now_ns() + TICK_NS)
        self._step(ctx)

    def on_answer(self, ctx: Context, answer: str) -> None:
        self._memo.question, self._hedger.failed = "", ""
        if answer == "stop":
            self._memo.stopped = "stopped by a person's answer"
        self._step(ctx)

    def on_told(self, ctx: Context, word: str) -> None:
        self._memo.question, self._hedger.failed = "", ""
        self._memo.stopped = "stopped by a person"
        self._step(ctx)

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        self._step(ctx)

    def on_stop(self, ctx: Context) -> None:
        self._memo.holdings.take(ctx)
        self._tell_summary(ctx, "pair_left")
        self._save(ctx)

    # --- going on

    def _remembered(self, ctx: Context) -> Memo | None:
        text = ctx.recall()
        if not text:
            return None
        try:
            memo = msgspec.json.decode(text, type=Memo)
        except msgspec.DecodeError as error:
            ctx.notice("warning", "pair_forgot", {"instrument": self._lead, "text": str(error)})
            return None
        same = memo.session == self.params.session and tuple(memo.holdings.legs) == self._legs
        return memo if same else None

    def _step(self, ctx: Context) -> None:
        if not self._started:
            return
        for surprise in self._memo.holdings.take(ctx):
            self._surprised(ctx, surprise)
        self._rate.watch(ctx)
        self._hedger.step(ctx, self._memo.holdings)
        if self._hedger.failed:
            self._ask(ctx, f"{self._hedger.failed}. Go on?")
        why = self._why_not(ctx)
        piece = self._hedger.home_piece(ctx, self._memo.holdings, self.params.qty)
        if not why and piece:
            why = "brings a hedge home"
            if not ctx.open_orders(self._lead):
                self._hedger.bring_home(ctx, self._memo.holdings, piece)
        bid, ask = (None, None) if why else (self._quote_of(ctx, Side.BUY), self._quote_of(ctx, Side.SELL))
        self._quotes[Side.BUY].step(ctx, self._memo.holdings, bid)
        self._quotes[Side.SELL].step(ctx, self._memo.holdings, ask)
        self._save(ctx)
        self._explain(ctx, why, bid, ask)

    def _surprised(self, ctx: Context, what: str) -> None:
        ctx.notice("warning", "pair_surprised", {"instrument": self._lead, "text": what})
        if self.params.on_unexpected == "ask":
            self._ask(ctx, f"Unexpected: {what}. Go on?")
        elif self.params.on_unexpected == "stop":
            self._memo.stopped = f"unexpected: {what}"

    def _why_not(self, ctx: Context) -> str:
        """Why nothing may be quoted now, "" when it may."""
        if self._memo.question or self._memo.stopped:
            return self._memo.question or self._memo.stopped
        if not self._hedger.is_calm:
            return "waits for the hedge"
        for name in (self._lead, self._hedge):
            why = ctx.hindrance(name)
            if why:
                return f"{name}: {why}"
        return "paused" if ctx.paused() else self._rate.problem

    def _quote_of(self, ctx: Context, side: Side) -> Quote | None:
        """Return the quote of one side, None where there is no room or no depth, or a price is not known."""
        book, lead_book, rate = ctx.book(self._hedge), ctx.book(self._lead), self._rate.now(ctx)
        qty = self._qty(ctx, side)
        if book is None or lead_book is None or rate is None or not qty:
            return None
        priced = price_for(book, qty, side.opposite, haircut=HAIRCUT)
        if priced is None or not priced.is_enough:
            return None
        least = self.params.min_profit_bps / _BPS + self.params.fees(ctx)
        px = priced.vwap * rate * (1 - side.sign * least)
        rules = lead_book.instrument
        touch = rules.px(lead_book.ask_ticks - 1 if side is Side.BUY else lead_book.bid_ticks + 1)
        return Quote(min(px, touch) if side is Side.BUY else max(px, touch), qty, 0, self.params.tolerance_bps)

    def _qty(self, ctx: Context, side: Side) -> Decimal:
        """Return the size of a quote: within the largest position, and less what is open in the same direction."""
        rules = ctx.instrument(self._lead)
        holdings = self._memo.holdings
        room = self.params.max_qty - side.sign * holdings.legs[self._lead].qty
        open_qty = max(side.sign * holdings.delta, ZERO)
        lot = common_lot(rules, ctx.instrument(self._hedge))
        qty = towards_zero(min(self.params.qty - open_qty, room), lot)
        mark_px = ctx.mark_px(self._lead) or ZERO
        least = max(smallest_qty(rules, mark_px), smallest_qty(ctx.instrument(self._hedge), mark_px))
        return qty if qty >= least else ZERO

    # --- telling

    def _ask(self, ctx: Context, question: str) -> None:
        if not self._memo.question:
            self._memo.question = question
            ctx.ask(question)
            ctx.notice("warning", "pair_asked", {"instrument": self._lead, "question": question})

    def _save(self, ctx: Context) -> None:
        memo = self._memo
        quantities = tuple((leg.qty, leg.base_qty, leg.odd_qty) for leg in memo.holdings.legs.values())
        now = (memo.holdings.last, memo.question, memo.stopped, quantities, tuple(memo.holdings.orders))
        if now != self._saved:
            self._saved = now
            ctx.remember(msgspec.json.encode(memo).decode())

    def _summary(self, ctx: Context) -> Summary:
        fills = self._memo.holdings.legs[self._lead].fills
        return summarise(ctx, self._memo.holdings, self._memo.counts, asked=fills, cycles=fills)

    def _tell_summary(self, ctx: Context, name: str) -> None:
        if self._memo.holdings.legs:
            told = {"instrument": str(self._lead), "session": self.params.session, **shown(self._summary(ctx))}
            ctx.notice("info", name, told)

    def _explain(self, ctx: Context, why: str, bid: Quote | None, ask: Quote | None) -> None:
        holdings, summary = self._memo.holdings, self._summary(ctx)
        tolerance = larger_lot(*(ctx.instrument(name) for name in self._legs))
        inputs: dict[str, Explained] = {
            "pair": status_of(holdings.legs, tolerance),
            "lead_qty": str(holdings.legs[self._lead].qty),
            "hedge_qty": str(holdings.legs[self._hedge].qty),
            "net_delta": str(holdings.delta),
            "hedge": self._hedger.rung.value,
            "bid_px": None if bid is None else float(bid.px),
            "ask_px": None if ask is None else float(ask.px),
            "hedge_retries": summary.hedge_retries,
            "volume": float(summary.volume),
            "gross": float(summary.gross),
            "fees": float(summary.fees),
            "funding": float(summary.funding),
            "net": float(summary.net),
            "edge_bps": float(summary.edge_bps),
            "cost_per_million": float(summary.cost_per_million),
            "rate": None if self._hedge in summary.assumed else str(summary.rates[self._hedge]),
            "waits_for": why,
        }
        ctx.explain(self._lead, inputs)
