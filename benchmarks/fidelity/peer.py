"""Asks hftbacktest, in its own environment, what it makes of a play."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from benchmarks.fidelity.plan import ENTRY_NS, FEED_NS, RESPONSE_NS, Fills, Play, rows
from benchmarks.processes import ROOT, WORKERS

from perpmaker.simulation import QueueModel

PYTHON = ROOT / ".venv-peers-hft" / "bin" / "python"


def fills_of(plays: Sequence[tuple[Play, QueueModel]], exponent: int = 3) -> list[Fills]:
    """Run the worker once for all. Raises SystemExit, saying what to do, where its environment is missing."""
    if not PYTHON.exists():
        raise SystemExit(
            "the peer's environment .venv-peers-hft is absent: docs/reference/benchmarks.md says how to make it"
        )
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(number) for number in range(len(plays))]
        for place, (play, queue) in zip(places, plays, strict=True):
            _write(place, play, queue, exponent)
        worker = [str(PYTHON), str(WORKERS / "fidelity_hft.py"), *map(str, places)]
        said = subprocess.run(worker, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [
        {int(number): [(at, px, lots) for at, px, lots in fills] for number, fills in json.loads(line).items()}
        for line in said
    ]


def version() -> str:
    """Return the peer's version."""
    code = "from importlib.metadata import version; print(version('hftbacktest'))"
    said = subprocess.run([str(PYTHON), "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    return f"hftbacktest {said.strip()}"


def _write(place: Path, play: Play, queue: QueueModel, exponent: int) -> None:
    setup = {
        "tick": play.tick, "lot": play.lot, "entry_ns": ENTRY_NS, "response_ns": RESPONSE_NS, "feed_ns": FEED_NS,
        "queue": queue.value, "exponent": exponent,
    }  # fmt: skip
    place.mkdir()
    np.save(place / "rows.npy", np.array(list(rows(play.market)), dtype=np.int64))
    (place / "orders.json").write_bytes(msgspec.json.encode(play.orders))
    (place / "setup.json").write_text(json.dumps(setup))
