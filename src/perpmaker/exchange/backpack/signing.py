"""Who sent a request: the signed text, its window, and the ED25519 signature over it (protocol page §3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from perpmaker.exchange.backpack.codes import ApiError
from perpmaker.model.units import NS_PER_MS

DEFAULT_WINDOW_MS: Final = 5_000
MAX_WINDOW_MS: Final = 60_000
_DIGITS: Final = 16

Pairs = Sequence[tuple[str, str]]
"""Parameters of a body or query as they are signed: text, booleans in lower case."""


class Credentials(msgspec.Struct, frozen=True):
    """One funded account and the key that trades it; practice money only, so the keys may be printed."""

    owner: str
    api_key: str
    """base64 of the public key."""
    secret: str
    """base64 of the 32-byte seed."""
    account_id: int
    """The account's number in the ledger."""

    def __repr__(self) -> str:
        return f"Credentials(owner={self.owner!r}, account_id={self.account_id})"


class Proof(msgspec.Struct, frozen=True):
    """What a request brings to show who it is from."""

    api_key: str
    signature: str
    timestamp: str
    window: str

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> Proof:
        return cls(
            headers.get("X-API-Key", ""),
            headers.get("X-Signature", ""),
            headers.get("X-Timestamp", ""),
            headers.get("X-Window", ""),
        )


class Verifier:
    """Knows the accounts' keys."""

    def __init__(self, credentials: Iterable[Credentials]) -> None:
        self._keys = {
            row.api_key: (row, Ed25519PublicKey.from_public_bytes(base64.b64decode(row.api_key))) for row in credentials
        }

    def account(self, proof: Proof, instruction: str, orders: Sequence[Pairs], now_ns: int) -> Credentials:
        """Return whose request it is, or raise ApiError. `orders` has one entry, several for a batch."""
        if not proof.api_key:
            raise ApiError("UNAUTHORIZED")
        _check_time(proof, now_ns // NS_PER_MS)
        known = self._keys.get(proof.api_key)
        if known is None:
            raise ApiError("UNAUTHORIZED", "Unknown API key")
        credentials, key = known
        try:
            signature = base64.b64decode(proof.signature, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError("INVALID_SIGNATURE") from None
        for text in _texts(instruction, orders, proof):
            try:
                key.verify(signature, text.encode())
            except InvalidSignature:
                continue
            return credentials
        raise ApiError("INVALID_SIGNATURE")


def signed_text(instruction: str, orders: Sequence[Pairs], timestamp: str, window: str) -> str:
    """What is signed: the parameters sorted by name behind the instruction, for each order of a batch again."""
    parts = []
    for pairs in orders:
        parts += [f"instruction={instruction}", *(f"{name}={value}" for name, value in sorted(pairs))]
    return "&".join([*parts, f"timestamp={timestamp}", f"window={window}"])


def sign(secret: str, text: str) -> str:
    """Sign with a seed, of which only the first 32 bytes count."""
    seed = base64.b64decode(secret)[:32]
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())).decode()


def new_credentials(number: int, seed: bytes, *, owners: int | None = None) -> Credentials:
    """Make the `number`-th account (from 0) from 32 random bytes; owners take turns as on the first venue."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return Credentials(
        owner=f"owner-{(number if owners is None else number % owners) + 1}",
        api_key=base64.b64encode(public).decode(),
        secret=base64.b64encode(seed).decode(),
        account_id=number + 1,
    )


def _texts(instruction: str, orders: Sequence[Pairs], proof: Proof) -> list[str]:
    """As hummingbot signs it, and as ccxt does, who escapes the values first."""
    window = proof.window or str(DEFAULT_WINDOW_MS)
    escaped = [[(quote(name), quote(value)) for name, value in pairs] for pairs in orders]
    texts = [signed_text(instruction, form, proof.timestamp, window) for form in (orders, escaped)]
    return list(dict.fromkeys(texts))


def _check_time(proof: Proof, now_ms: int) -> None:
    window_ms = _whole(proof.window or str(DEFAULT_WINDOW_MS))
    if window_ms is None or not 0 < window_ms <= MAX_WINDOW_MS:
        raise ApiError("INVALID_CLIENT_REQUEST", f"Invalid window, at most {MAX_WINDOW_MS}")
    timestamp_ms = _whole(proof.timestamp)
    if timestamp_ms is None or timestamp_ms > now_ms + window_ms:
        raise ApiError("INVALID_CLIENT_REQUEST", "Invalid timestamp")
    if timestamp_ms + window_ms < now_ms:
        raise ApiError("INVALID_CLIENT_REQUEST", "Request has expired")


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
