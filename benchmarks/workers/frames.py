"""The recorded book as the texts a socket carries. Standard library alone: every environment reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SELECTOR = "BTC_USDT_Perp@50"
START_NS = 1_700_000_000_000_000_000
"""Venue time of the whole book; the changes follow within milliseconds."""


class Frames:
    """What `recorded_frames.record` wrote."""

    def __init__(self, path: Path | str) -> None:
        read = json.loads(Path(path).read_text())
        self.touch: list[str] = read["touch"]
        """Best bid and ask after the last change."""
        self._snapshot = _compact(read["snapshot"])
        self._deltas = [_compact(feed) for feed in read["deltas"]]

    def __len__(self) -> int:
        return len(self._deltas)

    def whole(self) -> bytes:
        """The whole book, numbered 0 as a snapshot is."""
        return _frame(0, self._snapshot)

    def changes(self, first: int) -> list[bytes]:
        """All changes, numbered from `first` on."""
        return [_frame(first + at, feed) for at, feed in enumerate(self._deltas)]


def _compact(feed: dict[str, Any]) -> str:
    return json.dumps(feed, separators=(",", ":"))


def _frame(number: int, feed: str) -> bytes:
    previous = max(0, number - 1)
    head = f'{{"stream":"v1.book.d","selector":"{SELECTOR}","sequence_number":"{number}","feed":'
    return f'{head}{feed},"prev_sequence_number":"{previous}"}}'.encode()
