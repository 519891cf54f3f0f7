"""Where an engine keeps what must outlive it."""

from __future__ import annotations

from pathlib import Path

JOURNAL, STORE = "journal", "store.sqlite"


def engine_folder(home: Path, name: str, env: str) -> Path:
    """Return the folder of one engine in one environment: its journal (a folder) and its store are in it."""
    return home / "engines" / f"{name}-{env}"


def journal_folder(engine: Path) -> Path:
    return engine / JOURNAL


def store_path(engine: Path) -> Path:
    return engine / STORE
