"""The simulated gateway beside the practice exchange's public feed, as `mode = "paper"` runs them.

What is between the feed and the venue can be made to fail as for GRVT. Between the gateway and the simulated venue there is
no wire: what such a wire may do wrong does not exist there, and is not asked of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
import msgspec

from perpmaker.clock import WallClock
from perpmaker.engine.paper import PaperClock, PaperFeed, PaperGateway
from perpmaker.model.ids import AccountId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder
from perpmaker.model.units import NS_PER_MS
from perpmaker.simulation import AccountAtRest, Chance, ConstantLatency, SimulatedVenue, VenueSettings
from perpmaker.venues.api import IntentLog, KillEpoch, MarketFeed
from perpmaker.venues.grvt.environments import environment
from perpmaker.venues.grvt.rest import allow_list
from perpmaker.venues.transport.http import open_http

from .adapters import Fault, Truth
from .grvt_adapter import GrvtAdapter, GrvtSession

ON_THE_FEED = frozenset({Fault.CUT_EVERYTHING, Fault.BOOK_GAP, Fault.BOOK_NAN, Fault.BOOK_MUTE, Fault.ALL_MUTE})
BALANCE = Decimal(1_000_000)


class SimulatedAdapter(GrvtAdapter):
    """The practice exchange lends its market; accounts and orders are simulated here."""

    faults = frozenset()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[SimulatedSession]:
        env = environment("local", self._ready)
        async with open_http(allow_list(env)) as http, aiohttp.ClientSession() as control:
            lent = GrvtSession(
                env, self._ready["accounts"][0], http, control, self._ready["control"], self.instrument, self.encoding
            )
            made = SimulatedSession(lent)
            try:
                yield made
            finally:
                made.clock.stop()
                await made.clear_faults()


class SimulatedSession:
    def __init__(self, lent: GrvtSession) -> None:
        self.account = AccountId("contract")
        self._lent = lent
        self._venue, self.clock = _venue()
        self._feeds = 0

    def feed(self) -> MarketFeed:
        """The first one moves the venue that the gateway trades on; each further one has a venue of its own."""
        self._feeds += 1
        return PaperFeed(self._lent.feed(), self.clock if self._feeds == 1 else _venue()[1])

    def gateway(self, intents: IntentLog, kill: KillEpoch) -> PaperGateway:
        return PaperGateway(
            account=self.account,
            instruments=[SimulatedAdapter.instrument],
            venue=self._venue,
            clock=self.clock,
            intents=intents,
            kill=kill,
            opening=AccountAtRest(self.account, "", BALANCE),
        )

    def refused(self, order: NewOrder, instrument: Instrument) -> NewOrder:
        """Below the minimum notional."""
        return msgspec.structs.replace(order, qty=instrument.min_qty)

    async def truth(self) -> Truth:
        """The simulated account itself; told at once, so that what is under way is let arrive first."""
        await asyncio.sleep(0.03)
        account = self._venue.accounts[self.account]
        return Truth(
            open_orders=frozenset(int(client_order_id) for client_order_id in account.live),
            position=account.qty(SimulatedAdapter.instrument),
            trade_ids=frozenset(fill.trade_id for fill in account.fills),
            fees=account.fees,
            balance=account.balance,
        )

    async def inject(self, fault: Fault) -> None:
        if fault not in ON_THE_FEED:
            raise ValueError(f"{fault} cannot happen to a simulated venue")
        await self._lent.inject(fault)

    async def clear_faults(self) -> None:
        await self._lent.clear_faults()


def _venue() -> tuple[SimulatedVenue, PaperClock]:
    venue = SimulatedVenue(VenueSettings(), ConstantLatency(5 * NS_PER_MS, 5 * NS_PER_MS), Chance(1))
    return venue, PaperClock({"grvt": venue}, WallClock(), asyncio.get_running_loop(), _fail)


def _fail(error: Exception) -> None:
    raise error
