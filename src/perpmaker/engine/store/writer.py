"""The one writer of a store: a thread that applies journal records, from a queue or from the journal itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from perpmaker.engine.records import Record


class Store:
    """Use from one thread, the trading loop's. Nothing here raises for trouble with the store or its disk.

    `on_trouble` is called once per spell of trouble, on the store's own thread: hand it on with call_soon_threadsafe.
    """

    @classmethod
    def open(cls, path: Path, journal_folder: Path, *, on_trouble: Callable[[str], None] = lambda _: None) -> Store:
        """Start the writer and return at once; it catches up from the journal by itself."""
        raise NotImplementedError

    def offer(self, record: Record, number: int) -> None:
        """Pass on a record just written to the journal, with its number (`Journal.record_number`). Never blocks.

        Records that are never offered (those of a rotation), or do not fit the queue, are read from the journal.
        """
        raise NotImplementedError

    def flush(self, timeout_s: float) -> bool:
        """Return True once everything offered before is committed, False when that took too long. Blocks: not for the
        trading loop."""
        raise NotImplementedError

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued if that takes no longer than `timeout_s`, and end the thread."""
        raise NotImplementedError

    @property
    def lag(self) -> int:
        """How many records of the journal, as far as they were offered, are not in the store yet."""
        raise NotImplementedError

    @property
    def errors(self) -> int:
        """Failed attempts to write since the start."""
        raise NotImplementedError

    @property
    def trouble(self) -> str:
        """What is wrong now, "" while all is well."""
        raise NotImplementedError


def rebuild(
    journal_folder: Path, path: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Make a new store at `path` from the whole journal; return the number of the last record."""
    raise NotImplementedError
