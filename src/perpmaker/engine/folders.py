"""Where an engine keeps what must outlive it."""

from __future__ import annotations

from pathlib import Path

ENGINES, JOURNAL, STORE, RECORDINGS = "engines", "journal", "store.sqlite", "recordings"


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


def recordings_folder(engine: Path) -> Path:
    """Return where an engine that records keeps its sessions, a folder for each of its lives."""
    return engine / RECORDINGS


def store_path(engine: Path) -> Path:
    return engine / STORE
