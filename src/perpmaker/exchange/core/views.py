"""What a client sees of its account at a moment: positions with marks and PnL, equity and margins."""

from __future__ import annotations

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import div_half_even
from perpmaker.exchange.core.fees import RATE_ONE_CB
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.margin import (
    initial_margin_nano,
    liquidation_px_nano,
    maintenance_margin_nano,
    unrealized_nano,
)
from perpmaker.exchange.core.positions import Position
from perpmaker.exchange.core.types import AccountView, InstrumentFilter, PositionMarginType, PositionView


def position_view(floor: Floor, account: Account, listing: Listing, position: Position) -> PositionView:
    mark = listing.prices.mark_nano
    unrealized = position.unrealized_nano(mark)
    total = position.realized_nano + unrealized
    entered = abs(position.cost_nano) or position.opened_nano
    return PositionView(
        event_ns=floor.now_ns,
        sub_account_id=account.sub_account_id,
        instrument=listing.instrument.name,
        qty_lots=position.lots,
        notional_nano=position.notional_nano(mark),
        entry_px_nano=position.entry_px_nano,
        exit_px_nano=position.exit_px_nano,
        mark_nano=mark,
        unrealized_pnl_nano=unrealized,
        realized_pnl_nano=position.realized_nano,
        total_pnl_nano=total,
        roi_cb=div_half_even(total * RATE_ONE_CB, entered) if entered else 0,
        est_liquidation_px_nano=liquidation_px_nano(account, position, floor.listings.values()),
        leverage_e6=account.leverage_in(listing.instrument),
        cumulative_fee_nano=position.fees_nano,
        cumulative_funding_nano=position.funding_nano,
        margin_type=PositionMarginType.CROSS,
    )


def account_view(floor: Floor, account: Account) -> AccountView:
    listings = list(floor.listings.values())
    unrealized = unrealized_nano(account, listings)
    equity = account.balance_nano + unrealized
    initial = initial_margin_nano(account, listings)
    return AccountView(
        event_ns=floor.now_ns,
        sub_account_id=account.sub_account_id,
        settle_currency=settle_currency(floor),
        balance_nano=account.balance_nano,
        unrealized_pnl_nano=unrealized,
        total_equity_nano=equity,
        initial_margin_nano=initial,
        maintenance_margin_nano=maintenance_margin_nano(account, listings),
        available_nano=equity - initial - min(unrealized, 0),
        positions=tuple(open_position_views(floor, account)),
    )


def open_position_views(floor: Floor, account: Account, which: InstrumentFilter | None = None) -> list[PositionView]:
    """Open positions in listing order; flat ones are left out."""
    views = []
    for listing in floor.listings.values():
        position = account.positions.get(listing.instrument.name)
        if position is not None and position.lots and (which is None or matches(which, listing.instrument)):
            views.append(position_view(floor, account, listing, position))
    return views


def matches(which: InstrumentFilter, instrument: Instrument) -> bool:
    return (
        (not which.kinds or instrument.kind in which.kinds)
        and (not which.bases or instrument.base in which.bases)
        and (not which.quotes or instrument.quote in which.quotes)
        and (not which.instruments or instrument.name in which.instruments)
    )


def settle_currency(floor: Floor) -> str:
    """The one currency everything is quoted, margined and paid in."""
    return next(iter(floor.listings.values())).instrument.quote
