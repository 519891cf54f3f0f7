"""Candles from files: those that `data download` wrote, and CSV with the same columns by anybody else."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from perpmaker.errors import DataError
from perpmaker.model.events import Bar
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S

_TIMES: Final = ("time", "timestamp", "date", "open_time")
_PRICES: Final = ("open", "high", "low", "close")
_SINCE_1970: Final = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (0, 10**9))
"""(a whole number from this on, nanoseconds of its unit): ns, us, ms or s."""

Row = Mapping[str, object]


def read_candles(path: Path) -> list[Bar]:
    """Return the candles of a .csv or .parquet, oldest first, each told when it ends.

    A time (`time`, `timestamp`, `date`; its beginning, UTC), `open`, `high`, `low` and `close` are needed; `volume`,
    `trades` and `instrument` are taken where they are. Raises DataError, naming file and line.
    """
    columns, rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    time = next((name for name in _TIMES if name in columns), None)
    missing = [name for name in _PRICES if name not in columns]
    if time is None or missing:
        raise DataError(f"{path}: holds no candles: has no column {', '.join(missing) or ' or '.join(_TIMES)}")
    found: list[tuple[int, Row]] = []
    for line, row in rows:
        try:
            found.append((_time_ns(row[time]), row))
            if len(found) > 1 and found[-1][0] <= found[-2][0]:
                raise ValueError("is not after the row before it")
            _check(row)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}:{line}: {error}") from error
    if len(found) < 2:
        raise DataError(f"{path}: {len(found)} candles are too few to know how long one is")
    names = {str(row["instrument"]) for _, row in found} if "instrument" in columns else {path.stem}
    if len(names) > 1:
        raise DataError(f"{path}: holds candles of {', '.join(sorted(names))}; of one instrument is what is needed")
    name = InstrumentId(names.pop())
    lengths = Counter(after[0] - before[0] for before, after in pairwise(found))
    length_ns = min(lengths)
    odd = next((length for length in lengths if length % length_ns), None)
    if odd is not None or length_ns % NS_PER_S:
        raise DataError(
            f"{path}: candles begin {(odd or length_ns) / NS_PER_S:g} s and {length_ns / NS_PER_S:g} s apart"
        )
    return [_bar(name, ts_ns, length_ns // NS_PER_S, row) for ts_ns, row in found]


def _bar(name: InstrumentId, open_ns: int, interval_s: int, row: Row) -> Bar:
    first, high, low, close = (_number(row, key) for key in _PRICES)
    volume = _number(row, "volume") if row.get("volume") not in (None, "") else 0.0
    trades = int(_number(row, "trades")) if row.get("trades") not in (None, "") else 0
    told_ns = open_ns + interval_s * NS_PER_S
    return Bar(name, interval_s, open_ns, first, high, low, close, volume, trades, told_ns)


def _check(row: Row) -> None:
    first, high, low, close = (_number(row, key) for key in _PRICES)
    if not 0 < low <= min(first, close) <= max(first, close) <= high:
        raise ValueError(f"open {first:g}, high {high:g}, low {low:g}, close {close:g} is no candle")


def _number(row: Row, key: str) -> float:
    value = float(str(row[key]))
    if not math.isfinite(value):
        raise ValueError(f"{key} {row[key]} is no number")
    return value


def _time_ns(value: object) -> int:
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=value.tzinfo or UTC).timestamp()) * NS_PER_S
    text = str(value)
    if text.isdigit():
        number = int(text)
        return number * next(unit for least, unit in _SINCE_1970 if number >= least)
    told = datetime.fromisoformat(text)
    return round(told.replace(tzinfo=told.tzinfo or UTC).timestamp()) * NS_PER_S


def _csv(path: Path) -> tuple[Sequence[str], Iterator[tuple[int, Row]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'is no text'}") from error
    columns = [name.strip().lower() for name in next(csv.reader(lines[:1]), [])]

    def rows() -> Iterator[tuple[int, Row]]:
        for number, cells in enumerate(csv.reader(lines[1:]), 2):
            if len(cells) != len(columns):
                raise DataError(f"{path}:{number}: {len(cells)} fields where the header names {len(columns)}")
            yield number, dict(zip(columns, cells, strict=True))

    return columns, rows()


def _parquet(path: Path) -> tuple[Sequence[str], Iterator[tuple[int, Row]]]:
    import duckdb

    if not path.is_file():
        raise DataError(f"{path}: cannot be read: No such file or directory")
    try:
        with duckdb.connect() as database:
            table = database.read_parquet(str(path))
            columns, rows = [name.lower() for name in table.columns], table.fetchall()
    except duckdb.Error as error:
        raise DataError(f"{path}: is no Parquet: {error}") from error
    return columns, ((number, dict(zip(columns, row, strict=True))) for number, row in enumerate(rows, 1))
