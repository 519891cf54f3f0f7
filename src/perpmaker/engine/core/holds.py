"""Waiting after a failure, so that what the venue or the link refuses is not asked again at once (RELIABILITY I11)."""

from __future__ import annotations

from typing import Final

from perpmaker.model.ids import InstrumentId, StrategyId
from perpmaker.model.units import NS_PER_MS, NS_PER_S

CANCEL_FIRST_NS, CANCEL_MOST_NS = 100 * NS_PER_MS, 1 * NS_PER_S
CREATE_FIRST_NS, CREATE_MOST_NS = 500 * NS_PER_MS, 8 * NS_PER_S
SAME_FAILURE_NS: Final = 50 * NS_PER_MS
"""Failures of one request come together, one per order: they count once."""

Ladder = tuple[StrategyId, InstrumentId]


class Hold:
    """Doubles its wait with each failure in a row, up to a most; a success ends it."""

    def __init__(self, first_ns: int, most_ns: int) -> None:
        self._first_ns, self._most_ns = first_ns, most_ns
        self._failures: dict[Ladder, int] = {}
        self._failed_ns: dict[Ladder, int] = {}
        self._until_ns: dict[Ladder, int] = {}

    def failed(self, ladder: Ladder, now_ns: int) -> None:
        last_ns = self._failed_ns.get(ladder)
        if last_ns is None or now_ns - last_ns >= SAME_FAILURE_NS:
            failures = self._failures.get(ladder, 0)
            self._failures[ladder] = failures + 1
            self._failed_ns[ladder] = now_ns
            self._until_ns[ladder] = now_ns + min(self._first_ns << min(failures, 20), self._most_ns)

    def succeeded(self, ladder: Ladder) -> None:
        if ladder in self._failures:
            del self._failures[ladder], self._failed_ns[ladder], self._until_ns[ladder]

    def until_ns(self, ladder: Ladder, now_ns: int) -> int:
        """Return when to try again, 0 when that is now."""
        if not self._until_ns:
            return 0
        until_ns = self._until_ns.get(ladder, 0)
        return until_ns if until_ns > now_ns else 0
