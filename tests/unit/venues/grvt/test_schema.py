"""Short keys, routes and streams are the page's, and what the client cannot do is absent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perpmaker.venues.grvt import objects, routes, streams
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.lite import Encoding, in_encoding, lite, short_keys
from perpmaker.venues.grvt.routes import Gateway

from .protocol_page import tables

PAGE = tables()

PAGE_NAME = {
    objects.WireInstrument: "InstrumentDisplay",
    objects.WireLevel: "OrderbookLevel",
    objects.WireBook: "OrderbookLevels",
    objects.WireTrade: "Trade",
    objects.WireTicker: "Ticker",
    objects.WireCandle: "Candlestick",
    objects.WireFundingRate: "Funding rate row",
    objects.WireRiskBracket: "RiskBracket",
    objects.WireCurrency: "CurrencyDetail",
    objects.WireLeg: "OrderLeg",
    objects.WireMetadata: "OrderMetadata",
    objects.WireTrigger: "TriggerOrderMetadata",
    objects.WirePriceTrigger: "TPSLOrderMetadata",
    objects.WireOrderState: "OrderState",
    objects.WireOrder: "Order",
    objects.WireStateChange: "OrderStateFeed",
    objects.WireCancelOutcome: "CancelStatusFeed",
    objects.WireFill: "Fill",
    objects.WirePosition: "Positions",
    objects.WireSpotBalance: "SpotBalance",
    objects.WireSubAccount: "SubAccount",
    objects.WireFundingPayment: "FundingPayment",
    objects.WireLeverage: "InitialLeverageResult",
    objects.WireTier: "ClientTier",
    objects.WireAck: "Ack",
    objects.WireDeposit: "Deposit",
    objects.WireTransfer: "TransferHistory",
    objects.WireWithdrawal: "Withdrawal",
    objects.LegRequest: "OrderLeg",
    objects.SignatureRequest: "Signature",
    objects.MetadataRequest: "OrderMetadata",
    objects.TriggerRequest: "TriggerOrderMetadata",
    objects.PriceTriggerRequest: "TPSLOrderMetadata",
    objects.OrderRequest: "Order",
}
ENVELOPES = {objects.WireError, objects.Incoming, objects.BookFrame, objects.SubscribeResult, objects.SubscribeParams}
FORBIDDEN = ("transfer", "withdraw", "vault", "deposit", "builder", "leverage", "margin", "derisk", "mode", "dedust")
READS_OF_FORBIDDEN_WORDS = {"/v1/get_all_initial_leverage", "/v1/margin_rules"}


@pytest.mark.parametrize("cls", PAGE_NAME, ids=lambda cls: cls.__name__)
def test_every_member_and_its_short_key_are_the_pages(cls: type[msgspec.Struct]) -> None:
    page_keys = PAGE["objects"][PAGE_NAME[cls]]
    for full, short in short_keys(cls).items():
        assert page_keys[full] == short


def test_every_wire_object_is_compared_with_the_page() -> None:
    written = {
        value for value in vars(objects).values() if isinstance(value, type) and value.__module__ == objects.__name__
    }
    assert written == set(PAGE_NAME) | ENVELOPES


def test_mini_ticker_members_have_the_tickers_short_keys() -> None:
    mini = PAGE["objects"]["MiniTicker"]
    shared = {full: short for full, short in short_keys(objects.WireTicker).items() if full in mini}
    assert shared
    assert all(mini[full] == short for full, short in shared.items())


@pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: route.path)
def test_every_route_is_the_pages(route: routes.Route[Any, Any]) -> None:
    row = next(row for row in PAGE["routes"] if row["path"] == route.path)
    assert route.gateway.value == row["gateway"]
    for full, short in short_keys(route.request).items():
        assert row["request"][full] == short
    reply = getattr(route.reply, "__origin__", route.reply)
    for full, short in short_keys(reply).items():
        if route.path == "/v1/funding_account_summary" or reply is not routes.Result:
            assert row["reply"][full] == short
        else:
            assert row["reply"] == {"result": "r"}


def test_the_client_has_no_route_that_moves_money_or_raises_risk() -> None:
    for route in routes.ROUTES:
        if route.path not in READS_OF_FORBIDDEN_WORDS:
            assert not any(word in route.path for word in FORBIDDEN)
    known = {route.path for route in routes.ROUTES}
    refused = {row["path"] for row in PAGE["routes"]} - known
    assert {"/v1/transfer", "/v1/withdrawal", "/v1/set_position_config", "/v1/set_initial_leverage"} <= refused


def test_an_order_request_has_no_builder_broker_or_referral() -> None:
    members = set(objects.OrderRequest.__struct_fields__) | set(objects.MetadataRequest.__struct_fields__)
    assert not members & {"builder", "builder_fee", "broker", "referral", "source"}


def test_every_stream_of_the_page_is_known_with_its_gateway() -> None:
    page = {name: Gateway.MARKET_DATA if at == "market" else Gateway.TRADES for name, at in PAGE["streams"].items()}
    assert {name: stream.gateway for name, stream in streams.STREAMS.items()} == page


def test_candle_lengths_are_the_pages() -> None:
    assert set(streams.CANDLE_INTERVALS.values()) == set(PAGE["enums"]["CandlestickInterval"])
    assert streams.CANDLE_INTERVALS[60] == "CI_1_M"
    assert streams.CANDLE_INTERVALS[14_400] == "CI_4_H"


def test_lite_and_full_hold_the_same_values() -> None:
    book = objects.WireBook("1", "BTC_USDT_Perp", [objects.WireLevel("65038.1", "1.5")], [])
    short = Codec(Encoding.LITE).decode(
        b'{"et":"1","i":"BTC_USDT_Perp","b":[{"p":"65038.1","s":"1.5","no":3}],"a":[],"zz":{}}', objects.WireBook
    )
    assert isinstance(short, objects.WireBook)
    assert (short.event_time, short.bids[0].price, short.asks) == (book.event_time, "65038.1", [])


def test_a_request_encodes_with_its_encodings_keys() -> None:
    lite_codec = Codec(Encoding.LITE)
    request = lite_codec.form(routes.CancelRequest)(sub_account_id="7", client_order_id="9")
    assert lite_codec.encode(request) == b'{"sa":"7","co":"9"}'
    assert Codec().encode(routes.CancelRequest("7", client_order_id="9")) == (
        b'{"sub_account_id":"7","client_order_id":"9"}'
    )


def test_short_keys_must_match_the_fields() -> None:
    class Two(msgspec.Struct):
        a: str
        b: str

    for keys in ("x", "x y z", "x x"):
        with pytest.raises(TypeError):
            lite(keys)(Two)


def test_the_lite_type_is_made_once() -> None:
    assert in_encoding(objects.WireOrder, Encoding.LITE) is in_encoding(objects.WireOrder, Encoding.LITE)
    assert in_encoding(objects.WireOrder, Encoding.FULL) is objects.WireOrder
