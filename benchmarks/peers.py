"""Virtual environments of the peers, each made from its lock when a benchmark first needs it. perpmaker needs none of them.

A peer that cannot be had (no network, no wheel for this machine) makes its rows say so; nothing else fails.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tools import bootstrap  # how ./run makes an environment

ROOT = Path(__file__).resolve().parent.parent


class Peer(NamedTuple):
    """One environment: `requirements/LOCK.txt`, and what must be importable in it."""

    venv: str
    lock: str
    imports: tuple[str, ...]


CLIENTS = Peer(".venv-clients", "clients", ("ccxt", "pysdk"))
"""grvt-pysdk and ccxt; the tests use it too."""
HFT = Peer(".venv-peers-hft", "peers-hft", ("hftbacktest",))
NAUTILUS = Peer(".venv-peers-nautilus", "peers-nautilus", ("nautilus_trader",))


class PeerAbsent(Exception):
    """This peer's environment is not to be had here."""


Install = Callable[[Path, Path], None]


@cache
def python_of(peer: Peer) -> Path:
    """Return the peer's Python, its environment made or repaired if need be; raise PeerAbsent when that fails."""
    return prepare(peer)


def prepare(peer: Peer, root: Path = ROOT, install: Install = bootstrap.install) -> Path:
    """Bring the environment to what its lock says, and see that it imports; `python_of` remembers the answer."""
    venv: Path = root / peer.venv
    python: Path = bootstrap.python_in(venv)
    stamp, wanted = venv / "perpmaker.stamp", bootstrap.stamp(peer.lock)
    try:
        with bootstrap.locked(root / f"{peer.venv}.lock"):
            if bootstrap.read(stamp) != wanted or not python.exists():
                print(f"making {peer.venv} from requirements/{peer.lock}.txt", file=sys.stderr, flush=True)
                stamp.unlink(missing_ok=True)
                if not bootstrap.has_pip(venv):
                    bootstrap.create(venv)
                install(venv, ROOT / "requirements" / f"{peer.lock}.txt")
                stamp.write_text(wanted)
    except (SystemExit, OSError) as error:
        raise PeerAbsent(f"{peer.venv} could not be made: {error}") from None
    code = "; ".join(f"import {name}" for name in peer.imports)
    tried = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    if tried.returncode:
        stamp.unlink(missing_ok=True)  # the next run makes it anew
        last: Any = (tried.stderr.strip().splitlines() or ["?"])[-1]
        raise PeerAbsent(f"{peer.venv} does not import {', '.join(peer.imports)}: {last}")
    return python
