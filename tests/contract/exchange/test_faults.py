"""Each fault as a client meets it, over HTTP and over the socket, and that the exchange can prove it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from .client import WAIT_S, Client

BTC = "BTC_USDT_Perp"


async def post(client: Client, **rule: Any) -> int:
    return int((await client.control("POST", "/faults", rule))["id"])


async def hits(client: Client, number: int) -> int:
    report = await client.control("GET", "/faults")
    return next(int(row["hits"]) for row in report["rules"] if row["id"] == number)


async def silence(awaitable: Any) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(awaitable, 0.3)


@pytest.mark.parametrize(
    ("action", "executed", "made"), [("drop_request", True, 0), ("drop_response", True, 1), ("drop_response", False, 0)]
)
@pytest.mark.parametrize("way", ["http", "socket"])
async def test_answer_to_a_creation_is_lost_accepted_or_not(
    client: Client, action: str, executed: bool, made: int, way: str
) -> None:
    number = await post(client, action=action, executed=executed, match={"op": "create_order"}, until={"hits": 1})
    order = {"order": client.order(px="50000.0", post_only=True)}
    async with client.socket() as ws:
        await silence(client.call("create_order", order) if way == "http" else ws.ask("v1/create_order", order))
        assert await hits(client, number) == 1
        assert len((await client.ledger())["open_orders"]) == made
        reply = await ws.ask("v1/create_order", {"order": client.order(px="50000.0", post_only=True)})
        assert "result" in reply


async def test_answer_lost_with_the_connection(client: Client) -> None:
    await post(client, action="drop_response", how="reset", match={"op": "create_order"}, until={"hits": 2})
    order = {"order": client.order(px="50000.0", post_only=True)}
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.call("create_order", order)
    assert len((await client.ledger())["open_orders"]) == 1
    async with client.socket() as ws:
        with pytest.raises(ConnectionError):
            await ws.ask("v1/create_order", {"order": client.order(px="50000.0", post_only=True)})
    assert len((await client.ledger())["open_orders"]) == 2


@pytest.mark.parametrize(("executed", "made"), [(True, 1), (False, 0)])
async def test_error_code_for_an_order_that_was_made_or_not(client: Client, executed: bool, made: int) -> None:
    await post(client, action="http", code=1002, executed=executed, match={"op": "create_order"}, until={"hits": 1})
    answer = await client.call("create_order", {"order": client.order(px="50000.0", post_only=True)})
    assert (answer.status, answer.body["code"]) == (500, 1002)
    assert len((await client.ledger())["open_orders"]) == made


async def test_error_with_a_status_or_a_body_of_its_own(client: Client) -> None:
    await post(client, action="http", code=1009, status=504, match={"op": "positions"}, until={"hits": 1})
    assert (await client.call("positions", {"sub_account_id": client.sub})).status == 504
    failure = {"status": "failure", "error": "nope"}
    await post(client, action="http", body=failure, match={"op": "login"}, until={"hits": 1})
    answer = await client.post(f"{client.line['edge']}/auth/api_key/login", {"api_key": client.keys["api_key"]})
    assert (answer.status, answer.body) == (200, failure)
    assert "Set-Cookie" not in answer.headers


async def test_burst_of_rate_limit_refusals(client: Client) -> None:
    await post(client, action="burst_429", match={"op": "order"}, until={"hits": 3})
    codes = [
        (await client.call("order", {"sub_account_id": client.sub, "client_order_id": "5"})).status for _ in range(4)
    ]
    assert codes == [429, 429, 429, 404]


async def test_delay_before_and_after_execution(client: Client) -> None:
    rule = await post(client, action="delay", request_ms=1500, match={"op": "create_order"})
    call = asyncio.create_task(client.call("create_order", {"order": client.order(px="50000.0", post_only=True)}))
    await asyncio.sleep(0.05)
    assert (await client.ledger())["open_orders"] == []
    assert (await call).status == 200
    await client.control("DELETE", f"/faults/{rule}")
    await post(client, action="delay", response_ms=1500, match={"op": "create_order"})
    async with client.socket() as ws:
        await ws.subscribe("v1.state", client.sub)
        call = asyncio.create_task(client.call("create_order", {"order": client.order(px="50000.0", post_only=True)}))
        await ws.frame("v1.state")
        assert not call.done()
        assert (await call).status == 200


async def test_cancel_acknowledged_first_and_executed_later(client: Client) -> None:
    order = await client.create(px="50000.0", post_only=True)
    await post(client, action="defer", ms=1500, match={"op": "cancel_order"})
    body = {"sub_account_id": client.sub, "client_order_id": order["metadata"]["client_order_id"]}
    assert await client.ok("cancel_order", body) == {"result": {"ack": True}}
    assert len((await client.ledger())["open_orders"]) == 1
    await client.until(lambda books: not books["open_orders"])


async def test_cancel_all_misses_what_is_in_flight(client: Client) -> None:
    await post(client, action="miss_pending", match={"op": "cancel_all_orders"}, until={"hits": 1})
    async with client.socket() as ws:  # both at once, so that the order is in flight when the cancel comes
        calls = [
            ("v1/create_order", {"order": client.order(px="50000.0")}),
            ("v1/cancel_all_orders", {"sub_account_id": client.sub}),
        ]
        for number, (method, params) in enumerate(calls, 1):
            await ws.ws.send_json({"jsonrpc": "2.0", "method": method, "params": params, "id": number})
        assert "result" in await ws.until(lambda message: message.get("id") == 2)
    await client.until(lambda books: [row["status"] for row in books["open_orders"]] == ["OPEN"])
    await client.ok("cancel_all_orders", {"sub_account_id": client.sub})
    await client.until(lambda books: not books["open_orders"])


async def test_reply_cut_short_or_with_a_bad_number(client: Client) -> None:
    account = {"sub_account_id": client.sub}
    for step in range(3):
        await client.create(px=f"{50_000 + step}.0", post_only=True)
    await post(client, action="truncate", rows=1, match={"op": "open_orders"}, until={"hits": 1})
    assert len((await client.ok("open_orders", account))["result"]) == 1
    assert len((await client.ok("open_orders", account))["result"]) == 3
    await post(client, action="bad_number", field="mark_price", match={"op": "ticker"}, until={"hits": 1})
    assert (await client.ok("ticker", {"instrument": BTC}))["result"]["mark_price"] == "NaN"
    await post(client, action="crossed", match={"op": "book"}, until={"hits": 1})
    book = (await client.ok("book", {"instrument": BTC, "depth": 10}))["result"]
    assert float(book["bids"][0]["price"]) > float(book["asks"][0]["price"])


async def test_query_that_hides_an_order_for_a_while(client: Client) -> None:
    order = await client.create(px="50000.0", post_only=True)
    body = {"sub_account_id": client.sub, "client_order_id": order["metadata"]["client_order_id"]}
    number = await post(client, action="http", code=1004, match={"op": "order"}, until={"ms": 3000})
    assert (await client.call("order", body)).status == 404
    async with asyncio.timeout(WAIT_S):
        while (await client.call("order", body)).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert await hits(client, number) >= 1


@pytest.mark.parametrize("abort", [True, False])
async def test_sockets_are_closed(client: Client, stranger: Client, abort: bool) -> None:
    async with client.socket() as private, client.http.ws_connect(f"{client.line['ws_market_data']}/ws/full") as public:
        answer = await client.control("POST", "/faults", {"action": "close", "sockets": "private", "abort": abort})
        assert answer["closed"] == 1
        with pytest.raises(ConnectionError):
            await private.next()
        await public.send_str("ping")
        assert (await public.receive()).type is aiohttp.WSMsgType.TEXT


async def test_sockets_are_refused_while_a_rule_says_so(client: Client) -> None:
    number = await post(client, action="http", code=1009, executed=False, match={"op": "ws"})
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.http.ws_connect(f"{client.line['ws_trades']}/ws/full")
    assert refused.value.status == 503
    await client.control("DELETE", f"/faults/{number}")
    async with client.socket():
        pass


async def test_subscription_is_refused(client: Client) -> None:
    await post(client, action="http", code=1002, executed=False, match={"op": "subscribe"}, until={"hits": 1})
    async with client.socket() as ws:
        assert (await ws.subscribe("v1.trade", f"{BTC}@50"))["error"]["code"] == 1002
        assert "result" in await ws.subscribe("v1.trade", f"{BTC}@50")


async def test_cookies_expire_and_a_login_helps(client: Client, other: Client) -> None:
    rule = {"action": "expire_cookie", "match": {"sub_account_id": client.sub}}
    assert (await client.control("POST", "/faults", rule))["expired"] == 1
    assert (await client.call("get_sub_accounts", {})).status == 401
    assert (await other.call("get_sub_accounts", {})).status == 200
    await client.log_in()
    assert (await client.call("get_sub_accounts", {})).status == 200


async def test_mute_stream_while_pings_are_answered(client: Client) -> None:
    async with client.socket() as ws:
        await ws.subscribe("v1.ticker.s", f"{BTC}@500")
        await ws.frame("v1.ticker.s")
        await post(client, action="mute", match={"stream": "v1.ticker.s", "symbol": BTC}, until={"ms": 1200})
        await silence(ws.frame("v1.ticker.s"))
    async with client.socket() as ws:
        reply = await ws.subscribe("v1.ticker.s", f"{BTC}@500")
        assert reply["result"]["num_snapshots"] == [1]
        frame = await ws.until(lambda message: message.get("sequence_number", "0") != "0")
        assert int(frame["sequence_number"]) >= 3


async def test_failover_cancels_orders_and_starts_the_counters_again(client: Client) -> None:
    await client.create(px="50000.0", post_only=True)
    async with client.socket() as ws:
        await ws.subscribe("v1.order", client.sub)
        assert (await client.control("POST", "/faults", {"action": "fail_over"}))["cancelled"] == 1
        frame = await ws.frame("v1.order")
        assert frame["feed"]["state"]["reject_reason"] == "SYSTEM_FAILOVER"
        assert frame["sequence_number"] == "1"


async def test_venue_cancels_for_a_reason_of_its_own(client: Client) -> None:
    await client.create(px="50000.0", post_only=True)
    rule = {"action": "cancel_orders", "reason": "LIQUIDATION", "match": {"sub_account_id": client.sub}}
    assert (await client.control("POST", "/faults", rule))["cancelled"] == 1
    (closed,) = (await client.ok("order_history", {"sub_account_id": client.sub}))["result"]
    assert closed["state"]["reject_reason"] == "LIQUIDATION"


async def test_market_halts_and_goes_on(client: Client) -> None:
    await client.control("POST", "/faults", {"action": "mode", "mode": "REDUCE_ONLY", "match": {"symbol": BTC}})
    assert (await client.call("create_order", {"order": client.order(px="50000.0")})).body["code"] == 7304
    await client.control("POST", "/faults", {"action": "mode", "mode": "ACTIVE", "match": {"symbol": BTC}})
    assert (await client.call("create_order", {"order": client.order(px="50000.0")})).status == 200
