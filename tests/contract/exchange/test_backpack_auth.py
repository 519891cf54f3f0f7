"""Who may ask: signatures, windows, keys, and the vectors of the protocol page."""

from __future__ import annotations

import pytest

from perpmaker.exchange.backpack.codes import ApiError
from perpmaker.exchange.backpack.signing import Credentials, Proof, Verifier, sign, signed_text

from .backpack_client import BackpackClient

SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
NOW_MS = 1_700_000_000_000
ORDER = {
    "clientId": "7",
    "orderType": "Limit",
    "postOnly": "true",
    "price": "3000",
    "quantity": "0.001",
    "reduceOnly": "true",
    "side": "Bid",
    "symbol": "ETH_USDC_PERP",
}
BATCH = [
    {"orderType": "Limit", "price": "3000", "quantity": "0.001", "side": "Bid", "symbol": "ETH_USDC_PERP"},
    {"orderType": "Limit", "price": "3100", "quantity": "0.001", "side": "Ask", "symbol": "ETH_USDC_PERP"},
]
VECTORS = [
    (
        "balanceQuery",
        [{}],
        "ogsyh1c6LnY10GiJaCoAEdHpkK2BT4KgS7NAd1PW2DQndw1OnR0WbY0M753KwW9Mq6Dmw3k+Kdw+wPxzKMCiAg==",
    ),
    ("subscribe", [{}], "mxIdZT3relFG10SYkdl4nIzm1LhhlW8oC6qF2MO03/JWvhFiRSeHidCVk8UGX+cyLu3UdxatFYnoPs+ngqkdBQ=="),
    (
        "orderExecute",
        [ORDER],
        "hKJkk+8SP4sMf7gFwHwTCDyA/VLX5DS6qwalUG8drMSqanmoHLXF3jLPPpHxcpGHlU7bzXcqOmrIllveWSbFCg==",
    ),
    (
        "orderCancel",
        [{"orderId": "4228978331", "symbol": "ETH_USDC_PERP"}],
        "Q7HhERTHwIEKPOrOTecB9mSd+krGugvhzAuZPehZ9oEJuGquwegAEVJv3ZwTh2n5QhiNPdOEiG0jBA0gEbpkCg==",
    ),
    (
        "orderExecute",
        BATCH,
        "VvcTVpAxUfqsOGXunPbKn78tIbxesT6J0D34vTDB9N6iDIfTMDk8FbgoH0qFFi0dLyUfIOk6fnEA8KhwLhW+DA==",
    ),
]


@pytest.mark.parametrize(("instruction", "orders", "signature"), VECTORS)
def test_vector_of_the_page_is_accepted(instruction: str, orders: list[dict[str, str]], signature: str) -> None:
    verifier = Verifier([Credentials("owner-1", KEY, SEED, 1)])
    pairs = [list(order.items()) for order in orders]
    proof = Proof(KEY, signature, str(NOW_MS), "5000")
    assert verifier.account(proof, instruction, pairs, NOW_MS * 1_000_000).account_id == 1
    assert sign(SEED, signed_text(instruction, pairs, str(NOW_MS), "5000")) == signature
    with pytest.raises(ApiError, match="INVALID_SIGNATURE"):
        verifier.account(proof, "positionQuery", pairs, NOW_MS * 1_000_000)


def test_secret_may_be_longer_than_the_seed() -> None:
    longer = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" + "AAAA="
    assert sign(longer, "x") == sign(SEED, "x")


async def test_signed_request_is_answered(pair: BackpackClient) -> None:
    assert (await pair.get("/api/v1/capital"))["USDC"]["available"] == "100000.0"


@pytest.mark.parametrize(
    ("change", "status", "code", "message"),
    [
        ({"X-API-Key": ""}, 401, "UNAUTHORIZED", ""),
        ({"X-API-Key": KEY}, 401, "UNAUTHORIZED", "Unknown API key"),
        ({"X-Signature": "bm90IGEgc2lnbmF0dXJl"}, 400, "INVALID_SIGNATURE", ""),
        ({"X-Signature": "?"}, 400, "INVALID_SIGNATURE", ""),
        ({"X-Timestamp": "soon"}, 400, "INVALID_CLIENT_REQUEST", "Invalid timestamp"),
        ({"X-Window": "60001"}, 400, "INVALID_CLIENT_REQUEST", "Invalid window"),
    ],
)
async def test_bad_header_is_refused(
    pair: BackpackClient, change: dict[str, str], status: int, code: str, message: str
) -> None:
    answer = await pair.call("GET", "/api/v1/capital", None, pair.headers("balanceQuery", [{}]) | change)
    assert (answer.status, answer.body["code"]) == (status, code)
    assert message in answer.body["message"]


@pytest.mark.parametrize(
    ("shift_ms", "window", "said"),
    [(-6_000, 5_000, "Request has expired"), (20_000, 5_000, "Invalid timestamp"), (-30_000, 60_000, "")],
)
async def test_request_is_good_for_its_window(pair: BackpackClient, shift_ms: int, window: int, said: str) -> None:
    headers = pair.headers("balanceQuery", [{}], window=window, shift_ms=shift_ms)
    answer = await pair.call("GET", "/api/v1/capital", None, headers)
    assert answer.status == (400 if said else 200)
    if said:
        assert (answer.body["code"], answer.body["message"]) == ("INVALID_CLIENT_REQUEST", said)


async def test_signature_covers_every_parameter(pair: BackpackClient) -> None:
    order = pair.order(px="2000")
    headers = pair.headers("orderExecute", [order])
    answer = await pair.call("POST", "/api/v1/order", order | {"price": "2001"}, headers)
    assert answer.body["code"] == "INVALID_SIGNATURE"
    answer = await pair.call("POST", "/api/v1/order", order | {"reduceOnly": False}, headers)
    assert answer.body["code"] == "INVALID_SIGNATURE"
    assert (await pair.call("POST", "/api/v1/order", order, headers)).status == 200


async def test_key_of_one_account_opens_no_other(pair: BackpackClient, other_pair: BackpackClient) -> None:
    order = await pair.rest()
    named = {"symbol": order["symbol"], "orderId": order["id"]}
    assert (await other_pair.call("DELETE", "/api/v1/order", named)).body["code"] == "RESOURCE_NOT_FOUND"
    assert await other_pair.get("/api/v1/orders") == []


async def test_more_than_two_thousand_a_minute_is_too_much(pair: BackpackClient, other_pair: BackpackClient) -> None:
    limits = {"venue": "backpack", "kind": "requests", "rate": 0, "burst": 2}
    await pair.control("POST", "/limits", limits)
    statuses = [(await pair.call("GET", "/api/v1/capital")).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await other_pair.call("GET", "/api/v1/capital")).status == 200
    assert (await pair.control("GET", "/limits"))["create"]["burst"] > 2
