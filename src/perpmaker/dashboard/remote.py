"""What it takes to let browsers of other machines in: TLS, and a password kept as its argon2 hash."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import argon2
import msgspec

from perpmaker.errors import ConfigError

MIN_PASSWORD_CHARACTERS: Final = 14
_MIN_DIFFERENT_CHARACTERS: Final = 6


class Remote(msgspec.Struct, frozen=True):
    """A dashboard that others can reach. `names` are the host names that browsers use for it."""

    certificate: Path
    private_key: Path
    password_hash: str
    names: tuple[str, ...]

    def password(self) -> Password:
        return Password(self.password_hash)


class Password:
    """A password at login; one check takes about a quarter of a second on purpose, and does not hold the loop up."""

    def __init__(self, password_hash: str) -> None:
        try:
            argon2.extract_parameters(password_hash)
        except argon2.exceptions.InvalidHashError:
            raise ConfigError("the dashboard's password hash is not an argon2 hash") from None
        self._hash = password_hash
        self._one_at_a_time = asyncio.Lock()

    async def matches(self, attempt: str) -> bool:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._verify, attempt)

    def _verify(self, attempt: str) -> bool:
        try:
            return argon2.PasswordHasher().verify(self._hash, attempt)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def hash_password(password: str) -> str:
    """Return the argon2id hash to configure; raise ConfigError for a password that is too weak to be one."""
    if len(password) < MIN_PASSWORD_CHARACTERS or len(set(password)) < _MIN_DIFFERENT_CHARACTERS:
        raise ConfigError(
            f"a dashboard password needs at least {MIN_PASSWORD_CHARACTERS} characters, "
            f"{_MIN_DIFFERENT_CHARACTERS} of them different"
        )
    return argon2.PasswordHasher().hash(password)
