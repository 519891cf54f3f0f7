"""A long run of what `./run` starts: does it grow, and do journal, store and exchange still agree at its end?

    python -m benchmarks soak [--minutes 30] [--warm-up 10] [--seed 1] [--four] [--protected] [--home FOLDER] [--json FILE]

Exchange and engine run with `configs/local.toml` in a fresh home, without a dashboard; `--four` adds a fourth maker, on a
thin market, `--protected` gives each maker a stop loss and a take profit, which wait at the venue too. Each second memory,
descriptors, threads, tasks and the events processed are noted, and positions and orders held against the configured limits.
The slope of memory over events is fitted by least squares to what came after the warm-up, in which memories that are
bounded fill. Then the engine is stopped as Ctrl-C does, and what it wrote down is held against the exchange's `/ledger` by
the oracle of the chaos tests. The exit code is 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import surroundings  # noqa: E402
from benchmarks.usage import Sample, Trend, tasks, trend, used_by  # noqa: E402
from tests.chaos.harness import Stack  # noqa: E402
from tests.chaos.oracle import Oracle  # noqa: E402
from tests.chaos.venue import Books, VenueFill, read_books  # noqa: E402

from perpmaker import config as configuration  # noqa: E402
from perpmaker.config import RiskSection  # noqa: E402
from perpmaker.control.client import ControlClient, EngineUnreachable  # noqa: E402
from perpmaker.control.messages import Status  # noqa: E402
from perpmaker.engine.folders import engine_folder, store_path  # noqa: E402
from perpmaker.engine.store import StoredFill, StoreReader  # noqa: E402
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS  # noqa: E402
from perpmaker.exchange.core.types import NANO  # noqa: E402

CONFIG = ROOT / "configs" / "local.toml"
THREE = "".join(
    f"""
[[instrument]]
name = "{row.name}"
instrument_hash = "{row.hash_text}"
tick_size = "{row.px_text(1)}"
min_size = "{row.qty_text(1)}"
min_notional = "{row.min_notional_nano // NANO}"
max_position_size = "{row.qty_text(row.max_position_lots)}"
start_price = "{row.px_text(row.start_px_nano // row.tick_nano)}"
"""
    for row in DEFAULT_INSTRUMENTS
)
"""The listed instruments as a file tells them."""
THIN = """
[[instrument]]
name = "THIN_USDT_Perp"
instrument_hash = "0x030701"
tick_size = "0.0001"
min_size = "1"
min_notional = "5"
max_position_size = "10000000"
start_price = "0.8"
activity = 0.1
"""
"""The thinnest the simulated market knows: a tenth of the usual takers and sizes, a tick of 1.25 bps."""
THIN_MAKER = """
[[strategy]]
name = "thin"
kind = "market_maker"
account = "main"
instrument = "THIN_USDT_Perp"
book_interval_ms = 100

[strategy.quoting]
model = "glft"
order_notional = 100
layers = 3
layer_spacing_bps = 4
tolerance_bps = 1.5
"""
PROTECTION = """
[strategy.protection]
stop_loss_bps = 10
take_profit_bps = 10
at_venue_beyond_bps = 3
rest_s = 5
"""
"""So near that some are carried out every few minutes, and so near each other that the venue is first now and then."""
MAX_SLOPE = 5.0
"""MB per million events of the engine, for each process after the warm-up (docs/reference/benchmarks.md)."""
MOST_MISSED = 20
"""Looks that a starved engine may leave unanswered; each waits for some seconds."""
MARK_MOVES = Decimal("1.02")
READY_S = 60.0
AUDIT_EVERY_S = 120.0
"""The exchange lists the last 2,500 closed orders, up to 1,300 come in this time: asked so often none is missed."""
TOLD_EVERY_S = 60.0

Tell = Callable[[str], None]


class Soak(NamedTuple):
    """What a run showed."""

    samples: list[Sample]
    warm_up_s: float
    fills: int
    orders: int
    waited: dict[str, int]
    """How many orders waited for a price, by what became of them."""
    exit_code: int
    differences: list[str]
    """What journal, store and exchange do not agree on."""
    over_limits: list[str]
    """What was found beyond a limit of [risk], second by second."""
    load: tuple[float, float]
    """Load average of the machine before and after."""

    @property
    def judged(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.at_s >= self.warm_up_s]

    @property
    def trends(self) -> list[Trend]:
        return [trend(name, self.judged) for name in ("engine", "exchange")]

    def problems(self, *, memory: bool = True) -> list[str]:
        """Say which bounds were missed; without `memory` the slope is not judged, as after a warm-up that was too short."""
        found = [f"not equal: {text}" for text in self.differences]
        found += [f"beyond its limit: {text}" for text in self.over_limits]
        if self.exit_code:
            found.append(f"the engine ended with code {self.exit_code}")
        for one in self.trends:
            if memory and one.resident_slope > MAX_SLOPE:
                found.append(
                    f"the {one.name} grew {one.resident_slope:.1f} MB per million events; the bound is {MAX_SLOPE:g}"
                )
            for what, (first, last) in (("descriptors", one.descriptors), ("threads", one.threads)):
                if last > first:
                    found.append(f"{one.name}: {what} {first} -> {last}")
        first, last = tasks(self.judged)
        if last > first:
            found.append(f"engine: tasks {first} -> {last}")
        return found

    def table(self) -> str:
        head = (
            "process",
            "resident MB",
            "MB per million events",
            "of private memory",
            "descriptors",
            "threads",
            "tasks",
        )
        rows = [head, ("---",) * len(head)]
        for one in self.trends:
            counted = _change(*tasks(self.judged)) if one.name == "engine" else ""
            rows.append(
                (
                    one.name,
                    f"{one.resident_mb[0]:.1f} -> {one.resident_mb[1]:.1f}",
                    f"{one.resident_slope:+.1f}",
                    f"{one.private_slope:+.1f}",
                    _change(*one.descriptors),
                    _change(*one.threads),
                    counted,
                )
            )
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def as_json(self) -> dict[str, Any]:
        return {
            "benchmark": "soak",
            "minutes": self.samples[-1].at_s / 60,
            "warm_up_minutes": self.warm_up_s / 60,
            "events": self.samples[-1].events,
            "events_judged": self.judged[-1].events - self.judged[0].events,
            "fills": self.fills,
            "orders": self.orders,
            "waited": self.waited,
            "load": self.load,
            "tasks": tasks(self.judged),
            "processes": [one._asdict() for one in self.trends],
            "over_limits": self.over_limits,
            "problems": self.problems(),
            "samples": [[s.at_s, s.events, s.tasks, *s.of["engine"], *s.of["exchange"]] for s in self.samples],
        }


def soak(
    home: Path,
    minutes: float,
    warm_up: float,
    *,
    seed: int = 1,
    four: bool = False,
    protected: bool = False,
    tell: Tell = lambda _: None,
) -> Soak:
    """Run exchange and engine in a fresh `home` for so many minutes, then stop the engine and compare.

    With `four` markets there is a thin one besides what `configs/local.toml` makes; `protected` gives each maker stops.
    """
    settings = configuration.load(CONFIG)
    options = ["--state", str(home / "exchange"), "--history-s", str(settings.exchange.history_s)]
    load = os.getloadavg()[0]
    text = CONFIG.read_text()
    if four:
        home.mkdir(parents=True, exist_ok=True)
        listing = home / "instruments.toml"
        listing.write_text(THREE + THIN)
        options += ["--instruments", str(listing)]
        text += THIN_MAKER
    if protected:
        text = with_protection(text)
    over_limits: list[str] = []
    with closing(Stack(home, text, exchange_options=options, seed=seed)) as stack:
        stack.folder = engine_folder(stack.home, settings.name, settings.env)
        stack.start_exchange()
        stack.start_engine()
        stack.wait_quoting(READY_S)
        oracle = Oracle(stack)
        samples = _watch(
            stack, oracle, minutes * 60, tell, lambda status: over_limits.extend(beyond(status, settings.risk))
        )
        code = stack.stop_engine()
        differences = _differences(stack, oracle)
        waited = Counter(
            f"executed ({order.status})" if order.cum_qty else order.status
            for order in oracle.audit.collect()
            if order.waits
        )
        books = read_books(stack)
    return Soak(
        samples,
        warm_up * 60,
        books.fills_total,
        books.orders_total,
        dict(sorted(waited.items())),
        code,
        differences,
        over_limits,
        (load, os.getloadavg()[0]),
    )


def with_protection(text: str) -> str:
    """Return a configuration with a stop loss and a take profit for each strategy."""
    head, *makers = text.split("\n[[strategy]]\n")
    return "".join((head, *(f"\n[[strategy]]\n{maker.rstrip()}\n{PROTECTION}" for maker in makers)))


def beyond(status: Status, limits: RiskSection) -> list[str]:
    """Say what stands beyond a limit: a position at its mark, an order, how many orders, the day's loss, the drawdown.

    A position within its limit when it was taken may be worth more at a later mark, so it has `MARK_MOVES` of room. An
    order that waits for a price closes a position at once, so its size is held against the position's limit.
    """
    room = limits.max_position_notional * MARK_MOVES
    found = [
        f"{row.instrument}: position {row.notional} over {limits.max_position_notional}"
        for row in status.positions
        if row.notional is not None and abs(Decimal(row.notional)) > room
    ]
    for row in status.open_orders:
        worth = Decimal(0) if row.px is None else Decimal(row.px) * Decimal(row.qty)
        most = room if row.trigger else limits.max_order_notional
        if worth > most:
            found.append(f"{row.instrument}: order of {worth} over {most}")
    if len(status.open_orders) > limits.max_open_orders:
        found.append(f"{len(status.open_orders)} open orders over {limits.max_open_orders}")
    if status.day_pnl is not None and Decimal(status.day_pnl) < -limits.max_loss and status.open_orders:
        found.append(f"{len(status.open_orders)} orders rest after a loss of {status.day_pnl}")
    if (status.drawdown_frac or 0) > limits.max_drawdown_frac and status.open_orders:
        found.append(f"{len(status.open_orders)} orders rest after a drawdown of {status.drawdown_frac}")
    return found


def _watch(stack: Stack, oracle: Oracle, seconds: float, tell: Tell, look: Callable[[Status], None]) -> list[Sample]:
    """Sample once a second, and have the oracle see every order meanwhile."""
    client = stack.client()
    if client is None or stack.exchange is None:
        raise RuntimeError("the engine is not running")
    pids = {"engine": stack.running.pid, "exchange": stack.exchange.pid}
    started = time.monotonic()
    samples: list[Sample] = []
    told_s = audited_s = 0.0
    asked = missed = 0
    while (at_s := time.monotonic() - started) < seconds:
        asked += 1
        try:
            samples.append(_sample(client, pids, at_s))
            look(client.status())
        except EngineUnreachable:  # starved, as everything else on the machine may be; or gone
            missed += 1
            tell(f"{at_s / 60:5.1f} min  the engine did not answer, for the {missed}. time")
            if missed > MOST_MISSED:
                raise
            continue
        if at_s - audited_s >= AUDIT_EVERY_S:
            oracle.audit.collect()
            audited_s = at_s
        if at_s - told_s >= TOLD_EVERY_S:
            tell(_progress(samples[-1]))
            told_s = at_s
        time.sleep(max(0.0, asked - (time.monotonic() - started)))
    return samples


def _sample(client: ControlClient, pids: dict[str, int], at_s: float) -> Sample:
    metrics = dict(line.split("{", 1) for line in client.metrics().splitlines() if not line.startswith("#"))
    events, tasks = (int(float(metrics[f"perpmaker_{name}"].rpartition(" ")[2])) for name in ("events", "tasks"))
    return Sample(at_s, events, tasks, {name: used_by(pid) for name, pid in pids.items()})


def _progress(sample: Sample) -> str:
    held = ", ".join(f"{name} {usage.resident_bytes / 1e6:.1f} MB" for name, usage in sample.of.items())
    return f"{sample.at_s / 60:5.1f} min  {sample.events:8,} events  {held}  {sample.tasks} tasks"


def _differences(stack: Stack, oracle: Oracle) -> list[str]:
    """Say what journal, store and exchange do not agree on, after the engine has stopped."""
    try:
        oracle.judge_stopped()
    except AssertionError as error:
        found = str(error).splitlines()
    else:
        found = []
    reader = StoreReader(store_path(stack.folder))
    try:
        return found + store_differs(reader, read_books(stack))
    finally:
        reader.close()


def store_differs(reader: StoreReader, books: Books) -> list[str]:
    """Hold the store against the ledger: every fill's figures, positions, open orders."""
    stored = {row.trade_id: _stored(row) for row in reader.every_fill()}
    executed = {row.trade_id: _executed(row) for row in books.fills}
    found = [
        f"trade {trade}: the store has {stored.get(trade)}, the exchange {executed.get(trade)}"
        for trade in sorted(stored.keys() | executed.keys())
        if stored.get(trade) != executed.get(trade)
    ]
    held = {row.instrument: row.position_after for row in reader.every_fill()}
    found += [
        f"{name}: the store holds {held.get(name, 0)}, the exchange {books.positions.get(name, 0)}"
        for name in sorted(held.keys() | books.positions.keys())
        if held.get(name, Decimal(0)) != books.positions.get(name, Decimal(0))
    ]
    live = (order for order in reader.every_order() if order.ended_ns is None)
    return found + [f"the store has order {order.client_order_id} as {order.state}" for order in live]


def _stored(fill: StoredFill) -> tuple[object, ...]:
    return int(fill.client_order_id), fill.instrument, fill.side, fill.px, fill.qty, fill.fee, fill.is_taker


def _executed(fill: VenueFill) -> tuple[object, ...]:
    return fill.client_order_id, fill.instrument, fill.side, fill.px, fill.qty, fill.fee, fill.is_taker


def _change(first: int, last: int) -> str:
    return f"{first} ({last - first:+d})"


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm-up", type=float, default=10.0, help="minutes that are not judged")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated market")
    parser.add_argument("--four", action="store_true", help="add a maker on a thin market")
    parser.add_argument("--protected", action="store_true", help="give every maker a stop loss and a take profit")
    parser.add_argument("--home", type=Path, help="where to run, and leave everything (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="where the figures and every sample go")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if not 0 <= options.warm_up < options.minutes:
        parser.error("the warm-up must end before the run does")
    around = surroundings()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        done = soak(
            home,
            options.minutes,
            options.warm_up,
            seed=options.seed,
            four=options.four,
            protected=options.protected,
            tell=lambda text: print(text, flush=True),
        )
    print(f"\n{done.table()}\n")
    print(f"{done.samples[-1].events:,} events, {done.orders:,} orders, {done.fills:,} fills; ", end="")
    print(f"load average {done.load[0]:.1f} before and {done.load[1]:.1f} after")
    if done.waited:
        ends = ", ".join(f"{count:,} {end}" for end, count in done.waited.items())
        print(f"of the orders {sum(done.waited.values()):,} waited for a price: {ends}")
    problems = done.problems()
    if not done.differences:
        print("journal, store and /ledger are equal: fills, positions, balance, open orders; no own orders met")
    if not done.over_limits:
        print(f"within the limits of [risk] at each of {len(done.samples):,} looks")
    for problem in problems:
        print(f"MISSED: {problem}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({**around, **done.as_json()}) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
