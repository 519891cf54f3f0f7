"""Leverage per sub-account and instrument; margin is always cross."""

from __future__ import annotations

from decimal import Decimal

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import whole_steps
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.margin import initial_margin_in, initial_margin_nano, unrealized_nano
from perpmaker.exchange.core.types import LeverageSet, LeverageView, PositionMarginType, Rejection

_E6_IN_NANO = 1_000
"""Leverage is kept to six places, as it is signed (PROTOCOL 12)."""
_MIN_LEVERAGE_E6 = 1_000_000


def leverage_views(floor: Floor, account: Account) -> list[LeverageView]:
    return [
        LeverageView(
            instrument=name,
            leverage_e6=account.leverage_in(listing.instrument),
            min_leverage_e6=_MIN_LEVERAGE_E6,
            max_leverage_e6=listing.instrument.max_leverage * 1_000_000,
            margin_type=PositionMarginType.CROSS,
        )
        for name, listing in floor.listings.items()
    ]


def set_leverage(floor: Floor, account: Account, instrument: str, leverage: Decimal) -> Rejection | None:
    """Set it, unless it is out of bounds (2107, 2108), nonsense, or more margin would be needed than there is (2100)."""
    listing = floor.listings.get(instrument)
    if listing is None:
        return Rejection(3000, instrument)
    wanted_e6 = whole_steps(leverage, _E6_IN_NANO)
    if wanted_e6 is None or wanted_e6 <= 0:
        return Rejection(2100, str(leverage))
    if wanted_e6 < _MIN_LEVERAGE_E6:
        return Rejection(2107, str(leverage))
    if wanted_e6 > listing.instrument.max_leverage * 1_000_000:
        return Rejection(2108, str(leverage))
    before_e6 = account.leverage_in(listing.instrument)
    account.leverage_e6[instrument] = wanted_e6
    listings = floor.listings.values()
    equity = account.balance_nano + unrealized_nano(account, listings)
    needs_more = wanted_e6 < before_e6 and initial_margin_in(account, listing) > 0
    if needs_more and initial_margin_nano(account, listings) > equity:
        account.leverage_e6[instrument] = before_e6
        return Rejection(2100, "open positions and orders would need more margin than there is")
    floor.events.append(LeverageSet(floor.now_ns, account.sub_account_id, instrument, wanted_e6))
    return None


def set_position_config(
    floor: Floor, account: Account, instrument: str, margin_type: PositionMarginType, leverage: Decimal
) -> Rejection | None:
    """As `set_leverage`; isolated margin is not offered (2104), nor a change to it with a position or orders."""
    listing = floor.listings.get(instrument)
    if listing is None:
        return Rejection(3000, instrument)
    if margin_type is not PositionMarginType.CROSS:
        if account.lots_in(instrument):
            return Rejection(2102)
        if any(order.listing is listing for order in account.active.values()):
            return Rejection(2103)
        return Rejection(2104, margin_type.name)
    return set_leverage(floor, account, instrument, leverage)
