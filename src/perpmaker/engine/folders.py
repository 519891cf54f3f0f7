"""Where an engine keeps what must outlive it."""

from __future__ import annotations

from pathlib import Path

ENGINES, JOURNAL, STORE = "engines", "journal", "store.sqlite"


def engine_folder(home: Path, name: str, env: str) -> Path:
    """Return the folder of one engine in one environment: its journal (a folder) and its store are in it."""
    return home / ENGINES / f"{name}-{env}"


def engine_folders(home: Path) -> list[Path]:
    """Return the folders of all engines that ever recorded something in a home."""
    return sorted(
        folder
        for folder in (home / ENGINES).glob("*")
        if journal_folder(folder).is_dir() or store_path(folder).is_file()
    )


def journal_folder(engine: Path) -> Path:
    return engine / JOURNAL


def store_path(engine: Path) -> Path:
    return engine / STORE
