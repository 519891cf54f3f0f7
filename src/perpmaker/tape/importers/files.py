"""Reads the lines of a recording, packed or not; whatever is wrong with the file is told with its line."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

import zstandard

from perpmaker.errors import DataError

_PIECE: Final = 1 << 20
_FIRST: Final = 4096
_UNPACKING = (OSError, EOFError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as its plain bytes: .gz, .zst, and .zip with one file in it, are unpacked."""
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as plain:
            yield cast("IO[bytes]", plain)
    elif path.suffix == ".zst":
        reader = zstandard.ZstdDecompressor()
        with path.open("rb") as packed, reader.stream_reader(packed, read_across_frames=True) as plain_zst:
            yield cast("IO[bytes]", io.BufferedReader(plain_zst))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise DataError(f"{path}: holds {len(names)} files, not one")
            with archive.open(names[0]) as plain_zip:
                yield plain_zip
    else:
        with path.open("rb") as plain_file:
            yield plain_file


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each line that is not empty; DataError, with the line, where the file breaks off."""
    number = 0
    try:
        with opened(path) as file:
            for line in file:
                number += 1
                if line.strip():
                    yield number, line
    except _UNPACKING as error:
        raise _unreadable(path, error, "line", number) from error


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file's plain bytes, piece by piece; DataError, with the byte, where it cannot be unpacked further."""
    done = 0
    try:
        with opened(path) as file:
            while piece := file.read(_PIECE):
                done += len(piece)
                yield piece
    except _UNPACKING as error:
        raise _unreadable(path, error, "byte", done) from error


def _unreadable(path: Path, error: Exception, unit: str, done: int) -> DataError:
    if not done and isinstance(error, OSError) and error.strerror:  # not there, or not ours to read
        return DataError(f"{path}: cannot be read: {error.strerror}")
    return DataError(f"{path}: not readable after {unit} {done}: {error}")


def first_bytes(path: Path) -> bytes:
    """Return what a file begins with, at most some kB, b"" for an empty one: no further, so that it may break off later."""
    try:
        with opened(path) as file:
            return file.read(_FIRST)
    except _UNPACKING as error:
        raise _unreadable(path, error, "byte", 0) from error


def first_line(path: Path) -> bytes:
    """Return the first line, b"" for an empty file."""
    return next((line for _, line in lines(path)), b"")


def records(path: Path, wanted: Mapping[str, str] | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number and fields of a CSV file's rows, by its header line.

    Raises DataError for a row with another number of fields than the header: such a file is cut off or is no CSV.
    """
    found = rows(path)
    header = next(found, (0, []))[1]
    for number, row in found:
        if len(row) != len(header):
            raise DataError(f"{path}:{number}: {len(row)} fields where the header names {len(header)}")
        yield number, dict(zip(header, row, strict=True))


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and fields of the lines of a CSV file."""
    for number, line in lines(path):
        try:
            yield number, next(csv.reader([line.decode("utf-8")]))
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}:{number}: not a line of CSV: {error}") from error
