"""A stack per test: an exchange that is up, a home for an engine, and the oracle that judges both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.chaos.harness import Stack, makers
from tests.chaos.oracle import Oracle

OpenStack = Callable[..., Stack]


@pytest.fixture
def open_stack(tmp_path: Path) -> Iterator[OpenStack]:
    """Make a stack with a running exchange that keeps its state; everything is ended after the test."""
    stacks: list[Stack] = []

    def open_one(config: str = "", *options: str, seed: int = 1) -> Stack:
        home = tmp_path / f"home{len(stacks)}"
        state = ("--state", str(home / "exchange"))
        stacks.append(Stack(home, config or makers(), exchange_options=(*state, *options), seed=seed))
        stacks[-1].start_exchange()
        return stacks[-1]

    yield open_one
    for stack in stacks:
        stack.close()


@pytest.fixture
def stack(open_stack: OpenStack) -> Stack:
    """The usual stack: three eager makers on the simulated market."""
    return open_stack()


@pytest.fixture
def oracle(stack: Stack) -> Oracle:
    return Oracle(stack)
