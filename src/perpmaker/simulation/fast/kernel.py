"""The compiled part of a backtest: takes market data that leads to nothing, until something does.

It does what `Timeline.feed`, `SimulatedVenue.on_market`, `Market.on_*` and the engine's books do with a message nobody
listens to, in the same order, on the same numbers. As soon as anything else has to happen (a fill, a word of the venue, a
timer, a message for a strategy, a book that may not be traded on) it stops just before and hands back. Stopping is
always right; going on must be earned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perpmaker.simulation.fast.compiled import compiled, inner, ints_at, part
from perpmaker.simulation.fast.layout import (
    ACTION_AT,
    BOOK_NS,
    BOOKS,
    BOOKS_UNTIL,
    CARRIED,
    CARRIED_AT,
    CHANGED,
    CLASSIC,
    COUNT_AT,
    DEPTH,
    DUE,
    ENDED,
    ENGINE_BID,
    ENGINE_EVENT_NS,
    ENGINE_RECV_NS,
    EVENTS,
    EXPONENT,
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
    IS_PLAYED,
    ITS_VENUE,
    KEY,
    KEYS_AT,
    LAG_OFFSET,
    LOTS_AT,
    MARK_NS,
    MID_SUMS_AT,
    MID_TIMES_AT,
    MIDS_AT,
    MIDS_KEPT,
    MODEL,
    MOST_ORDERS,
    NOW,
    NUMBER,
    OF_ENGINE,
    OF_PLACES,
    OF_TAKEN,
    OF_VENUE,
    OFFSET,
    ORDER_WIDTH,
    ORDERS_AT,
    PASSED_NS,
    PESSIMISTIC,
    PLACES,
    PLACES_AT,
    QUEUE,
    ROOM,
    ROW,
    ROWS,
    ROWS_AT,
    RUN_AT,
    RUN_WIDTH,
    SEEN_NS,
    SHOWN_BID,
    SHOWN_EVENT_NS,
    SHOWN_RECV_NS,
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
from perpmaker.simulation.fast.levels import ASK, BID, lots_of, set_level
from perpmaker.simulation.fast.queueing import level_changes, trade_passes

Ints = npt.NDArray[np.int64]
Rows = Ints
"""One row of the tape each, with the columns of `tape.columns` that matter here."""
RECV, EVENT, KIND, FLAGS, LISTED, SIDE, PX, LOTS = range(8)
Market = tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints, Ints]
"""keys, lots and used of all books (the engine's, the venue's, those for marks, one after the other); our orders, and how
many; what ours took from: how many levels and their keys, and how much; room for a copy of an instrument's orders."""

_SNAPSHOT, _DELTA, _TRADE = 1, 2, 3
_LAST, _REPLAYED = 2, 8
_MAX_HOLD_NS = 1_000_000_000
_MAX_LAG_NS = 2_000_000_000
_MIDS_NS = 120_000_000_000


@part
def end_of(rows: Rows, row: int) -> int:
    """Return the row after a message, -1 when its end is not there."""
    while row < len(rows):
        if rows[row, FLAGS] & _LAST:
            return row + 1
        row += 1
    return -1


@part
def is_sound(rows: Rows, row: int, end: int) -> bool:
    """Whether all levels of a message are such that a book takes them without a question."""
    least = 1 if rows[row, KIND] == _SNAPSHOT else 0
    for at in range(row, end):  # noqa: SIM110 (compiled)
        if rows[at, SIDE] != 0 and (rows[at, PX] <= 0 or rows[at, LOTS] < least):
            return False
    return True


@inner
def put_levels(rows: Rows, row: int, end: int, keys: Ints, lots: Ints, used: Ints, book: int) -> None:
    """Set the levels of a message in a book that has room for them."""
    if rows[row, KIND] == _SNAPSHOT:
        used[book, BID] = used[book, ASK] = 0
        for at in range(end - 1, row - 1, -1):  # best first as told, so that most go to the end
            side = rows[at, SIDE]
            if side > 0 and lots_of(keys, lots, used, book, BID, rows[at, PX]) == 0:
                set_level(keys, lots, used, book, BID, rows[at, PX], rows[at, LOTS])
            elif side < 0 and lots_of(keys, lots, used, book, ASK, -rows[at, PX]) == 0:
                set_level(keys, lots, used, book, ASK, -rows[at, PX], rows[at, LOTS])
        return
    for at in range(row, end):
        side = rows[at, SIDE]
        if side > 0:
            set_level(keys, lots, used, book, BID, rows[at, PX], rows[at, LOTS])
        elif side < 0:
            set_level(keys, lots, used, book, ASK, -rows[at, PX], rows[at, LOTS])


@part
def told_lots(rows: Rows, row: int, end: int, side: int, key: int) -> int:
    """Return what a snapshot says of a level; the last word counts."""
    sign = 1 if side == BID else -1
    for at in range(end - 1, row - 1, -1):
        if rows[at, SIDE] == sign and sign * rows[at, PX] == key:
            return int(rows[at, LOTS])
    return 0


@inner
def place_taken(taken: Ints, place: int, side: int, key: int) -> int:
    """Return where a level that ours took from stands, 0 for nowhere."""
    for number in range(1, taken[place, side, 0] + 1):
        if taken[place, side, number] == key:
            return number
    return 0


@inner
def is_named(rows: Rows, row: int, end: int, side: int, key: int) -> bool:
    """Whether a message says something of a level."""
    sign = 1 if side == BID else -1
    for at in range(row, end):  # noqa: SIM110 (compiled)
        if rows[at, SIDE] == sign and sign * rows[at, PX] == key:
            return True
    return False


@part
def is_shown_less(rows: Rows, row: int, end: int, taken: Ints, taken_lots: Ints, place: int) -> bool:
    """Lower what we took from levels of which a message shows less; whether that changed anything."""
    changed = False
    for at in range(row, end):
        side = BID if rows[at, SIDE] > 0 else ASK
        key = rows[at, PX] if side == BID else -rows[at, PX]
        number = place_taken(taken, place, side, key)
        if number == 0 or rows[at, LOTS] >= taken_lots[place, side, number]:
            continue
        changed = True
        if rows[at, LOTS] > 0:
            taken_lots[place, side, number] = rows[at, LOTS]
            continue
        last = taken[place, side, 0]
        taken[place, side, number], taken_lots[place, side, number] = (
            taken[place, side, last],
            taken_lots[place, side, last],
        )
        taken[place, side, 0] = last - 1
    return changed


@part
def may_meet(rows: Rows, row: int, end: int, market: Market, book: int, place: int, model: int) -> bool:
    """Whether a book message can lead to a fill: something that ours did not take stands where our best order reaches."""
    keys, lots, used, orders, count, taken, taken_lots, _ = market
    if taken[place, BID, 0] or taken[place, ASK, 0]:
        if rows[row, KIND] == _SNAPSHOT:
            return True
        for at in range(row, end):
            side = BID if rows[at, SIDE] > 0 else ASK
            key = rows[at, PX] if side == BID else -rows[at, PX]
            if place_taken(taken, place, side, key) and is_named(rows, at + 1, end, side, key):
                return True
    for side in (BID, ASK):
        if count[place, side] == 0:
            continue
        against = 1 - side
        least = -orders[place, side, 0, KEY] + (1 if model == PESSIMISTIC else 0)
        for level in range(used[book, against] - 1, -1, -1):
            key = keys[book, against, level]
            if key < least:
                break
            if rows[row, KIND] == _SNAPSHOT:
                return True
            if is_named(rows, row, end, against, key):
                continue
            number = place_taken(taken, place, against, key)
            if number == 0 or lots[book, against, level] > taken_lots[place, against, number]:
                return True
        sign = 1 if against == BID else -1
        for at in range(row, end):
            if rows[at, SIDE] == sign and rows[at, LOTS] > 0 and sign * rows[at, PX] >= least:
                number = place_taken(taken, place, against, sign * rows[at, PX])
                if number == 0 or rows[at, LOTS] > taken_lots[place, against, number]:
                    return True
    return False


@part
def names_ours(rows: Rows, row: int, end: int, orders: Ints, count: Ints, place: int) -> bool:
    """Whether a message says something of a price of ours; a snapshot always does."""
    if rows[row, KIND] == _SNAPSHOT:
        return True
    for at in range(row, end):
        side = BID if rows[at, SIDE] > 0 else ASK
        key = rows[at, PX] if side == BID else -rows[at, PX]
        for number in range(count[place, side]):
            if orders[place, side, number, KEY] == key:
                return True
    return False


@part
def copy_orders(source: Ints, target: Ints, count: int) -> None:
    for number in range(count):
        for field in range(ORDER_WIDTH):
            target[number, field] = source[number, field]


@part
def move_places(
    rows: Rows, row: int, end: int, market: Market, book: int, place: int, queue: int, exponent: int
) -> bool:
    """Move our orders in their queues by what a book message says, before the book changes; False: nothing was done."""
    keys, lots, used, orders, count, _, _, spare = market
    if not names_ours(rows, row, end, orders, count, place):
        return True
    for side in (BID, ASK):
        copy_orders(orders[place, side], spare[side], count[place, side])
    if rows[row, KIND] == _SNAPSHOT:
        for side in (BID, ASK):
            for number in range(count[place, side]):
                key = orders[place, side, number, KEY]
                if number and orders[place, side, number - 1, KEY] == key:
                    continue
                shown = lots_of(keys, lots, used, book, side, key)
                told = told_lots(rows, row, end, side, key)
                if not level_changes(orders[place, side], count[place, side], queue, exponent, key, shown, told):
                    for back in (BID, ASK):
                        copy_orders(spare[back], orders[place, back], count[place, back])
                    return False
        return True
    for at in range(row, end):
        if rows[at, SIDE] == 0:
            continue
        side = BID if rows[at, SIDE] > 0 else ASK
        key = rows[at, PX] if side == BID else -rows[at, PX]
        ours = False
        for number in range(count[place, side]):
            ours = ours or orders[place, side, number, KEY] == key
        if ours:
            shown = lots_of(keys, lots, used, book, side, key)
            told = rows[at, LOTS]
            if not level_changes(orders[place, side], count[place, side], queue, exponent, key, shown, told):
                for back in (BID, ASK):
                    copy_orders(spare[back], orders[place, back], count[place, back])
                return False
    return True


@inner
def takes_effect(rows: Rows, row: int, end: int, market: Market, instruments: Ints, place: int) -> bool:
    """Play a message at its venue; False, and nothing done, when that is Python's to do."""
    keys, lots, used, orders, count, taken, taken_lots, _ = market
    its = instruments[place]
    if not its[IS_PLAYED]:
        return False
    book = len(instruments) + place
    if rows[row, KIND] == _TRADE:
        if rows[row, FLAGS] & _REPLAYED:
            return True
        side = ASK if rows[row, SIDE] > 0 else BID
        if count[place, side] == 0:
            return True
        key = -rows[row, PX] if side == ASK else rows[row, PX]
        its[CHANGED] |= OF_PLACES
        return trade_passes(orders[place, side], count[place, side], its[MODEL], key, rows[row, LOTS], rows[row, EVENT])
    room = keys.shape[2] - (end - row)
    if used[book, BID] > room or used[book, ASK] > room or not is_sound(rows, row, end):
        return False
    ours = count[place, BID] + count[place, ASK]
    took = taken[place, BID, 0] + taken[place, ASK, 0]
    if ours or took:
        if (ours and its[MODEL] == CLASSIC) or may_meet(rows, row, end, market, book, place, its[MODEL]):
            return False
        if ours:
            if not move_places(rows, row, end, market, book, place, its[QUEUE], its[EXPONENT]):
                return False
            its[CHANGED] |= OF_PLACES
        if took and is_shown_less(rows, row, end, taken, taken_lots, place):
            its[CHANGED] |= OF_TAKEN
    put_levels(rows, row, end, keys, lots, used, book)
    its[SHOWN_EVENT_NS], its[SHOWN_RECV_NS] = rows[row, EVENT], rows[row, RECV]
    its[CHANGED] |= OF_VENUE
    return True


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
    if rows[row, KIND] == _TRADE:
        return bool(its[TRADES_FREE] != 0 and not rows[row, FLAGS] & _REPLAYED)
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
    if rows[row, KIND] != _SNAPSHOT and took_ns <= _MAX_HOLD_NS:
        venue[HOLD] = max(venue[HOLD_FLOOR], took_ns, hold_ns - (hold_ns >> 8))
        venue[FEED_NS] = max(0, took_ns)
    at_ns = event_ns
    if rows[row, KIND] != _TRADE:
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
        if place < 0 or rows[row, RECV] >= stop_ns or rows[row, KIND] > _TRADE:
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
        if rows[row, KIND] != _TRADE:
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
