"""The simulated venues of one paper engine: made of its plan, opened with what its journal knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from perpmaker.clock import Clock
from perpmaker.engine.assembly import Plan
from perpmaker.engine.backtest_models import latency_model, venue_settings
from perpmaker.engine.core import Engine
from perpmaker.engine.paper import PaperClock, PaperGateway, at_rest
from perpmaker.model.ids import HOME_EXCHANGE, AccountId
from perpmaker.simulation import AccountAtRest, Chance, SimulatedVenue
from perpmaker.venues.api import IntentLog, KillEpoch
from perpmaker.venues.ccxt.quirks import quirks_of


class PaperVenues:
    """Made before the pump, whose timers run on `clock`; gateways are made when the engine has been restored."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        epoch: int,
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._plan = plan
        section, config = plan.config.simulation, plan.config
        accounts = {plan.exchange_of(name): config.account[name] for name in plan.keys}
        self._venues = {
            exchange: SimulatedVenue(
                venue_settings(section, resting_s=account.quote_expiry_s),
                latency_model(section, epoch),
                Chance((config.instance << 24) + (epoch << 8) + place),
                mark=f"p{epoch}-",
            )
            for place, (exchange, account) in enumerate(accounts.items())
        }
        self.clock = PaperClock(self._venues, clock, loop, on_fatal)

    def gateway(self, account: AccountId, engine: Engine, intents: IntentLog, kill: KillEpoch) -> PaperGateway:
        plan = self._plan
        opening = AccountAtRest(account, "", plan.config.simulation.balance)
        venue = plan.venue_of(account)
        bits = 64 if venue == HOME_EXCHANGE else quirks_of(venue).capabilities.client_id_bits
        return PaperGateway(
            account=account,
            instruments=engine.world.traded(account),
            venue=self._venues[plan.exchange_of(account)],
            clock=self.clock,
            intents=intents,
            kill=kill,
            opening=at_rest(engine, account, opening),
            dead_man_s=plan.config.account[account].dead_man_s,
            id_bits=bits,
        )
