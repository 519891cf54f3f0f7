"""A tape whose streams of best prices have become changes of the book: a fresher top, where book frames are coarse.

A message of best prices says three things of each side: what is better is gone, what the best level holds, and when that
was. It is written as the changes of levels that follow. A book frame that is older than a level's last word (by update id
where both streams have one, else by the venue's time) does not undo it. The idea is hftbacktest's fused market depth
(`depth/fuse.rs`). Best prices without a venue's time cannot be put in their place among trades, and are left as they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.tape.columns import ARRAYS, Columns, columns_of, row_tuples
from perpmaker.tape.examine import notes_of
from perpmaker.tape.own import PIECE, is_session
from perpmaker.tape.reader import Tape
from perpmaker.tape.schema import FIRST, LAST, Kind
from perpmaker.tape.writer import TapeWriter

_Row = tuple[int, ...]
_RECV, _EVENT, _KIND, _FLAGS, _PLACE, _SIDE, _PX, _QTY, _AUX = range(len(ARRAYS))
_MANY: Final = 1_000
_BOOK: Final = (Kind.SNAPSHOT, Kind.DELTA, Kind.BBO, Kind.STALE)


class Fused(msgspec.Struct):
    """What became of the messages of best prices."""

    changed: int = 0
    """Said something new of the book."""
    known: int = 0
    """Said what the book said already, or something older."""
    unplaced: int = 0
    """Had no venue's time, or came while there was no book."""


def fuse(tape: Tape, target: Path, steps: Callable[[int], None] = lambda rows: None) -> Fused:
    """Write a tape with its best prices in its book, telling `steps` the rows so far; DataError when it has none."""
    if not tape.counts.get(Kind.BBO.name.lower(), 0):
        raise DataError(f"{tape.name}: holds no stream of best prices")
    found, done = Fused(), 0
    books = [_Book() for _ in tape.instruments]
    with TapeWriter(target, list(tape.instruments), source=f"fused from {tape.name}") as writer:
        writer.notes |= notes_of(tape)
        writer.notes["best prices in the book"] = tape.fingerprint
        if is_session(tape):
            writer.notes.setdefault(PIECE, tape.name)
        for columns in tape.chunks():
            values = array("q")
            for message in _messages(columns):
                for row in _fused(message, books, found):
                    values.extend(row)
            writer.add_columns(columns_of(values, columns.texts))
            done += columns.rows
            steps(done)
    return found


def _messages(columns: Columns) -> Iterator[list[_Row]]:
    """Yield the rows of each message of a book; others one by one."""
    message: list[_Row] = []
    for row in row_tuples(columns):
        message.append(row)
        if row[_KIND] not in _BOOK or row[_KIND] == Kind.STALE or row[_FLAGS] & LAST:
            yield message
            message = []
    if message:
        yield message


def _fused(message: list[_Row], books: Sequence[_Book], found: Fused) -> list[_Row]:
    kind = message[0][_KIND]
    if kind not in _BOOK:
        return message
    book = books[message[0][_PLACE]]
    if kind == Kind.SNAPSHOT:
        book.start(message)
    elif kind == Kind.STALE:
        book.is_whole = False
    elif kind == Kind.DELTA:
        return book.change(message)
    elif not book.is_whole or not message[0][_EVENT]:
        found.unplaced += 1
    else:
        changes = book.best(message)
        if changes:
            found.changed += 1
            return [*message, *changes]
        found.known += 1
    return message


class _Book:
    """Lots by price for each side, and when each level was last spoken of."""

    def __init__(self) -> None:
        self.is_whole = False
        self._lots: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._keys: dict[int, list[int]] = {1: [], -1: []}
        """Prices times their side, ascending: the best is last."""
        self._told: dict[tuple[int, int], int] = {}
        """By side and price, for what a message of best prices said."""
        self._best: dict[int, tuple[int, int]] = {1: (0, 0), -1: (0, 0)}
        """By side: when best prices were last told, and the price."""

    def start(self, message: Sequence[_Row]) -> None:
        self.is_whole = True
        self._lots = {side: {row[_PX]: row[_QTY] for row in message if row[_SIDE] == side} for side in (1, -1)}
        self._keys = {side: sorted(side * px for px in self._lots[side]) for side in (1, -1)}
        self._told.clear()
        self._best = {1: (0, 0), -1: (0, 0)}

    def change(self, message: list[_Row]) -> list[_Row]:
        """Take in a book frame; return its rows without those that say what is older than what is known."""
        if not self.is_whole:
            return message
        when = _when(message[0])
        kept = [row for row in message if row[_SIDE] and not self._is_old(row, when)]
        for row in kept:
            self._set(row[_SIDE], row[_PX], row[_QTY])
        if len(self._told) > _MANY:  # no later frame is older than this one
            self._told = {level: told_when for level, told_when in self._told.items() if told_when > when}
        return message if len(kept) == len(message) else _as_message(message[0], kept)

    def best(self, message: Sequence[_Row]) -> list[_Row]:
        """Take in best prices; return the rows of what they change."""
        when, rows = _when(message[0]), list[_Row]()
        for told in message:
            side, px, qty = told[_SIDE], told[_PX], told[_QTY]
            if not px or when < self._best[side][0] or self._told.get((side, px), 0) > when:
                continue
            self._best[side] = when, px
            keys = self._keys[side]
            gone = [side * key for key in keys[bisect_right(keys, side * px) :]]
            wanted = [(better, 0) for better in gone]
            if self._lots[side].get(px, 0) != qty:
                wanted.append((px, qty))
            for level, size in wanted:
                self._set(side, level, size)
                rows.append((told[_RECV], told[_EVENT], Kind.DELTA, 0, told[_PLACE], side, level, size, told[_AUX]))
            self._told[side, px] = when
            self._told.update(dict.fromkeys(((side, better) for better in gone), when))
        return _as_message(message[0], rows) if rows else []

    def _is_old(self, row: _Row, when: int) -> bool:
        side, px = row[_SIDE], row[_PX]
        at, best = self._best[side]
        return self._told.get((side, px), 0) > when or (at > when and (px - best) * side > 0)

    def _set(self, side: int, px: int, qty: int) -> None:
        lots, keys = self._lots[side], self._keys[side]
        if qty:
            if px not in lots:
                insort(keys, side * px)
            lots[px] = qty
        elif lots.pop(px, 0):
            del keys[bisect_left(keys, side * px)]


def _when(row: _Row) -> int:
    """A message's place in the order of the venue's words."""
    return row[_AUX] or row[_EVENT]


def _as_message(first: _Row, rows: Sequence[_Row]) -> list[_Row]:
    """Rows of one message, with its marks; one without levels still tells that the feed lives."""
    if not rows:
        return [(*first[:_KIND], Kind.DELTA, FIRST | LAST, first[_PLACE], 0, 0, 0, first[_AUX])]
    made = [(*row[:_FLAGS], 0, *row[_PLACE:]) for row in rows]
    made[0] = (*made[0][:_FLAGS], FIRST, *made[0][_PLACE:])
    made[-1] = (*made[-1][:_FLAGS], made[-1][_FLAGS] | LAST, *made[-1][_PLACE:])
    return made
