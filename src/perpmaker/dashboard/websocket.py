"""RFC 6455 on the server's side, without I/O: the handshake's answer, frames in, frames out.

Only what the dashboard's stream needs: text messages, close, ping and pong; no extensions, no binary messages. Strict:
an unmasked or oversized frame, a reserved bit or a broken sequence ends the connection with the code the standard names.
"""

from __future__ import annotations

import base64
import hashlib
from enum import IntEnum
from typing import Final

import msgspec

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_CONTROL_BYTES: Final = 125


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(IntEnum):
    """Why a connection ends, as the page sees it; 4000 and above are our own."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL = 1006
    INVALID_TEXT = 1007
    POLICY = 1008
    TOO_BIG = 1009
    RESTART = 1012
    LOGGED_OUT = 4001
    STALLED = 4008
    TOO_FAST = 4029


class ProtocolError(Exception):
    """The peer broke the protocol; the connection is closed with `code`."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Received(msgspec.Struct, frozen=True):
    """A whole text message, or a control frame."""

    opcode: Opcode
    payload: bytes


class Reader:
    """Bytes in, whole messages out, however the network cuts them."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._parts = bytearray()
        self._in_message = False
        self.frames = 0
        """Counts every frame, control frames and fragments too; who reads may limit how fast it grows."""

    def feed(self, data: bytes) -> list[Received]:
        """Return what `data` completes; raise ProtocolError at the first thing that may not be."""
        self._buffer += data
        received: list[Received] = []
        while (next_frame := self._next_frame()) is not None:
            self.frames += 1
            final, opcode, payload = next_frame
            if opcode >= Opcode.CLOSE:
                received.append(Received(opcode, payload))
            elif (message := self._joined(final, opcode, payload)) is not None:
                received.append(Received(Opcode.TEXT, message))
        return received

    def _next_frame(self) -> tuple[bool, Opcode, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        final, opcode = _first_byte(buffer[0])
        if not buffer[1] & 0x80:
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a client's frame must be masked")
        length, start = buffer[1] & 0x7F, 2
        if opcode >= Opcode.CLOSE and (length > _MAX_CONTROL_BYTES or not final):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a control frame is short and whole")
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start], "big")
        if length + len(self._parts) > self._max_bytes:
            raise ProtocolError(CloseCode.TOO_BIG, f"a message may have {self._max_bytes} bytes")
        end = start + 4 + length
        if len(buffer) < end:
            return None
        payload = _unmasked(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
        del buffer[:end]
        return final, opcode, payload

    def _joined(self, final: bool, opcode: Opcode, payload: bytes) -> bytes | None:
        if opcode == Opcode.BINARY:
            raise ProtocolError(CloseCode.UNSUPPORTED_DATA, "messages are text here")
        if self._in_message != (opcode == Opcode.CONTINUATION):
            raise ProtocolError(CloseCode.PROTOCOL_ERROR, "a fragment out of order")
        self._in_message = not final
        self._parts += payload
        if not final:
            return None
        message = bytes(self._parts)
        self._parts.clear()
        return message


def accept_key(key: bytes) -> bytes:
    """Return `Sec-WebSocket-Accept` for the client's `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """Return one whole, unmasked frame."""
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        return head + bytes([length]) + payload
    if length < 1 << 16:
        return head + b"\x7e" + length.to_bytes(2, "big") + payload
    return head + b"\x7f" + length.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; a long reason is cut."""
    return frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode()[: _MAX_CONTROL_BYTES - 2])


def close_code(payload: bytes) -> int:
    """Return the code of a received close frame; 1005 when it has none."""
    return int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005


def _first_byte(value: int) -> tuple[bool, Opcode]:
    if value & 0x70:
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "reserved bits are set and no extension was agreed")
    try:
        return bool(value & 0x80), Opcode(value & 0x0F)
    except ValueError:
        raise ProtocolError(CloseCode.PROTOCOL_ERROR, "unknown opcode") from None


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")
