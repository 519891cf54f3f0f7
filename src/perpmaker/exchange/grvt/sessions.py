"""Logins and cookies (protocol page §3): by API key or by wallet signature, each gives a cookie and an account id."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from perpmaker.exchange.accounts import Credentials
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.schema import Message
from perpmaker.exchange.grvt.signatures import LOGIN_MAX_AHEAD_NS, SignatureVerifier
from perpmaker.model.units import NS_PER_S

COOKIE: Final = "gravity"
DAY_NS: Final = 86_400 * NS_PER_S
_REMEMBERED_LOGINS: Final = 10_000


class Session(msgspec.Struct, frozen=True):
    """A login. It sees every sub-account of its main account."""

    token: str
    account_id: str
    main_account: str
    sub_account_id: int
    """The one the credentials belong to."""
    expires_ns: int

    def set_cookie(self) -> str:
        """The `Set-Cookie` value: Expires in the one format the official SDK parses; no Secure and no Domain."""
        expires = datetime.fromtimestamp(self.expires_ns / NS_PER_S, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return f"{COOKIE}={self.token}; Path=/; Expires={expires}; HttpOnly"

    def reply(self) -> Message:
        return {
            "status": "success",
            "location": "",
            "funding_account_address": self.main_account,
            "sub_account_id": str(self.sub_account_id),
        }


class Sessions:
    """Hands out sessions and finds them again; `life_ns` is how long a cookie is good."""

    def __init__(
        self, credentials: Iterable[Credentials], verifier: SignatureVerifier, *, life_ns: int = DAY_NS
    ) -> None:
        self.life_ns = life_ns
        self._credentials = tuple(credentials)
        self._verifier = verifier
        self._account_ids = {row.main_account: f"ACC:{secrets.token_hex(13)}" for row in self._credentials}
        self._live: dict[str, Session] = {}
        self._wallet_logins: OrderedDict[tuple[str, int, int], None] = OrderedDict()

    def log_in_by_key(self, api_key: str, now_ns: int) -> Session:
        for row in self._credentials:
            if secrets.compare_digest(row.api_key.encode(), api_key.encode()):
                return self._open(row, now_ns)
        raise ApiError(1000, "Invalid API key")

    def log_in_by_wallet(self, address: str, signature: Message, now_ns: int) -> Session:
        """Log the owner of a signing key in; one signed login works once."""
        if signature["signer"] != address:
            raise ApiError(2002)
        self._verifier.check("WalletLogin", {"signer": address}, signature, now_ns, max_ahead_ns=LOGIN_MAX_AHEAD_NS)
        used = (address, signature["nonce"], signature["expiration"])
        if used in self._wallet_logins:
            raise ApiError(2002, "Login signature was used before")
        for row in self._credentials:
            if row.signer == address:
                self._wallet_logins[used] = None
                if len(self._wallet_logins) > _REMEMBERED_LOGINS:
                    self._wallet_logins.popitem(last=False)
                return self._open(row, now_ns)
        raise ApiError(1000, "Unknown wallet address")

    def find(self, cookie_header: str, account_id: str, now_ns: int) -> Session | None:
        """Return the session of a request, None when it is not logged in (any more).

        The header may repeat the cookie (the official SDK does when hosts coincide). An account id of another account
        than the cookie's is refused with 1001.
        """
        for part in cookie_header.split(";"):
            name, _, token = part.strip().partition("=")
            session = self._live.get(token) if name == COOKIE else None
            if session is None or session.expires_ns <= now_ns or not account_id:
                continue
            if account_id != session.account_id:
                raise ApiError(1001)
            return session
        return None

    def expire(self, sub_account_id: int | None = None) -> int:
        """End every session, or those of one sub-account; return how many."""
        ended = [token for token, session in self._live.items() if sub_account_id in (None, session.sub_account_id)]
        for token in ended:
            del self._live[token]
        return len(ended)

    def _open(self, row: Credentials, now_ns: int) -> Session:
        for token in [token for token, session in self._live.items() if session.expires_ns <= now_ns]:
            del self._live[token]
        session = Session(
            token=secrets.token_urlsafe(48),
            account_id=self._account_ids[row.main_account],
            main_account=row.main_account,
            sub_account_id=int(row.sub_account_id),
            expires_ns=now_ns + self.life_ns,
        )
        self._live[session.token] = session
        return session
