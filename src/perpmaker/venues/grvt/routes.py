"""Every route the client can call, and thereby the only ones: requests are refused unless their route is one of these.

Protocol page §5 and §6. There is no route here that could move money out of an account, and none that raises leverage.
"""

from __future__ import annotations

import enum
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from perpmaker.venues.grvt.lite import lite
from perpmaker.venues.grvt.objects import (
    WireAck,
    WireBook,
    WireCandle,
    WireCurrency,
    WireFill,
    WireFundingPayment,
    WireFundingRate,
    WireInstrument,
    WireLeverage,
    WireOrder,
    WirePosition,
    WireRiskBracket,
    WireSubAccount,
    WireTicker,
    WireTier,
    WireTrade,
)

T = TypeVar("T")
Q = TypeVar("Q", bound=Struct)
R = TypeVar("R", bound=Struct)

MAX_BULK: Final = 100
"""Entries in each list of a bulk request."""
MAX_PAGE: Final = 1000
MAX_INSTRUMENTS: Final = 100_000
PERPETUAL: Final = "PERPETUAL"


class Gateway(enum.Enum):
    """Which of the venue's hosts serves a route."""

    TRADES = "trades"
    MARKET_DATA = "market_data"


class Cost(enum.Enum):
    """Which request budget a route draws on (protocol page §14)."""

    CREATE = "create"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"
    DEAD_MAN = "dead_man"
    READ_ORDERS = "read_orders"
    READ_ACCOUNT = "read_account"
    MARKET = "market"
    HISTORY = "history"


class Route(Struct, Generic[Q, R], frozen=True):
    """One RPC: its path after the encoding's prefix, who serves it, what goes in and out, and what it costs."""

    path: str
    gateway: Gateway
    request: type[Q]
    reply: type[R]
    cost: Cost

    @property
    def method(self) -> str:
        """The JSON-RPC method that stands for the same thing on a socket."""
        return self.path[1:]


# Replies


@lite("r")
class Result(Struct, Generic[T], frozen=True):
    result: T


@lite("r n")
class Page(Struct, Generic[T], frozen=True):
    """Newest first; `next` is an opaque cursor, "" when finished."""

    result: list[T]
    next: str = ""


@lite("o ca")
class BulkReply(Struct, frozen=True):
    orders: list[WireOrder]
    cancel_acks: list[WireAck] = []


@lite("i mp rb")
class MarginRules(Struct, frozen=True):
    instrument: str
    max_position_size: str
    risk_brackets: list[WireRiskBracket]


@lite("r")
class Leverages(Struct, frozen=True):
    results: list[WireLeverage]


@lite("t")
class FeeTier(Struct, frozen=True):
    tier: WireTier


@lite("sa")
class SubAccountIds(Struct, frozen=True):
    sub_account_ids: list[str]


# Requests


class Nothing(Struct, frozen=True):
    """An empty object; the venue refuses an empty list in its place."""


lite("")(Nothing)


@lite("i")
class OfInstrument(Struct, frozen=True):
    instrument: str


@lite("k ia l")
class InstrumentsRequest(Struct, frozen=True):
    kind: list[str]
    is_active: bool
    limit: int


@lite("i d")
class BookRequest(Struct, frozen=True):
    instrument: str
    depth: int


@lite("i st et l c")
class MarketHistoryRequest(Struct, frozen=True):
    instrument: str
    start_time: str
    end_time: str | UnsetType = UNSET
    limit: int = MAX_PAGE
    cursor: str = ""


@lite("i i1 t st et l c")
class KlineRequest(Struct, frozen=True):
    instrument: str
    interval: str
    type: str
    start_time: str
    end_time: str | UnsetType = UNSET
    limit: int = MAX_PAGE
    cursor: str = ""


@lite("o")
class CreateRequest(Struct, frozen=True):
    order: msgspec.Raw
    """The signed bytes of an OrderRequest, exactly as journalled."""


@lite("sa o oi co tt")
class BulkRequest(Struct, frozen=True):
    """Cancels first, then creations. Of the two id lists one must be empty (the odd spelling is the venue's)."""

    sub_account_id: str
    orders: list[msgspec.Raw]
    order_i_ds: list[str]
    client_order_i_ds: list[str]
    time_to_live_ms: str | UnsetType = UNSET


@lite("sa oi co tt")
class CancelRequest(Struct, frozen=True):
    sub_account_id: str
    order_id: str | UnsetType = UNSET
    client_order_id: str | UnsetType = UNSET
    time_to_live_ms: str | UnsetType = UNSET


@lite("sa k b q")
class OfSubAccount(Struct, frozen=True):
    """A sub account, filtered by kind, base and quote where given; there is no filter by instrument."""

    sub_account_id: str
    kind: list[str] | UnsetType = UNSET
    base: list[str] | UnsetType = UNSET
    quote: list[str] | UnsetType = UNSET


@lite("sa")
class OnlySubAccount(Struct, frozen=True):
    sub_account_id: str


@lite("sa oi co")
class OrderQuery(Struct, frozen=True):
    sub_account_id: str
    order_id: str | UnsetType = UNSET
    client_order_id: str | UnsetType = UNSET


@lite("sa ct")
class DeadManRequest(Struct, frozen=True):
    sub_account_id: str
    countdown_time: str
    """Milliseconds. 0 to 1000 means off, and so does leaving it out."""


@lite("sa st et l c")
class HistoryRequest(Struct, frozen=True):
    sub_account_id: str
    start_time: str
    end_time: str | UnsetType = UNSET
    limit: int = MAX_PAGE
    cursor: str = ""


def _market(path: str, request: type[Q], reply: type[R], cost: Cost = Cost.HISTORY) -> Route[Q, R]:
    return Route(path, Gateway.MARKET_DATA, request, reply, cost)


def _trading(path: str, request: type[Q], reply: type[R], cost: Cost) -> Route[Q, R]:
    return Route(path, Gateway.TRADES, request, reply, cost)


INSTRUMENTS: Final = _market("/v1/instruments", InstrumentsRequest, Result[list[WireInstrument]], Cost.MARKET)
TICKER: Final = _market("/v1/ticker", OfInstrument, Result[WireTicker], Cost.MARKET)
BOOK: Final = _market("/v1/book", BookRequest, Result[WireBook])
TRADE_HISTORY: Final = _market("/v1/trade_history", MarketHistoryRequest, Page[WireTrade])
KLINE: Final = _market("/v1/kline", KlineRequest, Page[WireCandle])
FUNDING: Final = _market("/v1/funding", MarketHistoryRequest, Page[WireFundingRate])
MARGIN_RULES: Final = _market("/v1/margin_rules", OfInstrument, MarginRules)
CURRENCY: Final = _market("/v1/currency", Nothing, Result[list[WireCurrency]])

CREATE_ORDER: Final = _trading("/v1/create_order", CreateRequest, Result[WireOrder], Cost.CREATE)
BULK_ORDERS: Final = _trading("/v2/bulk_orders", BulkRequest, BulkReply, Cost.CREATE)
CANCEL_ORDER: Final = _trading("/v1/cancel_order", CancelRequest, Result[WireAck], Cost.CANCEL)
CANCEL_ALL_ORDERS: Final = _trading("/v1/cancel_all_orders", OfSubAccount, Result[WireAck], Cost.CANCEL_ALL)
CANCEL_ON_DISCONNECT: Final = _trading("/v1/cancel_on_disconnect", DeadManRequest, Result[WireAck], Cost.DEAD_MAN)
ORDER: Final = _trading("/v1/order", OrderQuery, Result[WireOrder], Cost.READ_ORDERS)
OPEN_ORDERS: Final = _trading("/v1/open_orders", OfSubAccount, Result[list[WireOrder]], Cost.READ_ORDERS)
ORDER_HISTORY: Final = _trading("/v1/order_history", HistoryRequest, Page[WireOrder], Cost.READ_ORDERS)
FILL_HISTORY: Final = _trading("/v1/fill_history", HistoryRequest, Page[WireFill], Cost.READ_ACCOUNT)
FUNDING_PAYMENTS: Final = _trading(
    "/v1/funding_payment_history", HistoryRequest, Page[WireFundingPayment], Cost.READ_ACCOUNT
)
POSITIONS: Final = _trading("/v1/positions", OfSubAccount, Result[list[WirePosition]], Cost.READ_ACCOUNT)
ACCOUNT_SUMMARY: Final = _trading("/v1/account_summary", OnlySubAccount, Result[WireSubAccount], Cost.READ_ACCOUNT)
FUNDING_ACCOUNT: Final = _trading("/v1/funding_account_summary", Nothing, FeeTier, Cost.READ_ACCOUNT)
LEVERAGES: Final = _trading("/v1/get_all_initial_leverage", OnlySubAccount, Leverages, Cost.READ_ACCOUNT)
SUB_ACCOUNTS: Final = _trading("/v1/get_sub_accounts", Nothing, SubAccountIds, Cost.READ_ACCOUNT)

ROUTES: Final = (
    INSTRUMENTS,
    TICKER,
    BOOK,
    TRADE_HISTORY,
    KLINE,
    FUNDING,
    MARGIN_RULES,
    CURRENCY,
    CREATE_ORDER,
    BULK_ORDERS,
    CANCEL_ORDER,
    CANCEL_ALL_ORDERS,
    CANCEL_ON_DISCONNECT,
    ORDER,
    OPEN_ORDERS,
    ORDER_HISTORY,
    FILL_HISTORY,
    FUNDING_PAYMENTS,
    POSITIONS,
    ACCOUNT_SUMMARY,
    FUNDING_ACCOUNT,
    LEVERAGES,
    SUB_ACCOUNTS,
)
LOGIN_PATH: Final = "/auth/api_key/login"
TIME_PATH: Final = "/time"
