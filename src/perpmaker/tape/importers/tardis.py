"""Tardis.dev CSV files: incremental_book_L2, trades, quotes, derivative_ticker.

Columns after Tardis.dev's documentation, "Downloadable CSV files" (times in microseconds since the epoch; `local_timestamp`
is theirs on arrival; lines of one message share it; a snapshot after changes begins the book anew).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from typing import Final

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import Ticker
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_US
from perpmaker.tape.importers.files import records
from perpmaker.tape.importers.sheet import BadRow, Sheet, currencies, integer, level_of, px_of, qty_of
from perpmaker.tape.schema import Contract, Kind

_Fields = dict[str, str]
_COMMON: Final = ("exchange", "symbol", "timestamp", "local_timestamp")
BOOK: Final = (*_COMMON, "is_snapshot", "side", "price", "amount")
TRADES: Final = (*_COMMON, "id", "side", "price", "amount")
QUOTES: Final = (*_COMMON, "ask_amount", "ask_price", "bid_price", "bid_amount")
_SPOT: Final = frozenset({"binance", "binance-us", "coinbase", "kraken", "bitstamp", "gemini", "bybit-spot", "okex"})
_INVERSE: Final = frozenset({"bitmex", "deribit", "binance-delivery", "bybit", "cryptofacilities", "okex-swap"})
"""Where contracts quoted in USD are settled in the base currency; amounts there are in USD, or in contracts of 1 USD."""
TICKERS: Final = (*_COMMON, "funding_timestamp", "funding_rate", "last_price", "index_price", "mark_price")


class Tardis:
    """Reads any of the four; the header says which."""

    def __init__(self) -> None:
        self._in_snapshot: set[InstrumentId] = set()
        self._started: set[InstrumentId] = set()

    def read(self, path: Path, sheet: Sheet) -> None:
        numbered = records(path)
        first = next(numbered, None)
        if first is None:
            return
        for columns, read in (
            (BOOK, self._books),
            (TRADES, _each(_trade)),
            (QUOTES, _each(_quote)),
            (TICKERS, _each(_ticker)),
        ):
            if all(column in first[1] for column in columns):
                read(_chain(first, numbered), sheet)
                return
        raise DataError(f"{path}:1: its columns are of no Tardis file that is known: {', '.join(first[1])}")

    def _books(self, numbered: Iterator[tuple[int, _Fields]], sheet: Sheet) -> None:
        for (_, symbol, _, is_snapshot), group in groupby(
            numbered,
            key=lambda row: tuple(row[1][name] for name in ("exchange", "symbol", "local_timestamp", "is_snapshot")),
        ):
            bids: list[Level] = []
            asks: list[Level] = []
            number = 0
            fields: _Fields = {}
            for number, fields in group:
                with sheet.row(number):
                    side = {"bid": bids, "ask": asks}.get(fields["side"])
                    if side is None:
                        raise BadRow("a level without a side")
                    side.append(level_of(fields["price"], fields["amount"]))
            with sheet.row(number, counted=False):
                self._message(symbol, is_snapshot == "true", bids, asks, fields, sheet)

    def _message(
        self, symbol: str, is_snapshot: bool, bids: list[Level], asks: list[Level], fields: _Fields, sheet: Sheet
    ) -> None:
        instrument = _listed(fields, sheet)
        event_ns, recv_ns = _times(fields)
        if not is_snapshot:
            if instrument not in self._started:
                raise BadRow("a change before any snapshot")
            self._in_snapshot.discard(instrument)
            sheet.levels(Kind.DELTA, instrument, bids, asks, event_ns, recv_ns)
            return
        going_on = instrument in self._in_snapshot
        self._in_snapshot.add(instrument)
        self._started.add(instrument)
        if not going_on:
            bids, asks = sorted(bids, reverse=True), sorted(asks)
        sheet.levels(Kind.DELTA if going_on else Kind.SNAPSHOT, instrument, bids, asks, event_ns, recv_ns)


def _each(take: Callable[[_Fields, Sheet], None]) -> Callable[[Iterator[tuple[int, _Fields]], Sheet], None]:
    def read(numbered: Iterator[tuple[int, _Fields]], sheet: Sheet) -> None:
        for number, fields in numbered:
            with sheet.row(number):
                take(fields, sheet)

    return read


def _trade(fields: _Fields, sheet: Sheet) -> None:
    side = {"buy": 1, "sell": -1}.get(fields["side"])
    if side is None:
        raise BadRow("a trade without a side")
    px, qty = px_of(fields["price"]), qty_of(fields["amount"])
    event_ns, recv_ns = _times(fields)
    sheet.trade(_listed(fields, sheet), side, px, qty, fields["id"], event_ns, recv_ns)


def _quote(fields: _Fields, sheet: Sheet) -> None:
    bid = level_of(fields["bid_price"], fields["bid_amount"])
    ask = level_of(fields["ask_price"], fields["ask_amount"])
    event_ns, recv_ns = _times(fields)
    sheet.bbo(_listed(fields, sheet), bid, ask, 0, event_ns, recv_ns)


def _ticker(fields: _Fields, sheet: Sheet) -> None:
    event_ns, recv_ns = _times(fields)
    next_funding = fields["funding_timestamp"]
    sheet.ticker(
        Ticker(
            _listed(fields, sheet),
            mark_px=_number(fields["mark_price"]),
            index_px=_number(fields["index_price"]),
            last_px=_number(fields["last_price"]),
            funding_rate=_number(fields["funding_rate"]),
            next_funding_ns=integer(next_funding, "funding time") * NS_PER_US if next_funding else 0,
            ts_event_ns=event_ns,
            ts_recv_ns=recv_ns,
        )
    )


def _listed(fields: _Fields, sheet: Sheet) -> InstrumentId:
    exchange, symbol = fields["exchange"], fields["symbol"]
    base, quote = currencies(symbol)
    contract: Contract = "linear"
    if exchange in _SPOT:
        contract = "spot"
    elif exchange in _INVERSE and quote == "USD":
        contract = "inverse"
    size = Decimal(1)
    if exchange == "binance-delivery":
        size = Decimal(100 if base == "BTC" else 10)
    return sheet.instrument(symbol, exchange, contract=contract, multiplier=size)


def _times(fields: _Fields) -> tuple[int, int]:
    event_ns = integer(fields["timestamp"], "timestamp") * NS_PER_US
    return event_ns, integer(fields["local_timestamp"], "timestamp") * NS_PER_US


def _number(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise BadRow("a number that is none") from None


def _chain(first: tuple[int, _Fields], rest: Iterator[tuple[int, _Fields]]) -> Iterator[tuple[int, _Fields]]:
    yield first
    yield from rest
