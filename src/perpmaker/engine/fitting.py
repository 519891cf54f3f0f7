"""What does not fit between strategies, limits and venues, though each by itself is as it may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perpmaker.config import Config, StrategySection
from perpmaker.engine.pairing import all_legs
from perpmaker.engine.traded import params_of
from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE, InstrumentId
from perpmaker.strategies.api import Subscription
from perpmaker.strategies.registry import make_strategy
from perpmaker.venues.grvt import streams

_DAY_S: Final = 86_400
"""Of `regime.bar_s` the most; some venues have longer candles."""


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
        for bar_s in subscription.bars_s:
            offered = candle_lengths(venue)
            if bar_s not in offered:
                problems.append(_no_candles(row, bar_s, venue, offered))
    return problems


def candle_lengths(venue: str) -> tuple[int, ...]:
    """Return how long the candles of a configured venue may be, in seconds, as its adapter subscribes to them."""
    if venue == HOME_EXCHANGE:
        return tuple(streams.CANDLE_INTERVALS)
    from perpmaker.venues.ccxt.feed import TIMEFRAMES  # brings an HTTP client, which GRVT alone does not need here

    return tuple(TIMEFRAMES)


def _subscriptions(row: StrategySection) -> Sequence[Subscription]:
    strategy = make_strategy(row.kind, params_of(row))
    try:
        return list(strategy.subscriptions())
    except Exception as error:  # a person's own code
        raise ConfigError(f"kind = {row.kind!r}: subscriptions() raised {type(error).__name__}: {error}") from error


def _venue_of(config: Config, row: StrategySection, instrument: InstrumentId) -> str:
    """Return the venue that an instrument's candles come from: its leg's, else that of the lead."""
    accounts = {leg.instrument: leg.account for leg in all_legs(row)}
    return config.account[accounts.get(instrument, row.account)].venue


def _no_candles(row: StrategySection, bar_s: int, venue: str, offered: Sequence[int]) -> str:
    key, allowed = "bars_s", offered
    regime = row.params.get("regime")
    if isinstance(regime, dict) and regime.get("bar_s") == bar_s:
        key, allowed = "regime.bar_s", [length for length in offered if length <= _DAY_S]
    return f"{key} = {bar_s}: {venue} has no candles of that length; must be one of {', '.join(map(str, allowed))}"
