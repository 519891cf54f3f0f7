"""The newest picture of the engine, and the part of it that a browser does not have yet.

One picture serves every browser: a browser is only the number of the version it has seen, so a slow one costs no memory
and gets the newest state when it is ready, never a queue of old ones. Parts are encoded once and shared by all browsers
at the same version. Pure: no clock, no sockets.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from perpmaker.control.messages import CandleRow, Frame, Status

MAX_CANDLES: Final = 1500
"""Kept for each instrument."""
MAX_FILLS: Final = 2000
MAX_EQUITY: Final = 3600
MAX_LOGS: Final = 3000
FULL_EQUITY: Final = 1000
"""Points of the equity curve in a full part, taken evenly from those kept."""
FULL_LOGS: Final = 300
"""Log lines of a full part; earlier ones are read by a request of their own when somebody looks at them."""
MAX_LOG_CHARACTERS: Final = 2000
_KEPT_PARTS: Final = 16

_encode: Final = msgspec.json.Encoder().encode


class Part(msgspec.Struct, frozen=True):
    """What changed after some version, as JSON. A `full` one replaces everything the page knew."""

    full: bool
    status: dict[str, msgspec.Raw]
    books: dict[str, msgspec.Raw]
    candles: dict[str, list[msgspec.Raw]]
    fills: list[msgspec.Raw]
    equity: list[msgspec.Raw]
    logs: list[msgspec.Raw]


class _Rows:
    """Rows in the order they came, each with the version it came with; the oldest are let go."""

    def __init__(self, capacity: int) -> None:
        self._rows: deque[tuple[int, msgspec.Raw]] = deque(maxlen=capacity)
        self.forgotten = 0
        """The newest version of which a row was let go: who has seen less needs a full part."""

    def add(self, version: int, row: Any) -> None:
        if len(self._rows) == self._rows.maxlen:
            self.forgotten = self._rows[0][0]
        self._rows.append((version, msgspec.Raw(_encode(row))))

    def after(self, version: int) -> list[msgspec.Raw]:
        newer: list[msgspec.Raw] = []
        for row_version, row in reversed(self._rows):
            if row_version <= version:
                break
            newer.append(row)
        newer.reverse()
        return newer

    def last(self, count: int) -> list[msgspec.Raw]:
        return [row for _, row in self._rows][-count:]

    def thinned(self, count: int) -> list[msgspec.Raw]:
        """Return about `count` rows, evenly spaced, the newest among them."""
        step = -(-len(self._rows) // count) or 1
        return [row for _, row in self._rows][::-step][::-1]


class _Candles:
    """One instrument's candles by opening time, each with the version it last changed with."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[int, msgspec.Raw]] = {}
        self._changed = 0

    def update(self, version: int, candles: list[CandleRow]) -> None:
        for candle in candles:
            self._rows[candle.open_s] = (version, msgspec.Raw(_encode(candle)))
            self._changed = version
        while len(self._rows) > MAX_CANDLES:
            del self._rows[next(iter(self._rows))]

    def after(self, version: int) -> list[msgspec.Raw]:
        if self._changed <= version:
            return []
        return [row for row_version, row in self._rows.values() if row_version > version]


class Hub:
    """Holds the picture. `version` counts the engine frames applied; `status` is None until the first one."""

    def __init__(self) -> None:
        self.version = 0
        self.status: Status | None = None
        self._clear()
        self._parts: dict[int, tuple[bool, bytes]] = {}

    def _clear(self) -> None:
        self._began = self.version
        self._fields: dict[str, tuple[int, bytes]] = {}
        self._books: dict[str, tuple[int, bytes]] = {}
        self._candles: dict[str, _Candles] = {}
        self._fills, self._equity, self._logs = _Rows(MAX_FILLS), _Rows(MAX_EQUITY), _Rows(MAX_LOGS)

    def apply(self, frame: Frame) -> None:
        """Take a frame in: a full one replaces the picture, another one adds to it."""
        self.version += 1
        self._parts.clear()
        if frame.full:
            self._clear()
        version = self.version
        self.status = frame.status
        for name in Status.__struct_fields__:
            _put(self._fields, name, version, _encode(getattr(frame.status, name)))
        for instrument, book in frame.books.items():
            _put(self._books, instrument, version, _encode(book))
        for instrument, candles in frame.candles.items():
            self._candles.setdefault(instrument, _Candles()).update(version, candles)
        for fill in frame.fills:
            self._fills.add(version, fill)
        for point in frame.equity:
            self._equity.add(version, point)
        for line in frame.logs:
            self._logs.add(version, {"number": line.number, "text": line.text[:MAX_LOG_CHARACTERS]})

    def part(self, seen: int | None) -> tuple[bool, bytes]:
        """Return whether it is full, and the JSON of what came after version `seen` (None: nothing was seen)."""
        base = -1 if seen is None or self._needs_full(seen) else seen
        known = self._parts.get(base)
        if known is None:
            known = (base < 0, _encode(self._build(base)))
            if len(self._parts) < _KEPT_PARTS:
                self._parts[base] = known
        return known

    def logs(self) -> list[msgspec.Raw]:
        """Return the kept log lines, oldest first."""
        return self._logs.last(MAX_LOGS)

    def _needs_full(self, seen: int) -> bool:
        forgotten = max(rows.forgotten for rows in (self._fills, self._equity, self._logs))
        return seen < self._began or seen < forgotten

    def _build(self, base: int) -> Part:
        full = base < 0
        candles = {instrument: rows.after(base) for instrument, rows in self._candles.items()}
        return Part(
            full=full,
            status={name: msgspec.Raw(value) for name, (version, value) in self._fields.items() if version > base},
            books={name: msgspec.Raw(value) for name, (version, value) in self._books.items() if version > base},
            candles={instrument: rows for instrument, rows in candles.items() if rows or full},
            fills=self._fills.after(base),
            equity=self._equity.thinned(FULL_EQUITY) if full else self._equity.after(base),
            logs=self._logs.last(FULL_LOGS) if full else self._logs.after(base),
        )


def _put(known: dict[str, tuple[int, bytes]], name: str, version: int, value: bytes) -> None:
    """Set a value; its version moves only when it differs."""
    old = known.get(name)
    if old is None or old[1] != value:
        known[name] = (version, value)
