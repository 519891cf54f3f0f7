"""The sending half of a WebSocket: frames wait here for the wire, so that nobody who makes one ever blocks."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

MAX_WAITING_BYTES: Final = 8 << 20
"""A listener that lets more than this pile up is cut off, as a venue cuts off readers that are too slow."""

logger = structlog.get_logger(__name__)


class Outbox:
    """Frames for one connection, in order."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._ws = ws
        self._transport = transport
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._filled = asyncio.Event()

    def send(self, frame: bytes) -> None:
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        self._filled.set()
        if self._waiting_bytes > MAX_WAITING_BYTES and not self._transport.is_closing():
            logger.warning("listener_cut_off", reason="too slow", waiting_bytes=self._waiting_bytes)
            self._transport.abort()

    async def close(self, *, abort: bool) -> None:
        """End the connection, with a closing handshake or without."""
        if abort:
            self._transport.abort()
        else:
            await self._ws.close(code=WSCloseCode.GOING_AWAY)

    async def run(self) -> None:
        """Send what waits until cancelled, or until the connection is gone."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                frame = self._waiting.popleft()
                self._waiting_bytes -= len(frame)
                try:
                    await self._ws.send_frame(frame, WSMsgType.TEXT)
                except ConnectionError:
                    return  # the reading side learns of it and ends the connection
