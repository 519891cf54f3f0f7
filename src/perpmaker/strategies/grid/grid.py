"""The grid: static orders on lines of prices; what a line fills is sold or bought back one line further.

The cells (`cells.py`) are a fold over the account's fills, remembered after each of them; at a start the fills that came
meanwhile are folded in, and what the account really holds has the last word. So a restart goes on where it was, whatever
had become of the orders: they are stated anew from the cells. docs/explanation/grid.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from perpmaker.model.book import Book
from perpmaker.model.events import BookStale, Connectivity, Fill
from perpmaker.model.execution import Ending, ExecutionReport
from perpmaker.model.order import OrderView, Side
from perpmaker.model.quote import Sweep
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Booked, Context, Explained, Strategy, StrategyParams, Subscription
from perpmaker.strategies.caution import Caution, Tier
from perpmaker.strategies.estimators.volatility import VolatilityEstimator
from perpmaker.strategies.grid.cells import ZERO, Cells
from perpmaker.strategies.grid.idle import idle_keys
from perpmaker.strategies.grid.layout import Site, lay_out, least_qty, next_cell
from perpmaker.strategies.grid.memo import Memo, Phase, cells_of, decode, encode, keys_of
from perpmaker.strategies.grid.numbering import Numbering
from perpmaker.strategies.grid.orders import Wanted, ladder, wanted_orders
from perpmaker.strategies.grid.params import GridParams
from perpmaker.strategies.grid.shown import levels_text, totals_shown
from perpmaker.strategies.quoting.models import fee_or_assumed

_REFRESH: Final = "refresh"
_WARM_S: Final = 60.0
_MOST_SHIFTS: Final = 200
_ADOPT_AFTER: Final = 3
"""Looks in a row at which the account has to hold something else than the cells before they follow it."""


class Grid(Strategy[GridParams]):
    """Buy low, sell high, line by line."""

    kind: ClassVar[str] = "grid"
    params_type: ClassVar[type[StrategyParams]] = GridParams

    def __init__(self, params: GridParams) -> None:
        super().__init__(params)
        self._cells: Cells | None = None
        self._phase: Phase = "waiting"
        self._fills = 0
        self._question = ""
        self._seed_qty = self._seed_px = ZERO
        self._pnl_from = self._lost = ZERO
        self._caution = Caution()
        self._idle = idle_keys(params)
        self._volatility = VolatilityEstimator(half_life_s=60.0, typical_half_life_s=1800.0)
        self._numbering = Numbering()
        self._outside_since_ns = 0
        self._looks_off = 0
        self._reason = ""

    def subscriptions(self) -> Sequence[Subscription]:
        return (Subscription(self.params.instrument, book_interval_ms=250),)

    # --- hooks

    def on_start(self, ctx: Context) -> None:
        memo = decode(ctx.recall())
        if memo is None or memo.keys != keys_of(self.params):
            self._fills = ctx.booked_count()
        else:
            self._phase, self._fills, self._question = memo.phase, memo.fills, memo.question
            self._seed_qty, self._seed_px = memo.seed_qty, memo.seed_px
            self._pnl_from, self._lost = memo.pnl_from, memo.lost
            self._cells = cells_of(memo) if memo.cells else None
            if self._question:
                ctx.ask(self._question)
        if self._idle:
            told = {one.name: one.text for one in self._idle}
            ctx.notice("warning", "parameters_inert", {"instrument": self.params.instrument, **told})
        self._renumber(ctx)
        self._fold(ctx)
        self._follow_account(ctx, at_once=True)
        self._refresh(ctx)

    def on_book(self, ctx: Context, book: Book) -> None:
        self._volatility.update(ctx.now_ns(), book.mid)
        self._look(ctx)

    def on_order(self, ctx: Context, order: OrderView) -> None:
        self._numbering.note(order)

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self._fold(ctx)
        self._look(ctx)

    def on_execution(self, ctx: Context, report: ExecutionReport) -> None:
        if self._phase == "seeding" and report.order.target_qty == self._seed_qty:
            if report.ending is not Ending.DONE:
                fields = {
                    "instrument": self.params.instrument,
                    "remaining": str(report.remaining_qty),
                    "text": report.text,
                }
                ctx.notice("warning", "grid_seed_incomplete", fields)
            self._enter(ctx, "working")
            self._look(ctx)

    def on_timer(self, ctx: Context, key: str) -> None:
        self._refresh(ctx)

    def on_answer(self, ctx: Context, answer: str) -> None:
        if answer == "continue" and self._phase == "stopped":
            self._question, self._lost = "", ZERO
            self._enter(ctx, "waiting")
            self._look(ctx)

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        self._look(ctx)

    def on_stop(self, ctx: Context) -> None:
        ctx.cancel_all(self.params.instrument)

    # --- looking

    def _refresh(self, ctx: Context) -> None:
        ctx.set_timer(_REFRESH, ctx.now_ns() + round(self.params.refresh_interval_s * NS_PER_S))
        book = ctx.book(self.params.instrument)
        if book is not None:
            self._volatility.update(ctx.now_ns(), book.mid)
        self._fold(ctx)
        self._follow_account(ctx)
        self._look(ctx)

    def _look(self, ctx: Context) -> None:
        """Do what the phase asks for; a change of phase is followed at once."""
        book = ctx.book(self.params.instrument)
        if book is None:
            ctx.quote(self.params.instrument)
            self._explain(ctx, None, ("no fresh book",))
            return
        self._mind_loss(ctx, book)
        for _ in range(3):
            before = self._phase
            orders, reasons = self._step(ctx, book)
            if self._phase == before:
                break
        ctx.quote(self.params.instrument, *ladder(orders, book))
        self._explain(ctx, book, reasons)

    def _step(self, ctx: Context, book: Book) -> tuple[Sequence[Wanted], Sequence[str]]:
        """Return the orders wanted now and why others are missing."""
        if self._phase == "waiting":
            self._reason = self._begin(ctx, book)
            return (), (self._reason,) if self._reason else ()
        if self._phase == "seeding":
            return (), (self._seed(ctx),)
        if self._phase == "leaving":
            return (), (self._leave(ctx),)
        if self._phase == "stopped":
            return (), (f"stopped: {self._why_stopped()}",)
        return self._work(ctx, book)

    def _begin(self, ctx: Context, book: Book) -> str:
        """Lay out the grid, or say why not yet."""
        p, mid = self.params, book.mid
        if p.activate_above_px is not None and mid < p.activate_above_px:
            return f"begins at {p.activate_above_px:g} or above"
        if p.activate_below_px is not None and mid > p.activate_below_px:
            return f"begins at {p.activate_below_px:g} or below"
        if self._opens_nothing and not ctx.position(p.instrument).qty:
            return self._opens_nothing
        laid = self._laid_out(ctx, book)
        if isinstance(laid, str):
            return laid
        px = _decimal(mid)
        if self._cells is not None:
            laid.take_over(self._cells, px)
        self._cells = laid
        self._renumber(ctx)
        off = laid.adopt(ctx.position(p.instrument).qty, px)
        if off:
            ctx.notice("info", "grid_took_position_over", {"instrument": p.instrument, "qty": str(off)})
        self._pnl_from = self._pnl(book)
        self._enter(ctx, "working")
        if p.seed:
            self._begin_seeding(ctx, book)
        return ""

    def _laid_out(self, ctx: Context, book: Book) -> Cells | str:
        p = self.params
        sigma = None
        if p.spacing == "volatility":
            reading = self._volatility.sigma()
            if reading is None or self._volatility.observed_s < _WARM_S:
                return f"volatility is being measured: {self._volatility.observed_s:.0f} of {_WARM_S:.0f} s"
            sigma = reading.sigma
        site = Site(
            instrument=ctx.instrument(p.instrument),
            mid=book.mid,
            maker_fee=fee_or_assumed(ctx.maker_fee(p.instrument), p.assumed_maker_fee_bps),
            limit_notional=float(ctx.max_position_notional()),
            sigma=sigma,
            order_notional=self._order_notional(ctx),
        )
        return lay_out(p, site)

    def _order_notional(self, ctx: Context) -> Decimal:
        """Return the size of a cell that is laid out now."""
        share = self.params.order_equity_frac
        return self.params.order_notional if share is None else max(ZERO, ctx.equity()) * _decimal(share)

    # --- seeding and leaving

    def _begin_seeding(self, ctx: Context, book: Book) -> None:
        """Take what the cells beyond the price are there to close; a neutral grid has none of those."""
        if self.params.mode == "neutral" or self._cells is None or self._opens_nothing:
            return
        side, px = (Side.BUY if self.params.mode == "long" else Side.SELL), _decimal(book.mid)
        wanted = sum(
            (
                cell.qty
                for cell in self._cells.cells
                if not cell.open_qty and side.sign * ((cell.lower_px + cell.upper_px) / 2 - px) >= 0
            ),
            ZERO,
        )
        if wanted >= least_qty(ctx.instrument(self.params.instrument), px):
            self._seed_qty, self._seed_px = self._cells.held + side.sign * wanted, px
            self._enter(ctx, "seeding")

    def _seed(self, ctx: Context) -> str:
        instrument = self.params.instrument
        distance = abs(self._seed_qty - ctx.position(instrument).qty)
        if distance < least_qty(ctx.instrument(instrument), self._seed_px):
            self._enter(ctx, "working")
            return ""
        if self._opens_nothing:
            ctx.target(instrument, ctx.proven_qty(instrument), self._sweep)  # takes nothing more
            self._enter(ctx, "working")
            return self._opens_nothing
        ctx.target(instrument, self._seed_qty, self._sweep)
        return f"seeding: takes {distance} more"

    def _leave(self, ctx: Context) -> str:
        instrument = self.params.instrument
        held = ctx.position(instrument).qty
        if abs(held) < ctx.instrument(instrument).lot:
            self._stop(ctx)
            return ""
        ctx.target(instrument, ZERO, self._sweep)
        return f"{self._why_stopped()}: flattens {held}"

    @property
    def _sweep(self) -> Sweep:
        return Sweep(max_slippage_bps=self.params.seed_slippage_bps)

    @property
    def _opens_nothing(self) -> str:
        """Why nothing is opened, laid out or seeded now, "" when it may be."""
        return f"opens nothing: {self._caution.text}" if self._caution.tier >= Tier.REDUCE else ""

    def _mind_loss(self, ctx: Context, book: Book) -> None:
        """Leave once closings, fees and what is open have lost as much as is allowed, here or in the whole account."""
        if self._caution.update(ctx.loss_used()) is Tier.FLATTEN and self._phase in ("seeding", "working"):
            self._enter(ctx, "leaving")
            return
        limit, cells = self.params.stop_loss, self._cells
        if limit is None or cells is None or self._phase not in ("seeding", "working"):
            return
        made = self._pnl(book) - self._pnl_from
        if made <= -limit:
            self._lost = -made
            fields = {"instrument": self.params.instrument, "lost": f"{-made:.2f}", "stop_loss": str(limit)}
            ctx.notice("warning", "grid_stop_loss", fields)
            self._enter(ctx, "leaving")

    def _pnl(self, book: Book) -> Decimal:
        """Return all the grid has made so far at this price."""
        if self._cells is None:
            return ZERO
        totals = self._cells.totals(_decimal(book.mid))
        return totals.profit - totals.fees + totals.inventory_pnl

    def _why_stopped(self) -> str:
        if self._caution.tier is Tier.FLATTEN:
            return self._caution.text
        return f"stop loss, it lost {self._lost:.2f}" if self._lost else "the price left the grid"

    def _stop(self, ctx: Context) -> None:
        why = self._why_stopped()
        self._question = f"{why[:1].upper()}{why[1:]}. Lay it around the present price?"
        ctx.ask(self._question)
        self._enter(ctx, "stopped")

    # --- working

    def _work(self, ctx: Context, book: Book) -> tuple[Sequence[Wanted], Sequence[str]]:
        cells = self._cells
        if cells is None:
            self._enter(ctx, "waiting")
            return (), ()
        outside = self._outside(ctx, book, cells)
        if self._phase != "working" or self._cells is None:
            return (), ()
        cells = self._cells
        if self.params.reseed and not outside and not cells.held and not ctx.position(self.params.instrument).qty:
            self._begin_seeding(ctx, book)
            if self._phase != "working":
                return (), ()
        rules = ctx.instrument(self.params.instrument)
        least = least_qty(rules, cells.lower_px)
        position, limit = ctx.position(self.params.instrument).qty, ctx.max_position_notional()
        if self._opens_nothing:
            limit, outside = ZERO, self._opens_nothing
        orders, missing = wanted_orders(cells, book, self.params, least=least, position=position, limit_notional=limit)
        return orders, tuple(text for text in (outside, missing) if text)

    def _outside(self, ctx: Context, book: Book, cells: Cells) -> str:
        """Act on a price beyond the lines once it has been there for long enough; returns what is to be said."""
        above, below = book.mid > float(cells.upper_px), book.mid < float(cells.lower_px)
        if not above and not below:
            self._outside_since_ns = 0
            return ""
        now_ns = ctx.now_ns()
        self._outside_since_ns = self._outside_since_ns or now_ns
        where = f"{'above' if above else 'below'} the grid"
        left_s = self.params.out_of_range_s - (now_ns - self._outside_since_ns) / NS_PER_S
        if left_s > 0:
            return (
                f"{where}, {self.params.out_of_range} in {left_s:.0f} s"
                if self.params.out_of_range != "hold"
                else where
            )
        match self.params.out_of_range:
            case "stop":
                self._stop(ctx)
            case "flatten":
                self._enter(ctx, "leaving")
            case "trail":
                self._trail(ctx, book, cells, up=above)
            case "recentre":
                self._enter(ctx, "waiting")
            case "hold":
                pass
        return where

    def _trail(self, ctx: Context, book: Book, cells: Cells, *, up: bool) -> None:
        """Move the lines, cell by cell, until the price is inside again."""
        rules = ctx.instrument(self.params.instrument)
        for _ in range(_MOST_SHIFTS):
            if not (book.mid > float(cells.upper_px) if up else book.mid < float(cells.lower_px)):
                break
            cell = next_cell(cells, self.params, rules, book.mid, up=up, notional=self._order_notional(ctx))
            if cell is None:
                break
            cells.shift(cell, up=up)
        self._outside_since_ns = 0
        self._renumber(ctx)
        self._remember(ctx)
        fields = {
            "instrument": self.params.instrument,
            "lower_px": str(cells.lower_px),
            "upper_px": str(cells.upper_px),
        }
        ctx.notice("info", "grid_trailed", fields)

    # --- fills

    def _renumber(self, ctx: Context) -> None:
        self._numbering.begin(ctx.open_orders(self.params.instrument))

    def _fold(self, ctx: Context) -> None:
        """Take in the fills that were booked since the last look."""
        booked = ctx.booked(self._fills)
        for one in booked:
            self._fills = one.number
            if self._cells is not None:
                self._take(self._cells, one)
        if booked and self._cells is not None:
            self._looks_off = 0
            self._remember(ctx)

    def _take(self, cells: Cells, booked: Booked) -> None:
        fill = booked.fill
        number = self._numbering.cell_of(fill.client_order_id)
        if number is None and booked.by == "own" and self._phase != "seeding":
            number = cells.find(fill.side, fill.px)
        if number is not None and number < len(cells.cells):
            cells.book(number, fill.side, fill.qty, fill.px, fill.fee)
            return
        cells.gone_fees += fill.fee
        cells.spread(fill.side, fill.qty, fill.px, at=self._seed_px if self._phase == "seeding" else None)

    def _follow_account(self, ctx: Context, *, at_once: bool = False) -> None:
        """Let the account have the last word about what is held, once no fill explains the difference for some looks."""
        cells, book = self._cells, ctx.book(self.params.instrument)
        if cells is None or cells.held == ctx.position(self.params.instrument).qty:
            self._looks_off = 0
            return
        self._looks_off += 1
        if book is None or (self._looks_off < _ADOPT_AFTER and not at_once):
            return
        off = cells.adopt(ctx.position(self.params.instrument).qty, _decimal(book.mid))
        self._looks_off = 0
        self._remember(ctx)
        ctx.notice("warning", "grid_followed_account", {"instrument": self.params.instrument, "qty": str(off)})

    # --- memory and words

    def _enter(self, ctx: Context, phase: Phase) -> None:
        self._phase = phase
        self._outside_since_ns = 0
        self._remember(ctx)

    def _remember(self, ctx: Context) -> None:
        cells = self._cells
        memo = Memo(
            keys=keys_of(self.params),
            phase=self._phase,
            fills=self._fills,
            cells=cells.cells if cells else [],
            gone_profit=cells.gone_profit if cells else ZERO,
            gone_fees=cells.gone_fees if cells else ZERO,
            gone_cycles=cells.gone_cycles if cells else 0,
            question=self._question,
            seed_qty=self._seed_qty,
            seed_px=self._seed_px,
            pnl_from=self._pnl_from,
            lost=self._lost,
        )
        ctx.remember(encode(memo))

    def _explain(self, ctx: Context, book: Book | None, reasons: Sequence[str]) -> None:
        inputs: dict[str, Explained] = {"model": f"grid {self.params.mode}", "phase": self._phase}
        if self._cells is not None:
            cells = self._cells
            inputs |= {"grid_lower": str(cells.lower_px), "grid_upper": str(cells.upper_px)}
            if book is not None:
                inputs |= {"fair": book.mid, **totals_shown(cells.totals(_decimal(book.mid)))}
            if book is not None and self.params.stop_loss is not None:
                made = self._pnl(book) - self._pnl_from
                inputs["stop_loss"] = f"{made:+.2f} so far, closes at -{self.params.stop_loss}"
            inputs["grid_levels"] = levels_text(cells)
        if self._idle:
            inputs["inert"] = tuple(one.text for one in self._idle)
        ctx.explain(self.params.instrument, {**inputs, "reasons": tuple(text for text in reasons if text)})


def _decimal(px: float) -> Decimal:
    return Decimal(repr(px))
