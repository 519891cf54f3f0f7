"""Reads tapes: chunk by chunk as columns, or event by event; several tapes as one.

    tape = open_tape(Path("btc.tape"))
    for columns in tape.chunks(): ...      # numpy columns, whole messages, a few MB at a time
    for event in tape.events(): ...        # what Engine.process takes

A folder is its `.tape` files in the order of their names, as a recorder rotates them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np
import zstandard

from perpmaker.errors import DataError
from perpmaker.model.events import Event
from perpmaker.model.ids import InstrumentId
from perpmaker.tape import live
from perpmaker.tape.columns import Columns, checksum, decode_chunk, join, row_tuples, take
from perpmaker.tape.rows import events_of
from perpmaker.tape.schema import NO_INSTRUMENT, SCHEMA_VERSION, SUFFIX, ChunkEntry, Contents, TapeInstrument
from perpmaker.tape.writer import HEAD, TRAILER

ALWAYS: Final = (1 << 63) - 1
_CONTENTS: Final = msgspec.json.Decoder(Contents)


class Tape(Protocol):
    """One recording, or several played as one. Times are receive times, UTC nanoseconds; `to_ns` is not included."""

    @property
    def name(self) -> str: ...
    @property
    def instruments(self) -> tuple[TapeInstrument, ...]:
        """`Columns.instrument` is a place in this list."""
        ...

    @property
    def rows(self) -> int: ...
    @property
    def counts(self) -> dict[str, int]:
        """Rows by the name of their kind."""
        ...

    @property
    def first_recv_ns(self) -> int: ...
    @property
    def last_recv_ns(self) -> int: ...
    @property
    def in_order(self) -> bool: ...
    @property
    def fingerprint(self) -> str:
        """Names the content: the same rows in the same chunks have the same one."""
        ...

    def chunks(self, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Columns]:
        """Yield columns that hold whole messages; raise DataError, naming file and chunk, where one is damaged."""
        ...


def open_tape(*paths: Path) -> Tape:
    """Open a tape, a folder of tapes, or several of them as one merged by receive time."""
    if not paths:
        raise DataError("no tape was named")
    tapes = [_open(path) for path in paths]
    return tapes[0] if len(tapes) == 1 else MergedTape(tapes)


def events(tape: Tape, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Event]:
    """Yield a tape's events, what `Engine.process` takes; raise DataError where one is damaged."""
    names = [listed.instrument_id for listed in tape.instruments]
    for columns in tape.chunks(from_ns, to_ns):
        yield from chunk_events(columns, names)


def chunk_events(columns: Columns, instruments: Sequence[InstrumentId]) -> Iterator[Event]:
    """Yield the events of one chunk."""
    return events_of(row_tuples(columns), columns.texts, instruments)


class TapeFile:
    """A finished tape file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = _read_contents(path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def instruments(self) -> tuple[TapeInstrument, ...]:
        return self.contents.instruments

    @property
    def rows(self) -> int:
        return self.contents.rows

    @property
    def counts(self) -> dict[str, int]:
        return self.contents.counts

    @property
    def first_recv_ns(self) -> int:
        return self.contents.chunks[0].first_recv_ns if self.contents.chunks else 0

    @property
    def last_recv_ns(self) -> int:
        return self.contents.chunks[-1].last_recv_ns if self.contents.chunks else 0

    @property
    def in_order(self) -> bool:
        return self.contents.in_order

    @property
    def fingerprint(self) -> str:
        return _fingerprint(entry.checksum for entry in self.contents.chunks)

    def chunks(self, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Columns]:
        with self.path.open("rb") as file:
            for number, entry in enumerate(self.contents.chunks):
                if self.in_order and (entry.last_recv_ns < from_ns or entry.first_recv_ns >= to_ns):
                    continue
                file.seek(entry.offset)
                columns = self._decode(file.read(entry.length), entry, number)
                part = _between(columns, from_ns, to_ns)
                if part.rows:
                    yield part

    def _decode(self, data: bytes, entry: ChunkEntry, number: int) -> Columns:
        try:
            return decode_chunk(data, entry)
        except DataError as error:
            raise DataError(f"{self.path}: chunk {number} at byte {entry.offset}: {error}") from error


class TapeSequence:
    """Files that follow each other, as one."""

    def __init__(self, name: str, files: Sequence[TapeFile]) -> None:
        self.name = name
        self.files = files
        self.instruments, self._maps = _united(files)
        filled = [file for file in files if file.rows]
        ordered = all(earlier.last_recv_ns <= later.first_recv_ns for earlier, later in pairwise(filled))
        self.in_order = ordered and all(file.in_order for file in files)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def counts(self) -> dict[str, int]:
        return _sum_counts(self.files)

    @property
    def first_recv_ns(self) -> int:
        return min((file.first_recv_ns for file in self.files if file.rows), default=0)

    @property
    def last_recv_ns(self) -> int:
        return max((file.last_recv_ns for file in self.files), default=0)

    @property
    def fingerprint(self) -> str:
        return _fingerprint(file.fingerprint for file in self.files)

    def chunks(self, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Columns]:
        for file, places in zip(self.files, self._maps, strict=True):
            for columns in file.chunks(from_ns, to_ns):
                yield _moved(columns, places)


class MergedTape:
    """Tapes played side by side, row by row in the order of receive times; the first named goes first at equal times.

    All must be in order. Memory is a chunk or two of each.
    """

    def __init__(self, tapes: Sequence[Tape]) -> None:
        late = [tape.name for tape in tapes if not tape.in_order]
        if late:
            raise DataError(f"{late[0]}: receive times go back, so it cannot be merged with another tape")
        self.tapes = tapes
        self.name = " + ".join(tape.name for tape in tapes)
        self.instruments, self._maps = _united(tapes)
        self.in_order = True

    @property
    def rows(self) -> int:
        return sum(tape.rows for tape in self.tapes)

    @property
    def counts(self) -> dict[str, int]:
        return _sum_counts(self.tapes)

    @property
    def first_recv_ns(self) -> int:
        return min((tape.first_recv_ns for tape in self.tapes if tape.rows), default=0)

    @property
    def last_recv_ns(self) -> int:
        return max((tape.last_recv_ns for tape in self.tapes), default=0)

    @property
    def fingerprint(self) -> str:
        return _fingerprint(tape.fingerprint for tape in self.tapes)

    def chunks(self, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Columns]:
        sources = [
            _Ahead(_moved(columns, places) for columns in tape.chunks(from_ns, to_ns))
            for tape, places in zip(self.tapes, self._maps, strict=True)
        ]
        while True:
            waiting = [source for source in sources if source.columns is not None]
            if not waiting:
                return
            until_ns = min(source.last_ns for source in waiting)
            parts = [part for source in waiting if (part := source.take_until(until_ns)).rows]
            yield _in_order(parts)


class _Ahead:
    """What was read of a tape and not yet given out."""

    def __init__(self, chunks: Iterator[Columns]) -> None:
        self._chunks = chunks
        self.columns = next(chunks, None)

    @property
    def last_ns(self) -> int:
        return int(self._held.recv_ns[-1])

    @property
    def _held(self) -> Columns:
        if self.columns is None:
            raise DataError("the tape has ended")
        return self.columns

    def take_until(self, until_ns: int) -> Columns:
        """Return all rows up to and with this time; they never end within a message, whose rows share their time.

        Rows of the same time may follow in the next chunk, so that one is looked at too.
        """
        taken: list[Columns] = []
        while self.columns is not None:
            held = self.columns
            end = int(np.searchsorted(held.recv_ns, until_ns, side="right"))
            if end < held.rows:
                taken.append(take(held, slice(0, end)))
                self.columns = take(held, slice(end, None))
                break
            taken.append(held)
            self.columns = next(self._chunks, None)
        return join(taken)


def _in_order(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    joined = join(parts)
    return take(joined, np.argsort(joined.recv_ns, kind="stable"))


def _open(path: Path) -> TapeFile | TapeSequence:
    if not path.is_dir():
        return TapeFile(path)
    files = [TapeFile(file) for file in sorted(path.glob(f"*{SUFFIX}"))]
    if not files:
        left = any(path.glob(f"*{live.SUFFIX}"))
        hint = "; its recordings become one by `perpmaker tape convert ...`" if left else ""
        raise DataError(f"{path}: holds no {SUFFIX} file{hint}")
    return TapeSequence(path.name, files)


def _read_contents(path: Path) -> Contents:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if file.read(len(HEAD)) != HEAD:
                raise DataError(f"{path}: not a tape of perpmaker; `perpmaker tape convert ...` reads other recordings")
            file.seek(max(0, size - TRAILER.size))
            tail = file.read()
            length, schema, digest, mark = TRAILER.unpack(tail) if len(tail) == TRAILER.size else (0, 0, b"", b"")
            if mark != HEAD or length > size - TRAILER.size - len(HEAD):
                raise DataError(f"{path}: has no end: it is cut off or was never finished")
            if schema > SCHEMA_VERSION:
                raise DataError(
                    f"{path}: schema {schema}, written by a newer perpmaker; this one reads {SCHEMA_VERSION}"
                )
            file.seek(size - TRAILER.size - length)
            data = file.read(length)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if bytes.fromhex(checksum(data)) != digest:
        raise DataError(f"{path}: the checksum of its contents is wrong")
    try:
        return _CONTENTS.decode(zstandard.ZstdDecompressor().decompress(data))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise DataError(f"{path}: its contents cannot be read: {error}") from error


def _between(columns: Columns, from_ns: int, to_ns: int) -> Columns:
    recv_ns = columns.recv_ns
    if from_ns <= int(recv_ns.min()) and int(recv_ns.max()) < to_ns:
        return columns
    return take(columns, (recv_ns >= from_ns) & (recv_ns < to_ns))


def _united(
    tapes: Sequence[Tape],
) -> tuple[tuple[TapeInstrument, ...], list[np.ndarray[tuple[int], np.dtype[np.uint16]]]]:
    """Return one list of instruments, and for each tape the new places of its own."""
    united: dict[InstrumentId, tuple[int, TapeInstrument]] = {}
    maps = []
    for tape in tapes:
        places = np.full(NO_INSTRUMENT + 1, NO_INSTRUMENT, dtype=np.uint16)
        for place, listed in enumerate(tape.instruments):
            at, known = united.setdefault(listed.instrument_id, (len(united), listed))
            if known.grid != listed.grid:
                raise DataError(f"{tape.name}: {listed.instrument_id} has another tick, lot or multiplier than before")
            places[place] = at
        maps.append(places)
    return tuple(listed for _, listed in united.values()), maps


def _moved(columns: Columns, places: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> Columns:
    return columns._replace(instrument=places[columns.instrument])


def _sum_counts(tapes: Sequence[Tape]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for tape in tapes:
        total.update(tape.counts)
    return dict(total)


def _fingerprint(parts: Iterator[str]) -> str:
    return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()
