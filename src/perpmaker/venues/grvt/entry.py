"""The way of a write to the venue: over the trading socket while it is open, over HTTP while it is not."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

import msgspec

from perpmaker.errors import RequestRejected, VenueUnavailable
from perpmaker.venues.grvt.answers import Answer, Lost, NotSent, Reply, as_error
from perpmaker.venues.grvt.requests import OnAnswer
from perpmaker.venues.grvt.rest import Release, Rest
from perpmaker.venues.grvt.routes import Route
from perpmaker.venues.grvt.socket import GrvtSocket

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)

READ_TIMEOUT_S: Final = 2.0
MAX_REST_WRITES: Final = 64
"""Writes that may be under way over HTTP at once; beyond that they are refused, not queued."""


class OrderEntry:
    """Writes now or not at all. Nothing is kept for a later link."""

    def __init__(self, socket: GrvtSocket, rest: Rest, *, rest_fallback: bool) -> None:
        self._socket = socket
        self._rest = rest
        self._rest_fallback = rest_fallback
        self._tasks: set[asyncio.Task[None]] = set()

    def write(
        self,
        route: Route[Q, R],
        params: bytes,
        on_answer: OnAnswer,
        *,
        timeout_s: float,
        release: Release,
    ) -> None:
        """Send a request whose `release` has just been, or will be, asked in the step in which its bytes leave.

        Over the socket that is this very step. Over HTTP it is the step in which the body is handed to the transport, and
        until then nothing has left. Raises VenueUnavailable when it is certain that nothing will leave; `on_answer` gets
        everything else, Lost at `timeout_s` at the latest, and once more if a late answer comes.
        """
        if self._socket.is_open:
            if not release():
                raise VenueUnavailable("forbidden meanwhile")
            self._socket.request(route.method, params, on_answer, timeout_s=timeout_s)
            return
        self.write_by_rest(route, params, on_answer, timeout_s=timeout_s, release=release)

    def write_by_rest(
        self, route: Route[Q, R], params: bytes, on_answer: OnAnswer, *, timeout_s: float, release: Release
    ) -> None:
        """As `write`, over HTTP whatever the socket says."""
        if not self._rest_fallback:
            raise VenueUnavailable("the trading socket is not open")
        if len(self._tasks) >= MAX_REST_WRITES:
            raise VenueUnavailable(f"{MAX_REST_WRITES} requests are under way over HTTP")
        writing = self._by_rest(route, params, on_answer, timeout_s, release)
        task = asyncio.get_running_loop().create_task(writing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def read(self, route: Route[Q, R], request: Q) -> R:
        """Ask for one thing quickly, over whichever way is open; raises VenueError or DataError."""
        if self._socket.is_open:
            await self._rest.budget(route.cost)
            answer = await self._by_socket(route, self._rest.codec.encode(request))
            if isinstance(answer, Reply):
                return self._rest.codec.decode(answer.body, route.reply)
            self._rest.note(route.cost, answer)
            error = as_error(answer, route.path)
            if isinstance(error, RequestRejected):
                raise error
        return await self._rest.call(route, request)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _by_rest(
        self, route: Route[Q, R], params: bytes, on_answer: OnAnswer, timeout_s: float, release: Release
    ) -> None:
        handed_over = False

        def let_go() -> bool:
            nonlocal handed_over
            handed_over = release()
            return handed_over

        asking = asyncio.ensure_future(self._rest.ask(route, params, release=let_go))
        try:
            done, _ = await asyncio.wait({asking}, timeout=timeout_s)
            if not done:
                on_answer(Lost(f"{route.method}: no answer in {timeout_s:g} s"))
            on_answer(await asking)
        except asyncio.CancelledError:
            asking.cancel()
            on_answer(Lost("stopped") if handed_over else NotSent("stopped"))
            raise

    async def _by_socket(self, route: Route[Q, R], params: bytes) -> Answer:
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def on_answer(answer: Answer) -> None:
            if not waiting.done():
                waiting.set_result(answer)

        try:
            self._socket.request(route.method, params, on_answer, timeout_s=READ_TIMEOUT_S)
        except VenueUnavailable as error:
            return NotSent(str(error))
        return await waiting
