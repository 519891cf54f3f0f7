"""Every route of the page, in both encodings and over the socket: types, names, and who may call it."""

from __future__ import annotations

from typing import Any

import pytest

from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA, Gateway, Route

from .client import Client, to_full

BTC = "BTC_USDT_Perp"
MARKET_REQUESTS: dict[str, Any] = {
    "instrument": {"instrument": BTC},
    "all_instruments": {"is_active": True},
    "instruments": {"kind": ["PERPETUAL"], "base": ["BTC", "ETH"], "quote": ["USDT"], "is_active": True, "limit": 100},
    "currency": {},
    "supported_assets": {},
    "margin_rules": {"instrument": BTC},
    "mini": {"instrument": BTC},
    "ticker": {"instrument": BTC},
    "book": {"instrument": BTC, "depth": 10},
    "trade": {"instrument": BTC, "limit": 50},
    "trade_history": {"instrument": BTC, "limit": 3},
    "kline": {"instrument": BTC, "interval": "CI_1_M", "type": "TRADE", "limit": 5},
    "funding": {"instrument": BTC, "agg_type": "FUNDING_INTERVAL"},
}
EMPTY_REQUESTS = {
    "aggregated_account_summary",
    "funding_account_summary",
    "get_sub_accounts",
    "get_authorized_builders",
}
MORE: dict[str, dict[str, Any]] = {
    "cancel_order": {"client_order_id": "77", "time_to_live_ms": "100"},
    "cancel_all_orders": {"kind": ["PERPETUAL"], "base": ["SOL"], "quote": ["USDT"]},
    "cancel_on_disconnect": {"countdown_time": "30000"},
    "set_initial_leverage": {"instrument": "SOL_USDT_Perp", "leverage": "5"},
    "fill_history": {"limit": 1},
    "position_history": {"status": ["CLOSED"], "is_long": True},
}
NOT_BY_TABLE = {"create_order", "bulk_orders", "order", "set_position_config", "authorize_builder"}
ALWAYS_REFUSED = {"get_position_margin_limits": 7455}
ROWS_EXPECTED = {
    "instruments",
    "all_instruments",
    "currency",
    "trade",
    "trade_history",
    "kline",
    "funding",
    "open_orders",
    "order_history",
    "fill_history",
    "funding_payment_history",
    "positions",
    "position_history",
    "get_all_initial_leverage",
    "get_sub_accounts",
    "get_authorized_builders",
}
BUILDER = "0x21d2a053495994b1132a38cd1171acec40c6741e"


async def request_of(route: Route, client: Client) -> Any:
    """A request that the route answers; where it must be signed, signed."""
    account = {"sub_account_id": client.sub}
    match route.name:
        case name if route.gateway is Gateway.MARKET:
            return MARKET_REQUESTS[name]
        case "create_order":
            return {"order": client.order(px="50000.0", post_only=True)}
        case "bulk_orders":
            return account | {"orders": [client.order(px="50000.0"), client.order(px="50001.0")]}
        case "order":
            made = await client.create(px="50002.0", post_only=True)
            return account | {"client_order_id": made["metadata"]["client_order_id"]}
        case "set_position_config":
            body = {"subAccountID": int(client.sub), "asset": 0x030401, "marginType": 2, "leverage": 7_000_000}
            types = [("subAccountID", "uint64"), ("asset", "uint256"), ("marginType", "uint8"), ("leverage", "int32")]
            signature = client.signature("SetSubAccountPositionMarginConfig", [*types, *TAIL], body)
            config = {"instrument": "ETH_USDT_Perp", "margin_type": "CROSS", "leverage": "7"}
            return account | config | {"signature": signature}
        case "authorize_builder":
            return authorization(client, "0x" + "b" * 40)
        case "get_position_margin_limits":
            return account | {"instrument": BTC}
        case name if name in EMPTY_REQUESTS:
            return {}
    return account | MORE.get(route.name, {})


TAIL = [("nonce", "uint32"), ("expiration", "int64")]


def authorization(client: Client, builder: str, rate: str = "0.01") -> dict[str, Any]:
    scaled = int(float(rate) * 10_000)
    accounts = {"mainAccountID": client.keys["main_account"], "builderAccountID": builder}
    body = {**accounts, "maxFutureFeeRate": scaled, "maxSpotFeeRate": scaled}
    types = [("mainAccountID", "address"), ("builderAccountID", "address")]
    rates = [("maxFutureFeeRate", "uint32"), ("maxSpotFeeRate", "uint32")]
    return {
        "main_account_id": client.keys["main_account"],
        "builder_account_id": builder,
        "max_futures_fee_rate": rate,
        "max_spot_fee_rate": rate,
        "signature": client.signature("AuthorizeBuilder", [*types, *rates, *TAIL], body),
    }


@pytest.fixture
async def busy(client: Client) -> Client:
    """A client with a position, a closed position, open and closed orders, fills, funding paid and a builder."""
    await client.ok("authorize_builder", authorization(client, BUILDER))
    await client.buy_at_market("0.01")
    await client.buy_at_market("0.1", "ETH_USDT_Perp")
    await client.create(buy=False, qty="0.1", instrument="ETH_USDT_Perp", reduce_only=True)
    await client.until(
        lambda books: (
            not any(row["instrument"] == "ETH_USDT_Perp" and row["qty"] != "0.0" for row in books["positions"])
        )
    )
    await client.create(px="50000.0", post_only=True)
    await client.control("POST", "/funding", {})
    return client


async def test_every_served_route_answers_by_its_schema_in_both_encodings(busy: Client) -> None:
    for route in ROUTES.values():
        if not route.served:
            continue
        version = route.path.partition("/")[0]
        for encoding in ("full", "lite"):
            body = await request_of(route, busy)
            if route.name == "authorize_builder" and encoding == "lite":
                body = authorization(busy, "0x" + "c" * 40)
            answer = await busy.call(route.name, body, encoding=encoding, version=version)
            if route.name in ALWAYS_REFUSED:
                assert answer.body["code" if encoding == "full" else "c"] == ALWAYS_REFUSED[route.name]
                continue
            assert answer.status == 200, (route.path, encoding, answer.body)
            message = answer.body if encoding == "full" else to_full(route.reply, answer.body)
            assert SCHEMA.defects(route.reply, message, route.path) == [], encoding
            if route.name in ROWS_EXPECTED:
                assert next(value for value in message.values() if isinstance(value, list)), route.path
            assert answer.headers["Content-Type"].startswith("application/json")


async def test_every_served_route_answers_over_the_socket_as_over_http(busy: Client) -> None:
    async with busy.socket() as ws:
        for route in ROUTES.values():
            if route.served and route.name not in ALWAYS_REFUSED and route.name != "authorize_builder":
                reply = await ws.ask(route.path, await request_of(route, busy))
                assert (reply["jsonrpc"], reply["method"]) == ("2.0", route.path)
                assert SCHEMA.defects(route.reply, reply["result"], route.path) == []


async def test_lite_socket_nests_its_results(busy: Client) -> None:
    async with busy.socket("/ws/lite") as ws:
        await ws.ws.send_json({"j": "2.0", "m": "v1/positions", "p": {"sa": busy.sub}, "i": 4})
        reply = await ws.until(lambda message: message.get("i") == 4)
        assert (reply["j"], reply["m"]) == ("2.0", "v1/positions")
        assert reply["r"]["r"][0]["i"] == BTC
        await ws.ws.send_json({"j": "2.0", "m": "v1/order", "p": {"sa": busy.sub, "co": "5"}, "i": 5})
        reply = await ws.until(lambda message: message.get("i") == 5)
        assert reply["e"]["c"] == 1004


@pytest.mark.parametrize(
    "route", [row for row in ROUTES.values() if row.gateway is Gateway.TRADING], ids=lambda r: r.name
)
async def test_trading_route_needs_a_login(stranger: Client, route: Route) -> None:
    version = route.path.partition("/")[0]
    answer = await stranger.call(route.name, {"sub_account_id": stranger.sub}, version=version)
    text = "You need to authenticate prior to using this functionality"
    assert (answer.status, answer.body) == (401, {"code": 1000, "message": text, "status": 401})
    lite = await stranger.call(route.name, {}, encoding="lite", version=version)
    assert (lite.status, lite.body["c"], lite.body["s"]) == (401, 1000, 401)


async def test_routes_out_of_scope_are_forbidden(client: Client) -> None:
    for route in ROUTES.values():
        if not route.served:
            answer = await client.call(route.name, {})
            assert (answer.status, answer.body["code"]) == (403, 1001), route.path


async def test_account_of_somebody_else_is_forbidden(client: Client, other: Client) -> None:
    for route in ROUTES.values():
        if route.served and any(member.name == "sub_account_id" for member in route.request):
            request = await request_of(route, other)
            version = route.path.partition("/")[0]
            answer = await client.call(route.name, request, version=version)
            assert (answer.status, answer.body["code"]) == (403, 1001), route.path


async def test_unknown_route_is_not_found(client: Client) -> None:
    answer = await client.post(f"{client.line['trades']}/full/v1/nothing", {})
    assert (answer.status, answer.body["code"]) == (404, 1004)
    answer = await client.post(f"{client.line['trades']}/elsewhere", {})
    assert (answer.status, answer.body["code"]) == (404, 1004)


@pytest.mark.parametrize(
    ("route", "body", "code"),
    [
        ("book", {"instrument": BTC, "depth": 11}, 3031),
        ("book", {"instrument": "DOGE_USDT_Perp", "depth": 10}, 3000),
        ("book", {"depth": 10}, 1003),
        ("trade", {"instrument": BTC, "limit": 1001}, 3011),
        ("kline", {"instrument": BTC, "interval": "CI_7_M", "type": "TRADE"}, 1003),
        ("instruments", {"kind": ["PERP"]}, 1003),
        ("instrument", {"instrument": "x"}, 3000),
    ],
)
async def test_wrong_market_request_is_answered_with_its_code(
    stranger: Client, route: str, body: Any, code: int
) -> None:
    answer = await stranger.call(route, body)
    assert answer.body["code"] == code
    assert answer.status == answer.body["status"] == 400


@pytest.mark.parametrize("raw", [b"[]", b"", b"nonsense", b'"x"', b"[" * 100_000])
async def test_body_that_is_no_object_is_malformed(stranger: Client, raw: bytes) -> None:
    url = f"{stranger.line['market_data']}/full/v1/currency"
    async with stranger.http.post(url, data=raw, headers={"Content-Type": "application/json"}) as response:
        assert (response.status, (await response.json())["code"]) == (400, 1003)


async def test_a_body_of_null_asks_for_what_needs_no_members(stranger: Client) -> None:
    url = f"{stranger.line['market_data']}/lite/v1/currency"
    async with stranger.http.post(url, data=b"null", headers={"Content-Type": "application/json"}) as response:
        assert response.status == 200


async def test_body_that_is_not_announced_as_json_is_malformed(stranger: Client) -> None:
    async with stranger.http.post(f"{stranger.line['market_data']}/full/v1/currency", data=b"{}") as response:
        assert (response.status, (await response.json())["code"]) == (400, 1003)


async def test_ccxt_style_empty_request_is_answered(stranger: Client) -> None:
    assert (await stranger.call("currency", {"": ""})).status == 200


async def test_instruments_are_filtered(stranger: Client) -> None:
    async def names(**request: Any) -> list[str]:
        return [row["instrument"] for row in (await stranger.ok("instruments", request))["result"]]

    assert await names() == ["BTC_USDT_Perp", "ETH_USDT_Perp", "SOL_USDT_Perp"]
    assert await names(base=["ETH"]) == ["ETH_USDT_Perp"]
    assert await names(quote=["USDC"]) == []
    assert await names(kind=["CALL"]) == []
    assert await names(limit=1) == ["BTC_USDT_Perp"]
    await stranger.control("POST", "/faults", {"action": "mode", "mode": "DELISTED", "match": {"symbol": BTC}})
    assert await names(is_active=True) == ["ETH_USDT_Perp", "SOL_USDT_Perp"]


async def test_time_is_in_milliseconds(stranger: Client) -> None:
    async with stranger.http.get(f"{stranger.line['market_data']}/time") as response:
        body = await response.json()
    assert isinstance(body["server_time"], int)
    assert 1_700_000_000_000 < body["server_time"] < 10_000_000_000_000


async def test_pages_of_history_join_without_gap_or_repetition(busy: Client) -> None:
    whole = (await busy.ok("fill_history", {"sub_account_id": busy.sub}))["result"]
    assert len(whole) >= 3
    cursor, found = "", []
    while True:
        page = await busy.ok("fill_history", {"sub_account_id": busy.sub, "limit": 1, "cursor": cursor})
        found += page["result"]
        cursor = page["next"]
        if not cursor:
            break
    assert found == whole
    only = await busy.ok("fill_history", {"sub_account_id": busy.sub, "instrument": "ETH_USDT_Perp"})
    assert {row["instrument"] for row in only["result"]} == {"ETH_USDT_Perp"}


async def test_summary_equals_the_ledger(busy: Client) -> None:
    summary = (await busy.ok("account_summary", {"sub_account_id": busy.sub}))["result"]
    books = await busy.ledger()
    (balance,) = summary["spot_balances"]
    assert balance["balance"] == books["balance"]
    fills = (await busy.ok("fill_history", {"sub_account_id": busy.sub}))["result"]
    assert [(row["trade_id"], row["fee"], row["price"]) for row in reversed(fills)] == [
        (row["trade_id"], row["fee"], row["px"]) for row in books["fills"]
    ]
