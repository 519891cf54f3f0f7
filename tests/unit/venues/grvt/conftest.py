"""What the tests of the GRVT client share: a scripted venue and a client session that may talk to it alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from perpmaker.clock import WallClock
from perpmaker.venues.grvt.rest import allow_list
from perpmaker.venues.transport.http import open_http

from .fake_venue import FakeVenue


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    fake = FakeVenue()
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def http(venue: FakeVenue) -> AsyncIterator[aiohttp.ClientSession]:
    session = open_http(allow_list(venue.environment), total_s=5.0)
    yield session
    await session.close()


@pytest.fixture
def clock() -> WallClock:
    return WallClock()
