"""Bytes to typed objects and back, in either encoding. Whatever cannot be read is a DataError, never another exception."""

from __future__ import annotations

import functools
from typing import Any, Final, TypeVar

import msgspec

from perpmaker.errors import DataError
from perpmaker.venues.grvt.lite import Encoding, in_encoding
from perpmaker.venues.grvt.objects import BookFrame, Incoming
from perpmaker.venues.grvt.streams import BOOK_CHANGES, STREAMS

T = TypeVar("T", bound=msgspec.Struct)

_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, UnicodeError)


@functools.cache
def _decoder(cls: Any, encoding: Encoding) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(in_encoding(cls, encoding))


class Codec:
    """One encoding of the wire."""

    def __init__(self, encoding: Encoding = Encoding.FULL) -> None:
        self.encoding = encoding
        self.encode = msgspec.json.Encoder().encode
        self._heads: dict[str, bytes] = {}
        self._incoming = _decoder(Incoming, encoding)
        self._book_frame = _decoder(BookFrame, encoding)
        self._book_head = f'{{"{"stream" if encoding is Encoding.FULL else "s"}":"{BOOK_CHANGES}",'.encode("ascii")
        self._feeds = {name: _decoder(stream.feed, encoding) for name, stream in STREAMS.items()}
        self._request_keys = (
            ("jsonrpc", "method", "params", "id") if encoding is Encoding.FULL else ("j", "m", "p", "i")
        )

    def form(self, cls: type[T]) -> type[T]:
        """Return the type to build an object of `cls` with, so that it encodes with this encoding's keys."""
        return in_encoding(cls, self.encoding)

    def decode(self, data: bytes | msgspec.Raw, cls: type[T]) -> T:
        """Read one object; DataError names it."""
        try:
            decoded: T = _decoder(cls, self.encoding).decode(data)
        except _UNREADABLE as error:
            raise _broken(getattr(cls, "__name__", str(cls)), error) from None
        return decoded

    def incoming(self, frame: str | bytes) -> Incoming:
        """Read the envelope of a socket frame; what it carries stays unread."""
        try:
            decoded: Incoming = self._incoming.decode(frame)
        except _UNREADABLE as error:
            raise _broken("frame", error) from None
        return decoded

    def book_frame(self, frame: bytes) -> BookFrame | None:
        """Read the most frequent frame there is in one go; None when it is another, or broken: `incoming` says how."""
        if not frame.startswith(self._book_head):
            return None
        try:
            decoded: BookFrame = self._book_frame.decode(frame)
        except _UNREADABLE:
            return None
        return decoded if decoded.stream == BOOK_CHANGES else None

    def feed(self, stream: str, data: msgspec.Raw) -> Any:
        """Read what a frame of `stream` carries."""
        try:
            return self._feeds[stream].decode(data)
        except _UNREADABLE as error:
            raise _broken(stream, error) from None

    def request_head(self, method: str) -> bytes:
        """Return the bytes of a JSON-RPC request up to its params; `request_tail` ends it."""
        head = self._heads.get(method)
        if head is None:
            version, name, params, _ = self._request_keys
            head = self._heads[method] = f'{{"{version}":"2.0","{name}":"{method}","{params}":'.encode("ascii")
        return head

    def request_tail(self, request_id: int) -> bytes:
        return f',"{self._request_keys[3]}":{request_id}}}'.encode("ascii")


def _broken(what: str, error: Exception) -> DataError:
    # msgspec's texts name the member and the type, never the value, so no payload can leak through them
    return DataError(f"{what}: {type(error).__name__}: {str(error)[:200]}")
