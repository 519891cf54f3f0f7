"""One WebSocket connection whose frames arrive, and whose writes leave, in the very step that has them.

By picows (decision: docs/explanation/decisions/sockets.md): a frame is handed on inside the loop's read of the socket, not
one turn of the loop later.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import picows

from perpmaker.errors import AuthError, VenueUnavailable

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""A larger frame breaks the link: nothing a venue has to say is that long."""
HEARTBEAT_S: Final = 3.0
"""Ping after this much silence; without a pong within half of it the link is broken (half-open connections). 3 s is what
the official web client of GRVT does, and bounds the detection of a dead private stream by 5 s."""
CONNECT_S: Final = 5.0
"""For the way there, TLS included; the answer to the upgrade has as long again."""
CLOSE_S: Final = 1.0
UNAUTHENTICATED: Final = frozenset({401, 403})

OnFrame = Callable[[bytes], None]
"""Takes one whole message. It must not wait; what it raises ends the link and comes out of `Link.ended`."""

_DATA: Final = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY)
_NEVER_SENT: Final = (0, 1005, 1006)
_HIGHEST_CODE: Final = 4999
_NO_CODE: Final = "without a code (1005)"
"""RFC 6455 §7.4: 1005 and 1006 stand for closes that had no code or no frame; codes end at 4999."""
_SILENT: Final = logging.Logger(
    "perpmaker.link"
)  # the library would log headers, and so cookies, when asked for detail
_SILENT.disabled = True


class Link(picows.WSListener):
    """An open WebSocket. `write` is synchronous: when it returns, the bytes are the transport's; when it raises, none are.

    Compression is not offered: it would cost an order more time than it saves.
    """

    def __init__(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._transport: picows.WSTransport | None = None
        self._parts: bytearray | None = None
        self._congested = False
        self._abandoned = False
        self._why = ""

    @property
    def is_open(self) -> bool:
        transport = self._transport
        return (
            transport is not None
            and not self._why
            and not transport.is_disconnected
            and not transport.is_close_frame_sent
            and not transport.underlying_transport.is_closing()
        )

    @property
    def is_congested(self) -> bool:
        """The peer reads too slowly: bytes wait in our own buffer."""
        return self._congested

    def write(self, frame: bytes) -> None:
        """Hand a text frame to the transport in this very step; raise VenueUnavailable when it cannot be, and is not."""
        transport = self._transport
        if transport is None or not self.is_open:
            raise VenueUnavailable("the socket is closed")
        transport.send(picows.WSMsgType.TEXT, frame)

    async def ended(self) -> NoReturn:
        """Wait for the end of the link and raise VenueUnavailable with the reason, or what `on_frame` raised."""
        transport = self._transport
        if transport is None:
            raise VenueUnavailable("link ended: it was never open")
        try:
            await transport.wait_disconnected()
        except (picows.WSError, OSError) as error:
            raise VenueUnavailable(f"link ended: {self._why or error}") from None
        sent = transport.close_handshake.sent if transport.close_handshake is not None else None
        why = self._why or (sent.reason if sent is not None else "") or "the peer dropped the connection"
        raise VenueUnavailable(f"link ended: {why}")

    async def close(self) -> None:
        """Say goodbye and wait for the peer's, but not for long."""
        transport = self._transport
        if transport is None:
            return
        transport.send_close(picows.WSCloseCode.OK)
        ending = asyncio.ensure_future(transport.wait_disconnected())
        done, _ = await asyncio.wait({ending}, timeout=CLOSE_S)
        if done:
            ending.exception()  # whoever waited for the end has it too
        else:
            ending.cancel()
            transport.underlying_transport.abort()

    def abandon(self) -> None:
        """Nobody waits for this link any more: drop it, also when it only opens later."""
        self._abandoned = True
        if self._transport is not None:
            self._transport.underlying_transport.abort()

    # --- called by picows

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        if self._abandoned:
            transport.underlying_transport.abort()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if transport.is_close_frame_sent and self._is_broken(transport):
            return  # picows reads on for a moment, and what follows a broken frame is anything
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._break("a reserved bit is set, and no extension was agreed on")
        if kind in _DATA:
            if self._parts is not None:
                self._break("a new message in the middle of one in parts")
            if frame.fin:
                self._on_frame(frame.get_payload_as_bytes())
            else:
                self._parts = bytearray(frame.get_payload_as_bytes())
        elif kind == picows.WSMsgType.CONTINUATION:
            self._on_part(frame)
        elif kind == picows.WSMsgType.CLOSE:
            self._on_close(transport, frame)

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False

    def _on_part(self, frame: picows.WSFrame) -> None:
        if self._parts is None:
            self._break("a continuation of nothing")
        self._parts += frame.get_payload_as_bytes()
        if len(self._parts) > MAX_FRAME_BYTES:
            self._break("the message is too long", picows.WSCloseCode.MESSAGE_TOO_BIG)
        if frame.fin:
            whole, self._parts = bytes(self._parts), None
            self._on_frame(whole)

    def _on_close(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Answer the peer's goodbye. Of codes below 3000 picows has let pass those that are defined, and 0."""
        code = int(frame.get_close_code().value)
        if frame.payload_size and (code in _NEVER_SENT or code > _HIGHEST_CODE):
            self._break(f"a close frame with code {code}, which may not be sent")
        told = f"with code {code} {frame.get_close_reason() or ''}".rstrip() if frame.payload_size else _NO_CODE
        self._why = f"closed {told}"
        transport.send_close(picows.WSCloseCode.OK)
        transport.disconnect()

    def _is_broken(self, transport: picows.WSTransport) -> bool:
        """Whether the peer was told anything but a calm goodbye."""
        said = transport.close_handshake.sent if transport.close_handshake is not None else None
        return said is not None and said.code != picows.WSCloseCode.OK

    def _break(self, why: str, code: picows.WSCloseCode = picows.WSCloseCode.PROTOCOL_ERROR) -> NoReturn:
        """The peer broke RFC 6455: it is told so, nothing more is heard of it, and the link ends."""
        self._why = why
        raise picows.WSProtocolError(code, why)


async def open_link(
    url: str, headers: Mapping[str, str], on_frame: OnFrame, *, heartbeat_s: float = HEARTBEAT_S
) -> Link:
    """Connect; raise AuthError when the venue turns the credentials away, VenueUnavailable for everything else.

    Goes to `url` and nowhere else: neither redirects nor proxies of the environment are followed.
    """
    link = Link(on_frame)
    try:
        async with asyncio.timeout(2 * CONNECT_S):
            await picows.ws_connect(
                lambda: link,
                url,
                ssl_context=ssl.create_default_context() if url.startswith("wss:") else None,
                logger_name=_SILENT,
                websocket_handshake_timeout=CONNECT_S,
                enable_auto_ping=True,
                auto_ping_idle_timeout=heartbeat_s,
                auto_ping_reply_timeout=heartbeat_s / 2,
                max_frame_size=MAX_FRAME_BYTES,
                extra_headers=dict(headers),
                max_redirects=0,
                use_aiofastnet=False,
            )
    except picows.WSHandshakeError as error:
        status = None if error.response is None else int(error.response.status)
        if status in UNAUTHENTICATED:
            raise AuthError(f"upgrade refused with HTTP {status}") from None
        raise VenueUnavailable(
            f"upgrade refused with HTTP {status}" if status else f"upgrade failed: {error}"
        ) from None
    except TimeoutError:
        link.abandon()
        raise VenueUnavailable("cannot connect: no answer in time") from None
    except OSError as error:
        raise NotReached(f"cannot connect: {error}") from None
    except picows.WSError as error:
        raise VenueUnavailable(f"cannot connect: {type(error).__name__}: {error}") from None
    except BaseException:
        link.abandon()
        raise
    if not link.is_open:  # so ends an upgrade that the peer dropped in the middle
        raise VenueUnavailable("cannot connect: the peer dropped the connection")
    return link


class NotReached(VenueUnavailable):
    """Nobody answered at the address: the attempt does not count against the venue's patience."""
