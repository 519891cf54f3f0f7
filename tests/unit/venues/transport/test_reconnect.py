"""One attempt at a time, back-off in between, and a cap on attempts that reached the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from perpmaker.clock import ManualClock
from perpmaker.errors import AuthError, InvariantError, VenueError, VenueUnavailable
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.transport.backoff import AttemptCap, FullJitter
from perpmaker.venues.transport.link import NotReached
from perpmaker.venues.transport.reconnect import keep_up


class Script:
    """Serves as told: each entry is (seconds the link lives, how it ends); after the last one it stops the test."""

    def __init__(self, clock: ManualClock, entries: list[tuple[float, Exception]]) -> None:
        self.clock = clock
        self.entries = entries
        self.began: list[int] = []
        self.reasons: list[VenueError] = []
        self.active = 0

    async def serve(self) -> None:
        self.active += 1
        assert self.active == 1
        self.began.append(self.clock.now_ns())
        if len(self.began) > len(self.entries):
            raise asyncio.CancelledError
        lived_s, error = self.entries[len(self.began) - 1]
        await asyncio.sleep(0)
        self.clock.advance(int(lived_s * NS_PER_S))
        self.active -= 1
        raise error

    def ended(self, reason: VenueError) -> None:
        self.reasons.append(reason)


async def run(
    entries: list[tuple[float, Exception]],
    cap: AttemptCap | None = None,
    watch: Callable[[float], None] = lambda _: None,
) -> Script:
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        watch(seconds)
        clock.advance(int(seconds * NS_PER_S))

    script = Script(clock, entries)
    with pytest.raises(asyncio.CancelledError):
        await keep_up(
            script,
            clock=clock,
            backoff=FullJitter(base_s=0.25, cap_s=4.0, seed=5),
            cap=cap or AttemptCap(limit=1000, window_s=60.0),
            sleep=sleep,
        )
    return script


async def test_every_end_is_told_with_its_reason() -> None:
    broken, refused, absent = VenueUnavailable("cut"), AuthError("no"), NotReached("nobody")
    script = await run([(1, broken), (1, refused), (0, absent)])
    assert script.reasons == [broken, refused, absent]


async def test_six_reached_attempts_a_minute_and_no_more() -> None:
    script = await run([(0.1, VenueUnavailable("cut"))] * 40, AttemptCap(limit=6, window_s=60.0))
    for start in script.began:
        assert sum(start <= at < start + 60 * NS_PER_S for at in script.began) <= 6


async def test_attempts_that_nobody_answered_do_not_use_up_the_cap() -> None:
    cap = AttemptCap(limit=6, window_s=60.0)
    script = await run([(0, NotReached("down"))] * 30, cap)
    gaps = [later - earlier for earlier, later in zip(script.began, script.began[1:], strict=False)]
    assert max(gaps) <= 4 * NS_PER_S
    assert cap.recent == ()


async def test_the_wait_grows_while_it_fails_and_starts_anew_after_a_stable_link() -> None:
    waits: list[float] = []
    await run(
        [(0, NotReached("down"))] * 12 + [(60, VenueUnavailable("cut")), (0, NotReached("down"))], watch=waits.append
    )
    backoffs = waits[1::2]
    assert max(backoffs[:12]) > 1.0
    assert backoffs[12] <= 0.25


async def test_what_is_not_the_venues_fault_is_not_swallowed() -> None:
    clock = ManualClock()
    script = Script(clock, [(0, InvariantError("ours"))])
    with pytest.raises(InvariantError):
        await keep_up(
            script,
            clock=clock,
            backoff=FullJitter(base_s=0.25, cap_s=4.0, seed=5),
            cap=AttemptCap(limit=6, window_s=60.0),
        )
