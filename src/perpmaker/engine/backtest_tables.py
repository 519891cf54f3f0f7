"""What a backtest leaves behind: tables of integers, small in memory, equal to the last bit in every process.

Money and prices stand in nanos (1e-9 units), quantities too, times in nanoseconds; texts are numbers into a list. So a hash
of a result is one over integers, and a day of 20 instruments fits into memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import chain
from typing import Final

NANO: Final = Decimal("0.000000001")
NONE: Final = -(1 << 63)
"""Stands for "there is none"."""
_BLOCK_LOG2: Final = 13
_BLOCK: Final = 1 << _BLOCK_LOG2
"""Rows of a column that lie in one piece."""


def nano(value: Decimal | None) -> int:
    """Return an amount in nanos, rounded half to even."""
    if value is None:
        return NONE
    return int((value / NANO).to_integral_value(ROUND_HALF_EVEN))


class Texts:
    """Texts as numbers, in the order they were first seen."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found


class Column:
    """64-bit integers in blocks of one length, which stay where they are.

    One array that grows is moved again and again, and leaves holes: beside the tables of a simulated day of four
    instruments, 57 MB, they came to 20 MB (docs/reference/benchmarks.md).
    """

    __slots__ = ("blocks",)

    def __init__(self) -> None:
        self.blocks: list[array[int]] = [array("q")]

    def __getitem__(self, row: int) -> int:
        return self.blocks[row >> _BLOCK_LOG2][row & _BLOCK - 1]

    def __setitem__(self, row: int, value: int) -> None:
        self.blocks[row >> _BLOCK_LOG2][row & _BLOCK - 1] = value

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self.blocks)

    def __len__(self) -> int:
        return _BLOCK * (len(self.blocks) - 1) + len(self.blocks[-1])

    def whole(self) -> array[int]:
        """Return it in one piece: a copy, for as long as somebody reckons with it."""
        return array("q", b"".join(self.blocks))


class Table:
    """Named columns of 64-bit integers; those in `texts` are numbers into the result's texts, those in `nanos` amounts."""

    def __init__(self, columns: Sequence[str], texts: Sequence[str] = (), nanos: Sequence[str] = ()) -> None:
        self.columns: dict[str, Column] = {name: Column() for name in columns}
        self.texts = frozenset(texts)
        self.nanos = frozenset(nanos)
        self._appends = [column.blocks[0].append for column in self.columns.values()]
        self._rows = 0

    def add(self, *values: int) -> int:
        """Add a row; returns its place."""
        row = self._rows
        if row and not row % _BLOCK:
            self._begin_blocks()
        for append, value in zip(self._appends, values, strict=True):
            append(value)
        self._rows += 1
        return row

    def _begin_blocks(self) -> None:
        for column in self.columns.values():
            column.blocks.append(array("q"))
        self._appends = [column.blocks[-1].append for column in self.columns.values()]

    def __getitem__(self, column: str) -> Column:
        return self.columns[column]

    def __len__(self) -> int:
        return self._rows


def digest(tables: Mapping[str, Table], texts: Iterable[str]) -> str:
    """Return a hash over the integers of all tables, and over the texts they number."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(tables):
        for column, values in tables[name].columns.items():
            state.update(f"{name}.{column} {len(values)}\n".encode())
            for block in values.blocks:
                state.update(_little_endian(block))
    state.update("\n".join(texts).encode())
    return state.hexdigest()


def _little_endian(values: array[int]) -> bytes:
    if array("H", [1]).tobytes() == b"\x01\x00":
        return values.tobytes()
    swapped = array("q", values)
    swapped.byteswap()
    return swapped.tobytes()
