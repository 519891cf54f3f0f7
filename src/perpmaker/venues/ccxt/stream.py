"""One ccxt WebSocket kept up: connect, subscribe, prove by a pong that the venue has read the subscription, and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from perpmaker.clock import Clock
from perpmaker.errors import VenueError, VenueUnavailable
from perpmaker.logs import get
from perpmaker.venues.transport.backoff import AttemptCap, FullJitter
from perpmaker.venues.transport.reconnect import keep_up

CONNECT_S: Final = 10.0
PROOF_S: Final = 5.0
LOOK_S: Final = 0.02
ATTEMPTS, WINDOW_S = 30, 60.0

_log = get("venues.ccxt.stream")


class LinkOwner(Protocol):
    """Who is told about a stream."""

    async def before_connect(self) -> None:
        """Do what has to be done first (read the markets); raise VenueError to try again later."""
        ...

    def on_message(self, message: Any) -> bool: ...
    async def open_streams(self) -> Sequence[Awaitable[Any]]:
        """Send the subscriptions; returns what ccxt waits for, which ends when the link does."""
        ...

    def on_link_up(self) -> None: ...
    def on_link_down(self, reason: str) -> None: ...


class Stream:
    """Owns the socket of a ccxt client. `attach` it to the client whose StreamOwner it is."""

    def __init__(self, owner: LinkOwner, clock: Clock, *, name: str, seed: int) -> None:
        self._owner = owner
        self._clock = clock
        self._name = name
        self._backoff = FullJitter(base_s=0.25, cap_s=5.0, seed=seed)
        self._cap = AttemptCap(limit=ATTEMPTS, window_s=WINDOW_S)
        self._client: Any = None
        self._url = ""
        self._broken: asyncio.Future[str] | None = None
        self._opened = asyncio.Event()
        self.is_up = False

    def attach(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        try:
            await keep_up(self, clock=self._clock, backoff=self._backoff, cap=self._cap)
        finally:
            await self._drop()

    def doubt(self, reason: str) -> None:
        """Give the link up: it lives, and does not tell what it should."""
        self.on_stream_broken(reason)

    async def send(self, message: Any) -> None:
        """Send a message on the open socket; raises VenueUnavailable when it is not open."""
        try:
            await self._client.client(self._url).send(message)
        except (ConnectionError, OSError) as error:
            raise VenueUnavailable(f"not sent: {error}") from None

    # --- StreamOwner, as ccxt's client calls it

    def on_stream_message(self, message: Any) -> bool:
        return self._owner.on_message(message)

    def on_stream_open(self) -> None:
        self._opened.set()

    def on_stream_broken(self, reason: str) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(reason)

    # --- Served

    async def serve(self) -> None:
        await self._owner.before_connect()
        loop = asyncio.get_running_loop()
        self._broken = broken = loop.create_future()
        self._opened.clear()
        waiting: list[asyncio.Future[Any]] = []
        try:
            waiting = [asyncio.ensure_future(one) for one in await self._owner.open_streams()]
            await self._prove(broken)
            self.is_up = True
            self._owner.on_link_up()
            await asyncio.wait([broken, *waiting], return_when=asyncio.FIRST_COMPLETED)
            raise VenueUnavailable(_why(broken, waiting))
        finally:
            self._broken = None
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await self._drop()

    def ended(self, reason: VenueError) -> None:
        self.is_up = False
        self._owner.on_link_down(str(reason))

    async def _prove(self, broken: asyncio.Future[str]) -> None:
        """Wait until the venue answered a ping that was sent after the subscriptions: it has read those by then."""
        if not self._url:
            return  # ccxt opens sockets as it needs them: the first error shows that one is not there
        client = self._client.client(self._url)
        client.connect(self._client.session)
        await _first(self._opened.wait(), broken, CONNECT_S, "connecting")
        client = self._client.client(self._url)
        client.lastPong = 0
        with contextlib.suppress(ConnectionError):
            await client.connection.ping()
        await _first(_until(lambda: client.lastPong != 0), broken, PROOF_S, "the answer to a ping")

    async def _drop(self) -> None:
        """Close the socket and forget it, so that the next one begins with nothing subscribed."""
        if self._client is None:
            return
        clients, self._client.clients = self._client.clients or {}, {}
        self._client.ws_dial_backoff = {}  # the pauses are ours
        for client in clients.values():
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await client.close()


async def _first(work: Awaitable[Any], broken: asyncio.Future[str], limit_s: float, what: str) -> None:
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, broken], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            raise VenueUnavailable(broken.result())
        if not task.done():
            raise VenueUnavailable(f"no end of {what} in {limit_s:g} s")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (ccxt keeps the time of the last pong and tells nobody)
        await asyncio.sleep(LOOK_S)


def _why(broken: asyncio.Future[str], waiting: Sequence[asyncio.Future[Any]]) -> str:
    if broken.done():
        return broken.result()
    for one in waiting:
        if one.done() and not one.cancelled() and (error := one.exception()) is not None:
            return f"{type(error).__name__}: {error}"
    return "the stream ended"
