"""Reconciliation's short way: who skips the work while nothing is in doubt finds and does what the thorough one does.

Three parts of its conditions are implied by others, so no story can miss them: that the time orders may rest until is still
to come (it is not before the timer, which is), that no order is in question (then they may not rest at all), and that a
revoked readiness ends the calm (it is reckoned anew right after).
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

from tests.property.execution.reconcile_story import LEAPS_MS, WEIGHTS, Story

from perpmaker.execution.findings import FindingKind, FreezeCause
from perpmaker.execution.reconcile import AccountReconciler
from perpmaker.model.commands import CancelAll, CancelOrders, QueryOrders, RequestSnapshot
from perpmaker.model.events import (
    CancelReceived,
    CancelSent,
    Fill,
    FundingPaid,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    OrderRetired,
    PositionAdjusted,
    PositionReport,
    SubmitRejected,
    SubmitUnknown,
)

STORIES: Final = 70
STEPS: Final = 40
LAST: Final = ("settle", "request", "wait")
"""What was kept to oneself comes out: how far back passes read, when the next one is due."""
TO_REACH: Final = (
    "an order waits for its acknowledgement", "an order ends", "a cancel is under way", "a cancel is received",
    "a fill is missing", "a fill is booked", "a pass is under way",
    *(f"short way: {kind.__name__}" for kind in (
        CancelReceived, CancelSent, Fill, FundingPaid, OrderNotSent, OrderPrepared, OrderReport, PositionReport,
        SubmitRejected, SubmitUnknown,
    )),
    *(kind.value for kind in FindingKind),
    *(cause.value for cause in FreezeCause if cause is not FreezeCause.POSITION),
    *(kind.__name__ for kind in (CancelAll, CancelOrders, QueryOrders, RequestSnapshot, OrderRetired, PositionAdjusted)),
)  # fmt: skip


class Thorough(AccountReconciler):
    """Never takes the short way."""

    @property
    def _calm_until_ns(self) -> int:
        return 0

    @_calm_until_ns.setter
    def _calm_until_ns(self, _: int) -> None:
        pass


def test_the_short_way_finds_and_does_what_the_thorough_one_does() -> None:
    reached: Counter[str] = Counter()  # what no story comes to, no story shows
    for seed in range(STORIES):
        short, thorough = stories = Story(AccountReconciler), Story(Thorough)
        random = Random(seed)
        for story in stories:
            story.begin(crashed=seed % 2 == 1)
        told = random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS)
        for number, action in enumerate([*told, *LAST]):
            pick = random.randrange(len(LEAPS_MS))
            for story in stories:
                story.act(action, pick)
            assert short.news() == thorough.news(), f"story {seed}, step {number}: {action} {pick}"
        assert not thorough.skipped
        reached.update(short.skipped)
        reached.update(short.said)
    assert {case: reached[case] for case in TO_REACH if reached[case] < 5} == {}
