"""What a request says: its parameters read one by one, each mistake named, and orders as the core takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from perpmaker.exchange.backpack.codes import ApiError
from perpmaker.exchange.backpack.market import FOREVER_NS
from perpmaker.exchange.backpack.signing import Pairs
from perpmaker.exchange.core.types import Leg, OrderRequest, SelfTrade, Side, Signature, TimeInForce

CLIENT_IDS: Final = 1 << 32
"""Client ids are below this; an order without one is told apart by a number of our own above it."""
SIDES: Final = {"Bid": Side.BUY, "Ask": Side.SELL}
TIMES: Final = {
    "GTC": TimeInForce.GOOD_TILL_TIME,
    "IOC": TimeInForce.IMMEDIATE_OR_CANCEL,
    "FOK": TimeInForce.FILL_OR_KILL,
}
SELF_TRADES: Final = {
    "RejectTaker": SelfTrade.CANCEL_TAKER,
    "RejectMaker": SelfTrade.CANCEL_MAKER,
    "RejectBoth": SelfTrade.CANCEL_BOTH,
}
TRIGGERS: Final = (
    "triggerPrice",
    "triggerQuantity",
    "triggerBy",
    "takeProfitTriggerPrice",
    "takeProfitLimitPrice",
    "stopLossTriggerPrice",
    "stopLossLimitPrice",
)
NO_TRIGGERS: Final = "Trigger orders are not offered by this exchange"


class Number(str):
    """A number of a JSON body, as it was written: that is how it was signed."""

    __slots__ = ()


class Params:
    """Parameters by name, from a query (all text) or a body."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}

    @classmethod
    def of_query(cls, query: str) -> Params:
        return cls(dict(parse_qsl(query, keep_blank_values=True)))

    def pairs(self) -> Pairs:
        """As they are signed."""
        return [(name, _text(value)) for name, value in self._values.items()]

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name, default)
        if not isinstance(value, str):
            raise _wrong(name, "text")
        return value

    def choice(self, name: str, allowed: Mapping[str, Any], default: str = "") -> Any:
        value = self.text(name, default)
        if value not in allowed:
            raise _wrong(name, f"one of {', '.join(allowed)}")
        return allowed[value]

    def integer(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """A whole number within bounds; without a default it must be there."""
        value = self._values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 20:
            raise _wrong(name, f"an integer from {low} to {high}")
        number = int(value)
        if not low <= number <= high:
            raise _wrong(name, f"an integer from {low} to {high}")
        return number

    def decimal(self, name: str) -> Decimal | None:
        value = self._values.get(name)
        if value is None:
            return None
        try:
            number = Decimal(value) if isinstance(value, str) else None
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite():
            raise _wrong(name, "a decimal")
        return number

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise _wrong(name, "true or false")


def read_body(raw: bytes) -> list[Params] | Params:
    """Read a JSON object, or a list of them for a batch; numbers stay as they were written."""
    try:
        body = _read_json(raw or b"{}")
    except ValueError:
        raise ApiError("INVALID_CLIENT_REQUEST", "The body is no JSON") from None
    if isinstance(body, dict):
        return Params(body)
    if isinstance(body, list) and body and all(isinstance(row, dict) for row in body):
        return [Params(row) for row in body]
    raise ApiError("INVALID_CLIENT_REQUEST", "The body must be an object, or a list of orders")


def order_request(
    params: Params, account_id: int, client_id: int, nonce: int, now_ns: int, qty: Decimal
) -> OrderRequest:
    """Return an order as the core takes it; the signature was checked before. `nonce` is different for each."""
    is_market = params.text("orderType") == "Market"
    post_only = params.flag("postOnly")
    tif = TIMES["IOC"] if is_market else params.choice("timeInForce", TIMES, "GTC")
    return OrderRequest(
        sub_account_id=account_id,
        legs=(Leg(params.text("symbol"), params.choice("side", SIDES), qty, params.decimal("price")),),
        signature=Signature(signer="", r="", s="", v=0, expiration_ns=now_ns + FOREVER_NS, nonce=nonce),
        client_order_id=client_id,
        time_in_force=tif,
        is_market=is_market,
        post_only=post_only,
        reduce_only=params.flag("reduceOnly"),
        self_trade=params.choice("selfTradePrevention", SELF_TRADES, "RejectTaker"),
    )


def check_form(params: Params) -> None:
    """Refuse what is no order of this venue, before anything is looked up."""
    params.choice("side", SIDES)
    params.choice("orderType", {"Limit": 1, "Market": 2})
    if any(params.has(name) for name in TRIGGERS):
        raise ApiError("INVALID_ORDER", NO_TRIGGERS)
    if params.has("clientId"):
        params.integer("clientId", low=0, high=CLIENT_IDS - 1)


def core_client_id(client_id: int) -> int:
    """The number by which the core knows a client id: itself, but for 0, which means none there."""
    return client_id or CLIENT_IDS


def client_id_of(core_id: int) -> int | None:
    """The client id behind a core's number; None for an order that has none."""
    return None if core_id > CLIENT_IDS else core_id % CLIENT_IDS


def _read_json(raw: bytes) -> Any:
    return json.loads(raw, parse_float=Number, parse_int=Number)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _wrong(name: str, allowed: str) -> ApiError:
    return ApiError("INVALID_CLIENT_REQUEST", f"Invalid {name}: must be {allowed}")
