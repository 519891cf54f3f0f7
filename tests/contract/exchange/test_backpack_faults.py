"""Faults of the second venue: what a pair's hedge may meet. The first venue feels none of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from .backpack_client import ETH, BackpackClient
from .client import Client


async def post(pair: BackpackClient, **rule: Any) -> int:
    return int((await pair.control("POST", "/faults", {"venue": "backpack", **rule}))["id"])


async def hits(pair: BackpackClient, number: int) -> int:
    report = await pair.control("GET", "/faults")
    return next(int(row["hits"]) for row in report["rules"] if row["id"] == number)


async def silence(awaitable: Any) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(awaitable, 0.3)


@pytest.mark.parametrize(
    ("action", "executed", "made"), [("drop_request", True, 0), ("drop_response", True, 1), ("drop_response", False, 0)]
)
async def test_answer_is_lost_executed_or_not(pair: BackpackClient, action: str, executed: bool, made: int) -> None:
    number = await post(pair, action=action, executed=executed, match={"op": "orderExecute"}, until={"hits": 1})
    await silence(pair.call("POST", "/api/v1/order", pair.order(px="2000")))
    assert await hits(pair, number) == 1
    assert len((await pair.ledger())["open_orders"]) == made
    await pair.rest()


async def test_answer_is_lost_with_the_connection(pair: BackpackClient) -> None:
    await post(pair, action="drop_response", how="reset", match={"op": "orderExecute"}, until={"hits": 1})
    with pytest.raises(aiohttp.ClientConnectionError):
        await pair.call("POST", "/api/v1/order", pair.order(px="2000"))
    assert len((await pair.ledger())["open_orders"]) == 1


@pytest.mark.parametrize(("executed", "made"), [(True, 1), (False, 0)])
async def test_unknown_error_whether_or_not_it_was_executed(pair: BackpackClient, executed: bool, made: int) -> None:
    await post(pair, action="http", executed=executed, match={"op": "orderExecute", "symbol": ETH}, until={"hits": 1})
    answer = await pair.call("POST", "/api/v1/order", pair.order(px="2000"))
    assert (answer.status, answer.body["code"]) == (503, "SERVER_ERROR")
    assert len((await pair.ledger())["open_orders"]) == made


async def test_error_of_choice(pair: BackpackClient) -> None:
    await post(pair, action="http", code="MAINTENANCE", executed=False, match={"op": "orderExecute"}, until={"hits": 1})
    answer = await pair.call("POST", "/api/v1/order", pair.order(px="2000"))
    assert (answer.status, answer.body["code"]) == (503, "MAINTENANCE")


async def test_venue_is_down_and_comes_back_while_the_other_goes_on(pair: BackpackClient) -> None:
    down = await post(pair, action="drop_request", how="reset", match={"op": "*"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await pair.call("GET", "/api/v1/position")
    with pytest.raises(aiohttp.ClientError):
        async with pair.socket():
            pass
    first = Client(pair.http, pair.line)
    await first.log_in()
    await first.create(px="50000.0", post_only=True)
    await pair.control("DELETE", f"/faults/{down}")
    assert await pair.get("/api/v1/position") == []


async def test_venue_is_slow_before_and_after(pair: BackpackClient) -> None:
    rule = await post(pair, action="delay", request_ms=1_500, match={"op": "orderExecute"})
    call = asyncio.create_task(pair.call("POST", "/api/v1/order", pair.order(px="2000")))
    await asyncio.sleep(0.05)
    assert (await pair.ledger())["open_orders"] == []
    assert (await call).status == 200
    await pair.control("DELETE", f"/faults/{rule}")
    await post(pair, action="delay", response_ms=1_500, match={"op": "orderExecute"})
    async with pair.socket() as ws:
        await ws.listen("account.orderUpdate")
        call = asyncio.create_task(pair.call("POST", "/api/v1/order", pair.order(px="2000")))
        await ws.data("account.orderUpdate")
        assert not call.done()
        assert (await call).status == 200


async def test_burst_of_rate_limit_refusals(pair: BackpackClient) -> None:
    await post(pair, action="burst_429", match={"op": "orderQueryAll"}, until={"hits": 2})
    answers = [await pair.call("GET", "/api/v1/orders") for _ in range(3)]
    assert [row.status for row in answers] == [429, 429, 200]
    assert answers[0].body["code"] == "TOO_MANY_REQUESTS"


async def test_cancel_is_accepted_first_and_executed_later(pair: BackpackClient) -> None:
    order = await pair.rest()
    await post(pair, action="defer", ms=1_000, match={"op": "orderCancel"}, until={"hits": 1})
    answer = await pair.call("DELETE", "/api/v1/order", {"symbol": ETH, "orderId": order["id"]})
    assert (answer.status, answer.body["status"]) == (202, "New")
    assert len((await pair.ledger())["open_orders"]) == 1
    await pair.until(lambda books: not books["open_orders"])


async def test_reply_with_a_bad_number_a_crossed_book_or_rows_missing(pair: BackpackClient) -> None:
    await post(pair, action="bad_number", match={"op": "position" + "Query"}, field="netQuantity", until={"hits": 1})
    await pair.place(qty="0.05")
    assert (await pair.get("/api/v1/position"))[0]["netQuantity"] == "NaN"
    assert (await pair.get("/api/v1/position"))[0]["netQuantity"] == "0.05"
    await post(pair, action="crossed", match={"op": "depth"}, until={"hits": 1})
    bid, ask = await pair.touch()
    assert bid > ask
    await post(pair, action="truncate", rows=0, match={"op": "fillHistoryQueryAll"}, until={"hits": 1})
    assert await pair.get("/wapi/v1/history/fills") == []
    assert await pair.get("/wapi/v1/history/fills") != []


@pytest.mark.parametrize("abort", [True, False])
async def test_sockets_are_closed_by_kind(pair: BackpackClient, abort: bool) -> None:
    async with pair.socket() as private, pair.socket() as public:
        await public.listen(f"bookTicker.{ETH}")
        await private.listen("account.orderUpdate")
        await pair.rest()
        await private.data("account.orderUpdate")
        rule = {"venue": "backpack", "action": "close", "sockets": "private", "abort": abort}
        assert (await pair.control("POST", "/faults", rule))["closed"] == 1
        with pytest.raises(ConnectionError):
            await private.next()
        await public.data(f"bookTicker.{ETH}")


async def test_gap_breaks_the_sequence_once(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await ws.listen(f"depth.{ETH}")
        before = await ws.data(f"depth.{ETH}")
        await post(pair, action="gap", frames=1, match={"stream": "depth", "symbol": ETH})
        breaks = 0
        for _ in range(10):
            after = await ws.data(f"depth.{ETH}")
            breaks += after["U"] != before["u"] + 1
            before = after
        assert breaks == 1


async def test_counters_start_again_as_after_a_failover(pair: BackpackClient) -> None:
    await pair.rest()
    async with pair.socket() as ws:
        await ws.listen(f"depth.{ETH}")
        before = await ws.data(f"depth.{ETH}")
        assert (await pair.control("POST", "/faults", {"venue": "backpack", "action": "fail_over"}))["cancelled"] == 1
        after = await ws.data(f"depth.{ETH}", lambda data: data["U"] != before["u"] + 1 and data["u"] < before["u"])
        assert after["u"] < before["u"]


async def test_mute_and_duplicate_and_spoiled_frames(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await ws.listen("account.orderUpdate")
        await post(pair, action="mute", match={"stream": "account.orderUpdate"}, until={"hits": 1})
        await post(pair, action="duplicate", match={"stream": "account.orderUpdate", "nth": 2}, until={"hits": 1})
        lost, twice = await pair.rest(), await pair.rest()
        assert [(await ws.data("account.orderUpdate"))["i"] for _ in range(2)] == [twice["id"]] * 2
        assert lost["id"] != twice["id"]
        await ws.listen(f"bookTicker.{ETH}", f"depth.{ETH}")
        await post(pair, action="bad_number", match={"stream": "bookTicker"}, until={"hits": 1})
        await ws.data(f"bookTicker.{ETH}", lambda data: "NaN" in (data["a"], data["b"]))
        await post(pair, action="crossed", match={"stream": "bookTicker"}, until={"hits": 1})
        await ws.data(f"bookTicker.{ETH}", lambda data: Decimal(data["b"]) > Decimal(data["a"]))


async def test_subscription_and_upgrade_are_refused(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await post(pair, action="http", executed=False, match={"op": "subscribe"}, until={"hits": 1})
        await ws.listen(f"depth.{ETH}")
        assert (await ws.next())["error"]["code"] == 4001
    await post(pair, action="http", executed=False, match={"op": "ws"}, until={"hits": 1})
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with pair.socket():
            pass


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"venue": "kraken", "action": "mute"}, "kraken"),
        ({"venue": "backpack", "action": "http", "match": {"op": "create_order"}}, "orderExecute"),
        ({"venue": "backpack", "action": "mute", "match": {"stream": "v1.book.d"}}, "bookTicker"),
        ({"venue": "backpack", "action": "mute", "match": {"symbol": "ETH_USDT_Perp"}}, ETH),
        ({"venue": "backpack", "action": "expire_cookie"}, "no sessions"),
    ],
)
async def test_rule_that_could_never_hit_is_named(pair: BackpackClient, rule: dict[str, Any], word: str) -> None:
    async with pair.http.post(f"{pair.line['control']}/faults", json=rule) as response:
        assert response.status == 400
        assert word in (await response.json())["error"]
    assert (await pair.control("GET", "/faults"))["rules"] == []


async def test_ledger_and_health_keep_the_first_venues_members(pair: BackpackClient) -> None:
    books = await pair.control("GET", "/ledger")
    assert list(books) == ["now_ns", "accounts", "violations", "venues"]
    assert {row["currency"] for row in books["accounts"]} == {"USDT"}
    assert {row["currency"] for row in books["venues"]["backpack"]["accounts"]} == {"USDC"}
    health = await pair.control("GET", "/health")
    assert "BTC_USDT_Perp" in health["markets"]
    assert health["venues"]["backpack"]["markets"][ETH] == "ACTIVE"
