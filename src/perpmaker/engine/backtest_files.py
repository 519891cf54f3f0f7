"""A backtest's results on disk: `result.json`, and each table of each run as Parquet.

Amounts are exact decimals of nine places, times UTC nanoseconds, what does not exist NULL. duckdb, polars and pandas read
them; `parquet/RUN/fills.parquet` and so on, RUN being the fill model.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import numpy as np

from perpmaker.engine.backtest import Results, RunResult
from perpmaker.engine.backtest_tables import NONE, Table
from perpmaker.errors import ConfigError

RESULT: Final = "result.json"
_UNSIGNED: Final = "client_order_id"


def write_results(results: Results, folder: Path, *, config: str) -> None:
    """Write everything; `config` names what was run. ConfigError when the folder cannot be written or holds results."""
    if (folder / RESULT).exists():
        raise ConfigError(f"{folder}: holds results already")
    of_runs = {run.fill_model: folder / "parquet" / run.fill_model.value for run in results.runs}
    ours = [tables for tables in of_runs.values() if not tables.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for run in results.runs:
            _write_tables(run, of_runs[run.fill_model])
        content = msgspec.json.format(msgspec.json.encode(summary(results, config=config)), indent=2)
        (folder / RESULT).write_bytes(content + b"\n")
    except (OSError, duckdb.Error) as error:
        _take_back(folder, ours)
        reason = (error.strerror if isinstance(error, OSError) else None) or _reason(str(error))
        raise ConfigError(f"{folder}: cannot be written: {reason}") from error


def _take_back(folder: Path, ours: Sequence[Path]) -> None:
    """Leave no half of a result; what was in the folder before stays."""
    for tables in ours:
        shutil.rmtree(tables, ignore_errors=True)
    with suppress(OSError):
        (folder / RESULT).unlink(missing_ok=True)
        (folder / "parquet").rmdir()
        folder.rmdir()


def _reason(text: str) -> str:
    """Return what duckdb says without its wrapping: the system's words where it names the number of an error."""
    number = re.search(r'"errno":"(\d+)"', text)
    return os.strerror(int(number[1])) if number else text


def summary(results: Results, *, config: str) -> dict[str, Any]:
    """Return a backtest without its tables, as `result.json` holds it."""
    played = results.played
    return {
        "schema": 1,
        "config": config,
        "tape": results.tape,
        "tape_fingerprint": results.tape_fingerprint,
        "instruments": dict(played.names),
        "from_ns": played.first_ns,
        "to_ns": played.last_ns,
        "rows": played.rows,
        "seed": results.seed,
        "runs": {
            run.fill_model.value: {
                "hash": run.digest,
                "figures": {**msgspec.structs.asdict(run.figures), "pnl_bps": run.figures.pnl_bps},
                "models": run.models,
                "errors": run.errors,
                "events": run.events,
            }
            for run in results.runs
        },
    }


def _write_tables(run: RunResult, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = np.array([*run.texts, ""], dtype=object)
    with duckdb.connect() as database:
        for name, table in run.tables.items():
            database.register("part", _columns(table, texts))
            columns = ", ".join(_select(table, column) for column in table.columns)
            parquet = database.view("part").project(columns)
            parquet.write_parquet(str(folder / f"{name}.parquet"), compression="zstd")
            database.unregister("part")


def _columns(table: Table, texts: Any) -> dict[str, Any]:
    found = {}
    for name, values in table.columns.items():
        numbers = np.frombuffer(values.whole(), dtype=np.uint64 if name == _UNSIGNED else np.int64)
        found[name] = texts[numbers] if name in table.texts else numbers
    return found


def _select(table: Table, column: str) -> str:
    if column in table.texts or column == _UNSIGNED:
        return f'"{column}"::{"VARCHAR" if column in table.texts else "UBIGINT"} AS "{column}"'
    value = f'nullif("{column}", {NONE})'
    if column in table.nanos:
        return f'({value}::DECIMAL(38, 0) * 0.000000001)::DECIMAL(38, 9) AS "{column}"'
    return f'{value} AS "{column}"'
