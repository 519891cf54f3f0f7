"""The gateway's checks of a creation, in order, each with its code of PROTOCOL 8.

What passes becomes an order; what the engine finds wrong later is an `OrderRejectReason` instead.
"""

from __future__ import annotations

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import whole_steps
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.margin import (
    adjusted_lots,
    bracket_of,
    initial_margin_in,
    initial_margin_nano,
    unrealized_nano,
)
from perpmaker.exchange.core.orders import order_id_number
from perpmaker.exchange.core.types import (
    InstrumentMode,
    Leg,
    OrderRequest,
    OrderTerms,
    Rejection,
    Side,
    TimeInForce,
    Trigger,
    TriggerRequest,
)


class Planned:
    """What the rest of the same bulk request will have changed by the time a creation is carried out."""

    __slots__ = ("active", "buys", "freed", "opened", "sells", "taken")

    def __init__(self) -> None:
        self.buys = 0
        self.sells = 0
        self.active = 0
        self.opened = 0
        """Lots by which the plain orders before move the position, for triggers that wait for them."""
        self.freed: set[int] = set()
        """Client order ids of the orders cancelled first."""
        self.taken: set[int] = set()
        """Client order ids of the creations before this one."""

    def cancel(self, client_order_id: int, side: Side, growing_lots: int) -> None:
        self.freed.add(client_order_id)
        self.active -= 1
        self._add(side, -growing_lots)

    def create(self, terms: OrderTerms) -> None:
        self.taken.add(terms.client_order_id)
        self.active += 1
        if terms.trigger is None:
            self.opened += terms.side * terms.qty_lots
        if not terms.reduce_only:
            self._add(terms.side, terms.qty_lots)

    def _add(self, side: Side, lots: int) -> None:
        if side is Side.BUY:
            self.buys += lots
        else:
            self.sells += lots


def check_creation(
    floor: Floor, account: Account, request: OrderRequest, planned: Planned | None = None
) -> OrderTerms | Rejection:
    """Return the order's terms in ticks and lots, or why it is refused."""
    planned = planned or Planned()
    client_order_id = request.client_order_id or 0
    refused = _check_form(request) or _check_client_order_id(account, client_order_id, planned)
    if refused is not None:
        return refused
    leg = request.legs[0]
    listing = floor.listings.get(leg.instrument)
    if listing is None:
        return Rejection(2061, leg.instrument)
    refused = _check_regime(listing, request) or _check_kind_of_order(request, leg)
    if refused is not None:
        return refused
    sized = _size_and_price(listing, request, leg)
    if isinstance(sized, Rejection):
        return sized
    qty_lots, px_ticks = sized
    trigger = None if request.trigger is None else _trigger(listing, request.trigger, reduce_only=request.reduce_only)
    if isinstance(trigger, Rejection):
        return trigger
    if request.signature.expiration_ns <= floor.now_ns:
        return Rejection(2001, "expired")
    terms = OrderTerms(
        sub_account_id=request.sub_account_id,
        instrument=listing.instrument.name,  # one text for all orders of an instrument
        side=leg.side,
        qty_lots=qty_lots,
        px_ticks=px_ticks,
        client_order_id=client_order_id,
        time_in_force=request.time_in_force,
        is_market=request.is_market,
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        signature=request.signature,
        create_ns=floor.now_ns,
        broker=request.broker,
        builder=request.builder,
        builder_fee_cb=request.builder_fee_cb,
        retail=request.retail,
        self_trade=request.self_trade,
        trigger=trigger,
    )
    return _check_account(floor, account, listing, terms, planned) or terms


def grows_beyond_limits(
    floor: Floor, account: Account, listing: Listing, side: Side, lots: int, planned: Planned
) -> Rejection | None:
    """Refuse `lots` more on `side` when position size, leverage bracket or initial margin does not allow them.

    An order that leaves the order-adjusted position no larger is never refused.
    """
    name = listing.instrument.name
    held, open_lots = account.lots_in(name), account.open_lots_in(name)
    before_buys, before_sells = open_lots.buys + planned.buys, open_lots.sells + planned.sells
    buys = before_buys + (lots if side is Side.BUY else 0)
    sells = before_sells + (lots if side is Side.SELL else 0)
    after = adjusted_lots(held, buys, sells)
    if after <= adjusted_lots(held, before_buys, before_sells):
        return None
    if after > listing.instrument.max_position_lots:
        return Rejection(2081, f"{after} lots, at most {listing.instrument.max_position_lots}")
    notional = listing.instrument.notional_nano(listing.prices.mark_nano, after)
    bracket = bracket_of(listing.instrument, notional)
    if account.leverage_in(listing.instrument) > bracket.max_leverage * 1_000_000:
        return Rejection(2083, f"bracket {bracket.tier} allows leverage {bracket.max_leverage}")
    listings = floor.listings.values()
    needed = initial_margin_nano(account, listings) - initial_margin_in(account, listing)
    needed += initial_margin_in(account, listing, buys=buys - open_lots.buys, sells=sells - open_lots.sells)
    equity = account.balance_nano + unrealized_nano(account, listings)
    return Rejection(2080, f"needs {needed} nano of {equity}") if needed > equity else None


def _check_form(request: OrderRequest) -> Rejection | None:
    if order_id_number(request.order_id) is not None:
        return Rejection(2010)
    if not request.client_order_id:
        return Rejection(2011)
    if request.has_state:
        return Rejection(2050)
    if request.create_time_ns:
        return Rejection(2051)
    if not request.legs:
        return Rejection(2040)
    if len(request.legs) > 1:
        return Rejection(2042)
    return None


def _check_client_order_id(account: Account, client_order_id: int, planned: Planned) -> Rejection | None:
    active = client_order_id in account.active and client_order_id not in planned.freed
    return Rejection(2012, str(client_order_id)) if active or client_order_id in planned.taken else None


def _check_regime(listing: Listing, request: OrderRequest) -> Rejection | None:
    if not listing.is_trading:
        return Rejection(2060, listing.mode.name)
    if listing.mode is InstrumentMode.REDUCE_ONLY and not request.reduce_only:
        return Rejection(7304)
    return None


def _check_kind_of_order(request: OrderRequest, leg: Leg) -> Rejection | None:
    tif = request.time_in_force
    rpi = tif is TimeInForce.RETAIL_PRICE_IMPROVEMENT
    if tif is TimeInForce.ALL_OR_NONE or (rpi and request.is_market):
        return Rejection(2030, tif.name)
    if request.post_only and (request.is_market or not (rpi or tif is TimeInForce.GOOD_TILL_TIME)):
        return Rejection(2032)
    if request.is_market:
        return Rejection(2020) if leg.limit_px else None
    return None if leg.limit_px else Rejection(2021)


def _size_and_price(listing: Listing, request: OrderRequest, leg: Leg) -> tuple[int, int] | Rejection:
    rules = listing.instrument
    if not leg.qty.is_finite() or leg.qty <= 0:
        return Rejection(2062, str(leg.qty))
    qty_lots = whole_steps(leg.qty, rules.lot_nano)
    if qty_lots is None:
        return Rejection(2062 if leg.qty < rules.lot else 2065, str(leg.qty))
    if qty_lots < rules.min_lots:
        return Rejection(2062, str(leg.qty))
    px_ticks: int | None = 0
    if leg.limit_px:
        px_ticks = whole_steps(leg.limit_px, rules.tick_nano)
        if px_ticks is None or px_ticks <= 0:
            return Rejection(2064, str(leg.limit_px))
    return qty_lots, px_ticks or 0


def _trigger(listing: Listing, asked: TriggerRequest, *, reduce_only: bool) -> Trigger | Rejection:
    """Return what the order waits for. Triggers linked to a position are for web and mobile clients, of which there are
    none here; sets of split ones are not offered."""
    if not asked.is_whole:
        return Rejection(2112, "a type and nothing else")
    if asked.by is None:
        return Rejection(2110)
    if not asked.px:
        return Rejection(2113)
    px_ticks = whole_steps(asked.px, listing.instrument.tick_nano)
    if px_ticks is None or px_ticks <= 0:
        return Rejection(2112, f"trigger price {asked.px}")
    if asked.is_split_position:
        return Rejection(2242)
    if asked.close_position:
        return Rejection(2117 if reduce_only else 2114)
    return Trigger(asked.kind, asked.by, px_ticks)


def _check_account(
    floor: Floor, account: Account, listing: Listing, terms: OrderTerms, planned: Planned
) -> Rejection | None:
    held = account.lots_in(terms.instrument)
    if terms.trigger is not None:
        held += planned.opened
    against = -terms.side * held
    """Lots the order could close."""
    if terms.is_market:
        notional = listing.instrument.notional_nano(listing.prices.mark_nano, terms.qty_lots)
    else:
        notional = terms.px_ticks * terms.qty_lots * listing.unit_nano
    if notional < listing.instrument.min_notional_nano:
        return Rejection(2067 if terms.reduce_only or terms.qty_lots <= against else 2066)
    if len(account.active) + planned.active >= floor.limits.max_open_orders:
        return Rejection(2090, f"at most {floor.limits.max_open_orders}")
    if not terms.reduce_only:
        return grows_beyond_limits(floor, account, listing, terms.side, terms.qty_lots, planned)
    if held == 0:
        return Rejection(2400)
    if against < 0:
        return Rejection(2401)
    return Rejection(2402, f"position is {against} lots") if terms.qty_lots > against else None
