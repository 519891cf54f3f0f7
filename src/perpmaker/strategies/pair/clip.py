"""One clip: a resting order on the lead, priced anew a few times, its fills hedged as they come.

    STEADY -> RESTING -> LEAVING -> STEADY            priced anew, or waiting for what hindered it
                 |          |
                 |          +-----> TAKING -> SETTLING    by option, after the last price
                 +----------------> SETTLING -> OVER      filled, or skipped

STEADY waits for a stable price, both venues, the wanted edge and even legs. RESTING has a post-only order in the book.
LEAVING has asked for its end and waits until that is certain and every fill up to it is booked: a cancel may lose to a
fill. SETTLING waits until the legs are even. An order never asks for more than the clip less what is open already, so
that the unhedged amount stays within one clip whatever fills.
"""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Final

from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.quote import Sweep
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context
from perpmaker.strategies.pair.direction import Rules, maker_px
from perpmaker.strategies.pair.hedger import Hedger, Rung
from perpmaker.strategies.pair.holdings import ZERO, Holdings
from perpmaker.strategies.pair.params import MakerParams
from perpmaker.strategies.pair.sizes import smallest_qty, towards_zero
from perpmaker.strategies.pair.stability import Stability
from perpmaker.strategies.pair.standing import CANCEL_AGAIN_NS, NEVER_STOOD, REFUSAL_PAUSE_NS, as_it_stands

LATE_HEDGE_S: Final = 2.0
"""A hedge open for longer ends the resting order: nothing more may fill before the legs are even again."""
MAX_REFUSALS: Final = 5
"""Orders in a row that the gate or the venue did not let stand."""
TAKE_PATIENCE_NS: Final = 20 * NS_PER_S
"""How long taking waits for what hinders it before the clip is skipped."""
TAKE_MS: Final = 5_000
"""How long it takes on the lead at most: a late hedge must not wait for it."""


class Stage(enum.Enum):
    """Where a clip stands."""

    STEADY = "steady"
    RESTING = "resting"
    LEAVING = "leaving"
    TAKING = "taking"
    SETTLING = "settling"
    OVER = "over"


class ClipWorld:
    """What a clip is decided from, besides the context: shared by all clips of a pair."""

    def __init__(
        self,
        lead: InstrumentId,
        hedge: InstrumentId,
        maker: MakerParams,
        *,
        holdings: Holdings,
        hedger: Hedger,
        stability: Stability,
        rules: Rules,
    ) -> None:
        self.lead, self.hedge, self.maker = lead, hedge, maker
        self.holdings, self.hedger, self.stability, self.rules = holdings, hedger, stability, rules


class Clip:
    """Moves the lead by up to `size` on `side`, of which the pair's unhedged amount is never more than `size`."""

    def __init__(
        self, world: ClipWorld, side: Side, size: Decimal, wanted: Decimal, least_edge_bps: float | None
    ) -> None:
        self.side = side
        self.size = size
        self.wanted = wanted
        """The pair's position on the lead that it leads to."""
        self.least_edge_bps = least_edge_bps
        self.stage = Stage.STEADY
        self.text = ""
        """What it waits for, for people."""
        self.reprices = 0
        self.skipped = False
        self.refused = ""
        """Why its orders were not let stand, when that is what ended it."""
        self.order: ClientOrderId | None = None
        """The resting order, None while there is none."""
        self._world = world
        self._start_qty = self._lead_qty
        self._view: OrderView | None = None
        self._placed_ns = 0
        self._not_before_ns = 0
        self._cancelled_ns = 0
        self._timed_out = False
        self._refusals = 0
        self._take: Sweep | None = None

    @property
    def is_over(self) -> bool:
        return self.stage is Stage.OVER

    @property
    def filled(self) -> Decimal:
        """Moved so far on the lead, > 0."""
        return self.side.sign * (self._lead_qty - self._start_qty)

    def left(self, ctx: Context) -> Decimal:
        """What the lead may still be moved by, rounded down to its lot."""
        to_go = self.side.sign * (self.wanted - self._lead_qty)
        return max(towards_zero(min(self.size - self.filled, to_go), ctx.instrument(self._world.lead).lot), ZERO)

    def on_order(self, view: OrderView) -> None:
        """An order of the pair changed its state."""
        if self.order is not None and view.client_order_id == self.order:
            self._view = view

    def withdraw(self, ctx: Context, why: str) -> None:
        """End the resting order; the clip goes on by itself when nothing hinders it any more."""
        if self.stage is Stage.RESTING:
            self._leave(ctx, why)

    def step(self, ctx: Context, *, hold: str = "") -> None:
        """Go on. With `hold` nothing new is placed, for that reason, and what rests or takes on the lead is withdrawn."""
        for _ in range(6):
            before = self.stage
            match before:
                case Stage.STEADY:
                    self._steady(ctx, hold)
                case Stage.RESTING:
                    self._rest(ctx, hold)
                case Stage.LEAVING:
                    self._leaving(ctx)
                case Stage.TAKING:
                    self._taking(ctx, hold)
                case Stage.SETTLING:
                    self._settle()
                case Stage.OVER:
                    return
            if self.stage is before:
                return

    # --- stages

    def _steady(self, ctx: Context, hold: str) -> None:
        world, now_ns = self._world, ctx.now_ns()
        qty = self._order_qty(ctx)
        if not qty:
            self.stage = Stage.SETTLING
            return
        why = hold or self._hindrance(ctx)
        if not why and not world.hedger.is_calm:
            why = "waits for the hedge"
        if not why and now_ns < self._not_before_ns:
            return
        px = maker_px(ctx, world.lead, self.side, world.maker.inside_ticks)
        if not why and px is None:
            why = "no fresh book"
        if why or px is None:
            self.text = why
            return
        why = self._too_early(ctx, qty, px)
        if why:
            self.text, self._not_before_ns = why, now_ns + round(world.maker.stability_retry_s * NS_PER_S)
            return
        self._place(ctx, qty, px)

    def _rest(self, ctx: Context, hold: str) -> None:
        world, view = self._world, self._look(ctx)
        if view is not None and view.state.is_terminal:
            self.stage = Stage.LEAVING
            return
        rested_s = (ctx.now_ns() - self._placed_ns) / NS_PER_S
        self.text = f"rests for {rested_s:.0f} s"
        why = hold or self._hindrance(ctx)
        if not why and self._hedge_is_late(ctx):
            why = "the hedge is late"
        if not why and rested_s >= world.maker.timeout_s:
            why, self._timed_out = "its time is up", True
        if why:
            self._leave(ctx, why)

    def _leave(self, ctx: Context, why: str) -> None:
        self.stage, self.text = Stage.LEAVING, why
        self._cancel(ctx)

    def _cancel(self, ctx: Context) -> None:
        """Cancel the order while it stands; one in question is found out about, and cancelled, by the engine."""
        view, now_ns = self._look(ctx), ctx.now_ns()
        stands = view is not None and view.state is OrderState.OPEN
        if self.order is not None and stands and now_ns - self._cancelled_ns >= CANCEL_AGAIN_NS:
            self._cancelled_ns = now_ns
            ctx.cancel(self.order)

    def _leaving(self, ctx: Context) -> None:
        """Wait until the order's end is certain and all it filled is booked; then decide how to go on."""
        world, view = self._world, self._look(ctx)
        if self.order is None or view is None:
            return
        if not view.state.is_terminal:
            self._cancel(ctx)
            return
        if world.holdings.filled(self.order) < view.cum_qty:
            self.text = "fills are still to be booked"
            return
        world.holdings.over(self.order)
        never_stood = view.state in NEVER_STOOD or (not self._cancelled_ns and not view.cum_qty)
        self._refusals = self._refusals + 1 if never_stood else 0
        self.order = self._view = None
        if never_stood:
            self.text, self._not_before_ns = view.reason or view.state.value, ctx.now_ns() + REFUSAL_PAUSE_NS
        self._after_order(ctx)

    def _after_order(self, ctx: Context) -> None:
        maker = self._world.maker
        if not self.left(ctx):
            self.stage = Stage.SETTLING
            return
        if self._refusals >= MAX_REFUSALS:
            self.skipped, self.refused, self.stage = True, self.text, Stage.SETTLING
            return
        if self._timed_out:
            self._timed_out = False
            self.reprices += 1
            if self.reprices > maker.reprices:
                if maker.on_timeout == "take" and self._order_qty(ctx):
                    self._take = None
                    self._placed_ns, self.stage = ctx.now_ns(), Stage.TAKING
                else:
                    self.skipped, self.stage = True, Stage.SETTLING
                return
        self.stage = Stage.STEADY

    def _taking(self, ctx: Context, hold: str) -> None:
        """Take the rest on the lead, as long as nothing holds it up; the hedge follows each fill as ever."""
        world = self._world
        report = ctx.execution(world.lead)
        at_work = report is not None and report.state != "ended"
        if self._take is not None and at_work and (hold or self._hedge_is_late(ctx)):
            self.text = hold or "the hedge is late"
            ctx.target(world.lead, ctx.proven_qty(world.lead), self._take)  # places nothing more
            return
        if self._take is not None and not at_work and ctx.now_ns() > self._placed_ns:
            self.skipped = bool(self._order_qty(ctx))
            self.stage = Stage.SETTLING
            return
        if self._take is None:
            why = hold or self._hindrance(ctx)
            if why or at_work:
                self.text = why or "an order of the pair is at work"
                if ctx.now_ns() - self._placed_ns >= TAKE_PATIENCE_NS:
                    self.skipped, self.stage = True, Stage.SETTLING
                return
            self._take = Sweep(max_slippage_bps=world.maker.take_max_slippage_bps, aim_children=20, deadline_ms=TAKE_MS)
            self._placed_ns = ctx.now_ns()
            leg = world.holdings.legs[world.lead]
            ctx.target(world.lead, leg.other_qty + leg.qty + self.side.sign * self._order_qty(ctx), self._take)
            self.text = "takes on both venues"

    def _settle(self) -> None:
        """Over once the legs are even: then each leg's quantity, from its own trades, has its counterpart."""
        self.text = "waits for the hedge"
        if self._world.hedger.is_calm:
            self.stage = Stage.OVER

    # --- inside

    @property
    def _lead_qty(self) -> Decimal:
        return self._world.holdings.legs[self._world.lead].qty

    def _order_qty(self, ctx: Context) -> Decimal:
        """Return the next order's quantity: what is left, less what is open in the same direction; 0 if too small."""
        world = self._world
        rules = ctx.instrument(world.lead)
        open_qty = max(self.side.sign * world.holdings.delta, ZERO)
        qty = towards_zero(min(self.left(ctx), self.size - open_qty), rules.lot)
        return qty if qty >= smallest_qty(rules, ctx.mark_px(world.lead) or ZERO) else ZERO

    def _hedge_is_late(self, ctx: Context) -> bool:
        hedger = self._world.hedger
        return hedger.rung not in (Rung.CALM, Rung.HEDGING) or hedger.open_since_s(ctx.now_ns()) > LATE_HEDGE_S

    def _hindrance(self, ctx: Context) -> str:
        """Why the lead must not rest: it, or the venue that would have to hedge it, cannot trade."""
        for name in (self._world.lead, self._world.hedge):
            why = ctx.hindrance(name)
            if why:
                return f"{name}: {why}"
        return ""

    def _too_early(self, ctx: Context, qty: Decimal, px: Decimal) -> str:
        world = self._world
        if self.least_edge_bps is not None:
            edge = world.rules.edge_bps(ctx, self.side, qty, px)
            if edge is None or edge < self.least_edge_bps:
                why = f" ({world.rules.rate.problem})" if world.rules.rate.problem else ""
                found = f"unknown{why}" if edge is None else f"{edge:.2f} bps"
                return f"edge {found}, wanted {self.least_edge_bps:g} bps"
        stable = world.stability.is_stable(ctx.now_ns())
        if stable is None:
            return "the price is being watched"
        return "" if stable else "the price is not stable"

    def _place(self, ctx: Context, qty: Decimal, px: Decimal) -> None:
        world = self._world
        self.order = ctx.submit(world.lead, self.side, qty, px, post_only=True, tag="pair")
        world.holdings.placed(self.order, qty)
        self._view, self._placed_ns, self._cancelled_ns = None, ctx.now_ns(), 0
        self.stage, self.text = Stage.RESTING, "rests"

    def _look(self, ctx: Context) -> OrderView | None:
        self._view = as_it_stands(ctx, self._world.lead, self.order, self._view)
        return self._view
