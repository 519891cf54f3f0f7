"""The process: its one line, its options, its end, and what a restart brings back."""

from __future__ import annotations

import signal
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from .client import Client
from .process import ExchangeProcess, refusal


def test_ready_line_is_all_of_stdout_and_sigterm_ends_it_cleanly() -> None:
    with ExchangeProcess() as exchange:
        line = exchange.line
        assert exchange.stop() == 0
        assert exchange.rest == b""
    assert list(line) == [
        "edge",
        "trades",
        "market_data",
        "ws_trades",
        "ws_market_data",
        "control",
        "accounts",
        "instance_id",
    ]
    for name in ("edge", "trades", "market_data", "control"):
        parts = urlsplit(line[name])
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "")
    assert line["ws_trades"].startswith("ws://127.0.0.1:")
    assert line["ws_trades"] != line["ws_market_data"]
    assert len(line["accounts"]) == 2
    for account in line["accounts"]:
        assert account.keys() == {"owner", "api_key", "private_key", "signer", "main_account", "sub_account_id"}
        assert account["signer"] == account["signer"].lower()
    for name in ("owner", "api_key", "private_key", "main_account", "sub_account_id"):
        assert len({account[name] for account in line["accounts"]}) == 2


def test_sigint_ends_it_cleanly_too() -> None:
    with ExchangeProcess() as exchange:
        exchange.process.send_signal(signal.SIGINT)
        assert exchange.wait() == 0


def test_log_is_short_and_without_secrets() -> None:
    with ExchangeProcess() as exchange:
        exchange.stop()
        log = exchange.log()
        assert 0 < len(log.splitlines()) <= 5
        for account in exchange.line["accounts"]:
            assert account["private_key"] not in log
            assert account["api_key"] not in log


def test_taken_port_is_an_error_unless_the_next_free_one_will_do() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, said = refusal("--port", str(port))
        assert code == 3
        assert f"--port {port}: taken" in said
        with ExchangeProcess("--port", str(port), "--next-free") as exchange:
            assert urlsplit(exchange.line["edge"]).port != port


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--market", "tape"], "--tape"),
        (["--tape", "x"], "--market tape"),
        (["--chain-id", "1"], "--chain-id 1"),
        (["--fee-tier", "10"], "--fee-tier 10"),
        (["--accounts", "0"], "--accounts 0"),
        (["--activity", "3"], "--activity 3: 0.1 to 2"),
        (["--activity", "0.5", "--market", "tape", "--tape", "x"], "as busy as it was"),
        (["--instruments", "/nowhere.toml"], "/nowhere.toml"),
    ],
)
def test_wrong_option_is_named(options: list[str], word: str) -> None:
    code, said = refusal("--port", "0", *options)
    assert code == 3
    assert word in said
    assert "Traceback" not in said


async def test_accounts_of_one_owner_may_not_trade_with_each_other(http: aiohttp.ClientSession) -> None:
    with ExchangeProcess("--owners", "1") as exchange:
        first, second = Client(http, exchange.line), Client(http, exchange.line, 1)
        assert first.keys["owner"] == second.keys["owner"]
        await first.log_in()
        await second.log_in()
        bid, _ = await first.touch()
        await first.create(px=str(bid - 20), post_only=True)
        await second.create(buy=False, px=str(bid - 20), qty="10", tif="IMMEDIATE_OR_CANCEL")
        await second.until(lambda books: books["orders_total"] == 1 and not books["open_orders"])
        (violation,) = (await first.control("GET", "/ledger"))["violations"]
        assert violation["reason"] == "SELF_TRADE_PROTECTION"


async def test_activity_makes_the_market_deeper(http: aiohttp.ClientSession) -> None:
    depths = []
    for activity in ("0.1", "2"):
        with ExchangeProcess("--activity", activity) as exchange:
            client = Client(http, exchange.line)
            book = (await client.ok("book", {"instrument": "BTC_USDT_Perp", "depth": 50}))["result"]
            depths.append(sum(Decimal(row["size"]) for row in book["bids"]))
    assert depths[1] > 5 * depths[0]


async def test_new_market_may_have_a_past(http: aiohttp.ClientSession) -> None:
    with ExchangeProcess("--history-s", "130") as exchange:
        client = Client(http, exchange.line)
        request = {"instrument": "BTC_USDT_Perp", "interval": "CI_1_M", "type": "TRADE"}
        candles = (await client.ok("kline", request))["result"]
        assert len(candles) >= 3
        book = (await client.ok("book", {"instrument": "BTC_USDT_Perp", "depth": 10}))["result"]
        assert int(book["event_time"]) > int(candles[0]["open_time"])


async def test_accounts_fee_tier_and_instruments_are_chosen(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    listed = tmp_path / "instruments.toml"
    listed.write_text(
        '[[instrument]]\nname = "DOGE_USDT_Perp"\ninstrument_hash = "0x030901"\ntick_size = "0.00001"\n'
        'min_size = "1"\nmin_notional = "5"\nmax_position_size = "1000000"\nstart_price = "0.1"\n'
    )
    with ExchangeProcess("--accounts", "3", "--fee-tier", "9", "--instruments", str(listed)) as exchange:
        client = Client(http, exchange.line, 2)
        await client.log_in()
        (row,) = (await client.ok("instruments", {}))["result"]
        assert (row["instrument"], row["tick_size"]) == ("DOGE_USDT_Perp", "0.00001")
        tier = (await client.ok("funding_account_summary", {}))["tier"]
        assert (tier["tier"], tier["futures_maker_fee"], tier["futures_taker_fee"]) == (9, -30, 190)


async def busy(http: aiohttp.ClientSession, line: dict[str, Any]) -> Client:
    client = Client(http, line)
    await client.log_in()
    await client.buy_at_market("0.01")
    await client.create(px="50000.0", post_only=True)
    return client


KEPT = ("owner", "sub_account_id", "deposits", "balance", "realized_pnl", "fees", "positions", "fills", "fills_total")


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_restart_resumes_everything_but_open_orders(
    http: aiohttp.ClientSession, tmp_path: Path, way: str
) -> None:
    options = ("--state", str(tmp_path / "state"))
    with ExchangeProcess(*options) as exchange:
        client = await busy(http, exchange.line)
        before, line = await client.ledger(), exchange.line
        getattr(exchange, way)()
    with ExchangeProcess(*options) as exchange:
        assert exchange.line["instance_id"] == line["instance_id"]
        assert exchange.line["accounts"] == line["accounts"]
        client = Client(http, exchange.line)
        await client.log_in()
        after = await client.ledger()
        assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
        assert after["open_orders"] == []
        history = (await client.ok("order_history", {"sub_account_id": client.sub}))["result"]
        reasons = {row["legs"][0]["limit_price"]: row["state"]["reject_reason"] for row in history}
        assert reasons["50000.0"] == "SYSTEM_FAILOVER"
        async with client.socket() as ws:
            reply = await ws.subscribe("v1.order", client.sub)
            assert reply["result"]["first_sequence_number"] == ["1"]
        await client.create(px="50000.0", post_only=True)
        ids = {row["order_id"] for row in (await client.ok("open_orders", {"sub_account_id": client.sub}))["result"]}
        assert not ids & {row["order_id"] for row in history}


async def test_restart_knows_authorised_builders_and_adds_accounts(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    from .test_routes import BUILDER, authorization

    options = ("--state", str(tmp_path / "state"))
    with ExchangeProcess(*options) as exchange:
        client = Client(http, exchange.line)
        await client.log_in()
        await client.ok("authorize_builder", authorization(client, BUILDER))
        exchange.kill()
    with ExchangeProcess(*options, "--accounts", "3") as exchange:
        client = Client(http, exchange.line)
        await client.log_in()
        (builder,) = (await client.ok("get_authorized_builders", {}))["results"]
        assert builder["builder_account_id"] == BUILDER
        third = Client(http, exchange.line, 2)
        await third.log_in()
        assert (await third.ledger())["balance"] == "100000.0"


def test_without_a_state_folder_each_start_is_a_new_instance() -> None:
    with ExchangeProcess() as first, ExchangeProcess() as second:
        assert first.line["instance_id"] != second.line["instance_id"]
        assert first.line["accounts"] != second.line["accounts"]
