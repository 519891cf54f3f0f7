"""Funding: at the end of each instrument's interval longs pay shorts rate x value at mark (or receive, rate < 0)."""

from __future__ import annotations

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import div_half_even
from perpmaker.exchange.core.fees import RATE_ONE_CB
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.types import (
    FundingPaid,
    FundingPayment,
    FundingRate,
    FundingSettled,
    PositionUpdated,
)
from perpmaker.exchange.core.views import position_view


class Funding:
    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def schedule(self, listing: Listing) -> None:
        """Settle at the listing's next funding time, and so on; a frozen or delisted market is passed over."""

        def due() -> None:
            if listing.is_trading:
                self.settle(listing, listing.funding_rate_cb())
                listing.prices.start_interval()
            listing.next_funding_ns = listing.funding_time_after(self._floor.now_ns)
            self.schedule(listing)

        self._floor.timers.at(listing.next_funding_ns, due)

    def settle(self, listing: Listing, rate_cb: int) -> FundingRate:
        """Settle now at a rate."""
        settled = FundingRate(
            instrument=listing.instrument.name,
            funding_ns=self._floor.now_ns,
            rate_cb=rate_cb,
            mark_nano=listing.prices.mark_nano,
            interval_hours=listing.instrument.funding_interval_hours,
        )
        listing.funding.append(settled)
        self._floor.events.append(FundingSettled(settled))
        for account in self._floor.accounts.values():
            if account.lots_in(listing.instrument.name):
                self._pay(account, listing, rate_cb)
        return settled

    def _pay(self, account: Account, listing: Listing, rate_cb: int) -> None:
        position = account.positions[listing.instrument.name]
        floor = self._floor
        floor.payments_numbered += 1
        payment = FundingPayment(
            event_ns=floor.now_ns,
            sub_account_id=account.sub_account_id,
            instrument=listing.instrument.name,
            currency=listing.instrument.quote,
            amount_nano=div_half_even(position.notional_nano(listing.prices.mark_nano) * rate_cb, RATE_ONE_CB),
            tx_id=floor.payments_numbered,
        )
        account.book_funding(payment)
        floor.funding_collected_nano += payment.amount_nano
        floor.events.append(FundingPaid(payment))
        floor.events.append(PositionUpdated(position_view(floor, account, listing, position)))
