"""A recorded market over the wire: it plays, it ends, and then nothing is said any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from .client import WAIT_S, Client
from .process import ExchangeProcess

BTC = "BTC_USDT_Perp"
MS = 1_000_000


def tape(path: Path, *, seconds: float) -> Path:
    """A capture of a book that ticks up and down and a trade in each step."""
    lines = [
        f'{1_723_075_200_000 * MS - MS} {{"lastUpdateId":1,"bids":[["60000.0","1.5"]],"asks":[["60000.1","2.5"]]}}'
    ]
    for step in range(int(seconds * 20)):
        at_ms = 1_723_075_200_000 + step * 50
        bid = 60_000 + step % 2
        quote = f'"b":"{bid}.0","B":"1.5","a":"{bid}.1","A":"2.5"'
        lines.append(f'{at_ms * MS} {{"e":"bookTicker","u":{step},"s":"BTCUSDT","T":{at_ms},"E":{at_ms},{quote}}}')
        trade = f'"t":{step},"p":"{bid}.0","q":"0.010","m":true'
        lines.append(f'{at_ms * MS + MS} {{"e":"trade","s":"BTCUSDT","T":{at_ms},"E":{at_ms},{trade}}}')
    path.write_text("\n".join(lines) + "\n")
    return path


async def frozen(client: Client) -> None:
    async with asyncio.timeout(WAIT_S):
        while (await client.control("GET", "/health"))["markets"] != {BTC: "FROZEN"}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_tape_plays_to_its_end_and_the_market_falls_silent(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    path = tape(tmp_path / "capture", seconds=4)
    with ExchangeProcess("--market", "tape", "--tape", str(path)) as exchange:
        client = Client(http, exchange.line)
        await client.log_in()
        resting = await client.create(px="50000.0", post_only=True)
        async with client.socket() as ws:
            await ws.subscribe("v1.trade", f"{BTC}@50")
            assert (await ws.frame("v1.trade"))["feed"]["size"] == "0.01"
            assert (await client.control("GET", "/health"))["ended"] == {}
            await frozen(client)
        (ended,) = (await client.control("GET", "/health"))["ended"].items()
        assert (ended[0], ended[1]["reason"]) == (BTC, "end of tape")
        async with client.socket() as ws:
            await ws.subscribe("v1.ticker.s", f"{BTC}@500")
            await ws.subscribe("v1.book.d", f"{BTC}@50")
            first = await ws.frame("v1.book.d")
            assert first["sequence_number"] == "0"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ws.next(), 1.2)
            again = await ws.subscribe("v1.book.d", f"{BTC}@50")
            assert again["result"]["num_snapshots"] == [1]
            assert (await ws.frame("v1.book.d"))["feed"]["event_time"] == first["feed"]["event_time"]
        refused = await client.call("create_order", {"order": client.order(px="50000.0")})
        assert refused.body["code"] == 2060
        number = resting["metadata"]["client_order_id"]
        await client.ok("cancel_order", {"sub_account_id": client.sub, "client_order_id": number})
        assert (await client.ledger())["open_orders"] == []
        exchange.stop()
        assert 'mode=FROZEN reason="end of tape"' in exchange.log()
