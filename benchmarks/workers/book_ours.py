"""perpmaker's way from a frame to a judged book, as the feed and the core take it, and decoding alone as the floor."""

from __future__ import annotations

import sys
from decimal import Decimal

import msgspec
from benchmarks.recorded_frames import RULES
from frames import SELECTOR, START_NS, Frames
from turns import serve

from perpmaker.clock import WallClock
from perpmaker.marketdata.books import Books
from perpmaker.venues.api import NoTimings
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.market import BOOK_KIND, BookStream, Market
from perpmaker.venues.grvt.objects import SubscribeResult
from perpmaker.venues.grvt.streams import BOOK_CHANGES
from perpmaker.venues.grvt.subscription import Subscription


class AtStart(WallClock):
    """Reads the clock, but says that it is the time of the recording: its frames are not to count as old."""

    def now_ns(self) -> int:
        super().now_ns()
        return START_NS + 10_000_000


class Link:
    last_frame_ns = 0


class Level(msgspec.Struct):
    price: str
    size: str
    num_orders: int


class Feed(msgspec.Struct):
    event_time: str
    instrument: str
    bids: list[Level]
    asks: list[Level]


class Frame(msgspec.Struct):
    stream: str
    selector: str
    sequence_number: str
    prev_sequence_number: str
    feed: Feed


def main() -> None:
    frames = Frames(sys.argv[1])
    clock, codec, link = AtStart(), Codec(), Link()
    books = Books([RULES])

    def handler() -> BookStream:
        return BookStream(Market(RULES, books.apply, clock, NoTimings(), lambda: None), link)

    stream = Subscription(BOOK_CHANGES, SELECTOR, handler(), BOOK_KIND)
    streams = {(BOOK_CHANGES, SELECTOR): stream}
    whole, changes = frames.whole(), frames.changes(1)
    decode = msgspec.json.Decoder(Frame).decode

    def take(text: bytes) -> None:
        """The steps of GrvtSocket for a frame of a stream."""
        link.last_frame_ns = clock.monotonic_ns()
        frame = codec.book_frame(text)
        if frame is None or streams.get((frame.stream, frame.selector)) is not stream:
            raise RuntimeError("a frame of the recording is not read as book changes")
        stream.take(frame, frame.feed)

    def begin(_: int) -> None:
        """Subscribe, and get the whole book. What was read in earlier passes is forgotten: no market repeats itself."""
        stream.handler = handler()
        stream.asked(first_on_link=True)
        stream.acknowledge(SubscribeResult(stream=BOOK_CHANGES, subs=[SELECTOR], first_sequence_number=["1"]))
        take(whole)

    def each(_: int) -> None:
        for text in changes:
            take(text)

    def again(_: int) -> None:
        for _ in range(100):
            take(whole)

    def decoded(_: int) -> None:
        for text in changes:
            decode(text)

    def decoded_whole(_: int) -> None:
        for _ in range(100):
            decode(whole)

    def touch() -> list[str]:
        begin(0)
        each(0)
        book = books.book(RULES.instrument_id, clock.now_ns())
        if book is None:
            return []
        return [str(Decimal(ticks) * RULES.tick) for ticks in (book.bid_ticks, book.ask_ticks)]

    serve(
        {"changes": each, "whole": again, "decode": decoded, "decode_whole": decoded_whole},
        before={"changes": begin, "whole": begin},
        touch=touch(),
    )


main()
