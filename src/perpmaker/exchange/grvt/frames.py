"""Frames of a stream as bytes: each is encoded once per stream, selector and encoding, and shared by its subscribers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from perpmaker.exchange import spoiling
from perpmaker.exchange.faults import FaultSpec
from perpmaker.exchange.grvt.routes import SCHEMA
from perpmaker.exchange.grvt.schema import Encoding, Message
from perpmaker.exchange.grvt.streams import Selection

GLOBAL_SPAN = 100_000
"""A global sequence number is the cluster's number times this (protocol page §10.5)."""


class Numbering(msgspec.Struct, frozen=True):
    """A frame's place: its own number and its predecessor's; 0 and 0 for a snapshot."""

    sequence: int
    previous: int


SNAPSHOT = Numbering(0, 0)


class FrameWriter:
    """Writes the frames of one stream and selector."""

    def __init__(self, selection: Selection) -> None:
        self._shape = SCHEMA.shapes[selection.stream.feed]
        name, text = msgspec.json.encode(selection.stream.name), msgspec.json.encode(selection.text)
        self._heads = {
            Encoding.FULL: b'{"stream":' + name + b',"selector":' + text + b',"sequence_number":"',
            Encoding.LITE: b'{"s":' + name + b',"s1":' + text + b',"sn":"',
        }

    def feed(self, message: Message, encoding: Encoding) -> bytes:
        """Encode what a frame carries."""
        return SCHEMA.encode(self._shape, message, encoding)

    def frame(self, feed: bytes, numbering: Numbering, encoding: Encoding) -> bytes:
        sequence, previous = str(numbering.sequence).encode(), str(numbering.previous).encode()
        if encoding is Encoding.FULL:
            middle, tail = b'","feed":', b',"prev_sequence_number":"'
        else:
            middle, tail = b'","f":', b',"ps":"'
        return self._heads[encoding] + sequence + middle + feed + tail + previous + b'"}'


def spoiled(message: Message, rules: Sequence[FaultSpec], crossing_bid: Callable[[], Message | None]) -> Message:
    """Return the message with what the rules do to its content; the message itself stays.

    `crossing_bid` gives a bid level above the best ask, for books that are to look crossed.
    """
    changed: Message = spoiling.spoiled(message, rules, lambda book: _crossed(book, crossing_bid()), _is_price)
    return changed


def _is_price(name: str) -> bool:
    return name.endswith("price")


def _crossed(message: Message, bid: Message | None) -> Message:
    """Put the bid in front of the bids, in a stream's frame or in the `result` of a reply."""
    if "result" in message:
        return {**message, "result": _crossed(message["result"], bid)}
    if bid is None or "bids" not in message:
        return message
    return {**message, "bids": [bid, *message["bids"]]}
