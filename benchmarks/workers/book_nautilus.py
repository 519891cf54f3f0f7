"""nautilus_trader's order book, fed as its adapters do: msgspec, an OrderBookDelta a level, OrderBookDeltas a frame."""

from __future__ import annotations

import sys
from importlib.metadata import version

import msgspec
from frames import Frames
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import BookAction, BookType, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity
from turns import serve


class Level(msgspec.Struct):
    price: str
    size: str


class Feed(msgspec.Struct):
    event_time: str
    bids: list[Level]
    asks: list[Level]


class Frame(msgspec.Struct):
    sequence_number: str
    feed: Feed


def main() -> None:
    frames = Frames(sys.argv[1])
    instrument = InstrumentId.from_str("BTC-USDT-PERP.GRVT")
    book = OrderBook(instrument, BookType.L2_MBP)
    decode = msgspec.json.Decoder(Frame).decode
    whole, changes = frames.whole(), frames.changes(1)

    def take(text: bytes) -> None:
        frame = decode(text)
        sequence, event_ns = int(frame.sequence_number), int(frame.feed.event_time)
        deltas = [OrderBookDelta.clear(instrument, sequence, event_ns, event_ns)] if sequence == 0 else []
        for side, levels in ((OrderSide.BUY, frame.feed.bids), (OrderSide.SELL, frame.feed.asks)):
            for level in levels:
                size = Quantity.from_str(level.size)
                action = BookAction.UPDATE if size.raw else BookAction.DELETE
                order = BookOrder(side, Price.from_str(level.price), size, 0)
                deltas.append(OrderBookDelta(instrument, action, order, 0, sequence, event_ns, event_ns))
        last = deltas[-1]
        deltas[-1] = OrderBookDelta(
            instrument, last.action, last.order, RecordFlag.F_LAST, sequence, event_ns, event_ns
        )
        book.apply_deltas(OrderBookDeltas(instrument, deltas))

    def begin(_: int) -> None:
        take(whole)

    def each(_: int) -> None:
        for text in changes:
            take(text)

    def again(_: int) -> None:
        for _ in range(100):
            take(whole)

    begin(0)
    each(0)
    touch = [str(book.best_bid_price()), str(book.best_ask_price())]
    about = f"nautilus_trader {version('nautilus_trader')}"
    serve({"changes": each, "whole": again}, before={"changes": begin}, touch=touch, version=about)


main()
