"""Requests as the core takes them: orders, filters, windows, cursors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from perpmaker.exchange.core.types import (
    InstrumentFilter,
    Kind,
    Side,
    TimeInForce,
    TriggerBy,
    TriggerRequest,
    TriggerType,
)
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.requests import (
    cursor_text,
    instrument_filter,
    order_id_of,
    order_request,
    read_cursor,
    window,
)
from perpmaker.exchange.grvt.routes import SCHEMA
from perpmaker.exchange.grvt.schema import Encoding

LEG = {"instrument": "BTC_USDT_Perp", "size": "0.001", "limit_price": "65000.1", "is_buying_asset": False}
SIGNATURE = {"signer": "0xAB", "r": "0x1", "s": "0x2", "v": 27, "expiration": "9", "nonce": 3}


def read(**members: Any) -> Any:
    wire = {
        "sub_account_id": "7",
        "time_in_force": "GOOD_TILL_TIME",
        "legs": [LEG],
        "signature": SIGNATURE,
        "metadata": {"client_order_id": "5"},
        **members,
    }
    return order_request(SCHEMA.from_wire(SCHEMA.shapes["Order"], wire, Encoding.FULL))


def test_order_is_read_whole() -> None:
    request = read(time_in_force="IMMEDIATE_OR_CANCEL", reduce_only=True)
    assert (request.sub_account_id, request.client_order_id) == (7, 5)
    assert request.time_in_force is TimeInForce.IMMEDIATE_OR_CANCEL
    assert request.reduce_only
    assert not request.post_only
    (leg,) = request.legs
    assert (leg.side, leg.qty, leg.limit_px) == (Side.SELL, Decimal("0.001"), Decimal("65000.1"))
    assert (request.signature.signer, request.signature.chain_id) == ("0xab", "0")


@pytest.mark.parametrize("builder", ["0x00", "0x0", "0x", "0x" + "0" * 40])
def test_zero_builder_is_none(builder: str) -> None:
    request = read(builder=builder, builder_fee="0.0")
    assert (request.builder, request.builder_fee_cb) == ("0x00", 0)


def test_builder_fee_is_scaled_to_centibeeps() -> None:
    request = read(builder="0x" + "A" * 40, builder_fee="0.01")
    assert (request.builder, request.builder_fee_cb) == ("0x" + "a" * 40, 100)


def test_what_must_be_empty_on_creation_is_passed_on() -> None:
    state = {
        "status": "OPEN",
        "reject_reason": "UNSPECIFIED",
        "book_size": [],
        "traded_size": [],
        "update_time": "1",
        "avg_fill_price": [],
    }
    request = read(order_id="0x0101", state=state, metadata={"client_order_id": "5", "create_time": "8"})
    assert (request.order_id, request.has_state, request.create_time_ns) == ("0x0101", True, 8)


def test_missing_client_order_id_is_left_to_the_core() -> None:
    assert read(metadata={}).client_order_id is None


@pytest.mark.parametrize("kind", ["TAKE_PROFIT", "STOP_LOSS", "UNSPECIFIED"])
def test_trigger_is_one_when_it_has_a_type(kind: str) -> None:
    request = read(metadata={"client_order_id": "5", "trigger": {"trigger_type": kind}})
    expected = None if kind == "UNSPECIFIED" else TriggerRequest(TriggerType[kind], is_whole=False)
    assert request.trigger == expected


@pytest.mark.parametrize("by", list(TriggerBy))
def test_trigger_is_read_whole(by: TriggerBy) -> None:
    tpsl = {"trigger_by": by.name, "trigger_price": "65038.10", "close_position": True, "is_split_position": True}
    block = {"trigger_type": "TAKE_PROFIT", "tpsl": tpsl}
    request = read(metadata={"client_order_id": "5", "trigger": block})
    assert request.trigger == TriggerRequest(TriggerType.TAKE_PROFIT, by, Decimal("65038.1"), True, True)


def test_trigger_by_nothing_is_left_to_the_core() -> None:
    tpsl = {"trigger_by": "UNSPECIFIED", "trigger_price": "0.0"}
    request = read(metadata={"client_order_id": "5", "trigger": {"trigger_type": "STOP_LOSS", "tpsl": tpsl}})
    assert request.trigger == TriggerRequest(TriggerType.STOP_LOSS, None, Decimal(0))


def test_filters_are_passed_on() -> None:
    assert instrument_filter({}) == InstrumentFilter()
    assert instrument_filter({"kind": ["PERPETUAL", "CALL"], "base": ["BTC"], "quote": []}) == InstrumentFilter(
        kinds=(Kind.PERPETUAL,), bases=("BTC",)
    )
    assert instrument_filter({"instrument": "BTC_USDT_Perp"}) == InstrumentFilter(instruments=("BTC_USDT_Perp",))


def test_filter_for_other_kinds_matches_nothing() -> None:
    assert instrument_filter({"kind": ["CALL"]}) is None


@pytest.mark.parametrize(("text", "meant"), [("0x00", None), ("0x0", None), ("", None), ("0x01ab", "0x01ab")])
def test_spellings_of_no_order_id_are_none(text: str, meant: str | None) -> None:
    assert order_id_of({"order_id": text}) == meant


def test_window_has_the_pages_defaults_and_bounds() -> None:
    assert window({}).arguments() == {"start_ns": 0, "end_ns": None, "limit": 500, "before": None}
    assert window({"limit": 5000}).limit == 1000
    with pytest.raises(ApiError):
        window({"limit": -1})


def test_cursor_is_read_back() -> None:
    assert read_cursor(cursor_text(123456789)) == 123456789
    assert cursor_text(None) == ""
    assert read_cursor("") is None
    with pytest.raises(ApiError):
        read_cursor("p!")
