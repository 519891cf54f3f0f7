"""The one writer of a store: a thread that applies journal records, from a queue or from the journal itself."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from perpmaker.engine.journalfile import make_frame
from perpmaker.engine.records import Record, encode
from perpmaker.engine.store import files, history
from perpmaker.engine.store.projection import Projection
from perpmaker.engine.store.schema import WrongStore, is_damage
from perpmaker.errors import DataError

MAX_QUEUED: Final = 20_000
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
        max_queued: int = MAX_QUEUED,
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
        self._max_queued = max_queued
        self._gather_s = gather_s
        self._retry_s = retry_s
        self._queue: deque[tuple[int, Record]] = deque()
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
        """Pass on a record just written to the journal, with its number (`Journal.record_number`). Never blocks.

        Records that are never offered (those of a rotation), or do not fit the queue, are read from the journal.
        """
        self._offered = number
        if len(self._queue) < self._max_queued:
            self._queue.append((number, record))
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
        """Write what is queued if that takes no longer than `timeout_s`, and end the thread.

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
            except (WrongStore, history.NotOfThisJournal) as error:
                self._in_trouble(error)
                self._replace_store(str(error))
            except Exception as error:  # noqa: BLE001 (a task root: the store may fail, trading goes on)
                self._in_trouble(error)
                if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                    self._replace_store(str(error))
            self._caught_up = False
            self._queue.clear()  # the journal has it
            wait_s = self._retry_s[0] if self._reached > reached else min(2 * wait_s, self._retry_s[1])
            self._closing.wait(wait_s)

    def _write(self) -> None:
        """Open the store, catch up, then follow until closing."""
        with files.opened(self.path) as projection:
            self._catch_up(projection)
            while True:
                self._wake.wait()
                if not self._closing.is_set():
                    self._closing.wait(self._gather_s)
                self._wake.clear()
                self._drain(projection)
                if self._closing.is_set() and (not self._queue or self._late()):
                    return

    def _catch_up(self, projection: Projection) -> None:
        self._check_space()
        files.catch_up(projection, self._journal_folder, breathe=_let_others_run, stop=self._late)
        self._arrived(projection.record)

    def _drain(self, projection: Projection) -> None:
        """Apply what is queued; where the queue has a hole, what the journal has."""
        while self._queue and not self._late():
            self._check_space()
            if self._apply_batch(projection):
                continue
            self._catch_up(projection)
            missing = projection.record + 1
            if self._queue and self._queue[0][0] > missing and not self._late():
                raise DataError(f"the journal does not hold record {missing}")

    def _apply_batch(self, projection: Projection) -> bool:
        """Write up to a chunk of the queue in one transaction; returns False where a record is missing before the next."""
        digest, whole, begun = projection.digest, True, False
        for _ in range(min(len(self._queue), files.CHUNK)):
            number, record = self._queue[0]
            if number > projection.record + 1:
                whole = False
                break
            self._queue.popleft()
            if number <= projection.record:
                continue
            if not begun:
                projection.begin()
                begun = True
            projection.apply(number, record)
            digest = make_frame(digest, encode(record))[1]
        if begun:
            projection.commit(digest)
            self._arrived(projection.record)
        return whole

    def _arrived(self, record: int) -> None:
        """All is well as far as `record`."""
        with self._progress:
            self._reached = record
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
    total = history.bytes_after(journal_folder, 0)
    with files.opened(path) as projection:
        files.catch_up(projection, journal_folder, progress=lambda done: progress(done, total))
        return projection.record


def _let_others_run() -> None:
    """Give up the interpreter: reading a long journal must not slow the trading loop down."""
    time.sleep(0)


def _described(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, sqlite3.Error | DataError) else f"{type(error).__name__}: {error}"
