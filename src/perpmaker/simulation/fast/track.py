"""Keeps in step what compiled code and Python both need: messages that wait, books, places in queues, the venues' clocks.

Before the compiled code runs it is told what Python knows (`go`); when it has handed back, Python's objects are made to say
what it did. Python's own code then goes on as if it had done all of it itself.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from perpmaker.model.events import BookDelta, BookSnapshot, Event, Trade
from perpmaker.model.ids import HOME_EXCHANGE, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.simulation.fast import layout as at
from perpmaker.simulation.fast.effect import Rows
from perpmaker.simulation.fast.kernel import skip
from perpmaker.simulation.fast.levels import Shelf, ShelfBook
from perpmaker.simulation.house import MARKET, Action, Shown
from perpmaker.simulation.latency import FollowingLatency, Hold
from perpmaker.simulation.market import Market
from perpmaker.simulation.schedule import Schedule
from perpmaker.simulation.settings import FillModel, QueueModel
from perpmaker.simulation.timeline import Timeline
from perpmaker.simulation.venue import SimulatedVenue
from perpmaker.tape.columns import ARRAYS, Columns, columns_of, join, row_tuples, take
from perpmaker.tape.rows import Row, events_of
from perpmaker.tape.schema import Kind

_MODELS: Final = {
    FillModel.QUEUE: at.QUEUE_MODEL,
    FillModel.OPTIMISTIC: at.OPTIMISTIC,
    FillModel.PESSIMISTIC: at.PESSIMISTIC,
    FillModel.CLASSIC: at.CLASSIC,
}
_QUEUES: Final = {QueueModel.POWER: at.POWER, QueueModel.RISK_AVERSE: at.RISK_AVERSE}
_SIDES: Final = ((0, Side.BUY, 1), (1, Side.SELL, -1))
_PLACES: Final = 65_536
_NO_HEAD: Final = at.FOREVER, 0
_FIRST_ROOM: Final = 4_096


class Actions(Schedule[Action | Shown]):
    """What is scheduled at a venue: in Python, and besides the messages that wait in the arrays."""

    def __init__(self, track: Track, venue: int, before: Schedule[Action | Shown]) -> None:
        super().__init__()
        self._heap = before._heap
        self._track = track
        self._venue = venue

    def put(self, at_ns: int, thing: Action | Shown, rank: int = 0) -> None:
        number = self._track.number()
        if rank == MARKET and self._track.is_heard(thing):
            self._track.wait(self._venue, at_ns, number)
        else:
            self._number = number - 1
            super().put(at_ns, thing, rank)

    @property
    def next_ns(self) -> int | None:
        head_ns, heap = self._track.heads[self._venue][0], self._heap
        if heap and heap[0][0] < head_ns:
            return heap[0][0]
        return None if head_ns == at.FOREVER else head_ns

    @property
    def of_python(self) -> tuple[int, int, int]:
        """When Python's own first is due, its rank and number."""
        return self._heap[0][:3] if self._heap else (at.FOREVER, 0, 0)

    def pop(self) -> tuple[int, Action | Shown]:
        head_ns, number = self._track.heads[self._venue]
        if head_ns == at.FOREVER or (self._heap and self._heap[0][:3] < (head_ns, MARKET, number)):
            return super().pop()
        return head_ns, self._track.take_head(self._venue)

    def __len__(self) -> int:
        return len(self._heap) + self._track.waiting_at(self._venue)


class Track:
    """One timeline's market data, in arrays. `instruments` are those that are played, by their places on the tape."""

    def __init__(
        self, timeline: Timeline, listed: Sequence[InstrumentId], instruments: Mapping[InstrumentId, Instrument]
    ) -> None:
        self.names = list(instruments)
        self.shelf = Shelf(3 * len(self.names))
        self._timeline = timeline
        self._listed = listed
        self._venues = list(timeline.venues.values())
        self._holds = [_hold_of(venue) for venue in self._venues]
        count, venues = len(self.names), len(self._venues)
        self.state = np.zeros((count, at.INSTRUMENT_WIDTH), dtype=np.int64)
        self.its = [_view(row) for row in self.state]
        """Of each instrument; `layout` names the columns."""
        self._venue_state = np.zeros((venues, at.VENUE_WIDTH), dtype=np.int64)
        self._of_venue = [_view(row) for row in self._venue_state]
        self._waiting = np.zeros((venues, _FIRST_ROOM, at.WAIT_WIDTH), dtype=np.int64)
        self._waits = _view(self._waiting)
        self._orders = np.zeros((count, 2, at.MOST_ORDERS, at.ORDER_WIDTH), dtype=np.int64)
        self._of_orders = [[_view(side.reshape(-1)) for side in its] for its in self._orders]
        self._spare = np.zeros((2, at.MOST_ORDERS, at.ORDER_WIDTH), dtype=np.int64)
        self._count = np.zeros((count, 2), dtype=np.int64)
        self._counts = _view(self._count)
        self._taken = np.zeros((count, 2, 1 + at.MOST_ORDERS), dtype=np.int64)
        self._taken_lots = np.zeros((count, 2, 1 + at.MOST_ORDERS), dtype=np.int64)
        self._of_taken, self._of_taken_lots = _view(self._taken), _view(self._taken_lots)
        self._took = [False] * count
        self._run = np.zeros(at.RUN_WIDTH, dtype=np.int64)
        self._now = _view(self._run)
        self._places = np.full(_PLACES, -1, dtype=np.int64)
        for place, name in enumerate(listed):
            if name in instruments:
                self._places[place] = self.names.index(name)
        self.mid_times = np.zeros((count, at.MIDS_KEPT + 1), dtype=np.int64)
        self.mid_sums = np.zeros((count, at.MIDS_KEPT + 1), dtype=np.int64)
        self.mids_kept = np.zeros(count, dtype=np.int64)
        self._frame = np.zeros(at.FRAME_WIDTH, dtype=np.int64)
        self._bound: tuple[object, object] = None, None
        """What the frame was made of last: the shelf's keys, and the messages that wait."""
        self._columns = self._carried = _nothing()
        self._rows = self._carried_rows = _rows(self._columns)
        self._heard: tuple[Event, int] | None = None
        self._books: list[ShelfBook] = []
        self._actions: list[Actions] = []
        self.heads: list[tuple[int, int]] = [_NO_HEAD] * venues
        """Of each venue, when the first message that waits takes effect, and its number."""
        self._venue_of = [self._venue_place(name) for name in self.names]

    def attach(self) -> None:
        """Put the venues' books and what is scheduled there into the arrays; every instrument must be listed."""
        count = len(self.names)
        self._run[at.NUMBER] = max((venue._house.actions._number for venue in self._venues), default=0)
        for place, venue in enumerate(self._venues):
            actions = Actions(self, place, venue._house.actions)
            self._actions.append(actions)
            venue._house.actions = actions
        for place, name in enumerate(self.names):
            venue = self._venues[self._venue_of[place]]
            market = venue.markets[name]
            book = ShelfBook(market.instrument, self.shelf, count + place)
            book.take_over(market.book)
            market.book = book
            self._books.append(book)
            settings = venue.settings
            its = self.its[place]
            its[at.ITS_VENUE] = self._venue_of[place]
            its[at.MODEL] = _MODELS[settings.fill_model]
            its[at.QUEUE] = _QUEUES[settings.queue_model]
            its[at.EXPONENT] = settings.queue_exponent

    def detach(self) -> None:
        """Give everything back to Python, as if there had been no arrays; `rest` has the messages still to come."""
        for place, venue in enumerate(self._venues):
            actions, its = self._actions[place], self._of_venue[place]
            while its[at.HEAD] < its[at.TAIL]:
                at_ns, number = self.heads[place]
                actions._heap.append((at_ns, MARKET, number, self.take_head(place)))
            heapq.heapify(actions._heap)
            venue._house.actions = plain = Schedule[Action | Shown]()
            plain._heap, plain._number = actions._heap, self._now[at.NUMBER]
        for place, name in enumerate(self.names):
            market = self._venues[self._venue_of[place]].markets.get(name)
            if market is not None and market.book is self._books[place]:
                market.book = self._books[place].plain()

    # --- rows

    def rest(self) -> Iterator[Event]:
        """Take out all messages that are left of these rows."""
        columns, row = self._columns, self._now[at.ROW]
        if (columns.kind[row:] == Kind.EVENT).any():  # these carry a receive time of their own
            while self._now[at.ROW] < columns.rows:
                yield self.next_message()
            return
        self._now[at.ROW] = columns.rows
        yield from events_of(row_tuples(columns, row), columns.texts, self._listed)

    def load(self, columns: Columns) -> None:
        """Go on with the next rows; what waits of the rows before is kept."""
        self._carried = self._still_waiting()
        self._carried_rows = _rows(self._carried)
        self._columns, self._rows = columns, _rows(columns)
        self._now[at.ROW] = 0
        self._bound = None, None

    def next_message(self) -> Event:
        """Take the next message out, for Python to play. Raises DataError for a broken one."""
        row = self._now[at.ROW]
        end = _end(self._columns, row)
        self._now[at.ROW] = end
        (event,) = events_of(_message_rows(self._columns, row, end), self._columns.texts, self._listed)
        if isinstance(event, BookDelta | BookSnapshot | Trade):
            self._heard = event, row
        elif event.ts_recv_ns != (recv_ns := int(self._columns.recv_ns[row])):
            event = msgspec.structs.replace(event, ts_recv_ns=recv_ns)
        return event

    @property
    def next_recv_ns(self) -> int:
        """When the next message comes; there must be one."""
        return int(self._columns.recv_ns[self._now[at.ROW]])

    # --- what waits

    def number(self) -> int:
        number: int = self._now[at.NUMBER] + 1
        self._now[at.NUMBER] = number
        return number

    def is_heard(self, thing: Action | Shown) -> bool:
        """Whether this is the message that was taken out last, whose rows are known."""
        return self._heard is not None and thing is self._heard[0]

    def wait(self, venue: int, at_ns: int, number: int) -> None:
        """Let the message that was taken out last wait."""
        row = -1 if self._heard is None else self._heard[1]
        its, queue = self._venue_state[venue], self._waiting[venue]
        if its[at.TAIL] == len(queue):
            self._make_room()
            queue = self._waiting[venue]
        place = int(its[at.TAIL])
        while place > its[at.HEAD] and queue[place - 1, at.WAIT_AT] > at_ns:
            queue[place] = queue[place - 1]
            place -= 1
        queue[place] = at_ns, number, row
        its[at.TAIL] += 1
        self.heads[venue] = self._head(venue)

    def _head(self, venue: int) -> tuple[int, int]:
        its = self._of_venue[venue]
        first = its[at.HEAD]
        if first == its[at.TAIL]:
            return _NO_HEAD
        return self._waits[venue, first, at.WAIT_AT], self._waits[venue, first, at.WAIT_NUMBER]

    def take_head(self, venue: int) -> Shown:
        its = self._venue_state[venue]
        row = int(self._waiting[venue, its[at.HEAD], at.WAIT_ROW])
        its[at.HEAD] += 1
        self.heads[venue] = self._head(venue)
        columns, row = (self._columns, row) if row >= 0 else (self._carried, -1 - row)
        (event,) = events_of(_message_rows(columns, row, _end(columns, row)), columns.texts, self._listed)
        if not isinstance(event, BookDelta | BookSnapshot | Trade):
            raise TypeError(f"a {type(event).__name__} does not wait")
        return event

    def waiting_at(self, venue: int) -> int:
        its = self._of_venue[venue]
        count: int = its[at.TAIL] - its[at.HEAD]
        return count

    # --- running

    def go(self, stop_ns: int) -> tuple[int, int]:
        """Run until Python has something to do; returns why, and how many messages were taken."""
        self._heard = None
        wake_ns = self._tell()
        run = self._now
        run[at.EVENTS], run[at.NOW] = 0, self._timeline.now_ns
        if self._bound[0] is not self.shelf.keys or self._bound[1] is not self._waiting:
            self._bind()
        why = skip(self._frame, wake_ns, stop_ns)
        self._learn()
        return why, run[at.EVENTS]

    def _bind(self) -> None:
        """Write down where everything is. Whatever is named here must stay as long as it stands there."""
        shelf, frame = self.shelf, self._frame
        for first, rows in ((at.ROWS_AT, self._rows), (at.CARRIED_AT, self._carried_rows)):
            frame[first], frame[first + 1] = rows.ctypes.data, len(rows)
        for place, shared in (
            (at.PLACES_AT, self._places),
            (at.KEYS_AT, shelf.keys),
            (at.LOTS_AT, shelf.lots),
            (at.USED_AT, shelf.used),
            (at.ORDERS_AT, self._orders),
            (at.COUNT_AT, self._count),
            (at.TAKEN_AT, self._taken),
            (at.TAKEN_LOTS_AT, self._taken_lots),
            (at.SPARE_AT, self._spare),
            (at.STATE_AT, self.state),
            (at.VENUES_AT, self._venue_state),
            (at.WAITING_AT, self._waiting),
            (at.RUN_AT, self._run),
            (at.MID_TIMES_AT, self.mid_times),
            (at.MID_SUMS_AT, self.mid_sums),
            (at.MIDS_AT, self.mids_kept),
        ):
            frame[place] = shared.ctypes.data
        frame[at.PLACES], frame[at.BOOKS], frame[at.DEPTH] = len(self._places), len(shelf.keys), shelf.depth
        frame[at.INSTRUMENTS], frame[at.VENUES], frame[at.ROOM] = len(self.names), *self._waiting.shape[:2]
        self._bound = shelf.keys, self._waiting

    @property
    def heard_ns(self) -> int:
        """Receive time of the last message that was not Python's."""
        heard_ns: int = self._now[at.HEARD_NS]
        return heard_ns

    def _tell(self) -> int:
        """Put what Python knows into the arrays; returns when it has something to do by our clock."""
        timer_ns = self._timeline.next_timer_ns
        wake_ns = at.FOREVER if timer_ns is None else timer_ns
        for place, venue in enumerate(self._venues):
            house, its = venue._house, self._of_venue[place]
            due_ns = house.deliveries.next_ns
            if due_ns is not None and due_ns < wake_ns:
                wake_ns = due_ns
            hold = self._holds[place]
            its[at.OFFSET], its[at.VENUE_NS], its[at.FEED_NS] = house.offset_ns, house.venue_ns, -1
            its[at.HOLD], its[at.HOLD_FLOOR] = hold.ns, hold._floor_ns
            first = self._actions[place].of_python
            its[at.ACTION_AT], its[at.ACTION_RANK], its[at.ACTION_NUMBER] = first
        books = self._books
        for place, name in enumerate(self.names):
            venue = self._venues[self._venue_of[place]]
            market = venue.markets.get(name)
            played = market is not None and market.book is books[place] and self._tell_orders(place, market)
            its = self.its[place]
            its[at.IS_PLAYED] = played
            its[at.BOOK_NS] = venue._book_ns.get(name, 0)
        return wake_ns

    def _tell_orders(self, place: int, market: Market) -> bool:
        if (market._taken or self._took[place]) and not self._tell_taken(place, market):
            return False
        traded = market._traded
        for number, side, sign in _SIDES:
            resting = market._resting[side]
            self._counts[place, number] = len(resting)
            if len(resting) > at.MOST_ORDERS:
                return False
            fields, first = self._of_orders[place][number], 0
            for order in resting:
                fields[first + at.KEY] = sign * order.px_ticks
                fields[first + at.LEAVES] = order.leaves_lots
                fields[first + at.AHEAD] = order.ahead
                fields[first + at.SPARED] = order.spared
                fields[first + at.ARRIVED] = order.arrived_ns
                fields[first + at.TRADED] = traded.get((side, order.px_ticks), 0)
                first += at.ORDER_WIDTH
        return True

    def _tell_taken(self, place: int, market: Market) -> bool:
        self._took[place] = bool(market._taken)
        self._of_taken[place, 0, 0] = self._of_taken[place, 1, 0] = 0
        for (side, px_ticks), lots in market._taken.items():
            number, key = (0, px_ticks) if side is Side.BUY else (1, -px_ticks)
            count = self._of_taken[place, number, 0] + 1
            if count > at.MOST_ORDERS:
                return False
            self._of_taken[place, number, 0] = count
            self._of_taken[place, number, count] = key
            self._of_taken_lots[place, number, count] = lots
        return True

    def _learn(self) -> None:
        """Make Python's objects say what the compiled code did."""
        self._timeline.now_ns = self._now[at.NOW]
        for place, venue in enumerate(self._venues):
            its = self._of_venue[place]
            self._holds[place].ns = its[at.HOLD]
            venue._house.venue_ns = its[at.VENUE_NS]
            feed_ns = its[at.FEED_NS]
            if feed_ns >= 0 and isinstance(venue.latency, FollowingLatency):
                venue.latency._feed_ns = feed_ns
            if self.waiting_at(place) == self._waiting.shape[1]:
                self._make_room()
            self.heads[place] = self._head(place)
        for place, its in enumerate(self.its):
            changed = its[at.CHANGED]
            if changed:
                self._learn_of(place, changed)

    def _learn_of(self, place: int, changed: int) -> None:
        """Learn of one instrument; that something of the engine's changed is left for the engine to learn."""
        name, row = self.names[place], self.state[place].tolist()
        venue = self._venues[self._venue_of[place]]
        if row[at.BOOK_NS]:
            venue._book_ns[name] = row[at.BOOK_NS]
        if changed & at.OF_VENUE:
            self._books[place].become(*row[at.SHOWN_EVENT_NS : at.SHOWN_ASK_LOTS + 1])
        if changed & at.OF_PLACES:
            self._learn_orders(place, venue.markets[name])
        if changed & at.OF_TAKEN:
            self._learn_taken(place, venue.markets[name])
        self.its[place][at.CHANGED] = changed & (at.HEARD | at.OF_ENGINE)

    def _learn_orders(self, place: int, market: Market) -> None:
        for number, side, _ in _SIDES:
            fields, first = self._of_orders[place][number], 0
            for order in market._resting[side]:
                order.ahead = fields[first + at.AHEAD]
                market._traded[(side, order.px_ticks)] = fields[first + at.TRADED]
                first += at.ORDER_WIDTH

    def _learn_taken(self, place: int, market: Market) -> None:
        left: dict[tuple[Side, int], int] = {}
        for number, side, sign in _SIDES:
            for row in range(1, self._of_taken[place, number, 0] + 1):
                px_ticks = sign * self._of_taken[place, number, row]
                left[(side, px_ticks)] = self._of_taken_lots[place, number, row]
        for level in list(market._taken):
            if level in left:
                market._taken[level] = left[level]
            else:
                del market._taken[level]

    # --- inside

    def _still_waiting(self) -> Columns:
        """Return the rows of all messages that wait, and point to them there."""
        parts: list[Columns] = []
        begin = 0
        for venue, its in enumerate(self._venue_state):
            for place in range(int(its[at.HEAD]), int(its[at.TAIL])):
                row = int(self._waiting[venue, place, at.WAIT_ROW])
                columns, row = (self._columns, row) if row >= 0 else (self._carried, -1 - row)
                part = _own_texts(take(columns, slice(row, _end(columns, row))))
                parts.append(part)
                self._waiting[venue, place, at.WAIT_ROW] = -1 - begin
                begin += part.rows
        return join(parts) if parts else _nothing()

    def _make_room(self) -> None:
        venues, before, width = self._waiting.shape
        room = np.zeros((venues, 2 * before, width), dtype=np.int64)
        room[:, :before] = self._waiting
        self._waiting, self._waits = room, _view(room)

    def _venue_place(self, name: InstrumentId) -> int:
        return list(self._timeline.venues).index(name.partition("@")[2] or HOME_EXCHANGE)


def _nothing() -> Columns:
    return columns_of(array("q"))


def _hold_of(venue: SimulatedVenue) -> Hold:
    hold = getattr(venue.latency, "_hold", None)
    if not isinstance(hold, Hold):
        raise TypeError(f"{type(venue.latency).__name__} has no hold")
    return hold


def _rows(columns: Columns) -> Rows:
    table = np.empty((columns.rows, len(ARRAYS) - 1), dtype=np.int64)
    for place, name in enumerate(ARRAYS[:-1]):
        table[:, place] = getattr(columns, name)
    return table


def _view(array: np.ndarray) -> Any:
    """Return a view whose items are plain integers: a third of what numpy takes for one."""
    return memoryview(array)  # type: ignore[arg-type]  # of several dimensions


def _end(columns: Columns, row: int) -> int:
    """Return the row after a message; the end of the rows where its end is missing."""
    flags = columns.flags
    last = len(flags)
    while row < last:
        row += 1
        if flags[row - 1] & 2:
            break
    return row


def _message_rows(columns: Columns, row: int, end: int) -> Iterator[Row]:
    return zip(*(getattr(columns, name)[row:end].tolist() for name in ARRAYS), strict=True)


def _own_texts(columns: Columns) -> Columns:
    """Keep only the texts that these rows point to."""
    if not columns.texts:
        return columns
    pointing = np.flatnonzero(columns.aux < 0)
    texts = tuple(columns.texts[-1 - int(place)] for place in columns.aux[pointing])
    aux = columns.aux.copy()
    aux[pointing] = -1 - np.arange(len(pointing))
    return columns._replace(aux=aux, texts=texts)
