"""Rows in time order, bounded, read in pages from the newest back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from perpmaker.exchange.core.types import Page

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
        return self._dropped + len(self._rows)

    def append(self, row: Row) -> list[Row]:
        """Add the newest row; return those dropped for it (in batches, so that dropping is cheap)."""
        self._rows.append(row)
        surplus = len(self._rows) - self._keep
        if surplus <= self._keep // 10:
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
        index = len(self._rows) if before is None else min(before - self._dropped, len(self._rows))
        while index > 0:
            row = self._rows[index - 1]
            time_ns = self._time_ns(row)
            if time_ns < start_ns:
                break
            if (end_ns is None or time_ns <= end_ns) and (wanted is None or wanted(row)):
                if len(found) == limit:
                    return Page(tuple(found), self._dropped + index)
                found.append(row)
            index -= 1
        return Page(tuple(found), None)
