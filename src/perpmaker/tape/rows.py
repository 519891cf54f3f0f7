"""Model events as rows of a tape, and rows as the model events they were.

Market data goes into integer columns; what has no place there (links, fills, what a person asked for) is kept as JSON.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    Event,
    InstrumentListed,
    Ticker,
    Trade,
)
from perpmaker.model.ids import InstrumentId, TradeId
from perpmaker.model.order import Side
from perpmaker.tape.schema import (
    ABSENT,
    FIRST,
    FIXED,
    LAST,
    NO_INSTRUMENT,
    RATE,
    REPLAYED,
    STALE_REASONS,
    Kind,
    TapeInstrument,
)

Row = tuple[int, int, int, int, int, int, int, int, int]
"""The columns in order: recv_ns, event_ns, kind, flags, instrument, side, px, qty, aux."""

_MAX: Final = (1 << 63) - 1
_BID, _ASK = 1, -1
_EVENTS: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_REASONS: Final = {reason: place for place, reason in enumerate(STALE_REASONS)}


def encode_event(event: Event) -> str:
    """Return an event as JSON text."""
    return msgspec.json.encode(event).decode()


def decode_event(text: str) -> Event:
    """Return the event of `encode_event`; raise DataError when it is none."""
    try:
        return _EVENTS.decode(text)
    except msgspec.MsgspecError as error:
        raise DataError(f"not an event: {error}: {text[:80]!r}") from error


class Rows:
    """Collects rows until a chunk is full. Instruments must be known before their first event (`list_instrument`).

    Ticks and lots mean one thing on a tape: new rules of a listed instrument raise DataError, unless `rules_change`.
    """

    def __init__(self, instruments: Sequence[TapeInstrument] = (), *, rules_change: bool = False) -> None:
        self.values = array("q")
        self.texts: list[str] = []
        self.instruments: list[TapeInstrument] = []
        self._rules_change = rules_change
        self._places: dict[InstrumentId, int] = {}
        self._adders: dict[type, Callable[[Any], None]] = {
            BookDelta: self._delta,
            BookSnapshot: self._snapshot,
            Trade: self._trade,
            Ticker: self._ticker,
            BookStale: self._stale,
        }
        for instrument in instruments:
            self.list_instrument(instrument)

    def __len__(self) -> int:
        return len(self.values) // 9

    def take(self) -> tuple[array[int], list[str]]:
        """Return what was collected, and begin anew."""
        taken = self.values, self.texts
        self.values, self.texts = array("q"), []
        return taken

    def list_instrument(self, instrument: TapeInstrument) -> None:
        """Make an instrument known; the first rules told of it stay those of the columns."""
        place = self._places.get(instrument.instrument_id)
        if place is not None:
            if not self._rules_change and instrument.grid != self.instruments[place].grid:
                raise DataError(f"{instrument.instrument_id} changed its tick or lot: that needs a tape of its own")
            return
        if len(self.instruments) >= NO_INSTRUMENT:
            raise DataError("a tape holds at most 65,535 instruments")
        self._places[instrument.instrument_id] = len(self.instruments)
        self.instruments.append(instrument)

    def knows(self, instrument: InstrumentId) -> bool:
        return instrument in self._places

    def event(self, event: Event) -> None:
        """Add an event's rows. Raises DataError for market data of an instrument that was not listed."""
        add = self._adders.get(type(event))
        if add is not None:
            add(event)
            return
        if isinstance(event, InstrumentListed):
            self.list_instrument(TapeInstrument(event.instrument))
        self.text(Kind.EVENT, encode_event(event), event.ts_recv_ns)

    def text(self, kind: Kind, text: str, ts_ns: int) -> None:
        self.values.extend((ts_ns, ts_ns, kind, FIRST | LAST, NO_INSTRUMENT, 0, 0, 0, self._text(text)))

    def bbo(
        self, instrument: InstrumentId, best: Mapping[int, Level], update_id: int, event_ns: int, recv_ns: int
    ) -> None:
        """Add the best prices a ticker stream told: side (1, -1) -> level."""
        place = self.place(instrument)
        for side, flags in ((_BID, FIRST), (_ASK, LAST)):
            px, qty = best[side]
            self.values.extend((recv_ns, event_ns, Kind.BBO, flags, place, side, px, qty, update_id))

    def levels(
        self,
        kind: Kind,
        instrument: InstrumentId,
        bids: Sequence[Level],
        asks: Sequence[Level],
        event_ns: int,
        recv_ns: int,
        update_id: int = 0,
    ) -> None:
        """Add a message of levels."""
        place = self.place(instrument)
        last = len(bids) + len(asks) - 1
        if last < 0:
            self.values.extend((recv_ns, event_ns, kind, FIRST | LAST, place, 0, 0, 0, update_id))
            return
        extend = self.values.extend
        flags = FIRST if last else FIRST | LAST
        for side, levels in ((_BID, bids), (_ASK, asks)):
            for px, qty in levels:
                extend((recv_ns, event_ns, kind, flags, place, side, px, qty, update_id))
                last -= 1
                flags = 0 if last else LAST

    def print(
        self, instrument: InstrumentId, side: int, px: int, qty: int, trade_id: str, event_ns: int, recv_ns: int
    ) -> None:
        """Add a public trade."""
        place, aux = self.place(instrument), self._id(trade_id)
        self.values.extend((recv_ns, event_ns, Kind.TRADE, FIRST | LAST, place, side, px, qty, aux))

    def place(self, instrument: InstrumentId) -> int:
        """Return an instrument's place in the list; raise DataError for one that was not listed."""
        place = self._places.get(instrument)
        if place is None:
            raise DataError(f"{instrument} was not listed before its first event")
        return place

    # --- events with columns of their own

    def _delta(self, event: BookDelta) -> None:
        self.levels(Kind.DELTA, event.instrument, event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)

    def _snapshot(self, event: BookSnapshot) -> None:
        self.levels(Kind.SNAPSHOT, event.instrument, event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)

    def _trade(self, event: Trade) -> None:
        flags = FIRST | LAST | (REPLAYED if event.replayed else 0)
        place, aux = self.place(event.instrument), self._id(event.trade_id)
        self.values.extend(
            (
                event.ts_recv_ns,
                event.ts_event_ns,
                Kind.TRADE,
                flags,
                place,
                event.aggressor.sign,
                event.px_ticks,
                event.qty_lots,
                aux,
            )
        )

    def _ticker(self, event: Ticker) -> None:
        prices = [
            (kind, _printed(str(value), FIXED))
            for kind, value in ((Kind.MARK, event.mark_px), (Kind.INDEX, event.index_px), (Kind.LAST_PX, event.last_px))
            if value is not None
        ]
        rate = (0, 0) if event.funding_rate is None else _printed(str(event.funding_rate), RATE)
        if rate is None or any(printed is None for _, printed in prices):  # finer than the columns' units
            self.text(Kind.EVENT, encode_event(event), event.ts_recv_ns)
            return
        place, recv_ns, event_ns = self.place(event.instrument), event.ts_recv_ns, event.ts_event_ns
        flags = FIRST
        for kind, printed in prices:
            units, digits = printed or (0, 0)
            self.values.extend((recv_ns, event_ns, kind, flags, place, 0, units, digits, 0))
            flags = 0
        flags |= LAST | (ABSENT if event.funding_rate is None else 0)
        self.values.extend((recv_ns, event_ns, Kind.FUNDING, flags, place, 0, *rate, event.next_funding_ns))

    def _stale(self, event: BookStale) -> None:
        place = self.place(event.instrument)
        ts_ns = event.ts_recv_ns
        self.values.extend((ts_ns, ts_ns, Kind.STALE, FIRST | LAST, place, 0, 0, 0, _REASONS[event.reason]))

    # --- inside

    def _id(self, text: str) -> int:
        """Return an id that is a plain number as it is, any other as a text."""
        if text.isascii() and text.isdigit() and (text[0] != "0" or text == "0"):
            number = int(text)
            if number <= _MAX:
                return number
        return self._text(text)

    def _text(self, text: str) -> int:
        self.texts.append(text)
        return -len(self.texts)


@lru_cache(maxsize=4096)
def _printed(text: str, unit: Decimal) -> tuple[int, int] | None:
    """Return a number in whole units, and its digits after the point; None when these do not give it back as printed."""
    value = Decimal(text)
    try:
        units, rest = divmod(value, unit)
    except InvalidOperation:  # not finite, or more digits than there are
        return None
    exponent = value.as_tuple().exponent
    if rest or not -_MAX <= units <= _MAX or not isinstance(exponent, int) or exponent > 0:
        return None
    printed = int(units), -exponent
    return printed if str(_decimal(*printed, unit)) == text else None


@lru_cache(maxsize=4096)
def _decimal(units: int, digits: int, unit: Decimal) -> Decimal:
    """Return a number with so many digits after the point. Raises DataError when that is not what it has."""
    try:
        return (units * unit).quantize(Decimal((0, (1,), -digits)))
    except InvalidOperation:
        raise DataError(f"{units} x {unit} has not {digits} digits after the point") from None


def events_of(rows: Iterable[Row], texts: Sequence[str], instruments: Sequence[InstrumentId]) -> Iterator[Event]:
    """Yield the events of rows that hold whole messages, as those of a chunk do.

    BBO rows and the engine's own commands are no events and are left out. Raises DataError for rows of no known kind.
    """
    partial: list[Row] = []
    for row in rows:
        kind, flags = row[2], row[3]
        if kind in _ONE_ROW:
            event = _ONE_ROW[kind](row, texts, instruments)
            if event is not None:
                yield event
        elif kind in _MANY_ROWS:
            partial.append(row)
            if flags & LAST:
                yield _MANY_ROWS[kind](partial, instruments)
                partial = []
        else:
            raise DataError(f"a row of an unknown kind, {kind}")
    if partial:
        raise DataError("a message without its end")


def text_of(aux: int, texts: Sequence[str]) -> str:
    """Return the text that `aux` points to, or the number itself as text."""
    if aux >= 0:
        return str(aux)
    if -aux > len(texts):
        raise DataError(f"text {-aux - 1} is missing")
    return texts[-aux - 1]


def _trade_of(row: Row, texts: Sequence[str], instruments: Sequence[InstrumentId]) -> Trade:
    recv_ns, event_ns, _, flags, place, side, px, qty, aux = row
    aggressor = Side.BUY if side > 0 else Side.SELL
    trade_id = TradeId(text_of(aux, texts))
    return Trade(instruments[place], px, qty, aggressor, trade_id, event_ns, recv_ns, bool(flags & REPLAYED))


def _stale_of(row: Row, texts: Sequence[str], instruments: Sequence[InstrumentId]) -> BookStale:
    if not 0 <= row[8] < len(STALE_REASONS):
        raise DataError(f"a book became stale for an unknown reason, {row[8]}")
    return BookStale(instruments[row[4]], STALE_REASONS[row[8]], row[0])


def _text_event(row: Row, texts: Sequence[str], instruments: Sequence[InstrumentId]) -> Event:
    return decode_event(text_of(row[8], texts))


def _no_event(row: Row, texts: Sequence[str], instruments: Sequence[InstrumentId]) -> None:
    return None


def _snapshot_of(rows: Sequence[Row], instruments: Sequence[InstrumentId]) -> BookSnapshot:
    return BookSnapshot(instruments[rows[0][4]], *_sides(rows), ts_event_ns=rows[0][1], ts_recv_ns=rows[0][0])


def _delta_of(rows: Sequence[Row], instruments: Sequence[InstrumentId]) -> BookDelta:
    return BookDelta(instruments[rows[0][4]], *_sides(rows), ts_event_ns=rows[0][1], ts_recv_ns=rows[0][0])


def _sides(rows: Sequence[Row]) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    return (
        tuple([(row[6], row[7]) for row in rows if row[5] > 0]),
        tuple([(row[6], row[7]) for row in rows if row[5] < 0]),
    )


def _ticker_of(rows: Sequence[Row], instruments: Sequence[InstrumentId]) -> Ticker:
    prices = {row[2]: _decimal(row[6], row[7], FIXED) for row in rows[:-1]}
    recv_ns, event_ns, _, flags, place, _, rate, digits, next_funding_ns = rows[-1]
    return Ticker(
        instruments[place],
        mark_px=prices.get(Kind.MARK),
        index_px=prices.get(Kind.INDEX),
        last_px=prices.get(Kind.LAST_PX),
        funding_rate=None if flags & ABSENT else _decimal(rate, digits, RATE),
        next_funding_ns=next_funding_ns,
        ts_event_ns=event_ns,
        ts_recv_ns=recv_ns,
    )


_ONE_ROW: Final[dict[int, Callable[[Row, Sequence[str], Sequence[InstrumentId]], Event | None]]] = {
    Kind.TRADE: _trade_of,
    Kind.STALE: _stale_of,
    Kind.EVENT: _text_event,
    Kind.COMMAND: _no_event,
    Kind.SESSION: _no_event,
    Kind.BBO: _no_event,
}
_MANY_ROWS: Final[dict[int, Callable[[Sequence[Row], Sequence[InstrumentId]], Event]]] = {
    Kind.SNAPSHOT: _snapshot_of,
    Kind.DELTA: _delta_of,
    Kind.MARK: _ticker_of,
    Kind.INDEX: _ticker_of,
    Kind.LAST_PX: _ticker_of,
    Kind.FUNDING: _ticker_of,
}
