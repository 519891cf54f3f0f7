"""Binance raw combined streams, recorded line by line (`tape.binance` reads the lines): spot, USD-M and COIN-M.

A snapshot comes by REST between stream messages: updates it already knows are dropped, those that came before it and that
it does not know follow it. Update ids are checked as Binance's documentation prescribes ("How to manage a local order book
correctly"): futures by `pu`, spot by consecutive `U`. Contract sizes of COIN-M: 100 USD for BTC, 10 USD for others
(Binance, "COIN-M futures contract specifications", 2024). A row that says something impossible is left out; where it
changed the book, the next one does not follow, and the book is in doubt until a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import StaleReason
from perpmaker.model.ids import InstrumentId
from perpmaker.tape.binance import (
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    ImpossibleRow,
    PxQty,
    Row,
    Trade,
    parse_line,
)
from perpmaker.tape.importers.files import lines
from perpmaker.tape.importers.sheet import BadRow, Sheet, level_of, px_of, qty_of
from perpmaker.tape.schema import Kind


class BinanceCapture:
    """Reads captures of one symbol; the files of one day follow each other, and the book goes on from one to the next."""

    def __init__(self) -> None:
        self._instrument: InstrumentId | None = None
        self._symbol = ""
        self._update_id = 0
        self._whole = False
        self._before: list[DepthUpdate] = []
        """Updates that a snapshot on its way may not know yet."""
        self._early: list[tuple[int, Row]] = []
        """Rows from before the first that tells the market."""

    def read(self, path: Path, sheet: Sheet) -> None:
        for number, row in _rows(path):
            if row is None:
                with sheet.row(number):
                    raise BadRow("a price or quantity that cannot be one")
                continue
            if self._instrument is not None:
                self._take(number, row, sheet, self._instrument)
                continue
            self._early.append((number, row))
            if isinstance(row, DepthUpdate | BookTicker):
                self._symbol, self._instrument = row.symbol, _listed(row, sheet)
                for early in self._early:
                    self._take(*early, sheet, self._instrument)
        if self._instrument is None:
            raise DataError(f"{path}: holds neither a depth update nor a book ticker")

    def _take(self, number: int, row: Row, sheet: Sheet, instrument: InstrumentId) -> None:
        with sheet.row(number):
            if isinstance(row, DepthSnapshot):
                self._start(row, sheet, instrument)
                return
            if row.symbol != self._symbol:
                raise BadRow(f"a row of {row.symbol} in a capture of {self._symbol}")
            match row:
                case DepthUpdate():
                    self._update(row, sheet, instrument)
                case BookTicker():
                    bid, ask = level_of(row.bid_px, row.bid_qty), level_of(row.ask_px, row.ask_qty)
                    sheet.bbo(instrument, bid, ask, row.update_id, row.ts_event_ns, row.recv_ns)
                case Trade():
                    side = -1 if row.is_buyer_maker else 1
                    px, qty = px_of(row.px), qty_of(row.qty)
                    sheet.trade(instrument, side, px, qty, str(row.trade_id), row.ts_event_ns, row.recv_ns)

    def _start(self, snapshot: DepthSnapshot, sheet: Sheet, instrument: InstrumentId) -> None:
        self._update_id, self._whole = snapshot.last_update_id, True
        sheet.levels(
            Kind.SNAPSHOT, instrument, _levels(snapshot.bids), _levels(snapshot.asks),
            snapshot.ts_event_ns, snapshot.recv_ns, snapshot.last_update_id,
        )  # fmt: skip
        missed, self._before = self._before, []
        for update in missed:
            self._update(update, sheet, instrument)

    def _update(self, update: DepthUpdate, sheet: Sheet, instrument: InstrumentId) -> None:
        if not self._whole:
            self._before.append(update)
            return
        if update.last_update_id <= self._update_id:
            return
        follows = update.first_update_id <= self._update_id + 1 or update.prev_update_id == self._update_id
        if not follows:
            sheet.stale(instrument, StaleReason.GAP, update.recv_ns)
            self._whole, self._before = False, [update]
            return
        self._update_id = update.last_update_id
        sheet.levels(
            Kind.DELTA, instrument, _levels(update.bids), _levels(update.asks),
            update.ts_event_ns, update.recv_ns, update.last_update_id,
        )  # fmt: skip


def symbol_of(path: Path) -> str:
    """Return whose market a capture is; DataError when no row says it."""
    for _, row in _rows(path):
        if isinstance(row, DepthUpdate | BookTicker):
            return row.symbol
    raise DataError(f"{path}: holds neither a depth update nor a book ticker")


def _rows(path: Path) -> Iterator[tuple[int, Row | None]]:
    """Yield the market data of a capture with its lines, None for a row that says something impossible."""
    for number, line in lines(path):
        try:
            row = parse_line(line)
        except ImpossibleRow:
            yield number, None
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        else:
            if row is not None:
                yield number, row


def _levels(levels: Sequence[PxQty]) -> list[Level]:
    return [level_of(px, qty) for px, qty in levels]


def _listed(row: DepthUpdate | BookTicker, sheet: Sheet) -> InstrumentId:
    symbol = row.symbol
    if symbol.endswith("_PERP"):
        size = Decimal(100) if symbol.startswith("BTC") else Decimal(10)
        return sheet.instrument(symbol, "binance_coinm", contract="inverse", multiplier=size)
    futures = row.prev_update_id is not None if isinstance(row, DepthUpdate) else row.ts_event_ns > 0
    return sheet.instrument(
        symbol, "binance_usdm" if futures else "binance_spot", contract="linear" if futures else "spot"
    )
