"""What is peculiar to a venue behind ccxt: one row each, and a plain row for all others. Nothing else asks for a venue."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec

from perpmaker.errors import ConfigError
from perpmaker.model.ids import HOME_EXCHANGE
from perpmaker.venues.api import Capabilities
from perpmaker.venues.ccxt import backpack
from perpmaker.venues.ccxt.frames import FrameReader
from perpmaker.venues.ccxt.verdicts import Verdict
from perpmaker.venues.transport.rate_limit import Rate

PREFIX: Final = "ccxt:"
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "grvt": HOME_EXCHANGE,
        "bequant": "hitbtc",
        "binanceusdm": "binance",
        "binancecoinm": "binance",
        "bybiteu": "bybit",
        "bybitid": "bybit",
        "fmfwio": "hitbtc",
        "gateeu": "gate",
        "krakenfutures": "kraken",
        "kucoinfutures": "kucoin",
        "okxus": "okx",
        "myokx": "okx",
    }
)
"""ccxt ids that are another way to an exchange which has a name already. Where it is not certain that two of them keep
their books apart they are taken for one: to refuse a pair costs nothing, to trade with oneself is wash trading."""


class Call(msgspec.Struct, frozen=True):
    """A request by ccxt's implicit method, where its unified one cannot say what is meant. `{id}` stands in `params`."""

    method: str
    symbol_key: str
    id_key: str
    extra: tuple[tuple[str, Any], ...] = ()


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """One venue. Times in seconds; fees are fractions, what an account pays before any discount, None for unknown."""

    ccxt_id: str
    exchange: str
    """The exchange's identity; two ways to one exchange share it."""
    client_id_bits: int = 32
    """The widest whole number that the venue takes as a client order id."""
    client_id_as_text: bool = True
    post_only: bool = True
    post_only_param: str = "postOnly"
    reduce_only: bool = True
    gtt: str = "GTC"
    """The venue's word for an order that rests."""
    fill_stream: bool = False
    """Whether ccxt has a stream of own fills."""
    fills_in_orders: bool = False
    """Whether each frame of the order stream tells its own execution, so that fills can be derived from it."""
    frames: FrameReader | None = None
    """How to read the venue's raw frames where ccxt's unified streams lose something; None where they are sound."""
    whole_book: Call | None = None
    cancel_by_client_id: Call | None = None
    cancel_all_needs_symbol: bool = True
    query_by_client_id: Call | None = None
    history_of_orders: Call | None = None
    pages_by_offset: bool = False
    """Whether fills and funding are paged by `offset`, newest first."""
    time_call: str = ""
    """Implicit method whose answer is the venue's time in ms, where ccxt's `fetch_time` is wrong."""
    equity_call: str = ""
    equity_keys: tuple[str, str] = ("", "")
    """Total and available equity in the answer to `equity_call`; without one they are worked out of the balance."""
    leverage_call: str = ""
    leverage_key: str = ""
    """Where the account's leverage stands, for a venue that sets it for all instruments at once."""
    signed_quantity: str = ""
    """Key of the signed position in ccxt's `info`, where its unified side is unsafe."""
    settle: str = ""
    """Settlement currency; "" for the quote currency of whatever is traded."""
    codes: Mapping[str, Verdict] = {}
    late_arrival_s: float = 60.0
    """How long a request lost on the way may still arrive; a venue with a signature window sets the bound itself."""
    requests: Rate = Rate(per_s=10.0, burst=20.0)
    """Requests of all kinds together."""
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    exact_numbers: bool = False
    """Whether ccxt's own code for the venue stands numbers as texts instead of floats (tried, not assumed)."""
    urls: Mapping[str, Any] = {}
    """`urls.api` for env local, with REST and WS for the two addresses; without it the venue has no practice face."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            bulk=False,
            post_only=self.post_only,
            reduce_only=self.reduce_only,
            rpi=False,
            fill_stream=self.fill_stream,
            cancel_by_client_id=self.cancel_by_client_id is not None,
            cancel_ttl=False,
            dead_man=False,
            signature_expiry=False,
            client_id_bits=self.client_id_bits,
        )


REST, WS = "REST", "WS"

_BACKPACK: Final = Quirks(
    ccxt_id="backpack",
    exchange="backpack",
    client_id_bits=32,  # page §5: uint32
    client_id_as_text=False,
    fills_in_orders=True,  # no watchMyTrades; each orderFill frame is one execution
    frames=backpack.READER,  # ccxt's book waits for 10 changes and passes over gaps; its `filled` is the last fill's
    whole_book=Call("publicGetApiV1Depth", "symbol", "", (("limit", 1000),)),
    cancel_by_client_id=Call("privateDeleteApiV1Order", "symbol", "clientId"),
    query_by_client_id=Call("privateGetApiV1Order", "symbol", "clientId"),  # finds open orders alone
    history_of_orders=Call("privateGetWapiV1HistoryOrders", "symbol", "", (("limit", 1000),)),
    pages_by_offset=True,
    time_call="publicGetApiV1Time",  # fetch_time returns the first digit of a text
    equity_call="privateGetApiV1CapitalCollateral",
    equity_keys=("netEquity", "netEquityAvailable"),
    leverage_call="privateGetApiV1Account",
    leverage_key="leverageLimit",
    signed_quantity="netQuantity",  # ccxt takes the side from netCost
    settle="USDC",
    codes=MappingProxyType(
        {
            "RESOURCE_NOT_FOUND": Verdict.NOT_FOUND,  # ccxt: ExchangeNotAvailable
            "TRADING_PAUSED": Verdict.REJECTED,  # ccxt: ExchangeNotAvailable
            "MAINTENANCE": Verdict.REJECTED,  # ccxt: ExchangeError
            "NOT_IMPLEMENTED": Verdict.REJECTED,
            "PRECONDITION_FAILED": Verdict.UNKNOWN,
        }
    ),
    late_arrival_s=5.0,  # the signature's window; the venue refuses what arrives later
    requests=Rate(per_s=2000 / 60, burst=100.0),  # 2000 a minute, page §6
    maker_fee=Decimal("0.0002"),
    taker_fee=Decimal("0.0005"),
    exact_numbers=True,
    urls=MappingProxyType({"public": REST, "private": REST, "ws": {"public": WS, "private": WS}}),
)

ROWS: Final[Mapping[str, Quirks]] = MappingProxyType({"backpack": _BACKPACK})


def ccxt_id_of(venue: str) -> str:
    """Return the ccxt id a configured venue means: "backpack", or any as "ccxt:ID"; raise ConfigError for others."""
    name = venue.removeprefix(PREFIX)
    if venue.startswith(PREFIX) and name:
        return name
    if name in ROWS:
        return name
    raise ConfigError(f"venue: {venue!r} is not known; allowed: grvt, {', '.join(sorted(ROWS))}, or ccxt:ID")


def quirks_of(venue: str) -> Quirks:
    """Return a venue's row; one that has none gets the plain row, which assumes nothing that could cost money."""
    ccxt_id = ccxt_id_of(venue)
    return ROWS.get(ccxt_id) or Quirks(ccxt_id=ccxt_id, exchange=exchange_identity(venue))


def exchange_identity(venue: str) -> str:
    """Return the exchange behind a configured venue, whatever adapter leads there: ccxt's `grvt` is our `grvt`."""
    name = venue.removeprefix(PREFIX)
    return ALIASES.get(name, name)
