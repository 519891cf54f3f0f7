"""A simulated day of four instruments through one backtest: limits held every second, no invariant broken, memory flat.

    python -m benchmarks simulated_day [--hours 24] [--seed 1] [--tape FILE] [--json FILE]

BTC, ETH, SOL and a thin instrument, each in a market of its own kind, and a market maker on each under one account whose
position limit is small enough to bind. Once a simulated second what is held, together with what every open order would
add, is held against the limits. The exit code is 1 when anything was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from benchmarks.strategies.markets import KINDS
from benchmarks.usage import used_by

from perpmaker import config as configuration
from perpmaker.config import Config
from perpmaker.engine.backtest import Run, RunResult, Setup
from perpmaker.engine.backtest_feed import plan_feed
from perpmaker.exchange.core.instruments import BTC, ETH, SOL, Instrument
from perpmaker.exchange.core.market.parameters import MarketParameters
from perpmaker.exchange.core.types import NANO
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.research.simulated_tape import simulate
from perpmaker.simulation import FillModel
from perpmaker.tape.reader import open_tape

THIN: Final = msgspec.structs.replace(
    SOL,
    name="THIN_USDT_Perp",
    base="THIN",
    asset_id=0x030701,
    tick_nano=NANO // 10_000,
    lot_nano=NANO,
    min_notional_nano=5 * NANO,
    start_px_nano=8 * NANO // 10,
    guess=True,
)
TRADED: Final = {"ranging": BTC, "trending": ETH, "volatile": SOL, "thin": THIN}
BOOK_NS: Final = 5 * NS_PER_S
"""How often changes of a book are told: a day has to be played in minutes."""
RARER: Final = 4.0
"""Participants look so many times less often than in the strategies' markets; as many trades come."""
MARK_MOVES: Final = Decimal("1.02")
"""What was within a limit when it was ordered may be worth so much more at a later mark."""
FLAT_MB_AN_HOUR: Final = 0.5
"""What memory besides the result's own tables may grow by, from half of the time on: until then what is kept is as much as
it may be. The heap goes up and down by 9 MB over some hours, which is worth so much over a day."""
_HOUR_NS: Final = 3_600 * NS_PER_S
_SETTINGS: Final = """
schema_version = 1
env = "local"
mode = "paper"
name = "day"
[account.main]
[risk]
max_position_notional = 1000
max_order_notional = 400
max_open_orders = 40
max_loss = 500
[simulation]
entry_ms = 20
response_ms = 20
"""
_MAKER: Final = """
[[strategy]]
name = "{name}"
kind = "market_maker"
account = "main"
instrument = "{instrument}"
book_interval_ms = 10000
[strategy.quoting]
model = "glft"
order_notional = 300
layers = 2
layer_spacing_bps = 4
min_half_spread_bps = 6
tolerance_bps = 3
refresh_interval_s = 10
"""


class Hour(NamedTuple):
    """The process at a simulated hour: memory and what of it is the result's tables, both in MB."""

    hours: float
    memory_mb: float
    tables_mb: float


class Watch:
    """Looks at a running backtest once a simulated second."""

    def __init__(self, run: Run, config: Config) -> None:
        self.seconds = 0
        self.beyond: list[str] = []
        self.at_limit: dict[str, int] = {}
        """Seconds in which an instrument's exposure was above 90 % of the limit: whether the limit was met at all."""
        self.most = Decimal(0)
        self.hours: list[Hour] = []
        self._run = run
        self._limits = config.risk
        self._began_ns = 0
        self._sample = run.chronicle.sample
        run.chronicle.sample = self.look  # type: ignore[method-assign]

    def look(self, now_ns: int) -> None:
        self._sample(now_ns)
        self._began_ns = self._began_ns or now_ns
        self.seconds += 1
        self._judge()
        if now_ns - self._began_ns >= len(self.hours) * _HOUR_NS:
            self._run.engine.assert_identity()
            tables = self._run.chronicle.tables.values()
            columns = [column for table in tables for column in table.columns.values()]
            tables_mb = sum(sys.getsizeof(block) for column in columns for block in column.blocks) / 1e6
            memory_mb = used_by(os.getpid()).resident_bytes / 1e6
            self.hours.append(Hour((now_ns - self._began_ns) / _HOUR_NS, memory_mb, tables_mb))
            _tell(f"{self.hours[-1].hours:.1f} h: {memory_mb:.0f} MB, {tables_mb:.0f} MB of it tables")

    def _judge(self) -> None:
        world, limits = self._run.engine.world, self._limits
        orders = 0
        for instrument in TRADED.values():
            name = InstrumentId(instrument.name)
            prices = world.books.prices(name)
            if prices is None or prices.mark_px is None:
                continue
            held = sum((book.position_qty(name) for book in world.account_books.values()), Decimal(0))
            adds = dict.fromkeys(Side, Decimal(0))
            for tracked in world.table.live(instrument=name):
                adds[tracked.order.side] += tracked.leaves_qty
                orders += 1
            exposure = max(abs(held + adds[Side.BUY]), abs(held - adds[Side.SELL]), abs(held)) * prices.mark_px
            self.most = max(self.most, exposure)
            if exposure > limits.max_position_notional * Decimal("0.9"):
                self.at_limit[name] = self.at_limit.get(name, 0) + 1
            if exposure > limits.max_position_notional * MARK_MOVES:
                self._found(f"{name}: {exposure:.2f} over max_position_notional {limits.max_position_notional}")
        if orders > limits.max_open_orders:
            self._found(f"{orders} orders over max_open_orders {limits.max_open_orders}")

    def _found(self, text: str) -> None:
        self.beyond.append(f"second {self.seconds}: {text}")


def grown_mb(hours: Sequence[Hour]) -> float:
    """Return by how much memory besides the tables grew in the second half, line against line (least squares)."""
    judged = [hour for hour in hours if hour.hours >= hours[-1].hours / 2]
    if len(judged) < 3:
        return 0.0
    xs = [hour.hours for hour in judged]
    ys = [hour.memory_mb - hour.tables_mb for hour in judged]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)
    return slope * (xs[-1] - xs[0])


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks simulated_day",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=1, help="of the simulated markets")
    parser.add_argument("--tape", type=Path, help="made here when it is not there (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(None if arguments is None else list(arguments))
    with tempfile.TemporaryDirectory() as folder:
        path = options.tape or Path(folder) / "day.tape"
        if not path.exists():
            write_day(path, options.hours, options.seed)
        began, wall = time.process_time(), time.monotonic()
        watch, result = play(path)
    said = told(watch, result) | {
        "processor_s": round(time.process_time() - began, 1),
        "wall_s": round(time.monotonic() - wall, 1),
    }
    text = json.dumps(said, indent=2, default=str)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 1 if said["problems"] else 0


def write_day(path: Path, hours: float, seed: int) -> None:
    """Write the tape of four markets."""
    instruments: tuple[Instrument, ...] = tuple(TRADED.values())
    told_h = 0.0

    def steps(done_ns: int) -> None:
        nonlocal told_h
        if done_ns / _HOUR_NS >= told_h + 1:
            told_h = done_ns / _HOUR_NS
            _tell(f"simulated {told_h:.0f} h of {hours:g} h")

    simulate(
        path,
        duration_ns=round(hours * 3600) * NS_PER_S,
        seed=seed,
        instruments=instruments,
        markets={instrument.name: _rarer(KINDS[kind].market) for kind, instrument in TRADED.items()},
        book_ns=BOOK_NS,
        steps=steps,
    )


def _rarer(market: MarketParameters) -> MarketParameters:
    makers, takers = market.makers, market.takers
    ladders = tuple(msgspec.structs.replace(ladder, wake_s=RARER * ladder.wake_s) for ladder in makers.ladders)
    return msgspec.structs.replace(
        market,
        makers=msgspec.structs.replace(makers, touch_wake_s=RARER * makers.touch_wake_s, ladders=ladders),
        takers=msgspec.structs.replace(
            takers,
            informed_wake_s=RARER * takers.informed_wake_s,
            momentum_wake_s=RARER * takers.momentum_wake_s,
        ),
        index=msgspec.structs.replace(market.index, every_s=RARER * market.index.every_s),
    )


def play(path: Path) -> tuple[Watch, RunResult]:
    """Run the day through the backtest, fill model queue."""
    config = settings()
    tape = open_tape(path)
    wanted = [InstrumentId(instrument.name) for instrument in TRADED.values()]
    run = Run(Setup(config), tape, plan_feed(tape, wanted, {}), FillModel.QUEUE)
    watch = Watch(run, config)
    return watch, run.play(lambda events, rows: None)


def settings() -> Config:
    makers = [_MAKER.format(name=one.base.lower(), instrument=one.name) for one in TRADED.values()]
    return configuration.parse(tomllib.loads(_SETTINGS + "".join(makers), parse_float=Decimal), {}, source="day")


def told(watch: Watch, result: RunResult) -> dict[str, Any]:
    """Return the figures, and the problems found."""
    figures = result.figures
    grown = grown_mb(watch.hours)
    problems = [f"beyond a limit: {text}" for text in watch.beyond[:20]]
    problems += [f"the engine said: {text}" for text in result.errors]
    allowed = FLAT_MB_AN_HOUR * watch.hours[-1].hours / 2 if watch.hours else 0.0
    if grown > allowed:
        problems.append(f"memory besides the tables grew by {grown:.1f} MB in the second half, more than {allowed:g}")
    if not watch.at_limit:
        problems.append("no limit was ever met: the run says nothing about limits")
    if figures.liquidations:
        problems.append(f"{figures.liquidations} liquidations")
    return {
        "seconds": watch.seconds,
        "events": result.events,
        "orders": figures.orders,
        "fills": figures.fills,
        "volume": round(figures.volume, 2),
        "pnl": round(figures.pnl, 2),
        "refused": dict(figures.refused),
        "largest exposure": round(watch.most, 2),
        "seconds above 90 % of the limit": watch.at_limit,
        "seconds beyond a limit": len(watch.beyond),
        "memory by hour, MB": [(round(h.hours, 1), round(h.memory_mb, 1), round(h.tables_mb, 1)) for h in watch.hours],
        "grown besides the tables in the second half, MB": round(grown, 1),
        "digest": result.digest,
        "problems": problems,
    }


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
