"""An order book as a tape tells it: levels by price, nothing judged."""

from __future__ import annotations

from collections.abc import Iterable

from perpmaker.model.book import Level
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event
from perpmaker.model.ids import InstrumentId


class Levels:
    """One instrument's book after the messages so far; `is_whole` between a snapshot and the next word of doubt."""

    def __init__(self) -> None:
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.is_whole = False
        self.ts_event_ns = 0
        self._best_bid: int | None = None
        self._best_ask: int | None = None
        """As last looked up; None when the level may be gone."""

    def start(self, bids: Iterable[Level], asks: Iterable[Level], ts_event_ns: int = 0) -> None:
        self.bids = {px: qty for px, qty in bids if qty}
        self.asks = {px: qty for px, qty in asks if qty}
        self.is_whole = True
        self.ts_event_ns = ts_event_ns
        self._best_bid = self._best_ask = None

    def change(self, bids: Iterable[Level], asks: Iterable[Level], ts_event_ns: int = 0) -> None:
        for px, qty in bids:
            if qty:
                self.bids[px] = qty
                if self._best_bid is not None and px > self._best_bid:
                    self._best_bid = px
            else:
                self.bids.pop(px, None)
                if px == self._best_bid:
                    self._best_bid = None
        for px, qty in asks:
            if qty:
                self.asks[px] = qty
                if self._best_ask is not None and px < self._best_ask:
                    self._best_ask = px
            else:
                self.asks.pop(px, None)
                if px == self._best_ask:
                    self._best_ask = None
        self.ts_event_ns = ts_event_ns

    def best(self) -> tuple[int, int] | None:
        """Return best bid and ask in ticks, None while a side is empty."""
        if not self.bids or not self.asks:
            return None
        if self._best_bid is None:
            self._best_bid = max(self.bids)
        if self._best_ask is None:
            self._best_ask = min(self.asks)
        return self._best_bid, self._best_ask

    def sorted(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return bids and asks, best first."""
        return tuple(sorted(self.bids.items(), reverse=True)), tuple(sorted(self.asks.items()))


class Books:
    """The books of all instruments of a stream of events."""

    def __init__(self) -> None:
        self.books: dict[InstrumentId, Levels] = {}

    def apply(self, event: Event) -> None:
        match event:
            case BookSnapshot():
                self._of(event.instrument).start(event.bids, event.asks, event.ts_event_ns)
            case BookDelta():
                self._of(event.instrument).change(event.bids, event.asks, event.ts_event_ns)
            case BookStale():
                self._of(event.instrument).is_whole = False
            case _:
                pass

    def snapshots(self, ts_recv_ns: int) -> list[BookSnapshot]:
        """Return every whole book as a snapshot, as if it were told at this time."""
        return [
            BookSnapshot(instrument, *book.sorted(), ts_event_ns=book.ts_event_ns, ts_recv_ns=ts_recv_ns)
            for instrument, book in self.books.items()
            if book.is_whole
        ]

    def _of(self, instrument: InstrumentId) -> Levels:
        book = self.books.get(instrument)
        if book is None:
            book = self.books[instrument] = Levels()
        return book
