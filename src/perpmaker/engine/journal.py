"""The journal: what the engine may rely on after a kill or a power cut.

`append` and `intent` return when write(2) has returned: the kernel has the bytes, so a kill of the process cannot lose
them. A thread of its own syncs them to disk within milliseconds, many at a time. `append_now` (boot epoch, kill latch)
and, with sync = "full", each intent are on disk before they return. When a write fails no trace of it stays; the caller
gets OSError and takes no new risk. A sync that fails is never tried again as if nothing had been (the kernel may have
dropped the pages): the journal is then lost, says so once through `on_failure`, and refuses intents for good.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from perpmaker.clock import Clock
from perpmaker.engine.journalfile import GENESIS, Segment, first_record, make_frame, segment_path, segments
from perpmaker.engine.records import (
    SCHEMA,
    Boot,
    Checkpoint,
    Fingerprint,
    Intent,
    Latch,
    Record,
    SegmentStart,
    StrategyAdded,
    encode,
)
from perpmaker.engine.recovery import Recovered, cut_tail, recover
from perpmaker.errors import DataError
from perpmaker.model.order import NewOrder

SyncMode = Literal["group", "full"]
SEGMENT_BYTES: Final = 64 * 1024 * 1024
RESERVE_BYTES: Final = 4 * 1024 * 1024
"""Kept allocated, and given back to the file system when the disk is full, so that latch and fills can still be written."""
_GROUP_S: Final = 0.002
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


def open_journal(
    folder: Path,
    fingerprint: Fingerprint,
    *,
    build: str,
    clock: Clock,
    sync: SyncMode = "group",
    segment_bytes: int = SEGMENT_BYTES,
    on_failure: Callable[[str], None] = lambda _: None,
) -> tuple[Journal, Recovered]:
    """Open the journal in `folder`, or begin one.

    A torn tail is cut at the last whole record and kept beside the file. Raises DataError for a broken chain, ConfigError
    for a journal of another engine, environment, account or exchange, or of a newer build, OSError when it cannot be
    written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in folder.glob(".journal-*.tmp"):
        leftover.unlink()
    paths = segments(folder)
    if not paths:
        recovered = Recovered(created=True, epoch=0, latch=None, checkpoint=None, records=[], lives=[], torn_bytes=0)
        start = SegmentStart(fingerprint, SCHEMA, build, 1, 1, GENESIS, 0, None, clock.now_ns())
        _create(folder, [start])
        paths = segments(folder)
        last = Segment(paths[-1])
        for _ in last:
            pass
    else:
        last, recovered = recover(paths, fingerprint)
        cut_tail(last)
    journal = Journal(last, recovered, build=build, clock=clock, sync=sync, segment_bytes=segment_bytes)
    journal.begin(on_failure)
    return journal, recovered


class Journal:
    """The open journal. All methods but those of its own sync thread belong to one thread, the trading loop's."""

    def __init__(
        self, last: Segment, recovered: Recovered, *, build: str, clock: Clock, sync: SyncMode, segment_bytes: int
    ) -> None:
        if last.start is None:
            raise DataError(f"{last.path}: does not begin as a journal file does")
        self.folder = last.path.parent
        self.epoch = recovered.epoch
        self.latch = recovered.latch
        self._strategies = dict(recovered.strategies)
        self.failure = ""
        """Why no intent is taken any more, "" while all is well."""
        self._start = last.start
        self._records = last.start.first_record + last.records - 1
        self._digest = last.digest
        self._offset = last.end
        self._fd = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._build = build
        self._clock = clock
        self._sync_each = sync == "full"
        self._segment_bytes = segment_bytes
        self._reserve = self.folder / "reserve"
        self._on_failure: Callable[[str], None] = lambda _: None
        self.wake_later: Callable[[Callable[[], None]], object] = _now
        """Calls what wakes the sync thread; a runtime puts it off to the end of its step (loop.call_soon), since waking
        another thread costs more than the write itself."""
        self._lost = False
        self._fd_lock = threading.Lock()
        self._dirty = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._sync_forever, name="journal-sync", daemon=True)

    def begin(self, on_failure: Callable[[str], None]) -> None:
        """Start the sync thread and reserve space; `on_failure` is called once, on whichever thread notices."""
        self._on_failure = on_failure
        self.regain_space()
        self._thread.start()

    # --- writing

    def append(self, record: Record) -> None:
        """Return when the record is written; raise OSError, leaving no trace of it, when it cannot be.

        The latch and the epoch are remembered for the files to come.
        """
        self._write(encode(record))
        if isinstance(record, Latch):
            self.latch = record
        elif isinstance(record, Boot):
            self.epoch = record.epoch
            self._strategies |= record.strategies
        elif isinstance(record, StrategyAdded):
            self._strategies[record.strategy] = record.number

    def append_now(self, record: Record) -> None:
        """As `append`, and on disk: for the boot epoch and the kill latch."""
        self.append(record)
        self.sync()

    def intent(self, order: NewOrder, signed: bytes) -> None:
        """Write an order down before its first byte leaves (venues.api.IntentLog)."""
        if self.failure:
            raise OSError(errno.EIO, self.failure)
        self._write(encode(Intent(order, signed, self._clock.now_ns())))
        if self._sync_each:
            self.sync()

    def sync(self) -> None:
        """Return when everything written so far is on disk; raise OSError, and lose the journal, when that fails."""
        self._dirty = False
        try:
            with self._fd_lock:
                os.fdatasync(self._fd)
        except OSError as error:
            self._lose(f"journal sync failed: {error.strerror}")
            raise

    @property
    def record_number(self) -> int:
        """The number of the last record, counted from 1 over all files."""
        return self._records

    @property
    def path(self) -> Path:
        return segment_path(self.folder, self._start.number)

    # --- files

    @property
    def wants_rotation(self) -> bool:
        return self._offset >= self._segment_bytes

    def rotate(self, state: bytes) -> None:
        """Go on in a new file that begins with the core's `state`, so that a start needs to read that file alone."""
        self.sync()
        now = self._clock.now_ns()
        start = SegmentStart(
            self._start.fingerprint,
            SCHEMA,
            self._build,
            self._start.number + 1,
            self._records + 1,
            self._digest,
            self.epoch,
            self.latch,
            now,
            self._strategies,
        )
        path, size, digest = _create(self.folder, [start, Checkpoint(state, now)])
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        with self._fd_lock:
            os.close(self._fd)
            self._fd = descriptor
        self._start, self._offset, self._digest = start, size, digest
        self._records += 2

    def prune(self, keep_bytes: int, projected: int) -> list[Path]:
        """Remove the oldest files while all together are larger than `keep_bytes`; returns what was removed.

        A file goes only when every record of it is in the store, number `projected` and before. The chain stays
        verifiable from the oldest file left on, and a start needs the newest alone.
        """
        paths = segments(self.folder)
        total = sum(path.stat().st_size for path in paths)
        removed: list[Path] = []
        for path, following in itertools.pairwise(paths):
            if total <= keep_bytes or first_record(following) > projected:
                break
            total -= path.stat().st_size
            path.unlink()
            removed.append(path)
        return removed

    def regain_space(self) -> bool:
        """Allocate the reserve again after the disk was full; return whether intents are taken again."""
        if self._lost:
            return False
        try:
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            self._fail(f"journal has no reserve: {error.strerror}")
            return False
        self.failure = ""
        return True

    def close(self) -> None:
        """Sync what is written and let go. A journal that is already lost is closed without a further word."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        if not self._lost:
            with contextlib.suppress(OSError):  # said through on_failure
                self.sync()
        os.close(self._fd)

    # --- inside

    def _write(self, payload: bytes) -> None:
        if self._lost:
            raise OSError(errno.EIO, self.failure)
        frame, digest = make_frame(self._digest, payload)
        self._put(frame)
        self._digest = digest
        self._offset += len(frame)
        self._records += 1
        if not self._dirty:
            self._dirty = True
            self.wake_later(self._wake.set)

    def _put(self, frame: bytes) -> None:
        """Write all of `frame` or nothing of it."""
        done = 0
        while done < len(frame):
            try:
                done += os.write(self._fd, frame[done:] if done else frame)
            except OSError as error:
                if error.errno in _NO_SPACE and self._release_reserve():
                    continue
                self._take_back(done)
                if error.errno in _NO_SPACE:
                    self._fail(f"journal cannot be written: {error.strerror}")
                else:
                    self._lose(f"journal cannot be written: {error.strerror}")
                raise

    def _take_back(self, written: int) -> None:
        if written:
            try:
                os.ftruncate(self._fd, self._offset)
            except OSError as error:
                self._lose(f"journal has half a record that cannot be taken back: {error.strerror}")

    def _release_reserve(self) -> bool:
        """Free the reserve for this write; from now on no intents, until `regain_space` succeeds."""
        if not self._reserve.exists():
            return False
        self._reserve.unlink()
        self._fail("journal writes into its reserve: the disk is full")
        return True

    def _fail(self, reason: str) -> None:
        first = not self.failure
        self.failure = reason
        if first:
            self._on_failure(reason)

    def _lose(self, reason: str) -> None:
        if not self._lost:
            self._lost = True
            self.failure = reason
            self._on_failure(reason)

    def _sync_forever(self) -> None:
        while not self._lost and not self._closing.is_set():
            self._wake.wait()
            if self._closing.wait(_GROUP_S):  # let a burst gather
                return
            self._wake.clear()
            if self._dirty:
                with contextlib.suppress(OSError):  # said through on_failure
                    self.sync()


def _now(call: Callable[[], None]) -> None:
    call()


def _create(folder: Path, first_records: list[Record]) -> tuple[Path, int, bytes]:
    """Make a new file whole or not at all: its first records are on disk before it has its name."""
    start = first_records[0]
    if not isinstance(start, SegmentStart):
        raise DataError("a journal file begins with a SegmentStart")
    path = segment_path(folder, start.number)
    digest, content = start.previous, b""
    for record in first_records:
        frame, digest = make_frame(digest, encode(record))
        content += frame
    temporary = folder / f".{path.name}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        done = 0
        while done < len(content):
            done += os.write(descriptor, content[done:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path, len(content), digest
