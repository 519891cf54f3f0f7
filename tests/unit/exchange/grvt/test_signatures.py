"""Signatures: every vector is accepted, anything changed is not, and the code says which check failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.routes import ROUTES, SCHEMA
from perpmaker.exchange.grvt.schema import Encoding, Message
from perpmaker.exchange.grvt.signatures import (
    CURVE_ORDER,
    LOGIN_MAX_AHEAD_NS,
    MAX_AHEAD_NS,
    SignatureVerifier,
    order_body,
    position_config_body,
    scaled,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "data" / "grvt" / "signing_vectors.json").read_text(encoding="utf-8")
)
CHAINS = VECTORS["header"]["chain_ids"]
ORDERS = VECTORS["vectors"]
LIVE_ORDERS = [row for row in VECTORS["live_checks"] if row["primary_type"] == "Order"]
ORDER_MEMBERS = ("sub_account_id", "is_market", "time_in_force", "post_only", "reduce_only", "legs")


def of(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["name"] == name)


def signed_order(row: dict[str, Any], **signature: Any) -> Message:
    """Return a vector as the order a client would have sent."""
    source, expected = row["input"], row["expected"]
    wire = {name: source[name] for name in (*ORDER_MEMBERS, "builder", "builder_fee") if name in source}
    wire["metadata"] = {"client_order_id": source["client_order_id"]}
    wire["signature"] = {
        **{name: expected[name] for name in ("signer", "r", "s", "v")},
        **{name: source[name] for name in ("nonce", "expiration")},
        **signature,
    }
    return SCHEMA.from_wire(SCHEMA.shapes["Order"], wire, Encoding.FULL)


def assets(row: dict[str, Any]) -> dict[str, tuple[int, int]]:
    listed = row["input"]["instruments"]
    return {name: (int(item["instrument_hash"], 16), item["base_decimals"]) for name, item in listed.items()}


def check(row: dict[str, Any], verifier: SignatureVerifier, *, now_ns: int | None = None, **signature: Any) -> None:
    order = signed_order(row, **signature)
    at_ns = int(row["input"]["expiration"]) - 1 if now_ns is None else now_ns
    verifier.check(*order_body(order, assets(row)), order["signature"], at_ns)


def code_of(row: dict[str, Any], verifier: SignatureVerifier, **changes: Any) -> int:
    with pytest.raises(ApiError) as refused:
        check(row, verifier, **changes)
    return refused.value.code


BASIC = of(ORDERS, "basic_limit_testnet_buy")
ANY_CHAIN = SignatureVerifier()


@pytest.mark.parametrize("row", ORDERS, ids=[row["name"] for row in ORDERS])
def test_order_vector_is_accepted_for_its_chain_and_without_naming_one(row: dict[str, Any]) -> None:
    chain = CHAINS[row["input"]["env"]]
    check(row, SignatureVerifier(chain))
    check(row, ANY_CHAIN)
    check(row, ANY_CHAIN, chain_id="0")
    check(row, ANY_CHAIN, chain_id=str(chain))


@pytest.mark.parametrize("row", LIVE_ORDERS, ids=[row["name"] for row in LIVE_ORDERS])
def test_order_of_the_venue_is_accepted(row: dict[str, Any]) -> None:
    signature = row["signature"] | {"nonce": row["nonce"], "expiration": row["expiration"]}
    wire = row["order"] | {"signature": signature, "metadata": {"client_order_id": "1"}}
    order = SCHEMA.from_wire(SCHEMA.shapes["Order"], wire, Encoding.FULL)
    listed = {leg["instrument"]: (int(row["instrument_hash"], 16), row["base_decimals"]) for leg in order["legs"]}
    ANY_CHAIN.check(*order_body(order, listed), order["signature"], int(row["expiration"]) - 1)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_wallet_login_vector_is_accepted(number: int) -> None:
    row = of(VECTORS["other_vectors"], f"wallet_login_{number}")
    ANY_CHAIN.check(
        "WalletLogin",
        {"signer": row["input"]["address"]},
        signature_of(row),
        int(row["input"]["expiration"]) - 1,
        max_ahead_ns=LOGIN_MAX_AHEAD_NS,
    )


@pytest.mark.parametrize("number", [0, 1])
def test_builder_approval_vector_is_accepted(number: int) -> None:
    row = of(VECTORS["other_vectors"], f"authorize_builder_{number}")
    wire = {name: row["input"][name] for name in ("main_account_id", "builder_account_id")}
    rates = {name: row["input"][name] for name in ("max_futures_fee_rate", "max_spot_fee_rate")}
    shape = tuple(member for member in ROUTES["v1/authorize_builder"].request if member.name != "signature")
    request = SCHEMA.from_wire(shape, wire | rates, Encoding.FULL)
    body = {
        "mainAccountID": request["main_account_id"],
        "builderAccountID": request["builder_account_id"],
        "maxFutureFeeRate": scaled(request["max_futures_fee_rate"], 4),
        "maxSpotFeeRate": scaled(request["max_spot_fee_rate"], 4),
    }
    ANY_CHAIN.check("AuthorizeBuilder", body, signature_of(row), int(row["input"]["expiration"]) - 1)


@pytest.mark.parametrize("number", [0, 1])
def test_position_config_vector_is_accepted(number: int) -> None:
    row = of(VECTORS["other_vectors"], f"position_margin_config_{number}")
    shape = tuple(member for member in ROUTES["v1/set_position_config"].request if member.name != "signature")
    request = SCHEMA.from_wire(shape, row["input"], Encoding.FULL)
    body = position_config_body(request, int(row["input"]["instrument_hash"], 16))
    ANY_CHAIN.check("SetSubAccountPositionMarginConfig", body, signature_of(row), int(row["input"]["expiration"]) - 1)


def signature_of(row: dict[str, Any]) -> Message:
    wire = {
        **{name: row["expected"][name] for name in ("signer", "r", "s", "v")},
        **{name: row["input"][name] for name in ("nonce", "expiration")},
    }
    return SCHEMA.from_wire(SCHEMA.shapes["Signature"], wire, Encoding.FULL)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("sub_account_id", "2147050003876485"),
        ("is_market", True),
        ("time_in_force", "IMMEDIATE_OR_CANCEL"),
        ("post_only", True),
        ("reduce_only", True),
        ("nonce", 1),
        ("expiration", "1767225600000000001"),
    ],
)
def test_order_with_a_changed_member_is_refused(member: str, value: Any) -> None:
    row = json.loads(json.dumps(BASIC))
    row["input"][member] = value
    assert code_of(row, ANY_CHAIN) == 2002


@pytest.mark.parametrize(
    ("member", "value"), [("size", "0.002"), ("limit_price", "65038.2"), ("is_buying_asset", False)]
)
def test_order_with_a_changed_leg_is_refused(member: str, value: Any) -> None:
    row = json.loads(json.dumps(BASIC))
    row["input"]["legs"][0][member] = value
    assert code_of(row, ANY_CHAIN) == 2002


def test_signature_of_another_chain_is_refused_when_one_is_fixed() -> None:
    assert code_of(BASIC, SignatureVerifier(325)) == 2002
    assert code_of(BASIC, SignatureVerifier(325), chain_id="326") == 1012
    assert code_of(BASIC, ANY_CHAIN, chain_id="325") == 2002
    assert code_of(BASIC, ANY_CHAIN, chain_id="328") == 1012


def test_order_signed_for_the_l1_chain_is_accepted_when_it_says_so() -> None:
    from perpmaker.exchange.ethereum import Account, encode_typed_data
    from perpmaker.exchange.grvt import signatures

    order = signed_order(BASIC)
    kind, body = order_body(order, assets(BASIC))
    message = {**body, "nonce": order["signature"]["nonce"], "expiration": order["signature"]["expiration"]}
    typed = encode_typed_data(signatures._domain(11155111), signatures._types(kind), message)
    made = Account.from_key(BASIC["input"]["private_key"]).sign_message(typed)
    made_members = {"r": f"0x{made.r:064x}", "s": f"0x{made.s:064x}", "v": made.v}
    check(BASIC, SignatureVerifier(326), chain_id="11155111", **made_members)
    assert code_of(BASIC, SignatureVerifier(325), chain_id="11155111", **made_members) == 1012
    assert code_of(BASIC, ANY_CHAIN, **made_members) == 2002


def test_checks_come_in_the_pages_order() -> None:
    expiration = int(BASIC["input"]["expiration"])
    wrong = {"r": "0x01", "v": 30, "s": "0x" + "f" * 64}
    assert code_of(BASIC, ANY_CHAIN, now_ns=expiration, **wrong) == 2005
    assert code_of(BASIC, ANY_CHAIN, now_ns=expiration, **(wrong | {"v": 27})) == 2006
    assert code_of(BASIC, ANY_CHAIN, now_ns=expiration, s="0x" + "f" * 64) == 2007
    assert code_of(BASIC, ANY_CHAIN, now_ns=expiration, r="0x" + "0" * 64) == 2001
    assert code_of(BASIC, ANY_CHAIN, now_ns=expiration - MAX_AHEAD_NS - 1, r="0x" + "0" * 64) == 2008
    assert code_of(BASIC, ANY_CHAIN, r="0x" + "0" * 64) == 2002
    check(BASIC, ANY_CHAIN, now_ns=expiration - MAX_AHEAD_NS)


def test_malleated_signature_is_refused() -> None:
    s = int(BASIC["expected"]["s"], 16)
    assert code_of(BASIC, ANY_CHAIN, s=f"0x{CURVE_ORDER - s:064x}", v=55 - BASIC["expected"]["v"]) == 2007


def test_value_that_no_signature_can_cover_is_refused() -> None:
    row = json.loads(json.dumps(BASIC))
    row["input"]["legs"][0]["size"] = "99999999999999999999"
    assert code_of(row, ANY_CHAIN) == 2002
    row["input"]["legs"][0]["size"] = "-1"
    assert code_of(row, ANY_CHAIN) == 2002


def test_letter_case_of_the_signer_does_not_matter() -> None:
    check(BASIC, ANY_CHAIN, signer=BASIC["expected"]["signer"].upper().replace("0X", "0x"))


def test_importing_the_verifier_leaves_the_recursion_limit_alone() -> None:
    """Else deep nesting overflows the decoder's C stack; a fresh process, as other tests import much."""
    program = "import sys; import perpmaker.exchange.grvt.signatures; print(sys.getrecursionlimit())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1000"
