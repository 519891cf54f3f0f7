"""The store as of the journal's end, for whoever asks from outside the engine: the engine's own file is never touched."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from perpmaker.engine.journalfile import segments
from perpmaker.engine.store import files
from perpmaker.engine.store.history import Follower, NotOfThisJournal, bytes_after
from perpmaker.engine.store.reader import StoreReader
from perpmaker.engine.store.schema import WrongStore
from perpmaker.errors import DataError

Progress = Callable[[int, int], None]


class View(msgspec.Struct, frozen=True):
    """A store to ask, and what must be said about its answers."""

    reader: StoreReader
    warnings: list[str]


@contextmanager
def current(store: Path, journal_folder: Path, progress: Progress = lambda done, total: None) -> Iterator[View]:
    """Give a view of everything the journal holds now.

    A store that is up to date is read as it is. One that is behind is copied and the copy followed up; one that is missing,
    damaged, of another version or of another journal is made anew from the journal: both in a temporary folder that goes
    away afterwards. `progress` is told bytes of the journal done, and in all.

    Raises DataError when there is neither journal nor store, sqlite3.Error and OSError when there is no room.
    """
    if not segments(journal_folder):
        with _without_journal(store, journal_folder) as view:
            yield view
        return
    with tempfile.TemporaryDirectory(prefix="perpmaker-store-") as folder:
        temporary = Path(folder) / "store.sqlite"
        reader = _existing(store, journal_folder, temporary)
        warnings: list[str] = []
        if reader is None:
            warnings = _follow(temporary, journal_folder, progress)
            reader = StoreReader(temporary)
        try:
            with reader.snapshot():
                yield View(reader, warnings + _gaps(reader))
        finally:
            reader.close()


def _existing(store: Path, journal_folder: Path, temporary: Path) -> StoreReader | None:
    """Return a reader of the engine's store if it is up to date; else None, with as much as is usable in `temporary`."""
    if not store.is_file():
        return None
    try:
        reader = StoreReader(store)
    except (WrongStore, sqlite3.Error):
        return None
    keep = False
    try:
        reader.check()
        keep = _is_current(reader, journal_folder)
        if not keep:
            reader.copy_to(temporary)
    except (WrongStore, NotOfThisJournal, sqlite3.DatabaseError):  # or its writer holds it: made anew
        temporary.unlink(missing_ok=True)
    finally:
        if not keep:
            reader.close()
    return reader if keep else None


def _is_current(reader: StoreReader, journal_folder: Path) -> bool:
    """Say whether the journal has nothing beyond the store; NotOfThisJournal when it is another's."""
    try:
        return next(Follower(journal_folder, *reader.progress()).read(), None) is None
    except NotOfThisJournal:
        raise
    except DataError:
        return False  # it is damaged further on: following it will say so


def _follow(temporary: Path, journal_folder: Path, progress: Progress) -> list[str]:
    """Bring a store up to the journal's end, or to where the journal is damaged; returns what to warn of."""
    with files.opened(temporary) as projection:
        total = bytes_after(journal_folder, projection.record)
        follower = Follower(journal_folder, projection.record, projection.digest)
        try:
            files.catch_up(projection, follower, progress=lambda done: progress(done, total))
        except DataError as error:
            return [
                f"the journal ends in damage; what was written after record {projection.record} is missing: {error}"
            ]
    return []


@contextmanager
def _without_journal(store: Path, journal_folder: Path) -> Iterator[View]:
    if not store.is_file():
        raise DataError(f"{journal_folder}: holds no journal, and there is no store beside it")
    reader = StoreReader(store)
    try:
        with reader.snapshot():
            warning = f"{journal_folder} holds no journal; this is what the store last knew"
            yield View(reader, [warning, *_gaps(reader)])
    finally:
        reader.close()


def _gaps(reader: StoreReader) -> list[str]:
    return [
        f"the journal has lost records {first} to {last}; what they held is missing" for first, last in reader.gaps()
    ]
