"""The market-data RPCs (protocol page §5): read only, no login."""

from __future__ import annotations

from typing import Final

from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import CandleInterval, CandleType, InstrumentMode
from perpmaker.exchange.core.venue import Venue
from perpmaker.exchange.grvt import render
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.enums import CURRENCY_DECIMALS, CURRENCY_IDS, DEFAULT_CURRENCY_DECIMALS
from perpmaker.exchange.grvt.feeds import MarketView
from perpmaker.exchange.grvt.requests import cursor_text, instrument_filter, window
from perpmaker.exchange.grvt.schema import Message

BOOK_DEPTHS: Final = frozenset({10, 50, 100, 500})
MAX_TRADES: Final = 1000
MAX_INSTRUMENTS: Final = 100_000


class MarketApi:
    """Answers each route's request; the method is named like the route."""

    def __init__(self, venue: Venue, view: MarketView) -> None:
        self._venue = venue
        self._view = view

    def instrument(self, request: Message) -> Message:
        return {"result": render.instrument_message(self._named(request))}

    def all_instruments(self, request: Message) -> Message:
        return {"result": [render.instrument_message(row) for row in self._listed(request)]}

    def instruments(self, request: Message) -> Message:
        limit = request.get("limit", 500) or 500
        if not 0 < limit <= MAX_INSTRUMENTS:
            raise ApiError(3011)
        which = instrument_filter(request)
        rows = [] if which is None else self._listed(request)
        bases, quotes = request.get("base") or (), request.get("quote") or ()
        wanted = [row for row in rows if (not bases or row.base in bases) and (not quotes or row.quote in quotes)]
        return {"result": [render.instrument_message(row) for row in wanted[:limit]]}

    def currency(self, request: Message) -> Message:
        return {"result": [_currency_message(symbol) for symbol in self._currencies()]}

    def supported_assets(self, request: Message) -> Message:
        assets = [
            {"asset_id": _currency_id(symbol), "asset_code": symbol, "balance_decimals": _decimals(symbol)}
            for symbol in dict.fromkeys(row.quote for row in self._venue.instruments)
        ]
        return {
            "funding": assets,
            "spot": assets,
            "futures": [{"mode": "SINGLE_ASSET_MODE", "supported_assets": assets}],
        }

    def margin_rules(self, request: Message) -> Message:
        instrument = self._named(request)
        return {
            "instrument": instrument.name,
            "max_position_size": instrument.qty_text(instrument.max_position_lots),
            "risk_brackets": [render.risk_bracket_message(bracket) for bracket in instrument.brackets],
        }

    def mini(self, request: Message) -> Message:
        instrument = self._named(request)
        return {"result": render.mini_ticker_message(self._venue.ticker(instrument.name), instrument)}

    def ticker(self, request: Message) -> Message:
        instrument = self._named(request)
        return {"result": render.ticker_message(self._venue.ticker(instrument.name), instrument)}

    def book(self, request: Message) -> Message:
        instrument = self._named(request)
        if request["depth"] not in BOOK_DEPTHS:
            raise ApiError(3031)
        snapshot = self._venue.book(instrument.name).snapshot(request["depth"])
        return {"result": render.book_message(snapshot, instrument, self._view.book_ns(instrument.name))}

    def trade(self, request: Message) -> Message:
        instrument = self._named(request)
        if not 0 < request["limit"] <= MAX_TRADES:
            raise ApiError(3011)
        rows = self._venue.trades(instrument.name, request["limit"])
        return {"result": [render.trade_message(row, instrument) for row in rows]}

    def trade_history(self, request: Message) -> Message:
        instrument = self._named(request)
        page = self._venue.trade_history(instrument.name, **window(request).arguments())
        return {
            "result": [render.trade_message(row, instrument) for row in page.rows],
            "next": cursor_text(page.next_before),
        }

    def kline(self, request: Message) -> Message:
        instrument = self._named(request)
        interval, kind = CandleInterval[request["interval"]], CandleType[request["type"]]
        page = self._venue.candles(instrument.name, interval, kind, **window(request).arguments())
        return {
            "result": [render.candle_message(row, instrument) for row in page.rows],
            "next": cursor_text(page.next_before),
        }

    def funding(self, request: Message) -> Message:
        """Settled rates, one row per funding interval; coarser aggregation is for rates of finer intervals than ours."""
        instrument = self._named(request)
        page = self._venue.funding_history(instrument.name, **window(request).arguments())
        return {
            "result": [render.funding_rate_message(row) for row in page.rows],
            "next": cursor_text(page.next_before),
        }

    def _named(self, request: Message) -> Instrument:
        instrument = self._venue.instrument(request["instrument"])
        if instrument is None:
            raise ApiError(3000)
        return instrument

    def _listed(self, request: Message) -> list[Instrument]:
        rows = self._venue.instruments
        if not request.get("is_active"):
            return list(rows)
        trading = (InstrumentMode.ACTIVE, InstrumentMode.REDUCE_ONLY)
        return [row for row in rows if self._venue.mode(row.name) in trading]

    def _currencies(self) -> list[str]:
        rows = self._venue.instruments
        return list(dict.fromkeys([*(row.quote for row in rows), *(row.base for row in rows)]))


def _currency_message(symbol: str) -> Message:
    decimals = _decimals(symbol)
    return {
        "id": _currency_id(symbol),
        "symbol": symbol,
        "balance_decimals": decimals,
        "quantity_multiplier": str(10**decimals),
    }


def _decimals(symbol: str) -> int:
    return CURRENCY_DECIMALS.get(symbol, DEFAULT_CURRENCY_DECIMALS)


def _currency_id(symbol: str) -> int:
    """The venue's numeric id; for a currency of an instruments file that the page does not number, 0."""
    return CURRENCY_IDS.get(symbol, 0)
