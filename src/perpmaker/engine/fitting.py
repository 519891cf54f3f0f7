"""What does not fit between strategies, limits and venues, though each by itself is as it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from perpmaker.config import Config, StrategySection
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.traded import as_traded, params_of
from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE, AccountId, InstrumentId
from perpmaker.strategies.api import StrategyParams, Subscription
from perpmaker.strategies.orders_kept import orders_kept
from perpmaker.strategies.registry import make_strategy, parse_params
from perpmaker.venues.grvt import streams

_DAY_S: Final = 86_400
"""Of `regime.bar_s` the most; some venues have longer candles."""


class Keeper(NamedTuple):
    """A strategy that keeps orders: on the account of its lead, which comes first, and on those of its other legs."""

    name: str
    accounts: Sequence[AccountId]
    params: StrategyParams


def warnings_of(config: Config) -> list[str]:
    """Return what people may want as it is configured and more likely do not; the configuration has to be sound."""
    keepers = [
        Keeper(row.name, [leg.account for leg in all_legs(row)], parse_params(row.kind, params_of(row)))
        for row in config.strategy
    ]
    accounts = [AccountId(name) for name in config.account]
    triggers = {account: _keeps_triggers(config, account) for account in accounts}
    return room_warnings(keepers, dict.fromkeys(accounts, config.risk.max_open_orders), triggers)


def room_warnings(
    keepers: Iterable[Keeper], most: Mapping[AccountId, int], triggers: Mapping[AccountId, bool]
) -> list[str]:
    """Say of which accounts the limit on open orders is below what their strategies may keep at once.

    `most` is that limit by account, `triggers` whether the account's venue keeps orders that wait for a price.
    """
    kept: dict[AccountId, dict[str, int]] = {}
    for keeper in keepers:
        count = orders_kept(keeper.params, triggers=triggers.get(keeper.accounts[0], False))
        if count is None:
            continue
        for place, account in enumerate(keeper.accounts):
            of_account = kept.setdefault(account, {})
            of_account[keeper.name] = of_account.get(keeper.name, 0) + (count.others if place else count.lead)
    return [
        f"account {account}: max_open_orders = {most[account]} leaves no room for the {sum(counts.values())} orders that "
        f"its strategies may keep at once ({', '.join(f'{name} {count}' for name, count in counts.items())}); "
        "those beyond it are refused"
        for account, counts in kept.items()
        if account in most and sum(counts.values()) > most[account]
    ]


def bar_problems(config: Config, row: StrategySection) -> list[str]:
    """Return which bars a strategy would subscribe to that the venue has no candles of: the engine would end with them.

    The parameters have to be sound. The practice exchange has the candles of the venue whose protocol it speaks.
    """
    try:
        wanted = _subscriptions(row)
    except ConfigError as error:
        return str(error).splitlines()
    problems = []
    for subscription in wanted:
        venue = _venue_of(config, row, subscription.instrument)
        if venue is None:
            continue  # an account that is not there, which is said elsewhere
        for bar_s in subscription.bars_s:
            offered = candle_lengths(venue)
            if bar_s not in offered:
                problems.append(_no_candles(row, bar_s, venue, offered))
    return problems


def candles_wanted(wanted: Iterable[tuple[str, Subscription]]) -> dict[InstrumentId, int]:
    """Return how long the candles are that strategies want to hear of live, in seconds, by instrument; `wanted` names them.

    Raises ConfigError where two lengths are wanted on one instrument: live there is one stream of candles of each, and who
    wants another would hear nothing. (A backtest makes bars of every length.)
    """
    lengths: dict[InstrumentId, dict[int, str]] = {}
    for name, subscription in wanted:
        for bar_s in subscription.bars_s:
            lengths.setdefault(subscription.instrument, {}).setdefault(bar_s, name)
    problems = [
        f"bars_s: {instrument} is heard with candles of one length live, not of "
        + " and ".join(f"{bar_s} s (strategy {name})" for bar_s, name in of.items())
        for instrument, of in lengths.items()
        if len(of) > 1
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return {instrument: next(iter(of)) for instrument, of in lengths.items()}


def candle_problems(config: Config) -> list[str]:
    """Return where strategies want candles of several lengths; each by itself has to be sound."""
    try:
        rows = as_traded(config).strategy  # one symbol on two exchanges is two instruments
        candles_wanted((row.name, subscription) for row in rows for subscription in _subscriptions(row))
    except ConfigError as error:
        return str(error).splitlines()
    return []


def candle_lengths(venue: str) -> tuple[int, ...]:
    """Return how long the candles of a configured venue may be, in seconds, as its adapter subscribes to them."""
    if venue == HOME_EXCHANGE:
        return tuple(streams.CANDLE_INTERVALS)
    from perpmaker.venues.ccxt.feed import TIMEFRAMES  # brings an HTTP client, which GRVT alone does not need here

    return tuple(TIMEFRAMES)


def _keeps_triggers(config: Config, account: AccountId) -> bool:
    if config.mode == "paper" or config.account[account].venue != HOME_EXCHANGE:
        return False
    from perpmaker.venues.grvt.gateway import CAPABILITIES  # brings what signs and sends

    return CAPABILITIES.triggers


def _subscriptions(row: StrategySection) -> Sequence[Subscription]:
    strategy = make_strategy(row.kind, params_of(row))
    try:
        return list(strategy.subscriptions())
    except Exception as error:  # a person's own code
        raise ConfigError(f"kind = {row.kind!r}: subscriptions() raised {type(error).__name__}: {error}") from error


def _venue_of(config: Config, row: StrategySection, instrument: InstrumentId) -> str | None:
    """Return the venue that an instrument's candles come from: its leg's, else that of the lead; None of no account."""
    accounts = {leg.instrument: leg.account for leg in reversed(all_legs(row))}  # of one name on both, the lead's
    account = config.account.get(accounts.get(instrument, AccountId(row.account)))
    return None if account is None else account.venue


def _no_candles(row: StrategySection, bar_s: int, venue: str, offered: Sequence[int]) -> str:
    key, allowed = "bars_s", offered
    regime = row.params.get("regime")
    if isinstance(regime, dict) and regime.get("bar_s") == bar_s:
        key, allowed = "regime.bar_s", [length for length in offered if length <= _DAY_S]
    return f"{key} = {bar_s}: {venue} has no candles of that length; must be one of {', '.join(map(str, allowed))}"
