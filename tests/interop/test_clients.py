"""Unmodified public clients trade on the exchange, and what they saw equals its books to the last digit."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.contract.exchange.backpack_client import BackpackClient
from tests.contract.exchange.client import Client, Socket
from tests.contract.exchange.process import ExchangeProcess

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
SCRIPTS = Path(__file__).parent / "clients"
LONGEST_S = 200.0
CLIENTS = {
    "GrvtCcxt": ("pysdk_ccxt.py",),
    "GrvtCcxtPro": ("pysdk_pro.py",),
    "GrvtCcxtWS": ("pysdk_ws.py",),
    "GrvtRawSync": ("pysdk_raw.py", "sync"),
    "GrvtRawAsync": ("pysdk_raw.py", "async"),
    "ccxt": ("ccxt_rest.py",),
    "ccxt.pro": ("ccxt_pro.py",),
}
BACKPACK_CLIENTS = {"ccxt": "backpack_rest.py", "ccxt.pro": "backpack_pro.py"}
pytestmark = pytest.mark.timeout(400)
PUBLIC_STREAMS = {"mini.s", "mini.d", "ticker.s", "ticker.d", "book.s", "book.d", "trade", "candle"}


async def run(script: str, line: dict[str, Any], *more: str) -> dict[str, dict[str, Any]]:
    """Run a client's script against the exchange; return its findings by name."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON.relative_to(ROOT)} is absent: ./run test sets it up")
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        script,
        json.dumps(line),
        *more,
        cwd=SCRIPTS,
        env={**os.environ, "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()[-2000:]
    return {row.pop("finding"): row for row in map(json.loads, out.splitlines())}


@asynccontextmanager
async def overheard(client: Client) -> AsyncIterator[dict[str, set[str]]]:
    """What the account's private streams say meanwhile, to a listener of our own."""
    said: dict[str, set[str]] = {"orders": set(), "fills": set(), "positions": set()}

    async def listen(ws: Socket) -> None:
        while True:
            frame = await ws.next(LONGEST_S)  # a client may take its time to start
            feed = frame.get("feed", {})
            match frame.get("stream"):
                case "v1.order":
                    said["orders"].add(feed["metadata"]["client_order_id"])
                case "v1.fill":
                    said["fills"].add(feed["trade_id"])
                case "v1.position":
                    said["positions"].add(feed["size"])

    async with client.socket() as ws:
        for stream in ("v1.order", "v1.fill", "v1.position"):
            await ws.subscribe(stream, client.sub)
        listening = asyncio.create_task(listen(ws))
        yield said
        if listening.done():
            listening.result()  # it can only have failed
        listening.cancel()


@pytest.mark.parametrize("name", CLIENTS)
async def test_client_rests_is_filled_closes_and_agrees_with_the_books(name: str) -> None:
    with ExchangeProcess("--seed", "7") as exchange:
        async with aiohttp.ClientSession() as http:
            client = Client(http, exchange.line)
            await client.log_in()
            async with overheard(client) as said:
                found = await run(CLIENTS[name][0], exchange.line, *CLIENTS[name][1:])
                books = await client.ledger()
                async with asyncio.timeout(LONGEST_S):
                    while len(said["fills"]) < len(books["fills"]):  # noqa: ASYNC110 (a socket of our own may lag)
                        await asyncio.sleep(0.05)
            violations = (await client.control("GET", "/ledger"))["violations"]
    assert found["markets"]["names"] == ["BTC_USDT_Perp", "ETH_USDT_Perp", "SOL_USDT_Perp"]
    assert Decimal(found["start balance"]["usdt"]) == 100_000
    check_end(found["end"], books)
    assert violations == []
    maker = found["end"]["maker"]
    cancelled = {found["resting"]["client_order_id"], *found["cancelled all"]["client_order_ids"]}
    assert {maker, *cancelled} <= said["orders"]
    assert said["fills"] == {fill["trade_id"] for fill in books["fills"]}
    assert "0.002" in said["positions"]
    if found["streams"]:
        assert {maker, *cancelled} <= set(found["streams"]["orders"])
        assert set(found["streams"]["fills"]) == said["fills"]
        assert {Decimal(0), Decimal("0.002")} <= {Decimal(size) for size in found["streams"]["positions"]}
    if "public streams" in found:
        assert {f"v1.{stream}" for stream in PUBLIC_STREAMS} <= set(found["public streams"]["frames"])


def check_end(end: dict[str, Any], books: dict[str, Any]) -> None:
    """Balance, fees and fills equal the books exactly; nothing is open."""
    assert end["open"] == books["open_orders"] == []
    assert all(Decimal(row["qty"]) == 0 for row in books["positions"])
    assert Decimal(end["usdt"]) == Decimal(books["balance"])
    seen = {fill["trade_id"]: tuple(Decimal(fill[name]) for name in ("px", "qty", "fee")) for fill in end["fills"]}
    kept = {fill["trade_id"]: tuple(Decimal(fill[name]) for name in ("px", "qty", "fee")) for fill in books["fills"]}
    assert seen == kept
    assert sum(fee for _, _, fee in seen.values()) == Decimal(books["fees"])
    maker = next(fill for fill in books["fills"] if fill["client_order_id"] == end["maker"])
    assert not maker["is_taker"]


@pytest.mark.parametrize("name", BACKPACK_CLIENTS)
async def test_client_trades_on_the_second_venue_and_agrees_with_its_books(name: str) -> None:
    with ExchangeProcess("--seed", "7", "--venues", "grvt,backpack") as exchange:
        async with aiohttp.ClientSession() as http:
            client = BackpackClient(http, exchange.line)
            found = await run(BACKPACK_CLIENTS[name], exchange.line)
            books = await client.ledger()
            everything = await client.control("GET", "/ledger")
    assert sorted(found["markets"]["names"]) == ["BTC_USDC_PERP", "ETH_USDC_PERP", "SOL_USDC_PERP", "USDT_USDC"]
    assert Decimal(found["start balance"]["usdt"]) == 100_000
    by_number = [fill | {"client_order_id": fill["order_id"]} for fill in books["fills"]]
    check_end(found["end"], books | {"fills": by_number})
    assert everything["violations"] == everything["venues"]["backpack"]["violations"] == []
    assert all(row["fills"] == [] for row in everything["accounts"])
    if found["streams"]:
        maker = found["end"]["maker"]
        cancelled = {found["resting"]["client_order_id"], *found["cancelled all"]["client_order_ids"]}
        assert {maker, *cancelled} <= set(found["streams"]["orders"])
        assert set(found["streams"]["fills"]) <= {fill["trade_id"] for fill in books["fills"]}
        assert {Decimal(0), Decimal("0.002")} <= {Decimal(size) for size in found["streams"]["positions"]}
