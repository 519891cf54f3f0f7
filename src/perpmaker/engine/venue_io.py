"""The venues' side of a live engine: a feed per exchange, a gateway per account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp

from perpmaker.clock import Clock
from perpmaker.engine.assembly import Plan
from perpmaker.engine.chart import CANDLE_S
from perpmaker.engine.core import Engine
from perpmaker.engine.fitting import candles_wanted
from perpmaker.engine.paper import PaperFeed
from perpmaker.engine.paper_venues import PaperVenues
from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE, AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.venues.api import IntentLog, KillEpoch, MarketFeed, OrderGateway, Sink, Subscription, Timings
from perpmaker.venues.ccxt import library
from perpmaker.venues.ccxt.feed import CcxtFeed, FeedOptions
from perpmaker.venues.ccxt.gateway import CcxtAccount, CcxtGateway
from perpmaker.venues.ccxt.quirks import quirks_of
from perpmaker.venues.grvt.environments import Environment
from perpmaker.venues.grvt.feed import GrvtFeed
from perpmaker.venues.grvt.gateway import GatewayAccount, GatewayOptions, GrvtGateway
from perpmaker.venues.grvt.orders import Lives
from perpmaker.venues.grvt.rest import allow_list
from perpmaker.venues.transport.http import open_http

_NONCE_SHIFT: Final = 32
"""The boot epoch shifted by this seeds the signature nonces: two lives never share one."""
REPORTING: Final = "USDT"
"""What equity is told in when accounts hold several currencies."""


def load_libraries(plan: Plan) -> None:
    """Import what the venues of a plan need and nothing else, before the loop turns: ccxt takes seconds and 90 MB."""
    if any(plan.venue_of(name) != HOME_EXCHANGE for name in plan.keys):
        library.load()


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
        paper: PaperVenues | None = None,
    ) -> None:
        self._plan = plan
        self._epoch = epoch
        self._intents = intents
        self._kill = kill
        self._clock = clock
        self._timings = timings
        self._http: aiohttp.ClientSession | None = None
        self._subscriptions = _subscriptions(engine)
        self.feeds: dict[str, MarketFeed] = {}
        """By exchange identity."""
        self.gateways: dict[AccountId, OrderGateway] = {}
        for place, (name, who) in enumerate(plan.keys.items()):
            seed = plan.config.instance * 64 + place
            if paper is not None:
                self.gateways[name] = paper.gateway(name, engine, intents, kill)
                self._feed_beside(name, paper, seed)
            elif isinstance(who, CcxtAccount):
                self.gateways[name] = self._through_ccxt(name, who, seed)
            elif isinstance(who, GatewayAccount):
                self.gateways[name] = self._on_grvt(who, place, seed)

    async def start(self, sink: Sink) -> None:
        """Connect everything; private streams and market data arrive at `sink`."""
        for gateway in self.gateways.values():
            await gateway.start(sink)
        for instrument, subscription in self._subscriptions.items():
            self._feed_of(instrument).subscribe(subscription)
        for feed in self.feeds.values():
            await feed.start(sink)

    def renew(self, instrument: InstrumentId) -> None:
        """Have an instrument's streams opened anew, the book as a whole first."""
        self._feed_of(instrument).subscribe(self._subscriptions[instrument])

    async def stop(self) -> None:
        """Close everything; a dead-man timer stays armed behind whatever may still be open, where the venue has one."""
        for feed in self.feeds.values():
            await feed.stop()
        for gateway in self.gateways.values():
            await gateway.stop()
        if self._http is not None:
            await self._http.close()

    def _on_grvt(self, who: GatewayAccount, place: int, seed: int) -> OrderGateway:
        environment = self._plan.environment
        if environment is None:
            raise ConfigError(f"account.{who.account}: the plan names no hosts of GRVT")
        return GrvtGateway(
            environment=environment,
            who=who,
            instruments=self._grvt_listed(environment),
            intents=self._intents,
            kill=self._kill,
            http=self._grvt_http(environment),
            clock=self._clock,
            seed=seed,
            nonce_seed=(self._epoch << _NONCE_SHIFT) + (place << 24),
            options=_options(self._plan, who.account),
            timings=self._timings,
        )

    def _grvt_http(self, environment: Environment) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = open_http(allow_list(environment))
        return self._http

    def _grvt_listed(self, environment: Environment) -> Mapping[InstrumentId, Instrument]:
        feed = self.feeds.get(HOME_EXCHANGE)
        if not isinstance(feed, GrvtFeed):
            feed = self.feeds[HOME_EXCHANGE] = GrvtFeed(
                environment=environment,
                http=self._grvt_http(environment),
                clock=self._clock,
                seed=self._plan.config.instance,
                timings=self._timings,
            )
        return feed.listed

    def _feed_beside(self, name: AccountId, paper: PaperVenues, seed: int) -> None:
        """Make the public feed of a paper account's exchange, once; the simulated venue hears it first."""
        exchange = self._plan.exchange_of(name)
        if exchange in self.feeds:
            return
        if self._plan.venue_of(name) != HOME_EXCHANGE:
            self._ccxt_feed(name, seed)
        elif self._plan.environment is not None:
            self._grvt_listed(self._plan.environment)
        self.feeds[exchange] = PaperFeed(self.feeds[exchange], paper.clock)

    def _ccxt_feed(self, name: AccountId, seed: int) -> None:
        venue, exchange = self._plan.venue_of(name), self._plan.exchange_of(name)
        quirks = quirks_of(venue)
        if exchange not in self.feeds:
            convert = (quirks.settle, REPORTING) if quirks.settle not in ("", REPORTING) else None
            self.feeds[exchange] = CcxtFeed(
                quirks=quirks, clock=self._clock, seed=seed, urls=self._plan.faces.get(venue, {}), timings=self._timings,
                options=FeedOptions(convert=convert),
            )  # fmt: skip

    def _through_ccxt(self, name: AccountId, who: CcxtAccount, seed: int) -> OrderGateway:
        venue = self._plan.venue_of(name)
        quirks, urls = quirks_of(venue), self._plan.faces.get(venue, {})
        self._ccxt_feed(name, seed)
        return CcxtGateway(
            quirks=quirks, who=who, intents=self._intents, kill=self._kill, clock=self._clock, seed=seed, urls=urls,
            timings=self._timings,
        )  # fmt: skip

    def _feed_of(self, instrument: InstrumentId) -> MarketFeed:
        exchange = instrument.partition("@")[2] or HOME_EXCHANGE
        feed = self.feeds.get(exchange)
        if feed is None:
            raise ConfigError(f"{instrument}: no account is on {exchange}")
        return feed


def _subscriptions(engine: Engine) -> Mapping[InstrumentId, Subscription]:
    """What the strategies want to hear, what people execute on, and candles for the page."""
    slots = engine.world.slots.values()
    wanted: dict[InstrumentId, int] = dict.fromkeys(engine.world.named(), CANDLE_S)
    for slot in slots:
        wanted.setdefault(slot.spec.instrument, CANDLE_S)
        wanted.update({name: CANDLE_S for name in slot.subscriptions if name not in wanted})
    wanted.update(candles_wanted((slot.spec.strategy, one) for slot in slots for one in slot.subscriptions.values()))
    return {instrument: Subscription(instrument, bar_s=bar_s) for instrument, bar_s in wanted.items()}


def _options(plan: Plan, account: AccountId) -> GatewayOptions:
    section = plan.config.account[account]
    return GatewayOptions(
        dead_man_s=float(section.dead_man_s),
        lives=Lives(resting_s=float(section.quote_expiry_s)),
        session_max_age_s=None if section.session_max_age_s is None else float(section.session_max_age_s),
    )
