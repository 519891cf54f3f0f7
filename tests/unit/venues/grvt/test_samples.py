"""Every sample message is read, or is named below with the reason why it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import coincurve
import msgspec
import pytest
from multidict import CIMultiDict

from perpmaker.errors import AuthError, DataError
from perpmaker.model.events import Source, VenueStatus
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Side
from perpmaker.venues.grvt import objects, parse, routes, signing, streams
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.lite import Encoding
from perpmaker.venues.grvt.session import read_login

SAMPLES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[3] / "data" / "grvt" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
]
BY_NAME = {sample["name"]: sample for sample in SAMPLES}
ACCOUNT = AccountId("test")
NOW_NS = 1_795_251_600_000_000_000
SYMBOL = "BTC_USDT_Perp"
CHAIN_IDS = {"pysdk": 326, "ccxt": 325}

NUMBER_NOT_TEXT = "documentation example: prints a JSON number where the venue sends a text"
CONTRADICTS_LIVE_TYPES = {
    "rest.ticker.response.full": f"{NUMBER_NOT_TEXT} (funding_rate)",
    "rest.ticker.response.lite": f"{NUMBER_NOT_TEXT} (funding_rate)",
    "rest.funding.response.full": f"{NUMBER_NOT_TEXT} (funding_rate)",
    "rest.funding.response.lite": f"{NUMBER_NOT_TEXT} (funding_rate)",
    "rest.cancel_order.response.full": 'documentation example: prints "true" in quotes where the venue sends a boolean',
    "rest.cancel_order.response.lite": 'documentation example: prints "true" in quotes where the venue sends a boolean',
    "rest.cancel_on_disconnect.response.full": 'documentation example: prints "true" in quotes',
    "rest.cancel_on_disconnect.request.full": (
        "documentation example: prints an integer where the schema says text, and 300 ms, which means off"
    ),
    "rest.bulk_orders.request.full": "documentation example: both id lists hold null; the venue wants texts in one",
}
"""Refused with DataError, which the test checks; what they should look like is covered by a `.live` sample or the page."""
LEGACY_ENVELOPE = {"ws.subscribe.request.legacy", "ws.subscribe.response.legacy"}
"""The client speaks JSON-RPC only; the legacy error is still recognised."""
ROUTE_NOT_OURS = {"rest.set_initial_leverage.request.full", "rest.set_initial_leverage.response.full"}
"""The client never raises leverage: the route is absent, which the test checks."""
NOT_A_VENUE_VALUE = {
    "client.rest.ccxt.create_tif_po_bug": 'ccxt signs its time_in_force "PO" as 0; the venue has no such value'
}

TESTED_BY_NAME = {
    "ws.rpc.create_order.response.full.live",
    "rest.instrument_row.full.live",
    "rest.auth.api_key_login.request",
    "rest.auth.api_key_login.response",
    "rest.auth.login_failure.response",
    "client.rest.pysdk_ccxt.cancel_by_client_id",
    "client.rest.pysdk_ccxt.instruments",
    "client.rest.ccxt.wallet_login",
}

HANDLED: set[str] = set()
"""Names of the samples that a test is parametrised with."""


def encoding(sample: dict[str, Any]) -> Encoding:
    return Encoding.LITE if sample["encoding"] == "lite" else Encoding.FULL


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def named(prefix: str, *parts: str) -> list[Any]:
    found = [s for s in SAMPLES if s["name"].startswith(prefix) and all(part in s["name"] for part in parts)]
    HANDLED.update(s["name"] for s in found)
    return [pytest.param(s, id=s["name"]) for s in found]


def instrument(tick: str = "0.1", lot: str = "0.001") -> parse.Reader:
    row = BY_NAME["rest.instrument_row.full.live"]["value"] | {"tick_size": tick, "min_size": lot}
    return parse.Reader(parse.instrument(Codec().decode(raw(row), objects.WireInstrument)))


def reader(sample: dict[str, Any]) -> parse.Reader:
    """Documentation examples print prices finer than the venue's tick."""
    return instrument() if sample["name"].endswith(".live") else instrument("0.01", "0.01")


def route_of(sample: dict[str, Any]) -> routes.Route[Any, Any]:
    path = "/" + sample["path"].split("/", 2)[2]
    return next(route for route in routes.ROUTES if route.path == path)


REST_PARSERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "/v1/instruments": lambda reply, s: [parse.instrument(row) for row in reply.result],
    "/v1/ticker": lambda reply, s: parse.ticker(reply.result, NOW_NS),
    "/v1/book": lambda reply, s: parse.book_snapshot(reply.result, reader(s), int(reply.result.event_time), NOW_NS),
    "/v1/trade_history": lambda reply, s: [parse.trade(row, reader(s), NOW_NS, replayed=True) for row in reply.result],
    "/v1/kline": lambda reply, s: [parse.bar(row, 60, NOW_NS) for row in reply.result],
    "/v1/funding": lambda reply, s: [parse.funding_rate(row) for row in reply.result],
    "/v1/create_order": lambda reply, s: parse.order_report(reply.result, ACCOUNT, Source.REPLY, NOW_NS),
    "/v1/open_orders": lambda reply, s: [
        parse.order_report(row, ACCOUNT, Source.SNAPSHOT, NOW_NS) for row in reply.result
    ],
    "/v1/order_history": lambda reply, s: [
        parse.order_report(row, ACCOUNT, Source.HISTORY, NOW_NS) for row in reply.result
    ],
    "/v1/fill_history": lambda reply, s: [parse.fill(row, ACCOUNT, Source.HISTORY, NOW_NS) for row in reply.result],
    "/v1/positions": lambda reply, s: [
        parse.position_report(row, ACCOUNT, Source.SNAPSHOT, NOW_NS) for row in reply.result
    ],
    "/v1/account_summary": lambda reply, s: parse.account(reply.result),
    "/v1/funding_payment_history": lambda reply, s: [parse.funding_paid(row, ACCOUNT, NOW_NS) for row in reply.result],
    "/v1/margin_rules": lambda reply, s: reply.risk_brackets[0].max_leverage,
    "/v1/currency": lambda reply, s: reply.result[0].symbol,
    "/v1/get_all_initial_leverage": lambda reply, s: reply.results[0].leverage,
    "/v1/cancel_order": lambda reply, s: reply.result.ack,
    "/v1/cancel_on_disconnect": lambda reply, s: reply.result.ack,
}


def read_reply(sample: dict[str, Any]) -> Any:
    route = route_of(sample)
    reply = Codec(encoding(sample)).decode(raw(sample["value"]), route.reply)
    return REST_PARSERS[route.path](reply, sample)


def read_request(sample: dict[str, Any]) -> Any:
    return Codec(encoding(sample)).decode(raw(sample["value"]), route_of(sample).request)


REST_REPLIES = [
    p
    for p in named("rest.", ".response.")
    if p.id not in ROUTE_NOT_OURS and not str(p.id).startswith("rest.auth") and p.id not in CONTRADICTS_LIVE_TYPES
]


REST_REQUESTS = [
    p for p in named("rest.", ".request.") if p.id not in ROUTE_NOT_OURS and p.id not in CONTRADICTS_LIVE_TYPES
]


@pytest.mark.parametrize("sample", REST_REPLIES)
def test_a_rest_answer_becomes_model_events(sample: dict[str, Any]) -> None:
    assert read_reply(sample)


@pytest.mark.parametrize("name", CONTRADICTS_LIVE_TYPES)
def test_a_sample_that_contradicts_the_live_types_is_refused(name: str) -> None:
    sample = BY_NAME[name]
    with pytest.raises(DataError):
        read_request(sample) if sample["kind"] == "request" else read_reply(sample)


@pytest.mark.parametrize("sample", REST_REQUESTS)
def test_a_rest_request_has_the_shape_that_we_send(sample: dict[str, Any]) -> None:
    codec = Codec(encoding(sample))
    request = read_request(sample)
    sent = json.loads(codec.encode(request))
    assert sent.items() <= (sample["value"] | sent).items()
    assert {key: value for key, value in sent.items() if key in sample["value"]} == {
        key: sample["value"][key] for key in sent if key in sample["value"]
    }
    if isinstance(request, routes.CreateRequest):
        order = codec.decode(request.order, objects.OrderRequest)
        assert order.legs[0].limit_price == "65038.01"


@pytest.mark.parametrize("name", sorted(ROUTE_NOT_OURS))
def test_a_route_that_raises_leverage_does_not_exist(name: str) -> None:
    assert BY_NAME[name]["path"].removeprefix("/full") not in {route.path for route in routes.ROUTES}


STREAM_PARSERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    streams.ORDERS: lambda feed, s: parse.order_report(feed, ACCOUNT, Source.STREAM, NOW_NS),
    streams.STATES: lambda feed, s: parse.state_report(feed, InstrumentId(SYMBOL), ACCOUNT, Source.STREAM, NOW_NS),
    streams.CANCELS: lambda feed, s: feed.cancel_status,
    streams.FILLS: lambda feed, s: parse.fill(feed, ACCOUNT, Source.STREAM, NOW_NS),
    streams.POSITIONS: lambda feed, s: parse.position_report(feed, ACCOUNT, Source.STREAM, NOW_NS),
    streams.MINI: lambda feed, s: parse.ticker(feed, NOW_NS),
    streams.MINI_CHANGES: lambda feed, s: parse.ticker(feed, NOW_NS),
    streams.TICKER: lambda feed, s: parse.ticker(feed, NOW_NS),
    streams.BOOK: lambda feed, s: parse.book_snapshot(feed, reader(s), int(feed.event_time), NOW_NS),
    streams.TRADES: lambda feed, s: parse.trade(feed, reader(s), NOW_NS, replayed=False),
    streams.CANDLES: lambda feed, s: parse.bar(feed, 60, NOW_NS),
}


@pytest.mark.parametrize("sample", named("ws.feed."))
def test_a_stream_frame_becomes_a_model_event(sample: dict[str, Any]) -> None:
    codec = Codec(encoding(sample))
    frame = codec.incoming(raw(sample["value"]))
    assert frame.stream == sample["stream"]
    assert frame.selector
    assert STREAM_PARSERS[str(frame.stream)](codec.feed(str(frame.stream), frame.feed), sample)


@pytest.mark.parametrize(
    "sample",
    [p for p in named("ws.subscribe.request") + named("ws.unsubscribe.request") if p.id not in LEGACY_ENVELOPE],
)
def test_a_subscription_is_spelled_as_we_spell_it(sample: dict[str, Any]) -> None:
    codec = Codec(encoding(sample))
    value = sample["value"]
    method = value.get("method", value.get("m"))
    params = codec.form(objects.SubscribeParams)(stream=sample["stream"], selectors=[f"2147050003876484-{SYMBOL}"])
    assert json.loads(codec.request_head(method) + codec.encode(params) + codec.request_tail(123)) == value


@pytest.mark.parametrize("sample", named("ws.subscribe.response.full.live") + named("ws.unsubscribe.response"))
def test_a_subscription_answer_is_read(sample: dict[str, Any]) -> None:
    codec = Codec(encoding(sample))
    frame = codec.incoming(raw(sample["value"]))
    assert frame.id == sample["value"]["id"]
    result = codec.decode(frame.result, objects.SubscribeResult)
    assert result.stream == sample["stream"]
    assert result.subs or result.unsubs


@pytest.mark.parametrize("sample", named("ws.error"))
def test_a_socket_error_is_recognised_in_every_envelope(sample: dict[str, Any]) -> None:
    frame = Codec(encoding(sample)).incoming(raw(sample["value"]))
    code = frame.error.code if frame.error is not None else frame.code
    assert code in {1000, 3000}


@pytest.mark.parametrize("sample", named("rest.error"))
def test_a_rest_error_is_read(sample: dict[str, Any]) -> None:
    error = Codec(encoding(sample)).decode(raw(sample["value"]), objects.WireError)
    assert error.code == (sample["value"].get("code") or sample["value"].get("c"))
    assert error.status >= 400


def test_the_legacy_envelope_is_not_spoken() -> None:
    for name in LEGACY_ENVELOPE:
        frame = Codec().incoming(raw(BY_NAME[name]["value"]))
        assert frame.id is None
        assert not bytes(frame.result)


def test_the_answer_to_a_create_over_the_socket_nests_and_lacks_members() -> None:
    (parameter,) = named("ws.rpc.create_order.response.full.live")
    codec = Codec()
    frame = codec.incoming(raw(parameter.values[0]["value"]))
    assert (frame.id, frame.method) == (2, None)
    reply = codec.decode(frame.result, routes.Result[objects.WireOrder])
    report = parse.order_report(reply.result, ACCOUNT, Source.REPLY, NOW_NS)
    assert (report.status, report.client_order_id, report.venue_order_id) == (VenueStatus.OPEN, 123, None)


def test_login_request_and_answers() -> None:
    login = {p.id: p.values[0]["value"] for p in named("rest.auth")}
    assert login["rest.auth.api_key_login.request"]["path"] == routes.LOGIN_PATH
    good = login["rest.auth.api_key_login.response"]
    read = read_login(good["status"], CIMultiDict(good["headers"]), raw(good["body"]), 1_795_249_200 * 10**9)
    assert (read.account_id, read.cookie.reveal()) == ("ACC:EXAMPLE", "EXAMPLE")
    bad = login["rest.auth.login_failure.response"]
    with pytest.raises(AuthError):
        read_login(bad["status"], CIMultiDict(), raw(bad["body"]), NOW_NS)


def signed_by_a_client(sample: dict[str, Any]) -> tuple[dict[str, Any], int]:
    value = sample["value"]
    body = value["params"] if "params" in value else value["body"]
    return body["order"], CHAIN_IDS["ccxt" if ".ccxt." in sample["name"] else "pysdk"]


@pytest.mark.parametrize(
    "sample",
    [p for p in named("client.", "create") if p.id not in NOT_A_VENUE_VALUE],
)
def test_an_order_captured_from_another_client_is_what_we_would_have_signed(sample: dict[str, Any]) -> None:
    order, chain_id = signed_by_a_client(sample)
    leg, signature = order["legs"][0], order["signature"]
    price = Decimal(leg["limit_price"] or "0")
    builder = order.get("builder")
    struct_hash = signing.order_struct_hash(
        sub_account_id=int(order["sub_account_id"]),
        is_market=order["is_market"],
        tif=signing.SignedTif[order["time_in_force"]],
        post_only=order["post_only"],
        reduce_only=order["reduce_only"],
        legs=[signing.Leg(0x030501, int(Decimal(leg["size"]) * 10**9), int(price * 10**9), leg["is_buying_asset"])],
        nonce=signature["nonce"],
        expiration=int(signature["expiration"]),
        builder=None if builder is None else signing.Builder(builder, int(Decimal(order["builder_fee"]) * 10**4)),
    )
    digest = signing.keccak(b"\x19\x01" + signing.domain_separator(chain_id) + struct_hash)
    rsv = bytes.fromhex(signature["r"][2:] + signature["s"][2:]) + bytes([signature["v"] - 27])
    public = coincurve.PublicKey.from_signature_and_message(rsv, digest, hasher=None)
    recovered = signing.checksum_address(signing.keccak(public.format(compressed=False)[1:])[-20:])
    assert recovered.lower() == signature["signer"].lower()


def test_another_clients_requests_have_the_shape_of_ours() -> None:
    (cancel,) = named("client.rest.pysdk_ccxt.cancel_by_client_id")
    body = cancel.values[0]["value"]["body"]
    assert (
        json.loads(
            Codec().encode(routes.CancelRequest(body["sub_account_id"], client_order_id="5", time_to_live_ms="500"))
        )
        == body
    )
    (instruments,) = named("client.rest.pysdk_ccxt.instruments")
    body = instruments.values[0]["value"]["body"]
    assert json.loads(Codec().encode(routes.InstrumentsRequest(["PERPETUAL"], True, 1000))) == body
    (wallet,) = named("client.rest.ccxt.wallet_login")
    body = wallet.values[0]["value"]["body"]
    signature = body["signature"]
    struct_hash = signing.wallet_login_struct_hash(
        signer=body["address"], nonce=signature["nonce"], expiration=int(signature["expiration"])
    )
    digest = signing.keccak(b"\x19\x01" + signing.domain_separator(CHAIN_IDS["ccxt"]) + struct_hash)
    rsv = bytes.fromhex(signature["r"][2:] + signature["s"][2:]) + bytes([signature["v"] - 27])
    public = coincurve.PublicKey.from_signature_and_message(rsv, digest, hasher=None)
    assert signing.keccak(public.format(compressed=False)[1:])[-20:].hex() == body["address"][2:]


def test_a_value_that_the_venue_does_not_have_cannot_be_signed() -> None:
    for name in NOT_A_VENUE_VALUE:
        order, _ = signed_by_a_client(BY_NAME[name])
        assert order["time_in_force"] not in signing.SignedTif.__members__


def test_the_live_instrument_row_becomes_an_instrument() -> None:
    (parameter,) = named("rest.instrument_row.full.live")
    found = parse.instrument(Codec().decode(raw(parameter.values[0]["value"]), objects.WireInstrument))
    assert (found.symbol, found.tick, found.lot, found.min_notional) == (SYMBOL, Decimal("0.1"), Decimal("0.001"), 100)
    assert (found.venue_asset_id, found.qty_decimals, found.funding_interval_h) == ("0x030501", 9, 8)
    assert found.max_position_qty == 1000


def feed_of(name: str) -> Any:
    sample = BY_NAME[name]
    codec = Codec(encoding(sample))
    frame = codec.incoming(raw(sample["value"]))
    return codec.feed(str(frame.stream), frame.feed)


def test_signs_of_a_live_taker_fill_and_a_live_maker_rebate() -> None:
    taker = parse.fill(feed_of("ws.feed.fill.full.live"), ACCOUNT, Source.STREAM, NOW_NS)
    assert (taker.fee, taker.fee_currency, taker.is_taker, taker.side) == (Decimal("0.040263"), "USDT", True, Side.BUY)
    (maker,) = read_reply(BY_NAME["rest.fill_history_maker.response.full.live"])
    assert (maker.fee, maker.is_taker) == (Decimal("-0.00009"), False)


def test_funding_is_received_when_the_venue_says_it_was_paid_negative() -> None:
    (paid,) = read_reply(BY_NAME["rest.funding_payment_history.response.full"])
    venue_amount = Decimal(BY_NAME["rest.funding_payment_history.response.full"]["value"]["result"][0]["amount"])
    assert paid.amount == -venue_amount


def test_a_funding_rate_in_percentage_points_is_a_fraction() -> None:
    (rate,) = read_reply(BY_NAME["rest.funding.response.full.live"])
    assert rate.rate == Decimal("-0.000034")
    assert parse.ticker(feed_of("ws.feed.ticker_snap.full.live"), NOW_NS).funding_rate == Decimal("0.0001")


def test_full_and_lite_of_one_message_give_the_same_event() -> None:
    pairs = [(name, name.replace(".full", ".lite")) for name in BY_NAME if name.endswith("response.full")]
    compared = 0
    for full, lite in pairs:
        if lite in BY_NAME and full not in CONTRADICTS_LIVE_TYPES:
            one, two = read_reply(BY_NAME[full]), read_reply(BY_NAME[lite])
            assert msgspec.to_builtins(one) == msgspec.to_builtins(two)
            compared += 1
    assert compared >= 8


def test_a_mini_ticker_change_leaves_the_rest_as_it_was() -> None:
    whole = feed_of("ws.feed.mini_snap.full.live")
    after = parse.ticker_after(whole, feed_of("ws.feed.mini_delta.full.live"))
    assert (after.index_price, after.best_ask_size) == ("87820.929569614", "5.708")
    assert (after.mark_price, after.best_bid_price) == (whole.mark_price, whole.best_bid_price)
    emptied = parse.ticker_after(whole, objects.WireTicker("1", SYMBOL, last_price="", best_bid_size="0"))
    assert (emptied.last_price, emptied.best_bid_size) == (None, "0")


def test_no_sample_is_left_out() -> None:
    refused = CONTRADICTS_LIVE_TYPES.keys() | LEGACY_ENVELOPE | ROUTE_NOT_OURS | NOT_A_VENUE_VALUE.keys()
    assert set(BY_NAME) == HANDLED | TESTED_BY_NAME | refused
