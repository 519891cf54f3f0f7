"""The price that is quoted around: mid or microprice, moved by the book's imbalance, trade flow, another venue, funding.

Every part is a fraction of the price, > 0 up, and can be seen by itself on the dashboard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from perpmaker.model.book import Book, Level
from perpmaker.model.events import Ticker
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.schema import Table, key

_LN2: Final = math.log(2)


class AlphaParams(Table, frozen=True, kw_only=True):
    """What is believed about the next seconds: the side with more in the book, the side that trades."""

    imbalance_bps: Annotated[
        float, key("bps", "A book with everything on one side moves fair so far towards the other.", ge=0, le=100)
    ] = 0.0
    imbalance_levels: Annotated[int, key("", "Levels of a side that are weighed.", ge=1, le=50)] = 5
    flow_bps: Annotated[
        float, key("bps", "Trades that are all of one side move fair so far with them.", ge=0, le=100)
    ] = 0.0
    flow_half_life_s: Annotated[float, key("s", "Weights of trades halve in this time.", ge=0.1, le=3600)] = 10.0


class FundingParams(Table, frozen=True, kw_only=True):
    """How the next funding payment moves the reservation price to the side that receives it."""

    mult: Annotated[float, key("", "Share of the expected payment that moves it; 0 is none.", ge=0, le=10)] = 1.0
    inventory_half_life_s: Annotated[
        float, key("s", "Half of an inventory is gone after this; who still holds at the time pays.", ge=1, le=864_000)
    ] = 600.0


class ReferenceParams(Table, frozen=True, kw_only=True):
    """Another market whose price leads. Its usual distance from ours (the basis) is taken off first."""

    instrument: Annotated[
        InstrumentId | None, key("", "Its instrument, by its own venue's symbol; an account of ours has to be there.")
    ] = None
    weight: Annotated[float, key("", "Share of its lead that moves fair.", ge=0, le=1)] = 0.5
    basis_half_life_s: Annotated[float, key("s", "How slowly the basis follows.", ge=1, le=86_400)] = 300.0
    max_age_s: Annotated[float, key("s", "An older book of it is not believed.", gt=0, le=600)] = 3.0
    max_shift_bps: Annotated[float, key("bps", "The most it may move fair.", ge=0, le=500)] = 10.0


class Flow:
    """Signed trade volume over all trade volume, both fading: -1 all sold, +1 all bought, 0 before the first trade."""

    def __init__(self, half_life_s: float) -> None:
        self._decay_per_ns = _LN2 / half_life_s / NS_PER_S
        self._signed = self._total = 0.0
        self._last_ns = 0

    def on_trade(self, now_ns: int, qty: float, aggressor: Side) -> None:
        kept = math.exp(-self._decay_per_ns * max(0, now_ns - self._last_ns)) if self._last_ns else 0.0
        self._last_ns = now_ns
        self._signed = kept * self._signed + aggressor.sign * qty
        self._total = kept * self._total + qty

    def value(self, now_ns: int) -> float:
        """Return the share now; a silence of many half-lives fades to 0."""
        if self._total <= 0:
            return 0.0
        age = self._decay_per_ns * max(0, now_ns - self._last_ns)
        return self._signed / self._total * math.exp(-age)


def imbalance(bids: Sequence[Level], asks: Sequence[Level]) -> float:
    """Return (bid volume - ask volume) / (their sum) of the given levels, -1 to 1."""
    bid_lots, ask_lots = sum(lots for _, lots in bids), sum(lots for _, lots in asks)
    total = bid_lots + ask_lots
    return (bid_lots - ask_lots) / total if total else 0.0


class Lead:
    """How far another market's mid is ahead of ours, less their usual distance."""

    def __init__(self, params: ReferenceParams) -> None:
        self._params = params
        self._basis: float | None = None
        self._seen_ns = 0

    def update(self, now_ns: int, own_mid: float, other: Book | None) -> float | None:
        """Return the shift as a fraction of price; None while the other's book is missing or too old."""
        p = self._params
        if other is None or now_ns - other.ts_recv_ns > p.max_age_s * NS_PER_S:
            return None
        distance = math.log(other.mid / own_mid)
        if self._basis is None:
            self._basis = distance
        else:
            kept = math.exp(-_LN2 * (now_ns - self._seen_ns) / NS_PER_S / p.basis_half_life_s)
            self._basis = kept * self._basis + (1 - kept) * distance
        self._seen_ns = now_ns
        most = p.max_shift_bps / 1e4
        return min(most, max(-most, p.weight * (distance - self._basis)))


def funding_shift(params: FundingParams, ticker: Ticker | None, now_ns: int) -> float:
    """Return how far the reservation price moves, as a fraction of price.

    A position of now is still held at the funding time with the probability exp(-ln 2 * wait / half-life) and pays
    `funding_rate` of its notional then (longs pay a positive one): the price at which holding it is indifferent is lower
    by that much. So a positive rate lowers both quotes, towards a short position, which receives.
    """
    if ticker is None or ticker.funding_rate is None or not params.mult or ticker.next_funding_ns <= now_ns:
        return 0.0
    wait_s = (ticker.next_funding_ns - now_ns) / NS_PER_S
    held = math.exp(-_LN2 * wait_s / params.inventory_half_life_s)
    return -params.mult * float(ticker.funding_rate) * held


class FairPrice(msgspec.Struct, frozen=True):
    """The price quoted around before the funding shift, and its parts as fractions of the base price."""

    px: float
    base_px: float
    imbalance: float
    flow: float
    lead: float | None


class FairValue:
    """Keeps what the shifts need between books."""

    def __init__(self, base: str, alpha: AlphaParams, reference: ReferenceParams) -> None:
        self._base, self._alpha, self._reference = base, alpha, reference
        self._flow = Flow(alpha.flow_half_life_s)
        self._lead = Lead(reference)
        self._is_plain = not (alpha.imbalance_bps or alpha.flow_bps or reference.instrument)

    def on_trade(self, now_ns: int, qty: float, aggressor: Side) -> None:
        self._flow.on_trade(now_ns, qty, aggressor)

    def of(self, now_ns: int, book: Book, other: Book | None) -> FairPrice:
        """Return fair for a book; `other` is the reference market's, None where there is none or it is not fresh."""
        base_px = book.microprice if self._base == "microprice" else book.mid
        if self._is_plain:
            return FairPrice(base_px, base_px, 0.0, 0.0, None)
        alpha = self._alpha
        pressure = flow = 0.0
        if alpha.imbalance_bps:
            count = alpha.imbalance_levels
            pressure = (
                imbalance(book.levels(Side.BUY, count), book.levels(Side.SELL, count)) * alpha.imbalance_bps / 1e4
            )
        if alpha.flow_bps:
            flow = self._flow.value(now_ns) * alpha.flow_bps / 1e4
        lead = self._lead.update(now_ns, book.mid, other) if self._reference.instrument else None
        return FairPrice(base_px * (1 + pressure + flow + (lead or 0.0)), base_px, pressure, flow, lead)

    def shown(self, fair: FairPrice) -> dict[str, float | str | None]:
        """Return the parts that are switched on, in bps."""
        parts: dict[str, float | str | None] = {}
        if self._alpha.imbalance_bps:
            parts["imbalance_shift_bps"] = fair.imbalance * 1e4
        if self._alpha.flow_bps:
            parts["flow_shift_bps"] = fair.flow * 1e4
        if self._reference.instrument:
            parts["lead_shift_bps"] = "no fresh reference" if fair.lead is None else fair.lead * 1e4
        return parts
