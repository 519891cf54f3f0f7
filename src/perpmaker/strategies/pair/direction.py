"""Which side the lead takes, and what a clip is expected to earn."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from perpmaker.model.book import Book
from perpmaker.model.depth import bbo, price_for
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context
from perpmaker.strategies.pair.params import LegParams, RuleParams
from perpmaker.strategies.pair.rates import HedgeRate

SAMPLE_NS: Final = NS_PER_S
WARM_SAMPLES: Final = 60
_BPS: Final = 1e4
HAIRCUT: Final = Decimal("0.7")


class Basis:
    """The hedge's mid over the lead's in one currency, in bps, with its running mean and deviation."""

    def __init__(self, window_s: float) -> None:
        self.bps: float | None = None
        self._decay = math.exp(-SAMPLE_NS / NS_PER_S / window_s)
        self._mean = self._variance = 0.0
        self._count = 0
        self._sampled_ns = 0

    def on_mids(self, now_ns: int, lead_mid: float, hedge_mid: float, rate: float) -> None:
        """Take in the mids; `rate` is what one unit of the hedge's currency is worth in the lead's."""
        self.bps = (hedge_mid * rate / lead_mid - 1) * _BPS
        if now_ns - self._sampled_ns < SAMPLE_NS:
            return
        self._sampled_ns = now_ns
        self._count += 1
        weight = max(1 - self._decay, 1 / self._count)
        gap = self.bps - self._mean
        self._mean += weight * gap
        self._variance = (1 - weight) * (self._variance + weight * gap * gap)

    @property
    def z(self) -> float | None:
        """Distance from the mean in deviations; None until a minute was seen, or while nothing moves."""
        if self.bps is None or self._count < WARM_SAMPLES or self._variance <= 0:
            return None
        return (self.bps - self._mean) / math.sqrt(self._variance)


class Rules:
    """The direction rule at work. Sides are the lead's."""

    def __init__(self, params: RuleParams, legs: LegParams) -> None:
        self.basis = Basis(params.basis_window_s)
        self._params = params
        self._legs = legs
        self._lead, self._hedge = legs.instrument, InstrumentId(legs.hedge_instrument)
        self.rate = HedgeRate(self._lead, self._hedge, legs.max_rate_age_s)

    def on_books(self, ctx: Context, lead: Book | None, hedge: Book | None) -> None:
        rate = self.rate.now(ctx)
        if rate is None:
            self.basis.bps = None
        elif lead is not None and hedge is not None:
            self.basis.on_mids(ctx.now_ns(), lead.mid, hedge.mid, float(rate))

    def side(self, ctx: Context, cycle: int) -> Side | str:
        """Return the side that builds now, or what it waits for."""
        p = self._params
        if p.direction in ("buy", "sell"):
            return Side(p.direction)
        if p.direction == "alternating":
            first = Side(p.first_side)
            return first if cycle % 2 == 0 else first.opposite
        if p.direction == "basis":
            z = self.basis.z
            if z is None:
                return self.rate.problem or "the basis is being measured"
            if abs(z) < p.entry_z:
                return f"basis z {z:.2f} is inside {p.entry_z:g}"
            return Side.BUY if z > 0 else Side.SELL
        earned = self.funding_bps(ctx)
        if earned is None:
            return "funding rates are not known yet"
        if abs(earned) < p.funding_entry_bps:
            return f"funding earns {abs(earned):.2f} bps a day, less than {p.funding_entry_bps:g}"
        return Side.BUY if earned > 0 else Side.SELL

    def may_close(self, ctx: Context, side: Side) -> bool:
        """Return whether a position built with `side` has served: only basis and funding can say so early."""
        p = self._params
        if p.direction == "basis":
            z = self.basis.z
            return z is not None and side.sign * z <= p.exit_z
        if p.direction == "funding":
            earned = self.funding_bps(ctx)
            return earned is not None and side.sign * earned < p.funding_exit_bps
        return False

    def funding_bps(self, ctx: Context) -> float | None:
        """Return what a day of funding earns with a long lead and a short hedge, in bps of one leg's notional."""
        rates: list[float] = []
        for name in (self._lead, self._hedge):
            rate = ctx.funding_rate(name)
            if rate is None:
                return None
            rates.append(float(rate) * 24 / ctx.instrument(name).funding_interval_h)
        return (rates[1] - rates[0]) * _BPS

    def edge_bps(self, ctx: Context, side: Side, qty: Decimal, px: Decimal) -> float | None:
        """Return what a clip earns after both venues' fees when the lead fills at `px` and the hedge takes at once.

        None while the hedge's book is not known, or does not show enough, or its currency's worth is not known.
        """
        book, rate = ctx.book(self._hedge), self.rate.now(ctx)
        if book is None or rate is None:
            return None
        priced = price_for(book, qty, side.opposite, haircut=HAIRCUT)
        if priced is None or not priced.is_enough:
            return None
        return float(side.sign * (priced.vwap * rate - px) / px - self._legs.fees(ctx)) * _BPS


def maker_px(ctx: Context, instrument: InstrumentId, side: Side, inside_ticks: int) -> Decimal | None:
    """Return the touch, or so many ticks inside it, but never a price that would take."""
    book = ctx.book(instrument)
    top = None if book is None else bbo(book)
    if book is None or top is None:
        return None
    if side is Side.BUY:
        return book.instrument.px(min(book.bid_ticks + inside_ticks, book.ask_ticks - 1))
    return book.instrument.px(max(book.ask_ticks - inside_ticks, book.bid_ticks + 1))
