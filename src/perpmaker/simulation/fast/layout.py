"""Where things stand in the arrays that compiled code and Python share; all of them 64-bit integers.

Prices of our orders are keys as in `levels`: ticks for buys, their negatives for sells, so that the better price is always
the greater number, and a price of the other side reaches one of ours when the two keys sum to zero or more.
"""

from __future__ import annotations

from typing import Final

FOREVER: Final = (1 << 63) - 1

ENDED, HEAR, DUE = 0, 1, 2
"""Why the compiled code hands back: no rows are left; the next message, or what is due before it, is Python's to take."""

# The run.
NOW, NUMBER, EVENTS, ROW, HEARD_NS = 0, 1, 2, 3, 4
"""Our clock; the number of the last thing scheduled; messages taken; the next row; receive time of the last message."""
RUN_WIDTH: Final = 5

# A venue.
OFFSET, HOLD, HOLD_FLOOR, VENUE_NS, FEED_NS, ACTION_AT, ACTION_RANK, ACTION_NUMBER, HEAD, TAIL = range(10)
"""ACTION_*: the first thing that Python has scheduled there. HEAD, TAIL: the messages that wait."""
VENUE_WIDTH: Final = 10

# A message that waits to take effect at a venue. Rows below zero count in the rows carried over from earlier chunks.
WAIT_AT, WAIT_NUMBER, WAIT_ROW = 0, 1, 2
WAIT_WIDTH: Final = 3

# An instrument.
(
    ITS_VENUE,
    IS_OPEN,
    BOOKS_UNTIL,
    TRADES_FREE,
    WINDOW_NS,
    MARK_NS,
    LAG_OFFSET,
    BOOK_NS,
    SEEN_NS,
    IS_PLAYED,
    CHANGED,
    ENGINE_EVENT_NS,
    ENGINE_RECV_NS,
    ENGINE_BID,
    ENGINE_BID_LOTS,
    ENGINE_ASK,
    ENGINE_ASK_LOTS,
    SHOWN_EVENT_NS,
    SHOWN_RECV_NS,
    SHOWN_BID,
    SHOWN_BID_LOTS,
    SHOWN_ASK,
    SHOWN_ASK_LOTS,
    MODEL,
    QUEUE,
    EXPONENT,
    PASSED_NS,
) = range(27)
"""IS_OPEN: the engine has nothing to decide about its market data. BOOKS_UNTIL: nobody hears of its book before.
TRADES_FREE: nobody hears of its trades. WINDOW_NS: when a markout ends. MARK_NS: when a mark is to be made up. IS_PLAYED:
its book at the venue is in the arrays. CHANGED: what the compiled code changed. ENGINE_*: times and best prices of the
engine's book, SHOWN_*: of the venue's. PASSED_NS: the venue's time after a markout's end."""
INSTRUMENT_WIDTH: Final = 27
HEARD, OF_ENGINE, OF_VENUE, OF_PLACES, OF_TAKEN = 1, 2, 4, 8, 16
"""What of an instrument may have changed: its times; the engine's book; the venue's; our places there; what we took."""

# A resting order of ours, best first.
KEY, LEAVES, AHEAD, SPARED, ARRIVED, TRADED = range(6)
"""TRADED: at its price since the book last stated the level, the same for all at that price."""
ORDER_WIDTH: Final = 6

# Addresses and sizes of all arrays: what the compiled code is handed.
(
    ROWS_AT,
    ROWS,
    CARRIED_AT,
    CARRIED,
    PLACES_AT,
    PLACES,
    KEYS_AT,
    LOTS_AT,
    USED_AT,
    BOOKS,
    DEPTH,
    ORDERS_AT,
    COUNT_AT,
    TAKEN_AT,
    TAKEN_LOTS_AT,
    SPARE_AT,
    STATE_AT,
    INSTRUMENTS,
    VENUES_AT,
    VENUES,
    WAITING_AT,
    ROOM,
    RUN_AT,
    MID_TIMES_AT,
    MID_SUMS_AT,
    MIDS_AT,
) = range(26)
FRAME_WIDTH: Final = 26
MOST_ORDERS: Final = 64
"""A side; an instrument with more is Python's."""

QUEUE_MODEL, OPTIMISTIC, PESSIMISTIC, CLASSIC = range(4)
POWER, RISK_AVERSE = 0, 1
MIDS_KEPT: Final = 8_192
