"""Writes a tape: to a name of its own first, which becomes the tape only when all of it is on disk."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import numpy as np
import zstandard

from perpmaker.errors import DataError
from perpmaker.model.events import Event
from perpmaker.tape.columns import Columns, checksum, columns_of, encode_chunk, take
from perpmaker.tape.rows import Rows
from perpmaker.tape.schema import CHUNK_ROWS, SCHEMA_VERSION, ChunkEntry, Contents, Kind, TapeInstrument

HEAD: Final = b"pmtape\r\n"
TRAILER: Final = struct.Struct("<QI16s8s")
"""Length of the contents, schema version, BLAKE2b-128 of the contents, `HEAD` again."""


class TapeWriter:
    """Writes events or columns as a tape at `path`, which appears when the `with` block ends well and not before.

    Rows are kept in the order they come. Where a clock stepped back, `clamp` states the time before the step instead, so
    that receive times never go back; each such row is counted in the notes. Without it the tape is a session's: marked as
    not in order, and of instruments whose rules may change.
    """

    def __init__(
        self,
        path: Path,
        instruments: Sequence[TapeInstrument] = (),
        *,
        source: str = "",
        clamp: bool = True,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self.path = path
        self.notes: dict[str, str] = {}
        self.rows = Rows(instruments, rules_change=not clamp)
        """Add rows here for what `add` does not know, then call `settle`."""
        self.written = 0
        self._source = source
        self._clamp = clamp
        self._chunk_rows = chunk_rows
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._chunks: list[ChunkEntry] = []
        self._counts: Counter[int] = Counter()
        self._last_ns = 0
        self._stepped_back = 0
        self._file = self._temporary.open("wb")
        self._file.write(HEAD)
        self._offset = len(HEAD)

    def __enter__(self) -> TapeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._finish()
            except BaseException:
                self._give_up()
                raise
        else:
            self._give_up()

    def add(self, event: Event) -> None:
        """Add an event; its instrument must be known."""
        self.rows.event(event)
        self.settle()

    def settle(self) -> None:
        """Write what was collected when it fills a chunk. Call it between messages only: chunks hold whole ones."""
        if len(self.rows) >= self._chunk_rows:
            self._flush()

    def add_columns(self, columns: Columns) -> None:
        """Add rows as they are; their `instrument` is a place in this tape's list."""
        self._flush()
        for begin, end in _pieces(columns, self._chunk_rows):
            part = take(columns, slice(begin, end))
            self._write(part if not columns.texts else _own_texts(part))

    # --- inside

    def _flush(self) -> None:
        values, texts = self.rows.take()
        if values:
            self._write(columns_of(values, texts))

    def _write(self, columns: Columns) -> None:
        recv_ns = columns.recv_ns
        if recv_ns[0] < self._last_ns or np.any(recv_ns[1:] < recv_ns[:-1]):
            highest = np.maximum(np.maximum.accumulate(recv_ns), self._last_ns)
            self._stepped_back += int(np.count_nonzero(recv_ns < highest))
            self._last_ns = int(highest[-1])
            if self._clamp:
                columns = columns._replace(recv_ns=highest)
        else:
            self._last_ns = int(recv_ns[-1])
        data, entry = encode_chunk(columns, self._offset)
        self._file.write(data)
        self._offset += len(data)
        self._chunks.append(entry)
        self.written += columns.rows
        counts = np.bincount(columns.kind)
        for kind in np.flatnonzero(counts).tolist():
            self._counts[kind] += int(counts[kind])

    def _finish(self) -> None:
        self._flush()
        if self._stepped_back:
            self.notes["clock_steps_back"] = str(self._stepped_back)
        contents = Contents(
            schema=SCHEMA_VERSION,
            instruments=tuple(self.rows.instruments),
            chunks=tuple(self._chunks),
            rows=self.written,
            counts={Kind(kind).name.lower(): count for kind, count in sorted(self._counts.items())},
            in_order=self._clamp or not self._stepped_back,
            source=self._source,
            notes=self.notes,
        )
        data = zstandard.ZstdCompressor(level=3).compress(msgspec.json.encode(contents))
        self._file.write(data)
        self._file.write(TRAILER.pack(len(data), SCHEMA_VERSION, bytes.fromhex(checksum(data)), HEAD))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.path)

    def _give_up(self) -> None:
        try:
            self._file.close()  # writes what was buffered: on a full disk that fails once more
        finally:
            self._temporary.unlink(missing_ok=True)


def _pieces(columns: Columns, chunk_rows: int) -> list[tuple[int, int]]:
    """Cut at ends of messages, near every `chunk_rows` rows."""
    ends = np.flatnonzero(columns.flags & 2) + 1
    if not len(ends) or ends[-1] != columns.rows:
        raise DataError("columns end within a message")
    pieces, begin = [], 0
    while begin < columns.rows:
        end = int(ends[np.searchsorted(ends, min(begin + chunk_rows, columns.rows))])
        pieces.append((begin, end))
        begin = end
    return pieces


def _own_texts(columns: Columns) -> Columns:
    """Keep only the texts that these rows point to."""
    aux = columns.aux
    pointing = np.flatnonzero(aux < 0)
    if not len(pointing):
        return columns._replace(texts=())
    places = -1 - aux[pointing]
    first = int(places[0])
    own = np.arange(len(pointing))
    if np.array_equal(places - first, own):  # as they are written: each row the next text
        texts = columns.texts[first : first + len(pointing)]
    else:
        texts = tuple([columns.texts[place] for place in places.tolist()])
    aux = aux.copy()
    aux[pointing] = -1 - own
    return columns._replace(aux=aux, texts=texts)
