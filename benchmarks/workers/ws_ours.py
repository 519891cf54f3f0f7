"""perpmaker's own market-data socket, from the address to the judged book. Arguments: address, frames of a batch."""

from __future__ import annotations

import sys

import uvloop
from benchmarks.recorded_frames import RULES
from counting import Counting
from frames import SELECTOR, START_NS

from perpmaker.clock import WallClock
from perpmaker.marketdata.books import Books
from perpmaker.model.events import Event
from perpmaker.venues.api import NoTimings
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.market import BOOK_KIND, BookStream, Market
from perpmaker.venues.grvt.socket import GrvtSocket
from perpmaker.venues.grvt.streams import BOOK_CHANGES


class AtStart(WallClock):
    """Reads the clock, but says that it is the time of the recording: its frames are not to count as old."""

    def now_ns(self) -> int:
        super().now_ns()
        return START_NS + 10_000_000


class Owner:
    def on_link_up(self) -> None: ...

    def on_link_down(self, reason: str) -> None:
        print(reason, file=sys.stderr)


async def main() -> None:
    url, batch = sys.argv[1], int(sys.argv[2])
    clock = AtStart()
    books = Books([RULES])
    counting = Counting(batch, version="perpmaker")

    def sink(event: Event) -> None:
        books.apply(event)
        counting.frame()

    socket = GrvtSocket(name="benchmark", url=url, owner=Owner(), codec=Codec(), clock=clock, seed=1)
    market = Market(RULES, sink, clock, NoTimings(), lambda: None)
    socket.subscribe(BOOK_CHANGES, SELECTOR, BookStream(market, socket), BOOK_KIND)
    await socket.run()


uvloop.run(main())
