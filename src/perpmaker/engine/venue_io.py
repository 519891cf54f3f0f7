"""The venue's side of a live engine: one feed, one gateway per account, one HTTP session for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp

from perpmaker.clock import Clock
from perpmaker.engine.assembly import Plan
from perpmaker.engine.chart import CANDLE_S
from perpmaker.engine.core import Engine
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.venues.api import IntentLog, KillEpoch, OrderGateway, Sink, Subscription, Timings
from perpmaker.venues.grvt.feed import GrvtFeed
from perpmaker.venues.grvt.gateway import GatewayOptions, GrvtGateway
from perpmaker.venues.grvt.orders import Lives
from perpmaker.venues.grvt.rest import allow_list
from perpmaker.venues.transport.http import open_http

_NONCE_SHIFT: Final = 32
"""The boot epoch shifted by this seeds the signature nonces: two lives never share one."""


class VenueIO:
    """Open it inside the running loop; `start` returns at once, a venue that is down is waited for."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        *,
        epoch: int,
        intents: IntentLog,
        kill: KillEpoch,
        clock: Clock,
        timings: Timings,
    ) -> None:
        self._http: aiohttp.ClientSession = open_http(allow_list(plan.environment))
        self.feed = GrvtFeed(
            environment=plan.environment, http=self._http, clock=clock, seed=plan.config.instance, timings=timings
        )
        self._subscriptions = _subscriptions(engine)
        self.gateways: dict[AccountId, OrderGateway] = {
            name: GrvtGateway(
                environment=plan.environment,
                who=who,
                instruments=self.feed.listed,
                intents=intents,
                kill=kill,
                http=self._http,
                clock=clock,
                seed=plan.config.instance * 64 + place,
                nonce_seed=(epoch << _NONCE_SHIFT) + (place << 24),
                options=_options(plan, name),
                timings=timings,
            )
            for place, (name, who) in enumerate(plan.keys.items())
        }

    async def start(self, sink: Sink) -> None:
        """Connect everything; private streams and market data arrive at `sink`."""
        for gateway in self.gateways.values():
            await gateway.start(sink)
        for subscription in self._subscriptions.values():
            self.feed.subscribe(subscription)
        await self.feed.start(sink)

    def renew(self, instrument: InstrumentId) -> None:
        """Have an instrument's streams opened anew, the book as a whole first."""
        self.feed.subscribe(self._subscriptions[instrument])

    async def stop(self) -> None:
        """Close everything; the venue's dead-man timer stays armed behind whatever may still be open."""
        await self.feed.stop()
        for gateway in self.gateways.values():
            await gateway.stop()
        await self._http.close()


def _subscriptions(engine: Engine) -> Mapping[InstrumentId, Subscription]:
    """What the strategies want to hear, and candles for the page."""
    wanted: dict[InstrumentId, int] = {}
    for slot in engine.world.slots.values():
        wanted.setdefault(slot.spec.instrument, CANDLE_S)
        for instrument, subscription in slot.subscriptions.items():
            wanted[instrument] = subscription.bars_s[0] if subscription.bars_s else wanted.get(instrument, CANDLE_S)
    return {instrument: Subscription(instrument, bar_s=bar_s) for instrument, bar_s in wanted.items()}


def _options(plan: Plan, account: AccountId) -> GatewayOptions:
    section = plan.config.account[account]
    return GatewayOptions(
        dead_man_s=float(section.dead_man_s),
        lives=Lives(resting_s=float(section.quote_expiry_s)),
        session_max_age_s=None if section.session_max_age_s is None else float(section.session_max_age_s),
    )
