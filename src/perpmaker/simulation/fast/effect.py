"""A message taking effect at its venue, in compiled code: its book there, and our places in its queues.

It does what `Market.on_*` do with a message that fills nothing of ours, on the same numbers. Where it might fill something,
or anything else is Python's to do, nothing is done.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perpmaker.simulation.fast.compiled import inner, part
from perpmaker.simulation.fast.layout import (
    CHANGED,
    CLASSIC,
    EXPONENT,
    IS_PLAYED,
    KEY,
    MODEL,
    OF_PLACES,
    OF_TAKEN,
    OF_VENUE,
    ORDER_WIDTH,
    PESSIMISTIC,
    QUEUE,
    SHOWN_EVENT_NS,
    SHOWN_RECV_NS,
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

SNAPSHOT, TRADE = 1, 3
"""Of `tape.schema.Kind`: before TRADE there are only messages of books."""
REPLAYED = 8
_LAST = 2


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
    least = 1 if rows[row, KIND] == SNAPSHOT else 0
    for at in range(row, end):  # noqa: SIM110 (compiled)
        if rows[at, SIDE] != 0 and (rows[at, PX] <= 0 or rows[at, LOTS] < least):
            return False
    return True


@inner
def put_levels(rows: Rows, row: int, end: int, keys: Ints, lots: Ints, used: Ints, book: int) -> None:
    """Set the levels of a message in a book that has room for them."""
    if rows[row, KIND] == SNAPSHOT:
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
        if rows[row, KIND] == SNAPSHOT:
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
            if rows[row, KIND] == SNAPSHOT:
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
    if rows[row, KIND] == SNAPSHOT:
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
    if rows[row, KIND] == SNAPSHOT:
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
    if rows[row, KIND] == TRADE:
        if rows[row, FLAGS] & REPLAYED:
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
