"""Child processes of `perpmaker up`: each in a session of its own, each ending when `up` does, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from perpmaker.control.home import RunFile, read_run_file, running
from perpmaker.errors import PerpmakerError

_SUPERVISED = "PERPMAKER_SUPERVISED"
_POLL_S = 0.05


class StartFailed(PerpmakerError):
    """A child ended, or stayed silent, before it was ready; the text says where its log is."""


def end_with_parent() -> None:
    """In a child of `up`: end in good order as soon as the parent is gone.

    The parent holds the other end of our standard input and never writes to it; its end, even by SIGKILL, closes it.
    """
    if os.environ.get(_SUPERVISED) != "1":
        return
    threading.Thread(target=_wait_for_end, name="parent-watch", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class Child:
    """One supervised process, known by the run file it publishes."""

    def __init__(self, home: Path, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self._home = home
        self._command = [sys.executable, "-m", "perpmaker", "--home", str(home), *arguments]
        self._environment = {**environment, _SUPERVISED: "1"}
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts: list[float] = []

    def start(self) -> None:
        """Start the process; its log goes to `logs/NAME.log`."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # what they print there holds keys and tokens; the run file has it too
                stderr=descriptor,
                env=self._environment,
                start_new_session=True,  # Ctrl-C in a terminal reaches a whole group; children are stopped in order
            )
        finally:
            os.close(descriptor)

    def wait_ready(self, timeout_s: float) -> RunFile:
        """Return the run file once the process has published it; raise StartFailed when it ends or takes too long."""
        process = self._started()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            run_file = read_run_file(self._home, self.name)
            if run_file is not None and run_file.pid == process.pid:
                return run_file
            if process.poll() is not None:
                raise StartFailed(f"{self.name} ended with code {process.returncode}:\n{self.last_lines()}")
            time.sleep(_POLL_S)
        raise StartFailed(f"{self.name} was not ready within {timeout_s:.0f} s; see {self.log}\n{self.last_lines()}")

    def returncode(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._started().poll()

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end and wait; kill it after `timeout_s`. Return whether it ended in good order."""
        process = self._process
        if process is None:
            return True
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
                return False
        if process.stdin is not None:
            process.stdin.close()
        return process.returncode == 0

    def kill(self) -> None:
        """End it now."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def last_lines(self, count: int = 12) -> str:
        """Return the end of its log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-count:])

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise PerpmakerError(f"{self.name} was not started")
        return self._process


def refuse_second(home: Path, name: str) -> None:
    """Raise when a process of this name already serves this home."""
    other = running(home, name)
    if other is not None:
        raise PerpmakerError(f"{name} already runs in {home} (pid {other.pid}); stop it first or choose another --home")
