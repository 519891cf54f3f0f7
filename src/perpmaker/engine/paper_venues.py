"""The simulated venues of one paper engine: made of its configuration, opened with what its journal knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from perpmaker.clock import Clock
from perpmaker.config import Config
from perpmaker.engine.backtest_models import exchange_of, know_brackets, latency_model, venue_settings
from perpmaker.engine.core import Engine
from perpmaker.engine.paper import PaperClock, PaperGateway, at_rest
from perpmaker.engine.traded import used_accounts
from perpmaker.model.ids import HOME_EXCHANGE, AccountId
from perpmaker.simulation import AccountAtRest, Chance, SimulatedVenue
from perpmaker.venues.api import IntentLog, KillEpoch
from perpmaker.venues.ccxt.quirks import quirks_of


class PaperVenues:
    """Made before the pump, whose timers run on `clock`; gateways are made when the engine has been restored.

    `config` names instruments as the engine does. `epoch` is this life's: it marks ids and seeds what is drawn.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        *,
        epoch: int,
        on_fatal: Callable[[Exception], None],
    ) -> None:
        know_brackets(config)
        self._config = config
        section, used = config.simulation, used_accounts(config)
        accounts = {exchange_of(config, name): row for name, row in config.account.items() if name in used}
        self._venues = {
            exchange: SimulatedVenue(
                venue_settings(section, resting_s=account.quote_expiry_s, exchange=exchange),
                latency_model(section, epoch),
                Chance((config.instance << 24) + (epoch << 8) + place),
                mark=f"p{epoch}-",
            )
            for place, (exchange, account) in enumerate(accounts.items())
        }
        self.clock = PaperClock(self._venues, clock, loop, on_fatal)

    def gateway(self, account: AccountId, engine: Engine, intents: IntentLog, kill: KillEpoch) -> PaperGateway:
        section = self._config.account[account]
        opening = AccountAtRest(account, "", self._config.simulation.balance)
        bits = 64 if section.venue == HOME_EXCHANGE else quirks_of(section.venue).capabilities.client_id_bits
        return PaperGateway(
            account=account,
            instruments=engine.world.traded(account),
            venue=self._venues[exchange_of(self._config, account)],
            clock=self.clock,
            intents=intents,
            kill=kill,
            opening=at_rest(engine, account, opening),
            dead_man_s=section.dead_man_s,
            id_bits=bits,
        )
