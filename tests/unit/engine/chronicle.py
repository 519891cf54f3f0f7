"""Journals for tests of the store: made of real records, written by the real journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from perpmaker.clock import ManualClock
from perpmaker.engine.journal import Journal, open_journal
from perpmaker.engine.records import (
    AccountPrint,
    Boot,
    EquityMark,
    FillBooked,
    Fingerprint,
    Happened,
    Intent,
    Record,
    Said,
)
from perpmaker.model.events import AccountSnapshot, Event, Fill, OrderReport, PositionReport, Source, VenueStatus
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId, TradeId, VenueOrderId
from perpmaker.model.order import NewOrder, Side

START_NS = 1_700_000_000_000_000_000
MAIN = AccountId("main")
BTC = InstrumentId("BTC_USDT_Perp")
MAKER = StrategyId("btc")
FIRST_ID = (0b11 << 62) + (1 << 50)
PRINT = Fingerprint(
    engine="local", env="local", mode="live", instance=1, accounts=(AccountPrint(MAIN, "grvt", "123", 326),)
)


def opened(folder: Path, *, segment_bytes: int = 1 << 26) -> Journal:
    journal, _ = open_journal(folder, PRINT, build="test", clock=ManualClock(), segment_bytes=segment_bytes)
    return journal


def written(folder: Path, records: Iterable[Record]) -> Journal:
    """A journal with these records after its first."""
    journal = opened(folder)
    for record in records:
        journal.append(record)
    return journal


def boot(epoch: int = 1) -> Boot:
    return Boot(epoch, "test", 4711, "start", START_NS)


def said(number: int) -> Said:
    return Said("info", "counted", {"n": str(number)}, START_NS + number)


def order(number: int = 1, side: Side = Side.BUY, px: str | None = "60000.1", qty: str = "0.010") -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(FIRST_ID + number),
        account=MAIN,
        strategy=MAKER,
        instrument=BTC,
        side=side,
        px=None if px is None else Decimal(px),
        qty=Decimal(qty),
        tag="quote bid 1",
    )


def intent(wanted: NewOrder) -> Intent:
    return Intent(wanted, b"signed bytes that are nobody's business", START_NS)


def report(wanted: NewOrder, status: VenueStatus, cum_qty: str = "0", **fields: Any) -> OrderReport:
    return OrderReport(
        **{
            "account": MAIN,
            "client_order_id": wanted.client_order_id,
            "venue_order_id": VenueOrderId(f"v{wanted.client_order_id}"),
            "instrument": wanted.instrument,
            "status": status,
            "cum_qty": Decimal(cum_qty),
            "avg_px": None,
            "reason": "",
            "source": Source.STREAM,
            "ts_event_ns": START_NS,
            "ts_recv_ns": START_NS + 5,
            "side": wanted.side,
            "px": wanted.px,
            "qty": wanted.qty,
            **fields,
        }
    )


def fill(number: int, wanted: NewOrder, qty: str, px: str | None = None, **fields: Any) -> Fill:
    return Fill(
        **{
            "account": MAIN,
            "client_order_id": wanted.client_order_id,
            "venue_order_id": VenueOrderId(f"v{wanted.client_order_id}"),
            "trade_id": TradeId(f"t{number}"),
            "instrument": wanted.instrument,
            "side": wanted.side,
            "px": Decimal(px) if px is not None else wanted.px,
            "qty": Decimal(qty),
            "fee": Decimal("0.06"),
            "fee_currency": "USDT",
            "is_taker": False,
            "realized_pnl": Decimal("1.5"),
            "ts_event_ns": START_NS + number,
            "ts_recv_ns": START_NS + number + 1,
            **fields,
        }
    )


def booked(number: int, what: Fill, position_after: str, fair_px: str | None = "60000.5") -> FillBooked:
    fair = None if fair_px is None else Decimal(fair_px)
    return FillBooked(number, what, MAKER, Decimal(position_after), fair, what.ts_recv_ns)


def snapshot(*, fills: tuple[Fill, ...] = (), position: str = "0", **fields: Any) -> AccountSnapshot:
    held = PositionReport(
        MAIN, BTC, Decimal(position), Decimal(60_000), Decimal(60_000), Decimal(0), START_NS, START_NS
    )
    return AccountSnapshot(
        **{
            "account": MAIN,
            "open_orders": (),
            "positions": (held,) if Decimal(position) else (),
            "fills": fills,
            "funding": (),
            "balance": Decimal(100_000),
            "equity": Decimal(100_000),
            "available": Decimal(100_000),
            "currency": "USDT",
            "fills_since_ns": 0,
            "ts_asked_ns": START_NS,
            "ts_event_ns": START_NS,
            "ts_recv_ns": START_NS,
            **fields,
        }
    )


def happened(*events: Event) -> list[Record]:
    return [Happened(event, START_NS) for event in events]


def mark(equity: str = "100001.25", ts_ns: int = START_NS) -> EquityMark:
    return EquityMark(
        account=MAIN,
        equity=Decimal(equity),
        balance=Decimal(100_000),
        transfers=Decimal(0),
        positions={BTC: Decimal("-0.010")},
        marks={BTC: Decimal("60000.5")},
        spread=Decimal("2.50"),
        adverse=Decimal("-1.00"),
        inventory=Decimal("-0.50"),
        fees=Decimal("-0.25"),
        funding=Decimal("0.00"),
        book_fees=Decimal("-0.25"),
        book_funding=Decimal(0),
        ts_ns=ts_ns,
    )


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of a store."""
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names}  # noqa: S608
    finally:
        connection.close()


def plain(row: msgspec.Struct, *names: str) -> tuple[object, ...]:
    """Some fields of a row, decimals as text."""
    return tuple(str(value) if isinstance(value := getattr(row, name), Decimal) else value for name in names)
