"""The second venue's streams: names, signatures, sequences, and what private ones tell."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from .backpack_client import ETH, BackpackClient

PUBLIC = {
    "depth": {"e", "E", "T", "s", "U", "u", "b", "a"},
    "bookTicker": {"e", "E", "T", "s", "a", "A", "b", "B", "u"},
    "ticker": {"e", "E", "s", "o", "c", "h", "l", "v", "V", "n"},
    "trade": {"e", "E", "T", "s", "t", "p", "q", "a", "b", "m"},
    "kline.1m": {"e", "E", "s", "t", "T", "o", "h", "l", "c", "v", "n", "X"},
    "markPrice": {"e", "E", "s", "p", "i", "f", "n"},
    "openInterest": {"e", "E", "s", "o"},
}


@pytest.mark.parametrize("name", PUBLIC)
async def test_public_stream_has_the_members_of_the_page(pair: BackpackClient, name: str) -> None:
    async with pair.socket() as ws:
        await ws.listen(f"{name}.{ETH}")
        if name == "trade":
            await pair.place(qty="0.05")
        data = await ws.data(f"{name}.{ETH}")
    assert data.keys() == PUBLIC[name]
    assert data["E"] > 1_700_000_000_000_000
    assert data["s"] == ETH


async def test_book_is_followed_by_sequence_and_equals_the_venues(pair: BackpackClient, both_venues: Any) -> None:
    async with pair.socket() as ws:
        await ws.listen(f"depth.{ETH}")
        first = await ws.data(f"depth.{ETH}")
        snapshot = await pair.get("/api/v1/depth", symbol=ETH)
        update_id = int(snapshot["lastUpdateId"])
        book = {side: dict(map(tuple, snapshot[side])) for side in ("bids", "asks")}
        last = first["u"]
        applied = 0
        while applied < 20:
            delta = await ws.data(f"depth.{ETH}")
            assert delta["U"] == last + 1 <= delta["u"]
            last = delta["u"]
            if delta["u"] <= update_id:
                continue
            assert applied or delta["U"] <= update_id + 1 <= delta["u"]
            applied += 1
            for side, rows in (("bids", delta["b"]), ("asks", delta["a"])):
                for px, qty in rows:
                    book[side][px] = qty
                    if Decimal(qty) == 0:
                        del book[side][px]
            live = both_venues.second.venue.book(ETH)
            if live.version == last:  # nothing happened since the frame was made
                assert len(book["bids"]) == len(live.snapshot().bids)
                assert len(book["asks"]) == len(live.snapshot().asks)
        assert max(map(Decimal, book["bids"])) < min(map(Decimal, book["asks"]))


@pytest.mark.parametrize(
    "stream", ["depths.X", "depth.DOGE_USDC_PERP", "kline.7m.ETH_USDC_PERP", "account.x", "", "kline"]
)
async def test_unknown_stream_is_refused_with_the_pages_code(pair: BackpackClient, stream: str) -> None:
    async with pair.socket() as ws:
        await ws.listen(stream, signature=["a", "b", "1", "5000"])
        assert await ws.next() == {"id": None, "error": {"code": 4006, "message": "Invalid stream"}}


async def test_private_stream_needs_a_good_signature(pair: BackpackClient, other_pair: BackpackClient) -> None:
    stale = pair.headers("subscribe", [{}], shift_ms=-10_000)
    wrong = pair.headers("balanceQuery", [{}])
    async with pair.socket() as ws:
        for proof in (stale, wrong):
            signature = [proof[f"X-{name}"] for name in ("API-Key", "Signature", "Timestamp", "Window")]
            await ws.listen("account.orderUpdate", signature=signature)
            assert (await ws.next())["error"]["code"] == 4001
        await ws.listen("account.orderUpdate", signature=[])
        assert (await ws.next())["error"]["code"] == 4001
        await ws.listen("account.orderUpdate")
        await other_pair.rest()
        own = await pair.rest()
        assert (await ws.data("account.orderUpdate"))["i"] == own["id"]


async def test_text_that_is_no_request_is_refused(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        for text in ("ping", "[]", '{"method":"JUMP","params":[]}'):
            await ws.ws.send_str(text)
            assert (await ws.next())["error"]["code"] == 4000


async def test_order_updates_tell_each_step(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await ws.listen("account.orderUpdate", f"account.positionUpdate.{ETH}", "account.balanceUpdate")
        resting = await pair.rest(clientId=9)
        accepted = await ws.data("account.orderUpdate")
        assert (accepted["e"], accepted["i"], accepted["c"], accepted["X"]) == (
            "orderAccepted",
            resting["id"],
            9,
            "New",
        )
        assert (accepted["S"], accepted["o"], accepted["f"], accepted["q"], accepted["p"]) == (
            "Bid",
            "LIMIT",
            "GTC",
            "0.05",
            "2000.0",
        )
        balance = await ws.data("account.balanceUpdate")
        assert Decimal(balance["A"]) + Decimal(balance["L"]) == 100_000
        await pair.ok("DELETE", "/api/v1/order", {"symbol": ETH, "orderId": resting["id"]})
        assert (await ws.data("account.orderUpdate"))["e"] == "orderCancelled"
        bought = await pair.place("Bid", qty="0.5")
        steps = []
        while not steps or steps[-1]["X"] != "Filled":
            steps.append(await ws.data("account.orderUpdate"))
        assert [row["e"] for row in steps] == ["orderAccepted"] + ["orderFill"] * (len(steps) - 1)
        assert {row["i"] for row in steps} == {bought["id"]}
        assert sum(Decimal(row["l"]) for row in steps[1:]) == Decimal(steps[-1]["z"]) == Decimal("0.5")
        assert Decimal(steps[-1]["Z"]) == sum(Decimal(row["l"]) * Decimal(row["L"]) for row in steps[1:])
        books = await pair.ledger()
        assert {str(row["t"]): row["n"] for row in steps[1:]} == {row["trade_id"]: row["fee"] for row in books["fills"]}
        assert all(row["N"] == "USDC" and row["m"] is False for row in steps[1:])
        opened = await ws.data(f"account.positionUpdate.{ETH}")
        assert (opened["e"], opened["q"]) == ("positionOpened", "0.5")
        await pair.place("Ask", qty="0.2")
        assert (await ws.data(f"account.positionUpdate.{ETH}"))["e"] == "positionAdjusted"
        await pair.place("Ask", qty="0.3")
        closed = await ws.data(f"account.positionUpdate.{ETH}", lambda data: data["e"] != "positionAdjusted")
        assert (closed["e"], closed["q"]) == ("positionClosed", "0.0")


async def test_order_that_leaves_something_expires(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await ws.listen("account.orderUpdate")
        await pair.place(px="2000", timeInForce="IOC")
        assert [(await ws.data("account.orderUpdate"))["e"] for _ in range(2)] == ["orderAccepted", "orderExpired"]


async def test_refused_order_is_not_told(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await ws.listen("account.orderUpdate")
        assert (await pair.call("POST", "/api/v1/order", pair.order(px="9000", postOnly=True))).status == 400
        resting = await pair.rest()
        assert (await ws.data("account.orderUpdate"))["i"] == resting["id"]


async def test_unsubscribing_ends_a_stream(pair: BackpackClient) -> None:
    async with pair.socket() as ws:
        await ws.listen(f"bookTicker.{ETH}")
        await ws.data(f"bookTicker.{ETH}")
        await ws.listen(f"bookTicker.{ETH}", method="UNSUBSCRIBE")
        await ws.listen(f"depth.{ETH}")
        for _ in range(3):
            await ws.data(f"depth.{ETH}")
        tail = [message["stream"] for message in ws.seen[-3:]]
        assert f"bookTicker.{ETH}" not in tail
