"""Timers on an event loop: once, at their time or later, and never with a time that the clock has not shown yet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perpmaker.clock import ManualClock
from perpmaker.engine.timers import EARLY_NS, LoopTimers
from perpmaker.model.events import Timer
from perpmaker.model.units import NS_PER_MS, NS_PER_S


class HandTurned:
    """A loop whose calls the test makes itself, as early or as late as it likes."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Any, tuple[Any, ...]]] = []

    def call_later(self, delay_s: float, act: Any, *arguments: Any) -> HandTurned:
        self.calls.append((delay_s, act, arguments))
        return self

    def cancel(self) -> None:
        self.calls.clear()

    def fire(self) -> None:
        _, act, arguments = self.calls.pop()
        act(*arguments)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> HandTurned:
    turned = HandTurned()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: turned)
    return turned


def test_a_loop_that_is_early_waits_on_so_that_no_event_is_ahead_of_the_clock(loop: HandTurned) -> None:
    """An event ahead of the clock makes a read of the account look older than the question: "no answer in time"."""
    clock, told = ManualClock(), list[Timer]()
    timers = LoopTimers(clock, told.append)
    at_ns = clock.now_ns() + NS_PER_S
    timers.set("pass", at_ns)
    clock.advance(NS_PER_S - NS_PER_MS)
    loop.fire()
    assert told == []
    clock.advance(NS_PER_MS)
    loop.fire()
    assert told == [Timer("pass", at_ns)]
    assert len(timers) == 0


def test_a_clock_that_was_set_back_does_not_hold_a_timer_up(loop: HandTurned) -> None:
    clock, told = ManualClock(), list[Timer]()
    timers = LoopTimers(clock, told.append)
    timers.set("pass", clock.now_ns() + NS_PER_S + 2 * EARLY_NS)
    clock.advance(NS_PER_S)
    loop.fire()
    assert told == [Timer("pass", clock.now_ns())]


def test_a_key_set_again_moves(loop: HandTurned) -> None:
    clock, told = ManualClock(), list[Timer]()
    timers = LoopTimers(clock, told.append)
    timers.set("pass", clock.now_ns() + NS_PER_S)
    timers.set("pass", clock.now_ns() + 2 * NS_PER_S)
    assert [delay_s for delay_s, _, _ in loop.calls] == [2.0]
    clock.advance(3 * NS_PER_S)
    loop.fire()
    assert told == [Timer("pass", clock.now_ns())]


def test_none_is_delivered_after_the_stop(loop: HandTurned) -> None:
    clock, told = ManualClock(), list[Timer]()
    timers = LoopTimers(clock, told.append)
    timers.set("pass", clock.now_ns())
    timers.stop()
    assert loop.calls == []
    assert told == []
