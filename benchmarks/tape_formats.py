"""Reading a tape into numpy columns, beside the formats others keep market data in: the same rows, in turns, one run.

The rows are a simulated market's (seeded), six times over. hftbacktest's file is written by our own export, which gives its
64-byte rows; reading it is numpy's `load`, as hftbacktest itself does. Times are processor time, so that other programs on
the machine count less.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from benchmarks.figures import Case, Goal, Report
from benchmarks.options import Options, progress

from perpmaker.exchange.core.instruments import BTC
from perpmaker.model.units import NS_PER_S
from perpmaker.research.simulated_tape import simulate
from perpmaker.tape.columns import ARRAYS, Columns, join
from perpmaker.tape.export import to_hftbacktest, to_parquet
from perpmaker.tape.reader import Tape, open_tape
from perpmaker.tape.writer import TapeWriter

MINUTES: Final = 20
TIMES_OVER: Final = 6
TURNS: Final = 5
_PER: Final = 1_000
"""Rows that a figure is told for."""


def measure(options: Options) -> Report:
    with tempfile.TemporaryDirectory() as name:
        return _measure(Path(name), options)


def _measure(folder: Path, options: Options) -> Report:
    tape, write_us = _made(folder, options.of(MINUTES, 1))
    rows = tape.rows
    columns = join(list(tape.chunks()))
    to_hftbacktest(tape, folder / "hft.npz")
    to_parquet(tape, folder / "rows.parquet")
    np.save(folder / "raw.npy", np.stack([getattr(columns, column).astype(np.int64) for column in ARRAYS]))
    with np.load(folder / "hft.npz") as archive:
        hft_rows = len(archive["data"])
    cases: dict[str, tuple[Callable[[], int], int]] = {
        "perpmaker tape": (lambda: sum(chunk.rows for chunk in open_tape(folder / "x.tape").chunks()), rows),
        "hftbacktest npz": (lambda: _read_npz(folder / "hft.npz"), hft_rows),
        "Parquet zstd by DuckDB": (lambda: _read_parquet(folder / "rows.parquet"), rows),
        "floor: copy nine columns of 64 bits": (lambda: np.load(folder / "raw.npy").shape[1], rows),
    }
    times: dict[str, list[list[float]]] = {name: [] for name in cases}
    turns = options.of(TURNS, 2)
    for turn in range(turns):
        progress(f"tape_formats: turn {turn + 1} of {turns}")
        for name, (read, count) in cases.items():
            began = time.process_time()
            if read() != count:
                raise RuntimeError(f"{name}: read another number of rows")
            times[name].append([(time.process_time() - began) * 1e6 / count * _PER])
    sizes = {
        "perpmaker tape": (folder / "x.tape").stat().st_size / rows,
        "hftbacktest npz": (folder / "hft.npz").stat().st_size / hft_rows,
        "Parquet zstd by DuckDB": (folder / "rows.parquet").stat().st_size / rows,
    }
    best_us = min(min(turn) for turn in times["perpmaker tape"])
    report = Report(
        name="tape_formats",
        title=f"Read {rows:,} rows of a tape into numpy, per {_PER:,} rows (processor time)",
        cases=[Case(name, turns) for name, turns in times.items()],
        floor="floor: copy nine columns of 64 bits",
        more={
            **{f"bytes per row, {name}": f"{size:.2f}" for name, size in sizes.items()},
            "million rows read per second, best turn": f"{_PER / best_us:.1f}",
            "million rows written per second": f"{_PER / write_us:.1f}",
        },
    )
    own = sizes["perpmaker tape"]
    return report._replace(
        goals=[
            report.goal("read faster than hftbacktest's npz", "hftbacktest npz", "perpmaker tape", 6),
            Goal("size over hftbacktest's npz", own / sizes["hftbacktest npz"], 0.45),
            Goal("bytes a row", own, 6.5, unit="B"),
            Goal("rows read a second", _PER / best_us, 25, at_most=False, unit="M"),
            Goal("rows written a second", _PER / write_us, 15, at_most=False, unit="M"),
        ]
    )


def _made(folder: Path, minutes: int) -> tuple[Tape, float]:
    """Return a tape of the same rows several times over, and microseconds of writing per thousand rows."""
    simulate(folder / "once.tape", duration_ns=minutes * 60 * NS_PER_S, seed=5, instruments=[BTC])
    once = open_tape(folder / "once.tape")
    part = join(list(once.chunks()))
    length_ns = once.last_recv_ns - once.first_recv_ns + 1
    began = time.process_time()
    with TapeWriter(folder / "x.tape", once.instruments) as writer:
        for turn in range(TIMES_OVER):
            writer.add_columns(_later(part, turn * length_ns))
    spent_us = (time.process_time() - began) * 1e6
    tape = open_tape(folder / "x.tape")
    return tape, spent_us / tape.rows * _PER


def _later(columns: Columns, ns: int) -> Columns:
    return columns._replace(recv_ns=columns.recv_ns + ns, event_ns=columns.event_ns + ns)


def _read_npz(path: Path) -> int:
    with np.load(path) as archive:
        return len(archive["data"])


def _read_parquet(path: Path) -> int:
    with duckdb.connect() as database:
        database.execute("SET threads = 1")
        columns = ", ".join(ARRAYS)
        return len(database.read_parquet(str(path)).select(columns).fetchnumpy()["recv_ns"])
