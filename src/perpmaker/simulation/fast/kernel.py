"""The compiled part of a backtest: takes market data that leads to nothing, until something does.

It does what `Timeline.feed`, `SimulatedVenue.on_market`, `Market.on_*` and the engine's books do with a message nobody
listens to, in the same order, on the same numbers. As soon as anything else has to happen (a fill, a word of the venue, a
timer, a message for a strategy, a book that may not be traded on) it stops just before and hands back. Stopping is
always right; going on must be earned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perpmaker.simulation.fast.compiled import compiled, inner
from perpmaker.simulation.fast.layout import (
    ACTION_AT,
    BOOK_NS,
    BOOKS_UNTIL,
    CLASSIC,
    DUE,
    ENDED,
    ENGINE_CHANGED,
    ENGINE_EVENT_NS,
    ENGINE_RECV_NS,
    EVENTS,
    EXPONENT,
    FEED_NS,
    FOREVER,
    HEAD,
    HEAR,
    HEARD_NS,
    HOLD,
    HOLD_FLOOR,
    IS_OPEN,
    IS_PLAYED,
    ITS_VENUE,
    KEY,
    LAG_OFFSET,
    MARK_NS,
    MIDS_KEPT,
    MODEL,
    NOW,
    NUMBER,
    OFFSET,
    PASSED_NS,
    QUEUE,
    ROW,
    SEEN_NS,
    SHOWN_EVENT_NS,
    SHOWN_RECV_NS,
    TAIL,
    TRADES_FREE,
    VENUE_CHANGED,
    VENUE_NS,
    WAIT_AT,
    WAIT_NUMBER,
    WAIT_ROW,
    WINDOW_NS,
)
from perpmaker.simulation.fast.levels import ASK, BID, lots_of, set_level
from perpmaker.simulation.fast.queueing import level_changes, trade_passes

Ints = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.uint8]
Places = npt.NDArray[np.uint16]
Sides = npt.NDArray[np.int8]
Rows = tuple[Ints, Ints, Kinds, Kinds, Places, Sides, Ints, Ints]
"""recv_ns, event_ns, kind, flags, instrument, side, px, qty: the columns of `tape.columns` that matter here."""
Market = tuple[Ints, Ints, Ints, Ints, Ints, Ints]
"""keys, lots and used of all books (the engine's, the venue's, those for marks, one after the other); our orders, and how
many; what ours took from: how many levels, and their keys."""

_SNAPSHOT, _DELTA, _TRADE = 1, 2, 3
_LAST, _REPLAYED = 2, 8
_MARKET_RANK = 1
_MAX_HOLD_NS = 1_000_000_000
_MAX_LAG_NS = 2_000_000_000
_MIDS_NS = 120_000_000_000


@inner
def end_of(rows: Rows, row: int) -> int:
    """Return the row after a message, -1 when its end is not there."""
    flags = rows[3]
    while row < len(flags):
        if flags[row] & _LAST:
            return row + 1
        row += 1
    return -1


@inner
def is_sound(rows: Rows, row: int, end: int) -> bool:
    """Whether all levels of a message are such that a book takes them without a question."""
    least = 1 if rows[2][row] == _SNAPSHOT else 0
    for at in range(row, end):  # noqa: SIM110 (compiled)
        if rows[5][at] != 0 and (rows[6][at] <= 0 or rows[7][at] < least):
            return False
    return True


@inner
def put_levels(rows: Rows, row: int, end: int, keys: Ints, lots: Ints, used: Ints, book: int) -> None:
    """Set the levels of a message in a book that has room for them."""
    if rows[2][row] == _SNAPSHOT:
        used[book, BID] = used[book, ASK] = 0
        for at in range(end - 1, row - 1, -1):  # best first as told, so that most go to the end
            side = rows[5][at]
            if side > 0 and lots_of(keys, lots, used, book, BID, rows[6][at]) == 0:
                set_level(keys, lots, used, book, BID, rows[6][at], rows[7][at])
            elif side < 0 and lots_of(keys, lots, used, book, ASK, -rows[6][at]) == 0:
                set_level(keys, lots, used, book, ASK, -rows[6][at], rows[7][at])
        return
    for at in range(row, end):
        side = rows[5][at]
        if side > 0:
            set_level(keys, lots, used, book, BID, rows[6][at], rows[7][at])
        elif side < 0:
            set_level(keys, lots, used, book, ASK, -rows[6][at], rows[7][at])


@inner
def told_lots(rows: Rows, row: int, end: int, side: int, key: int) -> int:
    """Return what a snapshot says of a level; the last word counts."""
    sign = 1 if side == BID else -1
    for at in range(end - 1, row - 1, -1):
        if rows[5][at] == sign and sign * rows[6][at] == key:
            return int(rows[7][at])
    return 0


@inner
def names_taken(rows: Rows, row: int, end: int, taken: Ints, place: int) -> bool:
    """Whether a message says something of a level that ours took from; a snapshot says it of all."""
    if not taken[place, BID, 0] and not taken[place, ASK, 0]:
        return False
    if rows[2][row] == _SNAPSHOT:
        return True
    for at in range(row, end):
        side = BID if rows[5][at] > 0 else ASK
        key = rows[6][at] if side == BID else -rows[6][at]
        for number in range(1, taken[place, side, 0] + 1):
            if taken[place, side, number] == key:
                return True
    return False


@inner
def may_meet(rows: Rows, row: int, end: int, market: Market, book: int, place: int) -> bool:
    """Whether a book message can lead to more than a change of places: a fill, or what we took being shown less."""
    keys, _, used, orders, count, taken = market
    if names_taken(rows, row, end, taken, place):
        return True
    for side in (BID, ASK):
        against = 1 - side
        if count[place, side] and used[book, against]:
            best = keys[book, against, used[book, against] - 1]
            if best + orders[place, side, 0, KEY] >= 0:
                return True
    for at in range(row, end):
        against = ASK if rows[5][at] > 0 else BID
        if rows[5][at] != 0 and rows[7][at] > 0 and count[place, against]:
            key = rows[6][at] if rows[5][at] > 0 else -rows[6][at]
            if key + orders[place, against, 0, KEY] >= 0:
                return True
    return False


@inner
def names_ours(rows: Rows, row: int, end: int, orders: Ints, count: Ints, place: int) -> bool:
    """Whether a message says something of a price of ours; a snapshot always does."""
    if rows[2][row] == _SNAPSHOT:
        return True
    for at in range(row, end):
        side = BID if rows[5][at] > 0 else ASK
        key = rows[6][at] if side == BID else -rows[6][at]
        for number in range(count[place, side]):
            if orders[place, side, number, KEY] == key:
                return True
    return False


@inner
def move_places(
    rows: Rows, row: int, end: int, market: Market, book: int, place: int, queue: int, exponent: int
) -> bool:
    """Move our orders in their queues by what a book message says, before the book changes; False: nothing was done."""
    keys, lots, used, orders, count, _ = market
    if not names_ours(rows, row, end, orders, count, place):
        return True
    before = orders[place].copy()
    if rows[2][row] == _SNAPSHOT:
        for side in (BID, ASK):
            for number in range(count[place, side]):
                key = orders[place, side, number, KEY]
                if number and orders[place, side, number - 1, KEY] == key:
                    continue
                shown = lots_of(keys, lots, used, book, side, key)
                told = told_lots(rows, row, end, side, key)
                if not level_changes(orders[place, side], count[place, side], queue, exponent, key, shown, told):
                    orders[place] = before
                    return False
        return True
    for at in range(row, end):
        if rows[5][at] == 0:
            continue
        side = BID if rows[5][at] > 0 else ASK
        key = rows[6][at] if side == BID else -rows[6][at]
        ours = False
        for number in range(count[place, side]):
            ours = ours or orders[place, side, number, KEY] == key
        if ours:
            shown = lots_of(keys, lots, used, book, side, key)
            told = rows[7][at]
            if not level_changes(orders[place, side], count[place, side], queue, exponent, key, shown, told):
                orders[place] = before
                return False
    return True


@inner
def takes_effect(rows: Rows, row: int, end: int, market: Market, instruments: Ints, place: int) -> bool:
    """Play a message at its venue; False, and nothing done, when that is Python's to do."""
    keys, lots, used, orders, count, _ = market
    its = instruments[place]
    if not its[IS_PLAYED]:
        return False
    book = len(instruments) + place
    if rows[2][row] == _TRADE:
        if rows[3][row] & _REPLAYED:
            return True
        side = ASK if rows[5][row] > 0 else BID
        key = -rows[6][row] if side == ASK else rows[6][row]
        return trade_passes(orders[place, side], count[place, side], its[MODEL], key, rows[7][row], rows[1][row])
    room = keys.shape[2] - (end - row)
    if used[book, BID] > room or used[book, ASK] > room or not is_sound(rows, row, end):
        return False
    ours = count[place, BID] + count[place, ASK]
    if ours or market[5][place, BID, 0] or market[5][place, ASK, 0]:
        if (ours and its[MODEL] == CLASSIC) or may_meet(rows, row, end, market, book, place):
            return False
        if not move_places(rows, row, end, market, book, place, its[QUEUE], its[EXPONENT]):
            return False
    put_levels(rows, row, end, keys, lots, used, book)
    its[SHOWN_EVENT_NS], its[SHOWN_RECV_NS], its[VENUE_CHANGED] = rows[1][row], rows[0][row], 1
    return True


@inner
def do_due(
    rows: Rows,
    carried: Rows,
    places: Ints,
    market: Market,
    instruments: Ints,
    venues: Ints,
    waiting: Ints,
    run: Ints,
    wake_ns: int,
    until_ns: int,
) -> bool:
    """Let everything take effect that is due by a time of ours; False when Python has something to do before that."""
    while True:
        due_ns, first = FOREVER, -1
        for venue in range(len(venues)):
            its = venues[venue]
            if its[HEAD] < its[TAIL]:
                at_ns = waiting[venue, its[HEAD], WAIT_AT] - its[OFFSET] + its[HOLD]
                if at_ns < due_ns:
                    due_ns, first = at_ns, venue
        here_ns = max(run[NOW], min(due_ns, until_ns))
        if wake_ns <= here_ns:
            return False
        for venue in range(len(venues)):
            its = venues[venue]
            if its[ACTION_AT] != FOREVER and its[ACTION_AT] - its[OFFSET] + its[HOLD] <= here_ns:
                return False
        if due_ns > until_ns:
            return True
        its, queue = venues[first], waiting[first]
        run[NOW] = here_ns
        limit_ns = here_ns + its[OFFSET] - its[HOLD]
        while its[HEAD] < its[TAIL] and queue[its[HEAD], WAIT_AT] <= limit_ns:
            at_ns, row = queue[its[HEAD], WAIT_AT], queue[its[HEAD], WAIT_ROW]
            source = rows if row >= 0 else carried
            row = row if row >= 0 else -1 - row
            if not takes_effect(source, row, end_of(source, row), market, instruments, places[source[4][row]]):
                return False
            its[VENUE_NS] = max(its[VENUE_NS], at_ns)
            its[HEAD] += 1
        its[VENUE_NS] = max(its[VENUE_NS], limit_ns)


@compiled
def keep_mid(times: Ints, sums: Ints, kept: Ints, place: int, total: int, event_ns: int) -> None:
    """As `MidHistory.add`, of the sum of the best prices."""
    count = kept[place]
    if count:
        if sums[place, count - 1] == total:
            return
        event_ns = max(event_ns, times[place, count - 1])
    times[place, count], sums[place, count] = event_ns, total
    count += 1
    if event_ns - times[place, 0] > 2 * _MIDS_NS or count >= MIDS_KEPT:
        gone = max(int(np.searchsorted(times[place, :count], event_ns - _MIDS_NS, side="right")) - 1, 0)
        if gone == 0 and count >= MIDS_KEPT:
            gone = MIDS_KEPT // 2
        for number in range(gone, count):
            times[place, number - gone] = times[place, number]
            sums[place, number - gone] = sums[place, number]
        count -= gone
    kept[place] = count


@inner
def engine_passes(rows: Rows, row: int, end: int, market: Market, its: Ints, place: int, count: int) -> bool:
    """Take a message into the engine's book; False when the engine has to look at it, which does no harm a second time."""
    recv_ns, event_ns = rows[0][row], rows[1][row]
    if not its[IS_OPEN] or recv_ns + its[LAG_OFFSET] - event_ns > _MAX_LAG_NS:
        return False
    if rows[2][row] == _TRADE:
        return bool(its[TRADES_FREE] != 0 and not rows[3][row] & _REPLAYED)
    if recv_ns >= its[BOOKS_UNTIL] or event_ns <= its[PASSED_NS] or recv_ns >= its[MARK_NS]:
        return False
    keys, lots, used, _, _, _ = market
    room = keys.shape[2] - (end - row)
    if used[place, BID] > room or used[place, ASK] > room or not is_sound(rows, row, end):
        return False
    marked = 2 * count + place
    if its[MARK_NS] != FOREVER:
        if used[marked, BID] > room or used[marked, ASK] > room:
            return False
        put_levels(rows, row, end, keys, lots, used, marked)
    put_levels(rows, row, end, keys, lots, used, place)
    its[ENGINE_EVENT_NS], its[ENGINE_RECV_NS], its[ENGINE_CHANGED] = event_ns, recv_ns, 1
    bids, asks = used[place, BID], used[place, ASK]
    return bool(bids > 0 and asks > 0 and keys[place, BID, bids - 1] + keys[place, ASK, asks - 1] < 0)


@inner
def venue_hears(
    rows: Rows,
    row: int,
    end: int,
    market: Market,
    instruments: Ints,
    venues: Ints,
    waiting: Ints,
    run: Ints,
    place: int,
) -> bool:
    """As `SimulatedVenue.on_market`; False, and nothing done, when that is Python's to do."""
    its = instruments[place]
    venue = venues[its[ITS_VENUE]]
    queue = waiting[its[ITS_VENUE]]
    if venue[TAIL] >= len(queue):
        if not venue[HEAD]:
            return False
        waits = venue[TAIL] - venue[HEAD]
        for number in range(waits):
            queue[number] = queue[number + venue[HEAD]]
        venue[HEAD], venue[TAIL] = 0, waits
    recv_ns, event_ns = rows[0][row], rows[1][row]
    hold_ns, feed_ns, book_ns = venue[HOLD], venue[FEED_NS], its[BOOK_NS]
    took_ns = recv_ns + venue[OFFSET] - event_ns
    if rows[2][row] != _SNAPSHOT and took_ns <= _MAX_HOLD_NS:
        venue[HOLD] = max(venue[HOLD_FLOOR], took_ns, hold_ns - (hold_ns >> 8))
        venue[FEED_NS] = max(0, took_ns)
    at_ns = event_ns
    if rows[2][row] != _TRADE:
        at_ns = its[BOOK_NS] = max(event_ns, book_ns)
    next_ns = venue[ACTION_AT]
    if venue[HEAD] < venue[TAIL]:
        next_ns = min(next_ns, queue[venue[HEAD], WAIT_AT])
    limit_ns = recv_ns + venue[OFFSET] - venue[HOLD]
    if at_ns <= limit_ns and at_ns < next_ns:
        if not takes_effect(rows, row, end, market, instruments, place):
            venue[HOLD], venue[FEED_NS], its[BOOK_NS] = hold_ns, feed_ns, book_ns
            return False
        venue[VENUE_NS] = max(venue[VENUE_NS], at_ns)
        return True
    run[NUMBER] += 1
    number = venue[TAIL]
    while number > venue[HEAD] and queue[number - 1, WAIT_AT] > at_ns:
        queue[number] = queue[number - 1]
        number -= 1
    queue[number, WAIT_AT], queue[number, WAIT_NUMBER], queue[number, WAIT_ROW] = at_ns, run[NUMBER], row
    venue[TAIL] += 1
    return True


@compiled
def skip(
    rows: Rows,
    carried: Rows,
    places: Ints,
    market: Market,
    instruments: Ints,
    venues: Ints,
    waiting: Ints,
    run: Ints,
    mids: tuple[Ints, Ints, Ints],
    wake_ns: int,
    stop_ns: int,
) -> int:
    """Take messages until Python has something to do; returns why. Python wants the first message at `stop_ns` or later."""
    recv, kinds, listed = rows[0], rows[2], rows[4]
    count = len(instruments)
    while run[ROW] < len(recv):
        row = run[ROW]
        if not do_due(rows, carried, places, market, instruments, venues, waiting, run, wake_ns, recv[row]):
            return DUE
        place = places[listed[row]]
        if place < 0 or recv[row] >= stop_ns or kinds[row] > _TRADE:
            return HEAR
        end = end_of(rows, row)
        its = instruments[place]
        if its[PASSED_NS] and mids[2][place] >= MIDS_KEPT - 1:  # what markouts need would be forgotten
            return HEAR
        if end < 0 or not engine_passes(rows, row, end, market, its, place, count):
            return HEAR
        if not venue_hears(rows, row, end, market, instruments, venues, waiting, run, place):
            return HEAR
        its[SEEN_NS] = recv[row]
        if kinds[row] != _TRADE:
            keys, _, used, _, _, _ = market
            best = keys[place, BID, used[place, BID] - 1] - keys[place, ASK, used[place, ASK] - 1]
            keep_mid(mids[0], mids[1], mids[2], place, best, rows[1][row])
            if rows[1][row] >= its[WINDOW_NS]:
                its[PASSED_NS] = rows[1][row]
        run[NOW] = max(run[NOW], recv[row])
        run[HEARD_NS] = recv[row]
        run[EVENTS] += 1
        run[ROW] = end
    return ENDED
