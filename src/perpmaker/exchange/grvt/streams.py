"""The streams of the protocol page (§10.3) and the grammar of their selectors."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import CandleInterval, CandleType
from perpmaker.exchange.grvt.codes import ApiError

Listing = Callable[[str], Instrument | None]


class Primary(enum.Enum):
    """What the part of a selector before the `@` names."""

    INSTRUMENT = "instrument"
    SUB_ACCOUNT = "sub account"
    """`SUB`, `SUB-I`, and the legacy `SUB-kind-base-quote`."""
    MAIN_ACCOUNT = "main account"


class Stream(msgspec.Struct, frozen=True):
    """One stream; `rates_ms` are the rates that can be asked for."""

    name: str
    primary: Primary
    feed: str
    """The object its frames carry."""
    rates_ms: frozenset[int] = frozenset()

    @property
    def is_private(self) -> bool:
        return self.primary is not Primary.INSTRUMENT


DEPTHS: Final = frozenset({10, 50, 100, 500})
REPLAYS: Final = frozenset({50, 200, 500, 1000})
MAX_REPLAY: Final = 1000

STREAMS: Final[Mapping[str, Stream]] = MappingProxyType(
    {
        stream.name: stream
        for stream in (
            Stream("v1.mini.s", Primary.INSTRUMENT, "MiniTicker", frozenset({200, 500, 1000, 5000})),
            Stream("v1.mini.d", Primary.INSTRUMENT, "MiniTicker", frozenset({0, 50, 100, 200, 500, 1000, 5000})),
            Stream("v1.ticker.s", Primary.INSTRUMENT, "Ticker", frozenset({500, 1000, 5000})),
            Stream("v1.ticker.d", Primary.INSTRUMENT, "Ticker", frozenset({100, 200, 500, 1000, 5000})),
            Stream("v1.book.s", Primary.INSTRUMENT, "OrderbookLevels", frozenset({500, 1000})),
            Stream("v1.book.d", Primary.INSTRUMENT, "OrderbookLevels", frozenset({50, 100, 500, 1000})),
            Stream("v1.trade", Primary.INSTRUMENT, "Trade"),
            Stream("v1.candle", Primary.INSTRUMENT, "Candlestick"),
            Stream("v1.order", Primary.SUB_ACCOUNT, "Order"),
            Stream("v1.state", Primary.SUB_ACCOUNT, "OrderStateFeed"),
            Stream("v1.cancel", Primary.SUB_ACCOUNT, "CancelStatusFeed"),
            Stream("v1.fill", Primary.SUB_ACCOUNT, "Fill"),
            Stream("v1.position", Primary.SUB_ACCOUNT, "Positions"),
            Stream("v1.deposit", Primary.MAIN_ACCOUNT, "Deposit"),
            Stream("v1.transfer", Primary.MAIN_ACCOUNT, "TransferHistory"),
            Stream("v1.withdrawal", Primary.MAIN_ACCOUNT, "Withdrawal"),
        )
    }
)


class Selection(msgspec.Struct, frozen=True):
    """A selector understood. `text` is echoed in every frame as it came; `primary` is what a later one replaces."""

    stream: Stream
    text: str
    primary: str
    instrument: str = ""
    """"" in a private stream: every instrument."""
    sub_account_id: int = 0
    main_account: str = ""
    base: str = ""
    quote: str = ""
    rate_ms: int = 0
    depth: int = 0
    """Levels a side; 0 is all."""
    replay: int = 0
    """How many trades are sent on subscription."""
    interval: CandleInterval = CandleInterval.CI_1_M
    candle: CandleType = CandleType.TRADE


def read_selector(stream_name: str, text: str, listing: Listing) -> Selection:
    """Understand one selector, or raise ApiError with the code the page gives for what is wrong."""
    stream = STREAMS.get(stream_name)
    if stream is None:
        raise ApiError(3001)
    if stream.is_private:
        return _private(stream, text, listing)
    primary, at, secondary = text.partition("@")
    if not at or "@" in secondary or not primary:
        raise ApiError(1101)
    if "-" in primary:
        raise ApiError(1102)
    if listing(primary) is None:
        raise ApiError(3000)
    selection = Selection(stream=stream, text=text, primary=primary, instrument=primary)
    return _SECONDARY[stream.feed](selection, secondary.split("-"))


def _private(stream: Stream, text: str, listing: Listing) -> Selection:
    if "@" in text:
        raise ApiError(1103)
    head, *rest = text.split("-")
    if not head:
        raise ApiError(1102)
    if stream.primary is Primary.MAIN_ACCOUNT:
        if len(rest) > (1 if stream.name == "v1.transfer" else 0):
            raise ApiError(1102)
        return Selection(stream=stream, text=text, primary=text, main_account=head.lower())
    if not head.isascii() or not head.isdigit() or int(head) >= 1 << 64:
        raise ApiError(3020)
    selection = Selection(stream=stream, text=text, primary=text, sub_account_id=int(head))
    if not rest:
        return selection
    if stream.name == "v1.cancel" or len(rest) not in (1, 3):
        raise ApiError(1102)
    if len(rest) == 1:
        if listing(rest[0]) is None:
            raise ApiError(3000)
        return msgspec.structs.replace(selection, instrument=rest[0])
    return msgspec.structs.replace(selection, base=rest[1], quote=rest[2])


def _ticker(selection: Selection, parts: list[str]) -> Selection:
    if len(parts) != 1:
        raise ApiError(1103)
    return msgspec.structs.replace(selection, rate_ms=_rate(selection.stream, parts[0]))


def _book(selection: Selection, parts: list[str]) -> Selection:
    """`rate-depth`, legacy `rate-depth-aggregate`; deltas are of the whole book, so their depth may only be 0."""
    is_delta = selection.stream.name == "v1.book.d"
    if len(parts) not in ((1, 2, 3) if is_delta else (2, 3)):
        raise ApiError(1103)
    rate_ms = _rate(selection.stream, parts[0])
    depth = _number(parts[1], 3031) if len(parts) > 1 else 0
    if depth not in ({0} if is_delta else DEPTHS):
        raise ApiError(3031)
    return msgspec.structs.replace(selection, rate_ms=rate_ms, depth=depth)


def _trade(selection: Selection, parts: list[str]) -> Selection:
    if len(parts) != 1:
        raise ApiError(1103)
    replay = _number(parts[0], 3011)
    if not 0 < replay <= MAX_REPLAY:
        raise ApiError(3011)
    if replay not in REPLAYS:
        raise ApiError(3013)
    return msgspec.structs.replace(selection, replay=replay)


def _candle(selection: Selection, parts: list[str]) -> Selection:
    if len(parts) != 2:
        raise ApiError(1103)
    if parts[0] not in CandleInterval.__members__:
        raise ApiError(3040)
    if parts[1] not in CandleType.__members__:
        raise ApiError(3041)
    return msgspec.structs.replace(selection, interval=CandleInterval[parts[0]], candle=CandleType[parts[1]])


_SECONDARY: Final[Mapping[str, Callable[[Selection, list[str]], Selection]]] = {
    "MiniTicker": _ticker,
    "Ticker": _ticker,
    "OrderbookLevels": _book,
    "Trade": _trade,
    "Candlestick": _candle,
}


def _rate(stream: Stream, text: str) -> int:
    rate_ms = _number(text, 3030)
    if rate_ms not in stream.rates_ms:
        raise ApiError(3030)
    return rate_ms


def _number(text: str, code: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ApiError(code)
    return int(text)
