"""What a configuration trades, whatever the venues are: names, accounts, limits, strategies. Neither hosts nor keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perpmaker.config import Config, StrategySection
from perpmaker.engine.core import StrategySpec
from perpmaker.engine.pairing import all_legs, other_legs, with_qualified_legs
from perpmaker.errors import ConfigError
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId, instrument_id
from perpmaker.risk.limits import Limits
from perpmaker.strategies.api import Strategy
from perpmaker.strategies.own import shown_kind
from perpmaker.strategies.registry import make_strategy
from perpmaker.venues.ccxt.quirks import exchange_identity


def as_traded(config: Config) -> Config:
    """Return a configuration whose instruments are named as the engine names them; ConfigError for what cannot be."""
    return with_qualified_legs(_qualified(config))


def used_accounts(config: Config) -> set[str]:
    """Return the accounts that an engine of this configuration trades on; its journal belongs to them."""
    of_strategies = {str(leg.account) for row in config.strategy for leg in all_legs(row)}
    return of_strategies | {name for name, section in config.account.items() if section.instruments}


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
        kind=shown_kind(row.kind),
        number=number,
        account=AccountId(row.account),
        instrument=InstrumentId(row.instrument),
        make=_maker(row.kind, params_of(row)),
        others=other_legs(row),
    )


def params_of(row: StrategySection) -> dict[str, Any]:
    """Return a strategy's parameters, its instrument among them."""
    return {**row.params, "instrument": row.instrument}


def qualified(key: str, config: Config, account: str, instrument: str) -> InstrumentId:
    """Return an instrument's name in the engine; ConfigError, naming `key`, when it is of another exchange."""
    exchange = exchange_identity(config.account[account].venue)
    symbol, _, named = instrument.partition("@")
    if (named or exchange) != exchange:
        raise ConfigError(f"{key}: {instrument!r} is on {named}, but account {account!r} is on {exchange}")
    return instrument_id(symbol, exchange)


def _qualified(config: Config) -> Config:
    """Name every instrument as the engine does, by symbol and exchange; a name of another exchange is a mistake."""
    rows = [
        row.model_copy(update={"instrument": qualified("strategy.instrument", config, row.account, row.instrument)})
        for row in config.strategy
    ]
    accounts = {}
    for name, section in config.account.items():
        named = [qualified(f"account.{name}.instruments", config, name, listed) for listed in section.instruments]
        accounts[name] = section.model_copy(update={"instruments": list(dict.fromkeys(named))})
    return config.model_copy(update={"strategy": rows, "account": accounts})


def _maker(kind: str, params: Mapping[str, Any]) -> Callable[[], Strategy[Any]]:
    return lambda: make_strategy(kind, params)
