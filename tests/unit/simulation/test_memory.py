"""What a simulated account keeps of its past."""

from __future__ import annotations

from perpmaker.model.events import AccountSnapshot
from perpmaker.simulation.account import KEPT_NS

from .lab import BUY, MAIN, SELL, START_NS, Lab

HOUR_MS = 3_600_000
FOREVER = START_NS + 1_000 * HOUR_MS * 1_000_000
KEPT_H = KEPT_NS // (HOUR_MS * 1_000_000)


def _told_fills(lab: Lab, ms: float) -> list[int]:
    """Read the account, all that it still has; returns the venue's hour of each fill."""
    lab.to(ms)
    lab.venue.request_snapshot(MAIN, 0, lab.now_ns)
    lab.to(ms + 50)
    snapshot: AccountSnapshot = lab.of(AccountSnapshot)[-1]
    return [(fill.ts_event_ns - START_NS) // (HOUR_MS * 1_000_000) for fill in snapshot.fills]


def test_fills_are_kept_for_some_hours_before_the_newest_and_the_newest_for_ever() -> None:
    lab = Lab()
    lab.book(0, {100: 1000}, {101: 1000})
    for hour in range(KEPT_H + 4):
        lab.take(hour * HOUR_MS + 1000, (BUY, SELL)[hour % 2], None, 1, expire_ns=FOREVER)
    newest = KEPT_H + 3
    assert _told_fills(lab, newest * HOUR_MS + 2000) == list(range(newest - KEPT_H, newest + 1))
    assert _told_fills(lab, 10 * newest * HOUR_MS) == list(range(newest - KEPT_H, newest + 1))
