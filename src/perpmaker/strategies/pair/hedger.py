"""Keeps the legs of a pair equal: hedges what was filled, and climbs the ladder when that fails.

    CALM -> HEDGING -> (FALLBACK) -> UNWINDING -> STUCK        any of them -> CALM once the legs are equal
    CALM -> RETURNING -> CALM                                  later, with what the fallback venue holds

HEDGING tries the hedge venue inside one cap, fixed when the first fill came. FALLBACK does the same on another venue;
RETURNING brings that position home. UNWINDING undoes the filled leg. STUCK tries both venues in turn and alarms.
A rung is left only when nothing of it is at work any more: an order whose outcome is unknown may have hedged, or undone.
Every size comes from what is proven (booked, or stated by the venue with its fills to come), none from an answer's
absence, so that a lost answer cannot double a hedge.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

from perpmaker.model.depth import bbo
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import OrderState, Side
from perpmaker.model.quote import Sweep
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.strategies.api import Context
from perpmaker.strategies.pair.holdings import ZERO, Holdings
from perpmaker.strategies.pair.params import HedgeParams
from perpmaker.strategies.pair.sizes import common_lot, hedgeable, next_piece, smallest_qty

ALARM_NS: Final = 5 * NS_PER_S
HOME_AGAIN_NS: Final = 60 * NS_PER_S
"""After bringing home has failed."""
_BPS: Final = Decimal(10_000)


class Rung(enum.Enum):
    """Where the ladder stands."""

    CALM = "calm"
    HEDGING = "hedging"
    FALLBACK = "fallback"
    RETURNING = "returning"
    UNWINDING = "unwinding"
    STUCK = "stuck"


class Hedger:
    """One pair's ladder. `step` after everything that happened; `failed` says that the last open amount was unwound."""

    def __init__(self, params: HedgeParams, legs: tuple[InstrumentId, ...]) -> None:
        self.rung = Rung.CALM
        self.failed = ""
        """Why the pair must stop after an unwinding; a person's answer clears it."""
        self._params = params
        self._legs = legs
        self._lead, self._hedge = legs[:2]
        self._fallback = legs[2] if len(legs) > 2 else None
        self._since_ns = 0
        self._rung_ns = 0
        self._cap_px: dict[tuple[InstrumentId, Side], Decimal] = {}
        self._algorithm: Sweep | None = None
        self._entered_ns = 0
        self._in_question_ns = 0
        """Since when the outcome of an order of the ladder is unknown; 0 while none is."""
        self._alarmed_ns = 0
        self._home_qty = ZERO
        """What the hedge leg holds when what is being brought home is there."""
        self._home_not_before_ns = 0

    @property
    def is_calm(self) -> bool:
        return self.rung is Rung.CALM

    def open_since_s(self, now_ns: int) -> float:
        """How long the legs have differed by more than can be left alone."""
        return (now_ns - self._since_ns) / NS_PER_S if self._since_ns else 0.0

    def step(self, ctx: Context, holdings: Holdings, still_to_come: Decimal = ZERO) -> None:
        """Say what is wanted now. `still_to_come`: what the lead is still going to fill, > 0 bought, < 0 sold."""
        if self.rung is Rung.RETURNING:
            self._return(ctx, holdings)
        elif self._is_even(ctx, holdings, still_to_come):
            self._settle(ctx, holdings)
        else:
            self._climb(ctx, holdings, still_to_come)

    def home_piece(self, ctx: Context, holdings: Holdings, clip: Decimal) -> Decimal:
        """Return how much of what the fallback venue holds may be moved to the hedge venue now, signed; 0 for nothing.

        At most a clip, or the smallest order where that is larger, less what is open already; and so much that both venues
        take it and the rest of it later.
        """
        name = self._fallback
        if name is None or self.rung is not Rung.CALM or ctx.now_ns() < self._home_not_before_ns:
            return ZERO
        there = holdings.legs[name].qty
        if not there or not self._is_booked(ctx):
            return ZERO
        least = max(self._smallest(ctx, name), self._smallest(ctx, self._hedge))
        open_qty = max(holdings.delta.copy_sign(holdings.delta * there), ZERO)
        lot = common_lot(ctx.instrument(name), ctx.instrument(self._hedge))
        piece = next_piece(abs(there), max(clip, least) - open_qty, lot, least)
        if not piece or ctx.hindrance(self._hedge) or ctx.hindrance(name):
            return ZERO
        return piece if there > 0 else -piece

    def is_elsewhere(self, ctx: Context, holdings: Holdings) -> bool:
        """Whether the fallback venue holds something that both venues could trade."""
        name = self._fallback
        if name is None:
            return False
        return abs(holdings.legs[name].qty) >= max(self._smallest(ctx, name), self._smallest(ctx, self._hedge))

    def bring_home(self, ctx: Context, holdings: Holdings, piece: Decimal) -> None:
        """Move a `home_piece`: first bought or sold on the hedge venue, then closed on the other."""
        self._home_qty = holdings.legs[self._hedge].qty + piece
        self._enter(ctx, Rung.RETURNING)
        self._return(ctx, holdings)

    # --- rungs

    def _settle(self, ctx: Context, holdings: Holdings) -> None:
        """The legs are equal: calm once nothing is at work that could change that, and all of it is booked."""
        if self.rung is Rung.CALM:
            return
        self._rung_ns = self._entered_ns = ctx.now_ns()  # should they differ again the rung begins anew
        if not self._is_idle(ctx):
            self._withdraw(ctx)
        elif self._is_booked(ctx):
            self._calm(ctx, holdings)

    def _calm(self, ctx: Context, holdings: Holdings) -> None:
        if self.rung is Rung.UNWINDING:
            self.failed = f"the hedge on {self._hedge} failed; the filled leg was unwound"
            self._tell(ctx, "warning", "pair_unwound", holdings)
        elif self.rung is Rung.STUCK:
            self.failed = f"neither {self._hedge} nor {self._lead} traded for a while; the legs are equal again"
            self._tell(ctx, "warning", "pair_freed", holdings)
        elif self.rung is Rung.FALLBACK:
            self._tell(ctx, "warning", "pair_hedged_elsewhere", holdings)
        self.rung, self._since_ns, self._algorithm = Rung.CALM, 0, None
        self._cap_px.clear()

    def _climb(self, ctx: Context, holdings: Holdings, still_to_come: Decimal) -> None:
        now_ns, p = ctx.now_ns(), self._params
        if self.rung is Rung.CALM:
            self._since_ns = now_ns
            self._enter(ctx, Rung.HEDGING)
        self._watch_questions(ctx)
        if self._is_idle(ctx):
            if self.rung is Rung.HEDGING and self._is_spent(p.retry_s, now_ns):
                self._enter(ctx, Rung.FALLBACK if self._fallback is not None else Rung.UNWINDING)
                self._tell(ctx, "warning", "pair_hedge_failed", holdings)
            elif self.rung is Rung.FALLBACK and self._is_spent(p.fallback_s, now_ns):
                self._enter(ctx, Rung.UNWINDING)
                self._tell(ctx, "warning", "pair_fallback_failed", holdings)
            elif self.rung is Rung.UNWINDING and self._is_spent(p.unwind_s, now_ns):
                self._enter(ctx, Rung.STUCK)
        self._work(ctx, holdings, still_to_come)
        self._alarm(ctx, holdings)

    def _watch_questions(self, ctx: Context) -> None:
        """Do not count the time it takes to find out what became of an order: a try that was lost is made up for."""
        unknown = any(view.state is OrderState.UNKNOWN for name in self._worked for view in ctx.open_orders(name))
        if unknown:
            self._in_question_ns = self._in_question_ns or ctx.now_ns()
        elif self._in_question_ns:
            self._rung_ns += ctx.now_ns() - self._in_question_ns
            self._in_question_ns = 0

    def _is_spent(self, limit_s: float, now_ns: int) -> bool:
        """Whether a rung's time is over; with all that was in question at most twice its length and a try."""
        tried_ns, stood_ns = now_ns - self._rung_ns, now_ns - self._entered_ns
        return tried_ns >= limit_s * NS_PER_S or stood_ns >= (2 * limit_s + self._params.attempt_s) * NS_PER_S

    def _work(self, ctx: Context, holdings: Holdings, still_to_come: Decimal) -> None:
        """State the wanted position of the leg whose turn it is."""
        if self.rung is Rung.HEDGING:
            self._aim(ctx, holdings, self._hedge, still_to_come, self._inside_cap(ctx, holdings, self._hedge))
        elif self.rung is Rung.FALLBACK and self._fallback is not None:
            self._aim(ctx, holdings, self._fallback, still_to_come, self._inside_cap(ctx, holdings, self._fallback))
        elif self.rung is Rung.UNWINDING:
            self._aim(ctx, holdings, self._lead, ZERO, self._sweep(self._params.unwind_max_slippage_bps))
        elif self._is_idle(ctx):  # STUCK: whichever venue can trade, each in its turn
            turn = int((ctx.now_ns() - self._rung_ns) / NS_PER_S / self._params.attempt_s) % 2
            first, second = (self._lead, self._hedge) if turn else (self._hedge, self._lead)
            name = second if ctx.hindrance(first) else first
            self._aim(ctx, holdings, name, ZERO, self._sweep(self._params.unwind_max_slippage_bps))

    def _return(self, ctx: Context, holdings: Holdings) -> None:
        """Open on the hedge venue, close as much on the fallback venue; what cannot be closed there is taken back."""
        name = self._fallback
        if name is None:
            return
        delta, idle = self._delta(ctx, holdings), self._is_idle(ctx)
        to_go = self._home_qty - self._qty(ctx, holdings, self._hedge)
        spent_s = (ctx.now_ns() - self._rung_ns) / NS_PER_S
        is_there, is_late = abs(to_go) < self._smallest(ctx, self._hedge), spent_s >= self._params.retry_s
        if idle and (is_there or is_late) and not self._open_qty(ctx, holdings, name, ZERO):
            self._home_not_before_ns = 0 if is_there else ctx.now_ns() + HOME_AGAIN_NS
            self._enter(ctx, Rung.CALM)
            self._since_ns = 0
            return
        if idle and spent_s >= 2 * self._params.retry_s:
            self._home_not_before_ns = ctx.now_ns() + HOME_AGAIN_NS
            self._enter(ctx, Rung.CALM)
            self.step(ctx, holdings)
            return
        algorithm = self._sweep(self._params.max_slippage_bps)
        if not is_late and not is_there:
            self._target(ctx, holdings, self._hedge, self._home_qty, algorithm)
        if delta * holdings.legs[name].qty > 0:
            self._aim(ctx, holdings, name, ZERO, algorithm)

    # --- sizes and prices

    def _is_even(self, ctx: Context, holdings: Holdings, still_to_come: Decimal) -> bool:
        """Whether what is open is too little to trade, or held back to be traded with what is still to come."""
        leg = self._lead if self.rung in (Rung.UNWINDING, Rung.STUCK) else self._hedge
        return not self._open_qty(ctx, holdings, leg, still_to_come)

    def _open_qty(self, ctx: Context, holdings: Holdings, leg: InstrumentId, still_to_come: Decimal) -> Decimal:
        """Return how much of the net quantity a leg should trade away now, signed as the net quantity."""
        delta, lot = self._delta(ctx, holdings), ctx.instrument(leg).lot
        sign = 1 if delta > 0 else -1
        more = max(sign * still_to_come, ZERO)
        return sign * hedgeable(abs(delta), more, lot, self._smallest(ctx, leg))

    def _aim(
        self, ctx: Context, holdings: Holdings, leg: InstrumentId, still_to_come: Decimal, algorithm: Sweep | None
    ) -> None:
        if algorithm is None:
            return
        open_qty = self._open_qty(ctx, holdings, leg, still_to_come)
        if open_qty:
            self._target(ctx, holdings, leg, self._qty(ctx, holdings, leg) - open_qty, algorithm)

    def _target(self, ctx: Context, holdings: Holdings, leg: InstrumentId, own_qty: Decimal, algorithm: Sweep) -> None:
        wanted = holdings.legs[leg].other_qty + own_qty
        if wanted != ctx.proven_qty(leg):
            ctx.target(leg, wanted, algorithm)

    def _withdraw(self, ctx: Context) -> None:
        """Have nothing more placed for targets that lead away from where the legs are now."""
        for name in self._worked:
            report, proven = ctx.execution(name), ctx.proven_qty(name)
            if report is not None and report.state == "working" and report.order.target_qty != proven:
                ctx.target(name, proven, report.order.algorithm)

    def _qty(self, ctx: Context, holdings: Holdings, leg: InstrumentId) -> Decimal:
        """Return what the pair holds there, as it is proven."""
        return holdings.legs[leg].qty + ctx.proven_qty(leg) - ctx.position(leg).qty

    def _delta(self, ctx: Context, holdings: Holdings) -> Decimal:
        return sum((self._qty(ctx, holdings, name) for name in self._legs), ZERO)

    def _inside_cap(self, ctx: Context, holdings: Holdings, leg: InstrumentId) -> Sweep | None:
        """Return a try that ends where the first one's cap was, None while nothing can be inside it."""
        if self._algorithm is not None and not self._is_idle(ctx):
            return self._algorithm
        book = ctx.book(leg)
        top = None if book is None else bbo(book)
        if top is None:
            return self._sweep(self._params.max_slippage_bps)  # it ends by itself unless a book comes
        side = Side.SELL if self._delta(ctx, holdings) > 0 else Side.BUY
        touch = top.touch_px(side)
        cap = self._cap_px.get((leg, side))
        if cap is None:
            cap = self._cap_px[leg, side] = touch * (1 + side.sign * self._params.max_slippage_bps / _BPS)
        room_bps = side.sign * (cap - touch) / touch * _BPS
        if room_bps <= 0:
            return None
        self._algorithm = self._sweep(min(room_bps, self._params.max_slippage_bps).quantize(Decimal("0.0001")))
        return self._algorithm

    def _sweep(self, max_slippage_bps: Decimal) -> Sweep:
        """Return a taker that wastes no time: everything the book offers inside the cap, as soon as it is worth a child."""
        return Sweep(
            max_slippage_bps=max(max_slippage_bps, Decimal("0.0001")),
            deadline_ms=round(self._params.attempt_s * 1000),
            aim_children=20,
            stale_patience_ms=min(round(self._params.attempt_s * 1000), 60_000),
        )

    def _smallest(self, ctx: Context, leg: InstrumentId) -> Decimal:
        """Return the smallest order of a leg; by the mark price, which stands still enough for a size."""
        return smallest_qty(ctx.instrument(leg), ctx.mark_px(leg) or ZERO)

    # --- inside

    def _is_booked(self, ctx: Context) -> bool:
        """Whether every execution the venues have stated is booked."""
        return all(ctx.proven_qty(name) == ctx.position(name).qty for name in self._legs)

    @property
    def _worked(self) -> tuple[InstrumentId, ...]:
        """The legs whose targets are the ladder's; the lead is the clip's, but where it is undone."""
        return self._legs if self.rung in (Rung.UNWINDING, Rung.STUCK) else self._legs[1:]

    def _is_idle(self, ctx: Context) -> bool:
        """Whether none of the ladder's targets is at work."""
        reports = [ctx.execution(name) for name in self._worked]
        return all(report is None or report.state == "ended" for report in reports)

    def _enter(self, ctx: Context, rung: Rung) -> None:
        self.rung, self._rung_ns, self._algorithm = rung, ctx.now_ns(), None
        self._entered_ns, self._in_question_ns = ctx.now_ns(), 0

    def _alarm(self, ctx: Context, holdings: Holdings) -> None:
        """Say so for as long as an amount stays open on the last rungs."""
        if self.rung in (Rung.UNWINDING, Rung.STUCK) and ctx.now_ns() - self._alarmed_ns >= ALARM_NS:
            self._alarmed_ns = ctx.now_ns()
            self._tell(ctx, "warning", "pair_not_hedged", holdings)

    def _tell(self, ctx: Context, level: str, name: str, holdings: Holdings) -> None:
        fields = {
            "instrument": self._lead,
            "hedge": self._hedge,
            "rung": self.rung.value,
            "net_delta": str(holdings.delta),
            "open_ms": str((ctx.now_ns() - self._since_ns) // NS_PER_MS if self._since_ns else 0),
            "waits_for": ctx.hindrance(self._hedge),
        }
        ctx.notice("warning" if level == "warning" else "info", name, fields)
