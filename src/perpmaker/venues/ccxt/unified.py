"""One instrument through ccxt's unified streams, for venues whose ccxt book is sound: it checks sequences itself.

ccxt hands over a whole book after each change; what changed since the one before is worked out here. A wrong sequence ends
ccxt's watch with an error, and the link with it: the books are stale then, and begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from perpmaker.errors import DataError, VenueError
from perpmaker.logs import get
from perpmaker.model.book import Level
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, StaleReason, Ticker, Trade
from perpmaker.model.ids import TradeId
from perpmaker.model.order import Side
from perpmaker.venues.api import Subscription
from perpmaker.venues.candles import BarAssembler
from perpmaker.venues.ccxt import numbers
from perpmaker.venues.ccxt.library import call
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.market import MarketOwner
from perpmaker.venues.memory import Remembered

DEPTH: Final = 100
MARK_EVERY_S: Final = 1.0
BARS_EVERY_S: Final = 10.0
REMEMBERED_TRADES: Final = 1024

_log = get("venues.ccxt.feed")
Side2 = dict[int, int]


class UnifiedMarket:
    """Loops over ccxt's `watch` calls; a mark price, where it has no stream, is polled."""

    def __init__(self, owner: MarketOwner, listed: Listed, wanted: Subscription) -> None:
        self._owner = owner
        self._listed = listed
        self._wanted = wanted
        self._book: tuple[Side2, Side2] | None = None
        self._heard_ns = owner.clock.monotonic_ns()
        self._trades = Remembered[TradeId](REMEMBERED_TRADES)

    def watches(self) -> list[Awaitable[Any]]:
        wanted = self._wanted
        jobs: list[Awaitable[Any]] = []
        if wanted.book:
            jobs.append(self._watch_book())
        if wanted.trades:
            jobs.append(self._watch_trades())
        if wanted.ticker:
            jobs.append(self._poll_mark())
        if wanted.bar_s:
            jobs.append(self._poll_bars())
        return jobs

    def on_book(self, book: Any) -> None:
        """Pass on a whole book, the first one as such and later ones as what changed."""
        sides = (self._levels(book["bids"]), self._levels(book["asks"]))
        now_ns = self._owner.clock.now_ns()
        stated = book.get("timestamp")
        event_ns = now_ns if stated is None else numbers.ns_of_ms(stated, "timestamp")
        name, before = self._listed.instrument.instrument_id, self._book
        self._book, self._heard_ns = sides, self._owner.clock.monotonic_ns()
        if before is None:
            bids = tuple(sorted(sides[0].items(), reverse=True))
            asks = tuple(sorted(sides[1].items()))
            self._owner.emit(BookSnapshot(name, bids, asks, event_ns, now_ns))
            return
        bids, asks = (_changes(old, new) for old, new in zip(before, sides, strict=True))
        if bids or asks:
            self._owner.emit(BookDelta(name, bids, asks, event_ns, now_ns))

    def renew(self) -> None:
        self._owner.link_is_silent("the book is wanted anew")

    def close(self, reason: StaleReason) -> None:
        if self._book is not None:
            self._book = None
            self._owner.emit(BookStale(self._listed.instrument.instrument_id, reason, self._owner.clock.now_ns()))

    def look(self) -> None:
        """A book that was not heard of for too long is stale; whether it is quiet or mute, nobody can say."""
        if self._book is not None and self._owner.clock.monotonic_ns() - self._heard_ns > self._owner.stale_ns:
            self.close(StaleReason.SILENT)

    def on_trade(self, row: Any, now_ns: int) -> None:
        instrument, trade_id = self._listed.instrument, TradeId(str(row.get("id") or ""))
        if row.get("side") not in {"buy", "sell"} or not trade_id or not self._trades.is_new(trade_id):
            return
        qty = self._listed.qty(numbers.exact(row.get("amount"), "amount"))
        self._owner.emit(
            Trade(
                instrument=instrument.instrument_id,
                px_ticks=_ticks(instrument.to_ticks, row.get("price"), "price"),
                qty_lots=_ticks(instrument.to_lots, qty, "amount"),
                aggressor=Side(row["side"]),
                trade_id=trade_id,
                ts_event_ns=numbers.ns_of_ms(row.get("timestamp"), "timestamp"),
                ts_recv_ns=now_ns,
            )
        )

    async def _watch_book(self) -> None:
        while True:
            self.on_book(await call(self._owner.client, "watch_order_book", self._listed.symbol, DEPTH))

    async def _watch_trades(self) -> None:
        while True:
            rows = await call(self._owner.client, "watch_trades", self._listed.symbol)
            for row in rows:
                self.on_trade(row, self._owner.clock.now_ns())

    async def _poll_mark(self) -> None:
        """Read mark, index and funding once a second; a failed read is a missing heartbeat, nothing else."""
        while True:
            try:
                row = await self._owner.ask("fetch_funding_rate", self._listed.symbol)
                self._owner.emit(self._ticker(row))
            except (VenueError, DataError) as error:
                _log.warning("mark_not_read", instrument=self._listed.market_id, reason=str(error))
            await asyncio.sleep(MARK_EVERY_S)

    def _ticker(self, row: Any) -> Ticker:
        now_ns, next_ms, at_ms = self._owner.clock.now_ns(), row.get("fundingTimestamp"), row.get("timestamp")
        return Ticker(
            instrument=self._listed.instrument.instrument_id,
            mark_px=numbers.optional(row.get("markPrice"), "markPrice"),
            index_px=numbers.optional(row.get("indexPrice"), "indexPrice"),
            last_px=None,
            funding_rate=numbers.optional(row.get("fundingRate"), "fundingRate"),
            next_funding_ns=0 if next_ms is None else numbers.ns_of_ms(next_ms, "fundingTimestamp"),
            ts_event_ns=now_ns if at_ms is None else numbers.ns_of_ms(at_ms, "timestamp"),
            ts_recv_ns=now_ns,
        )

    async def _poll_bars(self) -> None:
        """Read the bars again and again; each finished one comes out once."""
        bars = BarAssembler(self._wanted.bar_s, self._owner.emit)
        while True:
            self._owner.warm(self._listed, bars)
            await asyncio.sleep(BARS_EVERY_S)

    def _levels(self, rows: Any) -> Side2:
        instrument, found = self._listed.instrument, {}
        for row in rows:
            lots = _ticks(instrument.to_lots, self._listed.qty(numbers.exact(row[1], "amount")), "amount")
            if lots:
                found[_ticks(instrument.to_ticks, row[0], "price")] = lots
        return found


def _changes(old: Side2, new: Side2) -> tuple[Level, ...]:
    changed = [(px, qty) for px, qty in new.items() if old.get(px) != qty]
    return (*changed, *((px, 0) for px in old if px not in new))


def _ticks(units: Any, value: Any, name: str) -> int:
    try:
        return int(units(numbers.exact(value, name)))
    except ValueError as error:
        raise DataError(str(error)) from None
