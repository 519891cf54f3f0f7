"""A backtest as an evaluation: the configuration with some keys of one strategy changed, over a part of a tape."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from perpmaker import config as configuration
from perpmaker.config import Config
from perpmaker.engine.backtest import Setup, backtest
from perpmaker.errors import ConfigError
from perpmaker.research import metrics
from perpmaker.research.backtest_results import results_of
from perpmaker.research.report_figures import periodic_equity
from perpmaker.research.tuning.scoring import Score
from perpmaker.research.tuning.space import Value
from perpmaker.simulation import FillModel
from perpmaker.strategies.own import code_of, is_own
from perpmaker.strategies.regimes.model import trained_of
from perpmaker.tape.reader import open_tape


class BacktestEvaluation(msgspec.Struct, frozen=True):
    """Everything a worker needs, as plain data; on another machine the tapes lie under the same paths."""

    raw: dict[str, Any]
    """The configuration as read, numbers exact."""
    environment: dict[str, str]
    """Variables that override keys of it."""
    strategy: str
    tapes: tuple[str, ...]
    fill_model: str
    period_s: int
    named: dict[str, str] = {}

    def __call__(self, params: Mapping[str, Value], from_ns: int, to_ns: int, seed: int) -> Score:
        config = self.config(params)
        tape = open_tape(*map(Path, self.tapes))
        setup = Setup(config, seed, from_ns, to_ns, named=self.named)
        results = results_of(backtest(setup, tape, (FillModel(self.fill_model),)), config)
        run = results.main
        returns = metrics.period_returns(periodic_equity(run, results, self.period_s))
        return Score(
            pnl=run.pnl,
            notional=run.notional,
            fills=sum(len(market.fills) for market in run.markets),
            drawdown_frac=metrics.deepest_drawdown(run.equity).frac,
            period_s=float(self.period_s),
            returns=tuple(returns.tolist()),
            digest=run.digest,
        )

    def config(self, params: Mapping[str, Value]) -> Config:
        """Return the configuration with these keys of the strategy changed; ConfigError when it cannot be."""
        rows = [dict(row) for row in self.raw.get("strategy", [])]
        for row in rows:
            if row.get("name") == self.strategy:
                for name, value in params.items():
                    _put(row, name, value)
        return configuration.parse({**self.raw, "strategy": rows}, self.environment, source="the configuration")

    def fingerprint(self) -> str:
        """Name what is evaluated: the configuration but for what is tuned, the tape's content, the models, own code."""
        config = self.config({})
        whole = config.model_dump(mode="json", exclude={"tune"})
        told = [
            whole,
            self.strategy,
            open_tape(*map(Path, self.tapes)).fingerprint,
            self.fill_model,
            self.period_s,
            self.named,
            *(code_of(row.kind).hex() for row in config.strategy if is_own(row.kind)),
            *(digest.hex() for row in config.strategy if (digest := trained_of(row.kind, row.params))),
        ]
        return hashlib.blake2b(msgspec.json.encode(told), digest_size=16).hexdigest()


def chosen_strategy(config: Config, name: str) -> configuration.StrategySection:
    """Return the strategy to be tuned: the named one, or the only one."""
    if not config.strategy:
        raise ConfigError("nothing to tune: give at least one [[strategy]]")
    names = ", ".join(row.name for row in config.strategy)
    if not name and len(config.strategy) > 1:
        raise ConfigError(
            f"several strategies: say which one to tune by --strategy or [tune] strategy; there are {names}"
        )
    for row in config.strategy:
        if row.name == (name or config.strategy[0].name):
            return row
    raise ConfigError(f"{name!r} is no strategy of the configuration; there are {names}")


def _put(row: dict[str, Any], dotted: str, value: Value) -> None:
    """Set a key of nested tables, without touching those of the original."""
    *tables, key = dotted.split(".")
    inner = row
    for table in tables:
        inner[table] = inner = dict(inner.get(table, {}))
    inner[key] = value
