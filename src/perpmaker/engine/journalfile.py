"""The journal on disk: frames, segments, and how damage is told apart. No writing here.

A frame is `magic (2) | length (4) | crc32 (4) | payload | digest (16)`, little endian. The digest is BLAKE2b of the
digest before it and the payload, so that a record cannot be changed, dropped or moved without breaking the chain; the
crc32 covers payload and digest and says whether the frame itself is whole.

- A tail after which no whole frame follows is torn: a write that a kill or a power cut interrupted.
- Anything else that does not add up is a broken chain: bit rot, or somebody's hand. It raises DataError.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.engine.records import Boot, Fingerprint, Record, SegmentStart, decode
from perpmaker.errors import DataError

MAGIC: Final = b"\xb5J"
DIGEST_BYTES: Final = 16
GENESIS: Final = bytes(DIGEST_BYTES)
MAX_PAYLOAD: Final = 64 * 1024 * 1024
_HEAD: Final = struct.Struct("<2sII")
_PATTERN: Final = "journal-{:06d}.log"


def segment_path(folder: Path, number: int) -> Path:
    return folder / _PATTERN.format(number)


def segments(folder: Path) -> list[Path]:
    """Return the journal's files in order."""
    return sorted(folder.glob("journal-[0-9][0-9][0-9][0-9][0-9][0-9].log"))


def make_frame(previous: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """Return the frame of `payload` after the record with digest `previous`, and its own digest."""
    hasher = hashlib.blake2b(previous, digest_size=DIGEST_BYTES)
    hasher.update(payload)
    digest = hasher.digest()
    head = _HEAD.pack(MAGIC, len(payload), zlib.crc32(digest, zlib.crc32(payload)))
    return b"".join((head, payload, digest)), digest


class Segment:
    """Reads one file. Iterate once over `(offset, payload)`; then `end`, `digest` and `torn_bytes` are known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = path.read_bytes()
        self.start = self._read_start()
        self.digest = self.start.previous if self.start is not None else GENESIS
        self.end = 0
        self.records = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield whole records in order; raise DataError where the chain breaks."""
        while (payload := _whole(self._data, self.end)) is not None:
            frame, digest = make_frame(self.digest, payload)
            if not self._data.startswith(frame, self.end):
                raise DataError(f"{self.path}: the hash chain is broken at byte {self.end} (record {self.records + 1})")
            yield self.end, payload
            self.digest = digest
            self.end += len(frame)
            self.records += 1
        if self._whole_frame_after(self.end):
            raise DataError(f"{self.path}: damaged at byte {self.end} with whole records behind it")

    @property
    def torn_bytes(self) -> int:
        """How many bytes of an unfinished write stand after the last whole record."""
        return len(self._data) - self.end

    def decoded(self) -> Iterator[Record]:
        for offset, payload in self:
            yield decode_record(payload, f"{self.path}: byte {offset}")

    def salvaged_epoch(self) -> int:
        """Return the highest boot epoch in any whole frame, chain or no chain: what must never be used again."""
        best = self.start.epoch if self.start is not None else 0
        at = self._data.find(MAGIC)
        while at >= 0:
            payload = _whole(self._data, at)
            if payload is not None:
                try:
                    record = decode(payload)
                except (msgspec.DecodeError, ValueError):
                    record = None
                if isinstance(record, Boot | SegmentStart):
                    best = max(best, record.epoch)
            at = self._data.find(MAGIC, at + 1)
        return best

    def _read_start(self) -> SegmentStart | None:
        payload = _whole(self._data, 0)
        if payload is None:
            return None
        record = decode_record(payload, f"{self.path}: byte 0")
        if not isinstance(record, SegmentStart):
            raise DataError(f"{self.path}: does not begin as a journal file does")
        return record

    def _whole_frame_after(self, offset: int) -> bool:
        at = self._data.find(MAGIC, offset + 1)
        while at >= 0:
            if _whole(self._data, at) is not None:
                return True
            at = self._data.find(MAGIC, at + 1)
        return False


def first_record(path: Path) -> int:
    """Return the number of a file's first record without reading the rest; raise DataError when it cannot be told."""
    with path.open("rb") as handle:
        head = handle.read(_HEAD.size)
        length = _HEAD.unpack(head)[1] if len(head) == _HEAD.size else 0
        payload = _whole(head + handle.read(min(length, MAX_PAYLOAD) + DIGEST_BYTES), 0)
    start = None if payload is None else decode_record(payload, f"{path}: byte 0")
    if not isinstance(start, SegmentStart):
        raise DataError(f"{path}: does not begin as a journal file does")
    return start.first_record


def decode_record(payload: bytes, place: str) -> Record:
    try:
        return decode(payload)
    except (msgspec.DecodeError, ValueError) as error:
        raise DataError(f"{place}: is not a journal record of this build: {error}") from error


class Verified(msgspec.Struct, frozen=True):
    """What `verify` found: every record of every file present is whole and chained to the one before."""

    segments: int
    records: int
    bytes: int
    torn_bytes: int
    last_digest: str
    fingerprint: Fingerprint


def verify(folder: Path) -> Verified:
    """Check a journal's chain from its oldest file to its end; raise DataError naming file and byte where it breaks.

    A torn tail of the last file is reported, not refused: it is what a kill leaves behind.
    """
    paths = segments(folder)
    if not paths:
        raise DataError(f"{folder}: holds no journal")
    before: Segment | None = None
    records = size = 0
    for path in paths:
        segment = Segment(path)
        for _, payload in segment:
            decode_record(payload, str(path))
        last = path is paths[-1]
        if segment.start is None or (segment.torn_bytes and not last):
            raise DataError(f"{path}: damaged at byte {segment.end}")
        if before is not None:
            _check_link(before, segment)
        records += segment.records
        size += segment.end
        before = segment
    if before is None or before.start is None:  # cannot be: paths is not empty
        raise DataError(f"{folder}: holds no journal")
    return Verified(
        segments=len(paths),
        records=records,
        bytes=size,
        torn_bytes=before.torn_bytes,
        last_digest=before.digest.hex(),
        fingerprint=before.start.fingerprint,
    )


def _check_link(before: Segment, after: Segment) -> None:
    start, earlier = after.start, before.start
    if start is None or earlier is None:
        raise DataError(f"{after.path}: does not begin as a journal file does")
    if start.previous != before.digest or start.first_record != earlier.first_record + before.records:
        raise DataError(f"{after.path}: does not continue {before.path.name}")
    if start.number != earlier.number + 1:
        raise DataError(f"{after.path}: a file is missing between {before.path.name} and it")


def _whole(data: bytes, offset: int) -> bytes | None:
    """Return the payload of the frame at `offset` when the frame is whole by its own checksum."""
    if len(data) - offset < _HEAD.size:
        return None
    magic, length, crc = _HEAD.unpack_from(data, offset)
    begin = offset + _HEAD.size
    end = begin + length + DIGEST_BYTES
    if magic != MAGIC or length > MAX_PAYLOAD or end > len(data) or zlib.crc32(data[begin:end]) != crc:
        return None
    return data[begin : begin + length]
