"""One pooled HTTP client per process or account: keep-alive, verified TLS, no cookies of its own, no proxies from the
environment, and nowhere to go but the addresses it was made for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
from yarl import URL

from perpmaker.errors import VenueUnavailable

POOL_SIZE: Final = 32
KEEP_ALIVE_S: Final = 60.0
CONNECT_S: Final = 5.0

IsAllowed = Callable[[str, URL], bool]
"""(method, address) -> whether a request may go there."""


def open_http(
    is_allowed: IsAllowed, *, total_s: float = 10.0, traces: Sequence[aiohttp.TraceConfig] = ()
) -> aiohttp.ClientSession:
    """Return a client session; the caller closes it. `total_s` bounds a whole request, body included.

    Every request, WebSocket upgrade and redirect is asked about first; what is not allowed raises VenueUnavailable before
    anything is sent. Cookies are never stored: several accounts share a host, and each request carries its own.
    """

    async def only_allowed(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if not is_allowed(request.method, request.url):
            raise VenueUnavailable(
                f"refused to go to {request.url.host} {request.url.path}: it is not on the allow-list"
            )
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=POOL_SIZE, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_S),
        trust_env=False,
        middlewares=(only_allowed,),
        trace_configs=list(traces),
    )
