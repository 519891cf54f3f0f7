"""A tape as the regime model sees it: features once a second, by the same code that measures them while trading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from perpmaker.engine.backtest_feed import Played, TapeFeed
from perpmaker.marketdata.books import Books
from perpmaker.model.events import Trade
from perpmaker.model.ids import InstrumentId
from perpmaker.research.metrics import Floats, Times
from perpmaker.strategies.regimes.features import FEATURES, SAMPLE_NS, MarketFeatures
from perpmaker.tape.reader import Tape

_TELL_EVERY: Final = 16_384


class Samples(NamedTuple):
    """Rows of features with their times and the mid then; only seconds whose window was full."""

    ts_ns: Times
    rows: Floats
    mid: Floats

    def between(self, from_ns: int, to_ns: int) -> Samples:
        """Return those from `from_ns` to before `to_ns`."""
        first, last = np.searchsorted(self.ts_ns, [from_ns, to_ns])
        return Samples(self.ts_ns[first:last], self.rows[first:last], self.mid[first:last])


def samples_of(
    tape: Tape,
    played: Played,
    name: InstrumentId,
    *,
    window_s: int,
    levels: int,
    progress: Callable[[int], None] = lambda rows: None,
) -> Samples:
    """Play one instrument of a tape and look at it once a second; `progress` hears of the rows behind."""
    feed, books = TapeFeed(tape, played, {}), Books(played.instruments.values())
    features = MarketFeatures(window_s, levels)
    ts_ns: list[int] = []
    rows: list[tuple[float, ...]] = []
    mids: list[float] = []

    def look(now_ns: int) -> None:
        book = books.book(name, now_ns)
        if book is None:
            features.on_gap()
        elif features.on_book(now_ns, book):
            values = features.values()
            if values is not None:
                ts_ns.append(now_ns)
                rows.append(values)
                mids.append(book.mid)

    second_ns = played.first_ns
    for count, event in enumerate(feed.events(), 1):
        now_ns = event.ts_recv_ns
        while second_ns + SAMPLE_NS < now_ns:  # seconds without an event, as a timer would see them
            second_ns += SAMPLE_NS
            look(second_ns)
        books.apply(event)
        if isinstance(event, Trade) and event.instrument == name and not event.replayed:
            features.on_trade()
        second_ns = max(second_ns, now_ns - now_ns % SAMPLE_NS)
        look(now_ns)
        if count % _TELL_EVERY == 0:
            progress(feed.rows_done)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
    return Samples(np.array(ts_ns, dtype=np.int64), table, np.array(mids, dtype=np.float64))
