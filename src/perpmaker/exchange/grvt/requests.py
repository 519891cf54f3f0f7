"""Request messages as the core's calls take them: orders, filters, cursors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.exchange.core.types import (
    InstrumentFilter,
    Kind,
    Leg,
    OrderRequest,
    Side,
    Signature,
    TimeInForce,
    TriggerBy,
    TriggerRequest,
    TriggerType,
)
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.schema import Message
from perpmaker.exchange.grvt.signatures import builder_of, scaled

DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000
_EMPTY_IDS: Final = frozenset({"", "0", "0x", "0x0", "0x00"})


def order_request(order: Message) -> OrderRequest:
    """Return an order as the core takes it; the signature was checked before."""
    signature = order["signature"]
    metadata = order["metadata"]
    return OrderRequest(
        sub_account_id=order["sub_account_id"],
        legs=tuple(_leg(leg) for leg in order["legs"]),
        signature=Signature(
            signer=signature["signer"],
            r=signature["r"],
            s=signature["s"],
            v=signature["v"],
            expiration_ns=signature["expiration"],
            nonce=signature["nonce"],
            chain_id=str(signature.get("chain_id", 0)),
        ),
        client_order_id=metadata.get("client_order_id"),
        time_in_force=TimeInForce[order["time_in_force"]],
        is_market=order.get("is_market", False),
        post_only=order.get("post_only", False),
        reduce_only=order.get("reduce_only", False),
        order_id=order.get("order_id", ""),
        has_state=bool(order.get("state")),
        create_time_ns=metadata.get("create_time", 0),
        trigger=_trigger(metadata.get("trigger")),
        broker=metadata.get("broker", "UNSPECIFIED"),
        builder=builder_of(order) or "0x00",
        builder_fee_cb=scaled(order.get("builder_fee", Decimal(0)), 4),
    )


def _leg(leg: Message) -> Leg:
    return Leg(
        instrument=leg["instrument"],
        side=Side.BUY if leg["is_buying_asset"] else Side.SELL,
        qty=leg["size"],
        limit_px=leg.get("limit_price"),
    )


def _trigger(block: Message | None) -> TriggerRequest | None:
    """Read a trigger block; one of no type is none."""
    if block is None or block["trigger_type"] == "UNSPECIFIED":
        return None
    tpsl = block.get("tpsl", {})
    by = tpsl.get("trigger_by", "UNSPECIFIED")
    return TriggerRequest(
        kind=TriggerType[block["trigger_type"]],
        by=None if by == "UNSPECIFIED" else TriggerBy[by],
        px=tpsl.get("trigger_price"),
        close_position=tpsl.get("close_position", False),
        is_split_position=tpsl.get("is_split_position", False),
        is_whole="tpsl" in block,
    )


def instrument_filter(request: Message) -> InstrumentFilter | None:
    """Return which instruments are meant; None when no listed kind is (only perpetuals are listed)."""
    kinds = request.get("kind") or []
    if kinds and Kind.PERPETUAL.name not in kinds:
        return None
    name = request.get("instrument")
    return InstrumentFilter(
        kinds=(Kind.PERPETUAL,) if kinds else (),
        bases=tuple(request.get("base") or ()),
        quotes=tuple(request.get("quote") or ()),
        instruments=(name,) if name else (),
    )


def order_id_of(request: Message) -> str | None:
    """Return the order id a request names; the spellings of "none" (`0x00` among them) count as none."""
    order_id: str = request.get("order_id", "")
    return None if order_id in _EMPTY_IDS else order_id


class Window(msgspec.Struct, frozen=True):
    """Which rows of a history are wanted: times inclusive, newest first, `before` from a cursor."""

    start_ns: int
    end_ns: int | None
    limit: int
    before: int | None

    def arguments(self) -> dict[str, Any]:
        return {"start_ns": self.start_ns, "end_ns": self.end_ns, "limit": self.limit, "before": self.before}


def window(request: Message) -> Window:
    limit = request.get("limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
    if limit < 0:
        raise ApiError(3011)
    return Window(
        start_ns=request.get("start_time", 0),
        end_ns=request.get("end_time") or None,
        limit=min(limit, MAX_LIMIT),
        before=read_cursor(request.get("cursor", "")),
    )


def cursor_text(next_before: int | None) -> str:
    """Write an opaque cursor; "" says that there is no further page."""
    return "" if next_before is None else f"p{next_before:x}"


def read_cursor(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text.removeprefix("p"), 16)
    except ValueError:
        raise ApiError(1003) from None
