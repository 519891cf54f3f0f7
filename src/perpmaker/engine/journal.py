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
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from perpmaker.clock import Clock
from perpmaker.engine.journalfile import GENESIS, Segment, make_frame, segment_path, segments
from perpmaker.engine.records import (
    SCHEMA,
    Boot,
    Checkpoint,
    Closed,
    Crashed,
    Fingerprint,
    Intent,
    Latch,
    Ready,
    Record,
    SegmentStart,
    encode,
)
from perpmaker.errors import ConfigError, DataError
from perpmaker.model.order import NewOrder

Life = Boot | Ready | Closed | Crashed
SyncMode = Literal["group", "full"]
SEGMENT_BYTES: Final = 64 * 1024 * 1024
RESERVE_BYTES: Final = 4 * 1024 * 1024
"""Kept allocated, and given back to the file system when the disk is full, so that latch and fills can still be written."""
_GROUP_S: Final = 0.002
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class Recovered(msgspec.Struct, frozen=True):
    """What an existing journal says at start: `records` follow the last `checkpoint` (None: the journal's beginning).

    `lives` are the begins and ends of earlier lives, as far back as was read.
    """

    created: bool
    epoch: int
    latch: Latch | None
    checkpoint: Checkpoint | None
    records: list[Record]
    lives: list[Life]
    torn_bytes: int
    strategies: dict[str, int] = {}
    """Numbers of strategies in client order ids, those of every life so far."""


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
        last, recovered = _recover(paths, fingerprint)
        _cut_tail(last)
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
        self.records_written = 0
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
        self.records_written += 1
        if not self._dirty:
            self._dirty = True
            self._wake.set()

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
        while not self._lost:
            self._wake.wait()
            if self._closing.wait(_GROUP_S):  # let a burst gather
                return
            self._wake.clear()
            if self._dirty:
                with contextlib.suppress(OSError):  # said through on_failure
                    self.sync()


def _recover(paths: list[Path], fingerprint: Fingerprint) -> tuple[Segment, Recovered]:
    """Read back to the last checkpoint; return the last file and what follows the checkpoint."""
    history = _History()
    last: Segment | None = None
    for path in reversed(paths):
        segment = Segment(path)
        if segment.start is None:
            raise DataError(f"{path}: does not begin as a journal file does")
        _check_start(segment.start, fingerprint, path)
        history.prepend(segment)
        if last is None:
            last = segment
        elif segment.torn_bytes:
            raise DataError(f"{path}: damaged at byte {segment.end}")
        if history.checkpoint is not None:
            break
    if last is None:
        raise DataError("there is no journal file to recover")
    return last, Recovered(
        created=False,
        epoch=history.epoch,
        latch=history.latch,
        checkpoint=history.checkpoint,
        records=history.records,
        lives=history.lives,
        torn_bytes=last.torn_bytes,
        strategies=history.strategies,
    )


class _History:
    """Gathers, from the newest file backwards, what a start needs."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.lives: list[Life] = []
        self.checkpoint: Checkpoint | None = None
        self.strategies: dict[str, int] = {}
        self.epoch = 0
        self.latch: Latch | None = None
        self._latch_known = False

    def prepend(self, segment: Segment) -> None:
        records: list[Record] = []
        lives: list[Life] = []
        numbers: dict[str, int] = {}
        latch = segment.start.latch if segment.start is not None else None
        for record in segment.decoded():
            records.append(record)
            if isinstance(record, Checkpoint):
                self.checkpoint, records = record, []
            elif isinstance(record, Life):
                lives.append(record)
            elif isinstance(record, Latch):
                latch = record
            if isinstance(record, Boot | SegmentStart):
                self.epoch = max(self.epoch, record.epoch)
                numbers |= record.strategies
        self.strategies = numbers | self.strategies
        self.records = records + self.records
        self.lives = lives + self.lives
        if not self._latch_known:
            self.latch, self._latch_known = latch, True


def _check_start(start: SegmentStart, wanted: Fingerprint, path: Path) -> None:
    if start.schema > SCHEMA:
        raise ConfigError(
            f"{path}: written by a newer build ({start.build}, schema {start.schema}; this one reads {SCHEMA}); "
            "run that build, or give this engine another name"
        )
    if start.fingerprint == wanted:
        return
    for field in Fingerprint.__struct_fields__:
        had, have = getattr(start.fingerprint, field), getattr(wanted, field)
        if had != have:
            raise ConfigError(
                f"{path}: is the journal of another {field}: {_shown(had)}, not {_shown(have)}; "
                "give this engine another name, or move the journal away"
            )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{account.name} ({account.venue} {account.sub_account_id})" for account in value)
    return repr(value)


def _cut_tail(last: Segment) -> None:
    """Keep a torn tail beside its file, then cut the file after its last whole record."""
    if not last.torn_bytes:
        return
    tail = last.path.with_name(f"torn-{last.path.stem}-{last.end}.bin")
    with last.path.open("rb") as source:
        source.seek(last.end)
        tail.write_bytes(source.read())
    tail.chmod(0o600)
    descriptor = os.open(last.path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, last.end)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
