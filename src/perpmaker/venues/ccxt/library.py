"""ccxt itself, imported when an account needs it (it takes seconds), and one of its exchange objects made safe to use.

What is changed of ccxt's behaviour: it never resends a request and never waits in a queue of its own; it talks to the
addresses of its venue alone, through our pooled client; every request tells when its first byte is about to leave, and can
be withheld there; stream messages pass by us first, and an error in ccxt's own handling of one breaks the link instead of
ending it silently; its decimal rounding stays out of our arithmetic; what it would log of headers is never written.
"""

from __future__ import annotations

import asyncio
import decimal
import importlib
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from perpmaker.errors import ConfigError, VenueError
from perpmaker.venues.ccxt.quirks import REST, Quirks
from perpmaker.venues.ccxt.verdicts import Answered, Verdict, verdict_of
from perpmaker.venues.secret import Secret
from perpmaker.venues.transport.http import open_http

READ_S: Final = 10.0
PING_MS: Final = 2_000
"""ccxt pings at this pace and gives a link up after two missed pongs."""


class Withheld(Exception):
    """A request was stopped before its first byte left."""


class Sending:
    """One request on its way: whether a byte of it can have left, and how it was answered."""

    def __init__(self, may_leave: Callable[[], bool] = lambda: True) -> None:
        self._may_leave = may_leave
        self.has_left = False
        self.http_status = 0

    def leaving(self) -> None:
        """Called with the connection in hand, right before the first byte; raises Withheld to stop it."""
        if not self._may_leave():
            raise Withheld("it may not leave any more")
        self.has_left = True


_sending: ContextVar[Sending | None] = ContextVar("sending", default=None)


class StreamOwner(Protocol):
    """Who hears of a client's stream."""

    def on_stream_message(self, message: Any) -> bool:
        """Return whether the message has been dealt with, so that ccxt need not."""
        ...

    def on_stream_open(self) -> None: ...
    def on_stream_broken(self, reason: str) -> None: ...


def load() -> Any:
    """Import ccxt (pro); a second time costs nothing."""
    logging.getLogger("ccxt").setLevel(logging.WARNING)  # its debug lines show signed headers
    return importlib.import_module("ccxt.pro")


def addresses(quirks: Quirks, ready: Mapping[str, object] | None) -> dict[str, Any]:
    """Return ccxt's `urls.api` for the practice exchange, {} for the venue itself; `ready` names `rest` and `ws`."""
    if ready is None:
        return {}
    if not quirks.urls:
        raise ConfigError(f"venue {quirks.ccxt_id!r}: the practice exchange does not speak it; use another env")
    found = {}
    for key, scheme in (("rest", "http"), ("ws", "ws")):
        url = str(ready.get(key, "")).rstrip("/")
        parts = urlsplit(url)
        if parts.scheme != scheme or parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ConfigError(f"{quirks.ccxt_id}.{key}: {url!r} must be an address of this machine")
        found[key] = url
    return dict(_filled(quirks.urls, found))


def open_client_http(quirks: Quirks, urls: Mapping[str, Any]) -> aiohttp.ClientSession:
    """Return the HTTP client of one ccxt object: it goes to that venue's hosts and nowhere else."""
    bare = _kind(quirks)()
    hosts = frozenset(_hosts(urls or bare.urls["api"], str(getattr(bare, "hostname", None) or "")))

    def is_allowed(method: str, url: URL) -> bool:
        return url.host is not None and f"{url.host}:{url.port}" in hosts

    traces = aiohttp.TraceConfig()
    traces.on_connection_create_end.append(_leaving)
    traces.on_connection_reuseconn.append(_leaving)
    return open_http(is_allowed, total_s=READ_S, traces=(traces,))


def make_client(
    quirks: Quirks,
    http: aiohttp.ClientSession,
    owner: StreamOwner,
    *,
    urls: Mapping[str, Any],
    api_key: Secret | None = None,
    secret: Secret | None = None,
    password: Secret | None = None,
) -> Any:
    """Return a ccxt object whose stream messages `owner` hears first."""
    options: dict[str, Any] = {
        "session": http,
        "enableRateLimit": False,  # our own budget keeps a share for cancels; ccxt's is one queue for all
        "timeout": int(READ_S * 1000),
        "newUpdates": True,
        "options": {"maxRetriesOnFailure": 0, "defaultType": "swap", "ws": {"compress": 0, "keepAlive": PING_MS}},
    }
    if quirks.exact_numbers:
        options["number"] = str  # with Decimal, ccxt loses the fee of a trade
    for name, value in (("apiKey", api_key), ("secret", secret), ("password", password)):
        if value:
            options[name] = value.reveal()
    client = _tame(_kind(quirks), owner, quirks.codes)(options)
    if urls:
        client.urls["api"] = dict(urls)
    return client


class CallFailed(VenueError):
    """A call of ccxt that ended in an exception; `outcome` says what that proves."""

    def __init__(self, method: str, outcome: Answered) -> None:
        super().__init__(f"{method}: {outcome.text}")
        self.outcome = outcome


async def call(
    client: Any, method: str, *arguments: Any, sending: Sending | None = None, limit_s: float | None = None
) -> Any:
    """Call a method of ccxt; raises CallFailed. Its decimal rounding, set on the way, does not reach our arithmetic."""
    sending = sending or Sending()
    ours = decimal.getcontext()
    decimal.setcontext(ours.copy())
    token = _sending.set(sending)
    try:
        async with asyncio.timeout(limit_s):
            return await getattr(client, method)(*arguments)
    except Exception as error:  # noqa: BLE001 (the edge: ccxt's classes are mapped by table, and UNKNOWN for the rest)
        raise CallFailed(method, _answered(error, sending, client.own_codes)) from None
    finally:
        _sending.reset(token)
        decimal.setcontext(ours)


def _answered(error: BaseException, sending: Sending, codes: Mapping[str, Verdict]) -> Answered:
    """Say what became of a request that ended in an exception."""
    if isinstance(error, TimeoutError):
        return Answered(Verdict.UNKNOWN, "", "no answer in time", 0, sending.has_left)
    if isinstance(error, Withheld):
        return Answered(Verdict.REJECTED, "", str(error), 0, False)
    verdict, code, said = verdict_of(error, codes)
    text = f"{code}: {said}" if code else f"{type(error).__name__}: {said}"
    return Answered(verdict, code, text, sending.http_status, sending.has_left)


def _kind(quirks: Quirks) -> Any:
    kind = getattr(load(), quirks.ccxt_id, None)
    if kind is None:
        raise ConfigError(f"venue: ccxt has no exchange {quirks.ccxt_id!r} with streams")
    return kind


def _tame(kind: Any, owner: StreamOwner, codes: Mapping[str, Verdict]) -> Any:
    ours = decimal.getcontext()

    class Tamed(kind):  # type: ignore[misc]
        """ccxt's class with our hooks in it."""

        own_codes = codes

        def handle_message(self, client: Any, message: Any) -> None:
            decimal.setcontext(ours)
            try:
                if not owner.on_stream_message(message):
                    super().handle_message(client, message)
            except Exception as error:  # noqa: BLE001 (ccxt would stop reading the socket and tell nobody)
                owner.on_stream_broken(f"{type(error).__name__}: {error}")

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            owner.on_stream_open()

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            owner.on_stream_broken(f"{type(error).__name__}: {error}")

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            owner.on_stream_broken(f"closed with code {error}")

        def handle_errors(self, code: int, *rest: Any) -> Any:
            sending = _sending.get()
            if sending is not None:
                sending.http_status = code
            return super().handle_errors(code, *rest)

    Tamed.__name__ = kind.__name__
    return Tamed


async def _leaving(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    sending = _sending.get()
    if sending is not None:
        sending.leaving()


def _filled(template: Any, found: Mapping[str, str]) -> Any:
    if isinstance(template, Mapping):
        return {key: _filled(value, found) for key, value in template.items()}
    return found["rest" if template == REST else "ws"]


def _hosts(described: Any, hostname: str) -> list[str]:
    """Return the `host:port` texts of a tree of addresses, in which ccxt may leave the host's name open."""
    if isinstance(described, Mapping):
        return [host for value in described.values() for host in _hosts(value, hostname)]
    if not isinstance(described, str):
        return []
    url = URL(described.replace("{hostname}", hostname))
    return [f"{url.host}:{url.port}"] if url.host else []


async def close_client(client: Any) -> None:
    """Close a ccxt object's sockets; the HTTP client it was given stays its maker's."""
    tasks = [asyncio.ensure_future(one.close()) for one in (client.clients or {}).values()]
    await asyncio.gather(*tasks, return_exceptions=True)
    client.clients = {}
    client.session = None
    client.closed_by_user = True
