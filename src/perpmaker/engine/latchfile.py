"""The second copy of the kill latch, for when the journal is lost, new or cannot be written.

It stands beside the journals of an engine, whatever exchange instance those belong to. Set anywhere means set: a person
clears both.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from perpmaker.control.home import write_private
from perpmaker.engine.records import Latch

NAME = "kill.latch"


def read_latch(folder: Path) -> Latch | None:
    """Return the latch as last written, None when there is none. A file that cannot be read counts as a set latch."""
    path = folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Latch)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        return Latch(True, f"{path} cannot be read ({error}): taken for set", "engine", 0)


def write_latch(folder: Path, latch: Latch) -> None:
    """Write the latch, or remove it once cleared; on disk when this returns. Raises OSError."""
    if latch.latched:
        write_private(folder / NAME, msgspec.json.encode(latch))
    else:
        (folder / NAME).unlink(missing_ok=True)


def stricter(journal: Latch | None, file: Latch | None) -> Latch | None:
    """Return the one that is set, if any is."""
    for latch in (journal, file):
        if latch is not None and latch.latched:
            return latch
    return None
