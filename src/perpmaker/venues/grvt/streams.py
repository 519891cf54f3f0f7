"""The streams of the venue and how their selectors are spelled (protocol page §10.3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from perpmaker.errors import ConfigError
from perpmaker.venues.grvt import objects
from perpmaker.venues.grvt.routes import Gateway

MINI = "v1.mini.s"
MINI_CHANGES = "v1.mini.d"
TICKER = "v1.ticker.s"
TICKER_CHANGES = "v1.ticker.d"
BOOK = "v1.book.s"
BOOK_CHANGES = "v1.book.d"
TRADES = "v1.trade"
CANDLES = "v1.candle"
ORDERS = "v1.order"
STATES = "v1.state"
CANCELS = "v1.cancel"
FILLS = "v1.fill"
POSITIONS = "v1.position"
DEPOSITS = "v1.deposit"
TRANSFERS = "v1.transfer"
WITHDRAWALS = "v1.withdrawal"


class Stream(msgspec.Struct, frozen=True):
    """Who serves a stream, and what one of its frames carries."""

    gateway: Gateway
    feed: type[msgspec.Struct]


STREAMS: Final[Mapping[str, Stream]] = MappingProxyType(
    {
        MINI: Stream(Gateway.MARKET_DATA, objects.WireTicker),
        MINI_CHANGES: Stream(Gateway.MARKET_DATA, objects.WireTicker),
        TICKER: Stream(Gateway.MARKET_DATA, objects.WireTicker),
        TICKER_CHANGES: Stream(Gateway.MARKET_DATA, objects.WireTicker),
        BOOK: Stream(Gateway.MARKET_DATA, objects.WireBook),
        BOOK_CHANGES: Stream(Gateway.MARKET_DATA, objects.WireBook),
        TRADES: Stream(Gateway.MARKET_DATA, objects.WireTrade),
        CANDLES: Stream(Gateway.MARKET_DATA, objects.WireCandle),
        ORDERS: Stream(Gateway.TRADES, objects.WireOrder),
        STATES: Stream(Gateway.TRADES, objects.WireStateChange),
        CANCELS: Stream(Gateway.TRADES, objects.WireCancelOutcome),
        FILLS: Stream(Gateway.TRADES, objects.WireFill),
        POSITIONS: Stream(Gateway.TRADES, objects.WirePosition),
        DEPOSITS: Stream(Gateway.TRADES, objects.WireDeposit),
        TRANSFERS: Stream(Gateway.TRADES, objects.WireTransfer),
        WITHDRAWALS: Stream(Gateway.TRADES, objects.WireWithdrawal),
    }
)

BOOK_CHANGE_RATES_MS: Final = (50, 100, 500, 1000)
TICKER_RATES_MS: Final = (500, 1000, 5000)
REPLAYED_TRADES: Final = (50, 200, 500, 1000)

_CANDLE_UNITS: Final = (
    ("M", 60, (1, 3, 5, 15, 30)),
    ("H", 3600, (1, 2, 4, 6, 8, 12)),
    ("D", 86_400, (1, 3, 5)),
    ("W", 604_800, (1, 2, 3, 4)),
)
CANDLE_INTERVALS: Final[Mapping[int, str]] = MappingProxyType(
    {unit_s * count: f"CI_{count}_{letter}" for letter, unit_s, counts in _CANDLE_UNITS for count in counts}
)
"""Seconds -> CandlestickInterval."""


def book_changes(symbol: str, rate_ms: int) -> str:
    _check("book rate", rate_ms, BOOK_CHANGE_RATES_MS)
    return f"{symbol}@{rate_ms}"


def ticker(symbol: str, rate_ms: int) -> str:
    _check("ticker rate", rate_ms, TICKER_RATES_MS)
    return f"{symbol}@{rate_ms}"


def trades(symbol: str, replayed: int = REPLAYED_TRADES[0]) -> str:
    _check("number of replayed trades", replayed, REPLAYED_TRADES)
    return f"{symbol}@{replayed}"


def candles(symbol: str, interval_s: int) -> str:
    return f"{symbol}@{candle_interval(interval_s)}-TRADE"


def candle_interval(interval_s: int) -> str:
    """Return the venue's name of a candle length; ConfigError when it has none."""
    _check("candle length in seconds", interval_s, tuple(CANDLE_INTERVALS))
    return CANDLE_INTERVALS[interval_s]


def _check(what: str, value: int, allowed: tuple[int, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{what}: {value} is not offered by GRVT; allowed: {', '.join(map(str, allowed))}")
