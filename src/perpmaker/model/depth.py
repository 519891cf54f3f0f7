"""What a book offers: best prices, depth, and the price at which a quantity can be had. Pure functions over a `Book`.

`side` is always the side of the order that would take: a BUY meets the asks. Prices and quantities are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side

_BPS = Decimal(10_000)
_ONE = Decimal(1)


class Bbo(msgspec.Struct, frozen=True):
    """Best bid and offer."""

    bid_px: Decimal
    bid_qty: Decimal
    ask_px: Decimal
    ask_qty: Decimal

    @property
    def mid_px(self) -> Decimal:
        return (self.bid_px + self.ask_px) / 2

    @property
    def spread_bps(self) -> Decimal:
        return (self.ask_px - self.bid_px) / self.mid_px * _BPS

    def touch_px(self, side: Side) -> Decimal:
        """The price an order of `side` meets first."""
        return self.ask_px if side is Side.BUY else self.bid_px


class DepthLevel(msgspec.Struct, frozen=True):
    """One level, and everything up to it."""

    px: Decimal
    qty: Decimal
    cum_qty: Decimal
    cum_notional: Decimal

    @property
    def vwap(self) -> Decimal:
        """Average price of taking everything up to this level."""
        return self.cum_notional / self.cum_qty


class PriceFor(msgspec.Struct, frozen=True):
    """What a limit price gets. `covered_qty` is what the book shows at `px` or better, times the haircut asked with."""

    px: Decimal
    covered_qty: Decimal
    is_enough: bool
    """Whether that covers the whole quantity; when not, `px` is the last level inside the cap, or the last one seen."""
    vwap: Decimal
    """Expected average price of what is covered of the quantity."""
    slippage_bps: Decimal
    """Of `vwap` against the touch, > 0 is worse."""


def bbo(book: Book) -> Bbo | None:
    """Return the best prices, None while a side is empty."""
    bids, asks = book.levels(Side.BUY, 1), book.levels(Side.SELL, 1)
    if not bids or not asks:
        return None
    rules = book.instrument
    (bid_ticks, bid_lots), (ask_ticks, ask_lots) = bids[0], asks[0]
    return Bbo(rules.px(bid_ticks), rules.qty(bid_lots), rules.px(ask_ticks), rules.qty(ask_lots))


def depth(book: Book, side: Side, levels: int = 10) -> Sequence[DepthLevel]:
    """Return what an order of `side` would meet, best first."""
    rules = book.instrument
    found: list[DepthLevel] = []
    cum_qty = cum_notional = Decimal(0)
    for ticks, lots in book.levels(side.opposite, levels):
        px, qty = rules.px(ticks), rules.qty(lots)
        cum_qty += qty
        cum_notional += qty * px
        found.append(DepthLevel(px, qty, cum_qty, cum_notional))
    return found


def price_for(
    book: Book,
    qty: Decimal,
    side: Side,
    max_slippage_bps: Decimal | None = None,
    *,
    haircut: Decimal = _ONE,
    levels: int = 50,
) -> PriceFor | None:
    """Return the smallest limit price at which the visible depth times `haircut` covers `qty`.

    Nothing worse than `max_slippage_bps` from the touch is looked at. None when there is nothing to take.
    """
    top = bbo(book)
    if top is None:
        return None
    cap = None if max_slippage_bps is None else worst_px(book.instrument, top.touch_px(side), side, max_slippage_bps)
    return price_inside(book, qty, side, cap, haircut=haircut, levels=levels)


def price_inside(
    book: Book, qty: Decimal, side: Side, cap_px: Decimal | None, *, haircut: Decimal = _ONE, levels: int = 50
) -> PriceFor | None:
    """As `price_for`, with the worst price itself as the cap."""
    covered, taken, notional = Decimal(0), Decimal(0), Decimal(0)
    px = touch_px = None
    for level in depth(book, side, levels):
        if cap_px is not None and (level.px - cap_px) * side.sign > 0:
            break
        px = level.px
        touch_px = px if touch_px is None else touch_px
        offered = level.qty * haircut
        covered += offered
        here = min(offered, qty - taken)
        taken += here
        notional += here * px
        if covered >= qty:
            break
    if px is None or touch_px is None or not taken:
        return None
    vwap = notional / taken
    return PriceFor(px, covered, covered >= qty, vwap, side.sign * (vwap - touch_px) / touch_px * _BPS)


def worst_px(instrument: Instrument, from_px: Decimal, side: Side, max_slippage_bps: Decimal) -> Decimal:
    """Return the worst price on the tick that is at most `max_slippage_bps` from a price: rounded towards it."""
    worst = from_px * (1 + side.sign * max_slippage_bps / _BPS)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (worst / instrument.tick).to_integral_value(rounding) * instrument.tick
