"""A frame of book changes is read in one go; whatever arrives, the same is heard as when it is read step by step."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker.clock import ManualClock
from perpmaker.marketdata.books import Books
from perpmaker.model.events import Event
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.venues.api import NoTimings
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.market import BOOK_KIND, BookStream, Market
from perpmaker.venues.grvt.objects import SubscribeResult
from perpmaker.venues.grvt.socket import GrvtSocket
from perpmaker.venues.grvt.streams import BOOK_CHANGES

SYMBOL = "BTC_USDT_Perp"
SELECTOR = f"{SYMBOL}@50"
RULES = Instrument(
    instrument_id=InstrumentId(SYMBOL),
    symbol=SYMBOL,
    exchange="grvt",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    min_notional=Decimal(100),
)
NASTY: list[Any] = [
    "", "NaN", "-1", "0", "0.0", "0E-9", "1e400", "Infinity", "100.05", "9" * 30, "1_0", "+1", " 1", "1.", "1e2",
    "0100.10", "0." + "0" * 28 + "1", "\u0663", None, 5, 1.5, True, [], {}, "v1.trade",
]  # fmt: skip
LEVELS = st.lists(
    st.tuples(st.integers(990, 1010), st.sampled_from([0, 0, 1, 5, 1234])).map(
        lambda level: {"price": f"{level[0] / 10:.1f}", "size": f"{level[1] / 1000:.3f}", "num_orders": 1}
    ),
    max_size=5,
)
WHOLE = {
    "bids": [{"price": "99.5", "size": "1.0"}, {"price": "99.4", "size": "2"}],
    "asks": [{"price": "100.5", "size": "0.001"}],
}


class Odd(Codec):
    """Never reads a frame in one go."""

    def book_frame(self, frame: bytes) -> None:
        return None


class Nobody:
    def on_link_up(self) -> None: ...
    def on_link_down(self, reason: str) -> None: ...


class Ear:
    """What a socket makes of frames: events, the judged book, and what was counted."""

    def __init__(self, codec: Codec) -> None:
        self.clock = ManualClock()
        self.books = Books([RULES])
        self.log: list[Any] = []
        self.socket = GrvtSocket(name="x", url="ws://x", owner=Nobody(), codec=codec, clock=self.clock, seed=1)
        market = Market(RULES, self._hear, self.clock, NoTimings(), lambda: self.log.append("doubt"))
        self.stream = self.socket.subscribe(BOOK_CHANGES, SELECTOR, BookStream(market, self.socket), BOOK_KIND)
        self.stream.asked(first_on_link=True)
        self.stream.acknowledge(
            SubscribeResult(stream=BOOK_CHANGES, subs=[SELECTOR], first_sequence_number=["1"]),
        )

    def _hear(self, event: Event) -> None:
        self.log += [event, self.books.apply(event)]

    def take(self, text: bytes) -> None:
        self.clock.advance(1_000_000)
        self.socket._on_frame(text)
        book = self.books.book(RULES.instrument_id, self.clock.now_ns())
        self.log += [self.stream.state, msgspec.to_builtins(self.stream.counters), self.socket.counters.unmatched]
        self.log.append(None if book is None else [book.levels(side, 99) for side in Side])


def frame(number: Any, previous: Any, sides: dict[str, Any]) -> dict[str, Any]:
    feed = {"event_time": "1700000000000000000", "instrument": SYMBOL, **sides}
    head = {"stream": BOOK_CHANGES, "selector": SELECTOR, "sequence_number": number}
    return {**head, "feed": feed, "prev_sequence_number": previous}


def text(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, one in inner for place in places(one, (*here, key)))][0 if here else 1 :]


@st.composite
def frames(draw: st.DrawFn) -> list[bytes]:
    """A book and changes in order, now and then out of order, and one of them with anything anywhere."""
    written = [frame("0", "0", copy.deepcopy(WHOLE))]
    number = 0
    for _ in range(draw(st.integers(1, 6))):
        step = draw(st.sampled_from([1, 1, 1, 1, 1, 2, 0]))
        written.append(frame(str(number + step), str(number), {"bids": draw(LEVELS), "asks": draw(LEVELS)}))
        number += step
    hurt = draw(st.integers(0, len(written) - 1))
    if draw(st.booleans()):
        place = draw(st.sampled_from(places(written[hurt])))
        inner: Any = written[hurt]
        for key in place[:-1]:
            inner = inner[key]
        if draw(st.booleans()):
            inner[place[-1]] = draw(st.sampled_from(NASTY))
        else:
            del inner[place[-1]]
    texts = [text(value) for value in written]
    how = draw(st.sampled_from(["whole", "whole", "cut", "other key twice", "flip"]))
    broken = bytearray(texts[hurt])
    if how == "cut":
        del broken[draw(st.integers(0, len(broken) - 1)) :]
    elif how == "other key twice":
        broken[-1:] = b',"stream":"v1.trade"}'
    elif how == "flip":
        broken[draw(st.integers(0, len(broken) - 1))] ^= 1 << draw(st.integers(0, 7))
    texts[hurt] = bytes(broken)
    return texts


@settings(max_examples=300, deadline=None)
@given(frames())
def test_reading_in_one_go_and_step_by_step_hear_the_same(texts: list[bytes]) -> None:
    ears = Ear(Codec()), Ear(Odd())
    for one in texts:
        for ear in ears:
            ear.take(one)
    assert ears[0].log == ears[1].log


def test_a_plain_frame_is_read_in_one_go() -> None:
    codec = Codec()
    read = codec.book_frame(text(frame("1", "0", WHOLE)))
    assert read is not None
    assert (read.selector, read.sequence_number, read.prev_sequence_number) == (SELECTOR, "1", "0")
    assert [level.price for level in read.feed.bids] == ["99.5", "99.4"]
    assert codec.book_frame(text({**frame("1", "0", WHOLE), "stream": "v1.book.s"})) is None
