"""Strategies by the name a configuration gives them. Adding one is a file of its own and one line here.

A person's own need no line: the configuration names their file (`strategies.own`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perpmaker.errors import ConfigError
from perpmaker.strategies.api import Strategy, StrategyParams
from perpmaker.strategies.grid.grid import Grid
from perpmaker.strategies.market_maker import MarketMaker
from perpmaker.strategies.own import is_own, own_class
from perpmaker.strategies.pair.cross_maker import CrossMaker
from perpmaker.strategies.pair.pair import Pair
from perpmaker.strategies.presets import with_preset
from perpmaker.strategies.schema import KeySchema, read_table, table_schema
from perpmaker.strategies.skewed_maker import SkewedMaker

_CLASSES: Final[tuple[type[Strategy[Any]], ...]] = (
    MarketMaker,
    SkewedMaker,
    Grid,
    Pair,
    CrossMaker,
)

STRATEGIES: Final[Mapping[str, type[Strategy[Any]]]] = {cls.kind: cls for cls in _CLASSES}


def strategy_class(kind: str) -> type[Strategy[Any]]:
    """Return the class of a kind; raise ConfigError naming the known kinds."""
    if is_own(kind):
        return own_class(kind)
    known = STRATEGIES.get(kind)
    if known is None:
        raise ConfigError(
            f"kind = {kind!r}: unknown strategy; must be one of {', '.join(STRATEGIES)}, or FILE.py:CLASS for one of "
            "your own"
        )
    return known


def params_schema(kind: str) -> tuple[KeySchema, ...]:
    """Return every key a strategy of this kind takes, with unit, range, default and meaning."""
    return table_schema(strategy_class(kind).params_type)


def parse_params(kind: str, values: Mapping[str, Any]) -> StrategyParams:
    """Return the parameters of a `[[strategy]]` table, its own keys only (with `instrument`, without name, kind, account).

    Raises ConfigError with every problem on a line of its own: key, value and what is allowed.
    """
    cls = strategy_class(kind)
    params, problems = read_table(cls.params_type, with_preset(cls.presets, values))
    if params is None:
        raise ConfigError("\n".join(problems))
    return params


def make_strategy(kind: str, values: Mapping[str, Any]) -> Strategy[Any]:
    """Return a new strategy of this kind with its parameters parsed; ConfigError when one's own cannot be made."""
    params = parse_params(kind, values)
    if not is_own(kind):
        return strategy_class(kind)(params)
    try:
        return own_class(kind)(params)
    except Exception as error:
        raise ConfigError(f"kind = {kind!r}: cannot be made: {type(error).__name__}: {error}") from error
