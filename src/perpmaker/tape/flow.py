"""One instrument of a tape as rows of a Binance capture, which is what plays on the practice exchange.

Update ids are the tape's own where it has them, so that a book ticker that is ahead of the depth updates is known to be;
else they count the messages. After a word of doubt (STALE) the next change does not follow the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from perpmaker.tape.binance import BookTicker, DepthSnapshot, DepthUpdate, PxQty, Row, Trade
from perpmaker.tape.columns import row_tuples, take
from perpmaker.tape.reader import open_tape
from perpmaker.tape.rows import Row as TapeRow
from perpmaker.tape.schema import LAST, REPLAYED, Kind, TapeInstrument

_PLAYED = (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE, Kind.BBO, Kind.STALE)


def capture_rows(path: Path, place: int, listed: TapeInstrument) -> Iterator[Row]:
    """Yield the rows of the instrument at `place` of the tape's list, prices and quantities as decimals."""
    writer = _Capture(listed)
    for columns in open_tape(path).chunks():
        ours = take(columns, (columns.instrument == place) & np.isin(columns.kind, _PLAYED))
        message: list[TapeRow] = []
        for row in row_tuples(ours):
            message.append(row)
            if row[3] & LAST:
                made = writer.row(message)
                message = []
                if made is not None:
                    yield made


class _Capture:
    """Makes rows of messages, and keeps the update ids."""

    def __init__(self, listed: TapeInstrument) -> None:
        self._tick, self._lot = listed.instrument.tick, listed.instrument.lot
        self._symbol = str(listed.instrument_id)
        self._update_id = 0
        self._doubted = False
        self._trades = 0

    def row(self, message: Sequence[TapeRow]) -> Row | None:
        recv_ns, event_ns, kind, flags, _, side, px, qty, aux = message[0]
        if kind == Kind.STALE:
            self._doubted = True
            return None
        if kind == Kind.TRADE:
            if flags & REPLAYED:
                return None
            self._trades += 1
            return Trade(recv_ns, event_ns, self._symbol, self._trades, self._tick * px, self._lot * qty, side < 0)
        if kind == Kind.BBO:
            (bid_px, bid_qty), (ask_px, ask_qty) = (self._level(row) for row in message[:2])
            update_id = aux or self._update_id + 1
            return BookTicker(recv_ns, event_ns, self._symbol, update_id, bid_px, bid_qty, ask_px, ask_qty)
        bids = tuple(self._level(row) for row in message if row[5] > 0)
        asks = tuple(self._level(row) for row in message if row[5] < 0)
        before = self._update_id
        self._update_id = max(before + 1, aux)
        doubted, self._doubted = self._doubted, False
        if kind == Kind.SNAPSHOT:
            return DepthSnapshot(recv_ns, event_ns, self._update_id, bids, asks)
        if doubted:
            self._update_id = max(before + 2, aux)
            return DepthUpdate(recv_ns, event_ns, self._symbol, before + 2, self._update_id, None, bids, asks)
        return DepthUpdate(recv_ns, event_ns, self._symbol, before + 1, self._update_id, before, bids, asks)

    def _level(self, row: TapeRow) -> PxQty:
        return Decimal(self._tick * row[6]), Decimal(self._lot * row[7])
