"""What an existing journal says at a start, and the cutting of its torn tail."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from perpmaker.engine.journalfile import Segment
from perpmaker.engine.records import (
    SCHEMA,
    Boot,
    Checkpoint,
    Closed,
    Crashed,
    Fingerprint,
    Latch,
    Ready,
    Record,
    SegmentStart,
    StrategyAdded,
)
from perpmaker.errors import ConfigError, DataError

Life = Boot | Ready | Closed | Crashed


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


def recover(paths: list[Path], fingerprint: Fingerprint) -> tuple[Segment, Recovered]:
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
            elif isinstance(record, StrategyAdded):
                numbers[record.strategy] = record.number
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


def cut_tail(last: Segment) -> None:
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
