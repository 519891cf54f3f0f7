"""Fills in the store, each once, with what it did to the position and what the grid earned by it.

A fill is told by the venue (Happened) and then booked by the engine (FillBooked). A kill between the two leaves it told:
the next start books it from the journal without a record of its own, and so does the store at that start's Boot.
"""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.engine.records import FillBooked
from perpmaker.engine.store.orders import Orders
from perpmaker.engine.store.schema import plain, plain_or_none
from perpmaker.model.events import Fill, PositionAdjusted, PositionReport
from perpmaker.model.order import Side
from perpmaker.portfolio.position import FifoLot, FifoLots

_ZERO: Final = Decimal(0)
_ADD: Final = """
INSERT INTO fills (
    record, standing, account, trade_id, side, client_order_id, venue_order_id, instrument, strategy, px, qty, fee,
    fee_currency, realized_pnl, is_taker, is_rpi, is_liquidation, mark_px, order_px, ts_event_ns, ts_recv_ns
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, trade_id, side) DO NOTHING
"""
_BOOK: Final = """
UPDATE fills SET standing = 'booked', record = ?, seq = (SELECT COALESCE(MAX(seq), 0) + 1 FROM fills), number = ?,
    strategy = ?, fair_px = ?, effect = ?, grid_profit = ?, position_after = ?
WHERE id = ?
"""


class Fills:
    """Books fills, opening positions and adjustments, and keeps the open lots."""

    def __init__(self, connection: sqlite3.Connection, orders: Orders) -> None:
        self._connection = connection
        self._orders = orders
        self._lots: dict[tuple[str, str], FifoLots] = {}
        self._touched: set[tuple[str, str]] = set()

    def before(self, record: int, fill: Fill) -> None:
        """Note a fill that the opening balance includes: it is never booked."""
        self._add(record, "before", fill)

    def told(self, record: int, fill: Fill) -> None:
        """Note what the venue says was executed; a repeated one changes nothing."""
        if self._add(record, "told", fill):
            self._orders.fill(fill)

    def booked(self, record: int, booked: FillBooked) -> None:
        """Book it as the engine did; a repeated one changes nothing."""
        fill = booked.fill
        if self._add(record, "told", fill):
            self._orders.fill(fill)
        found = self._connection.execute(
            "SELECT id, standing FROM fills WHERE account = ? AND trade_id = ? AND side = ?",
            (fill.account, fill.trade_id, fill.side.value),
        ).fetchone()
        if found[1] == "before":
            self._orders.fill(fill)
        if found[1] != "booked":
            self._book(record, found[0], fill, booked)
            return
        # Booked from the journal at a start that then said so: its number is all that is new.
        self._connection.execute(
            "UPDATE fills SET number = ? WHERE id = ? AND number IS NULL", (booked.number, found[0])
        )

    def book_told(self, record: int) -> None:
        """Book what a life of the engine was told and did not live to book."""
        rows = self._connection.execute(
            "SELECT id, account, trade_id, side, client_order_id, venue_order_id, instrument, px, qty, fee, "
            "fee_currency, is_taker, realized_pnl, ts_event_ns, ts_recv_ns FROM fills "
            "WHERE standing = 'told' ORDER BY id"
        ).fetchall()
        for row_id, *fields in rows:
            self._book(record, row_id, msgspec.convert(dict(zip(_FILL, fields, strict=True)), Fill, strict=False), None)

    def open_with(self, report: PositionReport) -> None:
        """Begin with a position the account had before: one lot at its average entry."""
        side = Side.BUY if report.qty > 0 else Side.SELL
        lot = FifoLot(abs(report.qty), report.avg_entry_px or _ZERO, report.ts_event_ns)
        self._lots[report.account, report.instrument] = FifoLots(side, (lot,) if report.qty else ())
        self._touched.add((report.account, report.instrument))

    def adjust(self, record: int, adjustment: PositionAdjusted) -> None:
        """Book a reconciliation difference once, as the engine does: a trade without fee."""
        fresh = self._connection.execute(
            "INSERT INTO adjustments (record, account, adjustment_id, instrument, qty, px, ts_ns) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, adjustment_id) DO NOTHING",
            (
                record,
                adjustment.account,
                adjustment.adjustment_id,
                adjustment.instrument,
                plain(adjustment.qty),
                plain(adjustment.px),
                adjustment.ts_recv_ns,
            ),
        ).rowcount
        if fresh and adjustment.qty:
            side = Side.BUY if adjustment.qty > 0 else Side.SELL
            lots = self._of(adjustment.account, adjustment.instrument)
            lots.book(side, adjustment.px, abs(adjustment.qty), adjustment.ts_recv_ns)
            self._touched.add((adjustment.account, adjustment.instrument))

    def flush(self) -> None:
        """Write the lots that changed."""
        self._connection.executemany(
            "INSERT INTO lots VALUES (?, ?, ?, ?) "
            "ON CONFLICT (account, instrument) DO UPDATE SET side = excluded.side, lots = excluded.lots",
            [(*key, self._lots[key].side.value, _as_json(self._lots[key])) for key in sorted(self._touched)],
        )
        self._touched.clear()

    def _add(self, record: int, standing: str, fill: Fill) -> bool:
        """Insert the row unless the trade is known; returns whether it was new."""
        order = self._orders.find(fill)
        added = self._connection.execute(
            _ADD,
            (
                record,
                standing,
                fill.account,
                fill.trade_id,
                fill.side.value,
                str(fill.client_order_id),
                fill.venue_order_id,
                fill.instrument,
                "" if order is None else order.strategy,
                plain(fill.px),
                plain(fill.qty),
                plain(fill.fee),
                fill.fee_currency,
                plain(fill.realized_pnl),
                fill.is_taker,
                fill.is_rpi,
                fill.is_liquidation,
                plain_or_none(fill.mark_px),
                None if order is None else plain_or_none(order.px),
                fill.ts_event_ns,
                fill.ts_recv_ns,
            ),
        )
        return added.rowcount > 0

    def _book(self, record: int, row_id: int, fill: Fill, booked: FillBooked | None) -> None:
        lots = self._of(fill.account, fill.instrument)
        signed = fill.side.sign * fill.qty
        after = lots.qty + signed if booked is None else booked.position_after
        before = after - signed
        grid_profit: Decimal | None
        if lots.qty == before:
            grid_profit = sum((match.pnl for match in lots.book(fill.side, fill.px, fill.qty, fill.ts_event_ns)), _ZERO)
        else:  # part of the history is missing: what is held was opened out of sight
            side = Side.BUY if after > 0 else Side.SELL
            opened = (FifoLot(abs(after), fill.px, fill.ts_event_ns),) if after else ()
            self._lots[fill.account, fill.instrument] = FifoLots(side, opened)
            grid_profit = None
        self._touched.add((fill.account, fill.instrument))
        order = self._orders.find(fill)
        strategy = booked.strategy if booked is not None else order.strategy if order is not None else ""
        self._connection.execute(
            _BOOK,
            (
                record,
                None if booked is None else booked.number,
                strategy,
                None if booked is None else plain_or_none(booked.fair_px),
                effect(before, after),
                plain_or_none(grid_profit),
                plain(after),
                row_id,
            ),
        )

    def _of(self, account: str, instrument: str) -> FifoLots:
        key = (account, instrument)
        lots = self._lots.get(key)
        if lots is None:
            row = self._connection.execute(
                "SELECT side, lots FROM lots WHERE account = ? AND instrument = ?", key
            ).fetchone()
            lots = FifoLots() if row is None else FifoLots(Side(row[0]), _of_json(row[1]))
            self._lots[key] = lots
        return lots


_FILL: Final = (
    "account",
    "trade_id",
    "side",
    "client_order_id",
    "venue_order_id",
    "instrument",
    "px",
    "qty",
    "fee",
    "fee_currency",
    "is_taker",
    "realized_pnl",
    "ts_event_ns",
    "ts_recv_ns",
)


def effect(before: Decimal, after: Decimal) -> str:
    """Say what a fill did to a position: opens, adds, reduces, closes, or turns it to the other side."""
    if not before:
        return "opens"
    if not after:
        return "closes"
    if before * after < 0:
        return "turns"
    return "adds" if abs(after) > abs(before) else "reduces"


def _as_json(lots: FifoLots) -> str:
    return msgspec.json.encode(lots.lots).decode()


def _of_json(text: str) -> list[FifoLot]:
    return msgspec.json.decode(text, type=list[FifoLot])
