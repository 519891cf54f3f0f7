"""The store's file: opened, followed up from the journal, and set aside when it cannot be used."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from perpmaker.engine.store.history import Follower, Numbered
from perpmaker.engine.store.projection import Projection
from perpmaker.engine.store.schema import open_for_writing
from perpmaker.errors import DataError

CHUNK: Final = 1_000
"""Records in one transaction at most."""
KEPT_ASIDE: Final = 3
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")


@contextmanager
def opened(path: Path) -> Iterator[Projection]:
    """Have the store at `path` open for writing; raise WrongStore when it must be set aside first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = open_for_writing(path)
    try:
        path.chmod(0o600)
        yield Projection(connection)
    finally:
        with contextlib.suppress(sqlite3.Error):  # what was not committed is in the journal
            connection.close()


def catch_up(
    projection: Projection,
    follower: Follower,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Apply what the journal has beyond the store, until its end as of now or until `stop` says so between transactions.

    `progress` is told the bytes read, of `history.bytes_after`. Raises NotOfThisJournal when the store is not this
    journal's, DataError when the journal's newest file is damaged, sqlite3.Error and OSError.
    """
    batch = _Batch(projection)
    try:
        for found in follower.read():
            batch.apply(found)
            if batch.size == CHUNK:
                batch.commit()
                progress(found.done_bytes)
                if stop():
                    return
    except DataError:
        batch.commit()  # what stands before the damage is good
        raise
    batch.commit()


class _Batch:
    """Records of one transaction."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._digest = b""
        self.size = 0

    def apply(self, found: Numbered) -> None:
        if not self.size:
            self._projection.begin()
        self._projection.apply(found.number, found.record)
        self._digest = found.digest
        self.size += 1

    def commit(self) -> None:
        if self.size:
            self._projection.commit(self._digest)
        self.size = 0


def set_aside(path: Path) -> Path | None:
    """Move a store that cannot be used out of the way, to `NAME.aside-N`; the last three of those are kept."""
    numbers = [int(other.name.rpartition("-")[2]) for other in asides(path)]
    target = path.with_name(f"{path.name}.aside-{max(numbers, default=0) + 1}")
    for side in _SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + side).replace(target.with_name(target.name + side))
    try:
        path.replace(target)
    except FileNotFoundError:
        return None
    for other in asides(path)[:-KEPT_ASIDE]:
        for side in ("", *_SIDE_FILES):
            other.with_name(other.name + side).unlink(missing_ok=True)
    return target


def asides(path: Path) -> list[Path]:
    """Return the stores set aside, oldest first."""
    found = [other for other in path.parent.glob(f"{path.name}.aside-*") if other.name.rpartition("-")[2].isdigit()]
    return sorted(found, key=lambda other: int(other.name.rpartition("-")[2]))
