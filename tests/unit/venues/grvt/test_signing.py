"""Every signing vector, byte for byte, and what the signer refuses."""

from __future__ import annotations

import copy
import json
import pickle  # noqa: TID251 (the test shows that it refuses)
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import coincurve
import pytest

from perpmaker.errors import ConfigError, DataError
from perpmaker.venues.grvt import signing
from perpmaker.venues.grvt.signing import Builder, Leg, SignedMarginType, SignedTif, Signer
from perpmaker.venues.secret import Secret

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "data" / "grvt" / "signing_vectors.json").read_text(encoding="utf-8")
)
CHAIN_IDS: dict[str, int] = VECTORS["header"]["chain_ids"]
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGNED_BY_US = {"wallet_login", "position_margin_config"}
NOT_SIGNED_BY_US = {
    "transfer": "the client has no transfer route",
    "withdrawal": "the client has no withdrawal route",
    "derisk_ratio": "the client never changes the derisk ratio",
    "authorize_builder": "the client has no builder",
}


def scaled(text: str, decimals: int) -> int:
    return int((Decimal(text) * 10**decimals).to_integral_value(ROUND_FLOOR))


def family(name: str) -> str:
    return name.rsplit("_", 1)[0]


def order_hash(order: dict[str, Any], instruments: dict[str, Any], nonce: int, expiration: str) -> bytes:
    legs = [
        Leg(
            asset_id=int(instruments[leg["instrument"]]["instrument_hash"], 16),
            size=scaled(leg["size"], instruments[leg["instrument"]]["base_decimals"]),
            px=0 if order["is_market"] else scaled(leg["limit_price"], signing.PRICE_DECIMALS),
            is_buy=leg["is_buying_asset"],
        )
        for leg in order["legs"]
    ]
    builder = order.get("builder")
    return signing.order_struct_hash(
        sub_account_id=int(order["sub_account_id"]),
        is_market=order["is_market"],
        tif=SignedTif[order["time_in_force"]],
        post_only=order["post_only"],
        reduce_only=order["reduce_only"],
        legs=legs,
        nonce=nonce,
        expiration=int(expiration),
        builder=None
        if builder is None
        else Builder(builder, scaled(order["builder_fee"], signing.BUILDER_FEE_DECIMALS)),
    )


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: v["name"])
def test_order_vector_is_met_byte_for_byte(vector: dict[str, Any]) -> None:
    given = vector["input"]
    chain_id = CHAIN_IDS[given["env"]]
    signer = Signer(Secret(given["private_key"]), chain_id)
    struct_hash = order_hash(given, given["instruments"], given["nonce"], given["expiration"])
    signature = signer.sign(struct_hash)
    assert "0x" + signing.domain_separator(chain_id).hex() == vector["domain_separator"]
    assert "0x" + struct_hash.hex() == vector["struct_hash"]
    assert "0x" + signer.digest(struct_hash).hex() == vector["digest"]
    assert {
        "r": signature.r,
        "s": signature.s,
        "v": signature.v,
        "signer": signature.signer,
    } == vector["expected"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["other_vectors"] if family(v["name"]) in SIGNED_BY_US], ids=lambda v: v["name"]
)
def test_other_vector_is_met_byte_for_byte(vector: dict[str, Any]) -> None:
    given = vector["input"]
    message = vector["typed_data"]["message"]
    signer = Signer(Secret(given["private_key"]), vector["typed_data"]["domain"]["chainId"])
    if family(vector["name"]) == "wallet_login":
        struct_hash = signing.wallet_login_struct_hash(
            signer=message["signer"], nonce=message["nonce"], expiration=int(message["expiration"])
        )
    else:
        struct_hash = signing.position_config_struct_hash(
            sub_account_id=int(message["subAccountID"]),
            asset_id=message["asset"],
            margin_type=SignedMarginType(message["marginType"]),
            leverage=message["leverage"],
            nonce=message["nonce"],
            expiration=int(message["expiration"]),
        )
    signature = signer.sign(struct_hash)
    expected = vector["expected"]
    assert "0x" + struct_hash.hex() == vector["struct_hash"]
    assert "0x" + signer.digest(struct_hash).hex() == vector["digest"]
    assert (signature.r, signature.s, signature.v) == (expected["r"], expected["s"], expected["v"])
    assert signature.signer.lower() == expected["signer"].lower()


def test_every_other_vector_is_signed_or_named_as_refused() -> None:
    families = {family(v["name"]) for v in VECTORS["other_vectors"]}
    assert families == SIGNED_BY_US | set(NOT_SIGNED_BY_US)


@pytest.mark.parametrize(
    "check", [c for c in VECTORS["live_checks"] if c["primary_type"] == "Order"], ids=lambda c: c["name"]
)
def test_order_taken_from_the_venue_recovers_to_its_published_signer(check: dict[str, Any]) -> None:
    instruments = {
        leg["instrument"]: {"instrument_hash": check["instrument_hash"], "base_decimals": check["base_decimals"]}
        for leg in check["order"]["legs"]
    }
    struct_hash = order_hash(check["order"], instruments, check["nonce"], check["expiration"])
    digest = signing.keccak(b"\x19\x01" + signing.domain_separator(check["chain_id"]) + struct_hash)
    assert "0x" + digest.hex() == check["digest"]
    given = check["signature"]
    raw = bytes.fromhex(given["r"][2:]) + bytes.fromhex(given["s"][2:]) + bytes([given["v"] - 27])
    public = coincurve.PublicKey.from_signature_and_message(raw, digest, hasher=None)
    recovered = signing.checksum_address(signing.keccak(public.format(compressed=False)[1:])[-20:])
    assert recovered.lower() == given["signer"]


def test_the_curve_nonce_is_rfc_6979_so_the_same_payload_gives_the_same_bytes() -> None:
    key = VECTORS["vectors"][0]["input"]["private_key"]
    hashes = [signing.keccak(bytes([n])) for n in range(50)]
    once = [Signer(Secret(key), 325).sign(h) for h in hashes]
    again = [Signer(Secret(key), 325).sign(h) for h in hashes]
    assert once == again
    assert len({signature.r for signature in once}) == len(hashes)


def test_s_is_in_the_lower_half_and_padded() -> None:
    signer = Signer(Secret(VECTORS["vectors"][0]["input"]["private_key"]), 326)
    for n in range(300):
        signature = signer.sign(signing.keccak(n.to_bytes(4, "big")))
        assert 0 < int(signature.s, 16) <= CURVE_ORDER // 2
        assert len(signature.r) == len(signature.s) == 66
        assert signature.v in {27, 28}


@pytest.mark.parametrize("text", ["", "0x12", "zz" * 32, "0" * 64, "f" * 64, "0x" + "ab" * 33])
def test_a_bad_private_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Signer(Secret(text), 325)
    assert not text or text not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_signer_cannot_be_pickled_or_printed() -> None:
    key = VECTORS["vectors"][0]["input"]["private_key"]
    signer = Signer(Secret(key), 325)
    for encode in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            encode(signer)
    assert key[2:] not in repr(signer)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": 1 << 32},
        {"nonce": -1},
        {"expiration": 1 << 63},
        {"sub_account_id": 1 << 64},
        {"tif": 256},
        {"legs": [Leg(asset_id=1, size=1 << 64, px=1, is_buy=True)]},
        {"legs": [Leg(asset_id=1, size=1, px=-1, is_buy=True)]},
        {"builder": Builder("0x12", 1)},
        {"builder": Builder("0x" + "ab" * 20, 1 << 32)},
    ],
)
def test_a_number_that_does_not_fit_its_signed_type_is_refused(change: dict[str, Any]) -> None:
    order: dict[str, Any] = {
        "sub_account_id": 1,
        "is_market": False,
        "tif": 1,
        "post_only": True,
        "reduce_only": False,
        "legs": [Leg(asset_id=1, size=1, px=1, is_buy=True)],
        "nonce": 1,
        "expiration": 1,
    }
    signing.order_struct_hash(**order)
    with pytest.raises(DataError):
        signing.order_struct_hash(**(order | change))
