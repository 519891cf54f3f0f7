"""What both simulations are given: a market in the order of its own times, and orders sent at fixed times.

An order reaches the venue ENTRY_NS after it is sent. Everything here is a number, so that the worker in the peer's
environment needs nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from perpmaker.marketdata.book import OrderBook
from perpmaker.model.events import BookDelta, BookSnapshot, Event, Trade
from perpmaker.model.ids import InstrumentId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS
from perpmaker.simulation import Chance

ENTRY_NS: Final = 10 * NS_PER_MS
RESPONSE_NS: Final = 10 * NS_PER_MS
FEED_NS: Final = 10 * NS_PER_MS
Shown = BookSnapshot | BookDelta | Trade
Fill = tuple[int, int, int]
"""The venue's time, the price in ticks of the last piece, and lots, of all that filled an order at one instant."""
Fills = dict[int, list[Fill]]
"""By the order's number; an order without fills is not there."""


class Planned(msgspec.Struct, frozen=True, array_like=True):
    """One order: sent, and cancelled `life_ns` later when it is post-only; else it takes at once or ends."""

    number: int
    sent_ns: int
    side: int
    px: int
    lots: int
    post_only: bool
    life_ns: int


class Play(msgspec.Struct, frozen=True):
    """A market and the orders sent to it."""

    name: str
    market: Sequence[Shown]
    orders: Sequence[Planned]
    tick: float
    lot: float


def in_order(events: Iterable[Event]) -> list[Shown]:
    """Put books and trades in the order in which they take effect at the venue, and hear of each FEED_NS later.

    A book frame that is stated older than the one before it takes effect with that one. Raises ValueError where a
    whole book comes a second time: hftbacktest's rows cannot say that in one instant.
    """
    found: list[tuple[int, int, Shown]] = []
    book_ns = books = 0
    for number, event in enumerate(event for event in events if isinstance(event, Shown)):
        at_ns = event.ts_event_ns
        if not isinstance(event, Trade):
            at_ns = book_ns = max(at_ns, book_ns)
            books += isinstance(event, BookSnapshot)
        if books:
            found.append((at_ns, number, msgspec.structs.replace(event, ts_event_ns=at_ns, ts_recv_ns=at_ns + FEED_NS)))
    if books != 1:
        raise ValueError(f"a market with {books} whole books; one is needed, at its beginning")
    found.sort(key=lambda one: one[:2])
    return [event for _, _, event in found]


def scheduled(
    market: Sequence[Shown], rules: Instrument, seed: int, every_ms: int, *, most_lots: int, life_ms: int = 4_000
) -> list[Planned]:
    """Draw orders by a seed from what the book shows as they are sent.

    Of ten orders six join the touch, two rest up to 20 ticks behind it, one is a tick better (and is refused where that
    crosses), and one takes up to 3 ticks deep. Sizes are 1 .. `most_lots`, lives a quarter to the whole of `life_ms`.
    """
    chance, book = Chance(seed), OrderBook(rules)
    orders: list[Planned] = []
    first_ns, last_ns = market[0].ts_event_ns, market[-1].ts_event_ns
    due_ns = first_ns + 1_000 * NS_PER_MS + NS_PER_MS // 2
    for event in market:
        while event.ts_event_ns > due_ns and due_ns < last_ns - 2 * life_ms * NS_PER_MS:
            if book.bid_ticks and book.ask_ticks:
                orders.append(_drawn(len(orders) + 1, due_ns, book, chance, most_lots, life_ms))
            due_ns += (every_ms // 2 + chance.below(every_ms)) * NS_PER_MS
        if isinstance(event, BookSnapshot):
            book.snapshot(event.bids, event.asks, 0, 0)
        elif isinstance(event, BookDelta):
            book.apply(event.bids, event.asks, 0, 0)
    return orders


def _drawn(number: int, now_ns: int, book: OrderBook, chance: Chance, most_lots: int, life_ms: int) -> Planned:
    side = Side.BUY if chance.below(2) else Side.SELL
    kind, depth = chance.below(10), chance.below(20)
    touch = book.bid_ticks if side is Side.BUY else book.ask_ticks
    against = book.ask_ticks if side is Side.BUY else book.bid_ticks
    px = touch
    if kind in (6, 7):
        px = touch - side.sign * (1 + depth)
    elif kind == 8:
        px = touch + side.sign
    elif kind == 9:
        px = against + side.sign * (depth % 4)
    life_ns = (life_ms // 4 + chance.below(3 * life_ms // 4)) * NS_PER_MS
    return Planned(number, now_ns, side.sign, px, 1 + chance.below(most_lots), kind != 9, life_ns)


def lively(rules: Instrument, seed: int, seconds: int, start_ns: int) -> list[Shown]:
    """Make a market by a seed: levels grow, shrink and are cancelled, trades eat one or several, the mid wanders.

    Trades are told before the book that lacks what they took, as on venues; every fourth time they are in one millisecond.
    """
    chance, name = Chance(seed), rules.instrument_id
    sides: dict[int, dict[int, int]] = {
        1: {600_000 - n: 20 + 5 * n for n in range(30)},
        -1: {600_001 + n: 20 + 5 * n for n in range(30)},
    }
    told: list[Shown] = [BookSnapshot(name, tuple(sides[1].items()), tuple(sides[-1].items()), start_ns, start_ns)]
    for step in range(seconds * 20):
        at_ns = start_ns + (step + 1) * 50 * NS_PER_MS
        changed: dict[int, dict[int, int]] = {1: {}, -1: {}}
        sign = 1 if chance.below(2) else -1
        for _ in range(chance.below(3)):
            px, lots = _traded(sides[sign], sign, chance)
            aggressor = Side.SELL if sign == 1 else Side.BUY
            told.append(Trade(name, px, lots, aggressor, TradeId(str(len(told))), at_ns, at_ns + FEED_NS))
            changed[sign][px] = sides[sign].get(px, 0)
        for side in (1, -1):
            _stir(sides[side], max(sides[-side]) if side == -1 else min(sides[-side]), side, chance, changed[side])
        book_ns = at_ns if not step % 4 else at_ns + NS_PER_MS
        told.append(BookDelta(name, _levels(changed[1]), _levels(changed[-1]), book_ns, book_ns + FEED_NS))
    return told


def _traded(levels: dict[int, int], sign: int, chance: Chance) -> tuple[int, int]:
    """Take something from the best level; now and then all of it, and the next trade goes deeper."""
    px = max(levels) if sign == 1 else min(levels)
    lots = levels[px] if not chance.below(4) else 1 + chance.below(min(levels[px], 25))
    levels[px] -= lots
    if not levels[px]:
        del levels[px]
    return px, lots


def _stir(levels: dict[int, int], against: int, sign: int, chance: Chance, changed: dict[int, int]) -> None:
    """Others add and cancel near the touch; a level of the other side is never crossed."""
    best = max(levels) if sign == 1 else min(levels)
    for _ in range(3):
        px = best - sign * (chance.below(8) - 1)
        if (against - px) * sign <= 0:
            continue
        had = levels.get(px, 0)
        now = had + 1 + chance.below(30) if chance.below(2) else max(0, had - chance.below(30))
        if now:
            levels[px] = changed[px] = now
        elif had and len(levels) > 10:
            changed[px] = 0
            del levels[px]


def _levels(changed: dict[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(changed.items())


def rows(market: Iterable[Shown]) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield what the peer's worker reads: kind (1 book, 3 trade), side or aggressor, ticks, lots, the venue's time."""
    for event in market:
        if isinstance(event, Trade):
            yield 3, event.aggressor.sign, event.px_ticks, event.qty_lots, event.ts_event_ns
            continue
        for sign, levels in ((1, event.bids), (-1, event.asks)):
            for px, lots in levels:
                yield 1, sign, px, lots, event.ts_event_ns


def named(market: Iterable[Event], name: InstrumentId) -> Iterator[Event]:
    """Yield one instrument's events."""
    return (event for event in market if getattr(event, "instrument", None) == name)
