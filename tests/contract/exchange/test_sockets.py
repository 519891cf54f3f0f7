"""Every stream in every envelope, and the habits of sockets that clients rely on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perpmaker.exchange.grvt.routes import SCHEMA
from perpmaker.exchange.grvt.streams import STREAMS, Stream

from .client import WAIT_S, Client, to_full

BTC = "BTC_USDT_Perp"
SECONDARY = {
    "v1.mini.s": "200",
    "v1.mini.d": "50",
    "v1.ticker.s": "500",
    "v1.ticker.d": "100",
    "v1.book.s": "500-10",
    "v1.book.d": "50",
    "v1.trade": "50",
    "v1.candle": "CI_1_M-TRADE",
}
SILENT = {"v1.deposit", "v1.transfer", "v1.withdrawal"}
REQUIRED_OF_TICKER_DELTAS = {"event_time", "instrument"}


def selector(stream: Stream, client: Client) -> str:
    if stream.name in SECONDARY:
        return f"{BTC}@{SECONDARY[stream.name]}"
    return client.keys["main_account"] if stream.name in SILENT else client.sub


async def make_events(client: Client) -> None:
    """Something for every private stream: an order, a fill, a position, a cancel that runs out."""
    await client.create(tif="IMMEDIATE_OR_CANCEL")
    await client.ok("cancel_order", {"sub_account_id": client.sub, "client_order_id": "99"})


ENVELOPES = ["full", "lite", "legacy full", "legacy lite"]


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda stream: stream.name)
async def test_stream_speaks_by_its_schema(client: Client, stream: Stream, envelope: str) -> None:
    is_lite = envelope.endswith("lite")
    text = selector(stream, client)
    path = {"full": "/ws/full", "lite": "/ws/lite"}.get(envelope, "/ws")
    async with client.socket(path) as ws:
        if path == "/ws":
            request: Any = {"request_id": 3, "stream": stream.name, "feed": [text], "method": "subscribe"}
            await ws.ws.send_json(request | {"is_full": not is_lite})
        elif is_lite:
            params = {"s": stream.name, "s1": [text]}
            await ws.ws.send_json({"j": "2.0", "m": "subscribe", "p": params, "i": 3})
        else:
            params = {"stream": stream.name, "selectors": [text]}
            await ws.ws.send_json({"jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 3})
        reply = await ws.next()
        check_reply(reply, stream.name, text, envelope)
        if stream.name in SILENT:
            return
        await make_events(client)
        snapshots, changes = [], []
        while not changes:
            frame = read_frame(await ws.next(), stream, text, is_lite=is_lite)
            (changes if frame["sequence_number"] != "0" else snapshots).append(frame)
    result = reply.get("result") or reply.get("r") or reply
    assert len(snapshots) == result["ns" if is_lite else "num_snapshots"][0]
    assert changes[0]["sequence_number"] == result["fs" if is_lite else "first_sequence_number"][0]


def check_reply(reply: dict[str, Any], stream: str, text: str, envelope: str) -> None:
    names = {"full": ("id", "method", "result"), "lite": ("i", "m", "r")}
    if envelope in names:
        number, method, result = names[envelope]
        assert (reply[number], reply[method]) == (3, "subscribe")
        assert reply["jsonrpc" if envelope == "full" else "j"] == "2.0"
        reply = reply[result]
    else:
        assert reply["request_id" if envelope == "legacy full" else "ri"] == 3
    is_lite = envelope.endswith("lite")
    stream_key, subs, unsubs = ("s", "s1", "u") if is_lite else ("stream", "subs", "unsubs")
    assert (reply[stream_key], reply[subs], reply[unsubs]) == (stream, [text], [])
    first, latest = ("fs", "ls") if is_lite else ("first_sequence_number", "latest_sequence_number")
    assert int(reply[first][0]) == int(reply[latest][0]) + 1


def read_frame(frame: dict[str, Any], stream: Stream, text: str, *, is_lite: bool) -> dict[str, Any]:
    """Check a frame and its feed strictly; return it with full names."""
    shape = SCHEMA.shapes[stream.feed]
    if is_lite:
        assert frame.keys() == {"s", "s1", "sn", "f", "ps"}
        names = {"s": "stream", "s1": "selector", "sn": "sequence_number", "f": "feed", "ps": "prev_sequence_number"}
        frame = {names[key]: value for key, value in frame.items()}
        frame["feed"] = to_full(shape, frame["feed"])
    assert frame.keys() == {"stream", "selector", "sequence_number", "feed", "prev_sequence_number"}
    assert (frame["stream"], frame["selector"]) == (stream.name, text)
    assert SCHEMA.defects(shape, frame["feed"], stream.name) == []
    if stream.feed in ("MiniTicker", "Ticker"):
        complete = stream.name.endswith(".s") or frame["sequence_number"] == "0"
        wanted = {member.name for member in shape} if complete else REQUIRED_OF_TICKER_DELTAS
        assert wanted <= frame["feed"].keys()
    number, previous = int(frame["sequence_number"]), int(frame["prev_sequence_number"])
    assert previous == max(0, number - 1)
    return frame


async def test_private_streams_need_a_login_and_the_right_one(stranger: Client, other: Client) -> None:
    for stream in STREAMS.values():
        if not stream.is_private:
            continue
        text = selector(stream, stranger)
        async with stranger.socket() as ws:
            assert (await ws.subscribe(stream.name, text))["error"]["code"] == 1000
        async with other.socket() as ws:
            reply = await ws.subscribe(stream.name, text)
            assert (reply["error"]["code"], reply["method"]) == (1001, "subscribe")


async def test_market_streams_need_no_login(stranger: Client) -> None:
    async with stranger.socket(gateway="ws_market_data") as ws:
        assert (await ws.subscribe("v1.ticker.s", f"{BTC}@500"))["result"]["num_snapshots"] == [1]


async def test_one_request_subscribes_many_selectors_or_none(client: Client) -> None:
    async with client.socket() as ws:
        good = [f"{BTC}@500", "ETH_USDT_Perp@500"]
        reply = await ws.subscribe("v1.ticker.s", *good, "ETH_USDT_Perp@501")
        assert reply["error"]["code"] == 3030
        reply = await ws.subscribe("v1.ticker.s", *good)
        assert reply["result"]["subs"] == good
        assert reply["result"]["num_snapshots"] == [1, 1]


async def test_new_secondary_replaces_the_old_one(client: Client) -> None:
    async with client.socket() as ws:
        await ws.subscribe("v1.ticker.s", f"{BTC}@500")
        reply = await ws.subscribe("v1.ticker.s", f"{BTC}@1000")
        assert reply["result"]["unsubs"] == [f"{BTC}@500"]
        listed = await ws.ask("list_streams", None)
        assert listed["result"]["stream_reference"] == [{"stream": "v1.ticker.s", "selectors": [f"{BTC}@1000"]}]


async def test_unsubscribing_names_what_ended(client: Client) -> None:
    async with client.socket() as ws:
        await ws.subscribe("v1.ticker.s", f"{BTC}@500")
        request = {"stream": "v1.ticker.s", "selectors": [f"{BTC}@500", "ETH_USDT_Perp@500"]}
        reply = await ws.ask("unsubscribe", request)
        assert (reply["method"], reply["result"]) == (
            "unsubscribe",
            {"stream": "v1.ticker.s", "unsubs": [f"{BTC}@500"]},
        )
        await ws.subscribe("v1.ticker.s", f"{BTC}@500")
        ended = await ws.ask("unsubscribe_all", {})
        assert ended["result"]["stream_reference"] == [{"stream": "v1.ticker.s", "selectors": [f"{BTC}@500"]}]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (
            "/ws/full",
            {
                "jsonrpc": "2.0",
                "error": {"code": 1003, "message": "Request could not be processed due to malformed syntax"},
            },
        ),
        ("/ws/lite", {"j": "2.0", "e": {"c": 1003, "m": "Request could not be processed due to malformed syntax"}}),
        ("/ws", {"code": 1003, "message": "Request could not be processed due to malformed syntax", "status": 400}),
    ],
)
@pytest.mark.parametrize("text", ["ping", "", "[]", '{"id":1}', "{" * 50_000])
async def test_text_that_is_no_request_is_refused_and_the_socket_stays(
    client: Client, path: str, error: Any, text: str
) -> None:
    async with client.socket(path) as ws:
        await ws.ws.send_str(text)
        assert await ws.next() == error
        await ws.ws.send_bytes(b"\x00")
        assert await ws.next() == error


@pytest.mark.parametrize("params", [None, {}, {"stream": "v1.trade"}, {"stream": 5, "selectors": []}, []])
async def test_subscription_that_says_nothing_proper_is_refused_under_its_id(client: Client, params: Any) -> None:
    async with client.socket() as ws:
        reply = await ws.ask("subscribe", params, call_id=8)
        assert (reply["error"]["code"], reply["method"]) == (1003, "subscribe")


async def test_protocol_pings_are_answered(client: Client) -> None:
    async with client.http.ws_connect(f"{client.line['ws_trades']}/ws/full", autoping=False) as ws:
        await ws.ping(b"hello")
        message = await ws.receive(timeout=WAIT_S)
        assert (message.type.name, message.data) == ("PONG", b"hello")


async def test_call_without_an_id_is_answered_without_one(client: Client) -> None:
    async with client.socket() as ws:
        await ws.ws.send_json({"jsonrpc": "2.0", "method": "v1/get_sub_accounts", "params": {}})
        assert (await ws.next()).keys() == {"jsonrpc", "result", "method"}


@pytest.mark.parametrize("path", ["/ws/full", "/ws/lite"])
async def test_order_entry_over_the_socket(client: Client, path: str) -> None:
    """As the official SDK does it; the acknowledgement comes before the order's own frames."""
    from perpmaker.exchange.grvt.routes import ROUTES

    from .client import to_lite

    order = {"order": client.order(px="50000.0", post_only=True)}
    async with client.socket(path) as ws:
        if path == "/ws/full":
            await ws.subscribe("v1.order", client.sub)
            await ws.ws.send_json({"jsonrpc": "2.0", "method": "v1/create_order", "params": order, "id": 25})
            ack, frame = await ws.next(), await ws.next()
            assert (ack["id"], ack["method"]) == (25, "v1/create_order")
            assert ack["result"]["result"]["state"]["status"] == "PENDING"
            assert frame["feed"]["metadata"]["client_order_id"] == order["order"]["metadata"]["client_order_id"]
            refused = await ws.ask("v1/create_order", order | {"order": order["order"] | {"reduce_only": True}})
            assert refused["error"]["code"] == 2002
        else:
            params = to_lite(ROUTES["v1/create_order"].request, order)
            await ws.ws.send_json({"j": "2.0", "m": "v1/create_order", "p": params, "i": 25})
            ack = await ws.next()
            assert ack["r"]["r"]["s1"]["s"] == "PENDING"


async def test_listener_that_reads_nothing_is_cut_off_and_nobody_else_waits(client: Client, exchange: Any) -> None:
    from perpmaker.exchange import outbox

    async with client.socket() as stuck, client.socket() as quick:
        await stuck.subscribe("v1.ticker.s", f"{BTC}@500")
        await quick.subscribe("v1.trade", f"{BTC}@50")
        (victim,) = [
            row
            for row in exchange.face.around.sockets
            if exchange.face.hub.subscriptions(row) == {"v1.ticker.s": [f"{BTC}@500"]}
        ]
        for _ in range(9):
            victim.send(b"x" * (1 << 20))
        assert outbox.MAX_WAITING_BYTES < 9 << 20
        async with asyncio.timeout(WAIT_S):
            while victim in exchange.face.around.sockets:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await make_events(client)
        await quick.frame("v1.trade")


async def test_many_reconnects_leave_nothing_behind(client: Client, exchange: Any) -> None:
    """Half of them break off without a word."""
    tasks = len(asyncio.all_tasks())
    for number in range(60):
        async with client.socket() as ws:
            await ws.subscribe("v1.ticker.s", f"{BTC}@500")
            await ws.subscribe("v1.order", client.sub)
            if number % 2:
                ws.ws.get_extra_info("socket").shutdown(2)
    async with asyncio.timeout(WAIT_S):
        while exchange.face.around.sockets:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert exchange.face.hub._subscriptions == {}
    assert not any(exchange.face.hub._live.values())
    assert len(asyncio.all_tasks()) <= tasks + 1
