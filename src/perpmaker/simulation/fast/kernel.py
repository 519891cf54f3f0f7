"""The compiled part of a backtest: takes market data that leads to nothing, until something does.

It does what `Timeline.feed`, `SimulatedVenue.on_market`, `Market.on_*` and the engine's books do with a message nobody
listens to, in the same order, on the same numbers. As soon as anything else has to happen (a fill, a word of the venue, a
timer, a message for a strategy, a book that may not be traded on) it stops just before and hands back. Stopping is
always right; going on must be earned.
"""

from __future__ import annotations

from perpmaker.simulation.fast.compiled import compiled, ints_at, part
from perpmaker.simulation.fast.effect import (
    EVENT,
    FLAGS,
    KIND,
    LISTED,
    RECV,
    REPLAYED,
    SNAPSHOT,
    TRADE,
    Ints,
    Market,
    Rows,
    end_of,
    is_sound,
    put_levels,
    takes_effect,
)
from perpmaker.simulation.fast.layout import (
    ACTION_AT,
    BOOK_NS,
    BOOKS,
    BOOKS_UNTIL,
    CARRIED,
    CARRIED_AT,
    CHANGED,
    COUNT_AT,
    DEPTH,
    DUE,
    ENDED,
    ENGINE_BID,
    ENGINE_EVENT_NS,
    ENGINE_RECV_NS,
    EVENTS,
    FEED_NS,
    FOREVER,
    HEAD,
    HEAR,
    HEARD,
    HEARD_NS,
    HOLD,
    HOLD_FLOOR,
    INSTRUMENT_WIDTH,
    INSTRUMENTS,
    IS_OPEN,
    ITS_VENUE,
    KEYS_AT,
    LAG_OFFSET,
    LOTS_AT,
    MARK_NS,
    MID_SUMS_AT,
    MID_TIMES_AT,
    MIDS_AT,
    MIDS_KEPT,
    MOST_ORDERS,
    NOW,
    NUMBER,
    OF_ENGINE,
    OF_VENUE,
    OFFSET,
    ORDER_WIDTH,
    ORDERS_AT,
    PASSED_NS,
    PLACES,
    PLACES_AT,
    ROOM,
    ROW,
    ROWS,
    ROWS_AT,
    RUN_AT,
    RUN_WIDTH,
    SEEN_NS,
    SHOWN_BID,
    SPARE_AT,
    STATE_AT,
    TAIL,
    TAKEN_AT,
    TAKEN_LOTS_AT,
    TRADES_FREE,
    USED_AT,
    VENUE_NS,
    VENUE_WIDTH,
    VENUES,
    VENUES_AT,
    WAIT_AT,
    WAIT_NUMBER,
    WAIT_ROW,
    WAIT_WIDTH,
    WAITING_AT,
    WINDOW_NS,
)
from perpmaker.simulation.fast.levels import ASK, BID

_MAX_HOLD_NS = 1_000_000_000
_MAX_LAG_NS = 2_000_000_000
_MIDS_NS = 120_000_000_000


@part
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
            if not takes_effect(source, row, end_of(source, row), market, instruments, places[source[row, LISTED]]):
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
        low, high = 0, count
        while low < high:  # the first that is later
            middle = (low + high) >> 1
            if times[place, middle] <= event_ns - _MIDS_NS:
                low = middle + 1
            else:
                high = middle
        gone = max(low - 1, 0)
        if gone == 0 and count >= MIDS_KEPT:
            gone = MIDS_KEPT // 2
        for number in range(gone, count):
            times[place, number - gone] = times[place, number]
            sums[place, number - gone] = sums[place, number]
        count -= gone
    kept[place] = count


@part
def engine_passes(rows: Rows, row: int, end: int, market: Market, its: Ints, place: int, count: int) -> bool:
    """Take a message into the engine's book; False when the engine has to look at it, which does no harm a second time."""
    recv_ns, event_ns = rows[row, RECV], rows[row, EVENT]
    if not its[IS_OPEN] or recv_ns + its[LAG_OFFSET] - event_ns > _MAX_LAG_NS:
        return False
    if rows[row, KIND] == TRADE:
        return bool(its[TRADES_FREE] != 0 and not rows[row, FLAGS] & REPLAYED)
    if recv_ns >= its[BOOKS_UNTIL] or event_ns <= its[PASSED_NS] or recv_ns >= its[MARK_NS]:
        return False
    keys, lots, used, _, _, _, _, _ = market
    room = keys.shape[2] - (end - row)
    if used[place, BID] > room or used[place, ASK] > room or not is_sound(rows, row, end):
        return False
    marked = 2 * count + place
    if its[MARK_NS] != FOREVER:
        if used[marked, BID] > room or used[marked, ASK] > room:
            return False
        put_levels(rows, row, end, keys, lots, used, marked)
    put_levels(rows, row, end, keys, lots, used, place)
    its[ENGINE_EVENT_NS], its[ENGINE_RECV_NS] = event_ns, recv_ns
    its[CHANGED] |= OF_ENGINE
    bids, asks = used[place, BID], used[place, ASK]
    return bool(bids > 0 and asks > 0 and keys[place, BID, bids - 1] + keys[place, ASK, asks - 1] < 0)


@part
def copy_wait(queue: Ints, source: int, target: int) -> None:
    for field in range(WAIT_WIDTH):  # numba takes a second longer to compile an assignment of rows
        queue[target, field] = queue[source, field]


@part
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
            copy_wait(queue, number + venue[HEAD], number)
        venue[HEAD], venue[TAIL] = 0, waits
    recv_ns, event_ns = rows[row, RECV], rows[row, EVENT]
    hold_ns, feed_ns, book_ns = venue[HOLD], venue[FEED_NS], its[BOOK_NS]
    took_ns = recv_ns + venue[OFFSET] - event_ns
    if rows[row, KIND] != SNAPSHOT and took_ns <= _MAX_HOLD_NS:
        venue[HOLD] = max(venue[HOLD_FLOOR], took_ns, hold_ns - (hold_ns >> 8))
        venue[FEED_NS] = max(0, took_ns)
    at_ns = event_ns
    if rows[row, KIND] != TRADE:
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
        copy_wait(queue, number - 1, number)
        number -= 1
    queue[number, WAIT_AT], queue[number, WAIT_NUMBER], queue[number, WAIT_ROW] = at_ns, run[NUMBER], row
    venue[TAIL] += 1
    return True


@part
def tell_best(keys: Ints, lots: Ints, used: Ints, book: int, its: Ints, first: int) -> None:
    """Note best prices and their lots, 0 for none."""
    bids, asks = used[book, BID], used[book, ASK]
    its[first] = keys[book, BID, bids - 1] if bids else 0
    its[first + 1] = lots[book, BID, bids - 1] if bids else 0
    its[first + 2] = -keys[book, ASK, asks - 1] if asks else 0
    its[first + 3] = lots[book, ASK, asks - 1] if asks else 0


@compiled
def skip(frame: Ints, wake_ns: int, stop_ns: int) -> int:
    """Take messages until Python has something to do; returns why. Python wants the first message at `stop_ns` or later.

    `frame` says where everything is (`layout`).
    """
    count, books, depth = frame[INSTRUMENTS], frame[BOOKS], frame[DEPTH]
    rows, carried = ints_at(frame[ROWS_AT], (frame[ROWS], 8)), ints_at(frame[CARRIED_AT], (frame[CARRIED], 8))
    places = ints_at(frame[PLACES_AT], (frame[PLACES],))
    market = (
        ints_at(frame[KEYS_AT], (books, 2, depth)),
        ints_at(frame[LOTS_AT], (books, 2, depth)),
        ints_at(frame[USED_AT], (books, 2)),
        ints_at(frame[ORDERS_AT], (count, 2, MOST_ORDERS, ORDER_WIDTH)),
        ints_at(frame[COUNT_AT], (count, 2)),
        ints_at(frame[TAKEN_AT], (count, 2, 1 + MOST_ORDERS)),
        ints_at(frame[TAKEN_LOTS_AT], (count, 2, 1 + MOST_ORDERS)),
        ints_at(frame[SPARE_AT], (2, MOST_ORDERS, ORDER_WIDTH)),
    )
    instruments = ints_at(frame[STATE_AT], (count, INSTRUMENT_WIDTH))
    venues = ints_at(frame[VENUES_AT], (frame[VENUES], VENUE_WIDTH))
    waiting = ints_at(frame[WAITING_AT], (frame[VENUES], frame[ROOM], WAIT_WIDTH))
    mid_times = ints_at(frame[MID_TIMES_AT], (count, MIDS_KEPT + 1))
    mid_sums = ints_at(frame[MID_SUMS_AT], (count, MIDS_KEPT + 1))
    mids_kept = ints_at(frame[MIDS_AT], (count,))
    run = ints_at(frame[RUN_AT], (RUN_WIDTH,))
    keys, lots, used = market[0], market[1], market[2]
    why = ENDED
    while run[ROW] < len(rows):
        row = run[ROW]
        if not do_due(rows, carried, places, market, instruments, venues, waiting, run, wake_ns, rows[row, RECV]):
            why = DUE
            break
        why = HEAR
        place = places[rows[row, LISTED]]
        if place < 0 or rows[row, RECV] >= stop_ns or rows[row, KIND] > TRADE:
            break
        end = end_of(rows, row)
        its = instruments[place]
        if its[PASSED_NS] and mids_kept[place] >= MIDS_KEPT - 1:  # what markouts need would be forgotten
            break
        if end < 0 or not engine_passes(rows, row, end, market, its, place, count):
            break
        if not venue_hears(rows, row, end, market, instruments, venues, waiting, run, place):
            break
        its[SEEN_NS] = rows[row, RECV]
        its[CHANGED] |= HEARD
        if rows[row, KIND] != TRADE:
            best = keys[place, BID, used[place, BID] - 1] - keys[place, ASK, used[place, ASK] - 1]
            keep_mid(mid_times, mid_sums, mids_kept, place, best, rows[row, EVENT])
            if rows[row, EVENT] >= its[WINDOW_NS]:
                its[PASSED_NS] = rows[row, EVENT]
        run[NOW] = max(run[NOW], rows[row, RECV])
        run[HEARD_NS] = rows[row, RECV]
        run[EVENTS] += 1
        run[ROW] = end
        why = ENDED
    for place in range(count):
        if instruments[place, CHANGED] & OF_ENGINE:
            tell_best(keys, lots, used, place, instruments[place], ENGINE_BID)
        if instruments[place, CHANGED] & OF_VENUE:
            tell_best(keys, lots, used, count + place, instruments[place], SHOWN_BID)
    return why
