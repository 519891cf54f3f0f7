"""Keeps one link up: one attempt at a time, full-jitter back-off in between, a cap on those that reach the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from perpmaker.clock import Clock
from perpmaker.errors import VenueError, VenueUnavailable
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.transport.backoff import AttemptCap, FullJitter
from perpmaker.venues.transport.link import NotReached

STABLE_S: Final = 5.0
"""A link that lived this long was a success: the next failure starts the back-off anew."""

Sleep = Callable[[float], Awaitable[None]]


class Served(Protocol):
    """What is kept up."""

    async def serve(self) -> None:
        """Connect and work until the link ends; always ends by raising a VenueError that says why."""
        ...

    def ended(self, reason: VenueError) -> None:
        """The link, or the attempt at it, is over; the next one follows by itself."""
        ...


async def keep_up(
    served: Served,
    *,
    clock: Clock,
    backoff: FullJitter,
    cap: AttemptCap,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Serve, again and again, until cancelled.

    An attempt that nobody answered (NotReached) does not count against the cap: it cost the venue nothing, and after an
    outage the way back must not wait for a window of such attempts to pass.
    """
    while True:
        await sleep(cap.wait_s(clock.now_ns()))
        began_ns = clock.monotonic_ns()
        began_wall_ns = clock.now_ns()
        reached = True
        try:
            await served.serve()
            reason: VenueError = VenueUnavailable("the link ended without a reason")
        except NotReached as error:
            reached = False
            reason = error
        except VenueError as error:
            reason = error
        if reached:
            cap.note(began_wall_ns)
            if clock.monotonic_ns() - began_ns >= STABLE_S * NS_PER_S:
                backoff.reset()
        served.ended(reason)
        await sleep(backoff.next_s())
