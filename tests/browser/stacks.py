"""What the page is tested against: an engine (fake, or a real one that already runs) and a dashboard over it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import perpmaker
from perpmaker.control.client import ControlClient
from perpmaker.control.home import RunFile, running

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 30.0
SOURCE = Path(perpmaker.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join((str(SOURCE), str(ROOT)))}
"""The page and the engine that processes of a stack serve are those that this test imports, whatever is installed."""
SERVE = """
import sys
from pathlib import Path
from perpmaker.dashboard.server import run
run(Path(sys.argv[1]), int(sys.argv[2]))
"""


class Stack:
    """A home in which an engine and a dashboard run. Nothing here knows whether the engine is real."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run_file(self, name: str) -> RunFile:
        found = running(self.home, name)
        assert found is not None, f"{name} does not run in {self.home}"
        return found

    @property
    def url(self) -> str:
        """The dashboard's address without the token."""
        return self.run_file("dashboard").urls["dashboard"]

    @property
    def entrance(self) -> str:
        """The address that the dashboard prints: the token after `#`."""
        return f"{self.url}/#{self.run_file('dashboard').token}"

    @property
    def engine(self) -> ControlClient:
        """The engine itself, asked past the page."""
        return ControlClient.of(self.run_file("engine"))

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop a process as SIGSTOP does: it lives, keeps its sockets, and does nothing."""
        pid = self.run_file(name).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


class FakeStack(Stack):
    """A fake engine and a dashboard, each a process of its own."""

    def __init__(self, home: Path, *, hostile: bool = False, pairs: bool = False) -> None:
        super().__init__(home)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._options = [*(["--hostile"] if hostile else []), *(["--pairs"] if pairs else [])]

    def start(self) -> None:
        options = self._options
        self._start("engine", ["-m", "tests.unit.dashboard.fake_engine", "--home", str(self.home), *options])
        self.start_dashboard()

    def start_dashboard(self, port: int = 0) -> None:
        self._start("dashboard", ["-c", SERVE, str(self.home), str(port)])

    def kill(self, name: str) -> None:
        """End a process as a crash does."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(10)

    def _start(self, name: str, command: list[str]) -> None:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=ENVIRONMENT)
        self._processes[name] = process

        def ready() -> bool:
            assert process.poll() is None, f"{name} ended with code {process.returncode}"
            found = running(self.home, name)
            return found is not None and found.pid == process.pid

        until(ready, START_TIMEOUT_S)


class RealStack(Stack):
    """What `./run` starts: practice exchange, engine and dashboard, supervised by `perpmaker up`."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._log = home / "up.log"
        ports = {f"PERPMAKER__{name}__PORT": "0" for name in ("EXCHANGE", "CONTROL", "DASHBOARD")}
        command = [sys.executable, "-m", "perpmaker", "--home", str(home), "up", "configs/local.toml", "--quiet"]
        with self._log.open("wb") as log:
            self._up = subprocess.Popen(command, cwd=ROOT, env={**ENVIRONMENT, **ports}, stdout=log, stderr=log)

    def wait_until_quoting(self) -> None:
        def quoting() -> bool:
            assert self._up.poll() is None, self._log.read_text()
            if running(self.home, "dashboard") is None or running(self.home, "engine") is None:
                return False
            status = self.engine.status()
            return status.fills_total > 0 and len(status.open_orders) > 0

        until(quoting, 2 * START_TIMEOUT_S, poll_s=0.2)

    def stop(self) -> None:
        """End it as Ctrl-C does; everything it started must be gone and it must say that all went well."""
        self._up.send_signal(signal.SIGINT)
        assert self._up.wait(40) == 0, self._log.read_text()
        assert [name for name in ("exchange", "engine", "dashboard") if running(self.home, name)] == []


def until(holds: Callable[[], bool], timeout_s: float, *, poll_s: float = 0.02) -> float:
    """Wait until something holds; return after how many seconds it did. Fails after `timeout_s`."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s} s: {holds}"
        time.sleep(poll_s)
    return time.monotonic() - started
