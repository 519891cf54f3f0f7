"""What every test may use: the real market data, when it is there. And what none may leave behind."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# everywhere as in CI: the same examples each time, and none is wrong for having taken long on a busy machine
settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout; tests that need it skip, saying so, where it is absent."""
    folder = Path(os.environ.get("PERPMAKER_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("../shared/data (real market data) is absent")
    return folder


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a command sets up that runs in this process: it logs to the error stream of its test, which then closes."""
    started: list[logging.handlers.QueueListener] = []

    class Listener(logging.handlers.QueueListener):
        def start(self) -> None:
            super().start()
            started.append(self)

    with pytest.MonkeyPatch.context() as patch:  # not the test's own, whose changes end when the test wants them to
        patch.setattr(logging.handlers, "QueueListener", Listener)
        yield
    for listener in started:
        _forget(listener)
        listener.stop()
        atexit.unregister(listener.stop)


def _forget(listener: logging.handlers.QueueListener) -> None:
    """Have nothing feed a listener any more, and loggers as they are before anything is set up."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.handlers.QueueHandler) and handler.queue is listener.queue:
            root.removeHandler(handler)
    logging.getLogger("perpmaker").setLevel(logging.NOTSET)
    structlog.reset_defaults()
