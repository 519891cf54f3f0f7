"""Who may trade: the credentials of every account, made at the first start and kept with the state."""

from __future__ import annotations

import base64
import secrets
from typing import Final

import msgspec

from perpmaker.exchange.ethereum import Account

FIRST_SUB_ACCOUNT_ID: Final = 2147050003876484


class Credentials(msgspec.Struct, frozen=True):
    """One funded sub-account and the key that trades it; practice money only, so the keys may be printed."""

    owner: str
    api_key: str
    private_key: str
    signer: str
    """Address of `private_key`, lower case."""
    main_account: str
    """Address of the funding account, lower case; one login sees all its sub-accounts."""
    sub_account_id: str

    def __repr__(self) -> str:
        return f"Credentials(owner={self.owner!r}, sub_account_id={self.sub_account_id!r})"


def new_credentials(number: int, *, owners: int | None = None) -> Credentials:
    """Make the `number`-th account (from 0): a main account and a sub-account of its own, and fresh keys.

    Every account has an owner of its own, unless there are fewer `owners`: then they take turns.
    """
    key = "0x" + secrets.token_bytes(32).hex()
    return Credentials(
        owner=f"owner-{(number if owners is None else number % owners) + 1}",
        api_key=base64.urlsafe_b64encode(secrets.token_bytes(21)).decode(),
        private_key=key,
        signer=Account.from_key(key).address.lower(),
        main_account="0x" + secrets.token_bytes(20).hex(),
        sub_account_id=str(FIRST_SUB_ACCOUNT_ID + number),
    )
