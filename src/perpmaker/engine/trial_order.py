"""The order of a trial: the smallest one, post-only, far from the market; placed and cancelled when it is told to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.strategies.api import Context, Strategy, StrategyParams

PLACE, CANCEL = "place", "cancel"
"""Keys of the timers that are its commands."""
TAG: Final = "trial"
_OF_COLLAR: Final = Decimal("0.8")
_MOST_BPS: Final = Decimal(500)
_BPS: Final = Decimal(10_000)


class Wanted(msgspec.Struct, frozen=True):
    """What is placed: as far away as the price collar lets it be, with room to spare. `px` quote, `qty` base units."""

    side: Side
    px: Decimal
    qty: Decimal
    distance_bps: Decimal
    """From the reference that is nearest to it."""


def wanted_order(instrument: Instrument, side: Side, references: Sequence[Decimal], collar_bps: Decimal) -> Wanted:
    """Return the smallest order that the venue takes at four fifths of the collar, at most 500 bps, from `references`.

    A buy is measured from the highest of them and a sell from the lowest, so that it is inside the collar of each.
    """
    distance_bps = min(collar_bps * _OF_COLLAR, _MOST_BPS)
    nearest = max(references) if side is Side.BUY else min(references)
    px = instrument.round_px(nearest * (1 - side.sign * distance_bps / _BPS), side.opposite)
    least = max(instrument.min_qty, instrument.min_notional / px)
    qty = instrument.lot * max(1, math.ceil(least / instrument.lot))
    return Wanted(side, px, qty, abs(nearest - px) / nearest * _BPS)


class TrialOrder(Strategy[StrategyParams]):
    """Places one order on the command PLACE and cancels it on CANCEL. What became of it is in `view`."""

    kind: ClassVar[str] = "trial_order"

    def __init__(self, instrument: InstrumentId, collar_bps: Decimal) -> None:
        super().__init__(StrategyParams(instrument=instrument))
        self._collar_bps = collar_bps
        self.wanted: Wanted | None = None
        self.client_order_id: ClientOrderId | None = None
        self.view: OrderView | None = None

    @property
    def refusal(self) -> str:
        """Why the order did not pass the gate, "" when it did."""
        view = self.view
        return view.reason if view is not None and view.state is OrderState.DENIED else ""

    def on_book(self, ctx: Context, book: Book) -> None:
        """Hear of the book, so that the order can be laid away from it."""

    def on_order(self, ctx: Context, order: OrderView) -> None:
        self.view = order

    def on_timer(self, ctx: Context, key: str) -> None:
        if key == PLACE and self.client_order_id is None:
            self._place(ctx)
        elif key == CANCEL and self.client_order_id is not None:
            ctx.cancel(self.client_order_id)

    def _place(self, ctx: Context) -> None:
        """Place it on the side that would lessen a position, were it ever to fill."""
        name = self.params.instrument
        book, mark_px = ctx.raw_book(name), ctx.mark_px(name)
        if book is None or mark_px is None:
            return
        index_px = ctx.index_px(name)
        instrument = ctx.instrument(name)
        mid_px = (instrument.px(book.bid_ticks) + instrument.px(book.ask_ticks)) / 2
        references = [mark_px, mid_px, *([] if index_px is None else [index_px])]
        side = Side.SELL if ctx.position(name).qty > 0 else Side.BUY
        self.wanted = wanted_order(instrument, side, references, self._collar_bps)
        self.client_order_id = ctx.submit(name, side, self.wanted.qty, self.wanted.px, post_only=True, tag=TAG)
