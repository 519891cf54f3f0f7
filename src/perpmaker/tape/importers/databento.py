"""Databento market-by-order data, as CSV (`dbn --csv`, a batch download) or as binary DBN (`importers.dbn`).

Columns after Databento's documentation, "Schemas and data formats: MBO": ts_recv, ts_event, action (A add, C cancel, M
modify, R clear, T trade, F fill), side (B, A, N), price (1e-9 units, or decimal with pretty prices), size, order_id, flags
(128: last message of an event), sequence. Times are nanoseconds, or ISO 8601 with pretty timestamps. Orders are summed to
levels: a tape has no single orders. `T` has the aggressor's side and moves no order; the cancel or modify after it does.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from perpmaker.errors import DataError
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.tape.importers.dbn import dbn_records, is_dbn
from perpmaker.tape.importers.files import first_bytes, records
from perpmaker.tape.importers.sheet import BadRow, Sheet, integer, px_of
from perpmaker.tape.schema import Kind

COLUMNS: Final = ("ts_event", "action", "side", "price", "size", "order_id", "flags")
_LAST: Final = 128
_UNDEFINED: Final = (1 << 63) - 1
_QTY: Final = 10**8
_SIDES: Final = {"B": 1, "A": -1}
_NO_ORDERS: Final = frozenset("TFN")


class _Market:
    """The orders of one instrument, and what changed since the last whole event."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[int, int, int]] = {}
        """Order id -> side, price, size in lots of one."""
        self.sizes: dict[tuple[int, int], int] = {}
        """(side, price) -> size."""
        self.changed: dict[tuple[int, int], None] = {}
        self.is_new = True

    def put(self, side: int, px: int, size: int) -> None:
        key = (side, px)
        left = self.sizes.get(key, 0) + size
        if left > 0:
            self.sizes[key] = left
        else:
            self.sizes.pop(key, None)
        self.changed[key] = None

    def clear(self) -> None:
        self.orders.clear()
        self.sizes.clear()
        self.changed.clear()
        self.is_new = True


class DatabentoMbo:
    """Reads market by order; instruments are named by `symbol`, else by their number."""

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._markets: dict[InstrumentId, _Market] = {}

    def read(self, path: Path, sheet: Sheet) -> None:
        found = dbn_records(path) if is_dbn(path, first_bytes(path)) else records(path)
        for number, fields in found:
            missing = [name for name in COLUMNS if name not in fields]
            if missing:
                raise DataError(f"{path}:1: has no column {missing[0]!r}")
            with sheet.row(number):
                self._take(fields, number, sheet)

    def _take(self, fields: dict[str, str], number: int, sheet: Sheet) -> None:
        symbol = fields.get("symbol") or fields.get("instrument_id") or "MBO"
        instrument = sheet.instrument(symbol, self._exchange)
        market = self._markets.setdefault(instrument, _Market())
        event_ns = _time_ns(fields["ts_event"])
        recv_ns = _time_ns(fields["ts_recv"]) if fields.get("ts_recv") else event_ns
        sequence = integer(fields.get("sequence") or "0", "sequence")
        flags = integer(fields["flags"], "flag")
        try:
            if fields["action"] == "T":
                _trade(fields, number, sheet, instrument, event_ns, recv_ns)
            else:
                _change(fields, market)
        finally:
            if flags & _LAST:
                _tell(market, sheet, instrument, event_ns, recv_ns, sequence)


def _trade(
    fields: dict[str, str], number: int, sheet: Sheet, instrument: InstrumentId, event_ns: int, recv_ns: int
) -> None:
    side = _SIDES.get(fields["side"])
    if side is None:
        raise BadRow("a trade without a side")
    size = integer(fields["size"], "size") * _QTY
    trade_id = fields.get("sequence") or str(number)
    sheet.trade(instrument, side, _price(fields["price"]), size, trade_id, event_ns, recv_ns)


def _change(fields: dict[str, str], market: _Market) -> None:
    action = fields["action"]
    if action == "R":
        market.clear()
        return
    if action in _NO_ORDERS:
        return
    order_id, size = integer(fields["order_id"], "order id"), integer(fields["size"], "size")
    known = market.orders.get(order_id)
    if action == "C":
        if known is None:
            raise BadRow("a cancel of an order that was not added")
        side, px, before = known
        taken = min(size, before)
        market.put(side, px, -taken)
        if taken == before:
            del market.orders[order_id]
        else:
            market.orders[order_id] = (side, px, before - taken)
        return
    if action not in ("A", "M"):
        raise BadRow(f"an action {action[:10]!r}")
    new_side = _SIDES.get(fields["side"])
    if new_side is None:
        raise BadRow("an order without a side")
    px = _price(fields["price"])
    if known is not None:
        market.put(known[0], known[1], -known[2])
    market.orders[order_id] = (new_side, px, size)
    market.put(new_side, px, size)


def _tell(market: _Market, sheet: Sheet, instrument: InstrumentId, event_ns: int, recv_ns: int, sequence: int) -> None:
    """Say what an event came to: the first time, and after a clear, the whole book."""
    keys = list(market.sizes) if market.is_new else list(market.changed)
    if not keys and not market.is_new:
        return
    bids = sorted(((px, market.sizes.get((side, px), 0) * _QTY) for side, px in keys if side > 0), reverse=True)
    asks = sorted((px, market.sizes.get((side, px), 0) * _QTY) for side, px in keys if side < 0)
    kind = Kind.SNAPSHOT if market.is_new else Kind.DELTA
    sheet.levels(kind, instrument, bids, asks, event_ns, recv_ns, sequence)
    market.is_new = False
    market.changed.clear()


def _price(text: str) -> int:
    if "." in text:
        return px_of(text)
    px = integer(text, "price")
    if px == _UNDEFINED or px <= 0:
        raise BadRow("an undefined price")
    return px


def _time_ns(text: str) -> int:
    if text.isdigit():
        return int(text)
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
        return seconds * NS_PER_S + int(Decimal(f"0.{fraction or '0'}") * NS_PER_S)
    except (ValueError, ArithmeticError):
        raise BadRow("a time that is none") from None
