"""A practice exchange and an engine with one market maker, as `perpmaker run` starts it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.chaos.harness import Stack, makers, until

from perpmaker.control.client import EngineUnreachable

READY_S = 60.0


@contextmanager
def one_maker(home: Path, *, names: tuple[str, ...] = ("btc",), seed: int = 1) -> Iterator[Stack]:
    """Return a stack whose exchange serves; the engine is not started yet. Everything ends with the context."""
    with closing(Stack(home, makers(names), exchange_options=("--accounts", "4"), seed=seed)) as stack:
        stack.start_exchange()
        yield stack


def ready_after_s(stack: Stack) -> float:
    """Start the engine and return the seconds until it says that it runs."""
    began = time.perf_counter()
    stack.start_engine()
    until(lambda: _runs(stack), READY_S, "the engine runs", poll_s=0.005)
    return time.perf_counter() - began


def _runs(stack: Stack) -> bool:
    client = stack.client()
    try:
        return client is not None and client.status().state == "running"
    except EngineUnreachable:
        return False
