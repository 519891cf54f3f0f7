"""A long run of what `./run` starts: does it grow, and do journal, store and exchange still agree at its end?

    python -m benchmarks soak [--minutes 30] [--warm-up 10] [--seed 1] [--home FOLDER] [--json FILE]

Exchange and engine run with `configs/local.toml` in a fresh home, without a dashboard. Each second memory, descriptors,
threads, tasks and the events processed are noted. The slope of memory over events is fitted by least squares to what came
after the warm-up, in which memories that are bounded fill. Then the engine is stopped as Ctrl-C does, and what it wrote
down is held against the exchange's `/ledger` by the oracle of the chaos tests. The exit code is 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
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
from perpmaker.control.client import ControlClient  # noqa: E402
from perpmaker.engine.folders import engine_folder, store_path  # noqa: E402
from perpmaker.engine.store import StoredFill, StoreReader  # noqa: E402

CONFIG = ROOT / "configs" / "local.toml"
MAX_SLOPE = 5.0
"""MB per million events of the engine, for each process after the warm-up (docs/reference/benchmarks.md)."""
READY_S = 60.0
AUDIT_EVERY_S = 300.0
"""The exchange lists the last 2,500 closed orders, about 2,000 come in this time: asked so often none is missed."""
TOLD_EVERY_S = 60.0

Tell = Callable[[str], None]


class Soak(NamedTuple):
    """What a run showed."""

    samples: list[Sample]
    warm_up_s: float
    fills: int
    orders: int
    exit_code: int
    differences: list[str]
    """What journal, store and exchange do not agree on."""
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
            "load": self.load,
            "tasks": tasks(self.judged),
            "processes": [one._asdict() for one in self.trends],
            "problems": self.problems(),
            "samples": [[s.at_s, s.events, s.tasks, *s.of["engine"], *s.of["exchange"]] for s in self.samples],
        }


def soak(home: Path, minutes: float, warm_up: float, *, seed: int = 1, tell: Tell = lambda _: None) -> Soak:
    """Run exchange and engine in a fresh `home` for so many minutes, then stop the engine and compare."""
    settings = configuration.load(CONFIG)
    options = ["--state", str(home / "exchange"), "--history-s", str(settings.exchange.history_s)]
    load = os.getloadavg()[0]
    with closing(Stack(home, CONFIG.read_text(), exchange_options=options, seed=seed)) as stack:
        stack.folder = engine_folder(stack.home, settings.name, settings.env)
        stack.start_exchange()
        stack.start_engine()
        stack.wait_quoting(READY_S)
        oracle = Oracle(stack)
        samples = _watch(stack, oracle, minutes * 60, tell)
        code = stack.stop_engine()
        differences = _differences(stack, oracle)
        books = read_books(stack)
    return Soak(
        samples, warm_up * 60, books.fills_total, books.orders_total, code, differences, (load, os.getloadavg()[0])
    )


def _watch(stack: Stack, oracle: Oracle, seconds: float, tell: Tell) -> list[Sample]:
    """Sample once a second, and have the oracle see every order meanwhile."""
    client = stack.client()
    if client is None or stack.exchange is None:
        raise RuntimeError("the engine is not running")
    pids = {"engine": stack.running.pid, "exchange": stack.exchange.pid}
    started = time.monotonic()
    samples: list[Sample] = []
    told_s = audited_s = 0.0
    while (at_s := time.monotonic() - started) < seconds:
        samples.append(_sample(client, pids, at_s))
        if at_s - audited_s >= AUDIT_EVERY_S:
            oracle.audit.collect()
            audited_s = at_s
        if at_s - told_s >= TOLD_EVERY_S:
            tell(_progress(samples[-1]))
            told_s = at_s
        time.sleep(max(0.0, len(samples) - (time.monotonic() - started)))
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
    parser.add_argument("--home", type=Path, help="where to run, and leave everything (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="where the figures and every sample go")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if not 0 <= options.warm_up < options.minutes:
        parser.error("the warm-up must end before the run does")
    around = surroundings()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        done = soak(
            home, options.minutes, options.warm_up, seed=options.seed, tell=lambda text: print(text, flush=True)
        )
    print(f"\n{done.table()}\n")
    print(f"{done.samples[-1].events:,} events, {done.orders:,} orders, {done.fills:,} fills; ", end="")
    print(f"load average {done.load[0]:.1f} before and {done.load[1]:.1f} after")
    problems = done.problems()
    if not done.differences:
        print("journal, store and /ledger are equal: fills, positions, balance, open orders; no own orders met")
    for problem in problems:
        print(f"MISSED: {problem}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({**around, **done.as_json()}) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
