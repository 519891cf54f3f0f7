"""What a pair is going to do, on the books of now: sizes, costs, edges, and what stands in its way. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

import msgspec

from perpmaker.model.book import Book
from perpmaker.model.depth import bbo, price_for
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Side
from perpmaker.strategies.pair.cross_maker import CrossMakerParams, quote_px
from perpmaker.strategies.pair.direction import HAIRCUT
from perpmaker.strategies.pair.params import PairParams
from perpmaker.strategies.pair.sizes import common_lot, smallest_qty, towards_zero

ONE_EXCHANGE: Final = (
    "the legs of a pair must be on different exchanges: own accounts paired on one exchange would trade with each other, "
    "which is wash trading"
)
"""Why two legs on one exchange are refused (REQUIREMENTS §7)."""
_BPS: Final = Decimal(10_000)


class Fee(msgspec.Struct, frozen=True):
    """A rate in bps of notional, > 0 is a cost, and who says so."""

    bps: Decimal
    source: str


class Rate(msgspec.Struct, frozen=True):
    """What one unit of the hedge's currency is worth in the lead's, who says so, and how old that is.

    `rate` is None while it is unknown: nobody told one, or not lately enough; `source` then says which it is.
    """

    rate: Decimal | None
    source: str
    age_s: float | None


class LegPlan(msgspec.Struct, frozen=True):
    """One leg: its rules, what it is quoted at, and what an order of this kind (maker, taker) costs there."""

    account: AccountId
    exchange: str
    instrument: InstrumentId
    quote: str
    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    min_notional: Decimal
    bid_px: Decimal
    ask_px: Decimal
    kind: str
    fee: Fee


class LegMargin(msgspec.Struct, frozen=True):
    """What a leg's largest position needs of its account; None and "" for what the venue has not told.

    `notional` and `available` in the leg's and the account's own currency; `leverage` is the owner's and is never changed.
    """

    account: AccountId
    instrument: InstrumentId
    notional: Decimal
    quote: str
    leverage: Decimal | None = None
    margin_type: str = ""
    available: Decimal | None = None
    currency: str = ""

    @property
    def needed(self) -> Decimal | None:
        """Initial margin, in the leg's quote currency."""
        return None if self.leverage is None or self.leverage <= 0 else self.notional / self.leverage

    @property
    def is_short(self) -> bool:
        """Whether the account has too little for it, as far as both are known in one currency."""
        if self.needed is None or self.available is None or self.quote != self.currency:
            return False
        return self.needed > self.available


class PairPlan(msgspec.Struct, frozen=True):
    """`size` and `clip` are base units that both venues take; edges are what a clip earns now, after both fees.

    `hedge_slippage_bps`: how much worse than the touch a clip's hedge is on the book of now; None: not enough is shown.
    """

    mode: str
    direction: str
    iterations: int
    base: str
    size: Decimal
    clip: Decimal
    clips: int
    lot: Decimal
    least: Decimal
    notional: Decimal
    lead: LegPlan
    hedge: LegPlan
    breakeven_bps: Decimal
    rate: Rate
    buy_edge_bps: Decimal | None
    sell_edge_bps: Decimal | None
    hedge_slippage_bps: Decimal | None
    notes: tuple[str, ...]
    bid_px: Decimal | None = None
    """What making would bid on the lead now, before rounding; None for a pair, and while it would not."""
    offer_px: Decimal | None = None
    margins: tuple[LegMargin, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """What a plan is made for, whatever strategy carries it out. Quantities as they were asked for, in `size_in`."""

    mode: str
    direction: str
    iterations: int
    size: Decimal
    clip: Decimal
    size_in: str
    hedge_cap_bps: Decimal


def plan_pair(params: PairParams, lead: Book, hedge: Book, *, legs: tuple[AccountId, AccountId], maker: Fee, taker: Fee,
              rate: Rate) -> PairPlan:  # fmt: skip
    """Return the plan of a pair; ValueError for what cannot be one, with the reason."""
    wanted = Wanted(
        mode=params.mode,
        direction=params.rule.direction,
        iterations=params.iterations,
        size=params.size,
        clip=params.clip or params.size,
        size_in=params.size_in,
        hedge_cap_bps=params.hedge.max_slippage_bps,
    )
    plan = _plan(wanted, lead, hedge, legs, maker, taker, rate)
    return msgspec.structs.replace(plan, notes=(*plan.notes, *_rule_notes(params, plan)))


def plan_maker(params: CrossMakerParams, lead: Book, hedge: Book, *, legs: tuple[AccountId, AccountId], maker: Fee,
               taker: Fee, rate: Rate) -> PairPlan:  # fmt: skip
    """Return the plan of making across the venues: its size is the largest position, its clip a quote."""
    wanted = Wanted("make", "both sides", 0, params.max_qty, params.qty, "contracts", params.hedge.max_slippage_bps)
    plan = _plan(wanted, lead, hedge, legs, maker, taker, rate)
    if rate.rate is None:
        return plan
    least = (params.min_profit_bps + maker.bps + taker.bps) / _BPS
    bid, offer = (quote_px(side, plan.clip, lead, hedge, rate.rate, least) for side in Side)
    return msgspec.structs.replace(plan, bid_px=bid, offer_px=offer)


def _plan(wanted: Wanted, lead: Book, hedge: Book, legs: tuple[AccountId, AccountId], maker: Fee, taker: Fee,
          rate: Rate) -> PairPlan:  # fmt: skip
    rules, other = lead.instrument, hedge.instrument
    if rules.base != other.base:
        raise ValueError(f"{rules.instrument_id} is {rules.base}, {other.instrument_id} is {other.base}: no hedge")
    here, there = bbo(lead), bbo(hedge)
    if here is None or there is None:
        raise ValueError(f"{(rules if here is None else other).instrument_id}: a side of the book is empty")
    lot = common_lot(rules, other)
    least = max(smallest_qty(rules, here.mid_px), smallest_qty(other, there.mid_px))
    by = Decimal(1) if wanted.size_in == "contracts" else here.mid_px
    size, clip = (towards_zero(qty / by, lot) for qty in (wanted.size, wanted.clip))
    if clip < least:
        raise ValueError(
            f"{wanted.clip} {'' if wanted.size_in == 'contracts' else 'of notional '}is {plain(clip)} "
            f"{rules.base} in lots of both venues ({plain(lot)}); it must be at least {plain(least)}"
        )
    edges = {side: _edge_bps(hedge, side, clip, here.touch_px(side.opposite), maker, taker, rate) for side in Side}
    slips = [price_for(hedge, clip, side, wanted.hedge_cap_bps, haircut=HAIRCUT) for side in Side]
    enough = [priced.slippage_bps for priced in slips if priced is not None and priced.is_enough]
    slippage_bps = max(enough) if len(enough) == len(slips) else None
    return PairPlan(
        mode=wanted.mode,
        direction=wanted.direction,
        iterations=wanted.iterations,
        base=rules.base,
        size=size,
        clip=clip,
        clips=int((size / clip).to_integral_value(ROUND_CEILING)),
        lot=lot,
        least=least,
        notional=size * here.mid_px,
        lead=_leg(legs[0], lead, here.bid_px, here.ask_px, "maker", maker),
        hedge=_leg(legs[1], hedge, there.bid_px, there.ask_px, "taker", taker),
        breakeven_bps=maker.bps + taker.bps,
        rate=rate,
        buy_edge_bps=edges[Side.BUY],
        sell_edge_bps=edges[Side.SELL],
        hedge_slippage_bps=slippage_bps,
        notes=tuple(_notes(wanted, size, clip, rate, slippage_bps)),
    )


def with_margins(plan: PairPlan, margins: tuple[LegMargin, LegMargin]) -> PairPlan:
    """Return the plan with what its positions need of both accounts, and a note where one has too little."""
    notes = [
        f"{leg.account} has {plain(round(leg.available, 2))} {leg.currency} free; {leg.instrument} needs "
        f"{plain(round(leg.needed, 2))} at {plain(leg.leverage)}x: the venue would refuse a part of it"
        for leg in margins
        if leg.is_short and leg.available is not None and leg.needed is not None and leg.leverage is not None
    ]
    return msgspec.structs.replace(plan, margins=margins, notes=(*plan.notes, *notes))


def _edge_bps(
    hedge: Book, side: Side, clip: Decimal, px: Decimal, maker: Fee, taker: Fee, rate: Rate
) -> Decimal | None:
    """Return what a clip earns when the lead fills at its touch and the hedge takes at once."""
    priced = price_for(hedge, clip, side.opposite, haircut=HAIRCUT)
    if priced is None or not priced.is_enough or rate.rate is None:
        return None
    return side.sign * (priced.vwap * rate.rate - px) / px * _BPS - maker.bps - taker.bps


def _leg(account: AccountId, book: Book, bid_px: Decimal, ask_px: Decimal, kind: str, fee: Fee) -> LegPlan:
    rules = book.instrument
    return LegPlan(
        account=account,
        exchange=rules.exchange,
        instrument=rules.instrument_id,
        quote=rules.quote,
        tick=rules.tick,
        lot=rules.lot,
        min_qty=rules.min_qty,
        min_notional=rules.min_notional,
        bid_px=bid_px,
        ask_px=ask_px,
        kind=kind,
        fee=fee,
    )


def _notes(wanted: Wanted, size: Decimal, clip: Decimal, rate: Rate, slippage_bps: Decimal | None) -> list[str]:
    """Return what should be known before."""
    found: list[str] = []
    if wanted.size_in == "contracts" and size != wanted.size and wanted.mode != "close_existing":
        found.append(f"the size is rounded down to {plain(size)}: what both venues take")
    is_said = wanted.clip != wanted.size or wanted.mode == "close_existing"
    if wanted.size_in == "contracts" and is_said and clip != wanted.clip:
        found.append(f"the clip is rounded down to {plain(clip)}: what both venues take")
    if rate.rate is None:
        found.append(
            f"the conversion rate is unknown: {rate.source}; no edge can be told, what waits for one waits until it is "
            "known, and sums over both legs count 1 for 1: a risk of its own"
        )
    if slippage_bps is None:
        found.append(
            f"the hedge's book does not show a clip within its cap of {plain(wanted.hedge_cap_bps)} bps: "
            "it may be retried, then unwound"
        )
    return found


def _rule_notes(params: PairParams, plan: PairPlan) -> list[str]:
    """Return what the rules of a pair make of the books of now."""
    found: list[str] = []
    wanted = params.rule.entry_edge_bps
    known = [edge for edge in (plan.buy_edge_bps, plan.sell_edge_bps) if edge is not None]
    if wanted is not None and (not known or max(known) < Decimal(str(wanted))):
        found.append(f"neither side earns the {wanted:g} bps asked for now: it waits until one does")
    if params.rule.direction == "basis":
        found.append("the basis is measured for a minute before it can say a side")
    if plan.clip < min(2 * plan.least, plan.size):
        found.append(
            f"a clip of {plain(plan.clip)} is near the smallest order of {plain(plan.least)}: after a partial fill that is "
            "too little to hedge, up to one such order more may be unhedged for a moment"
        )
    return found


def plain(number: Decimal) -> str:
    """Return a decimal without exponent and without zeros at its end."""
    return f"{number.normalize() if number else Decimal(0):f}"
