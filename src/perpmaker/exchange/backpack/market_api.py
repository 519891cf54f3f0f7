"""The public requests (protocol page §4): read only, no signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from perpmaker.exchange.backpack import render
from perpmaker.exchange.backpack.codes import ApiError
from perpmaker.exchange.backpack.render import Message
from perpmaker.exchange.backpack.requests import Params
from perpmaker.exchange.core.amounts import decimal_text
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import CandleInterval, CandleType, InstrumentMode, Kind
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.units import NS_PER_MS, NS_PER_S

INTERVALS: Final = {
    "1m": CandleInterval.CI_1_M,
    "3m": CandleInterval.CI_3_M,
    "5m": CandleInterval.CI_5_M,
    "15m": CandleInterval.CI_15_M,
    "30m": CandleInterval.CI_30_M,
    "1h": CandleInterval.CI_1_H,
    "2h": CandleInterval.CI_2_H,
    "4h": CandleInterval.CI_4_H,
    "6h": CandleInterval.CI_6_H,
    "8h": CandleInterval.CI_8_H,
    "12h": CandleInterval.CI_12_H,
    "1d": CandleInterval.CI_1_D,
    "3d": CandleInterval.CI_3_D,
}
"""The core keeps no calendar months, so `1month` is refused; a week is `1w` [guess]."""
WEEK: Final = {"1w": CandleInterval.CI_1_W}
PRICE_TYPES: Final = {"Last": CandleType.TRADE, "Mark": CandleType.MARK, "Index": CandleType.INDEX}
MOST_ROWS: Final = 1_000
DEFAULT_ROWS: Final = 100
MOST_SKIPPED: Final = 1_000_000


class MarketApi:
    """Answers each route's request; the method is named like the route's operation."""

    def __init__(self, venue: Venue, update_id: Callable[[str, int], int]) -> None:
        """`update_id` numbers a market's book at a version."""
        self._venue = venue
        self._update_id = update_id

    def ping(self, _params: Params) -> str:
        return "pong"

    def time(self, _params: Params) -> str:
        return str(self._venue.now_ns // NS_PER_MS)

    def status(self, _params: Params) -> Message:
        return {"status": "Ok", "message": None}

    def assets(self, _params: Params) -> list[Message]:
        rows = self._venue.instruments
        symbols = dict.fromkeys([*(row.quote for row in rows), *(row.base for row in rows)])
        return [{"symbol": symbol, "displayName": symbol, "tokens": []} for symbol in symbols]

    def securities(self, _params: Params) -> list[Message]:
        return []

    def markets(self, _params: Params) -> list[Message]:
        return [render.market_message(row, is_open=self._is_open(row)) for row in self._venue.instruments]

    def depth(self, params: Params) -> Message:
        """Both sides by ascending price, so that a client that relies on an order finds out."""
        instrument = self._named(params)
        limit = params.integer("limit", low=1, high=MOST_ROWS, default=MOST_ROWS)
        book = self._venue.book(instrument.name).snapshot(limit)
        return {
            "asks": render.level_pairs(book.asks, instrument),
            "bids": render.level_pairs(book.bids[::-1], instrument),
            "lastUpdateId": str(self._update_id(instrument.name, book.version)),
            "timestamp": self._venue.now_ns // render.US_NS,
        }

    def ticker(self, params: Params) -> Message:
        return self._ticker(self._named(params))

    def tickers(self, _params: Params) -> list[Message]:
        return [self._ticker(row) for row in self._venue.instruments]

    def klines(self, params: Params) -> list[Message]:
        instrument = self._named(params)
        interval = params.choice("interval", INTERVALS | WEEK)
        start_s = params.integer("startTime", low=0, high=10**11)
        end_s = params.integer("endTime", low=0, high=10**11, default=self._venue.now_ns // NS_PER_S)
        page = self._venue.candles(
            instrument.name,
            interval,
            params.choice("priceType", PRICE_TYPES, "Last"),
            start_ns=start_s * NS_PER_S,
            end_ns=end_s * NS_PER_S,
            limit=MOST_ROWS,
        )
        return [render.kline_message(row, instrument) for row in reversed(page.rows)]

    def trades(self, params: Params) -> list[Message]:
        instrument = self._named(params)
        rows = self._venue.trades(instrument.name, params.integer("limit", low=1, high=MOST_ROWS, default=DEFAULT_ROWS))
        return [render.trade_message(row, instrument) for row in rows]

    def trades_history(self, params: Params) -> list[Message]:
        instrument = self._named(params)
        limit = params.integer("limit", low=1, high=MOST_ROWS, default=DEFAULT_ROWS)
        offset = params.integer("offset", low=0, high=MOST_SKIPPED, default=0)
        rows = self._venue.trades(instrument.name, offset + limit)[offset:]
        return [render.trade_message(row, instrument) for row in rows]

    def mark_prices(self, params: Params) -> list[Message]:
        rows = [self._named(params)] if params.has("symbol") else self._venue.instruments
        return [render.mark_message(self._venue.ticker(row.name)) for row in rows if row.kind is Kind.PERPETUAL]

    def funding_rates(self, params: Params) -> list[Message]:
        instrument = self._named(params)
        limit = params.integer("limit", low=1, high=MOST_ROWS, default=DEFAULT_ROWS)
        page = self._venue.funding_history(instrument.name, limit=limit)
        return [render.funding_rate_message(row) for row in page.rows]

    def open_interest(self, params: Params) -> list[Message]:
        rows = [self._named(params)] if params.has("symbol") else self._venue.instruments
        return [
            {
                "symbol": row.name,
                "openInterest": decimal_text(self._venue.ticker(row.name).open_interest_lots * row.lot_nano),
                "timestamp": self._venue.now_ns // NS_PER_MS,
            }
            for row in rows
            if row.kind is Kind.PERPETUAL
        ]

    def _ticker(self, instrument: Instrument) -> Message:
        return render.ticker_message(
            self._venue.ticker(instrument.name), instrument, trades_in_a_day(self._venue, instrument)
        )

    def _is_open(self, instrument: Instrument) -> bool:
        return self._venue.mode(instrument.name) in (InstrumentMode.ACTIVE, InstrumentMode.REDUCE_ONLY)

    def _named(self, params: Params) -> Instrument:
        return listed(self._venue, params.text("symbol"))


def listed(venue: Venue, symbol: str) -> Instrument:
    instrument = venue.instrument(symbol)
    if instrument is None:
        raise ApiError("INVALID_SYMBOL")
    return instrument


def trades_in_a_day(venue: Venue, instrument: Instrument) -> int:
    """Trades of the last 24 hours, to the hour."""
    page = venue.candles(
        instrument.name,
        CandleInterval.CI_1_H,
        CandleType.TRADE,
        start_ns=venue.now_ns - 86_400 * NS_PER_S,
        limit=25,
    )
    return sum(candle.trades for candle in page.rows)
