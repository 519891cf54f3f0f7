"""Bybit's public archive: order books (`*_ob500.data.zip`, lines of JSON as the stream sent them) and trades (CSV).

Fields after Bybit's API documentation v5, "Orderbook" stream (topic, type, ts: system time ms, cts: matching engine ms,
data s, b, a, u, seq; `u` 1 begins anew), and the header of the files at public.bybit.com/trading (timestamp in seconds).
The archive has no receive time: the system's sending time stands for it.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import StaleReason
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.tape.importers.files import lines, records
from perpmaker.tape.importers.sheet import BadRow, Sheet, level_of, px_of, qty_of
from perpmaker.tape.schema import Kind

TRADE_COLUMNS = ("timestamp", "symbol", "side", "size", "price")
_SIDES = {"Buy": 1, "Sell": -1}


class _Data(msgspec.Struct):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class _Message(msgspec.Struct):
    topic: str
    type: str
    ts: int
    data: _Data
    cts: int = 0


_MESSAGES = msgspec.json.Decoder(_Message)


class BybitBook:
    """Reads order book files; `u` counts updates one by one, a step of more is a gap."""

    def __init__(self) -> None:
        self._update_ids: dict[InstrumentId, int] = {}

    def read(self, path: Path, sheet: Sheet) -> None:
        for number, line in lines(path):
            try:
                message = _MESSAGES.decode(line)
            except msgspec.MsgspecError as error:
                raise DataError(f"{path}:{number}: not a line of a Bybit order book: {error}") from error
            with sheet.row(number):
                self._take(message, sheet)

    def _take(self, message: _Message, sheet: Sheet) -> None:
        if message.type not in ("snapshot", "delta"):
            raise BadRow(f"a message of type {message.type[:20]!r}")
        data = message.data
        instrument = sheet.instrument(data.s, "bybit")
        bids, asks = _levels(data.b), _levels(data.a)
        recv_ns, event_ns = message.ts * NS_PER_MS, (message.cts or message.ts) * NS_PER_MS
        before = self._update_ids.get(instrument, 0)
        if message.type == "snapshot" or data.u == 1:
            kind = Kind.SNAPSHOT
        elif not before:
            raise BadRow("a change before any snapshot")
        else:
            kind = Kind.DELTA
            if data.u != before + 1:
                sheet.stale(instrument, StaleReason.GAP, recv_ns)
        self._update_ids[instrument] = data.u
        sheet.levels(kind, instrument, bids, asks, event_ns, recv_ns, data.u)


class BybitTrades:
    """Reads trade files; `side` is the taker's."""

    def read(self, path: Path, sheet: Sheet) -> None:
        for number, fields in records(path):
            missing = [name for name in TRADE_COLUMNS if name not in fields]
            if missing:
                raise DataError(f"{path}:1: has no column {missing[0]!r}")
            with sheet.row(number):
                self._take(fields, number, sheet)

    def _take(self, fields: dict[str, str], number: int, sheet: Sheet) -> None:
        side = _SIDES.get(fields["side"])
        if side is None:
            raise BadRow("a trade without a side")
        try:
            ts_ns = int(Decimal(fields["timestamp"]) * NS_PER_S)
        except (InvalidOperation, ValueError, OverflowError):
            raise BadRow("a timestamp that is no number") from None
        instrument = sheet.instrument(fields["symbol"], "bybit")
        trade_id = fields.get("trdMatchID") or str(number)
        sheet.trade(instrument, side, px_of(fields["price"]), qty_of(fields["size"]), trade_id, ts_ns, ts_ns)


def _levels(levels: list[tuple[str, str]]) -> list[Level]:
    return [level_of(px, qty) for px, qty in levels]
