"""The control port: the books, funding, mark, and words for what is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .client import Client

BTC = "BTC_USDT_Perp"


async def test_health_names_the_instance_and_the_markets(client: Client) -> None:
    health = await client.control("GET", "/health")
    assert health["instance_id"] == client.line["instance_id"]
    assert health["markets"] == {BTC: "ACTIVE", "ETH_USDT_Perp": "ACTIVE", "SOL_USDT_Perp": "ACTIVE"}


async def test_ledger_is_made_of_strings_and_adds_up(client: Client) -> None:
    await client.buy_at_market()
    await client.create(px="50000.0", post_only=True)
    await client.control("POST", "/funding", {"instrument": BTC, "rate": "0.01"})
    books = await client.ledger()
    parts = {name: Decimal(books[name]) for name in ("deposits", "realized_pnl", "fees", "builder_fees", "funding")}
    paid = parts["fees"] + parts["builder_fees"] + parts["funding"]
    assert Decimal(books["balance"]) == parts["deposits"] + parts["realized_pnl"] - paid
    assert sum(Decimal(fill["fee"]) for fill in books["fills"]) == parts["fees"]
    assert sum(Decimal(row["amount"]) for row in books["funding_payments"]) == parts["funding"] > 0
    assert [row["px"] for row in books["open_orders"]] == ["50000.0"]
    assert (await client.control("GET", "/ledger"))["violations"] == []


async def test_funding_is_settled_at_the_asked_rate(client: Client) -> None:
    await client.buy_at_market("0.01")
    await client.control("POST", "/mark", {"instrument": BTC, "price": "60000"})
    (settled,) = (await client.control("POST", "/funding", {"instrument": BTC, "rate": "0.3"}))["settled"]
    assert settled["rate_cb"] == 3000
    (payment,) = (await client.ok("funding_payment_history", {"sub_account_id": client.sub}))["result"]
    assert Decimal(payment["amount"]) == Decimal("1.8")
    (rate,) = (await client.ok("funding", {"instrument": BTC}))["result"]
    assert (rate["funding_rate"], rate["mark_price"]) == ("0.3", "60000.0")


async def test_mark_is_held_and_released(client: Client) -> None:
    await client.control("POST", "/mark", {"instrument": BTC, "price": "12345.678"})
    assert (await client.ok("mini", {"instrument": BTC}))["result"]["mark_price"] == "12345.678"
    await client.control("POST", "/mark", {"instrument": BTC, "price": None})
    assert Decimal((await client.ok("mini", {"instrument": BTC}))["result"]["mark_price"]) > 50_000


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/mark", {"instrument": "DOGE_USDT_Perp", "price": "1"}, "DOGE_USDT_Perp"),
        ("/mark", {"instrument": BTC, "price": "-1"}, "above 0"),
        ("/mark", {"price": "1"}, "instrument"),
        ("/funding", {"instrument": "x"}, "BTC_USDT_Perp"),
        ("/funding", {"rate": "0.00001"}, "four decimals"),
        ("/funding", {"rates": "0.01"}, "rates"),
        ("/limits", {"kind": "nothing", "rate": 1, "burst": 1}, "create"),
        ("/limits", {"kind": "create", "rate": -1, "burst": 1}, "below 0"),
        ("/faults", {"action": "explode"}, "explode"),
        ("/faults", {"action": "mute", "match": {"symbol": "x"}}, "BTC_USDT_Perp"),
        ("/faults", {"action": "mute", "match": {"stream": "v1.books"}}, "v1.books"),
        ("/faults", {"action": "http", "match": {"op": "createorder"}}, "createorder"),
        ("/faults", {"action": "http", "match": {"stream": "v1.trade"}}, "for frames"),
        ("/faults", {"action": "mute", "match": {"op": "order"}}, "for requests"),
        ("/faults", {"action": "mode", "mode": "SLEEPY"}, "SLEEPY"),
        ("/faults", {"action": "cancel_orders", "reason": "WHY"}, "WHY"),
        ("/faults", {"action": "mute", "until": {"hit": 1}}, "hit"),
    ],
)
async def test_wrong_order_is_named(stranger: Client, path: str, body: Any, word: str) -> None:
    answer = await stranger.post(f"{stranger.line['control']}{path}", body)
    assert answer.status == 400
    assert word in answer.body["error"]


async def test_faults_are_listed_and_removed(stranger: Client) -> None:
    rule = {"action": "mute", "match": {"stream": "v1.trade"}, "until": {"hits": 3}}
    first = (await stranger.control("POST", "/faults", rule))["id"]
    second = (await stranger.control("POST", "/faults", rule))["id"]
    assert await stranger.control("DELETE", f"/faults/{first}") == {"removed": 1}
    (left,) = (await stranger.control("GET", "/faults"))["rules"]
    assert (left["id"], left["rule"]["match"]["stream"], left["over"]) == (second, "v1.trade", False)
    assert await stranger.control("DELETE", "/faults") == {"removed": 1}
    answer = await stranger.http.delete(f"{stranger.line['control']}/faults/{first}")
    assert answer.status == 404


async def test_rate_limit_is_changed_per_class_and_refuses_what_is_over_it(client: Client, other: Client) -> None:
    assert (await client.control("POST", "/limits", {"kind": "query", "rate": 0, "burst": 2}))["query"]["burst"] == 2
    query = {"sub_account_id": client.sub, "client_order_id": "5"}
    codes = [(await client.call("order", query)).body["code"] for _ in range(3)]
    assert codes == [1004, 1004, 1006]
    assert (await other.call("order", query | {"sub_account_id": other.sub})).body["code"] == 1004
    assert (await client.call("positions", {"sub_account_id": client.sub})).status == 200
    await client.control("POST", "/limits", {"kind": "query", "rate": 50, "burst": 50})
    assert (await client.call("order", query)).body["code"] == 1004


async def test_bulk_request_takes_a_token_for_each_creation(client: Client) -> None:
    await client.control("POST", "/limits", {"kind": "create", "rate": 0, "burst": 3})

    async def bulk(count: int) -> int:
        orders = [client.order(px=f"{50_000 + step}.0", post_only=True) for step in range(count)]
        return (await client.call("bulk_orders", {"sub_account_id": client.sub, "orders": orders}, version="v2")).status

    assert [await bulk(4), await bulk(3), await bulk(1)] == [429, 200, 429]
