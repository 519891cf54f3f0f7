"""Tables as CSV: cells no spreadsheet takes for a formula, and a file that is there whole or not at all."""

from __future__ import annotations

import csv
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO

from perpmaker.errors import ConfigError

Cell = str | int | bool | Decimal | None
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_table(output: TextIO, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write header and rows: UTF-8, comma, LF; decimals plain and exact, flags 0 or 1, nothing for None."""
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)


def cell(value: Cell) -> str:
    """Return the text of one cell; what a spreadsheet would run as a formula begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def utc(ts_ns: int | None) -> str:
    """Write UTC nanoseconds as ISO 8601, all nine digits; "" for None."""
    if ts_ns is None:
        return ""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


@contextmanager
def opened(path: Path | None, option: str = "--output") -> Iterator[TextIO]:
    """Give standard output for None; else a file that takes the name `path` when all of it is on disk, and not before.

    `option` is what a complaint names.
    """
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise ConfigError(f"{option} must name a file; {path} is not one")
    if not target.parent.is_dir():
        raise ConfigError(f"{option}: the folder {target.parent} does not exist")
    descriptor, name = tempfile.mkstemp(prefix=".perpmaker-export-", dir=target.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
