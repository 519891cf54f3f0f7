"""The second venue's routes, orders, histories and account, as a client meets them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from perpmaker.exchange.backpack.routes import ROUTES

from .backpack_client import ETH, INSTRUCTIONS, BackpackClient

BTC, SOL, RATE = "BTC_USDC_PERP", "SOL_USDC_PERP", "USDT_USDC"
ASKED: dict[str, dict[str, Any]] = {
    "depth": {"symbol": ETH, "limit": 5},
    "ticker": {"symbol": ETH},
    "klines": {"symbol": ETH, "interval": "1m", "startTime": 0},
    "trades": {"symbol": ETH, "limit": 10},
    "tradesHistory": {"symbol": ETH, "limit": 10, "offset": 1},
    "fundingRates": {"symbol": ETH, "limit": 5},
    "orderCancelAll": {"symbol": ETH},
}
NEEDS_MORE = {"orderExecute", "orderExecuteBatch", "orderQuery", "orderCancel"}


def test_signed_routes_are_those_of_the_page() -> None:
    assert {(row.method, row.path): row.instruction for row in ROUTES if row.instruction} == INSTRUCTIONS


async def test_every_route_answers(pair: BackpackClient) -> None:
    for route in ROUTES:
        if route.op in NEEDS_MORE:
            continue
        answer = await pair.call(route.method, route.path, ASKED.get(route.op))
        if route.served:
            assert answer.status == 200, (route, answer.body)
        else:
            assert (answer.status, answer.body["code"]) == (400, "NOT_IMPLEMENTED")
    answer = await pair.call("GET", "/api/v1/nothing")
    assert (answer.status, answer.body["code"]) == (404, "RESOURCE_NOT_FOUND")


async def test_public_routes_say_what_the_page_says(pair: BackpackClient) -> None:
    assert await pair.get("/api/v1/ping") == "pong"
    assert int(await pair.get("/api/v1/time")) > 1_700_000_000_000
    assert await pair.get("/api/v1/status") == {"status": "Ok", "message": None}
    markets = {row["symbol"]: row for row in await pair.get("/api/v1/markets")}
    assert {name: row["marketType"] for name, row in markets.items()} == {
        BTC: "PERP",
        ETH: "PERP",
        SOL: "PERP",
        RATE: "SPOT",
    }
    eth = markets[ETH]
    assert (eth["baseSymbol"], eth["quoteSymbol"], eth["orderBookState"], eth["visible"]) == (
        "ETH",
        "USDC",
        "Open",
        True,
    )
    assert eth["filters"]["price"]["tickSize"] == "0.05"
    assert eth["filters"]["quantity"] | {"maxQuantity": None} == {
        "minQuantity": "0.02",
        "maxQuantity": None,
        "stepSize": "0.001",
    }
    assert (eth["fundingInterval"], eth["imfFunction"]["type"]) == (3_600_000, "sqrt")
    book = await pair.get("/api/v1/depth", symbol=ETH, limit=20)
    asks, bids = ([Decimal(px) for px, _ in book[side]] for side in ("asks", "bids"))
    assert asks == sorted(asks)
    assert bids == sorted(bids)
    assert max(bids) < min(asks)
    assert len(bids) == len(asks) == 20
    assert book["timestamp"] > 1_700_000_000_000_000
    (mark,) = await pair.get("/api/v1/markPrices", symbol=BTC)
    assert mark.keys() == {"symbol", "fundingRate", "indexPrice", "markPrice", "nextFundingTimestamp"}
    assert {row["symbol"] for row in await pair.get("/api/v1/markPrices")} == {BTC, ETH, SOL}


async def test_conversion_is_near_one_and_takes_no_orders(pair: BackpackClient) -> None:
    bid, ask = await pair.touch(RATE)
    assert Decimal("0.998") < bid < ask < Decimal("1.002")
    order = pair.order(px="0.9", qty="100") | {"symbol": RATE}
    assert (await pair.call("POST", "/api/v1/order", order)).body["code"] == "INVALID_MARKET"


async def test_resting_order_is_seen_and_cancelled(pair: BackpackClient) -> None:
    order = await pair.rest(clientId=7, qty="0.05")
    assert order | {"createdAt": 0} == {
        "id": order["id"],
        "clientId": 7,
        "symbol": ETH,
        "side": "Bid",
        "orderType": "Limit",
        "price": "2000.0",
        "quantity": "0.05",
        "executedQuantity": "0.0",
        "executedQuoteQuantity": "0.0",
        "status": "New",
        "timeInForce": "GTC",
        "postOnly": True,
        "reduceOnly": False,
        "selfTradePrevention": "RejectTaker",
        "createdAt": 0,
        "triggerPrice": None,
        "triggerQuantity": None,
        "systemOrderType": None,
    }
    assert isinstance(order["createdAt"], int)
    assert await pair.get("/api/v1/orders") == [order]
    assert await pair.get("/api/v1/orders", symbol=BTC) == []
    assert await pair.get("/api/v1/order", symbol=ETH, clientId=7) == order
    cancelled = await pair.ok("DELETE", "/api/v1/order", {"symbol": ETH, "clientId": 7})
    assert cancelled == order | {"status": "Cancelled"}
    again = await pair.call("DELETE", "/api/v1/order", {"symbol": ETH, "orderId": order["id"]})
    assert (again.status, again.body["code"]) == (404, "RESOURCE_NOT_FOUND")
    (kept,) = await pair.get("/wapi/v1/history/orders", orderId=order["id"])
    assert (kept["status"], kept["createdAt"][10]) == ("Cancelled", "T")


async def test_market_order_is_filled_and_closed_and_the_books_agree(pair: BackpackClient) -> None:
    bought = await pair.place("Bid", qty="0.5")
    assert (bought["status"], bought["executedQuantity"], bought["price"]) == ("Filled", "0.5", None)
    (position,) = await pair.get("/api/v1/position")
    assert (position["netQuantity"], position["netExposureQuantity"]) == ("0.5", "0.5")
    assert Decimal(position["breakEvenPrice"]) > Decimal(position["entryPrice"])
    capital = (await pair.get("/api/v1/capital"))["USDC"]
    books = await pair.ledger()
    assert Decimal(capital["available"]) + Decimal(capital["locked"]) == Decimal(books["balance"])
    assert Decimal(capital["locked"]) > 0
    sold = await pair.place("Ask", qty="0.5", reduceOnly=True)
    assert sold["status"] == "Filled"
    assert await pair.get("/api/v1/position") == []
    books = await pair.ledger()
    fills = await pair.get("/wapi/v1/history/fills", fillType="User")
    assert {str(row["tradeId"]) for row in fills} == {row["trade_id"] for row in books["fills"]}
    assert sum(Decimal(row["fee"]) for row in fills) == Decimal(books["fees"])
    assert {row["orderId"] for row in fills} == {bought["id"], sold["id"]}
    assert all(row["feeSymbol"] == "USDC" and not row["isMaker"] and row["timestamp"][10] == "T" for row in fills)
    mine = await pair.get("/wapi/v1/history/fills", orderId=sold["id"])
    assert {row["orderId"] for row in mine} == {sold["id"]}
    assert len(await pair.get("/wapi/v1/history/fills", limit=1, offset=1)) == 1
    assert (await pair.get("/api/v1/capital"))["USDC"]["locked"] == "0.0"


async def test_short_position_is_negative(pair: BackpackClient) -> None:
    await pair.place("Ask", qty="0.1")
    (position,) = await pair.get("/api/v1/position", symbol=ETH)
    assert (position["netQuantity"], position["netExposureQuantity"]) == ("-0.1", "0.1")
    assert Decimal(position["netCost"]) < 0


async def test_size_in_quote_currency_is_rounded_down_to_a_step(pair: BackpackClient) -> None:
    params = {"symbol": ETH, "side": "Bid", "orderType": "Market", "quoteQuantity": "300"}
    order = await pair.ok("POST", "/api/v1/order", params)
    spent = Decimal(order["executedQuoteQuantity"])
    assert Decimal(290) < spent <= 300


async def test_ioc_expires_and_fok_fills_whole_or_not_at_all(pair: BackpackClient) -> None:
    order = await pair.place(px="2000", timeInForce="IOC")
    assert (order["status"], order["executedQuantity"]) == ("Expired", "0.0")
    order = await pair.place(px="2590", qty="300", timeInForce="FOK")
    assert (order["status"], order["executedQuantity"]) == ("Expired", "0.0")
    _, ask = await pair.touch()
    order = await pair.place(px=str(ask + 20), qty="0.1", timeInForce="FOK")
    assert (order["status"], order["executedQuantity"]) == ("Filled", "0.1")


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"price": "9000", "postOnly": True}, "INVALID_ORDER", "Order would immediately match and take liquidity"),
        ({"price": "2000.01"}, "INVALID_PRICE", ""),
        ({"quantity": "0.0501"}, "INVALID_QUANTITY", ""),
        ({"quantity": "0.019"}, "INVALID_QUANTITY", ""),
        ({"quantity": "-1"}, "INVALID_QUANTITY", ""),
        ({"quantity": "many"}, "INVALID_CLIENT_REQUEST", "quantity"),
        ({"quantity": "1000"}, "INSUFFICIENT_MARGIN", ""),
        ({"symbol": "DOGE_USDC_PERP"}, "INVALID_SYMBOL", ""),
        ({"side": "Buy"}, "INVALID_CLIENT_REQUEST", "side"),
        ({"orderType": "Stop"}, "INVALID_CLIENT_REQUEST", "orderType"),
        ({"timeInForce": "DAY"}, "INVALID_CLIENT_REQUEST", "timeInForce"),
        ({"timeInForce": "IOC", "postOnly": True}, "INVALID_ORDER", "Post only"),
        ({"clientId": 4294967296}, "INVALID_CLIENT_REQUEST", "clientId"),
        ({"clientId": "x"}, "INVALID_CLIENT_REQUEST", "clientId"),
        ({"reduceOnly": True}, "INVALID_ORDER", "reduce"),
        ({"selfTradePrevention": "None"}, "INVALID_CLIENT_REQUEST", "selfTradePrevention"),
        ({"triggerPrice": "1000", "triggerQuantity": "1"}, "INVALID_ORDER", "Trigger orders are not offered"),
        ({"stopLossTriggerPrice": "1000"}, "INVALID_ORDER", "Trigger orders are not offered"),
        ({"quoteQuantity": "100"}, "INVALID_CLIENT_REQUEST", "quoteQuantity"),
    ],
)
async def test_wrong_order_is_refused_with_its_code(
    pair: BackpackClient, change: dict[str, Any], code: str, word: str
) -> None:
    answer = await pair.call("POST", "/api/v1/order", pair.order(px="2000") | change)
    assert (answer.status, answer.body["code"]) == (400, code)
    assert word in answer.body["message"]
    assert (await pair.ledger())["open_orders"] == []
    assert await pair.get("/wapi/v1/history/orders") == []


async def test_client_id_is_taken_while_its_order_is_open(pair: BackpackClient) -> None:
    await pair.rest(clientId=0)
    answer = await pair.call("POST", "/api/v1/order", pair.order(px="2000", clientId=0))
    assert answer.body["code"] == "INVALID_ORDER"
    assert (await pair.ok("DELETE", "/api/v1/order", {"symbol": ETH, "clientId": 0}))["clientId"] == 0
    assert (await pair.rest(clientId=0))["clientId"] == 0
    assert (await pair.rest())["clientId"] is None


async def test_batch_places_each_order_for_itself(pair: BackpackClient) -> None:
    orders = [pair.order(px="2000", clientId=1), pair.order(px="2000.01"), pair.order(px="2001", clientId=3)]
    answers = await pair.ok("POST", "/api/v1/orders", orders)
    assert [row.get("status", row.get("code")) for row in answers] == ["New", "INVALID_PRICE", "New"]
    cancelled = await pair.ok("DELETE", "/api/v1/orders", {"symbol": ETH})
    assert [(row["clientId"], row["status"]) for row in cancelled] == [(1, "Cancelled"), (3, "Cancelled")]
    assert await pair.get("/api/v1/orders") == []


@pytest.mark.parametrize(
    ("mode", "resting", "incoming"),
    [("RejectTaker", 1, "Cancelled"), ("RejectMaker", 0, "Expired"), ("RejectBoth", 0, "Cancelled")],
)
async def test_own_orders_never_meet_and_it_is_written_down(
    pair: BackpackClient, mode: str, resting: int, incoming: str
) -> None:
    bid, ask = await pair.touch()
    inside = ask + 40
    await pair.place("Ask", px=str(inside), postOnly=True)
    await pair.control(
        "POST", "/faults", {"venue": "backpack", "action": "mode", "mode": "FROZEN", "match": {"symbol": ETH}}
    )
    await pair.control(
        "POST", "/faults", {"venue": "backpack", "action": "mode", "mode": "ACTIVE", "match": {"symbol": ETH}}
    )
    order = await pair.place("Bid", px=str(inside), qty="300", timeInForce="IOC", selfTradePrevention=mode)
    assert bid < inside
    assert order["status"] == incoming
    assert len(await pair.get("/api/v1/orders")) == resting
    books = await pair.control("GET", "/ledger")
    assert [row["reason"] for row in books["venues"]["backpack"]["violations"]] == ["SELF_MATCHED_SUBACCOUNT"]
    assert books["violations"] == []


async def test_leverage_is_the_accounts(pair: BackpackClient) -> None:
    assert await pair.get("/api/v1/account") == {"leverageLimit": "10"}
    answer = await pair.call("PATCH", "/api/v1/account", {"leverageLimit": "5"})
    assert (answer.status, answer.body) == (200, "")
    assert (await pair.get("/api/v1/account"))["leverageLimit"] == "5"
    await pair.place(qty="0.1")
    assert (await pair.get("/api/v1/position"))[0]["imf"] == "0.2"
    answer = await pair.call("PATCH", "/api/v1/account", {"leverageLimit": "51"})
    assert answer.body["code"] == "MAX_LEVERAGE_REACHED"


async def test_funding_is_paid_and_in_the_history(pair: BackpackClient) -> None:
    await pair.place(qty="1")
    order = {"venue": "backpack", "instrument": ETH, "rate": "0.01"}
    await pair.control("POST", "/mark", {"venue": "backpack", "instrument": ETH, "price": "2600"})
    (settled,) = (await pair.control("POST", "/funding", order))["settled"]
    assert settled["instrument"] == ETH
    (row,) = await pair.get("/wapi/v1/history/funding")
    assert (row["symbol"], row["fundingRate"], Decimal(row["quantity"])) == (ETH, "0.0001", Decimal("-0.26"))
    assert (await pair.get("/api/v1/fundingRates", symbol=ETH))[0]["fundingRate"] == "0.0001"
    assert Decimal((await pair.ledger())["funding"]) == Decimal("0.26")
    assert (await pair.get("/api/v1/position"))[0]["cumulativeFundingPayment"] == "-0.26"
