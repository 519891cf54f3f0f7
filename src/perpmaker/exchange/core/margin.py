"""Cross margin of a sub-account (PROTOCOL 13), in nanos.

The order-adjusted position of an instrument is the larger of |position + open buys| and |position - open sells|; initial
margin is its value at mark over leverage, maintenance margin the value of the position by notional brackets.
"""

from __future__ import annotations

from collections.abc import Iterable

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import div_half_even, div_up
from perpmaker.exchange.core.fees import RATE_ONE_CB
from perpmaker.exchange.core.instruments import Instrument, RiskBracket
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.positions import Position
from perpmaker.exchange.core.types import NANO


def adjusted_lots(lots: int, buys: int, sells: int) -> int:
    """The order-adjusted position, unsigned."""
    return max(abs(lots + buys), abs(lots - sells))


def initial_margin_nano(account: Account, listings: Iterable[Listing]) -> int:
    """Return what all positions and orders need."""
    return sum(initial_margin_in(account, listing) for listing in listings)


def initial_margin_in(account: Account, listing: Listing, *, buys: int = 0, sells: int = 0) -> int:
    """Return what one instrument needs, with `buys` and `sells` more lots open than now."""
    name = listing.instrument.name
    open_lots = account.open_lots.get(name)
    if open_lots is not None:
        buys += open_lots.buys
        sells += open_lots.sells
    lots = adjusted_lots(account.lots_in(name), buys, sells)
    if not lots:
        return 0
    notional = listing.instrument.notional_nano(listing.prices.mark_nano, lots)
    return div_up(notional * 1_000_000, account.leverage_in(listing.instrument))


def bracket_of(instrument: Instrument, notional_nano: int) -> RiskBracket:
    """Return the bracket that an unsigned notional falls into."""
    for bracket in instrument.brackets:
        if bracket.cap_nano is None or notional_nano < bracket.cap_nano:
            return bracket
    return instrument.brackets[-1]


def maintenance_margin_nano(account: Account, listings: Iterable[Listing]) -> int:
    return sum(_maintenance_in(account, listing) for listing in listings)


def unrealized_nano(account: Account, listings: Iterable[Listing]) -> int:
    total = 0
    for listing in listings:
        position = account.positions.get(listing.instrument.name)
        if position is not None and position.lots:
            total += position.unrealized_nano(listing.prices.mark_nano)
    return total


def liquidation_px_nano(account: Account, position: Position, listings: Iterable[Listing]) -> int:
    """Return the mark price at which equity meets maintenance margin, all else unchanged; 0 when there is none.

    With L held, entry cost C, and the rest of the account giving B = balance + other unrealised - other maintenance
    margin, it solves B + L p - C = |L| p m - A in the bracket (rate m, amount A) that |L| p then falls into.
    """
    cushion = account.balance_nano
    for listing in listings:
        held = account.positions.get(listing.instrument.name)
        if held is not None and held.lots and held is not position:
            cushion += held.unrealized_nano(listing.prices.mark_nano) - _maintenance_in(account, listing)
    if not position.lots:
        return 0
    base_nano = position.lots * position.instrument.lot_nano
    side = 1 if base_nano > 0 else -1
    for bracket in position.instrument.brackets:
        missing = side * (position.cost_nano - bracket.cumulative_nano - cushion)
        weight = abs(base_nano) * (RATE_ONE_CB - side * bracket.maintenance_rate_cb)
        px_nano = div_half_even(missing * NANO * RATE_ONE_CB, weight)
        notional = abs(position.notional_nano(px_nano))
        if px_nano > 0 and bracket_of(position.instrument, notional) is bracket:
            return px_nano
    return 0


def _maintenance_in(account: Account, listing: Listing) -> int:
    position = account.positions.get(listing.instrument.name)
    if position is None or not position.lots:
        return 0
    notional = abs(position.notional_nano(listing.prices.mark_nano))
    bracket = bracket_of(listing.instrument, notional)
    return max(0, div_up(notional * bracket.maintenance_rate_cb, RATE_ONE_CB) - bracket.cumulative_nano)
