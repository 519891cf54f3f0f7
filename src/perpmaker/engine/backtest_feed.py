"""A tape as a feed: the events of the instruments that are traded, under the engine's names, at the times we heard them.

What a tape does not hold is made up, and said: a mark price (the mid, once a second) where it has none, bars from trades
where it has no bars. Receive times below venue times mean two clocks that disagree: then all of them are shifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
import numpy as np

from perpmaker.engine.backtest_linear import InBase, in_base, said, with_base_lots
from perpmaker.errors import ConfigError
from perpmaker.marketdata.book import OrderBook
from perpmaker.marketdata.candles import CandleBuilder
from perpmaker.model.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    BookStale,
    Channel,
    ClockOffset,
    Connectivity,
    ConversionRate,
    Event,
    Ticker,
    Trade,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import LatencyPoint
from perpmaker.tape.columns import Columns, take
from perpmaker.tape.examine import files_of
from perpmaker.tape.own import NOTE as OWN_ORDERS
from perpmaker.tape.own import must_be_market
from perpmaker.tape.reader import ALWAYS, Tape, chunk_events
from perpmaker.tape.rows import decode_event, text_of
from perpmaker.tape.schema import Kind, TapeInstrument

MARK_EVERY_NS: Final = NS_PER_S
LEAST_LATENCY_NS: Final = NS_PER_MS
"""What the fastest event of a shifted tape is taken to have needed."""
_SHOWN: Final = (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE, Kind.MARK, Kind.INDEX, Kind.LAST_PX, Kind.FUNDING, Kind.STALE)
_TOLD_BY_FEEDS: Final = frozenset({BookDelta, BookSnapshot, Trade, Ticker, BookStale, ClockOffset, ConversionRate, Bar})
"""Events are of these very types; `isinstance` against a union of them takes a microsecond and more."""
_IS_SHOWN: Final = np.isin(np.arange(256), _SHOWN)


class Played(msgspec.Struct, frozen=True):
    """How a tape is played: which of its instruments stands for which of the engine's, and what was made up."""

    instruments: dict[InstrumentId, Instrument]
    """By the engine's names."""
    names: dict[InstrumentId, InstrumentId]
    """The tape's name -> the engine's."""
    shift_ns: int
    """Added to all receive times."""
    marks_from_mid: tuple[InstrumentId, ...]
    first_ns: int
    last_ns: int
    rows: int
    feed_ns: int | None = None
    """What market data is taken to need, None: as recorded."""
    latencies: tuple[LatencyPoint, ...] = ()
    """The median of what it needed in each second, both ways alike."""
    in_base: dict[int, InBase] = {}
    """How the quantities of coin-margined instruments are taken, by their places on the tape."""
    not_linear: tuple[str, ...] = ()
    """What was taken for a linear perpetual and is none, for people."""
    own_orders: str = ""
    """What was taken out of the books of a session's market, for people; "" where nobody's was."""

    def unshifted(self) -> Played:
        """Return it with the tape's own receive times: a session knows by how much its clock differs from the venue's."""
        away_ns = self.shift_ns
        return msgspec.structs.replace(
            self,
            shift_ns=0,
            first_ns=self.first_ns - away_ns,
            last_ns=self.last_ns - away_ns,
            latencies=tuple(
                LatencyPoint(point.at_ns - away_ns, point.entry_ns - away_ns, point.response_ns - away_ns)
                for point in self.latencies
                if min(point.entry_ns, point.response_ns) >= away_ns
            ),
        )


def plan_feed(
    tape: Tape,
    wanted: Sequence[InstrumentId],
    named: Mapping[str, str],
    from_ns: int = 0,
    to_ns: int = ALWAYS,
    feed_ns: int | None = None,
) -> Played:
    """Find each wanted instrument on a tape: by the name given for it, its own, or the only one of the same currencies."""
    must_be_market(tape)
    if not tape.in_order:
        raise ConfigError(f"{tape.name}: receive times go back; a backtest needs them in order")
    traded = {text for name in wanted for text in (name, name.partition("@")[0])}
    for there, here in named.items():
        if here not in traded:
            raise ConfigError(f"--as {there}={here}: nothing trades {here}; what is traded is {', '.join(wanted)}")
    names: dict[InstrumentId, InstrumentId] = {}
    instruments: dict[InstrumentId, Instrument] = {}
    scales: dict[int, InBase] = {}
    not_linear: list[str] = []
    for name in wanted:
        listed = _on_tape(tape, name, named)
        if listed is None:
            continue
        names[listed.instrument_id] = name
        instruments[name] = _as_traded(listed, name)
        if listed.contract == "inverse":
            place = tape.instruments.index(listed)
            scale = scales[place] = in_base(tape, place, listed)
            rules = instruments[name]
            instruments[name] = msgspec.structs.replace(rules, lot=scale.lot, min_qty=scale.min_qty)
        if how := said(listed):
            not_linear.append(how)
    missing = [name for name in wanted if name not in instruments]
    if missing:
        there = ", ".join(listed.instrument_id for listed in tape.instruments)
        raise ConfigError(
            f"{tape.name}: holds no {', '.join(missing)}; it holds {there}. To take one for another: --as TAPE=CONFIG"
        )
    played = _surveyed(tape, names, instruments, from_ns, to_ns)
    return msgspec.structs.replace(
        played,
        feed_ns=feed_ns,
        shift_ns=played.shift_ns if feed_ns is None else 0,
        in_base=scales,
        not_linear=tuple(not_linear),
        own_orders="; ".join(text for file in files_of(tape) if (text := file.contents.notes.get(OWN_ORDERS))),
    )


class TapeFeed:
    """Yields what the engine hears, in order. `rows_done` counts the tape's rows behind it."""

    def __init__(self, tape: Tape, played: Played, bars: Mapping[InstrumentId, Sequence[int]]) -> None:
        self.rows_done = 0
        self._tape = tape
        self._played = played
        self.names = [played.names.get(listed.instrument_id, listed.instrument_id) for listed in tape.instruments]
        self._wanted = np.array([listed.instrument_id in played.names for listed in tape.instruments] + [False])
        self._builders = {
            name: [CandleBuilder(played.instruments[name], bar_s) for bar_s in lengths]
            for name, lengths in bars.items()
            if name in played.instruments
        }
        self.mark_books = {name: OrderBook(played.instruments[name]) for name in played.marks_from_mid}
        self._marked_ns: dict[InstrumentId, int] = {}
        self._last_ns = 0

    def events(self, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Event]:
        """Yield everything from `from_ns` to before `to_ns`, times of the tape, beginning with the books as they stood."""
        for event in self._state_before(from_ns):
            yield event
            yield from self._made_up(event)
        for columns in self._tape.chunks(from_ns, to_ns):
            for event in self._heard(columns):
                yield event
                yield from self._made_up(event)
            self.rows_done += columns.rows

    # --- the same by columns

    def begin(self, from_ns: int) -> Iterator[Event]:
        """Yield what `events` begins with: the books as they stood."""
        for event in self._state_before(from_ns):
            yield from self.told(event)

    def columns(self, from_ns: int = 0, to_ns: int = ALWAYS) -> Iterator[Columns]:
        """Yield the rows of what `events` would go on with, at the times we hear of them; `told` makes up the rest."""
        for columns in self._tape.chunks(from_ns, to_ns):
            yield self._as_heard(self._traded(columns))
            self.rows_done += columns.rows

    def told(self, event: Event) -> Iterator[Event]:
        """Yield an event of the tape, and what is made up from it."""
        yield event
        yield from self._made_up(event)

    def wants_trades(self, name: InstrumentId) -> bool:
        """Whether bars are made of an instrument's trades."""
        return bool(self._builders.get(name))

    def next_mark_ns(self, name: InstrumentId) -> int:
        """When the next mark of an instrument may be made up; `ALWAYS` for never."""
        return self._marked_ns.get(name, 0) + MARK_EVERY_NS if name in self.mark_books else ALWAYS

    def _as_heard(self, columns: Columns) -> Columns:
        recv_ns, happened_ns = columns.recv_ns, np.where(columns.kind == Kind.STALE, 0, columns.event_ns)
        texts = np.flatnonzero(columns.kind == Kind.EVENT)
        kept = np.ones(columns.rows, dtype=np.bool_)
        if len(texts):
            recv_ns = recv_ns.copy()
        for row in texts.tolist():
            event = decode_event(text_of(int(columns.aux[row]), columns.texts))
            kept[row] = _is_of_the_feed(event)
            recv_ns[row], happened_ns[row] = event.ts_recv_ns, getattr(event, "ts_event_ns", 0)
        feed_ns = self._played.feed_ns
        if not kept.all():
            columns, recv_ns, happened_ns = take(columns, kept), recv_ns[kept], happened_ns[kept]
        if feed_ns is None:
            return columns._replace(recv_ns=recv_ns + self._played.shift_ns if self._played.shift_ns else recv_ns)
        if not columns.rows:
            return columns
        last_ns = np.maximum.accumulate(np.where(happened_ns != 0, happened_ns + feed_ns, 0))
        last_ns = np.maximum(last_ns, self._last_ns)
        self._last_ns = int(last_ns[-1])
        return columns._replace(recv_ns=np.where(last_ns != 0, last_ns, recv_ns))

    # --- event by event

    def _heard(self, columns: Columns) -> Iterator[Event]:
        shift_ns, feed_ns = self._played.shift_ns, self._played.feed_ns
        for event in chunk_events(self._traded(columns), self.names):
            if not _is_of_the_feed(event):
                continue
            if feed_ns is not None:
                yield self._heard_after(event, feed_ns)
            else:
                yield msgspec.structs.replace(event, ts_recv_ns=event.ts_recv_ns + shift_ns) if shift_ns else event

    def _heard_after(self, event: Event, feed_ns: int) -> Event:
        """An event as heard that long after it happened, in the order of the tape; without a venue time, with the last."""
        happened_ns = getattr(event, "ts_event_ns", 0)
        self._last_ns = max(self._last_ns, happened_ns + feed_ns if happened_ns else 0)
        return msgspec.structs.replace(event, ts_recv_ns=self._last_ns or event.ts_recv_ns)

    def _state_before(self, from_ns: int) -> list[Event]:
        """Return the books and the last tickers of before, as if told when the playing begins."""
        if from_ns <= self._tape.first_recv_ns:
            return []
        books: dict[InstrumentId, OrderBook] = {}
        tickers: dict[InstrumentId, Ticker] = {}
        for columns in self._tape.chunks(0, from_ns):
            for event in self._heard(columns):
                match event:
                    case BookSnapshot(instrument=name):
                        book = books[name] = OrderBook(self._played.instruments[name])
                        book.snapshot(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)
                    case BookDelta(instrument=name) if name in books:
                        books[name].apply(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)
                    case BookStale(instrument=name):
                        books.pop(name, None)
                    case Ticker(instrument=name):
                        tickers[name] = event
        now_ns = self._played.first_ns
        told: list[Event] = [
            BookSnapshot(name, tuple(book.each(Side.BUY)), tuple(book.each(Side.SELL)), book.ts_event_ns, now_ns)
            for name, book in books.items()
        ]
        return told + [msgspec.structs.replace(ticker, ts_recv_ns=now_ns) for ticker in tickers.values()]

    def _traded(self, columns: Columns) -> Columns:
        places = np.minimum(columns.instrument, len(self._wanted) - 1)
        shown = _IS_SHOWN[columns.kind] & self._wanted[places]
        ours = shown | (columns.kind == Kind.EVENT)
        columns = columns if ours.all() else take(columns, ours)
        return with_base_lots(columns, self._played.in_base) if self._played.in_base else columns

    def _made_up(self, event: Event) -> Iterator[Event]:
        if type(event) is Trade:
            for builder in self._builders.get(event.instrument, ()):
                yield from builder.on_trade(event)
        elif type(event) is BookDelta or type(event) is BookSnapshot:
            mark = self._mark(event)
            if mark is not None:
                yield mark
        elif type(event) is Bar:
            self._builders.pop(event.instrument, None)  # the tape has its own

    def _mark(self, event: BookDelta | BookSnapshot) -> Ticker | None:
        """Return a ticker with the mid as the mark, at most one a second, where the tape has no marks."""
        name = event.instrument
        book = self.mark_books.get(name)
        if book is None:
            return None
        if isinstance(event, BookSnapshot):
            book.snapshot(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)
        else:
            book.apply(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)
        if event.ts_recv_ns < self._marked_ns.get(name, 0) + MARK_EVERY_NS or not 0 < book.bid_ticks < book.ask_ticks:
            return None
        self._marked_ns[name] = event.ts_recv_ns
        return Ticker(name, book.mid_px, None, None, None, 0, event.ts_event_ns, event.ts_recv_ns)


def _is_of_the_feed(event: Event) -> bool:
    """Whether a feed says it; what a recorded engine heard on its private streams is no business of a backtest."""
    if type(event) in _TOLD_BY_FEEDS:
        return True
    return isinstance(event, Connectivity) and event.channel is Channel.MARKET_DATA


def _on_tape(tape: Tape, name: InstrumentId, named: Mapping[str, str]) -> TapeInstrument | None:
    given = next((there for there, here in named.items() if here in (name, name.partition("@")[0])), None)
    for listed in tape.instruments:
        if given is not None:
            if given in (listed.instrument_id, listed.instrument.symbol):
                return listed
        elif listed.instrument_id == name:
            return listed
    if given is not None:
        return None
    currencies = name.partition("@")[0].upper().split("_")[:2]
    alike = [x for x in tape.instruments if [x.instrument.base.upper(), x.instrument.quote.upper()] == currencies]
    linear = [listed for listed in alike if listed.contract == "linear"] or alike
    return linear[0] if len(linear) == 1 else None


def _as_traded(listed: TapeInstrument, name: InstrumentId) -> Instrument:
    """Return the rules under the engine's name; a lot of several base units each counts as so many."""
    rules, each = listed.instrument, listed.multiplier
    symbol, _, exchange = name.partition("@")
    return msgspec.structs.replace(
        rules,
        instrument_id=name,
        symbol=symbol,
        exchange=exchange or "grvt",
        lot=rules.lot * each,
        min_qty=max(rules.min_qty, rules.lot) * each,
        min_notional=max(rules.min_notional, Decimal(0)),
    )


def _surveyed(
    tape: Tape,
    names: dict[InstrumentId, InstrumentId],
    instruments: dict[InstrumentId, Instrument],
    from_ns: int,
    to_ns: int,
) -> Played:
    """Look once through the columns: which marks are there, how the clocks stand, how much there is."""
    least_ns: int | None = None
    marked: set[int] = set()
    medians: dict[int, list[int]] = {}
    first_ns, last_ns, rows = 0, 0, 0
    for columns in tape.chunks():
        inside = columns.recv_ns[(columns.recv_ns >= from_ns) & (columns.recv_ns < to_ns)]
        if inside.size:
            first_ns = first_ns or int(inside[0])
            last_ns, rows = int(inside[-1]), rows + int(inside.size)
        told = np.isin(columns.kind, (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE)) & (columns.event_ns > 0)
        if told.any():
            here = int((columns.recv_ns[told] - columns.event_ns[told]).min())
            least_ns = here if least_ns is None else min(least_ns, here)
            _note_latencies(medians, columns.recv_ns[told], columns.event_ns[told])
        marked.update(np.unique(columns.instrument[columns.kind == Kind.MARK]).tolist())
    if not rows:
        raise ConfigError(f"{tape.name}: holds nothing in the time that is asked for")
    shift_ns = LEAST_LATENCY_NS - least_ns if least_ns is not None and least_ns < 0 else 0
    there = {tape.instruments[place].instrument_id for place in marked if place < len(tape.instruments)}
    return Played(
        instruments=instruments,
        names=names,
        shift_ns=shift_ns,
        marks_from_mid=tuple(here for name, here in names.items() if name not in there),
        first_ns=first_ns + shift_ns,
        last_ns=last_ns + shift_ns,
        rows=rows,
        latencies=tuple(
            LatencyPoint(second * NS_PER_S + shift_ns, took_ns + shift_ns, took_ns + shift_ns)
            for second, all_ns in sorted(medians.items())
            if (took_ns := sorted(all_ns)[len(all_ns) // 2]) + shift_ns >= 0
        ),
    )


def _note_latencies(medians: dict[int, list[int]], recv_ns: Any, event_ns: Any) -> None:
    """Add what each second's events of a chunk, which is in order, needed in the median."""
    seconds, begins = np.unique(recv_ns // NS_PER_S, return_index=True)
    for second, took in zip(seconds.tolist(), np.split(recv_ns - event_ns, begins[1:]), strict=True):
        medians.setdefault(second, []).append(int(np.median(took)))
