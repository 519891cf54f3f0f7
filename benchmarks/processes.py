"""Other processes of a benchmark: the practice exchange, and workers that wait for their turn at a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from benchmarks.peers import CLIENTS, Peer, python_of

ROOT = Path(__file__).resolve().parent.parent
WORKERS = Path(__file__).resolve().parent / "workers"
OURS = Path(sys.executable)
PATHS = os.pathsep.join((str(ROOT), str(ROOT / "src")))
"""Where our workers find `benchmarks`, and the perpmaker beside it."""
PURE_PYTHON_CURVE = {"ECC_BACKEND_CLASS": "eth_keys.backends.NativeECCBackend"}
"""What `pip install grvt-pysdk` gives: it does not bring coincurve, and eth-keys then uses its own curve."""
SUPERVISED = {"PERPMAKER_SUPERVISED": "1"}
"""Lets a perpmaker process end in good order when its standard input does, as under `perpmaker up`."""
END_S = 15.0


class Process:
    """A child that speaks JSON lines: told on standard input, heard on standard output. End of input ends it."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self._ends_by_input = environment is not None and SUPERVISED.items() <= environment.items()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCHMARK_STDERR") else None,
            text=True,
            env={**os.environ, "TZ": "UTC", **(environment or {})},
        )

    def hear(self) -> Any:
        """Return the next line; raise when the process has ended instead."""
        line = self._stream(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended; set BENCHMARK_STDERR=1 to see what it says")
        return json.loads(line)

    def tell(self, message: Any) -> None:
        stream = self._stream(self._process.stdin)
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    def ask(self, message: Any) -> Any:
        self.tell(message)
        return self.hear()

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        self._stream(self._process.stdin).close()
        if not self._ends_by_input:
            self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stream(self._process.stdout).close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        if stream is None:
            raise RuntimeError("no pipe")
        return stream


def exchange(*options: str) -> Process:
    """Start the practice exchange; the first thing it says is its ready line."""
    return Process([str(OURS), "-m", "perpmaker.exchange", "--port", "0", *options])


def peer(worker: str, *arguments: str, of: Peer = CLIENTS, environment: dict[str, str] | None = None) -> Process:
    """Start a worker of `benchmarks/workers` in a peer's environment; raise PeerAbsent when there is none."""
    return Process([str(python_of(of)), str(WORKERS / worker), *arguments], environment)


def ours(worker: str, *arguments: str, environment: dict[str, str] | None = None) -> Process:
    """Start a worker of `benchmarks/workers` with our own environment."""
    return Process([str(OURS), str(WORKERS / worker), *arguments], {"PYTHONPATH": PATHS, **(environment or {})})
