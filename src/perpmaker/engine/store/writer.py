"""The one writer of a store: a thread that follows the journal, and never stands in the way of who writes that."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from perpmaker.engine.records import Record
from perpmaker.engine.store import files
from perpmaker.engine.store.history import Follower, NotOfThisJournal, bytes_after
from perpmaker.engine.store.projection import Projection
from perpmaker.engine.store.schema import WrongStore, is_damage
from perpmaker.errors import DataError

GATHER_S: Final = 0.05
"""How long records gather before they are written in one transaction."""
RETRY_S: Final = (0.5, 30.0)
"""After trouble the first and the longest wait before the next attempt; it doubles in between."""
MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""With less free on the disk the store waits: what is left is the journal's."""


class Store:
    """Follows one journal. Use from one thread, the trading loop's; nothing here raises for trouble with store or disk.

    `on_trouble` is called once per spell of trouble, on the store's own thread: hand it on with call_soon_threadsafe.
    """

    def __init__(
        self,
        path: Path,
        journal_folder: Path,
        *,
        on_trouble: Callable[[str], None] = lambda _: None,
        gather_s: float = GATHER_S,
        retry_s: tuple[float, float] = RETRY_S,
    ) -> None:
        self.path = path
        self.errors = 0
        """Failed attempts to write since the start."""
        self.trouble = ""
        """What is wrong now, "" while all is well."""
        self._journal_folder = journal_folder
        self._on_trouble = on_trouble
        self._gather_s = gather_s
        self._retry_s = retry_s
        self._offered = 0
        self._reached = 0
        self._caught_up = False
        self._progress = threading.Condition()
        """Guards what `flush` waits for: `_reached` and `_caught_up`."""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._give_up_s = float("inf")
        """When closing ends unfinished work, on time.monotonic."""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    @classmethod
    def open(cls, path: Path, journal_folder: Path, *, on_trouble: Callable[[str], None] = lambda _: None) -> Store:
        """Start the writer and return at once; it catches up from the journal by itself."""
        store = cls(path, journal_folder, on_trouble=on_trouble)
        store.start()
        return store

    def start(self) -> None:
        self._thread.start()

    def offer(self, record: Record, number: int) -> None:
        """Say that a record was just written to the journal, and its number (`Journal.record_number`). Never blocks.

        The store reads it there, with all before it that was not offered (intents, the records of a rotation): nothing
        is queued in memory, and nothing can be lost by falling behind.
        """
        self._offered = number
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Return True once the store has all that was offered before and all the journal held when the store was opened.

        False when that took too long. It waits: not for the trading loop.
        """
        wanted = self._offered
        with self._progress:
            return self._progress.wait_for(lambda: self._caught_up and self._reached >= wanted, timeout_s)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what the journal has if that takes no longer than `timeout_s`, and end the thread.

        What is not written is read from the journal next time. A thread that hangs in the disk is left behind.
        """
        self._give_up_s = time.monotonic() + timeout_s
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s + 1.0)

    @property
    def lag(self) -> int:
        """How many records of the journal, as far as they were offered, are not in the store yet."""
        return max(0, self._offered - self._reached)

    # --- the thread

    def _run(self) -> None:
        wait_s = self._retry_s[0]
        while not self._closing.is_set():
            reached = self._reached
            try:
                self._write()
                return
            except (WrongStore, NotOfThisJournal) as error:
                self._in_trouble(error)
                self._replace_store(str(error))
            except Exception as error:  # noqa: BLE001 (a task root: the store may fail, trading goes on)
                self._in_trouble(error)
                if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                    self._replace_store(str(error))
            self._caught_up = False
            wait_s = self._retry_s[0] if self._reached > reached else wait_s
            self._closing.wait(wait_s)
            wait_s = min(2 * wait_s, self._retry_s[1])

    def _write(self) -> None:
        """Open the store and follow the journal until closing."""
        with files.opened(self.path) as projection:
            follower = Follower(self._journal_folder, projection.record, projection.digest, _let_others_run)
            while True:
                closing = self._closing.is_set()  # asked first: then all that was offered before it is read below
                self._wake.clear()
                self._catch_up(projection, follower)
                if closing:
                    return
                self._wake.wait()
                self._closing.wait(self._gather_s)

    def _catch_up(self, projection: Projection, follower: Follower) -> None:
        offered = self._offered
        self._check_space()
        files.catch_up(projection, follower, stop=self._late)
        if projection.record < offered and not self._late():
            raise DataError(f"the journal does not hold record {projection.record + 1}")
        with self._progress:
            self._reached = projection.record
            self._caught_up = True
            self._progress.notify_all()
        self.trouble = ""

    def _in_trouble(self, error: Exception) -> None:
        self.errors += 1
        text = f"store {self.path.name}: {_described(error)}"
        told, self.trouble = self.trouble, text
        if not told:
            with contextlib.suppress(RuntimeError):  # the event loop it is handed on to has ended
                self._on_trouble(text)

    def _replace_store(self, reason: str) -> None:
        """Set the store aside; the next attempt begins a new one, from the whole journal."""
        with contextlib.suppress(OSError):  # the next attempt meets it again
            aside = files.set_aside(self.path)
            if aside is not None:
                self.trouble = f"store {self.path.name}: {reason}; kept as {aside.name}, being rebuilt from the journal"
        with self._progress:
            self._reached = 0

    def _late(self) -> bool:
        return time.monotonic() >= self._give_up_s

    def _check_space(self) -> None:
        found = os.statvfs(self.path.parent)
        free_bytes = found.f_bavail * found.f_frsize
        if free_bytes < MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, f"waits: {free_bytes} bytes are free, and those are left for the journal")


def rebuild(
    journal_folder: Path, path: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Make a new store at `path` from the whole journal; returns the number of the last record.

    `progress` is told bytes done and bytes in all. Raises DataError when the newest journal file is damaged.
    """
    total = bytes_after(journal_folder, 0)
    with files.opened(path) as projection:
        follower = Follower(journal_folder, projection.record, projection.digest)
        files.catch_up(projection, follower, progress=lambda done: progress(done, total))
        return projection.record


def _let_others_run() -> None:
    """Give up the interpreter: reading a long journal must not slow the trading loop down."""
    time.sleep(0)


def _described(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, sqlite3.Error | DataError) else f"{type(error).__name__}: {error}"
