"""The file a recorder appends to while it runs: compressed blocks, each whole by its own checksum or not there.

A block is written by one write(2), so a kill of the process takes the lines since the last `flush` and nothing else; what
a power cut leaves of a block is cut off when the file is next opened. A line is a letter and JSON:

    E  an event, as the engine takes it
    S  a session of an engine began
    C  a command that the engine answered with
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from perpmaker.errors import DataError

SUFFIX: Final = ".live"
EVENT, SESSION, COMMAND = b"E", b"S", b"C"
_HEAD: Final = struct.Struct("<4sIII")
"""Mark, compressed length, CRC-32 of the compressed bytes, lines."""
_MARK: Final = b"PMLB"
_FULL: Final = 1 << 20
"""Bytes of lines that are written without waiting for a flush."""
_MAX_BLOCK: Final = 1 << 30


class Line(NamedTuple):
    tag: bytes
    json: bytes


class LiveFile:
    """Appends to a recording, a new one or one that was left; a torn tail is cut off first and its length kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0
        if path.exists():
            end = whole_bytes(path)
            self.torn_bytes = path.stat().st_size - end
            if self.torn_bytes:
                os.truncate(path, end)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self._fd).st_size
        self._compressor = zstandard.ZstdCompressor(level=3)
        self._lines: list[bytes] = []
        self._waiting = 0

    def add(self, tag: bytes, json: bytes) -> None:
        """Add a line; it is safe after the next `flush`."""
        self._lines.append(tag + json)
        self._waiting += len(json)
        if self._waiting >= _FULL:
            self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Hand what was added to the system, with `sync` to the disk. Raises OSError, and then keeps no part of a block."""
        if self._lines:
            payload = self._compressor.compress(b"\n".join(self._lines))
            block = _HEAD.pack(_MARK, len(payload), zlib.crc32(payload), len(self._lines)) + payload
            self._put(block)
            self.size += len(block)
            self._lines.clear()
            self._waiting = 0
        if sync:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Write what is left, and see it to the disk."""
        if self._fd < 0:
            return
        try:
            self.flush(sync=True)
        finally:
            os.close(self._fd)
            self._fd = -1

    def _put(self, block: bytes) -> None:
        done = 0
        try:
            while done < len(block):
                done += os.write(self._fd, block[done:] if done else block)
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise


def whole_bytes(path: Path) -> int:
    """Return where the last whole block of a recording ends; raise DataError when a damaged one is followed by others."""
    data = path.read_bytes()
    end = 0
    while (after := _block_end(data, end)) is not None:
        end = after
    later = data.find(_MARK, end + 1)
    while later >= 0:
        if _block_end(data, later) is not None:
            raise DataError(f"{path}: damaged at byte {end}: whole blocks follow at byte {later}")
        later = data.find(_MARK, later + 1)
    return end


def read_live(path: Path) -> Iterator[Line]:
    """Yield a recording's lines up to its last whole block; raise DataError where it is damaged before its end."""
    decompressor = zstandard.ZstdDecompressor()
    end = whole_bytes(path)
    with path.open("rb") as file:
        while file.tell() < end:
            place = file.tell()
            _, length, _, count = _HEAD.unpack(file.read(_HEAD.size))
            try:
                lines = decompressor.decompress(file.read(length)).split(b"\n")
            except zstandard.ZstdError as error:
                raise DataError(f"{path}: the block at byte {place} cannot be read: {error}") from error
            if len(lines) != count:
                raise DataError(f"{path}: the block at byte {place} has {len(lines)} lines, not {count}")
            for line in lines:
                yield Line(line[:1], line[1:])


def _block_end(data: bytes, begin: int) -> int | None:
    if len(data) - begin < _HEAD.size:
        return None
    mark, length, crc, _ = _HEAD.unpack_from(data, begin)
    end: int = begin + _HEAD.size + length
    if mark != _MARK or length > _MAX_BLOCK or end > len(data):
        return None
    return end if zlib.crc32(data[begin + _HEAD.size : end]) == crc else None
