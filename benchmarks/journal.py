"""Writing an order down before it leaves: our journal, a row in SQLite, and the bare write as the floor.

    python -m benchmarks journal

Wall time: what the trading loop waits, and what it takes until the bytes are on disk.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from benchmarks.figures import Case, Goal, Report
from benchmarks.options import Options, progress

from perpmaker.clock import WallClock
from perpmaker.engine.journal import open_journal
from perpmaker.engine.records import AccountPrint, Fingerprint, Intent, encode
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.order import NewOrder, Side

TURNS, CALLS, DURABLE_CALLS = 7, 1000, 100
OURS, SQLITE, FLOOR = "perpmaker journal", "SQLite, WAL", "floor: os.write of the same bytes"
FLOOR_SYNC = "floor: os.write and fdatasync"
SIGNED = b"s" * 600
ORDER = NewOrder(
    client_order_id=ClientOrderId(1 << 63),
    account=AccountId("main"),
    strategy=StrategyId("btc"),
    instrument=InstrumentId("BTC_USDT_Perp"),
    side=Side.BUY,
    px=Decimal("60000.1"),
    qty=Decimal("0.010"),
)
PRINT = Fingerprint(
    engine="benchmark",
    env="local",
    mode="live",
    instance=1,
    accounts=(AccountPrint("main", "grvt", "1", 1),),
    exchange_instance="benchmark",
)
ROOM = 16 << 20
Step = Callable[[], object]


def measure(options: Options) -> list[Report]:
    reports = Path("reports")
    reports.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=reports) as name:  # on a disk: the system's own folder may be memory
        folder = Path(name)
        return [_report(folder / "loop", options, durable=False), _report(folder / "disk", options, durable=True)]


def _report(folder: Path, options: Options, *, durable: bool) -> Report:
    folder.mkdir()
    journal, _ = open_journal(folder / "journal", PRINT, build="benchmark", clock=WallClock())
    payload = encode(Intent(ORDER, SIGNED, 1))
    handle = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(handle, bytes(ROOM))  # so that a sync has no length to write down
    os.fsync(handle)
    os.lseek(handle, 0, os.SEEK_SET)
    floor = FLOOR_SYNC if durable else FLOOR

    def ours() -> None:
        journal.intent(ORDER, SIGNED)
        if durable:
            journal.sync()

    def plain() -> None:
        os.write(handle, payload)
        if durable:
            os.fdatasync(handle)

    with closing(sqlite3.connect(folder / "orders.db", isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        base.execute("CREATE TABLE intents (payload BLOB)")
        steps: dict[str, Step] = {
            OURS: ours,
            SQLITE: lambda: base.execute("INSERT INTO intents VALUES (?)", (payload,)),
            floor: plain,
        }
        try:
            cases = _taken(steps, options, options.of(DURABLE_CALLS if durable else CALLS, 10))
        finally:
            journal.close()
            os.close(handle)
    what = "until it is on disk" if durable else "what the loop waits"
    report = Report(
        "journal_durable" if durable else "journal", f"An intent written down, {what} (wall time)", cases, floor,
        {"bytes of an intent": len(payload)},
    )  # fmt: skip
    if durable:
        goals = [report.goal("an intent on disk over the bare fdatasync", OURS, floor, 1.5, at_most=True)]
    else:
        goals = [Goal("an intent written down, on the loop", cases[0].median, 5, unit="us")]
    return report._replace(goals=goals)


def _taken(steps: dict[str, Step], options: Options, calls: int) -> list[Case]:
    taken: dict[str, list[list[float]]] = {name: [] for name in steps}
    turns = options.of(TURNS, 2)
    for turn in range(turns):
        progress(f"journal: turn {turn + 1} of {turns}")
        for name, step in steps.items():
            values = []
            for _ in range(calls):
                began = time.perf_counter_ns()
                step()
                values.append((time.perf_counter_ns() - began) / 1000)
            taken[name].append(values)
    return [Case(name, rounds) for name, rounds in taken.items()]
