"""A recorded market as a source of flow: tapes of another venue, played into ours at their own pace.

What the tape displays rests in our book as orders of one participant, so that clients' takers take it (what they took
stays taken until the tape says something new about that level) and clients' orders are seen beside it. The recorded
market does not know of our clients: it goes on as recorded whatever they do.

When a resting order of a client is filled:

- a recorded trade through its price fills it, up to the traded size;
- a recorded trade at its price fills it with what the trade has left once the queue ahead is used up. The queue ahead is
  the size displayed when the order joined, reduced by trades at the price alone: sizes that shrink without a trade may
  as well have stood behind the order, so they never help it;
- a displayed level that crosses it trades with it, up to the displayed size, at the order's price.

Rows are paced by the recorder's receive times, restamped so that the first one is now; markets that are played side by
side share one moment of the recording. In the shared captures that clock is 1.27 s behind the exchange's; a constant shift
has no effect here. RPI orders meet no recorded flow.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.exchange.core.amounts import whole_steps
from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import InstrumentMode, Side
from perpmaker.exchange.core.venue import Venue
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.tape.binance import BookTicker, DepthSnapshot, DepthUpdate, PxQty, Row, Trade

BINANCE_USDM: Final = {"BTCUSDT": "BTC_USDT_Perp"}
"""Same tick (0.1) and lot (0.001) on both venues."""

_INDEX_EVERY_NS = 200 * NS_PER_MS
_LONGEST_PAUSE_NS = 5 * NS_PER_S
"""A longer silence, as between two recordings, is cut to this; time running backwards is no pause at all."""

LotsOf = Callable[[Decimal, Decimal], int]

_steps: Final = lru_cache(maxsize=65_536)(whole_steps)
"""A tape says the same prices and sizes over and over."""


class TapeEnd(msgspec.Struct, frozen=True):
    """When and why the market froze: "end of tape", or what was wrong with it."""

    ts_ns: int
    reason: str


class TapeMarket:
    """A `MarketSource` that plays tapes of one symbol one after the other, then freezes the instrument.

    `tapes` are rows in file order; `symbols` maps the tape's symbol to the venue's instrument. At `speed` 2.0 an hour of
    tape takes half an hour. The first rows, up to a whole book, are played at once; DataError when there is none.
    """

    def __init__(
        self,
        venue: Venue,
        tapes: Sequence[Iterable[Row]],
        *,
        symbols: Mapping[str, str] = BINANCE_USDM,
        speed: float = 1.0,
        symbol: str | None = None,
        lots_of: LotsOf | None = None,
    ) -> None:
        """`symbol` is the tape's, else its first row tells it. `lots_of` turns a price and a recorded quantity into lots;
        without it quantities are base units on the lot."""
        if speed <= 0:
            raise ValueError(f"a tape plays forwards: speed {speed}")
        self.end: TapeEnd | None = None
        self.whole_recv_ns = 0
        """When the first whole book was received."""
        self._venue = venue
        self._speed = speed
        self._row_ns = self._index_ns = venue.now_ns
        self._rows: Iterator[Row] = chain.from_iterable(tapes)
        if symbol is None:
            symbol, self._rows = _symbol(self._rows)
        instrument = venue.instrument(symbols.get(symbol, ""))
        if instrument is None:
            raise DataError(f"a tape of {symbol!r} has no instrument here; known: {', '.join(symbols)}")
        self._instrument = instrument
        self._book = _RecordedBook(venue, instrument, symbol, lots_of)
        self._origin: tuple[int, int] | None = None
        self._next: Row | None = self._first_row_after_whole_book()

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    def begin_at(self, recv_ns: int) -> None:
        """Be now at this moment of the recording, for markets that are played side by side: what was before is played at
        once, and from here on rows keep their distance to it, however long the silence."""
        self._origin = recv_ns, self._venue.now_ns
        while self._next is not None and self._next.recv_ns < recv_ns:
            self._play(self._next)
        if self._next is not None:
            self._row_ns = self._origin[1] + round((self._next.recv_ns - recv_ns) / self._speed)

    def next_event_ns(self) -> int | None:
        return None if self._next is None else min(self._row_ns, self._index_ns)

    def advance(self, now_ns: int) -> None:
        while self._next is not None and min(self._row_ns, self._index_ns) <= now_ns:
            if self._index_ns < self._row_ns:
                self._venue.advance(self._index_ns)
                self._tell_index()
            else:
                self._venue.advance(self._row_ns)
                self._play(self._next)
        self._venue.advance(now_ns)

    def _first_row_after_whole_book(self) -> Row:
        for row in self._rows:
            if self._book.is_whole:
                self._tell_index()
                return row
            self._book.play(row)
            self.whole_recv_ns = row.recv_ns
        raise DataError("the tape has no book to start with: no snapshot, or nothing after it")

    def _play(self, row: Row) -> None:
        try:
            self._book.play(row)
            self._next = next(self._rows, None)
        except DataError as error:
            self._freeze(str(error))
            return
        if self._next is None:
            self._freeze("end of tape")
            return
        if self._origin is not None:
            recv_ns, began_ns = self._origin
            self._row_ns = max(self._row_ns, began_ns + round((self._next.recv_ns - recv_ns) / self._speed))
            return
        pause_ns = min(max(0, self._next.recv_ns - row.recv_ns), _LONGEST_PAUSE_NS)
        self._row_ns += round(pause_ns / self._speed)

    def _freeze(self, reason: str) -> None:
        self._next = None
        self.end = TapeEnd(self._venue.now_ns, reason)
        self._venue.set_mode(self._instrument.name, InstrumentMode.FROZEN)

    def _tell_index(self) -> None:
        """The recorded mid stands for the index."""
        mid_x2_ticks = self._book.mid_x2_ticks
        if mid_x2_ticks is not None:
            self._venue.set_index(self._instrument.name, mid_x2_ticks * self._instrument.tick_nano // 2)
        self._index_ns += _INDEX_EVERY_NS


def _symbol(rows: Iterator[Row]) -> tuple[str, Iterator[Row]]:
    """Return the tape's symbol, which a snapshot does not say, and all rows."""
    head: list[Row] = []
    for row in rows:
        head.append(row)
        if not isinstance(row, DepthSnapshot):
            return row.symbol, chain(head, rows)
    raise DataError("the tape has no row with a symbol")


class _RecordedBook:
    """Follows snapshot, depth updates, book tickers and trades, each judged by its update id."""

    def __init__(self, venue: Venue, instrument: Instrument, symbol: str, lots_of: LotsOf | None) -> None:
        self._instrument = instrument
        self._symbol = symbol
        self._lots_of = lots_of
        self._flow = _TapeFlow(venue, instrument)
        self._update_id = 0
        self._ticker: BookTicker | None = None
        self._before_snapshot: list[DepthUpdate] | None = []
        """Updates that a snapshot on its way may not know yet; None once it came."""

    @property
    def is_whole(self) -> bool:
        return self._before_snapshot is None and self.mid_x2_ticks is not None

    @property
    def mid_x2_ticks(self) -> int | None:
        """Best bid plus best ask as displayed by the tape, without clients' orders."""
        bid, ask = self._flow.best_ticks(Side.BUY), self._flow.best_ticks(Side.SELL)
        return None if bid is None or ask is None else bid + ask

    def play(self, row: Row) -> None:
        if not isinstance(row, DepthSnapshot) and row.symbol != self._symbol:
            raise DataError(f"a tape of {self._symbol} has a row of {row.symbol}")
        match row:
            case DepthSnapshot():
                self._start_from(row)
            case DepthUpdate():
                self._update(row)
            case BookTicker():
                self._top(row)
            case Trade() if self.is_whole:
                taker = Side.SELL if row.is_buyer_maker else Side.BUY
                self._flow.trade(taker, *self._level((row.px, row.qty)))

    def _start_from(self, snapshot: DepthSnapshot) -> None:
        self._flow.clear()
        self._update_id = snapshot.last_update_id
        self._display(snapshot.bids, snapshot.asks)
        missed, self._before_snapshot = self._before_snapshot, None
        for update in missed or ():
            self._update(update)
        if self._ticker is not None and self._ticker.update_id > self._update_id:
            self._lead(self._ticker)

    def _update(self, update: DepthUpdate) -> None:
        if self._before_snapshot is not None:
            self._before_snapshot.append(update)
            return
        if update.last_update_id <= self._update_id:
            return
        if not self._follows(update):
            self._start_over()
        self._update_id = update.last_update_id
        self._display(update.bids, update.asks)

    def _start_over(self) -> None:
        """After a gap: the best prices are as the last ticker said, and other levels are known as they are told anew."""
        self._flow.clear()
        if self._ticker is not None:
            self._lead(self._ticker)

    def _follows(self, update: DepthUpdate) -> bool:
        """Whether no update is missing before this one, by Binance's rules (futures: `pu`, spot: consecutive ids)."""
        return update.first_update_id <= self._update_id + 1 or update.prev_update_id == self._update_id

    def _top(self, ticker: BookTicker) -> None:
        if ticker.update_id > self._update_id:
            self._ticker = ticker
            self._lead(ticker)

    def _lead(self, ticker: BookTicker) -> None:
        self._flow.lead(Side.BUY, *self._level((ticker.bid_px, ticker.bid_qty)))
        self._flow.lead(Side.SELL, *self._level((ticker.ask_px, ticker.ask_qty)))

    def _display(self, bids: Iterable[PxQty], asks: Iterable[PxQty]) -> None:
        """Show new sizes, but for those that a ticker of a later update already knows better: the best, and beyond."""
        later = self._ticker if self._ticker is not None and self._ticker.update_id > self._update_id else None
        bids = (level for level in bids if later is None or level[0] < later.bid_px)
        asks = (level for level in asks if later is None or level[0] > later.ask_px)
        changes = [(Side.BUY, *self._level(level)) for level in bids]
        changes += [(Side.SELL, *self._level(level)) for level in asks]
        self._flow.display(changes)

    def _level(self, level: PxQty) -> tuple[int, int]:
        px, qty = level
        lots = self._steps(qty, self._instrument.lot_nano) if self._lots_of is None else self._lots_of(px, qty)
        return self._steps(px, self._instrument.tick_nano), lots

    def _steps(self, value: Decimal, step_nano: int) -> int:
        steps = _steps(value, step_nano)
        if steps is None:
            raise DataError(f"{value} on a tape of {self._symbol} does not fit the grid of {self._instrument.name}")
        return steps


class _TapeFlow:
    """The displayed levels as resting orders of one participant, and clients' places in the queues behind them."""

    def __init__(self, venue: Venue, instrument: Instrument) -> None:
        self._venue = venue
        self._name = instrument.name
        self._book = venue.book(instrument.name)
        self._participant = venue.add_participant("tape")
        self._sides = {side: _Displayed(side) for side in Side}
        self._ahead: dict[Order, int] = {}
        """Recorded lots in front of a client's order."""

    def best_ticks(self, side: Side) -> int | None:
        return self._sides[side].best_ticks()

    def clear(self) -> None:
        for side in Side:
            for px_ticks in list(self._sides[side].levels):
                self._show(side, px_ticks, 0)

    def display(self, changes: Sequence[tuple[Side, int, int]]) -> None:
        """Show new sizes, first what is gone, so that the rest cannot meet it."""
        for side, px_ticks, lots in changes:
            if not lots:
                self._show(side, px_ticks, 0)
        for side, px_ticks, lots in changes:
            if lots:
                self._drop_better(side.opposite, px_ticks, inclusive=True)
                self._show(side, px_ticks, lots)

    def lead(self, side: Side, px_ticks: int, lots: int) -> None:
        """Make this the best level of its side."""
        self._drop_better(side, px_ticks, inclusive=False)
        self._drop_better(side.opposite, px_ticks, inclusive=True)
        self._show(side, px_ticks, lots)

    def trade(self, taker: Side, px_ticks: int, lots: int) -> None:
        """Let a recorded trade reach clients' orders at its price or better, and publish it."""
        reached = [
            order for order in self._book.walk(taker, px_ticks, retail=False) if order.participant != self._participant
        ]
        left = self._fill(taker, px_ticks, lots, reached) if reached else lots
        if left:
            self._venue.print_trade(self._name, taker, px_ticks, left)

    def _fill(self, taker: Side, px_ticks: int, lots: int, reached: list[Order]) -> int:
        """Fill clients' orders, best and oldest first; return what is left of the trade."""
        self._queue_up(taker.opposite, px_ticks)
        lifted = self._lift(taker.opposite, reached[-1].px_ticks)
        left = lots
        for order in reached:
            ahead = self._ahead.get(order, 0) if order.px_ticks == px_ticks else 0
            self._ahead[order] = max(0, ahead - left)
            available = min(left - ahead, order.leaves_lots)
            if available > 0:
                left -= self._venue.flow_take(
                    self._participant, self._name, taker, available, limit_ticks=order.px_ticks
                )
        for level, level_lots in lifted:
            level.orders = self._rest(taker.opposite, level.px_ticks, level_lots)
        self._ahead = {order: ahead for order, ahead in self._ahead.items() if order.is_resting}
        return left

    def _lift(self, side: Side, px_ticks: int) -> list[tuple[_Level, int]]:
        """Take what the tape shows at this price and better out of the way, to meet clients' orders alone."""
        lifted = []
        for level in self._sides[side].at_or_better(px_ticks):
            lots = sum(order.leaves_lots for order in level.orders if order.is_resting)
            if lots:
                self._cancel(level.orders)
                lifted.append((level, lots))
        return lifted

    def _show(self, side: Side, px_ticks: int, lots: int) -> None:
        """Set what the tape shows at a price, as one order unless a client's stands between.

        The size it told last is no news: tickers and depth updates tell the same twice, and what clients took stays taken.
        """
        displayed = self._sides[side]
        level = displayed.levels.get(px_ticks)
        if lots == (0 if level is None else level.lots):
            return
        clients = self._queue_up(side, px_ticks)
        if not lots:
            if level is not None:
                self._cancel(level.orders)
                displayed.remove(px_ticks)
            return
        if level is None:
            level = displayed.add(px_ticks)
        level.lots = lots
        resting = [order for order in level.orders if order.is_resting]
        more = lots - sum(order.leaves_lots for order in resting)
        if more < 0:
            self._shrink(resting, -more)
        elif more > 0 and clients:
            level.orders = resting + self._rest(side, px_ticks, more)
        elif more > 0:
            self._cancel(resting)
            level.orders = self._rest(side, px_ticks, lots)

    def _queue_up(self, side: Side, px_ticks: int) -> bool:
        """Note, before anything changes at a price, what stands before clients' orders new there; say if there are any.

        It is not less than what stands before an older client's order, which is never overtaken.
        """
        orders = self._book.orders_at(side, px_ticks)
        ahead, found = 0, False
        for order in orders:
            if order.participant != self._participant:
                if not found:
                    shown = sum(own.leaves_lots for own in orders if own.participant == self._participant)
                found = True
                ahead = self._ahead.setdefault(order, max(ahead, shown))
        return found

    def _drop_better(self, side: Side, px_ticks: int, *, inclusive: bool) -> None:
        """Drop levels of `side` better than `px_ticks`, which they cannot be any more."""
        for level in self._sides[side].at_or_better(px_ticks):
            if inclusive or level.px_ticks != px_ticks:
                self._show(side, level.px_ticks, 0)

    def _rest(self, side: Side, px_ticks: int, lots: int) -> list[Order]:
        order = self._venue.flow_limit(self._participant, self._name, side, px_ticks, lots)
        return [] if order is None else [order]

    def _cancel(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._venue.flow_cancel(order)

    def _shrink(self, resting: Sequence[Order], lots: int) -> None:
        """Take lots away from the back."""
        for order in reversed(resting):
            away = min(lots, order.leaves_lots)
            if away:
                self._venue.flow_reduce(order, order.leaves_lots - away)
                lots -= away


class _Level:
    """What the tape shows at one price. `lots` is as told last; `orders` hold what clients have not taken of it."""

    __slots__ = ("lots", "orders", "px_ticks")

    def __init__(self, px_ticks: int) -> None:
        self.px_ticks = px_ticks
        self.lots = 0
        self.orders: list[Order] = []


class _Displayed:
    """One side's levels; `_keys` is sorted so that the best price is last (asks are negated)."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._keys: list[int] = []
        self.levels: dict[int, _Level] = {}

    def best_ticks(self) -> int | None:
        return self._side * self._keys[-1] if self._keys else None

    def at_or_better(self, px_ticks: int) -> list[_Level]:
        keys = self._keys
        return [self.levels[self._side * key] for key in keys[bisect_left(keys, self._side * px_ticks) :]]

    def add(self, px_ticks: int) -> _Level:
        insort(self._keys, self._side * px_ticks)
        level = self.levels[px_ticks] = _Level(px_ticks)
        return level

    def remove(self, px_ticks: int) -> None:
        del self.levels[px_ticks]
        del self._keys[bisect_left(self._keys, self._side * px_ticks)]
