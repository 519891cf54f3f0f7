"""EIP-712 signatures of GRVT messages, laid out by hand so that signing costs little more than the curve itself.

Protocol page §12. The digest is keccak256(0x1901 || domain separator || struct hash). Nonces of the curve are RFC 6979
(libsecp256k1's default) and s is in the lower half, so the same payload always gives the same bytes. Separators and type
hashes are computed once. Everything scaled is an int before it comes here; no float ever does.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

import msgspec
import sha3
from coincurve import PrivateKey

from perpmaker.errors import ConfigError, DataError
from perpmaker.venues.secret import Secret

PRICE_DECIMALS: Final = 9
"""A price is signed as floor(price x 10**9), whatever the instrument."""
LEVERAGE_DECIMALS: Final = 6
BUILDER_FEE_DECIMALS: Final = 4
"""`builder_fee` is in percent; it is signed as percent x 10**4."""

MAX_U32: Final = (1 << 32) - 1
MAX_U64: Final = (1 << 64) - 1
MAX_I64: Final = (1 << 63) - 1

_LEG_TYPE: Final = "OrderLeg(uint256 assetID,uint64 contractSize,uint64 limitPrice,bool isBuyingContract)"
_ORDER_HEAD: Final = (
    "uint64 subAccountID,bool isMarket,uint8 timeInForce,bool postOnly,bool reduceOnly,OrderLeg[] legs,"
)
_ORDER_TAIL: Final = "uint32 nonce,int64 expiration)"


_keccak_256: Final = sha3.keccak_256


def keccak(data: bytes) -> bytes:
    """Return Keccak-256 (the original padding, not SHA3-256)."""
    digest: bytes = _keccak_256(data).digest()
    return digest


def _type_hash(text: str) -> bytes:
    return keccak(text.encode("ascii"))


_DOMAIN_TYPE_HASH: Final = _type_hash("EIP712Domain(string name,string version,uint256 chainId)")
_LEG_TYPE_HASH: Final = _type_hash(_LEG_TYPE)
_ORDER_TYPE_HASH: Final = _type_hash(f"Order({_ORDER_HEAD}{_ORDER_TAIL}{_LEG_TYPE}")
_BUILDER_ORDER_TYPE_HASH: Final = _type_hash(
    f"OrderWithBuilderFee({_ORDER_HEAD}address builder,uint32 builderFee,{_ORDER_TAIL}{_LEG_TYPE}"
)
_WALLET_LOGIN_TYPE_HASH: Final = _type_hash("WalletLogin(address signer,uint32 nonce,int64 expiration)")
_POSITION_CONFIG_TYPE_HASH: Final = _type_hash(
    "SetSubAccountPositionMarginConfig(uint64 subAccountID,uint256 asset,uint8 marginType,int32 leverage,"
    "uint32 nonce,int64 expiration)"
)
_TRUE: Final = (1).to_bytes(32, "big")
_FALSE: Final = bytes(32)


class SignedTif(enum.IntEnum):
    """The numbers that stand for a time in force inside a signature (protocol page §9)."""

    GOOD_TILL_TIME = 1
    ALL_OR_NONE = 2
    IMMEDIATE_OR_CANCEL = 3
    FILL_OR_KILL = 4
    RETAIL_PRICE_IMPROVEMENT = 5


class SignedMarginType(enum.IntEnum):
    ISOLATED = 1
    CROSS = 2


class Leg(msgspec.Struct, frozen=True):
    """One leg as signed: `size` = quantity x 10**base_decimals, `px` = price x 10**9 (0 for a market order)."""

    asset_id: int
    size: int
    px: int
    is_buy: bool


class Builder(msgspec.Struct, frozen=True):
    """The extra-fee member of an order. Our client never sends one; the vectors prove that we would sign it rightly."""

    address: str
    fee: int
    """Percent x 10**4."""


class Signature(msgspec.Struct, frozen=True):
    """What the venue wants beside a payload: `r` and `s` as 0x + 64 hex digits, `v` 27 or 28."""

    signer: str
    r: str
    s: str
    v: int


def domain_separator(chain_id: int) -> bytes:
    """Return the separator of ("GRVT Exchange", "0", `chain_id`)."""
    return keccak(_DOMAIN_TYPE_HASH + keccak(b"GRVT Exchange") + keccak(b"0") + chain_id.to_bytes(32, "big"))


def order_struct_hash(
    *,
    sub_account_id: int,
    is_market: bool,
    tif: int,
    post_only: bool,
    reduce_only: bool,
    legs: Sequence[Leg],
    nonce: int,
    expiration: int,
    builder: Builder | None = None,
) -> bytes:
    """Return the hash of an Order, or of an OrderWithBuilderFee when a builder is given; `expiration` in UTC ns.

    Raises DataError when a number does not fit the integer type it is signed as.
    """
    type_hash = _ORDER_TYPE_HASH if builder is None else _BUILDER_ORDER_TYPE_HASH
    head = _order_head(type_hash, sub_account_id, is_market, tif, post_only, reduce_only)
    leg_hashes = b"".join(
        [leg_hash(leg_head(leg.asset_id), u64_word(leg.size), u64_word(leg.px), leg.is_buy) for leg in legs]
    )
    extra = b"" if builder is None else _address_word(builder.address) + _u32_word(builder.fee, "builder fee")
    return _order_hash(head, leg_hashes, extra, nonce, expiration)


class OrderHasher:
    """Hashes one-leg orders of one sub account: what never changes is laid out once."""

    __slots__ = ("_heads", "_sub_account_id")

    def __init__(self, sub_account_id: int) -> None:
        self._sub_account_id = sub_account_id
        self._heads: dict[tuple[bool, int, bool, bool], bytes] = {}

    def hash(
        self,
        is_market: bool,
        tif: int,
        post_only: bool,
        reduce_only: bool,
        leg: bytes,
        nonce: int,
        expiration: int,
    ) -> bytes:
        """Return what `order_struct_hash` returns; `leg` is a `leg_hash`."""
        flags = (is_market, tif, post_only, reduce_only)
        head = self._heads.get(flags)
        if head is None:
            head = self._heads[flags] = _order_head(_ORDER_TYPE_HASH, self._sub_account_id, *flags)
        return _order_hash(head, leg, b"", nonce, expiration)


def leg_head(asset_id: int) -> bytes:
    """Return the part of a leg that is the same for every order of an instrument."""
    if not 0 <= asset_id < 1 << 256:
        raise DataError("an order leg to sign: the asset id is out of range")
    return _LEG_TYPE_HASH + asset_id.to_bytes(32, "big")


def leg_hash(head: bytes, size_word: bytes, px_word: bytes, is_buy: bool) -> bytes:
    """Return the hash of a leg from its `leg_head`, its size and its price, the latter two as `u64_word`."""
    return keccak(head + size_word + px_word + (_TRUE if is_buy else _FALSE))


def u64_word(value: int) -> bytes:
    """Lay a size or a price out as it is signed; DataError when it does not fit 64 bits."""
    if not 0 <= value <= MAX_U64:
        raise DataError("an order leg to sign: size or price is out of range")
    return value.to_bytes(32, "big")


def _order_head(
    type_hash: bytes, sub_account_id: int, is_market: bool, tif: int, post_only: bool, reduce_only: bool
) -> bytes:
    if not (0 <= sub_account_id <= MAX_U64 and 0 <= tif <= 255):
        raise DataError("an order to sign: sub account or time in force is out of range")
    return (
        type_hash
        + sub_account_id.to_bytes(32, "big")
        + (_TRUE if is_market else _FALSE)
        + tif.to_bytes(32, "big")
        + (_TRUE if post_only else _FALSE)
        + (_TRUE if reduce_only else _FALSE)
    )


def _order_hash(head: bytes, leg_hashes: bytes, extra: bytes, nonce: int, expiration: int) -> bytes:
    if not (0 <= nonce <= MAX_U32 and 0 <= expiration <= MAX_I64):
        raise DataError("an order to sign: nonce or expiration is out of range")
    words = nonce.to_bytes(32, "big") + expiration.to_bytes(32, "big")
    return keccak(head + keccak(leg_hashes) + extra + words)


def wallet_login_struct_hash(*, signer: str, nonce: int, expiration: int) -> bytes:
    """Return the hash of a WalletLogin; the venue takes an expiration at most 5 minutes ahead."""
    return keccak(
        _WALLET_LOGIN_TYPE_HASH
        + _address_word(signer)
        + _u32_word(nonce, "nonce")
        + _i64_word(expiration, "expiration")
    )


def position_config_struct_hash(
    *, sub_account_id: int, asset_id: int, margin_type: SignedMarginType, leverage: int, nonce: int, expiration: int
) -> bytes:
    """Return the hash of a SetSubAccountPositionMarginConfig; `leverage` x 10**6.

    One source only names this type string and another contradicts it (protocol page §15).
    """
    if not (0 <= sub_account_id <= MAX_U64 and 0 < leverage < 1 << 31 and 0 <= asset_id < 1 << 256):
        raise DataError("a position config to sign: sub account, asset or leverage is out of range")
    return keccak(
        _POSITION_CONFIG_TYPE_HASH
        + sub_account_id.to_bytes(32, "big")
        + asset_id.to_bytes(32, "big")
        + margin_type.to_bytes(32, "big")
        + leverage.to_bytes(32, "big")
        + _u32_word(nonce, "nonce")
        + _i64_word(expiration, "expiration")
    )


class Signer:
    """A signing key bound to one chain id. The key object never leaves it."""

    __slots__ = ("_key", "_prefix", "address")

    def __init__(self, private_key: Secret, chain_id: int) -> None:
        self._key = _private_key(private_key)
        self._prefix = b"\x19\x01" + domain_separator(chain_id)
        self.address = checksum_address(keccak(self._key.public_key.format(compressed=False)[1:])[-20:])

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("a signer cannot be pickled or copied")

    def digest(self, struct_hash: bytes) -> bytes:
        """Return the 32 bytes that are signed."""
        return keccak(self._prefix + struct_hash)

    def sign(self, struct_hash: bytes) -> Signature:
        """Sign under this signer's domain; deterministic, low s."""
        raw = self._key.sign_recoverable(keccak(self._prefix + struct_hash), hasher=None)
        text = raw.hex()
        return Signature(signer=self.address, r="0x" + text[:64], s="0x" + text[64:128], v=27 + raw[64])


def checksum_address(address: bytes) -> str:
    """Return the EIP-55 spelling of a 20-byte address."""
    digits = address.hex()
    marks = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit for digit, mark in zip(digits, marks, strict=False)
    )


def _address_word(address: str) -> bytes:
    try:
        raw = bytes.fromhex(address.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise DataError("an address to sign must be 0x and 40 hex digits")
    return bytes(12) + raw


def _u32_word(value: int, what: str) -> bytes:
    if not 0 <= value <= MAX_U32:
        raise DataError(f"a message to sign: {what} {value} does not fit 32 bits")
    return value.to_bytes(32, "big")


def _i64_word(value: int, what: str) -> bytes:
    if not 0 <= value <= MAX_I64:
        raise DataError(f"a message to sign: {what} {value} does not fit 63 bits")
    return value.to_bytes(32, "big")


def _private_key(secret: Secret) -> PrivateKey:
    """Raises ConfigError without the key in its text or its cause."""
    text = secret.reveal().strip().removeprefix("0x")
    try:
        if len(text) == 64:
            return PrivateKey(bytes.fromhex(text))
    except ValueError:
        pass
    raise ConfigError("the GRVT private key must be 32 bytes in hex (64 digits, optionally after 0x)")
