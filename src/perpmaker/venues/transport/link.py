"""One WebSocket connection whose writes happen now or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Final

import aiohttp

from perpmaker.errors import AuthError, VenueUnavailable

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""A larger frame breaks the link: nothing a venue has to say is that long."""
HEARTBEAT_S: Final = 3.0
"""Ping after this much silence; without a pong within half of it the link is broken (half-open connections). 3 s is what
the official web client of GRVT does, and bounds the detection of a dead private stream by 5 s."""
UNAUTHENTICATED: Final = frozenset({401, 403})


class Link:
    """An open WebSocket. `write` is synchronous: when it returns, the bytes are the transport's; when it raises, none are.

    Frames are text. Compression is not offered: it would cost an order more time than it saves.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._flushing: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return not self._socket.closed

    @property
    def is_congested(self) -> bool:
        """The peer reads too slowly: bytes wait in our own buffer."""
        return self._flushing is not None

    def write(self, frame: bytes) -> None:
        """Hand a text frame to the transport in this very step; raise VenueUnavailable when it cannot be, and is not."""
        if self._socket.closed:
            raise VenueUnavailable("the socket is closed")
        sending: Coroutine[asyncio.Future[None], None, None] = self._socket.send_frame(frame, aiohttp.WSMsgType.TEXT)
        try:
            waiting_for = sending.send(None)
        except StopIteration:
            return
        except (aiohttp.ClientError, ConnectionError) as error:
            raise VenueUnavailable(f"the socket did not take it: {error}") from None
        # It only waits for the buffer to drain: the frame has been written (aiohttp writes before it waits). The future it
        # waits for is shared, and whoever steps a coroutine by hand has to take the mark off as a task would.
        waiting_for._asyncio_future_blocking = False
        sending.close()
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._drained(waiting_for))

    async def frames(self) -> AsyncIterator[str]:
        """Yield text frames until the link ends; raise VenueUnavailable with the reason when it broke."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield message.data
            elif message.type is aiohttp.WSMsgType.BINARY:
                yield message.data.decode("utf-8", errors="replace")
        error = self._socket.exception()
        raise VenueUnavailable(f"link ended: {error or f'closed with code {self._socket.close_code}'}")

    async def close(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        await self._socket.close()

    async def _drained(self, buffer_has_room: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(buffer_has_room)
        except ConnectionError:
            pass  # the reader sees the broken link and says so
        finally:
            self._flushing = None


async def open_link(
    http: aiohttp.ClientSession, url: str, headers: Mapping[str, str], *, heartbeat_s: float = HEARTBEAT_S
) -> Link:
    """Connect; raise AuthError when the venue turns the credentials away, VenueUnavailable for everything else."""
    try:
        socket = await http.ws_connect(
            url,
            headers=headers,
            compress=0,
            heartbeat=heartbeat_s,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status in UNAUTHENTICATED:
            raise AuthError(f"upgrade refused with HTTP {error.status}") from None
        raise VenueUnavailable(f"upgrade refused with HTTP {error.status}") from None
    except aiohttp.ClientConnectorError as error:
        raise NotReached(f"cannot connect: {error}") from None
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise VenueUnavailable(f"cannot connect: {type(error).__name__}: {error}") from None
    return Link(socket)


class NotReached(VenueUnavailable):
    """Nobody answered at the address: the attempt does not count against the venue's patience."""
