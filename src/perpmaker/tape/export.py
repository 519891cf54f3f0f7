"""A tape for other programs: Parquet through DuckDB, or hftbacktest's array."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from perpmaker.errors import DataError, PerpmakerError
from perpmaker.tape.columns import ARRAYS, Columns
from perpmaker.tape.reader import Tape
from perpmaker.tape.schema import Kind

Steps = Callable[[int], None]
_HFT: Final = np.dtype(
    [("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"), ("order_id", "<u8"),
     ("ival", "<i8"), ("fval", "<f8")]
)  # fmt: skip
_CODES: Final = {Kind.DELTA: 1, Kind.TRADE: 2, Kind.SNAPSHOT: 4}
_CLEAR: Final = 3
_BOTH: Final = (1 << 31) | (1 << 30)
_BUY, _SELL = 1 << 29, 1 << 28


def to_parquet(tape: Tape, target: Path, steps: Steps = lambda rows: None) -> None:
    """Write the columns with the instruments' names, and prices and quantities as DOUBLE besides."""
    import duckdb

    names = np.array([*(str(listed.instrument_id) for listed in tape.instruments), ""])
    ticks = np.array([*(float(listed.instrument.tick) for listed in tape.instruments), 1e-9])
    lots = np.array([*(float(listed.instrument.lot) for listed in tape.instruments), 1.0])
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        with (
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
            duckdb.connect(f"{folder}/rows.duckdb") as database,
        ):
            done = 0
            for columns in tape.chunks():
                places = np.minimum(columns.instrument, len(names) - 1)
                in_ticks = np.isin(columns.kind, [*_CODES, Kind.BBO])
                table = {name: getattr(columns, name) for name in ARRAYS if name != "instrument"}
                table["instrument"] = names[places]
                table["price"] = np.where(in_ticks, columns.px * ticks[places], np.nan)
                table["quantity"] = np.where(in_ticks, columns.qty * lots[places], np.nan)
                database.register("chunk", table)
                head = "INSERT INTO tape" if done else "CREATE TABLE tape AS"
                database.execute(f"{head} SELECT * FROM chunk")  # noqa: S608 (no text from outside)
                done += columns.rows
                steps(done)
            if not done:
                raise DataError(f"{tape.name}: holds no rows")
            database.execute(f"COPY tape TO '{_quoted(temporary)}' (FORMAT parquet, COMPRESSION zstd)")
        temporary.replace(target)
    except (duckdb.IOException, duckdb.TransactionException) as error:  # the disk is full, or the folder read-only
        raise PerpmakerError(f"{target}: cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def to_hftbacktest(tape: Tape, target: Path, steps: Steps = lambda rows: None) -> None:
    """Write a tape of one instrument as hftbacktest 2.x reads it; the whole of it is in memory meanwhile.

    A row stands for exchange and local side alike, so rows are in the order of receive times, and venue times that are
    missing are the receive times. Best prices, marks and funding have no place there and are left out.
    """
    if len(tape.instruments) != 1:
        raise DataError(f"{tape.name}: holds {len(tape.instruments)} instruments; cut it to one for hftbacktest")
    rules = tape.instruments[0].instrument
    parts: list[np.ndarray[tuple[int], np.dtype[np.void]]] = []
    done = 0
    for columns in tape.chunks():
        parts.append(_hft_rows(columns, float(rules.tick), float(rules.lot)))
        done += columns.rows
        steps(done)
    temporary = target.with_name(f".{target.name}.tmp.npz")
    try:
        np.savez_compressed(temporary, data=np.concatenate(parts) if parts else np.zeros(0, _HFT))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _hft_rows(columns: Columns, tick: float, lot: float) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    wanted = np.isin(columns.kind, list(_CODES)) & (columns.side != 0)
    begins = (columns.kind == Kind.SNAPSHOT) & ((columns.flags & 1) != 0)
    at = np.flatnonzero(wanted | begins)
    repeat = np.where(begins[at], 3, 1) - np.where(begins[at] & ~wanted[at], 1, 0)
    source = np.repeat(at, repeat)  # two clears, then the level itself
    order = np.arange(len(source)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    rows = np.zeros(len(source), _HFT)
    clear = np.repeat(begins[at], repeat) & (order < 2)
    codes = np.zeros(256, dtype=np.uint64)
    for kind, code in _CODES.items():
        codes[kind] = code
    buys = np.where(clear, order == 0, columns.side[source] > 0)
    ev = np.where(clear, np.uint64(_CLEAR), codes[columns.kind[source]])
    rows["ev"] = ev | np.uint64(_BOTH) | np.where(buys, np.uint64(_BUY), np.uint64(_SELL))
    rows["local_ts"] = columns.recv_ns[source]
    rows["exch_ts"] = np.where(columns.event_ns[source] > 0, columns.event_ns[source], columns.recv_ns[source])
    rows["px"] = np.where(clear, 0.0, np.round(columns.px[source] * tick, 9))
    rows["qty"] = np.where(clear, 0.0, np.round(columns.qty[source] * lot, 9))
    return rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
