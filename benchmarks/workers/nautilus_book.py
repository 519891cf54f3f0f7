"""nautilus_trader's order book, fed as its adapters do: msgspec, an OrderBookDelta a level, OrderBookDeltas a frame."""

from __future__ import annotations

from importlib.metadata import version

import msgspec
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
from nautilus_trader.model.enums import BookAction, BookType, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity

VERSION = f"nautilus_trader {version('nautilus_trader')}"
INSTRUMENT = InstrumentId.from_str("BTCUSDT-PERP.GRVT")


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


class Taking:
    """A book, and what makes it of frames."""

    def __init__(self) -> None:
        self.book = OrderBook(INSTRUMENT, BookType.L2_MBP)
        self._decode = msgspec.json.Decoder(Frame).decode

    def take(self, text: bytes) -> None:
        frame = self._decode(text)
        sequence, event_ns = int(frame.sequence_number), int(frame.feed.event_time)
        deltas = [OrderBookDelta.clear(INSTRUMENT, sequence, event_ns, event_ns)] if sequence == 0 else []
        left = len(frame.feed.bids) + len(frame.feed.asks)
        for side, levels in ((OrderSide.BUY, frame.feed.bids), (OrderSide.SELL, frame.feed.asks)):
            for level in levels:
                left -= 1
                size = Quantity.from_str(level.size)
                action = BookAction.UPDATE if size.raw else BookAction.DELETE
                order = BookOrder(side, Price.from_str(level.price), size, 0)
                flags = 0 if left else RecordFlag.F_LAST
                deltas.append(OrderBookDelta(INSTRUMENT, action, order, flags, sequence, event_ns, event_ns))
        self.book.apply_deltas(OrderBookDeltas(INSTRUMENT, deltas))
