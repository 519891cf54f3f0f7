"""Rows in time order, bounded, read in pages from the newest back."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from perpmaker.exchange.core.types import Page

BLOCK: Final = 128
"""Rows that are written out, or packed, at once."""

Row = TypeVar("Row")


class History(Generic[Row]):
    """Keeps the last `keep` rows; a row's number never changes, so a page's cursor survives new and dropped rows."""

    def __init__(self, keep: int, time_ns: Callable[[Row], int]) -> None:
        self._keep = keep
        self._time_ns = time_ns
        self._rows: list[Row] = []
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        """Oldest first."""
        return iter(self._rows)

    @property
    def total(self) -> int:
        """Rows ever appended."""
        return self._dropped + len(self)

    def append(self, row: Row) -> list[Row]:
        """Add the newest row; return those dropped for it (in batches, so that dropping is cheap)."""
        self._rows.append(row)
        surplus = len(self._rows) - self._keep
        if surplus <= self._keep // 20:
            return []
        dropped = self._rows[:surplus]
        del self._rows[:surplus]
        self._dropped += surplus
        return dropped

    def load(self, rows: Sequence[Row], *, dropped: int = 0) -> None:
        """Take over rows kept elsewhere, `dropped` of them gone before the first."""
        self._rows = list(rows)
        self._dropped = dropped

    def latest(self, limit: int) -> list[Row]:
        """Newest first."""
        return self._rows[: -limit - 1 : -1]

    def blocks(self) -> Iterator[list[Row]]:
        """All rows as they are now, oldest first, some at a time; what is appended meanwhile is left out."""
        rows = self._rows[:]
        return (rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK))

    def page(
        self,
        *,
        start_ns: int = 0,
        end_ns: int | None = None,
        before: int | None = None,
        limit: int = 500,
        wanted: Callable[[Row], bool] | None = None,
    ) -> Page[Row]:
        """Rows of start <= time <= end and number < `before`, newest first."""
        found: list[Row] = []
        for number, row in self._backwards(self.total if before is None else min(before, self.total), end_ns):
            time_ns = self._time_ns(row)
            if time_ns < start_ns:
                break
            if (end_ns is None or time_ns <= end_ns) and (wanted is None or wanted(row)):
                if len(found) == limit:
                    return Page(tuple(found), number + 1)
                found.append(row)
        return Page(tuple(found), None)

    def _backwards(self, before: int, end_ns: int | None) -> Iterator[tuple[int, Row]]:
        """Rows and their numbers below `before`, newest first; those after `end_ns` may be left out."""
        for index in range(before - self._dropped - 1, -1, -1):
            yield self._dropped + index, self._rows[index]


class _Block(msgspec.Struct, frozen=True):
    """`BLOCK` rows, packed."""

    first_ns: int
    packed: bytes


class PackedHistory(History[Row]):
    """A long history that is seldom read: all but the newest rows are packed, a block at a time.

    A fill takes 60 to 80 bytes instead of 600, and 20 us to read. Rows are dropped by whole blocks.
    """

    def __init__(self, kind: type[Row], keep: int, time_ns: Callable[[Row], int]) -> None:
        super().__init__(keep, time_ns)
        self._decoder = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
        self._blocks: list[_Block] = []

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        for rows in self.blocks():
            yield from rows

    def append(self, row: Row) -> list[Row]:
        self._rows.append(row)
        if len(self._rows) < 2 * BLOCK:
            return []
        self._pack(self._rows[:BLOCK])
        del self._rows[:BLOCK]
        surplus = min((len(self) - self._keep) // BLOCK, len(self._blocks))
        if surplus <= 0:
            return []
        dropped = [row for block in self._blocks[:surplus] for row in self._rows_of(block)]
        del self._blocks[:surplus]
        self._dropped += surplus * BLOCK
        return dropped

    def load(self, rows: Sequence[Row], *, dropped: int = 0) -> None:
        self._dropped = dropped
        self._blocks.clear()
        whole = max(0, len(rows) // BLOCK - 1) * BLOCK
        for first in range(0, whole, BLOCK):
            self._pack(rows[first : first + BLOCK])
        self._rows = list(rows[whole:])

    def latest(self, limit: int) -> list[Row]:
        return list(self.page(limit=limit).rows)

    def blocks(self) -> Iterator[list[Row]]:
        packed, fresh = self._blocks[:], super().blocks()

        def each() -> Iterator[list[Row]]:
            for block in packed:
                yield self._rows_of(block)
            yield from fresh

        return each()

    def _backwards(self, before: int, end_ns: int | None) -> Iterator[tuple[int, Row]]:
        packed = self._dropped + BLOCK * len(self._blocks)
        for index in range(before - packed - 1, -1, -1):
            yield packed + index, self._rows[index]
        latest = len(self._blocks)
        if end_ns is not None:
            latest = bisect_right(self._blocks, end_ns, key=lambda block: block.first_ns)
        latest = min(latest, -(-(before - self._dropped) // BLOCK))
        for place in range(latest - 1, -1, -1):
            first = self._dropped + BLOCK * place
            rows = self._rows_of(self._blocks[place])
            for index in range(min(BLOCK, before - first) - 1, -1, -1):
                yield first + index, rows[index]

    def _pack(self, rows: Sequence[Row]) -> None:
        self._blocks.append(_Block(self._time_ns(rows[0]), zlib.compress(msgspec.json.encode(rows))))

    def _rows_of(self, block: _Block) -> list[Row]:
        rows: list[Row] = self._decoder.decode(zlib.decompress(block.packed))
        return rows
