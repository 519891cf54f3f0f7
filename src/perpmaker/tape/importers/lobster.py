"""LOBSTER: a message file and the order book after each message, two CSV files without headers.

After lobsterdata.com, "LOBSTER output": TICKER_YYYY-MM-DD_begin_end_message_LEVELS.csv with time (seconds after midnight
in New York), type (1 new, 2 partly cancelled, 3 deleted, 4 executed, 5 hidden executed, 6 cross, 7 halt), order id, size,
price (dollars times 10,000), direction (1: the resting order buys); and ..._orderbook_LEVELS.csv with ask price, ask size,
bid price, bid size of each level. A level that leaves the levels shown leaves the tape's book too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import StaleReason
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.tape.importers.files import rows
from perpmaker.tape.importers.sheet import BadRow, Sheet, integer
from perpmaker.tape.schema import Kind

MESSAGE_NAME: Final = re.compile(r"^(?P<ticker>[^_]+)_(?P<day>\d{4}-\d\d-\d\d)_\d+_\d+_message_(?P<levels>\d+)\.csv")
_PX: Final = 10**9 // 10_000
_QTY: Final = 10**8
_EXECUTIONS: Final = (4, 5)
_HALT: Final = 7
_NO_LEVEL: Final = 9_999_999_999
_NEW_YORK: Final = "America/New_York"


class Lobster:
    """Reads a message file with the order book file beside it."""

    def read(self, path: Path, sheet: Sheet) -> None:
        named = MESSAGE_NAME.match(path.name)
        if named is None:
            raise DataError(f"{path}: is not named as LOBSTER names its message files, which say the day")
        beside = path.with_name(path.name.replace("_message_", "_orderbook_"))
        if not beside.is_file():
            raise DataError(f"{path}: its order book file {beside.name} is missing")
        midnight_ns = _midnight_ns(named["day"])
        instrument = sheet.instrument(named["ticker"], "nasdaq", contract="spot")
        shown: tuple[dict[int, int], dict[int, int]] | None = None
        books = rows(beside)
        for number, row in rows(path):
            _, book_row = next(books, (0, None))
            if book_row is None or len(row) != 6:
                short = f"{beside.name} ends" if book_row is None else f"{len(row)} fields, not 6"
                raise DataError(f"{path}:{number}: {short}")
            with sheet.row(number):
                ts_ns = midnight_ns + _since_midnight_ns(row[0])
                book = _book(book_row)
                _tell_message(row, number, ts_ns, sheet, instrument)
                if integer(row[1], "type") != _HALT:
                    _tell_book(shown, book, ts_ns, sheet, instrument)
                    shown = book
        if next(books, None) is not None:
            raise DataError(f"{beside}: has more lines than {path.name}")


def _tell_message(row: list[str], number: int, ts_ns: int, sheet: Sheet, instrument: InstrumentId) -> None:
    kind = integer(row[1], "type")
    if kind not in range(1, 8):
        raise BadRow(f"a message of type {kind}")
    if kind in _EXECUTIONS:
        direction, size, px = (integer(row[place], what) for place, what in ((5, "side"), (3, "size"), (4, "price")))
        sheet.trade(instrument, -direction, px * _PX, size * _QTY, str(number), ts_ns, ts_ns)
    elif kind == _HALT and integer(row[4], "price") == -1:
        sheet.stale(instrument, StaleReason.SILENT, ts_ns)


def _tell_book(
    before: tuple[dict[int, int], dict[int, int]] | None,
    now: tuple[dict[int, int], dict[int, int]],
    ts_ns: int,
    sheet: Sheet,
    instrument: InstrumentId,
) -> None:
    if before is None:
        sheet.levels(Kind.SNAPSHOT, instrument, list(now[0].items()), list(now[1].items()), ts_ns, ts_ns)
        return
    bids, asks = _changes(before[0], now[0]), _changes(before[1], now[1])
    if bids or asks:
        sheet.levels(Kind.DELTA, instrument, bids, asks, ts_ns, ts_ns)


def _changes(before: dict[int, int], now: dict[int, int]) -> list[Level]:
    changed = [(px, qty) for px, qty in now.items() if before.get(px) != qty]
    return [(px, 0) for px in before if px not in now] + changed


def _book(row: list[str]) -> tuple[dict[int, int], dict[int, int]]:
    if not row or len(row) % 4:
        raise BadRow("an order book row that is not four fields a level")
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for place in range(0, len(row), 4):
        ask_px, ask_qty, bid_px, bid_qty = (integer(text, "level") for text in row[place : place + 4])
        if abs(ask_px) != _NO_LEVEL and ask_qty > 0:
            asks[ask_px * _PX] = ask_qty * _QTY
        if abs(bid_px) != _NO_LEVEL and bid_qty > 0:
            bids[bid_px * _PX] = bid_qty * _QTY
    return bids, asks


def _midnight_ns(day: str) -> int:
    midnight = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=ZoneInfo(_NEW_YORK))
    return int(midnight.astimezone(UTC).timestamp()) * NS_PER_S


def _since_midnight_ns(text: str) -> int:
    try:
        return int(Decimal(text) * NS_PER_S)
    except (InvalidOperation, ValueError, OverflowError):
        raise BadRow("a time that is no number") from None
