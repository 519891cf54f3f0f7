"""The pair: positions of opposite sign on two exchanges, built and closed clip by clip (REQUIREMENTS §7).

Everything it decides rests on what is booked, and its memo says which part of that is its own; so after a restart it
goes on from the truth of both venues: what was open is hedged, or unwound, before anything else is placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from perpmaker.model.book import Book
from perpmaker.model.events import BookStale, Connectivity, Fill
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.order import OrderView, Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Context, Explained, Strategy, StrategyParams, Subscription
from perpmaker.strategies.caution import SMALLER_DIVISOR, Caution, Tier
from perpmaker.strategies.pair.clip import Clip, ClipWorld, Stage
from perpmaker.strategies.pair.direction import Rules
from perpmaker.strategies.pair.emptying import Emptying
from perpmaker.strategies.pair.hedger import Hedger
from perpmaker.strategies.pair.holdings import ZERO, Holdings, overfills, status_of
from perpmaker.strategies.pair.memory import Counts, Memory, PairMemo, ask
from perpmaker.strategies.pair.params import PairParams
from perpmaker.strategies.pair.programme import Present, Programme, advance
from perpmaker.strategies.pair.sizes import away_from_zero, common_lot, larger_lot, smallest_qty, towards_zero, unlike
from perpmaker.strategies.pair.stability import Stability
from perpmaker.strategies.pair.summary import Summary, explained, summarise, tell

TICK_NS: Final = 250 * NS_PER_MS
SKIP_PAUSE_NS: Final = NS_PER_S
MAX_REFUSED_CLIPS: Final = 3
"""In a row, without a fill: what refuses them is no passing state of the market."""
_TICK: Final = "tick"
_SUMMARY: Final = "summary"
SUMMARY_NS: Final = 60 * NS_PER_S


class Memo(PairMemo, kw_only=True):
    """What a pair must know again after a restart."""

    programme: Programme
    clip_qty: Decimal = ZERO
    """Size of a clip in base units; 0 before the first."""


class Pair(Strategy[PairParams]):
    """Build, hold and close a position on the lead with its opposite on the hedge venue; hedge every fill at once."""

    kind: ClassVar[str] = "pair"
    params_type: ClassVar[type[StrategyParams]] = PairParams

    def __init__(self, params: PairParams) -> None:
        super().__init__(params)
        self._legs = (params.instrument, *(leg.instrument for leg in params.other_legs()))
        self._lead, self._hedge = self._legs[:2]
        self._hedger = Hedger(params.hedge, self._legs)
        self._stability = Stability(round(params.maker.stability_s * NS_PER_S))
        self._rules = Rules(params.rule, params)
        self._memory = Memory(Memo, params.session, self._legs)
        self._memo = self._new_memo(Holdings({}))
        self._clip: Clip | None = None
        self._caution = Caution()
        self._emptying: Emptying | None = None
        self._not_before_ns = 0
        self._reported: Decimal | None = None
        self._refused_clips = 0
        self._started = False

    # --- hooks

    def subscriptions(self) -> Sequence[Subscription]:
        return [Subscription(name, book_interval_ms=50) for name in self._legs]

    def on_start(self, ctx: Context) -> None:
        remembered = self._remembered(ctx)
        if remembered is None:
            self._begin(ctx)
        else:
            self._memo = remembered
        self._started = True
        why = self._memory.end or unlike(*(ctx.instrument(name) for name in self._legs))
        if why:
            self._end(ctx, why)
        if self._memo.question:
            ctx.ask(self._memo.question)
        ctx.set_timer(_TICK, ctx.now_ns() + TICK_NS)
        ctx.set_timer(_SUMMARY, ctx.now_ns() + SUMMARY_NS)
        self._step(ctx)

    def on_book(self, ctx: Context, book: Book) -> None:
        if book.instrument.instrument_id == self._lead:
            self._stability.on_book(ctx.now_ns(), book)
        self._rules.on_books(ctx, ctx.book(self._lead), ctx.book(self._hedge))
        self._step(ctx)

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self._step(ctx)

    def on_order(self, ctx: Context, order: OrderView) -> None:
        if self._clip is not None:
            self._clip.on_order(order)
        self._step(ctx)

    def on_execution(self, ctx: Context, report: ExecutionReport) -> None:
        self._memo.counts.on_execution(self._lead, report)
        for surprise in overfills(report):
            self._surprised(ctx, surprise)
        self._step(ctx)

    def on_timer(self, ctx: Context, key: str) -> None:
        if key == _SUMMARY:
            if not self._memo.programme.is_over or any(leg.qty for leg in self._memo.holdings.legs.values()):
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
            self._memo.programme.close()
        else:
            self._end(ctx, "stopped by a person")
        self._step(ctx)

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        if isinstance(event, BookStale) and event.instrument == self._lead:
            self._stability.on_gap()
        self._step(ctx)

    def on_stop(self, ctx: Context) -> None:
        self._take(ctx)
        self._tell_summary(ctx, "pair_left")
        self._save(ctx)

    # --- beginning

    def _remembered(self, ctx: Context) -> Memo | None:
        """Return the memo of the lives before; in another mode it begins afresh with what it holds."""
        memo = self._memory.recall(ctx)
        if memo is not None and memo.programme.mode != self.params.mode:
            memo.programme = Programme(self.params.mode)
        return memo

    def _new_memo(self, holdings: Holdings) -> Memo:
        params = self.params
        return Memo(session=params.session, holdings=holdings, counts=Counts(), programme=Programme(params.mode))

    def _begin(self, ctx: Context) -> None:
        holdings = Holdings.begun(ctx, self._legs)
        self._memo = self._new_memo(holdings)
        if self.params.mode != "close_existing":
            return
        adopted = holdings.adopt_hedged(ctx, common_lot(ctx.instrument(self._lead), ctx.instrument(self._hedge)))
        if not adopted:
            held = ", ".join(f"{leg.base_qty} {name}" for name, leg in holdings.legs.items())
            self._end(ctx, f"nothing to close: the legs do not hedge each other ({held})")

    # --- going on

    def _step(self, ctx: Context) -> None:
        """Bring everything up to date, hedge, then go on with the clip and the programme."""
        if not self._started:
            return
        self._take(ctx)
        self._rules.rate.watch(ctx)
        self._mind_loss(ctx)
        programme, holdings, hedger = self._memo.programme, self._memo.holdings, self._hedger
        hedger.step(ctx, holdings, self._still_to_come(ctx))
        if hedger.failed:
            ask(ctx, self._memo, self._lead, f"{hedger.failed}. Go on?")
        hold = self._hold(ctx)
        if self._clip is not None:
            asked = (self._clip.wanted, self._clip.least_edge_bps)
            present = (programme.wanted, self._least_edge_bps)
            is_outdated = programme.is_over or programme.taking or asked != present
            self._clip.step(ctx, hold=hold or ("something else is wanted" if is_outdated else ""))
            if self._clip.is_over or (is_outdated and self._clip.stage is Stage.STEADY):
                self._clip_over(ctx, self._clip)
        if self._clip is None and hedger.is_calm and not ctx.open_orders(self._lead):
            piece = hedger.home_piece(ctx, holdings, self._memo.clip_qty)
            if piece:
                hedger.bring_home(ctx, holdings, piece)
            elif not programme.is_over and not hold:
                self._go_on(ctx)
        self._save(ctx)
        self._explain(ctx)

    def _take(self, ctx: Context) -> None:
        if not self._memo.holdings.legs:
            return
        for surprise in self._memo.holdings.take(ctx):
            self._surprised(ctx, surprise)

    def _surprised(self, ctx: Context, what: str) -> None:
        ctx.notice("warning", "pair_surprised", {"instrument": self._lead, "text": what})
        self._unwanted(ctx, f"unexpected: {what}")

    def _unwanted(self, ctx: Context, what: str) -> None:
        """Do what the configuration says about what should not have happened."""
        if self.params.on_unexpected == "ask":
            ask(ctx, self._memo, self._lead, f"{what[0].upper()}{what[1:]}. Go on?")
        elif self.params.on_unexpected == "stop":
            self._end(ctx, what)

    def _go_on(self, ctx: Context) -> None:
        programme = self._memo.programme
        if programme.is_closing and self._is_there(ctx) and self._hedger.is_elsewhere(ctx, self._memo.holdings):
            programme.text = f"waits until {self._hedge} takes over what {self._legs[2]} holds"
            return
        before = programme.cycles
        advance(programme, self.params, self._present(ctx))
        if programme.cycles > before or programme.is_over:
            self._tell_summary(ctx, "pair_ended" if programme.is_over else "pair_cycle_ended")
        if programme.taking and programme.trades:
            self._take_down(ctx)
        elif programme.trades and not self._is_there(ctx) and ctx.now_ns() >= self._not_before_ns:
            self._clip = self._new_clip(ctx)
            if self._clip is not None:
                self._clip.step(ctx)

    def _take_down(self, ctx: Context) -> None:
        """Take what is held, a clip at a time; the hedge follows each. Not while a venue could not trade."""
        programme, memo = self._memo.programme, self._memo
        if self._emptying is None:
            piece = memo.clip_qty or self._valid(ctx, self.params.clip or self.params.size)
            if not piece:
                programme.text = "the clip rounds to nothing, or a price is missing"
                return
            self._emptying = Emptying(self._lead, piece, self.params.hedge.unwind_max_slippage_bps)
        hindered = next((f"{name}: {why}" for name in self._legs[:2] if (why := ctx.hindrance(name))), "")
        programme.text = hindered or f"takes what is held, {programme.why_closing}"
        if not hindered:
            self._emptying.step(ctx, memo.holdings)

    def _present(self, ctx: Context) -> Present:
        return Present(
            now_ns=ctx.now_ns(),
            is_there=lambda: self._is_there(ctx),
            choose=lambda cycle: self._opens_nothing or self._rules.side(ctx, cycle),
            size=lambda: self._size(ctx),
            may_close=lambda side: self._rules.may_close(ctx, side),
        )

    def _new_clip(self, ctx: Context) -> Clip | None:
        programme, memo = self._memo.programme, self._memo
        to_go = programme.wanted - memo.holdings.legs[self._lead].qty
        if not memo.clip_qty:
            memo.clip_qty = self._valid(ctx, self.params.clip or self.params.size)
        if not memo.clip_qty:
            programme.text = "the clip rounds to nothing, or a price is missing"
            return None
        side = Side.BUY if to_go > 0 else Side.SELL
        qty = self._next_clip_qty(ctx, side)
        if not qty:
            programme.text = f"a clip of {memo.clip_qty.normalize():f} is less than the smallest order by now"
            return None
        world = ClipWorld(
            self._lead,
            self._hedge,
            self.params.maker,
            holdings=memo.holdings,
            hedger=self._hedger,
            stability=self._stability,
            rules=self._rules,
        )
        return Clip(world, side, qty, programme.wanted, self._least_edge_bps)

    def _next_clip_qty(self, ctx: Context, side: Side) -> Decimal:
        """Return the size of the next clip: smaller where it opens and half of a loss limit is used up.

        It is never less than the smallest order and what is open already, which was too little to hedge: so the lead can
        trade it, and the hedge venue all of it. Where the smallest order has outgrown a clip none opens: 0.
        """
        usual, closes = self._memo.clip_qty, self._memo.programme.is_closing
        rules = [ctx.instrument(name) for name in (self._lead, self._hedge)]
        lot = common_lot(*rules)
        on_lead, on_hedge = (smallest_qty(rule, ctx.mark_px(rule.instrument_id) or ZERO) for rule in rules)
        least, open_qty = max(on_lead, on_hedge), max(side.sign * self._memo.holdings.delta, ZERO)
        if closes:
            return max(usual, away_from_zero(least + open_qty, lot))
        if usual < least:
            return ZERO
        smaller = usual if self._caution.tier < Tier.WIDEN else towards_zero(usual / SMALLER_DIVISOR, lot)
        return max(smaller if smaller >= least else usual, away_from_zero(on_lead + open_qty, lot))

    @property
    def _least_edge_bps(self) -> float | None:
        """What a clip has to earn now; a person who has it closed asks for nothing."""
        programme, rule = self._memo.programme, self.params.rule
        if programme.closing_for_good:
            return None
        return rule.exit_edge_bps if programme.is_closing else rule.entry_edge_bps

    def _clip_over(self, ctx: Context, clip: Clip) -> None:
        """Compare the legs, each by its own trades, and say what differs."""
        self._clip = None
        pause_ns = round(self.params.clip_pause_s * NS_PER_S)
        if clip.skipped:
            self._memo.counts.skipped += 1
            pause_ns = max(pause_ns, SKIP_PAUSE_NS)
            why = clip.refused or clip.text
            fields = {"instrument": self._lead, "filled": str(clip.filled), "of": str(clip.size), "why": why}
            ctx.notice("info", "pair_clip_skipped", fields)
        self._refused_clips = self._refused_clips + 1 if clip.refused and not clip.filled else 0
        if self._refused_clips >= MAX_REFUSED_CLIPS:
            self._refused_clips = 0
            self._unwanted(ctx, f"{MAX_REFUSED_CLIPS} clips in a row were refused: {clip.refused}")
        self._not_before_ns = ctx.now_ns() + pause_ns
        self._memo.counts.unstable = self._stability.unstable
        delta = self._memo.holdings.delta
        if abs(delta) > self._tolerance(ctx) and delta != self._reported:
            self._reported = delta
            fields = {"instrument": self._lead, "net_delta": str(delta), "tolerance": str(self._tolerance(ctx))}
            ctx.notice("warning", "pair_imbalanced", fields)

    # --- questions, ends

    def _hold(self, ctx: Context) -> str:
        """Why nothing new may be placed on the lead now."""
        if self._memo.question:
            return self._memo.question
        if self._memo.programme.is_over:
            return self._memo.programme.text
        if ctx.paused():
            return "paused"
        is_opening = self._memo.programme.phase == "open" and not self._is_there(ctx)
        return self._opens_nothing if is_opening else ""

    @property
    def _opens_nothing(self) -> str:
        """Why no position is built up now, "" when it may be. What is open is hedged and closed all the same."""
        return f"opens nothing: {self._caution.text}" if self._caution.tier >= Tier.REDUCE else ""

    def _mind_loss(self, ctx: Context) -> None:
        """Be as careful as a loss limit asks for; at nine tenths what is held is taken down, unless a person has a say."""
        programme, memo = self._memo.programme, self._memo
        if self._caution.update(ctx.loss_used()) is not Tier.FLATTEN or not memo.holdings.legs:
            return
        if programme.taking or memo.question or ctx.paused() or (programme.is_over and not programme.keeps):
            return
        held = abs(memo.holdings.legs[self._lead].qty)
        if held < smallest_qty(ctx.instrument(self._lead), ctx.mark_px(self._lead) or ZERO):
            return
        programme.flatten(self._caution.text)
        fields = {"instrument": self._lead, "held": str(held), "reason": self._caution.text}
        ctx.notice("warning", "pair_flattens", fields)

    def _end(self, ctx: Context, text: str) -> None:
        """End it for a person, or for what was not expected; from now on a loss limit leaves what it holds alone."""
        programme = self._memo.programme
        if not programme.is_over:
            programme.end(text, left_alone=True)
            self._tell_summary(ctx, "pair_ended")
        elif programme.keeps:
            programme.leave_alone(text)

    # --- sizes

    def _size(self, ctx: Context) -> Decimal:
        """Return a cycle's size in base units and fix the clip's; 0 while a price is missing or it rounds to nothing."""
        p = self.params
        self._memo.clip_qty = self._valid(ctx, p.size if p.clip is None else p.clip)
        return self._valid(ctx, p.size) if self._memo.clip_qty else ZERO

    def _valid(self, ctx: Context, wanted: Decimal) -> Decimal:
        """Round down to a quantity that both venues take; 0 when there is none."""
        rules = [ctx.instrument(name) for name in (self._lead, self._hedge)]
        marks = [ctx.mark_px(name) for name in (self._lead, self._hedge)]
        px = marks[0]
        if px is None or marks[1] is None:
            return ZERO
        qty = towards_zero(wanted if self.params.size_in == "contracts" else wanted / px, common_lot(*rules))
        least = max(smallest_qty(rule, mark or ZERO) for rule, mark in zip(rules, marks, strict=True))
        return qty if qty >= least else ZERO

    def _tolerance(self, ctx: Context) -> Decimal:
        given = self.params.imbalance_tol
        return larger_lot(*(ctx.instrument(name) for name in self._legs)) if given is None else given

    def _is_there(self, ctx: Context) -> bool:
        """Whether the lead is where it should be, as near as its venue trades."""
        to_go = abs(self._memo.programme.wanted - self._memo.holdings.legs[self._lead].qty)
        return to_go < smallest_qty(ctx.instrument(self._lead), ctx.mark_px(self._lead) or ZERO)

    def _still_to_come(self, ctx: Context) -> Decimal:
        programme = self._memo.programme
        if not programme.trades or self._is_there(ctx):
            return ZERO
        return programme.wanted - self._memo.holdings.legs[self._lead].qty

    # --- telling

    def _save(self, ctx: Context) -> None:
        memo, programme = self._memo, self._memo.programme
        self._memory.save(
            ctx, memo, programme.phase, programme.closing_for_good, programme.taking, programme.cycles,
            programme.wanted, programme.left_alone, memo.clip_qty, memo.counts.skipped,
        )  # fmt: skip

    def _tell_summary(self, ctx: Context, name: str) -> None:
        if not self._memo.holdings.legs:
            return
        status = status_of(self._memo.holdings.legs, self._tolerance(ctx))
        text = self._memo.programme.text if self._memo.programme.is_over else ""
        tell(ctx, self._summary(ctx), name, session=self.params.session, status=status, text=text)

    def _summary(self, ctx: Context) -> Summary:
        memo = self._memo
        return summarise(ctx, memo.holdings, memo.counts, asked=self.params.iterations, cycles=memo.programme.cycles)

    def _explain(self, ctx: Context) -> None:
        """State how the pair stands: the page's panel and `status` show it, the journal samples it."""
        memo, hedger, clip = self._memo, self._hedger, self._clip
        summary = self._summary(ctx)
        inputs: dict[str, Explained] = {
            "pair": status_of(memo.holdings.legs, self._tolerance(ctx)),
            "mode": self.params.mode,
            "phase": memo.programme.phase,
            "cycles": summary.cycles,
            "asked": summary.asked,
            "lead_qty": str(memo.holdings.legs[self._lead].qty),
            "hedge_qty": str(memo.holdings.legs[self._hedge].qty),
            "net_delta": str(memo.holdings.delta),
            "wanted": str(memo.programme.wanted),
            "clip": self._clip_stage(ctx),
            "hedge": hedger.rung.value,
            "reprices": 0 if clip is None else clip.reprices,
            "skipped": summary.skipped,
            "unstable": self._stability.unstable,
            **explained(summary),
            "basis_bps": self._rules.basis.bps,
            "basis_z": self._rules.basis.z,
            "funding_bps_a_day": self._rules.funding_bps(ctx),
            "caution": self._caution.shown,
            "waits_for": self._waits_for(ctx),
        }
        ctx.explain(self._lead, inputs)

    def _clip_stage(self, ctx: Context) -> str:
        if self._clip is not None:
            return self._clip.stage.value
        return Stage.TAKING.value if self._emptying is not None and self._emptying.is_at_work(ctx) else ""

    def _waits_for(self, ctx: Context) -> str:
        hold = self._hold(ctx)
        if hold:
            return hold
        return self._clip.text if self._clip is not None else self._memo.programme.text
