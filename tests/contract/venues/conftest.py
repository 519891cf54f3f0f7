"""Every adapter, one running venue each, and a session per test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from .adapters import Adapter, Session
from .backpack_adapter import BackpackAdapter
from .grvt_adapter import GrvtAdapter, GrvtLiteAdapter
from .simulated_adapter import SimulatedAdapter

ADAPTERS = {
    "ccxt_backpack": BackpackAdapter,
    "grvt": GrvtAdapter,
    "grvt_lite": GrvtLiteAdapter,
    "simulated": SimulatedAdapter,
}


@pytest.fixture(scope="session", params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    made: Adapter = ADAPTERS[request.param]()
    with made.running():
        yield made


@pytest.fixture
async def session(adapter: Adapter) -> AsyncIterator[Session]:
    async with adapter.session() as made:
        yield made
