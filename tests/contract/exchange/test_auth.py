"""Login, cookies and signatures as the venue handles them."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from perpmaker.clock import WallClock
from perpmaker.exchange.server import Exchange, ExchangeOptions

from .client import Client
from .test_routes import authorization

BUILDER = "0x21d2a053495994b1132a38cd1171acec40c6741e"


async def test_key_login_gives_exactly_one_cookie_and_the_account_id(stranger: Client) -> None:
    answer = await stranger.log_in()
    assert (answer.status, answer.body["status"], answer.body["sub_account_id"]) == (200, "success", stranger.sub)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("gravity=")
    assert "; Path=/; Expires=" in cookie
    assert cookie.endswith(" GMT; HttpOnly")
    assert answer.headers["X-Grvt-Account-Id"].startswith("ACC:")
    assert (await stranger.call("get_sub_accounts", {})).body == {"sub_account_ids": [stranger.sub]}


async def test_wallet_login_gives_the_same_account(stranger: Client) -> None:
    assert (await stranger.log_in_by_wallet()).body["funding_account_address"] == stranger.keys["main_account"]
    assert (await stranger.call("get_sub_accounts", {})).status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("api_key", {"api_key": "nonsense"}, 401),
        ("api_key", {}, 400),
        ("wallet", {"address": "nonsense", "signature": {}}, 400),
        ("wallet", {"address": "0x" + "1" * 40}, 400),
    ],
)
async def test_failed_login_gives_no_cookie(stranger: Client, path: str, body: Any, status: int) -> None:
    answer = await stranger.post(f"{stranger.line['edge']}/auth/{path}/login", body)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert not {"Set-Cookie", "X-Grvt-Account-Id"} & answer.headers.keys()


async def test_doubled_cookie_is_taken(client: Client) -> None:
    doubled = client.headers | {"Cookie": "; ".join([client.headers["Cookie"]] * 2)}
    url = f"{client.line['trades']}/full/v1/get_sub_accounts"
    assert (await client.post(url, {}, doubled)).status == 200
    assert (await client.post(url, {}, {"Cookie": client.headers["Cookie"]})).status == 401


async def test_cookie_that_ended_is_renewed_by_a_login_and_open_sockets_stay(
    client: Client, exchange: Exchange
) -> None:
    async with client.socket() as ws:
        assert exchange.face.sessions.expire() == 1
        assert (await client.call("get_sub_accounts", {})).status == 401
        assert "result" in await ws.ask("v1/get_sub_accounts", {})
    await client.log_in()
    assert (await client.call("get_sub_accounts", {})).status == 200


async def test_cookie_is_as_short_as_asked(http: aiohttp.ClientSession) -> None:
    exchange = Exchange(ExchangeOptions(port=0, session_life_s=0.0), WallClock())
    await exchange.start()
    client = Client(http, exchange.ready_line())
    assert (await client.log_in()).status == 200
    assert (await client.call("get_sub_accounts", {})).status == 401
    await exchange.stop()


async def test_account_id_may_come_as_a_query_parameter_on_sockets(client: Client) -> None:
    account_id = client.headers["X-Grvt-Account-Id"]
    url = f"{client.line['ws_trades']}/ws/full?x_grvt_account_id={account_id}"
    async with client.http.ws_connect(url, headers={"Cookie": client.headers["Cookie"]}) as ws:
        await ws.send_json({"jsonrpc": "2.0", "method": "v1/get_sub_accounts", "params": {}, "id": 1})
        assert (await ws.receive_json())["result"] == {"sub_account_ids": [client.sub]}


async def code_of(client: Client, order: dict[str, Any]) -> int:
    answer = await client.call("create_order", {"order": order})
    return 0 if answer.status == 200 else int(answer.body["code"])


async def test_order_is_accepted_for_any_chain_the_venue_has(client: Client) -> None:
    for chain_id in (325, 326, 327):
        for send_chain in (True, False):
            order = client.order(px="50000.0", post_only=True, chain_id=chain_id, send_chain=send_chain)
            assert await code_of(client, order) == 0
    assert await code_of(client, client.order(px="50000.0", chain_id=328, send_chain=True)) == 1012
    assert await code_of(client, client.order(px="50000.0", chain_id=328)) == 2002


async def test_fixed_chain_is_strict(http: aiohttp.ClientSession) -> None:
    exchange = Exchange(ExchangeOptions(port=0, chain_id=325), WallClock())
    await exchange.start()
    client = Client(http, exchange.ready_line())
    await client.log_in()
    assert await code_of(client, client.order(px="50000.0", chain_id=325)) == 0
    assert await code_of(client, client.order(px="50000.0", chain_id=326)) == 2002
    assert await code_of(client, client.order(px="50000.0", chain_id=326, send_chain=True)) == 1012
    await exchange.stop()


async def test_signature_is_checked_before_anything_happens(client: Client, other: Client) -> None:
    good = client.order(px="50000.0", post_only=True)
    assert await code_of(client, good | {"post_only": False}) == 2002
    changed = good["signature"]
    assert await code_of(client, good | {"signature": changed | {"v": 1}}) == 2005
    assert await code_of(client, good | {"signature": changed | {"r": "0x1"}}) == 2006
    assert await code_of(client, good | {"signature": changed | {"s": "0x" + "f" * 64}}) == 2007
    assert await code_of(client, client.order(px="50000.0", ahead_s=-1)) == 2001
    assert await code_of(client, client.order(px="50000.0", ahead_s=31 * 86_400)) == 2008
    assert await code_of(client, client.order(px="50000.0", ahead_s=30 * 86_400 - 60)) == 0
    assert await code_of(client, client.order(px="50000.0", key="0x" + "1" * 64)) == 2000
    assert await code_of(client, client.order(px="50000.0", key=other.keys["private_key"])) == 2000
    assert await code_of(client, client.order(px="50000.0", sub=other.sub)) == 2003
    assert (await client.ledger())["orders_total"] == 1


async def test_signer_is_taken_in_any_letter_case(client: Client) -> None:
    order = client.order(px="50000.0", post_only=True)
    assert order["signature"]["signer"] != order["signature"]["signer"].lower()
    assert await code_of(client, order) == 0
    lower = client.order(px="50000.0", post_only=True)
    lower["signature"]["signer"] = lower["signature"]["signer"].lower()
    assert await code_of(client, lower) == 0


async def test_builder_must_be_authorised_and_is_charged(client: Client) -> None:
    terms: dict[str, Any] = {"tif": "IMMEDIATE_OR_CANCEL", "builder": (BUILDER, "0.01")}
    assert await code_of(client, client.order(**terms)) == 7504
    await client.ok("authorize_builder", authorization(client, BUILDER, "0.01"))
    again = await client.call("authorize_builder", authorization(client, BUILDER, "0.01"))
    assert again.body["code"] == 7503
    assert await code_of(client, client.order(tif="IMMEDIATE_OR_CANCEL", builder=(BUILDER, "0.02"))) == 7500
    plain = client.order(tif="IMMEDIATE_OR_CANCEL") | {"builder": BUILDER, "builder_fee": "0.01"}
    assert await code_of(client, plain) == 2002
    assert await code_of(client, client.order(**terms)) == 0
    books = await client.until(lambda books: bool(books["fills"]))
    (fill,) = (await client.ok("fill_history", {"sub_account_id": client.sub, "limit": 1}))["result"]
    assert (fill["builder"], fill["builder_fee_rate"]) == (BUILDER, "0.01")
    assert float(fill["builder_fee"]) == pytest.approx(float(fill["price"]) * float(fill["size"]) * 0.0001)
    assert float(books["builder_fees"]) > 0
    listed = (await client.ok("get_authorized_builders", {}))["results"]
    assert listed == [{"builder_account_id": BUILDER, "max_futures_fee_rate": "0.01", "max_spot_fee_rate": "0.01"}]


async def test_builder_approval_must_be_signed_by_the_account(client: Client, other: Client) -> None:
    request = authorization(client, BUILDER)
    request["max_futures_fee_rate"] = "1.0"
    assert (await client.call("authorize_builder", request)).body["code"] == 2002
    assert (await client.call("authorize_builder", authorization(other, BUILDER))).body["code"] == 1001
