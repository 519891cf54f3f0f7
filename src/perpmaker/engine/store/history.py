"""The journal read forward from any record, past damage: what the store catches up from. It never writes there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.engine.journalfile import Segment, decode_record, segments
from perpmaker.engine.records import Record
from perpmaker.errors import DataError

_BREATH: Final = 32


class NotOfThisJournal(DataError):
    """The journal does not hold the record the store says it ends with: another journal, or one that lost its tail."""


class Numbered(msgspec.Struct, frozen=True):
    """A record, its number, what its digest is made of, and how much was read up to it."""

    number: int
    record: Record
    previous: bytes
    payload: bytes
    done_bytes: int


def after(folder: Path, record: int, digest: bytes, breathe: Callable[[], None] = lambda: None) -> Iterator[Numbered]:
    """Yield the journal's records after number `record`, whose digest is `digest`, up to its end as of now.

    A file that is damaged, or missing, is passed over from there on, and the numbers jump. Damage in the newest file
    raises DataError, a journal without that record NotOfThisJournal. `breathe` is called every few records.
    """
    paths = _from(segments(folder), record)
    if record and not paths:
        raise DataError(f"{folder}: holds no journal")
    place = _Place(record, digest)
    done_bytes = 0
    for path in paths:
        try:
            yield from place.follow(Segment(path), done_bytes, breathe)
        except NotOfThisJournal:
            raise
        except DataError:
            if path is paths[-1]:
                raise
        done_bytes += path.stat().st_size
    if place.unproven:
        raise NotOfThisJournal(f"{folder}: does not reach record {record}")


def bytes_after(folder: Path, record: int) -> int:
    """Return how many bytes `after` will have read at its end."""
    return sum(path.stat().st_size for path in _from(segments(folder), record))


class _Place:
    """How far the journal was read."""

    def __init__(self, record: int, digest: bytes) -> None:
        self._record = record
        self._digest = digest
        self.unproven = record > 0
        """Whether the record this began with has not been met yet."""

    def follow(self, segment: Segment, done_bytes: int, breathe: Callable[[], None]) -> Iterator[Numbered]:
        """Yield a file's records behind this place; `done_bytes` were read before it."""
        if segment.start is None:
            raise DataError(f"{segment.path}: does not begin as a journal file does")
        number = segment.start.first_record
        for offset, payload in segment:
            self._prove(number - 1, segment.digest)
            if number > self._record:
                record = decode_record(payload, f"{segment.path}: byte {offset}")
                self._record, self.unproven = number, False
                yield Numbered(number, record, segment.digest, payload, done_bytes + offset + len(payload))
            if not number % _BREATH:
                breathe()
            number += 1
        self._prove(number - 1, segment.digest)

    def _prove(self, number: int, digest: bytes) -> None:
        if self.unproven and number == self._record:
            if digest != self._digest:
                raise NotOfThisJournal(f"record {number} of the journal is not the one it was")
            self.unproven = False


def _from(paths: list[Path], record: int) -> list[Path]:
    """Return the files from the one on that holds the record after number `record`, or could hold it."""
    first = len(paths) - 1 if record else 0
    while first > 0 and not _begins_by(paths[first], record + 1):
        first -= 1
    return paths[max(first, 0) :]


def _begins_by(path: Path, record: int) -> bool:
    try:
        start = Segment(path).start
    except DataError:
        return False
    return start is not None and start.first_record <= record
