"""Both venues as one process: the ready line, options, and what a restart brings back."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from .backpack_client import ETH, BackpackClient
from .client import Client
from .process import ExchangeProcess, refusal

BOTH = ("--venues", "grvt,backpack")
KEPT = ("owner", "main_account", "deposits", "balance", "realized_pnl", "fees", "positions", "fills", "fills_total")


def test_ready_line_gains_one_member_at_its_end() -> None:
    with ExchangeProcess(*BOTH) as exchange:
        line = exchange.line
        assert exchange.stop() == 0
    assert list(line)[-2:] == ["instance_id", "backpack"]
    second = line["backpack"]
    assert list(second) == ["rest", "ws", "accounts"]
    assert urlsplit(second["rest"]).path == urlsplit(second["ws"]).path == ""
    assert urlsplit(second["rest"]).port == urlsplit(second["ws"]).port
    assert [list(row) for row in second["accounts"]] == [["owner", "api_key", "secret"]] * 2
    assert [row["owner"] for row in second["accounts"]] == [row["owner"] for row in line["accounts"]]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--venues", "backpack"], "--venues backpack"),
        (["--venues", "grvt,kraken"], "kraken"),
        ([*BOTH, "--market", "tape", "--tape", "x"], "--backpack-tape"),
    ],
)
def test_wrong_venues_are_named(options: list[str], word: str) -> None:
    code, said = refusal("--port", "0", *options)
    assert code == 3
    assert word in said


def test_no_secret_is_logged() -> None:
    with ExchangeProcess(*BOTH) as exchange:
        exchange.stop()
        for account in exchange.line["backpack"]["accounts"]:
            assert account["secret"] not in exchange.log()


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_restart_resumes_both_venues_but_open_orders(
    http: aiohttp.ClientSession, tmp_path: Path, way: str
) -> None:
    options = (*BOTH, "--state", str(tmp_path / "state"))
    with ExchangeProcess(*options) as exchange:
        client, first = BackpackClient(http, exchange.line), Client(http, exchange.line)
        await first.log_in()
        await first.buy_at_market()
        await client.place(qty="0.5")
        resting = await client.rest(clientId=5)
        before, before_first, line = await client.ledger(), await first.ledger(), exchange.line
        getattr(exchange, way)()
    with ExchangeProcess(*options) as exchange:
        assert exchange.line["backpack"]["accounts"] == line["backpack"]["accounts"]
        client, first = BackpackClient(http, exchange.line), Client(http, exchange.line)
        after = await client.ledger()
        assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
        assert (await first.ledger())["fills"] == before_first["fills"]
        assert await client.get("/api/v1/orders") == []
        (ended,) = await client.get("/wapi/v1/history/orders", orderId=resting["id"])
        assert (ended["status"], ended["clientId"]) == ("Cancelled", 5)
        again = await client.rest(clientId=5)
        assert int(again["id"]) > int(resting["id"])
        assert (await client.get("/api/v1/position"))[0]["netQuantity"] == "0.5"


async def test_venue_that_is_not_served_sleeps_in_the_folder(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "state"))
    with ExchangeProcess(*BOTH, *state) as exchange:
        client = BackpackClient(http, exchange.line)
        await client.place(qty="0.5")
        before = await client.ledger()
        exchange.kill()
    for _ in range(2):
        with ExchangeProcess(*state) as exchange:
            assert "backpack" not in exchange.line
            exchange.stop()
    with ExchangeProcess(*BOTH, *state) as exchange:
        after = await BackpackClient(http, exchange.line).ledger()
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}


async def test_second_venue_joins_a_folder_of_the_first(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "state"))
    with ExchangeProcess(*state) as exchange:
        exchange.stop()
    with ExchangeProcess(*BOTH, *state) as exchange:
        client = BackpackClient(http, exchange.line)
        bid, ask = await client.touch(ETH)
        assert bid < ask
        assert (await client.ledger())["balance"] == "100000.0"


async def test_one_owners_accounts_may_not_trade_with_each_other(http: aiohttp.ClientSession) -> None:
    with ExchangeProcess(*BOTH, "--owners", "1") as exchange:
        first, second = BackpackClient(http, exchange.line), BackpackClient(http, exchange.line, 1)
        bid, _ = await first.touch()
        await first.place(px=str(bid - 20), postOnly=True)
        await second.place("Ask", px=str(bid - 20), qty="300", timeInForce="IOC")
        books = await first.control("GET", "/ledger")
        (violation,) = books["venues"]["backpack"]["violations"]
        assert violation["reason"] == "SELF_TRADE_PROTECTION"
        assert books["violations"] == []
