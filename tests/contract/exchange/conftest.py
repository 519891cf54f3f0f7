"""A running exchange on loopback sockets, in this process, and clients logged in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from perpmaker.clock import WallClock
from perpmaker.exchange.server import Exchange, ExchangeOptions

from .backpack_client import BackpackClient
from .client import Client


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    running = Exchange(ExchangeOptions(port=0), WallClock())
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def stranger(exchange: Exchange, http: aiohttp.ClientSession) -> Client:
    """A client that has not logged in."""
    return Client(http, exchange.ready_line())


@pytest.fixture
async def client(stranger: Client) -> Client:
    await stranger.log_in()
    return stranger


@pytest.fixture
async def other(exchange: Exchange, http: aiohttp.ClientSession) -> Client:
    """The second account, another owner's."""
    second = Client(http, exchange.ready_line(), 1)
    await second.log_in()
    return second


@pytest.fixture
async def both_venues() -> AsyncIterator[Exchange]:
    """An exchange that is GRVT and Backpack."""
    running = Exchange(ExchangeOptions(port=0, venues=("grvt", "backpack")), WallClock())
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def pair(both_venues: Exchange, http: aiohttp.ClientSession) -> BackpackClient:
    """The first account of the second venue."""
    return BackpackClient(http, both_venues.ready_line())


@pytest.fixture
def other_pair(both_venues: Exchange, http: aiohttp.ClientSession) -> BackpackClient:
    """The second account, another owner's."""
    return BackpackClient(http, both_venues.ready_line(), 1)
