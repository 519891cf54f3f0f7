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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test of a fault that an adapter cannot have is no test of that adapter."""
    impossible = [item for item in items if not _can_happen(item)]
    config.hook.pytest_deselected(items=impossible)
    items[:] = [item for item in items if item not in impossible]


def _can_happen(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("gateway_fault")
    return mark is None or mark.args[0] in ADAPTERS[item.callspec.params["adapter"]].faults  # type: ignore[attr-defined]


@pytest.fixture(scope="session", params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    made: Adapter = ADAPTERS[request.param]()
    with made.running():
        yield made


@pytest.fixture
async def session(adapter: Adapter) -> AsyncIterator[Session]:
    async with adapter.session() as made:
        yield made
