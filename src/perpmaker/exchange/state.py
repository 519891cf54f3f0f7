"""What `--state DIR` keeps: one document, replaced as a whole, and the log of what happened after it.

`exchange.json` names its log, `events-N.jsonl`; a new document starts a new log, so that a crash between the two steps
leaves a document with an empty log. Events are written before anybody is shown them: a killed process loses nothing it
said. They reach the disk within a second.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from perpmaker.errors import ConfigError, DataError
from perpmaker.exchange.accounts import Credentials
from perpmaker.exchange.backpack.signing import Credentials as SecondCredentials
from perpmaker.exchange.core.pieces import Pieces, object_pieces, struct_pieces
from perpmaker.exchange.core.types import (
    BookChanged,
    Event,
    PositionUpdated,
    TickerChanged,
)
from perpmaker.exchange.grvt.creations import Builder

SCHEMA_VERSION: Final = 1
DOCUMENT: Final = "exchange.json"
_OF_A_MOMENT: Final = (BookChanged, TickerChanged, PositionUpdated)
"""Events that change nothing a restart has to know."""


class BuilderAuthorized(msgspec.Struct, frozen=True, tag=True):
    """A main account let a builder charge fees."""

    main_account: str
    builder: Builder


class AtVenue(msgspec.Struct, frozen=True, tag=True):
    """An event of another venue than the first."""

    venue: str
    event: Event


class VenueDocument(msgspec.Struct, frozen=True):
    """Another venue than the first. `events` came after its document; there are none while the venue is open."""

    credentials: tuple[SecondCredentials, ...]
    venue: msgspec.Raw
    events: tuple[Event, ...] = ()


class Document(msgspec.Struct, frozen=True):
    schema_version: int
    generation: int
    instance_id: str
    credentials: tuple[Credentials, ...]
    builders: tuple[BuilderAuthorized, ...]
    venue: msgspec.Raw
    """The core's own document."""
    venues: dict[str, VenueDocument] = {}
    """Venues beside the first, by name."""


class Memory(msgspec.Struct, frozen=True):
    """What was found: the document's content, and what happened after it."""

    instance_id: str
    credentials: tuple[Credentials, ...]
    builders: tuple[BuilderAuthorized, ...]
    venue: bytes
    events: tuple[Event, ...]
    venues: dict[str, VenueDocument]
    """Venues beside the first, with the events after their documents."""


def new_instance_id() -> str:
    """Name one life of an exchange: accounts, orders and ids of another instance mean nothing to it."""
    return secrets.token_hex(8)


Record = Event | BuilderAuthorized | AtVenue


class StateFolder:
    """One exchange's folder, locked while it is open."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._generation = 0
        self._log = -1
        self._log_bytes = 0
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ConfigError(f"--state {folder}: another exchange uses this folder") from None

    @property
    def log_bytes(self) -> int:
        """How long the log is since the last document."""
        return self._log_bytes

    def load(self) -> Memory | None:
        """Read what the last life left; None in a new folder."""
        path = self._folder / DOCUMENT
        if not path.exists():
            return None
        try:
            document = msgspec.json.decode(path.read_bytes(), type=Document)
        except msgspec.DecodeError as error:
            raise DataError(f"{path}: {error}") from error
        if document.schema_version != SCHEMA_VERSION:
            raise DataError(f"{path}: schema_version {document.schema_version} is not {SCHEMA_VERSION}")
        self._generation = document.generation
        records = _read_log(self._folder / _log_name(document.generation))
        builders = [record for record in records if isinstance(record, BuilderAuthorized)]
        later: dict[str, list[Event]] = {}
        for record in records:
            if isinstance(record, AtVenue):
                later.setdefault(record.venue, []).append(record.event)
        return Memory(
            instance_id=document.instance_id,
            credentials=document.credentials,
            builders=(*document.builders, *builders),
            venue=bytes(document.venue),
            events=tuple(record for record in records if not isinstance(record, BuilderAuthorized | AtVenue)),
            venues={
                name: msgspec.structs.replace(part, events=(*part.events, *later.get(name, ())))
                for name, part in document.venues.items()
            },
        )

    def save(
        self,
        *,
        instance_id: str,
        credentials: Sequence[Credentials],
        builders: Iterable[BuilderAuthorized],
        venue: Pieces,
        venues: Mapping[str, Pieces] = MappingProxyType({}),
    ) -> None:
        """Replace the document and start a new log. `venue` is the core's document, `venues` are `VenueDocument`s."""
        former = self._folder / _log_name(self._generation)
        self._generation += 1
        document = Document(
            schema_version=SCHEMA_VERSION,
            generation=self._generation,
            instance_id=instance_id,
            credentials=tuple(credentials),
            builders=tuple(builders),
            venue=msgspec.Raw(b"null"),
        )
        long = {"venue": venue, "venues": object_pieces(venues.items())}
        _replace(self._folder / DOCUMENT, struct_pieces(document, long))
        self._close_log()
        self._log = os.open(self._folder / _log_name(self._generation), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_bytes = 0
        former.unlink(missing_ok=True)

    def append(self, records: Iterable[Record]) -> None:
        """Write what a restart has to know; returns when a kill of the process cannot take it any more."""
        lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records if not _is_of_a_moment(record))
        if lines:
            _write_all(self._log, lines)
            self._log_bytes += len(lines)

    def sync(self) -> None:
        """Bring the log to the disk; may block for milliseconds, so call it in a thread."""
        if self._log >= 0:
            os.fsync(self._log)

    def close(self) -> None:
        self._close_log()
        os.close(self._lock)

    def _close_log(self) -> None:
        if self._log >= 0:
            os.fsync(self._log)
            os.close(self._log)
            self._log = -1


def _is_of_a_moment(record: Record) -> bool:
    return isinstance(record.event if isinstance(record, AtVenue) else record, _OF_A_MOMENT)


def _read_log(path: Path) -> list[Record]:
    """Read a log; a last line without its end was cut by a crash before anybody saw the event, and is left out."""
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    decoder = msgspec.json.Decoder(Record)
    try:
        return [decoder.decode(line) for line in lines]
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: {error}") from error


def _replace(path: Path, content: Pieces) -> None:
    """Write a file as a whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _log_name(generation: int) -> str:
    return f"events-{generation}.jsonl"
