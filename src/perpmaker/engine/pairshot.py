"""An engine for one pair that a person starts: which accounts its legs are on, and an engine that trades just those.

As with one parent order (engine.oneshot): journal, name and accounts are the configuration's, so that its next life knows
every order and fill; its strategies do not run, and a pair of an earlier life comes up paused.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from perpmaker.clock import Clock
from perpmaker.config import Config, ControlSection
from perpmaker.control.home import RunFile
from perpmaker.engine.assembly import Plan, make_plan
from perpmaker.engine.live import LiveEngine
from perpmaker.engine.locks import Holder
from perpmaker.engine.oneshot import holder_of_account, missing
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.traded import used_accounts
from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE, AccountId, InstrumentId, instrument_id
from perpmaker.strategies.api import Leg
from perpmaker.strategies.pair.planning import ONE_EXCHANGE
from perpmaker.venues.ccxt.quirks import exchange_identity


def known_legs(config: Config) -> list[Leg]:
    """Return every instrument the configuration names, as the engine does, with the account that has it."""
    found = [(leg.account, str(leg.instrument)) for row in config.strategy for leg in all_legs(row)]
    found += [(AccountId(name), each) for name, section in config.account.items() for each in section.instruments]
    named = (Leg(name, instrument_id(each.partition("@")[0], exchange_of(config, name))) for name, each in found)
    return list(dict.fromkeys(named))


def legs_of_market(config: Config, base: str) -> tuple[Leg, Leg]:
    """Return the two legs that the configuration names for a base currency; ConfigError when there are not just two."""
    found = [leg for leg in known_legs(config) if base_of(leg.instrument) == base.upper()]
    exchanges = list(dict.fromkeys(exchange_of(config, leg.account) for leg in found))
    if len(found) != 2 or len(exchanges) != 2:
        bases = sorted({base_of(leg.instrument) for leg in known_legs(config)})
        there = ", ".join(f"{leg.instrument} ({leg.account})" for leg in found) or "nothing"
        raise ConfigError(
            f"--market {base}: the configuration names {there} of it; name --lead and --hedge, or one of: "
            f"{', '.join(bases) or 'none'}"
        )
    first, second = found
    return (second, first) if exchange_of(config, second.account) == HOME_EXCHANGE else (first, second)


def leg_for(config: Config, key: str, instrument: str, account: str | None) -> Leg:
    """Return an instrument with the account that trades it: the one named, else the only one that can."""
    known = sorted(config.account)
    if account is not None and account not in config.account:
        raise ConfigError(f"--{key}-account {account}: is not an account; allowed: {', '.join(known)}")
    symbol, _, exchange = instrument.partition("@")
    named = {leg.account for leg in known_legs(config) if leg.instrument.partition("@")[0] == symbol}
    possible = [account] if account is not None else [name for name in known if name in named] or known
    if exchange:
        possible = [name for name in possible if exchange_of(config, name) == exchange]
    if len(possible) != 1:
        choice = ", ".join(possible or known)
        why = f"no account is on {exchange}" if exchange and not possible else f"say which account trades {instrument}"
        raise ConfigError(f"--{key}-account: {why}; allowed: {choice}")
    return Leg(AccountId(possible[0]), instrument_id(symbol, exchange_of(config, possible[0])))


def refuse_one_exchange(config: Config, lead: Leg, hedge: Leg) -> None:
    """Raise ConfigError when both legs are on one exchange, whatever adapters lead there."""
    exchange = exchange_of(config, lead.account)
    if exchange == exchange_of(config, hedge.account):
        both = f"it ({hedge.account}) and {lead.instrument} ({lead.account}) are both on {exchange}"
        raise ConfigError(f"--hedge {hedge.instrument}: {both}; {ONE_EXCHANGE}")


def pairshot_plan(config: Config, legs: tuple[Leg, Leg], exchange: RunFile | None, dotenv: Path | None) -> Plan:
    """Return the plan of an engine that trades these legs when it is told to, and nothing else."""
    used = used_accounts(config)
    for leg in legs:
        if used and leg.account not in used:
            raise ConfigError(
                f"account {leg.account}: the engine of this configuration does not trade on it, and its journal does not "
                f'know it; to add it: instruments = ["{leg.instrument}"] in [account.{leg.account}]'
            )
    wanted = {leg.account: leg.instrument for leg in legs}
    whole = {
        name: section.model_copy(
            update={"instruments": list(dict.fromkeys([*section.instruments, wanted[AccountId(name)]]))}
        )
        if AccountId(name) in wanted
        else section
        for name, section in config.account.items()
    }
    plan = make_plan(config.model_copy(update={"account": whole}), exchange, dotenv)  # checked as `run` would
    calm = {
        "strategy": [],
        "account": {
            name: section.model_copy(
                update={"instruments": [wanted[AccountId(name)]] if AccountId(name) in wanted else []}
            )
            for name, section in plan.config.account.items()
        },
        "control": ControlSection(port=0),
    }
    return msgspec.structs.replace(plan, config=plan.config.model_copy(update=calm), pause_added=True)


def holder_of_legs(plan: Plan, legs: tuple[Leg, Leg], folder: Path) -> Holder | None:
    """Return the engine that holds both accounts, None when both are free; ConfigError when it is neither."""
    holders = [holder_of_account(plan, leg.account, folder) for leg in legs]
    pids = {holder.pid for holder in holders if holder is not None}
    if len(pids) > 1 or (pids and None in holders):
        said = ", ".join(
            f"{leg.account} is {'free' if holder is None else f'in use by {holder.engine!r} (pid {holder.pid})'}"
            for leg, holder in zip(legs, holders, strict=True)
        )
        raise ConfigError(f"both accounts of a pair are one engine's: {said}")
    return holders[0]


def named_legs(config: Config) -> tuple[Leg, ...]:
    """Return what the accounts name."""
    return tuple(
        Leg(AccountId(name), InstrumentId(each))
        for name, section in config.account.items()
        for each in section.instruments
    )


def missing_for(live: LiveEngine, legs: tuple[Leg, ...], clock: Clock) -> str:
    """Say what an engine still waits for before the first clip can rest, "" for nothing."""
    return next((text for leg in legs if (text := missing(live, leg.account, leg.instrument, clock))), "")


def exchange_of(config: Config, account: str) -> str:
    return exchange_identity(config.account[account].venue)


def base_of(instrument: str) -> str:
    """Return the base currency by the usual form of a symbol; only for choosing, the venue's listing is what counts."""
    return instrument.partition("@")[0].replace("-", "_").replace("/", "_").split("_")[0].upper()
