"""One side's quote as a single order: another follows only once the end of the one before is certain and booked.

A replacement would be faster, but a cancel may lose to a fill: then the old order and the new one both fill, and twice
what may be unhedged is.
"""

from __future__ import annotations

from typing import Final

from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.quote import Quote
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context
from perpmaker.strategies.pair.holdings import Holdings

CANCEL_AGAIN_NS: Final = 2 * NS_PER_S
REFUSAL_PAUSE_NS: Final = NS_PER_S
NEVER_STOOD: Final = (OrderState.REJECTED, OrderState.DENIED, OrderState.NOT_SENT, OrderState.RETIRED)
_BPS: Final = 1e4


class StandingQuote:
    """Keeps at most one order of a side in the book. `step` with what is wanted, or with None for nothing."""

    def __init__(self, instrument: InstrumentId, side: Side) -> None:
        self.side = side
        self.order: ClientOrderId | None = None
        """The order that stands, or whose end is not certain yet."""
        self._instrument = instrument
        self._view: OrderView | None = None
        self._cancelled_ns = 0
        self._not_before_ns = 0

    def on_order(self, view: OrderView) -> None:
        """An order of the strategy changed its state."""
        if self.order is not None and view.client_order_id == self.order:
            self._view = view

    def step(self, ctx: Context, holdings: Holdings, wanted: Quote | None) -> None:
        """Place, keep or withdraw."""
        if self.order is not None:
            self._tend(ctx, holdings, wanted)
        if self.order is None and wanted is not None and self._may_place(ctx):
            px = ctx.instrument(self._instrument).round_px(wanted.px, self.side)
            self.order = ctx.submit(self._instrument, self.side, wanted.qty, px, post_only=True, tag="pair")
            holdings.placed(self.order, wanted.qty)
            self._view, self._cancelled_ns = None, 0

    def _may_place(self, ctx: Context) -> bool:
        """Not right after a refusal, and not beside what an earlier life has left in the book."""
        others = any(view.side is self.side for view in ctx.open_orders(self._instrument))
        return not others and ctx.now_ns() >= self._not_before_ns

    def _tend(self, ctx: Context, holdings: Holdings, wanted: Quote | None) -> None:
        view = self._look(ctx)
        if self.order is None or view is None:
            return
        if view.state.is_terminal:
            if holdings.filled(self.order) < view.cum_qty:
                return  # its fills are still to be booked
            holdings.over(self.order)
            if view.state in NEVER_STOOD:
                self._not_before_ns = ctx.now_ns() + REFUSAL_PAUSE_NS
            self.order = self._view = None
        elif wanted is None or not self._is_good(view, wanted):
            again = ctx.now_ns() - self._cancelled_ns >= CANCEL_AGAIN_NS
            if view.state is OrderState.OPEN and again:  # one in question is found out about by the engine
                self._cancelled_ns = ctx.now_ns()
                ctx.cancel(self.order)

    def _is_good(self, view: OrderView, wanted: Quote) -> bool:
        """Whether it is near enough to the wanted price, and no larger."""
        if view.px is None or view.leaves_qty > wanted.qty:
            return False
        return abs(float(view.px) / float(wanted.px) - 1) * _BPS <= wanted.tolerance_bps

    def _look(self, ctx: Context) -> OrderView | None:
        self._view = as_it_stands(ctx, self._instrument, self.order, self._view)
        return self._view


def as_it_stands(
    ctx: Context, instrument: InstrumentId, order: ClientOrderId | None, told: OrderView | None
) -> OrderView | None:
    """Return an order as it stands: what is live is asked for, what has ended was told."""
    if order is None or (told is not None and told.state.is_terminal):
        return told
    live = (view for view in ctx.open_orders(instrument) if view.client_order_id == order)
    return next(live, told)
