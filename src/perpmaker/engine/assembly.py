"""From a configuration to what a live engine is made of: accounts, keys, hosts, limits, strategies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from perpmaker.config import AccountSection, Config, ccxt_credentials, credentials
from perpmaker.control.home import RunFile
from perpmaker.engine.core import AccountSpec, EngineSpec, FeeRates
from perpmaker.engine.locks import LockKey, instrument_key, journal_key, sub_account_key
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.paper_account import PaperAccount
from perpmaker.engine.records import AccountPrint, Fingerprint
from perpmaker.engine.traded import as_traded, limits_of, params_of, strategy_spec, used_accounts
from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE, NARROW_INSTANCE_BITS, AccountId, InstrumentId
from perpmaker.risk.limits import Limits
from perpmaker.strategies.own import code_of
from perpmaker.strategies.regimes.model import trained_of
from perpmaker.strategies.registry import make_strategy
from perpmaker.venues.ccxt.gateway import CcxtAccount
from perpmaker.venues.ccxt.library import addresses
from perpmaker.venues.ccxt.quirks import exchange_identity, quirks_of
from perpmaker.venues.grvt.environments import Environment, environment
from perpmaker.venues.grvt.gateway import CAPABILITIES, GatewayAccount
from perpmaker.venues.secret import Secret

LOCAL: Final = "local"
_BPS: Final = Decimal(10_000)
ARMED_ENVIRONMENTS: Final = ("prod",)
"""Where live trading needs a person's confirmation first."""


class ExchangeAccount(msgspec.Struct, frozen=True):
    """One funded account of the practice exchange's ready line."""

    api_key: str
    private_key: str
    sub_account_id: str


class Face(msgspec.Struct, frozen=True):
    """A venue of the practice exchange besides GRVT: its addresses and funded accounts."""

    rest: str
    ws: str
    accounts: list[FaceAccount]


class FaceAccount(msgspec.Struct, frozen=True):
    api_key: str
    secret: str


AccountKeys = GatewayAccount | CcxtAccount | PaperAccount
PAPER: Final = "paper"


class Plan(msgspec.Struct, frozen=True):
    """Everything a live engine is made of, checked. Secrets stand in `keys` alone."""

    config: Config
    environment: Environment | None
    """GRVT's hosts; None when no account is on it."""
    exchange_instance: str
    keys: dict[AccountId, AccountKeys]
    config_hash: str
    faces: dict[str, dict[str, Any]]
    """ccxt's addresses by configured venue: those of the practice exchange, {} for the venue's own."""
    pause_added: bool = False
    """Whether pairs that people started in earlier lives come up paused, and parent orders of them end."""

    @property
    def is_paper(self) -> bool:
        """Whether orders are simulated beside the venue's public feed."""
        return self.config.mode == PAPER

    @property
    def realm(self) -> str:
        """What the engine's folder is named after besides its name: paper and live never share a journal."""
        return f"{self.config.env}-{PAPER}" if self.is_paper else self.config.env

    @property
    def venue(self) -> str:
        """The exchanges that are traded on, for people."""
        return ",".join(sorted({self.exchange_of(name) for name in self.keys}))

    def venue_of(self, account: AccountId) -> str:
        """Return an account's venue as configured."""
        return self.config.account[account].venue

    def exchange_of(self, account: AccountId) -> str:
        """Return the identity of the exchange behind an account, whatever adapter leads there."""
        return exchange_identity(self.venue_of(account))

    @property
    def fingerprint(self) -> Fingerprint:
        accounts = tuple(
            AccountPrint(name, self.exchange_of(name), key.sub_account_id, self._chain_id(name))
            for name, key in sorted(self.keys.items())
        )
        config = self.config
        return Fingerprint(config.name, config.env, config.mode, config.instance, accounts, self.exchange_instance)

    def lock_keys(self, journal: Path) -> list[LockKey]:
        """What no second engine may hold: the journal, every sub-account, every instrument."""
        env, instance = self.config.env, self.exchange_instance
        keys = [journal_key(journal)]
        if self.is_paper:
            return keys  # nothing of it is at the venue
        keys += [
            sub_account_key(self.exchange_of(name), env, key.sub_account_id, instance)
            for name, key in self.keys.items()
        ]
        keys += [
            instrument_key(self.exchange_of(leg.account), env, leg.instrument, instance)
            for row in self.config.strategy
            for leg in all_legs(row)
        ]
        keys += [
            instrument_key(self.exchange_of(name), env, instrument, instance)
            for name in self.keys
            for instrument in self.config.account[name].instruments
        ]
        return keys

    def _chain_id(self, account: AccountId) -> int:
        on_grvt = isinstance(self.keys[account], GatewayAccount) and self.environment is not None
        return self.environment.chain_id if on_grvt and self.environment is not None else 0

    def spec(self, epoch: int, numbers: Mapping[str, int]) -> EngineSpec:
        """Return what the core is built from; `numbers` are those of every strategy the journal knows."""
        config = self.config
        limits = limits_of(config)
        return EngineSpec(
            name=config.name,
            instance=config.instance,
            epoch=epoch,
            needs_arming=config.mode == "live" and config.env in ARMED_ENVIRONMENTS,
            accounts=tuple(
                self._account_spec(AccountId(name), limits, section)
                for name, section in config.account.items()
                if AccountId(name) in self.keys
            ),
            strategies=tuple(strategy_spec(row, numbers[row.name]) for row in config.strategy),
            fees=self._fees(),
            close_max_slippage_bps=config.risk.close_max_slippage_bps,
            config_hash=self.config_hash,
            numbers=dict(numbers),
            pause_added=self.pause_added,
            books_show_own=not self.is_paper,
        )

    def _account_spec(self, name: AccountId, limits: Limits, section: AccountSection) -> AccountSpec:
        exchange = self.exchange_of(name)
        named = tuple(InstrumentId(instrument) for instrument in section.instruments)
        if exchange == HOME_EXCHANGE and section.venue == HOME_EXCHANGE:
            triggers = CAPABILITIES.triggers and not self.is_paper
            return AccountSpec(name, exchange, limits, section.quote_expiry_s, instruments=named, triggers=triggers)
        offered = quirks_of(self.venue_of(name)).capabilities
        life_s = section.quote_expiry_s if offered.signature_expiry or self.is_paper else 0
        return AccountSpec(name, exchange, limits, life_s, offered.client_id_bits, named)

    def _fees(self) -> dict[InstrumentId, FeeRates]:
        """Return what trading costs until own fills have shown it, where a venue's row says."""
        found = {}
        section = self.config.simulation
        simulated = FeeRates(section.maker_fee_bps / _BPS, section.taker_fee_bps / _BPS)
        traded = [(leg.account, str(leg.instrument)) for row in self.config.strategy for leg in all_legs(row)]
        traded += [(name, instrument) for name in self.keys for instrument in self.config.account[name].instruments]
        for name, instrument in traded:
            if self.is_paper:
                found[InstrumentId(instrument)] = simulated
            elif isinstance(self.keys[name], CcxtAccount):
                quirks = quirks_of(self.venue_of(name))
                if quirks.maker_fee is not None and quirks.taker_fee is not None:
                    found[InstrumentId(instrument)] = FeeRates(quirks.maker_fee, quirks.taker_fee)
        return found


def make_plan(config: Config, exchange: RunFile | None, dotenv: Path | None) -> Plan:
    """Check a configuration against the world: addresses, credentials, strategies' parameters.

    `exchange` is the practice exchange's run file, for env local. Raises ConfigError naming what is wrong.
    """
    config = as_traded(config)
    used = used_accounts(config)
    if not used:
        raise ConfigError(
            "nothing to trade: give at least one [[strategy]], or name what is executed on by hand: "
            'instruments = ["..."] in an [account.NAME]'
        )
    for row in config.strategy:
        make_strategy(row.kind, params_of(row))  # raises for wrong parameters before anything is started
    keys: dict[AccountId, AccountKeys] = {
        AccountId(name): (
            PaperAccount(AccountId(name))
            if config.mode == PAPER
            else account_keys(AccountId(name), section, config.env, exchange, dotenv)
        )
        for name, section in config.account.items()
        if name in used
    }
    narrow = [name for name in keys if config.account[name].venue != HOME_EXCHANGE]
    if narrow and config.instance >= 1 << NARROW_INSTANCE_BITS:
        raise ConfigError(
            f"instance: {config.instance} is not allowed with account.{narrow[0]}, whose client order ids have 32 bits; "
            f"allowed: 0 to {(1 << NARROW_INSTANCE_BITS) - 1}"
        )
    owners: dict[tuple[str, str], AccountId] = {}
    for name, key in keys.items():
        other = owners.setdefault((exchange_identity(config.account[name].venue), key.sub_account_id), name)
        if other != name:
            raise ConfigError(f"account.{name} and account.{other} are the same sub-account {key.sub_account_id}")
    return Plan(
        config=config,
        environment=(
            environment(config.env, _addresses(config, exchange))
            if any(config.account[name].venue == HOME_EXCHANGE for name in keys)
            else None
        ),
        exchange_instance=exchange.extra.get("instance_id", "") if config.env == LOCAL and exchange else "",
        keys=keys,
        faces=_faces(config, used, exchange),
        config_hash=_hash_of(config),
    )


def _hash_of(config: Config) -> str:
    """Name what is run, the code of people's own strategies and trained models included: who armed one armed no other."""
    state = hashlib.blake2b(config.model_dump_json().encode(), digest_size=8)
    for row in config.strategy:
        state.update(code_of(row.kind) + trained_of(row.kind, row.params))
    return state.hexdigest()


def venue_addresses(venue: str, env: str, exchange: RunFile | None) -> dict[str, Any]:
    """Return where a venue's practice face is, {} for an environment whose hosts are the venue's own."""
    if env != LOCAL:
        return {}
    if venue == HOME_EXCHANGE:
        return dict(_local_urls(exchange))
    face = _face(venue, exchange)
    return addresses(quirks_of(venue), {"rest": face.rest, "ws": face.ws})


def _addresses(config: Config, exchange: RunFile | None) -> Mapping[str, object] | None:
    return _local_urls(exchange) if config.env == LOCAL else None


def _local_urls(exchange: RunFile | None) -> Mapping[str, object]:
    if exchange is None:
        raise ConfigError(
            'env = "local" needs a practice exchange in the same home: perpmaker exchange, or perpmaker up'
        )
    return exchange.urls


def account_keys(
    name: AccountId, section: AccountSection, env: str, exchange: RunFile | None, dotenv: Path | None
) -> GatewayAccount | CcxtAccount:
    """Return what an account signs with; ConfigError naming what is missing."""
    if section.venue != HOME_EXCHANGE:
        return _ccxt_keys(name, section, env, exchange, dotenv)
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


def _ccxt_keys(
    name: AccountId, section: AccountSection, env: str, exchange: RunFile | None, dotenv: Path | None
) -> CcxtAccount:
    if env in ("testnet", "staging"):
        raise ConfigError(f'account.{name}.venue: {section.venue!r} has no env {env!r}; allowed: "local", "prod"')
    if env != LOCAL:
        found = ccxt_credentials(section, dotenv=dotenv)
        password = None if found.password is None else Secret(found.password.get_secret_value())
        return CcxtAccount(
            name, Secret(found.api_key.get_secret_value()), Secret(found.secret.get_secret_value()), password
        )
    listed = _face(section.venue, exchange).accounts
    if section.local_account >= len(listed):
        raise ConfigError(
            f"account.{name}.local_account: {section.local_account} is not allowed; the practice exchange has accounts "
            f"0 to {len(listed) - 1} on {section.venue}"
        )
    account = listed[section.local_account]
    return CcxtAccount(name, Secret(account.api_key), Secret(account.secret))


def _face(venue: str, exchange: RunFile | None) -> Face:
    addresses_of = {name: exchange.urls.get(f"{venue}_{name}") for name in ("rest", "ws")} if exchange else {}
    if exchange is None or not all(addresses_of.values()):
        raise ConfigError(
            f'venue {venue!r} with env = "local" needs a practice exchange that speaks it, in the same home: '
            f"perpmaker exchange --venues grvt,{venue}, or perpmaker up"
        )
    try:
        accounts = msgspec.json.decode(exchange.extra[f"{venue}_accounts"], type=list[FaceAccount])
    except (KeyError, msgspec.DecodeError) as error:
        raise ConfigError(f"the practice exchange's run file lists no accounts of {venue} ({error})") from error
    return Face(str(addresses_of["rest"]), str(addresses_of["ws"]), accounts)


def _faces(config: Config, used: set[str], exchange: RunFile | None) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in used:
        venue = config.account[name].venue
        if venue != HOME_EXCHANGE and config.env == LOCAL:
            found[venue] = venue_addresses(venue, config.env, exchange)
    return found


def _listed(exchange: RunFile | None) -> list[ExchangeAccount]:
    if exchange is None:
        raise ConfigError(
            'env = "local" needs a practice exchange in the same home: perpmaker exchange, or perpmaker up'
        )
    try:
        return msgspec.json.decode(exchange.extra["accounts"], type=list[ExchangeAccount], strict=False)
    except (KeyError, msgspec.DecodeError) as error:
        raise ConfigError(f"the practice exchange's run file lists no accounts ({error}); start it again") from error
