"""A strategy in the engine itself, on a simulated market, in virtual time: what its test runs.

Engine, risk gate, execution and the simulated venue are those of a backtest; there is no socket and no waiting, and the
same seed gives the same fills.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from perpmaker import config as configuration
from perpmaker.config import Config
from perpmaker.engine.backtest import Run, Setup
from perpmaker.engine.backtest_feed import plan_feed
from perpmaker.engine.backtest_ledger import Figures
from perpmaker.engine.backtest_models import traded_instruments
from perpmaker.errors import ConfigError
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.research.simulated_tape import simulate
from perpmaker.simulation import FillModel
from perpmaker.strategies.api import Explained, Strategy
from perpmaker.strategies.registry import make_strategy
from perpmaker.tape.reader import open_tape

_NS_PER_MIN = 60_000_000_000


class Practised(msgspec.Struct, frozen=True):
    """What came of it."""

    figures: Figures
    """Fills, orders, refusals, PnL and its parts; money in the account's currency."""
    failures: dict[str, str]
    """By strategy, what a hook raised; the engine stops a strategy that raises."""
    explained: dict[str, Mapping[str, Explained]]
    """By strategy, what it last explained of its instrument."""
    digest: str
    """Over everything that happened: equal for equal code, configuration and seed."""


def strategy_in(path: Path, name: str = "") -> Strategy[Any]:
    """Return a new strategy as a configuration has it, the only one or the one named; ConfigError when it cannot be."""
    config = configuration.load(path)
    names = [row.name for row in config.strategy]
    if (name and name not in names) or (not name and len(names) != 1):
        raise ConfigError(f"{path}: which strategy? Name one of {', '.join(names) or 'none'}")
    row = config.strategy[names.index(name) if name else 0]
    return make_strategy(row.kind, {**row.params, "instrument": row.instrument})


def practise(path: Path, *, minutes: float = 2, seed: int = 1, activity: float = 1.0) -> Practised:
    """Run a configuration on the practice exchange's simulated market, fills by queue position; ConfigError if it cannot.

    `activity` is how often takers come and how large orders are, as a multiple of the usual. Two minutes of one market
    take about two seconds.
    """
    config = configuration.load(path)
    with tempfile.TemporaryDirectory() as folder:
        tape_path = Path(folder) / "practice.tape"
        _simulate(config, tape_path, round(minutes * _NS_PER_MIN), seed, activity)
        tape = open_tape(tape_path)
        played = plan_feed(tape, traded_instruments(config), {})
        run = Run(Setup(config, seed), tape, played, FillModel.QUEUE)
        result = run.play(lambda _events, _rows: None)
    slots = run.engine.world.slots
    return Practised(
        figures=result.figures,
        failures={name: slot.error for name, slot in slots.items() if slot.error},
        explained={name: slot.explained.get(slot.spec.instrument, {}) for name, slot in slots.items()},
        digest=result.digest,
    )


def _simulate(config: Config, path: Path, duration_ns: int, seed: int, activity: float) -> None:
    wanted = [name.partition("@")[0] for name in traded_instruments(config)]
    listed = [row for row in DEFAULT_INSTRUMENTS if row.name in wanted]
    missing = sorted(set(wanted) - {row.name for row in listed})
    if missing:
        there = ", ".join(row.name for row in DEFAULT_INSTRUMENTS)
        raise ConfigError(f"the simulated market has no {', '.join(missing)}; it has {there}")
    simulate(path, duration_ns=duration_ns, seed=seed, instruments=listed, activity=activity)
