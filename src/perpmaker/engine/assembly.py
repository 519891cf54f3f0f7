"""From a configuration to what a live engine is made of: accounts, keys, hosts, limits, strategies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from perpmaker.config import AccountSection, Config, StrategySection, credentials
from perpmaker.control.home import RunFile
from perpmaker.engine.core import AccountSpec, EngineSpec, StrategySpec
from perpmaker.engine.locks import LockKey, instrument_key, journal_key, sub_account_key
from perpmaker.engine.records import AccountPrint, Fingerprint
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.risk.limits import Limits
from perpmaker.strategies.api import Strategy
from perpmaker.strategies.registry import make_strategy
from perpmaker.venues.grvt.environments import Environment, environment
from perpmaker.venues.grvt.gateway import GatewayAccount
from perpmaker.venues.secret import Secret

VENUE: Final = "grvt"
LOCAL: Final = "local"
ARMED_ENVIRONMENTS: Final = ("prod",)
"""Where live trading needs a person's confirmation first."""


class ExchangeAccount(msgspec.Struct, frozen=True):
    """One funded account of the practice exchange's ready line."""

    api_key: str
    private_key: str
    sub_account_id: str


class Plan(msgspec.Struct, frozen=True):
    """Everything a live engine is made of, checked. Secrets stand in `keys` alone."""

    config: Config
    environment: Environment
    exchange_instance: str
    keys: dict[AccountId, GatewayAccount]
    config_hash: str

    @property
    def fingerprint(self) -> Fingerprint:
        accounts = tuple(
            AccountPrint(name, VENUE, key.sub_account_id, self.environment.chain_id)
            for name, key in sorted(self.keys.items())
        )
        config = self.config
        return Fingerprint(config.name, config.env, config.mode, config.instance, accounts, self.exchange_instance)

    def lock_keys(self, journal: Path) -> list[LockKey]:
        """What no second engine may hold: the journal, every sub-account, every instrument."""
        env, instance = self.config.env, self.exchange_instance
        keys = [journal_key(journal)]
        keys += [sub_account_key(VENUE, env, key.sub_account_id, instance) for key in self.keys.values()]
        keys += [instrument_key(VENUE, env, row.instrument, instance) for row in self.config.strategy]
        return keys

    def spec(self, epoch: int, numbers: Mapping[str, int]) -> EngineSpec:
        """Return what the core is built from."""
        config = self.config
        limits = limits_of(config)
        return EngineSpec(
            name=config.name,
            instance=config.instance,
            epoch=epoch,
            needs_arming=config.mode == "live" and config.env in ARMED_ENVIRONMENTS,
            accounts=tuple(
                AccountSpec(AccountId(name), VENUE, limits, section.quote_expiry_s)
                for name, section in config.account.items()
                if AccountId(name) in self.keys
            ),
            strategies=tuple(strategy_spec(row, numbers[row.name]) for row in config.strategy),
            close_max_slippage_bps=config.risk.close_max_slippage_bps,
            config_hash=self.config_hash,
        )


def make_plan(config: Config, exchange: RunFile | None, dotenv: Path | None) -> Plan:
    """Check a configuration against the world: addresses, credentials, strategies' parameters.

    `exchange` is the practice exchange's run file, for env local. Raises ConfigError naming what is wrong.
    """
    if config.mode != "live":
        raise ConfigError(
            f'mode = {config.mode!r}: this version runs mode = "live" alone; for practice use env = "local" '
            '(the practice exchange) or env = "testnet"'
        )
    used = {row.account for row in config.strategy}
    for row in config.strategy:
        make_strategy(row.kind, _params(row))  # raises for wrong parameters before anything is started
    keys = {
        AccountId(name): _keys(AccountId(name), section, config.env, exchange, dotenv)
        for name, section in config.account.items()
        if name in used
    }
    owners: dict[str, AccountId] = {}
    for name, key in keys.items():
        other = owners.setdefault(key.sub_account_id, name)
        if other != name:
            raise ConfigError(f"account.{name} and account.{other} are the same sub-account {key.sub_account_id}")
    return Plan(
        config=config,
        environment=environment(config.env, _addresses(config, exchange)),
        exchange_instance=exchange.extra.get("instance_id", "") if config.env == LOCAL and exchange else "",
        keys=keys,
        config_hash=hashlib.blake2b(config.model_dump_json().encode(), digest_size=8).hexdigest(),
    )


def limits_of(config: Config) -> Limits:
    """Return the gate's limits as configured."""
    risk = config.risk
    return Limits(
        max_position_notional=risk.max_position_notional,
        max_order_notional=risk.max_order_notional,
        max_open_orders=risk.max_open_orders,
        price_collar_bps=risk.price_collar_bps,
        orders_per_s=risk.orders_per_s,
        max_loss=risk.max_loss,
        max_drawdown_frac=risk.max_drawdown_frac,
        flatten_on_drawdown=risk.flatten_on_drawdown,
    )


def strategy_spec(row: StrategySection, number: int) -> StrategySpec:
    """Return a configured strategy as the core wants it."""
    return StrategySpec(
        strategy=StrategyId(row.name),
        kind=row.kind,
        number=number,
        account=AccountId(row.account),
        instrument=InstrumentId(row.instrument),
        make=_maker(row.kind, _params(row)),
    )


def _maker(kind: str, params: Mapping[str, Any]) -> Callable[[], Strategy[Any]]:
    return lambda: make_strategy(kind, params)


def _params(row: StrategySection) -> dict[str, Any]:
    return {**row.params, "instrument": row.instrument}


def _addresses(config: Config, exchange: RunFile | None) -> Mapping[str, object] | None:
    if config.env != LOCAL:
        return None
    if exchange is None:
        raise ConfigError(
            'env = "local" needs a practice exchange in the same home: perpmaker exchange, or perpmaker up'
        )
    return exchange.urls


def _keys(
    name: AccountId, section: AccountSection, env: str, exchange: RunFile | None, dotenv: Path | None
) -> GatewayAccount:
    if env != LOCAL:
        found = credentials(section, dotenv=dotenv)
        return GatewayAccount(
            account=name,
            sub_account_id=found.sub_account_id,
            api_key=Secret(found.api_key.get_secret_value()),
            private_key=Secret(found.private_key.get_secret_value()),
        )
    listed = _listed(exchange)
    if section.local_account >= len(listed):
        raise ConfigError(
            f"account.{name}.local_account: {section.local_account} is not allowed; the practice exchange has accounts "
            f"0 to {len(listed) - 1}"
        )
    account = listed[section.local_account]
    return GatewayAccount(
        account=name,
        sub_account_id=account.sub_account_id,
        api_key=Secret(account.api_key),
        private_key=Secret(account.private_key),
    )


def _listed(exchange: RunFile | None) -> list[ExchangeAccount]:
    if exchange is None:
        raise ConfigError(
            'env = "local" needs a practice exchange in the same home: perpmaker exchange, or perpmaker up'
        )
    try:
        return msgspec.json.decode(exchange.extra["accounts"], type=list[ExchangeAccount], strict=False)
    except (KeyError, msgspec.DecodeError) as error:
        raise ConfigError(f"the practice exchange's run file lists no accounts ({error}); start it again") from error
