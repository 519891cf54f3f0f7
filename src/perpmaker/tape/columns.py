"""A chunk of a tape as integer columns, and as bytes: narrowed integers, each column compressed by itself.

numpy does the work (the research extra). docs/explanation/decisions/tapes.md tells why not Parquet.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from perpmaker.errors import DataError
from perpmaker.tape.schema import ChunkEntry, ColumnCode, Kind

if TYPE_CHECKING:
    from perpmaker.tape.rows import Row

_LEVEL: Final = 3
_SCALES: Final = (1_000_000, 1_000)
_DTYPES: Final = (np.int64, np.int64, np.uint8, np.uint8, np.uint16, np.int8, np.int64, np.int64, np.int64)
_DELTA: Final = frozenset({"recv_ns", "event_ns", "aux", "px"})
"""Columns whose neighbours are near each other."""
_RUN_ROWS: Final = 3
"""Rows a value holds for, on average, from which on runs are stored."""
_TOLD_ROWS: Final = 4_096
_TIMES: Final = frozenset({"recv_ns", "event_ns"})
_PLANAR: Final = frozenset({"qty"})
"""Columns of numbers that have little to do with their neighbours: their high bytes are alike, their low ones are not."""
_STORED: Final = {width: np.dtype(f"<i{width}") for width in (1, 2, 4, 8)}


class Columns(NamedTuple):
    """Rows of a tape, one array per column, all of one length. `schema.Kind` says what a row means."""

    recv_ns: npt.NDArray[np.int64]
    event_ns: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    instrument: npt.NDArray[np.uint16]
    """Place in the tape's list of instruments."""
    side: npt.NDArray[np.int8]
    """1 bid or buy, -1 ask or sell, 0 none."""
    px: npt.NDArray[np.int64]
    qty: npt.NDArray[np.int64]
    aux: npt.NDArray[np.int64]
    """An id or a sequence number; -1 - i is text i."""
    texts: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.recv_ns)


ARRAYS: Final = Columns._fields[:-1]
_RECV_NS: Final = ARRAYS.index("recv_ns")
_KIND: Final = ARRAYS.index("kind")
_PX: Final = ARRAYS.index("px")
ROW_BYTES: Final = sum(np.dtype(dtype).itemsize for dtype in _DTYPES)
"""Bytes of a row in memory."""


def columns_of(values: array[int], texts: Sequence[str] = ()) -> Columns:
    """Return columns of rows laid end to end in an array of 64-bit integers, as `rows.Rows` collects them."""
    table = np.array(values, dtype=np.int64).reshape(-1, len(ARRAYS))
    return _columns([_as(table[:, i], dtype) for i, dtype in enumerate(_DTYPES)], tuple(texts))


def row_tuples(columns: Columns, begin: int = 0, end: int | None = None) -> Iterator[Row]:
    """Yield rows as Python integers, the columns in order (`rows.Row`).

    A few thousand at a time: a whole chunk's integers at once are 40 MB, and leave holes in memory that stay.
    """
    last = columns.rows if end is None else end
    for first in range(begin, last, _TOLD_ROWS):
        part = slice(first, min(first + _TOLD_ROWS, last))
        yield from zip(*(getattr(columns, name)[part].tolist() for name in ARRAYS), strict=True)


def take(columns: Columns, which: Any) -> Columns:
    """Return some rows, by slice, mask or places; texts stay as they are."""
    return _columns([getattr(columns, name)[which] for name in ARRAYS], columns.texts)


def join(parts: Sequence[Columns]) -> Columns:
    """Put columns one after the other."""
    if len(parts) == 1:
        return parts[0]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    begin = 0
    texts: list[str] = []
    aux = arrays["aux"]
    for part in parts:
        if texts and part.texts:
            here = aux[begin : begin + part.rows]
            here[here < 0] -= len(texts)
        texts += part.texts
        begin += part.rows
    return Columns(**arrays, texts=tuple(texts))


def encode_chunk(columns: Columns, offset: int) -> tuple[bytes, ChunkEntry]:
    """Return a chunk's bytes and its entry in the table of contents."""
    if not columns.rows:
        raise ValueError("a chunk holds at least one row")
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    quoted = _quoted(columns.kind)
    if 0 < len(quoted) < columns.rows:
        stored = columns._replace(px=_as_before(columns.px, quoted))
        parts = [
            *(_encode(stored, name, compressor) for name in ARRAYS),
            _encode_prices(columns.px[quoted], compressor),
        ]
    else:
        parts = [_encode(columns, name, compressor) for name in ARRAYS]
    codes, blobs = zip(*parts, strict=True)
    texts = compressor.compress(msgspec.json.encode(columns.texts)) if columns.texts else b""
    data = b"".join((*blobs, texts))
    entry = ChunkEntry(
        offset=offset,
        length=len(data),
        rows=columns.rows,
        first_recv_ns=int(columns.recv_ns[0]),
        last_recv_ns=int(columns.recv_ns[-1]),
        checksum=checksum(data),
        columns=codes,
        texts_length=len(texts),
    )
    return data, entry


def decode_chunk(data: bytes, entry: ChunkEntry, *, verify: bool = False) -> Columns:
    """Return a chunk's columns; raise DataError when its bytes are not those that were written.

    Each column carries zstd's own checksum (xxHash64 of its content), which is always looked at; `verify` adds the chunk's.
    """
    if len(data) != entry.length or len(entry.columns) not in {len(ARRAYS), len(ARRAYS) + 1}:
        raise DataError("a chunk is cut off")
    if verify and checksum(data) != entry.checksum:
        raise DataError("the checksum of a chunk is wrong")
    decompressor = zstandard.ZstdDecompressor()
    view = memoryview(data)
    arrays: list[Any] = []
    begin = 0
    try:
        for code, dtype in zip(entry.columns, _DTYPES, strict=False):
            end = begin + code.length + code.run_length
            values = _decode(view[begin:end], code, dtype, entry.rows, decompressor)
            arrays.append(values + arrays[_RECV_NS] if code.is_lag else values)
            begin = end
        for code in entry.columns[len(ARRAYS) :]:
            end = begin + code.length
            quoted = _quoted(arrays[_KIND])
            arrays[_PX][quoted] = _decode(view[begin:end], code, np.int64, len(quoted), decompressor)
            begin = end
        texts: tuple[str, ...] = ()
        if entry.texts_length:
            texts = msgspec.json.decode(decompressor.decompress(view[begin:]), type=tuple[str, ...])
    except (zstandard.ZstdError, ValueError, KeyError, IndexError, msgspec.MsgspecError) as error:
        raise DataError(f"a chunk cannot be read: {error}") from error
    return _columns(arrays, texts)


def checksum(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _columns(arrays: Sequence[npt.NDArray[Any]], texts: tuple[str, ...]) -> Columns:
    return Columns._make((*arrays, texts))


def _quoted(kind: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Return the places of rows whose `px` is no tick: what a ticker told."""
    return np.flatnonzero(kind - np.uint8(Kind.MARK) <= Kind.FUNDING - Kind.MARK)  # below MARK it wraps around


def _as_before(px: npt.NDArray[np.int64], quoted: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Let rows of tickers repeat the row before them, so that steps from row to row stay small."""
    begins = np.flatnonzero(np.diff(quoted, prepend=-2) != 1)
    lengths = np.diff(begins, append=len(quoted))
    sources = quoted[begins] - 1
    if sources[0] < 0:
        sources[0] = lengths[0]  # nothing is before the first ones: they repeat the row after them
    filled = px.copy()
    filled[quoted] = np.repeat(px[sources], lengths)
    return filled


def _encode(columns: Columns, name: str, compressor: zstandard.ZstdCompressor) -> tuple[ColumnCode, bytes]:
    column = getattr(columns, name)
    if name == "event_ns":
        lag = column - columns.recv_ns
        if not np.any(lag != lag[0]):  # made markets and recordings that know one time only
            return ColumnCode(is_delta=False, width=0, base=int(lag[0]), scale=1, length=0, is_lag=True), b""
    changes = column[1:] != column[:-1]
    count = int(np.count_nonzero(changes))
    if not count:
        return ColumnCode(is_delta=False, width=0, base=int(column[0]), scale=1, length=0), b""
    if (count + 1) * _RUN_ROWS <= len(column):  # rows of a message share most of what they say
        starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
        lengths = np.diff(starts, append=len(column))
        code, blob = _encode_values(column[starts].astype(np.int64, copy=False), name, compressor)
        width = _width(0, int(lengths.max()))
        runs = compressor.compress(np.ascontiguousarray(lengths, dtype=_STORED[width]).data.cast("B"))
        return msgspec.structs.replace(code, runs=len(starts), run_width=width, run_length=len(runs)), blob + runs
    return _encode_values(column.astype(np.int64, copy=False), name, compressor)


def _encode_values(
    values: npt.NDArray[np.int64], name: str, compressor: zstandard.ZstdCompressor
) -> tuple[ColumnCode, bytes]:
    base = int(values[0])
    if name in _DELTA:
        steps = np.empty_like(values)
        steps[0] = 0
        np.subtract(values[1:], values[:-1], out=steps[1:])  # wraps around as what undoes it does
    else:
        base = int(values.min())  # so that nothing stored is negative: that would fill the high bytes
        steps = values - base
    return _encode_steps(steps, base, _scale(steps) if name in _TIMES else 1, name, compressor)


def _encode_prices(values: npt.NDArray[np.int64], compressor: zstandard.ZstdCompressor) -> tuple[ColumnCode, bytes]:
    """Prices of tickers have far fewer digits than they could have."""
    base = int(values[0])
    steps = values - base
    return _encode_steps(steps, base, int(np.gcd.reduce(steps)) or 1, "", compressor)


def _encode_steps(
    steps: npt.NDArray[np.int64], base: int, scale: int, name: str, compressor: zstandard.ZstdCompressor
) -> tuple[ColumnCode, bytes]:
    if scale != 1:
        steps = steps // scale
    low, high = int(steps.min()), int(steps.max())
    if low == high == 0:
        return ColumnCode(is_delta=False, width=0, base=base, scale=1, length=0), b""
    width = _width(low, high)
    stored = np.ascontiguousarray(steps, dtype=_STORED[width])
    is_planar = name in _PLANAR and width > 1
    if is_planar:
        stored = np.ascontiguousarray(stored.view(np.uint8).reshape(-1, width).T)
    blob = compressor.compress(stored.data.cast("B"))
    is_delta = name in _DELTA
    return ColumnCode(is_delta, width, base, scale, len(blob), is_planar=is_planar), blob


def _width(low: int, high: int) -> int:
    """Return how many bytes hold signed integers from `low` to `high`."""
    return next(width for width in (1, 2, 4, 8) if -(1 << 8 * width - 1) <= low and high < 1 << 8 * width - 1)


def _scale(steps: npt.NDArray[np.int64]) -> int:
    """Return what all steps are multiples of: times of a venue are often whole milliseconds."""
    for scale in _SCALES:
        if not np.any(steps[:64] % scale) and not np.any(steps % scale):
            return scale
    return 1


def _decode(
    blob: memoryview, code: ColumnCode, dtype: Any, rows: int, decompressor: zstandard.ZstdDecompressor
) -> npt.NDArray[Any]:
    if code.runs:
        inner = msgspec.structs.replace(code, runs=0)
        values = _decode(blob[: code.length], inner, dtype, code.runs, decompressor)
        lengths = np.frombuffer(decompressor.decompress(blob[code.length :]), dtype=_STORED[code.run_width])
        if len(lengths) != code.runs or lengths.sum(dtype=np.int64) != rows or lengths.min() < 1:
            raise ValueError(f"runs that do not make {rows} rows")
        return np.repeat(values, lengths)
    if not code.width:
        return np.full(rows, code.base, dtype=dtype)
    stored = np.frombuffer(decompressor.decompress(blob), dtype=np.uint8 if code.is_planar else _STORED[code.width])
    if code.is_planar:
        stored = np.ascontiguousarray(stored.reshape(code.width, -1).T).view(_STORED[code.width])[:, 0]
    if len(stored) != rows:
        raise ValueError(f"{len(stored)} rows where {rows} belong")
    if not code.is_delta and code.scale == 1 and code.base == 0:
        return stored.astype(dtype)
    values = stored.astype(np.int64)
    if code.scale != 1:
        values *= code.scale
    if code.is_delta:
        values[0] += code.base
        np.add.accumulate(values, out=values)  # in place it takes half the time of cumsum
    else:
        values += code.base
    return values.astype(dtype, copy=False)


def _as(values: npt.NDArray[np.int64], dtype: Any) -> npt.NDArray[Any]:
    narrowed = np.ascontiguousarray(values, dtype=dtype)
    if dtype is not np.int64 and not np.array_equal(narrowed, values):
        raise ValueError(f"a value does not fit into {np.dtype(dtype).name}")
    return narrowed
