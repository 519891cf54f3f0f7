"""Which legs a configured strategy has, that no two of them are on one exchange, and that each instrument has one trader.

Two own accounts on one exchange's instrument would trade against each other: wash trading, whatever the intent. Exchanges
are compared by identity, not by adapter: `ccxt:grvt` is GRVT. The risk gate refuses own-crossing orders besides.
Why two strategies on two accounts are refused as well: docs/explanation/decisions/one-account.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perpmaker.config import Config, StrategySection
from perpmaker.engine.core.added import taken_text
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId, InstrumentId, instrument_id
from perpmaker.strategies.api import Leg
from perpmaker.venues.ccxt.quirks import exchange_identity

OTHER_LEGS: Final = ("hedge", "fallback")
"""Legs besides the lead, by the beginning of their keys: `hedge_account`, `hedge_instrument` ..."""


def other_legs(row: StrategySection) -> tuple[Leg, ...]:
    """Return a strategy's legs besides its lead, as they stand in its parameters."""
    found = []
    for name in OTHER_LEGS:
        account, instrument = row.params.get(f"{name}_account"), row.params.get(f"{name}_instrument")
        if isinstance(account, str) and isinstance(instrument, str):
            found.append(Leg(AccountId(account), InstrumentId(instrument)))
    return tuple(found)


def all_legs(row: StrategySection) -> tuple[Leg, ...]:
    """Return every leg, the lead first."""
    return (Leg(AccountId(row.account), InstrumentId(row.instrument)), *other_legs(row))


def with_qualified_legs(config: Config) -> Config:
    """Name the instruments of further legs as the engine does; raise ConfigError for legs that must not be paired."""
    problems = leg_problems(config)
    if problems:
        raise ConfigError("\n".join(problems))
    return config.model_copy(update={"strategy": [_qualified(config, row) for row in config.strategy]})


def leg_problems(config: Config) -> list[str]:
    """Return what is wrong between legs, one sentence each."""
    problems: list[str] = []
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    for row in config.strategy:
        problems += _between(config, row)
        for leg in all_legs(row):
            if leg.account not in config.account:
                continue  # said elsewhere
            symbol = leg.instrument.partition("@")[0]
            owner, account = owners.setdefault(
                (_exchange_of(config, leg.account), symbol), (row.name, str(leg.account))
            )
            if owner != row.name:
                problems.append(f"strategy.{row.name}: {taken_text(leg, owner, account)}")
    return problems


def _between(config: Config, row: StrategySection) -> Sequence[str]:
    legs = other_legs(row)
    unknown = [leg.account for leg in legs if leg.account not in config.account]
    if unknown:
        allowed = ", ".join(sorted(config.account))
        return [f"strategy.{row.name}: {name!r} is not an account; allowed: {allowed}" for name in unknown]
    problems: list[str] = []
    taken: dict[str, str] = {}
    for leg in all_legs(row):
        exchange = _exchange_of(config, leg.account)
        named = leg.instrument.partition("@")[2]
        if leg in legs and named and named != exchange:
            problems.append(
                f"strategy.{row.name}: {leg.instrument!r} is on {named}, but account {leg.account!r} is on {exchange}"
            )
        other = taken.get(exchange)
        taken[exchange] = leg.account
        if other is not None:
            problems.append(
                f"strategy.{row.name}: accounts {other!r} and {leg.account!r} are both on {exchange}; the legs of a pair "
                "must be on different exchanges: own accounts paired on one exchange would trade with each other, which "
                "is wash trading"
            )
    return problems


def _qualified(config: Config, row: StrategySection) -> StrategySection:
    params = dict(row.params)
    for name in OTHER_LEGS:
        account, instrument = params.get(f"{name}_account"), params.get(f"{name}_instrument")
        if isinstance(account, str) and isinstance(instrument, str):
            symbol = instrument.partition("@")[0]
            params[f"{name}_instrument"] = instrument_id(symbol, _exchange_of(config, account))
    return row.model_copy(update={"params": params})


def _exchange_of(config: Config, account: str) -> str:
    return exchange_identity(config.account[account].venue)
