"""Why the simulated venue's gateway refuses a creation, by GRVT's codes (PROTOCOL 8), and what such a code proves."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import NewOrder, TimeInForce
from perpmaker.simulation.account import SimulatedAccount, mark_of
from perpmaker.simulation.market import Market
from perpmaker.simulation.settings import VenueSettings
from perpmaker.venues.grvt.codes import REQUEST_WIDE, Outcome, outcome

BPS: Final = Decimal(10_000)
_OFFERED: Final = (TimeInForce.GTT, TimeInForce.IOC, TimeInForce.FOK)


class Rejection(msgspec.Struct, frozen=True):
    code: int
    text: str


def refusal(
    account: SimulatedAccount,
    markets: Mapping[InstrumentId, Market],
    settings: VenueSettings,
    order: NewOrder,
    venue_ns: int,
) -> Rejection | None:
    """Return why an order is not accepted, None when it is."""
    if order.client_order_id in account.live:
        return Rejection(2012, "Client Order ID is in use by an active order")
    market = markets.get(order.instrument)
    if market is None:
        return Rejection(2061, f"{order.instrument} is not listed")
    if order.tif not in _OFFERED:
        return Rejection(2030, f"{order.tif.value} is not simulated")
    if order.trigger is not None:
        return Rejection(2112, "orders that wait for a price are not simulated")
    if order.post_only and (order.px is None or order.tif is not TimeInForce.GTT):
        return Rejection(2032, "post only is for limit orders that may rest")
    if order.expire_ns <= venue_ns:
        return Rejection(2001, "the signature has expired")
    return _size(market, settings, order) or _account(account, markets, settings, order)


def is_certain(code: int, creations: int) -> bool:
    """Whether a code in answer to a request says for certain that none of its creations is at the venue.

    As the gateway to GRVT reads it: a code that is not about the request as a whole may be about one of several creations,
    and says nothing of the rest; some codes prove nothing even of one.
    """
    proof = outcome(code)
    if proof is Outcome.UNKNOWN:
        return False
    return creations == 1 or code in REQUEST_WIDE or proof is Outcome.RATE_LIMIT


def _size(market: Market, settings: VenueSettings, order: NewOrder) -> Rejection | None:
    rules, mark_px = market.instrument, mark_of(market)
    if order.qty < rules.min_qty:
        return Rejection(2062, f"{order.qty} is below the minimum of {rules.min_qty}")
    px = order.px or mark_px
    if px is not None and order.qty * px < rules.min_notional:
        return Rejection(2066, f"a notional of {order.qty * px} is below the minimum of {rules.min_notional}")
    if not settings.price_band_bps or order.px is None or mark_px is None:
        return None
    if abs(order.px - mark_px) * BPS > settings.price_band_bps * mark_px:
        return Rejection(7201, f"{order.px} is outside of the price band around {mark_px}")
    return None


def _account(
    account: SimulatedAccount, markets: Mapping[InstrumentId, Market], settings: VenueSettings, order: NewOrder
) -> Rejection | None:
    if len(account.live) >= settings.max_open_orders:
        return Rejection(2090, f"at most {settings.max_open_orders} open orders")
    if not order.reduce_only:
        return outgrown(account, markets, settings, order, order.qty)
    closes = -order.side.sign * account.qty(order.instrument)
    if closes == 0:
        return Rejection(2400, "reduce only without a position")
    if closes < 0:
        return Rejection(2401, "reduce only on the side of the position")
    return Rejection(2402, f"reduce only is for at most {closes}") if order.qty > closes else None


def outgrown(
    account: SimulatedAccount,
    markets: Mapping[InstrumentId, Market],
    settings: VenueSettings,
    order: NewOrder,
    qty: Decimal,
) -> Rejection | None:
    """Refuse what grows the order-adjusted position beyond what position limit, bracket or initial margin allow."""
    name, more = order.instrument, order.side.sign * qty
    after = account.adjusted_qty(name, more)
    if after <= account.adjusted_qty(name):
        return None
    most = markets[name].instrument.max_position_qty
    if most is not None and after > most:
        return Rejection(2081, f"the position could become {after}, at most {most}")
    mark_px = mark_of(markets[name])
    bracket = None if mark_px is None else settings.margin.bracket(name, after * mark_px)
    if bracket is not None and bracket.initial_frac is not None and settings.margin.leverage * bracket.initial_frac > 1:
        return Rejection(
            2083, f"from {bracket.floor:f} on an initial margin of {bracket.initial_frac:f} bounds the leverage"
        )
    needed, equity = account.initial_margin(markets, settings.margin, {name: more}), account.equity(markets)
    return Rejection(2080, f"needs a margin of {needed} of {equity}") if needed > equity else None
