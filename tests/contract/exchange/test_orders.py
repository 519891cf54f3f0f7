"""The life of orders over the wire: creation, fills, cancels, replacement, dead-man timer, repeated payloads."""

from __future__ import annotations

from typing import Any

import pytest

from .client import Client


async def test_creation_is_echoed_as_pending_with_every_member(client: Client) -> None:
    order = client.order(px="50000.0", qty="0.010000000", post_only=True)
    order |= {"order_id": None, "state": None, "builder": None, "is_liquidation": False}
    order["metadata"] |= {"create_time": None, "trigger": None, "broker": "HBOT"}
    echo = (await client.ok("create_order", {"order": order}))["result"]
    assert (echo["order_id"], echo["state"]["status"]) == ("0x00", "PENDING")
    assert echo["legs"][0] == {
        "instrument": "BTC_USDT_Perp",
        "size": "0.01",
        "limit_price": "50000.0",
        "is_buying_asset": True,
    }
    assert echo["signature"]["chain_id"] == "0"
    assert (echo["builder"], echo["builder_fee"]) == ("0x00", "0.0")
    assert echo["metadata"]["broker"] == "UNSPECIFIED"
    assert echo["metadata"]["client_order_id"] == order["metadata"]["client_order_id"]
    (resting,) = (await client.ok("open_orders", {"sub_account_id": client.sub}))["result"]
    assert resting["state"]["status"] == "OPEN"
    assert len(resting["order_id"]) == 34


@pytest.mark.parametrize("price", [None, "0", "0.0", "0E-9"])
@pytest.mark.parametrize("tif", ["GOOD_TILL_TIME", "IMMEDIATE_OR_CANCEL"])
async def test_market_order_fills_in_every_spelling_of_no_price(client: Client, price: Any, tif: str) -> None:
    order = client.order(tif=tif)
    order["legs"][0]["limit_price"] = price
    await client.ok("create_order", {"order": order})
    books = await client.until(lambda books: bool(books["fills"]))
    assert books["fills"][0]["is_taker"]


@pytest.mark.parametrize(
    ("terms", "changes", "code"),
    [
        ({"px": "50000.05"}, {}, 2064),
        ({"px": "50000.0", "qty": "0.0105"}, {}, 2065),
        ({"px": "50000.0", "qty": "0.0001"}, {}, 2062),
        ({"px": "50000.0", "qty": "0.001"}, {}, 2066),
        ({"px": "50000.0"}, {"order_id": "0x0101"}, 2010),
        ({"px": "50000.0"}, {"metadata": {}}, 2011),
        ({"px": "50000.0"}, {"metadata": {"client_order_id": "5", "create_time": "1"}}, 2051),
        ({"px": "50000.0", "tif": "ALL_OR_NONE"}, {}, 2030),
        ({"px": "50000.0", "tif": "IMMEDIATE_OR_CANCEL", "post_only": True}, {}, 2032),
        ({"px": "50000.0", "reduce_only": True}, {}, 2400),
        ({"px": "50000.0", "qty": "30"}, {}, 2080),
        ({"px": "50000.0"}, {"legs": []}, 2040),
        ({"px": "50000.0"}, {"time_in_force": "PO"}, 1003),
        ({"px": "50000.0"}, {"metadata": {"client_order_id": "abc"}}, 1003),
    ],
)
async def test_wrong_order_is_refused_with_its_code(
    client: Client, terms: dict[str, Any], changes: dict[str, Any], code: int
) -> None:
    answer = await client.call("create_order", {"order": client.order(**terms) | changes})
    assert answer.body["code"] == code
    assert (await client.ledger())["orders_total"] == 0


async def test_unlisted_instrument_is_refused(client: Client) -> None:
    order = client.order(px="50000.0")
    order["legs"][0]["instrument"] = "DOGE_USDT_Perp"
    assert (await client.call("create_order", {"order": order})).body["code"] == 2061


async def test_same_signed_payload_makes_one_order(client: Client) -> None:
    order = client.order(px="50000.0", post_only=True)
    await client.ok("create_order", {"order": order})
    await client.ok(
        "cancel_order", {"sub_account_id": client.sub, "client_order_id": order["metadata"]["client_order_id"]}
    )
    again = await client.call("create_order", {"order": order})
    assert again.status in (200, 400)
    books = await client.ledger()
    assert (books["orders_total"], books["open_orders"]) == (1, [])


async def test_cancel_by_either_id_and_of_all(client: Client) -> None:
    account = {"sub_account_id": client.sub}
    first = await client.create(px="50000.0", post_only=True)
    await client.create(px="50001.0", post_only=True)
    await client.create(px="2000.0", qty="0.1", post_only=True, instrument="ETH_USDT_Perp")
    await client.create(px="2001.0", qty="0.1", post_only=True, instrument="ETH_USDT_Perp")
    assert await client.ok(
        "cancel_order", account | {"client_order_id": first["metadata"]["client_order_id"], "order_id": "0x00"}
    ) == {"result": {"ack": True}}
    (btc,) = (await client.ok("open_orders", account | {"base": ["BTC"]}))["result"]
    assert await client.ok("cancel_order", account | {"order_id": btc["order_id"]}) == {"result": {"ack": True}}
    assert (await client.call("cancel_order", account)).body["code"] == 3021
    assert len((await client.ok("open_orders", account))["result"]) == 2
    await client.ok("cancel_all_orders", account | {"instrument": "BTC_USDT_Perp"})
    await client.ok("cancel_all_orders", account | {"kind": ["CALL"]})
    assert len((await client.ok("open_orders", account))["result"]) == 2
    await client.ok("cancel_all_orders", account | {"kind": ["PERPETUAL"], "base": ["ETH"], "quote": ["USDT"]})
    assert (await client.ok("open_orders", account))["result"] == []
    closed = (await client.ok("order_history", account))["result"]
    assert {row["state"]["reject_reason"] for row in closed} == {"CLIENT_CANCEL", "CLIENT_BULK_CANCEL"}


async def test_cancel_that_comes_first_meets_its_order_within_its_time_to_live(client: Client) -> None:
    order = client.order(px="50000.0", post_only=True)
    body = {"sub_account_id": client.sub, "client_order_id": order["metadata"]["client_order_id"]}
    assert (await client.call("cancel_order", body | {"time_to_live_ms": "5001"})).body["code"] == 2301
    async with client.socket() as ws:
        await ws.subscribe("v1.cancel", client.sub)
        await client.ok("cancel_order", body | {"time_to_live_ms": "5000"})
        await client.ok("create_order", {"order": order})
        books = await client.ledger()
        assert (books["orders_total"], books["open_orders"]) == (1, [])
        await client.ok("cancel_order", body | {"client_order_id": "4711", "time_to_live_ms": "100"})
        told = await ws.frame("v1.cancel")
        assert (told["feed"]["client_order_id"], told["feed"]["cancel_status"]) == ("4711", "EXPIRED")


@pytest.mark.parametrize("spelling", ["order_i_ds", "order_ids"])
async def test_bulk_request_replaces_by_order_ids(client: Client, spelling: str) -> None:
    account = {"sub_account_id": client.sub}
    orders = [client.order(px=f"{50_000 + step}.0", post_only=True) for step in range(3)]
    made = await client.ok("bulk_orders", account | {"orders": orders}, version="v2")
    assert [row["state"]["status"] for row in made["orders"]] == ["PENDING"] * 3
    assert made["cancel_acks"] == []
    old = (await client.ok("open_orders", account))["result"]
    request = account | {
        "orders": [client.order(px="49000.0", post_only=True)],
        spelling: [row["order_id"] for row in old],
    }
    replaced = await client.ok("bulk_orders", request, version="v2")
    assert replaced["cancel_acks"] == [{"ack": True}] * 3
    (standing,) = (await client.ok("open_orders", account))["result"]
    assert standing["legs"][0]["limit_price"] == "49000.0"
    closed = (await client.ok("order_history", account))["result"]
    assert {row["state"]["reject_reason"] for row in closed} == {"CLIENT_REPLACE"}


async def test_bulk_request_cancels_by_client_ids(client: Client) -> None:
    account = {"sub_account_id": client.sub}
    orders = [await client.create(px=f"{50_000 + step}.0", post_only=True) for step in range(2)]
    ids = [order["metadata"]["client_order_id"] for order in orders]
    both = account | {"client_order_i_ds": ids, "order_ids": ["0x01"]}
    assert (await client.call("bulk_orders", both, version="v2")).body["code"] == 2233
    done = await client.ok("bulk_orders", account | {"orders": None, "client_order_ids": ids}, version="v2")
    assert done == {"orders": [], "cancel_acks": [{"ack": True}] * 2}
    assert (await client.ok("open_orders", account))["result"] == []


async def test_bulk_request_is_refused_whole(client: Client, other: Client) -> None:
    account = {"sub_account_id": client.sub}

    async def code(orders: list[Any]) -> int:
        answer = await client.call("bulk_orders", account | {"orders": orders}, version="v2")
        return int(answer.body["code"])

    good = client.order(px="50000.0")
    assert await code([good, client.order(px="50000.05")]) == 2064
    assert await code([good, client.order(px="2000.0", qty="0.1", instrument="ETH_USDT_Perp")]) == 2234
    assert await code([good, other.order(px="50000.0")]) == 2003
    assert await code([good, good | {"post_only": True}]) == 2002
    assert (await client.ledger())["orders_total"] == 0


@pytest.mark.parametrize("spelling", ["countdown_time", "countdown_time_ms"])
async def test_dead_man_timer_cancels_everything_when_it_is_not_refreshed(client: Client, spelling: str) -> None:
    account = {"sub_account_id": client.sub}
    await client.create(px="50000.0", post_only=True)
    assert (await client.call("cancel_on_disconnect", account | {spelling: "300001"})).body["code"] == 6000
    await client.ok("cancel_on_disconnect", account | {spelling: "1500"})
    await client.until(lambda books: not books["open_orders"])
    (closed,) = (await client.ok("order_history", account))["result"]
    assert closed["state"]["reject_reason"] == "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED"


async def test_dead_man_timer_is_off_at_a_second_or_less(client: Client, exchange: Any) -> None:
    account = {"sub_account_id": client.sub}
    await client.create(px="50000.0", post_only=True)
    await client.ok("cancel_on_disconnect", account | {"countdown_time": "1100"})
    await client.ok("cancel_on_disconnect", account | {"countdown_time": "300"})
    exchange.venue.advance(exchange.venue.now_ns + 5_000_000_000)
    assert len((await client.ledger())["open_orders"]) == 1


async def test_unknown_order_is_not_found_in_words_every_client_knows(client: Client) -> None:
    answer = await client.call("order", {"sub_account_id": client.sub, "client_order_id": "5"})
    assert (answer.status, answer.body["code"]) == (404, 1004)
    assert "Data Not Found" in answer.body["message"]
    assert "RESOURCE_NOT_FOUND" in answer.body["message"]
    assert (await client.call("order", {"sub_account_id": client.sub})).body["code"] == 3021


async def test_orders_of_one_owner_never_trade_with_each_other(client: Client) -> None:
    bid, _ = await client.touch()
    await client.create(px=str(bid), post_only=True)
    await client.create(buy=False, px=str(bid), tif="IMMEDIATE_OR_CANCEL", qty="5")
    await client.until(lambda row: row["orders_total"] == 2 and len(row["open_orders"]) == 1)
    (violation,) = (await client.control("GET", "/ledger"))["violations"]
    assert violation["reason"] == "SELF_MATCHED_SUBACCOUNT"
