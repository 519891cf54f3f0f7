"""Own orders taken out of a recorded market: the engine that recorded it stood in the public book itself.

What of ours stood at a price when the venue wrote a frame is known from the venue's own statements about our orders, by its
own clock; so much is taken off the level. Trades in which we were the taker are left out. What happened because we were
there stays: what we took is missing from the book, a taker who met us would have met somebody else or nobody.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Final

import msgspec

from perpmaker.errors import ConfigError, DataError
from perpmaker.model.book import Level
from perpmaker.model.events import (
    AccountSnapshot,
    BookDelta,
    BookSnapshot,
    Event,
    Fill,
    OrderReport,
    Trade,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.tape.examine import files_of
from perpmaker.tape.reader import Tape
from perpmaker.tape.schema import Kind

NOTE: Final = "own orders"
"""Under which a tape's notes say what was taken out."""
PIECE: Final = "piece of a session"
"""Under which the notes of a tape that was made of a session's rows name it: the rows that tell it may be missing."""
_ENDED: Final = frozenset({VenueStatus.FILLED, VenueStatus.REJECTED, VenueStatus.CANCELED, VenueStatus.EXPIRED})
_ZERO: Final = Decimal(0)
_Place = tuple[InstrumentId, int, int]
"""Instrument, sign of the side, price in ticks."""


def is_session(tape: Tape) -> bool:
    """Whether a tape is an engine's recorded life, or a piece of one: its books may hold the engine's own orders."""
    if any(kind.name.lower() in tape.counts for kind in (Kind.SESSION, Kind.COMMAND)):
        return True
    return any(PIECE in file.contents.notes for file in files_of(tape))


def must_be_market(tape: Tape) -> None:
    """Raise ConfigError for a session, which nothing plays as it is."""
    if not is_session(tape):
        return
    if not has_beginning(tape):
        raise ConfigError(_no_market_of_piece(tape))
    raise ConfigError(
        f"{tape.name}: is the recorded session of an engine, whose own orders stand in its books; "
        "`perpmaker tape market SESSION OUTPUT` writes its market without them"
    )


def must_have_beginning(tape: Tape) -> None:
    """Raise DataError for a piece of a session that began before: what stood in its books by then is told nowhere in it."""
    if is_session(tape) and not has_beginning(tape):
        raise DataError(_no_market_of_piece(tape))


def has_beginning(tape: Tape) -> bool:
    """Whether a session's tape holds what its engine started from, and so all that was said of its orders."""
    return Kind.SESSION.name.lower() in tape.counts


def _no_market_of_piece(tape: Tape) -> str:
    names = dict.fromkeys(file.contents.notes.get(PIECE, "") for file in files_of(tape))
    whole = " and ".join(name for name in names if name)
    return (
        f"{tape.name}: is a piece of the recorded session of an engine{f' ({whole})' if whole else ''}, whose own orders "
        "stand in its books, and which they are was told before it begins; write the market of the whole session with "
        "`perpmaker tape market SESSION OUTPUT`, then cut that"
    )


class OwnOrders:
    """Collects what a session heard of its own orders, in any order; `stood` then says what stood where, and when."""

    def __init__(self) -> None:
        self._orders: dict[tuple[AccountId, ClientOrderId], _Order] = {}
        self._taken: set[tuple[InstrumentId, TradeId]] = set()

    def hear(self, event: Event) -> None:
        match event:
            case OrderReport():
                self._order(event.account, event.client_order_id).reported(event)
            case AccountSnapshot():
                for report in event.open_orders:
                    self.hear(report)
                for fill in event.fills:
                    self.hear(fill)
            case Fill():
                self._order(event.account, event.client_order_id).filled(event)
                if event.is_taker:
                    self._taken.add((event.instrument, event.trade_id))
            case _:
                pass

    def stood(self, instruments: Mapping[InstrumentId, Instrument]) -> OwnLevels:
        """Return our resting quantity by place and time, in lots of these rules."""
        changes: dict[_Place, list[tuple[int, int]]] = {}
        rested = unplaced = 0
        for order in self._orders.values():
            steps = order.steps()
            if not steps:
                continue  # it never rested
            place = order.place(instruments)
            if place is None:
                unplaced += 1
                continue
            rested += 1
            rules, before = instruments[place[0]], 0
            for at_ns, leaves in steps:
                lots = int(leaves / rules.lot)
                changes.setdefault(place, []).append((at_ns, lots - before))
                before = lots
        return OwnLevels(changes, frozenset(self._taken), rested, unplaced)

    def _order(self, account: AccountId, client_order_id: ClientOrderId) -> _Order:
        key = account, client_order_id
        order = self._orders.get(key)
        if order is None:
            order = self._orders[key] = _Order()
        return order


class OwnLevels:
    """What is ours in a book. `rested` orders stood in it; of `unplaced` ones price or quantity was never told."""

    def __init__(
        self,
        changes: Mapping[_Place, list[tuple[int, int]]],
        taken: frozenset[tuple[InstrumentId, TradeId]],
        rested: int,
        unplaced: int,
    ) -> None:
        self.rested = rested
        self.unplaced = unplaced
        self.lowered = 0
        """Levels that something was taken off."""
        self.short = 0
        """Levels that showed less than what was ours; they count as empty."""
        self.left_out = 0
        """Trades in which we were the taker."""
        self._taken = taken
        self._times: dict[_Place, list[int]] = {}
        self._lots: dict[_Place, list[int]] = {}
        self._changes: dict[InstrumentId, deque[tuple[int, _Place]]] = {}
        """What the frames so far did not reach yet."""
        self._shown: dict[_Place, int] = {}
        """Of our prices alone, as the venue showed them last."""
        self._left: dict[_Place, int] = {}
        for place, steps in changes.items():
            steps.sort()
            self._times[place] = [at_ns for at_ns, _ in steps]
            self._lots[place] = list(accumulate(lots for _, lots in steps))
        for instrument in {place[0] for place in changes}:
            times = [(at_ns, place) for place in changes if place[0] == instrument for at_ns in self._times[place]]
            self._changes[instrument] = deque(sorted(times))

    def without(self, event: Event) -> Event | None:
        """Return an event of the feed as it would have been without our orders, None when it would not have been.

        To be called with all of them, in their order: where an order of ours went as others came, the level did not change.
        """
        match event:
            case BookSnapshot() if event.instrument in self._changes:
                at_ns = event.ts_event_ns or event.ts_recv_ns
                for place in [place for place in self._shown if place[0] == event.instrument]:
                    del self._shown[place], self._left[place]
                self._moved(event.instrument, at_ns)
                bids = self._lowered(event.instrument, Side.BUY, event.bids, at_ns)
                asks = self._lowered(event.instrument, Side.SELL, event.asks, at_ns)
                return msgspec.structs.replace(
                    event,
                    bids=tuple((px, lots) for px, lots in bids.items() if lots),
                    asks=tuple((px, lots) for px, lots in asks.items() if lots),
                )
            case BookDelta() if event.instrument in self._changes:
                at_ns = event.ts_event_ns or event.ts_recv_ns
                bids = self._lowered(event.instrument, Side.BUY, event.bids, at_ns)
                asks = self._lowered(event.instrument, Side.SELL, event.asks, at_ns)
                for place in self._moved(event.instrument, at_ns):
                    self._add_unshown(place, bids if place[1] == Side.BUY.sign else asks, at_ns)
                return msgspec.structs.replace(event, bids=tuple(bids.items()), asks=tuple(asks.items()))
            case Trade() if (event.instrument, event.trade_id) in self._taken:
                self.left_out += 1
                return None
            case _:
                return event

    def _lowered(self, instrument: InstrumentId, side: Side, levels: Iterable[Level], at_ns: int) -> dict[int, int]:
        """Return levels of a frame less what is ours."""
        left: dict[int, int] = {}
        for px_ticks, lots in levels:
            place = (instrument, side.sign, px_ticks)
            own = self._own(place, at_ns)
            left[px_ticks] = max(0, lots - own)
            if lots and own:
                self.lowered += 1
                self.short += own > lots
            if place in self._times:
                self._shown[place], self._left[place] = lots, left[px_ticks]
        return left

    def _moved(self, instrument: InstrumentId, at_ns: int) -> list[_Place]:
        """Return where something of ours changed since the last frame."""
        waiting = self._changes[instrument]
        moved: dict[_Place, None] = {}
        while waiting and waiting[0][0] <= at_ns:
            moved[waiting.popleft()[1]] = None
        return list(moved)

    def _add_unshown(self, place: _Place, levels: dict[int, int], at_ns: int) -> None:
        """Say what is left at a price of ours that a frame left out, if that has changed."""
        left = max(0, self._shown.get(place, 0) - self._own(place, at_ns))
        if place[2] not in levels and left != self._left.get(place, 0):
            levels[place[2]] = self._left[place] = left

    def _own(self, place: _Place, at_ns: int) -> int:
        """Return what of ours stood at a price at the venue's time `at_ns`, in lots."""
        times = self._times.get(place)
        if times is None:
            return 0
        after = bisect_right(times, at_ns)
        return max(0, self._lots[place][after - 1]) if after else 0

    def describe(self) -> str:
        """Say in a line what was done, for results."""
        parts = [f"{self.rested:,} orders taken out of {self.lowered:,} levels of the recorded books"]
        if self.left_out:
            parts.append(f"{self.left_out:,} trades left out in which they were the taker")
        if self.short:
            parts.append(f"{self.short:,} levels showed less than them")
        if self.unplaced:
            parts.append(f"{self.unplaced:,} more orders left in: their price was never told")
        return ", ".join(parts)


class _Order:
    """What the venue said of one order."""

    __slots__ = ("_fills", "_instrument", "_px", "_qty", "_reports", "_side")

    def __init__(self) -> None:
        self._instrument: InstrumentId | None = None
        self._side: Side | None = None
        self._px: Decimal | None = None
        self._qty: Decimal | None = None
        self._reports: list[tuple[int, VenueStatus, Decimal]] = []
        self._fills: dict[TradeId, tuple[int, Decimal]] = {}

    def reported(self, report: OrderReport) -> None:
        self._instrument = report.instrument
        self._side = report.side or self._side
        self._px = report.px if report.px is not None else self._px
        self._qty = report.qty if report.qty is not None else self._qty
        self._reports.append((report.ts_event_ns or report.ts_recv_ns, report.status, report.cum_qty))

    def filled(self, fill: Fill) -> None:
        self._fills[fill.trade_id] = fill.ts_event_ns or fill.ts_recv_ns, fill.qty

    def steps(self) -> list[tuple[int, Decimal]]:
        """Return (time, what rests from then on), in order; empty when it never rested. Without a quantity: one step."""
        opened_ns = min((at_ns for at_ns, status, _ in self._reports if status is VenueStatus.OPEN), default=None)
        if opened_ns is None:
            return []
        ended_ns = min((at_ns for at_ns, status, _ in self._reports if status in _ENDED), default=None)
        fills = sorted(self._fills.values())
        executed = list(accumulate((qty for _, qty in fills), initial=_ZERO))
        by_fills = [(at_ns, cum) for (at_ns, _), cum in zip(fills, executed[1:], strict=True)]
        steps: list[tuple[int, Decimal]] = []
        cum = _ZERO
        for at_ns, told in sorted([*((at_ns, told) for at_ns, _, told in self._reports), *by_fills]):
            cum = max(cum, told)
            if ended_ns is not None and at_ns >= ended_ns:
                break
            steps.append((max(at_ns, opened_ns), max(_ZERO, (self._qty or _ZERO) - cum)))
        if ended_ns is not None and steps:
            steps.append((max(ended_ns, opened_ns), _ZERO))
        return steps

    def place(self, instruments: Mapping[InstrumentId, Instrument]) -> _Place | None:
        """Return where it rested, None when that was never told or is not on the instrument's grid."""
        rules = instruments.get(self._instrument) if self._instrument is not None else None
        if rules is None or self._side is None or self._px is None or self._qty is None:
            return None
        try:
            return rules.instrument_id, self._side.sign, rules.to_ticks(self._px)
        except ValueError:
            return None
