"""The door: every request and every WebSocket upgrade is checked here before any route sees it.

Foreign Host or Origin: 403, which ends DNS rebinding and cross-site requests. No session: 401 for everything under
`/api/` but the login. An unsafe method without the session's CSRF header: 403. Bodies are limited in size and in time.
Every answer carries a policy by which the page loads nothing from elsewhere and is framed by nobody.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perpmaker.dashboard.sessions import Session, Sessions

CSRF_HEADER: Final = b"x-perpmaker-csrf"
MAX_BODY_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS: Final = frozenset({"/api/login"})
_OWN_SITES: Final = frozenset({b"same-origin", b"none"})


class Site(msgspec.Struct, frozen=True):
    """Under which names the dashboard answers: `Host` values, and the origins its own pages have."""

    hosts: frozenset[str]
    origins: frozenset[str]
    cookie: str
    secure: bool = False

    @classmethod
    def of(cls, names: Iterable[str], port: int, *, cookie: str, secure: bool = False) -> Site:
        """Return the site of `names` on `port`; `secure` means https."""
        default = 443 if secure else 80
        hosts = {f"{name}:{port}" for name in names} | ({*names} if port == default else set())
        scheme = "https" if secure else "http"
        return cls(frozenset(hosts), frozenset(f"{scheme}://{host}" for host in hosts), cookie, secure)


class Denied(Exception):
    """A request that does not get in; `text` is safe to show."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, site: Site, sessions: Sessions, style_hashes: Iterable[str] = ()) -> None:
        self._app = app
        self._site = site
        self._sessions = sessions
        self._headers = security_headers(style_hashes, secure=site.secure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        try:
            scope["perpmaker.session"] = self._admit(scope)
        except Denied as denied:
            await refuse(scope, receive, send_with_headers, denied)
            return
        limited = receive if scope["type"] == "websocket" else _Body(receive).receive
        await self._app(scope, limited, send_with_headers)

    def _admit(self, scope: Scope) -> Session | None:
        """Return the session when there is one; raise Denied when this request may not pass."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in self._site.hosts:
            raise Denied(403, "foreign Host")
        for origin in _values(headers, b"origin"):
            if origin.decode("latin-1").lower() not in self._site.origins:
                raise Denied(403, "foreign Origin")
        path: str = scope["path"]
        if not path.startswith("/api/"):
            return None
        for fetch_site in _values(headers, b"sec-fetch-site"):
            if fetch_site not in _OWN_SITES:
                raise Denied(403, "foreign site")
        if path in _OPEN_PATHS:
            _check_length(headers)
            return None
        session = self._sessions.find(_cookie(headers, self._site.cookie))
        if session is None:
            raise Denied(401, "log in first")
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            given = _values(headers, CSRF_HEADER)
            if len(given) != 1 or not hmac.compare_digest(given[0], session.csrf.encode()):
                raise Denied(403, "CSRF header missing or wrong")
            _check_length(headers)
        return session


class _Body:
    """Passes a request's body on, up to a size and for a time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await self._receive()
        except TimeoutError:
            raise Denied(408, "the request's body took too long") from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > MAX_BODY_BYTES:
            raise Denied(413, f"a body may have {MAX_BODY_BYTES} bytes")
        self._complete = not message.get("more_body", False)
        return message


def security_headers(style_hashes: Iterable[str], *, secure: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of every answer; `style_hashes` admit the styles that a vendored library adds by itself."""
    styles = " ".join(["'self'", *(f"'{value}'" for value in style_hashes)])
    policy = (
        "default-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; object-src 'none'; "
        f"style-src {styles}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    if secure:
        headers["strict-transport-security"] = "max-age=31536000"
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def refuse(scope: Scope, receive: Receive, send: Send, denied: Denied) -> None:
    """Answer with the status and one line of JSON; before a WebSocket's handshake this is a plain HTTP answer."""
    body = msgspec.json.encode({"error": denied.text})
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    if scope["type"] == "websocket":
        await receive()  # the connect event comes first
    await send(
        {
            "type": f"{kind}.start",
            "status": denied.status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
                (b"cache-control", b"no-store"),
            ],
        }
    )
    await send({"type": f"{kind}.body", "body": body})


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _check_length(headers: list[tuple[bytes, bytes]]) -> None:
    for value in _values(headers, b"content-length"):
        if not value.isdigit() or int(value) > MAX_BODY_BYTES:
            raise Denied(413, f"a body may have {MAX_BODY_BYTES} bytes")


def _cookie(headers: list[tuple[bytes, bytes]], name: str) -> str:
    """Read one cookie; others of the same host may hold anything, so a broken one must not hide ours."""
    for value in _values(headers, b"cookie"):
        for part in value.decode("latin-1").split(";"):
            key, _, content = part.strip().partition("=")
            if key == name:
                return content
    return ""


def session_of(scope: Any) -> Session:
    """Return the session that the door found; only for routes it protects."""
    session = scope["perpmaker.session"]
    if not isinstance(session, Session):
        raise Denied(401, "log in first")
    return session
