"""A busy market for the backtest benchmark, made by a seed: every engine plays the same rows.

A book of one level a message, best prices that wander, and trades that eat what is displayed, which the next message says.
It is no model of a market, it is work for an order book: 5 million messages, one in nine a trade.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from perpmaker.model.ids import instrument_id
from perpmaker.model.instrument import Instrument
from perpmaker.tape.columns import Columns
from perpmaker.tape.reader import Tape, open_tape
from perpmaker.tape.schema import ABSENT, FIRST, LAST, Kind, TapeInstrument
from perpmaker.tape.writer import TapeWriter

START_NS: Final = 1_700_000_000_000_000_000
FEED_NS: Final = 1_000_000
"""What the feed takes."""
MID: Final = 600_000
"""In ticks."""
_DEPTH = 40
_MIDDLE = 1 << 15
"""The place of `MID` in a book, which is an array of lots by price."""
_LEVELS, _EATEN = 2, 4
"""Kept beside a book: best bid and ask, levels of either side, the side whose trade the book has not said yet."""
_DELTA, _TRADE = int(Kind.DELTA), int(Kind.TRADE)
_PIECE: Final = 1 << 20
Ints = npt.NDArray[np.int64]


def rules(number: int = 0) -> Instrument:
    """The rules of the n-th instrument."""
    base = "BTC" if not number else f"C{number:02}"
    return Instrument(
        instrument_id=instrument_id(f"{base}_USDT_Perp", "grvt"),
        symbol=f"{base}_USDT_Perp",
        exchange="grvt",
        base=base,
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        min_notional=Decimal(0),
    )


def write_market(
    path: Path, *, messages: int, gap_ns: int, instruments: int = 1, seed: int = 1, marks: bool = False
) -> Tape:
    """Write a tape of so many messages, `gap_ns` apart on average over all instruments together; marks a million apart."""
    with TapeWriter(path, [TapeInstrument(rules(number)) for number in range(instruments)]) as writer:
        for columns in _pieces(messages, gap_ns, instruments, seed, marks):
            writer.add_columns(columns)
    return open_tape(path)


def _pieces(messages: int, gap_ns: int, instruments: int, seed: int, marks: bool) -> Iterator[Columns]:
    state = np.array([seed * 88_172_645_463_325_252 % (1 << 62) + 1, START_NS, 0], dtype=np.int64)
    """What is drawn from, the time, and the trades so far."""
    books = np.zeros((instruments, 2, 2 * _MIDDLE), dtype=np.int64)
    best = np.zeros((instruments, 5), dtype=np.int64)
    begin = [_row(number, side, level) for number in range(instruments) for side in (1, -1) for level in range(_DEPTH)]
    _begin(books, best)
    yield _as_columns(np.array(begin, dtype=np.int64), Kind.SNAPSHOT)
    left = messages
    while left:
        table = np.zeros((min(left, _PIECE), 7), dtype=np.int64)
        _fill(table, state, books, best, gap_ns)
        left -= len(table)
        if marks:
            yield _marks(instruments, int(table[0, 0]))
        yield _as_columns(table, None)


def _marks(instruments: int, now_ns: int) -> Columns:
    """One ticker an instrument: a mark in 1e-9, its digits after the point, and no funding rate."""
    table = np.array(
        [
            (now_ns, flags, number, 0, px, digits, 0)
            for number in range(instruments)
            for flags, px, digits in ((FIRST, MID * 100_000_000, 1), (LAST | ABSENT, 0, 0))
        ],
        dtype=np.int64,
    )
    columns = _as_columns(table, Kind.MARK)
    columns.kind[1::2] = Kind.FUNDING
    return columns


def _row(number: int, side: int, level: int) -> tuple[int, ...]:
    flags = (FIRST if side > 0 and not level else 0) | (LAST if side < 0 and level == _DEPTH - 1 else 0)
    return START_NS, flags, number, side, MID - side * (1 + level), 50, 0


def _as_columns(table: Ints, kind: Kind | None) -> Columns:
    """Columns of (time, flags or kind, instrument, side, price, quantity, id)."""
    told = np.full(len(table), kind, dtype=np.uint8) if kind is not None else table[:, 1].astype(np.uint8)
    flags = table[:, 1] if kind is not None else np.full(len(table), FIRST | LAST)
    return Columns(
        recv_ns=table[:, 0] + FEED_NS,
        event_ns=table[:, 0].copy(),
        kind=told,
        flags=flags.astype(np.uint8),
        instrument=table[:, 2].astype(np.uint16),
        side=table[:, 3].astype(np.int8),
        px=table[:, 4].copy(),
        qty=table[:, 5].copy(),
        aux=table[:, 6].copy(),
    )


@numba.njit  # type: ignore[untyped-decorator]
def _begin(books: Ints, best: Ints) -> None:
    for number in range(len(books)):
        best[number] = (_MIDDLE - 1, _MIDDLE + 1, _DEPTH, _DEPTH, 0)
        for level in range(_DEPTH):
            books[number, 0, _MIDDLE - 1 - level] = books[number, 1, _MIDDLE + 1 + level] = 50


@numba.njit  # type: ignore[untyped-decorator]
def _fill(table: Ints, state: Ints, books: Ints, best: Ints, gap_ns: int) -> None:
    """Write rows of (time, kind, instrument, side, price, quantity, id)."""
    random = np.uint64(state[0])
    for row in range(len(table)):
        random ^= random << np.uint64(13)
        random ^= random >> np.uint64(7)
        random ^= random << np.uint64(17)
        draw = np.int64(random >> np.uint64(4))
        state[1] += draw % (2 * gap_ns)
        number, side, what = (draw >> 5) % len(books), (draw >> 11) & 1, (draw >> 13) % 1000
        its = best[number]
        eaten = its[_EATEN]
        if eaten:
            side = 0 if eaten > 0 else 1
        sign = 1 if side == 0 else -1
        book = books[number, side]
        kind, price, told = _DELTA, its[side], sign
        if eaten:  # what traded has gone from the book
            its[_EATEN], qty = 0, book[price]
            its[_LEVELS + side] -= qty == 0
        elif what < 108 and book[price] > 1:
            kind, told, its[_EATEN] = _TRADE, -sign, sign
            qty = min(book[price] - (its[_LEVELS + side] < 10), 1 + (draw >> 23) % 30)
            book[price] -= qty
            state[2] += 1
        else:
            price -= sign * ((draw >> 23) % 12)
            if what < 220 and its[1] - its[0] > 1:
                price = its[side] + sign
            qty = 0 if what > 900 and its[_LEVELS + side] > 20 else 1 + (draw >> 33) % 100
            its[_LEVELS + side] += (qty > 0) - (book[price] > 0)
            book[price] = qty
            if qty and (price - its[side]) * sign > 0:
                its[side] = price
        while kind == _DELTA and book[its[side]] == 0:
            its[side] -= sign
        table[row] = (state[1], kind, number, told, price + MID - _MIDDLE, qty, state[2] if kind == _TRADE else 0)
    state[0] = np.int64(random)
