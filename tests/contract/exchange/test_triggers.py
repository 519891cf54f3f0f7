"""Take-profit and stop-loss orders over the wire, in both encodings, over HTTP and over the socket."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA

from .client import WAIT_S, Client, Socket, to_full, to_lite
from .process import ExchangeProcess

BTC = "BTC_USDT_Perp"
ORDER = SCHEMA.shapes["Order"]
STOP = {
    "trigger_type": "STOP_LOSS",
    "tpsl": {"trigger_by": "MARK", "trigger_price": "50000.0", "close_position": False, "is_split_position": False},
}
STOP_LITE = {"tt": "STOP_LOSS", "t": {"tb": "MARK", "tp": "50000.0", "cp": False, "is": False}}


def trigger(kind: str, px: str, **block: Any) -> dict[str, Any]:
    return {"trigger_type": kind, "tpsl": {**STOP["tpsl"], "trigger_price": px, **block}}  # type: ignore[dict-item]


def sale(client: Client, wanted: Any = STOP, **terms: Any) -> dict[str, Any]:
    """A signed reduce-only sale; the trigger is no part of what is signed."""
    order = client.order(**{"buy": False, "reduce_only": True, "tif": "IMMEDIATE_OR_CANCEL", **terms})
    order["metadata"]["trigger"] = wanted
    return order


async def mark(client: Client, px: str) -> None:
    await client.control("POST", "/mark", {"instrument": BTC, "price": px})


def held(books: dict[str, Any]) -> str:
    """The size of the one position."""
    (position,) = books["positions"]
    return str(position["qty"])


async def active(client: Client) -> list[Any]:
    rows: list[Any] = (await client.ok("open_orders", {"sub_account_id": client.sub}))["result"]
    return rows


@pytest.fixture
async def long(client: Client) -> Client:
    """Holds 0.01 BTC; the mark is held at 60,000."""
    await mark(client, "60000")
    await client.buy_at_market()
    await client.until(lambda books: held(books) == "0.01")
    return client


async def create(client: Client, order: dict[str, Any], way: str) -> Any:
    """Create an order one of four ways; return the echo with full names, and the trigger block as it travelled."""
    body = {"order": order}
    if way.startswith("rest"):
        is_lite = way == "rest lite"
        answer = await client.call("create_order", body, encoding="lite" if is_lite else "full")
        assert answer.status == 200, answer.body
        echo = answer.body["r" if is_lite else "result"]
    else:
        is_lite = way == "ws lite"
        async with client.socket("/ws/lite" if is_lite else "/ws/full") as ws:
            if is_lite:
                params = to_lite(ROUTES["v1/create_order"].request, body)
                await ws.ws.send_json({"j": "2.0", "m": "v1/create_order", "p": params, "i": 7})
                echo = (await ws.next())["r"]["r"]
            else:
                echo = (await ws.ask("v1/create_order", body))["result"]["result"]
    assert (echo["m"]["t"] if is_lite else echo["metadata"]["trigger"]) == (STOP_LITE if is_lite else STOP)
    return to_full(ORDER, echo) if is_lite else echo


@pytest.mark.parametrize("way", ["rest full", "rest lite", "ws full", "ws lite"])
async def test_trigger_order_waits_is_seen_everywhere_and_fires(long: Client, way: str) -> None:
    account = {"sub_account_id": long.sub}
    order = sale(long)
    echo = await create(long, order, way)
    assert (echo["order_id"], echo["state"]["status"], echo["state"]["book_size"]) == ("0x00", "PENDING", ["0.01"])
    assert SCHEMA.defects(ORDER, echo) == []
    (waiting,) = await active(long)
    assert waiting["metadata"]["trigger"] == STOP
    assert (waiting["state"]["status"], waiting["state"]["book_size"]) == ("OPEN", ["0.01"])
    assert len(waiting["order_id"]) == 34
    by_id = await long.ok("order", account | {"order_id": waiting["order_id"]})
    assert by_id == {"result": waiting}
    lite = await long.call("open_orders", account, encoding="lite")
    assert lite.body["r"][0]["m"]["t"] == STOP_LITE
    await mark(long, "50000.1")
    assert await active(long) == [waiting]
    await mark(long, "50000")
    await long.until(lambda books: not books["positions"])
    closed = await long.ok("order_history", account)
    ended = next(row for row in closed["result"] if row["order_id"] == waiting["order_id"])
    assert (ended["state"]["status"], ended["state"]["traded_size"]) == ("FILLED", ["0.01"])
    assert ended["metadata"]["trigger"] == STOP
    fills = (await long.ok("fill_history", account))["result"]
    sold = [row["size"] for row in fills if row["order_id"] == waiting["order_id"]]
    assert sum(map(Decimal, sold)) == Decimal("0.01")


async def told(ws: Socket, stream: str, client_order_id: str, wanted: str) -> list[str]:
    """The statuses a stream tells of an order, up to the wanted one."""
    statuses: list[str] = []
    async with asyncio.timeout(WAIT_S):
        while wanted not in statuses:
            feed = (await ws.frame(stream))["feed"]
            if client_order_id == feed.get("client_order_id", feed.get("metadata", {}).get("client_order_id")):
                statuses.append(feed.get("state", feed.get("order_state"))["status"])
    return statuses


@pytest.mark.parametrize("stream", ["v1.order", "v1.state"])
async def test_streams_tell_that_it_waits_that_it_fires_and_how_it_ends(long: Client, stream: str) -> None:
    order = sale(long)
    async with long.socket() as ws:
        await ws.subscribe(stream, long.sub)
        await long.ok("create_order", {"order": order})
        await mark(long, "50000")
        statuses = await told(ws, stream, order["metadata"]["client_order_id"], "FILLED")
    assert statuses == ["OPEN", "OPEN", "FILLED"]


@pytest.mark.parametrize(
    ("wanted", "terms", "code"),
    [
        (trigger("STOP_LOSS", "50000", trigger_by="UNSPECIFIED"), {}, 2110),
        ({"trigger_type": "TAKE_PROFIT"}, {}, 2112),
        (trigger("TAKE_PROFIT", "50000.05"), {}, 2112),
        (trigger("TAKE_PROFIT", "-1"), {}, 2112),
        (trigger("TAKE_PROFIT", "0.0"), {}, 2113),
        (trigger("STOP_LOSS", "50000", close_position=True), {"reduce_only": False}, 2114),
        (trigger("STOP_LOSS", "50000", close_position=True), {}, 2117),
        (trigger("STOP_LOSS", "50000", is_split_position=True), {}, 2242),
        (trigger("STOP_LOSS", "50000", trigger_by="BID"), {}, 1003),
        (trigger("STOP_GAIN", "50000"), {}, 1003),
        (STOP, {"qty": "0.02"}, 2402),
        (STOP, {"px": "50000.05"}, 2064),
    ],
)
async def test_wrong_trigger_is_refused_with_its_code(
    long: Client, wanted: Any, terms: dict[str, Any], code: int
) -> None:
    answer = await long.call("create_order", {"order": sale(long, wanted, **terms)})
    assert (answer.status, answer.body["code"]) == (400, code)
    assert await active(long) == []


async def test_reduce_only_trigger_without_a_position_is_2400(client: Client) -> None:
    assert (await client.call("create_order", {"order": sale(client)})).body["code"] == 2400


async def test_block_without_a_type_makes_a_plain_order(long: Client) -> None:
    await long.ok("create_order", {"order": sale(long, {"trigger_type": "UNSPECIFIED"})})
    await long.until(lambda books: not books["positions"])


@pytest.mark.parametrize("way", ["cancel_order", "cancel_all_orders", "cancel_on_disconnect"])
async def test_waiting_trigger_is_cancelled_like_any_order(long: Client, way: str) -> None:
    account = {"sub_account_id": long.sub}
    await long.ok("create_order", {"order": sale(long)})
    (waiting,) = await active(long)
    more = {"cancel_order": {"order_id": waiting["order_id"]}, "cancel_on_disconnect": {"countdown_time": "1001"}}
    await long.ok(way, account | more.get(way, {}))
    await long.until(lambda books: not books["open_orders"])
    await mark(long, "40000")
    assert len((await long.ledger())["positions"]) == 1
    ended = (await long.ok("order", account | {"order_id": waiting["order_id"]}))["result"]
    assert ended["state"]["status"] == "CANCELLED"


async def test_pair_in_bulk_fires_one_and_cancels_the_other(long: Client) -> None:
    account = {"sub_account_id": long.sub}
    profit, loss = sale(long, trigger("TAKE_PROFIT", "70000")), sale(long)
    mixed = account | {"orders": [profit, long.order(buy=False, px="70000.0", post_only=True)]}
    assert (await long.call("bulk_orders", mixed, version="v2")).body["code"] == 2236
    made = await long.ok("bulk_orders", account | {"orders": [profit, loss]}, version="v2")
    assert [row["state"]["status"] for row in made["orders"]] == ["PENDING"] * 2
    ids = [row["order_id"] for row in await active(long)]
    replacement = account | {"orders": [sale(long)], "order_i_ds": ids}
    assert (await long.call("bulk_orders", replacement, version="v2")).body["code"] == 2413
    await mark(long, "70000")
    await long.until(lambda books: not books["positions"])
    rows = [(await long.ok("order", account | {"order_id": order_id}))["result"] for order_id in ids]
    assert [(row["state"]["status"], row["state"]["reject_reason"]) for row in rows] == [
        ("FILLED", "UNSPECIFIED"),
        ("CANCELLED", "OCO_COUNTER_PART_TRIGGERED"),
    ]


async def test_triggers_in_bulk_wait_for_the_order_before_them(client: Client) -> None:
    account = {"sub_account_id": client.sub}
    await mark(client, "60000")
    group = [client.order(tif="IMMEDIATE_OR_CANCEL"), sale(client, trigger("TAKE_PROFIT", "70000")), sale(client)]
    made = await client.ok("bulk_orders", account | {"orders": group}, version="v2")
    assert [row["metadata"]["trigger"]["trigger_type"] for row in made["orders"]] == [
        "UNSPECIFIED",
        "TAKE_PROFIT",
        "STOP_LOSS",
    ]
    await client.until(lambda books: bool(books["positions"]) and held(books) == "0.01")
    ids = [row["order_id"] for row in await active(client)]
    assert len(ids) == 2
    await mark(client, "50000")
    await client.until(lambda books: not books["positions"])
    rows = [(await client.ok("order", account | {"order_id": order_id}))["result"] for order_id in ids]
    assert [row["state"]["reject_reason"] for row in rows] == ["OCO_COUNTER_PART_TRIGGERED", "UNSPECIFIED"]


async def test_lost_answer_and_a_second_try_make_one_order_that_fires_once(long: Client) -> None:
    rule = {"action": "drop_response", "how": "reset", "match": {"op": "create_order"}, "until": {"hits": 1}}
    await long.control("POST", "/faults", rule)
    order = {"order": sale(long, qty="0.005")}
    with pytest.raises(aiohttp.ClientConnectionError):
        await long.call("create_order", order)
    assert (await long.call("create_order", order)).body["code"] == 2012
    await long.control("POST", "/faults", {"action": "mute", "match": {"stream": "*"}})
    await mark(long, "50000")
    await long.until(lambda books: not books["open_orders"])
    await long.ok("create_order", order)
    await mark(long, "40000")
    books = await long.ledger()
    assert (books["orders_total"], held(books)) == (2, "0.005")


async def test_frozen_market_fires_nothing_until_it_trades_again(long: Client) -> None:
    await long.ok("create_order", {"order": sale(long)})
    mode = {"action": "mode", "match": {"symbol": BTC}}
    await long.control("POST", "/faults", mode | {"mode": "FROZEN"})
    await mark(long, "40000")
    (waiting,) = await active(long)
    assert waiting["state"]["status"] == "OPEN"
    await long.control("POST", "/faults", mode | {"mode": "ACTIVE"})
    await long.until(lambda books: not books["positions"])


async def test_killed_exchange_goes_on_waiting_and_fires_once(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    options = ("--state", str(tmp_path / "state"))
    with ExchangeProcess(*options) as exchange:
        client = Client(http, exchange.line)
        await client.log_in()
        await mark(client, "60000")
        await client.buy_at_market("0.02")
        await client.until(lambda books: held(books) == "0.02")
        await client.ok("create_order", {"order": sale(client)})
        (waiting,) = await active(client)
        exchange.kill()
    with ExchangeProcess(*options) as exchange:
        client = Client(http, exchange.line)
        await client.log_in()
        assert await active(client) == [waiting]
        await mark(client, "50000")
        await client.until(lambda books: held(books) == "0.01" and not books["open_orders"])
        exchange.kill()
    with ExchangeProcess(*options) as exchange:
        client = Client(http, exchange.line)
        await client.log_in()
        await mark(client, "40000")
        books = await client.ledger()
        assert (held(books), books["open_orders"]) == ("0.01", [])
