"""hftbacktest's `.npz` files: array `data` of ev, exch_ts, local_ts, px, qty, order_id, ival, fval.

Event codes as in hftbacktest 2.x, `hftbacktest/types.py`: depth 1, trade 2, clear 3, snapshot 4, best bid or offer 5,
market by order 10 to 13; bits 31 (seen at the exchange), 30 (seen locally), 29 (buy), 28 (sell). A tape is what was seen
locally, in the order of local time: rows for the exchange's side alone are left out. Prices and quantities are binary
fractions there, and are taken to the nearest 1e-9 and 1e-8.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.ids import InstrumentId
from perpmaker.tape.importers.sheet import BadRow, Sheet
from perpmaker.tape.levels import Levels
from perpmaker.tape.schema import Kind

DEPTH, TRADE, CLEAR, SNAPSHOT, BBO = 1, 2, 3, 4, 5
LOCAL, BUY, SELL = 1 << 30, 1 << 29, 1 << 28
_FIELDS: Final = ("ev", "exch_ts", "local_ts", "px", "qty")
_Row = tuple[int, int, int, int, int]
"""ev, exch_ts, local_ts, px in 1e-9, qty in 1e-8."""
_PIECE: Final = 1 << 18


class HftBacktest:
    """Reads arrays of one instrument, which they do not name."""

    def __init__(self, symbol: str, exchange: str) -> None:
        self._symbol, self._exchange = symbol, exchange
        self._book = Levels()

    def read(self, path: Path, sheet: Sheet) -> None:
        instrument = sheet.instrument(self._symbol, self._exchange)
        number = 0
        for _, group in groupby(_rows(path), key=lambda row: (row[0] & 0xFF, row[1], row[2])):
            rows = list(group)
            number += len(rows)
            with sheet.row(number):
                self._take(rows, sheet, instrument)

    def _take(self, rows: list[_Row], sheet: Sheet, instrument: InstrumentId) -> None:
        code, event_ns, recv_ns = rows[0][0] & 0xFF, rows[0][1], rows[0][2]
        if any(px < 0 or qty < 0 for _, _, _, px, qty in rows):
            raise BadRow("a price or quantity below 0")
        bids: list[Level] = [(px, qty) for ev, _, _, px, qty in rows if ev & BUY]
        asks: list[Level] = [(px, qty) for ev, _, _, px, qty in rows if ev & SELL]
        if code == TRADE:
            for ev, _, _, px, qty in rows:
                sheet.trade(instrument, _side(ev), px, qty, "0", event_ns, recv_ns)
        elif code == DEPTH:
            self._book.change(bids, asks)
            sheet.levels(Kind.DELTA, instrument, bids, asks, event_ns, recv_ns)
        elif code == SNAPSHOT:
            self._book.change(bids, asks)
            whole = self._book.sorted()
            sheet.levels(Kind.SNAPSHOT, instrument, *whole, event_ns, recv_ns)
        elif code == CLEAR:
            gone = self._clear(rows)
            sheet.levels(Kind.DELTA, instrument, *gone, event_ns, recv_ns)
        elif code == BBO:
            if not bids or not asks:
                raise BadRow("a best price of one side alone")
            sheet.bbo(instrument, bids[-1], asks[-1], 0, event_ns, recv_ns)
        else:
            raise BadRow(f"an event of code {code}, which has no place on a tape")

    def _clear(self, rows: list[_Row]) -> tuple[list[Level], list[Level]]:
        """Drop the levels a clear names: all of a side up to its price, or the whole of it at price 0."""
        bids, asks = self._book.bids, self._book.asks
        gone_bids: list[Level] = []
        gone_asks: list[Level] = []
        for ev, _, _, px, _ in rows:
            both = not ev & (BUY | SELL)
            if ev & BUY or both:
                gone_bids += [(level, 0) for level in bids if both or not px or level >= px]
            if ev & SELL or both:
                gone_asks += [(level, 0) for level in asks if both or not px or level <= px]
        self._book.change(gone_bids, gone_asks)
        return gone_bids, gone_asks


def _side(ev: int) -> int:
    if not ev & (BUY | SELL):
        raise BadRow("a trade without a side")
    return 1 if ev & BUY else -1


def _rows(path: Path) -> Iterator[_Row]:
    """Yield the rows seen locally, a piece of the array at a time."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = archive.get("data", None)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path}: is no npz file: {error}") from error
    if data is None or data.dtype.names is None or any(name not in data.dtype.names for name in _FIELDS):
        raise DataError(f"{path}: holds no array 'data' with the fields {', '.join(_FIELDS)}")
    for begin in range(0, len(data), _PIECE):
        piece = data[begin : begin + _PIECE]
        piece = piece[(piece["ev"] & LOCAL) != 0]
        if not (np.isfinite(piece["px"]).all() and np.isfinite(piece["qty"]).all()):
            raise DataError(f"{path}: a price or quantity near row {begin} is no number")
        if len(piece) and max(np.abs(piece["px"]).max(), np.abs(piece["qty"]).max()) >= 9e9:
            raise DataError(f"{path}: a price or quantity near row {begin} is out of range")
        yield from zip(
            piece["ev"].tolist(),
            piece["exch_ts"].tolist(),
            piece["local_ts"].tolist(),
            np.rint(piece["px"] * 1e9).astype(np.int64).tolist(),
            np.rint(piece["qty"] * 1e8).astype(np.int64).tolist(),
            strict=True,
        )
