from __future__ import annotations

import asyncio

import pytest
from tests.unit.engine.rig import START_NS

from perpmaker.clock import ManualClock
from perpmaker.engine import rehearsal
from perpmaker.engine.rehearsal import Rehearsal


def test_each_walk_goes_from_a_frame_to_a_signed_order() -> None:
    practised = Rehearsal(ManualClock(START_NS))
    signed = practised.signed
    for _ in range(300):
        practised.walk()
    assert practised.signed == signed + 300


def test_a_new_engine_is_made_before_the_ids_of_one_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_RENEW_EVERY", 10)
    practised = Rehearsal(ManualClock(START_NS))
    signed = practised.signed
    for _ in range(50):
        practised.walk()
    assert practised.signed == signed + 50


async def test_it_walks_in_the_quiet_alone() -> None:
    practised = Rehearsal(ManualClock(START_NS))
    happened = 0

    def busy() -> int:
        nonlocal happened
        happened += 1
        return happened

    walks = practised.walks
    practised.begin(asyncio.get_running_loop(), 0.0, busy)
    for _ in range(20):
        await asyncio.sleep(0)
    practised.end()
    assert practised.walks == walks
    practised.begin(asyncio.get_running_loop(), 0.0, lambda: 0)
    for _ in range(1000):
        if practised.walks >= walks + 3:
            break
        await asyncio.sleep(0)
    practised.end()
    assert practised.walks >= walks + 3
    stopped_at = practised.walks
    for _ in range(20):
        await asyncio.sleep(0)
    assert practised.walks == stopped_at
