"""The exchange as a process of its own: started, spoken to by its ready line, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

START_S = 30.0
STOP_S = 30.0


class ExchangeProcess:
    """`python -m perpmaker.exchange` with these options; `line` is its ready line."""

    def __init__(self, *options: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perpmaker.exchange", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, "PYTHONHASHSEED": "random"},
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(f"the exchange did not start: {self.log()}")
        self.line: dict[str, Any] = json.loads(first)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode()

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(STOP_S)
        assert self.process.stdout is not None
        self.rest = self.process.stdout.read()
        self.process.stdout.close()
        return code

    def __enter__(self) -> ExchangeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._log.close()


def refusal(*options: str) -> tuple[int, str]:
    """Start an exchange that must refuse its options; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "perpmaker.exchange", *options],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr
