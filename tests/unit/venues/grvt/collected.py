"""A sink that remembers, and that a test can wait on without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from perpmaker.model.events import Event

PATIENCE_S = 30.0
"""How long is waited for what has to come about, on a machine that other tests keep busy."""
E = TypeVar("E")


class Collected:
    """Every event, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    async def first(
        self, kind: type[E], test: Callable[[E], bool] = lambda _: True, *, timeout_s: float = PATIENCE_S
    ) -> E:
        """Return the first event of a kind that passes, now or as soon as it comes."""
        return (await self.some(kind, 1, test, timeout_s=timeout_s))[0]

    async def some(
        self, kind: type[E], count: int, test: Callable[[E], bool] = lambda _: True, *, timeout_s: float = PATIENCE_S
    ) -> list[E]:
        async with asyncio.timeout(timeout_s):
            while len(found := [event for event in self.of(kind) if test(event)]) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[:count]

    def forget(self) -> None:
        self.events.clear()


async def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (what is waited for happens on the other side of a socket)
            await asyncio.sleep(0.01)
