"""What a backtest leaves behind: tables of integers, small in memory, equal to the last bit in every process.

Money and prices stand in nanos (1e-9 units), quantities too, times in nanoseconds; texts are numbers into a list. So a hash
of a result is one over integers, and a day of 20 instruments fits into memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

NANO: Final = Decimal("0.000000001")
NONE: Final = -(1 << 63)
"""Stands for "there is none"."""


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


class Table:
    """Named columns of 64-bit integers; those in `texts` are numbers into the result's texts, those in `nanos` amounts."""

    def __init__(self, columns: Sequence[str], texts: Sequence[str] = (), nanos: Sequence[str] = ()) -> None:
        self.columns: dict[str, array[int]] = {name: array("q") for name in columns}
        self.texts = frozenset(texts)
        self.nanos = frozenset(nanos)
        self._appends = [column.append for column in self.columns.values()]
        self._rows = 0

    def add(self, *values: int) -> int:
        """Add a row; returns its place."""
        for append, value in zip(self._appends, values, strict=True):
            append(value)
        self._rows += 1
        return self._rows - 1

    def __getitem__(self, column: str) -> array[int]:
        return self.columns[column]

    def __len__(self) -> int:
        return self._rows


def digest(tables: Mapping[str, Table], texts: Iterable[str]) -> str:
    """Return a hash over the integers of all tables, and over the texts they number."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(tables):
        for column, values in tables[name].columns.items():
            state.update(f"{name}.{column} {len(values)}\n".encode())
            state.update(_little_endian(values))
    state.update("\n".join(texts).encode())
    return state.hexdigest()


def _little_endian(values: array[int]) -> bytes:
    if array("H", [1]).tobytes() == b"\x01\x00":
        return values.tobytes()
    swapped = array("q", values)
    swapped.byteswap()
    return swapped.tobytes()
