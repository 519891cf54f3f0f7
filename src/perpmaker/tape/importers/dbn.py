"""Databento's binary encoding (DBN), by their own library: records of market by order as the fields of its CSV.

The fields are those of `dbn --csv`, so that both say the same and are read by the same rules (`importers.databento`). A
file's metadata say which number was which symbol on which days; a number without one stays a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perpmaker.errors import ConfigError, DataError
from perpmaker.model.units import NS_PER_S
from perpmaker.tape.importers.files import pieces

if TYPE_CHECKING:
    from databento_dbn import MBOMsg, Metadata

MAGIC: Final = b"DBN"
_PACKED: Final = frozenset({".zst", ".gz", ".zip"})
"""What may follow `.dbn` in a name; a `.dbn.csv` is text."""
_DAY_NS: Final = 86_400 * NS_PER_S
_Interval = tuple[date, date, str]
"""From, to before, symbol."""


def is_dbn(path: Path, begins: bytes) -> bool:
    """Say whether a file is DBN by its name or its first bytes, unpacked."""
    packed = len(path.suffixes) > 1 and path.suffixes[-2] == ".dbn" and path.suffix in _PACKED
    return path.suffix == ".dbn" or packed or begins.startswith(MAGIC)


def dbn_records(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number and fields of each record. Raises DataError for another schema, for garbage, and where it breaks off."""
    try:
        from databento_dbn import DBNDecoder, DBNError, MBOMsg, Metadata, Schema
    except ImportError as error:
        raise ConfigError(f"{path}: DBN needs the research packages ({error.name} is missing)") from error
    decoder, symbols, number = DBNDecoder(), _Symbols({}), 0
    for piece in pieces(path):
        try:
            decoded = decoder.write_and_decode(piece)
        except DBNError as error:
            raise DataError(f"{path}: record {number + 1}: {error}") from error
        for record in decoded:
            if isinstance(record, Metadata):
                if record.schema not in (Schema.MBO, None):
                    raise DataError(f"{path}: holds {record.schema}, not mbo; only market by order is read")
                symbols = _Symbols(_intervals(record))
                continue
            number += 1
            if isinstance(record, MBOMsg):
                yield number, _fields(record, symbols)
    if decoder.buffer():
        raise DataError(f"{path}: breaks off in record {number + 1}")


def _fields(record: MBOMsg, symbols: _Symbols) -> dict[str, str]:
    return {
        "ts_recv": str(record.ts_recv),
        "ts_event": str(record.ts_event),
        "instrument_id": str(record.instrument_id),
        "action": str(record.action),
        "side": str(record.side),
        "price": str(record.price),
        "size": str(record.size),
        "order_id": str(record.order_id),
        "flags": str(int(record.flags)),
        "sequence": str(record.sequence),
        "symbol": symbols.name(record.instrument_id, record.ts_recv),
    }


class _Symbols:
    """What a number was called on a day."""

    def __init__(self, intervals: Mapping[int, list[_Interval]]) -> None:
        self._intervals = intervals
        self._known: dict[tuple[int, int], str] = {}

    def name(self, number: int, recv_ns: int) -> str:
        """Return its symbol on the day (UTC) of a receive time, "" where none was told."""
        day = recv_ns // _DAY_NS
        found = self._known.get((number, day))
        if found is None:
            on = datetime.fromtimestamp(day * _DAY_NS // NS_PER_S, UTC).date()
            told = (symbol for begin, end, symbol in self._intervals.get(number, ()) if begin <= on < end)
            found = self._known[(number, day)] = next(told, "")
        return found


def _intervals(metadata: Metadata) -> dict[int, list[_Interval]]:
    found: dict[int, list[_Interval]] = {}
    for symbol, intervals in metadata.mappings.items():
        for interval in intervals:
            if interval["symbol"].isdigit():
                row = (interval["start_date"], interval["end_date"], symbol)
                found.setdefault(int(interval["symbol"]), []).append(row)
    return found
