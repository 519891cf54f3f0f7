"""The journal read forward from any record, past damage, and followed while it grows. Nothing is written there.

The journal is the store's queue: whatever the store is behind by stands there already, and reading a record costs no more
than handing it over would.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.engine.journalfile import DIGEST_BYTES, MAGIC, Segment, decode_record, make_frame, segment_path, segments
from perpmaker.engine.records import Record
from perpmaker.errors import DataError

_HEAD: Final = struct.Struct("<2sII")
"""magic, length of the payload, crc32: as journalfile says; whether a frame is right, make_frame says."""
_BREATH: Final = 32


class NotOfThisJournal(DataError):
    """The journal does not hold the record the store says it ends with: another journal, or one that lost its tail."""


class Numbered(msgspec.Struct, frozen=True):
    """A record, its number and digest, and how many bytes were read up to it."""

    number: int
    record: Record
    digest: bytes
    done_bytes: int


class Follower:
    """Reads a journal from the record after number `record`, whose digest is `digest`, again and again to its end.

    `breathe` is called every few records. After an exception, or a read that was not taken to its end, make a new one.
    """

    def __init__(self, folder: Path, record: int, digest: bytes, breathe: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._record = record
        self._digest = digest
        self._breathe = breathe
        self._unproven = record > 0
        """Whether the record this began with has not been met yet."""
        self._file = 0
        """Number of the file that is followed; 0 until the place in the journal is found."""
        self._path = self._next_path = folder
        """Where that file and the one after it are. Made once a file: pathlib interns each part of every path it makes,
        and CPython's table of interned strings grows by a megabyte after some ten thousand of them, whoever frees them."""
        self._offset = 0
        self._done_bytes = 0

    def read(self) -> Iterator[Numbered]:
        """Yield what the journal has more, to its end as of now.

        A file that is damaged, or missing, is passed over from there on, and the numbers jump. Damage in the newest file
        raises DataError, a journal without the record this began with NotOfThisJournal.
        """
        if not self._file:
            yield from self._find()
        while self._file:
            rotated = self._next_path.exists()  # asked first: then the file read next is complete
            yield from self._tail(complete=rotated)
            if not rotated:
                return
            yield from self._whole(Segment(self._next_path))

    def _find(self) -> Iterator[Numbered]:
        paths = _from(segments(self._folder), self._record)
        if self._record and not paths:
            raise DataError(f"{self._folder}: holds no journal")
        for path in paths:
            try:
                yield from self._whole(Segment(path))
            except NotOfThisJournal:
                raise
            except DataError:
                if path is paths[-1]:
                    raise
        if self._unproven:
            raise NotOfThisJournal(f"{self._folder}: does not reach record {self._record}")

    def _whole(self, segment: Segment) -> Iterator[Numbered]:
        """Yield a file's records behind this place, and stand at its end."""
        start = segment.start
        if start is None:
            raise DataError(f"{segment.path}: does not begin as a journal file does")
        number = start.first_record
        for offset, payload in segment:
            self._prove(number - 1, segment.digest)
            if number > self._record:
                done_bytes = self._done_bytes + offset + len(payload)
                digest = make_frame(segment.digest, payload)[1]
                yield self._next(number, digest, payload, f"{segment.path}: byte {offset}", done_bytes)
            elif not number % _BREATH:
                self._breathe()
            number += 1
        self._prove(number - 1, segment.digest)
        self._file, self._offset = start.number, segment.end
        self._path = segment_path(self._folder, self._file)
        self._next_path = segment_path(self._folder, self._file + 1)
        self._done_bytes += segment.end

    def _tail(self, *, complete: bool) -> Iterator[Numbered]:
        """Yield what was appended to the file; a frame that is not whole yet is left for the next time."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        at = 0
        while (payload := _payload(data, at)) is not None:
            frame, digest = make_frame(self._digest, payload)
            if not data.startswith(frame, at):
                break
            place = f"{self._path}: byte {self._offset}"
            at += len(frame)
            self._offset += len(frame)
            self._done_bytes += len(frame)
            yield self._next(self._record + 1, digest, payload, place, self._done_bytes)
        if complete and at < len(data):
            raise DataError(f"{self._path}: damaged at byte {self._offset}")

    def _next(self, number: int, digest: bytes, payload: bytes, place: str, done_bytes: int) -> Numbered:
        record = decode_record(payload, place)
        self._record, self._digest, self._unproven = number, digest, False
        if not number % _BREATH:
            self._breathe()
        return Numbered(number, record, digest, done_bytes)

    def _prove(self, number: int, digest: bytes) -> None:
        if self._unproven and number == self._record:
            if digest != self._digest:
                raise NotOfThisJournal(f"record {number} of the journal is not the one it was")
            self._unproven = False


def bytes_after(folder: Path, record: int) -> int:
    """Return how many bytes a first read from after `record` goes through."""
    return sum(path.stat().st_size for path in _from(segments(folder), record))


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


def _payload(data: bytes, at: int) -> bytes | None:
    """Return what the frame at `at` claims to hold, None when there is no whole frame."""
    if len(data) - at < _HEAD.size:
        return None
    magic, length, _ = _HEAD.unpack_from(data, at)
    begin = at + _HEAD.size
    if magic != MAGIC or begin + length + DIGEST_BYTES > len(data):
        return None
    return data[begin : begin + length]
