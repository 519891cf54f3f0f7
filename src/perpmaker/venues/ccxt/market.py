"""What a market asks of the feed it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from perpmaker.clock import Clock
from perpmaker.model.events import Event
from perpmaker.venues.api import Timings
from perpmaker.venues.candles import BarAssembler
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import Quirks


class MarketOwner(Protocol):
    """The feed, seen by one of its markets."""

    @property
    def client(self) -> Any: ...
    @property
    def quirks(self) -> Quirks: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def timings(self) -> Timings: ...
    @property
    def stale_ns(self) -> int: ...
    def emit(self, event: Event) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...
    async def ask(self, method: str, *arguments: Any) -> Any:
        """Read something over REST; raises VenueError."""
        ...

    async def send(self, message: Any) -> None:
        """Send on the stream's socket; raises VenueUnavailable."""
        ...

    def link_is_silent(self, why: str) -> None:
        """The link does not tell what it should: begin it anew."""
        ...

    def warm(self, listed: Listed, bars: BarAssembler) -> None:
        """Read the bars before, and hand them over."""
        ...
