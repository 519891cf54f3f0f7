"""A running engine records its life: what it started from, every event it took, every command it gave.

The trading loop only puts what happened into a queue, which costs it about a microsecond; a thread turns it into text and
appends it to the recording twice a second. A kill loses what was not appended yet and nothing else. When recording
fails it ends, says so, and trading goes on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from perpmaker.engine.core.spec import EngineSpec
from perpmaker.engine.records import Latch, Record
from perpmaker.model.commands import Command
from perpmaker.model.events import Event
from perpmaker.tape import live
from perpmaker.tape.recorder import free_name

FLUSH_S: Final = 0.5
_EXACTLY: Final = "exactly"
_MOST_WAITING: Final = 200_000
"""Some minutes of busy markets."""
_AT_ONCE: Final = 16
"""Lines the thread writes before it lets go of the interpreter: some 40 us."""
ROTATE_BYTES: Final = 256 * 1024 * 1024
KEPT_BYTES: Final = 20 * 1024**3
"""Beyond this the oldest sessions go; a session that alone is larger is recorded no further."""


class Session(msgspec.Struct, frozen=True):
    """What a life started from: enough to build its core again. There are no secrets in it."""

    version: int
    build: str
    config: dict[str, Any]
    """As validated, instruments named as the engine names them, exact numbers as `tagged` writes them."""
    spec: dict[str, Any]
    """Of the core (engine.core.spec), but for its strategies, which `config` and `numbers` give."""
    numbers: dict[str, int]
    latch: Latch | None
    checkpoint: bytes | None
    records: tuple[bytes, ...]
    """Of the journal, after the checkpoint, as the journal holds them."""
    start_ns: int


class EngineRecording(Protocol):
    """Where the pump tells what it feeds to the core and what comes out."""

    def began(self, start_ns: int, commands: Sequence[Command]) -> None: ...
    def took(self, event: Event) -> None: ...
    def answered(self, commands: Sequence[Command]) -> None: ...


class NoRecording:
    """Keeps nothing."""

    def began(self, start_ns: int, commands: Sequence[Command]) -> None:
        """Forget it."""

    def took(self, event: Event) -> None:
        """Forget it."""

    def answered(self, commands: Sequence[Command]) -> None:
        """Forget it."""


class SessionRecording:
    """Records one life into a folder of its own. `close` it when the engine has ended."""

    def __init__(
        self,
        folder: Path,
        session: Session,
        *,
        name_ns: int,
        on_trouble: Callable[[str], None],
        rotate_bytes: int = ROTATE_BYTES,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """`name_ns` names the folder; `on_trouble` is told once, from another thread, when recording ends early."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = free_name(folder, name_ns, "")
        self.path.mkdir(mode=0o700)
        self._session = session
        self._on_trouble = on_trouble
        self._rotate_bytes = rotate_bytes
        self._kept_bytes = kept_bytes
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._put = self._queue.append
        self._closing = threading.Event()
        self._number = 0
        self._file: live.LiveFile | None = None
        self.failed = False
        self._thread = threading.Thread(target=self._write_forever, name="recording", daemon=True)
        self._thread.start()

    def began(self, start_ns: int, commands: Sequence[Command]) -> None:
        """The core was started at this time and answered so."""
        self._put((live.SESSION, msgspec.structs.replace(self._session, start_ns=start_ns)))
        self.answered(commands)

    def took(self, event: Event) -> None:
        if not self.failed:
            self._put((live.EVENT, event))
            if len(self._queue) > _MOST_WAITING:
                self._give_up(f"the disk took none of the last {_MOST_WAITING:,} lines")

    def answered(self, commands: Sequence[Command]) -> None:
        if commands and not self.failed:
            self._put((live.COMMAND, commands))

    def close(self) -> None:
        """Write what is left; everything is on disk when this returns."""
        self._closing.set()
        self._thread.join(timeout=10.0)

    # --- the writing thread

    def _write_forever(self) -> None:
        try:
            _make_room(self.path.parent, self.path, self._kept_bytes)
            ending = False
            while not ending:
                ending = self._closing.wait(FLUSH_S)
                self._write()
            if self._file is not None:
                self._file.close()
        except OSError as error:
            self._give_up(f"recording cannot be written: {error.strerror or error}")

    def _write(self) -> None:
        queue, written = self._queue, 0
        while queue:
            tag, what = queue.popleft()
            if self._file is None:
                self._number += 1
                self._file = live.LiveFile(self.path / f"{self._number:06}{live.SUFFIX}")
            self._file.add(tag, msgspec.json.encode(what))
            written += 1
            if not written % _AT_ONCE:
                self._end_full_file()
                time.sleep(0)  # let the trading loop have the interpreter, should it wait for it
        if self._file is not None:
            self._file.flush()
            self._end_full_file()

    def _end_full_file(self) -> None:
        """End a file that is long enough, also in the middle of a long queue; the next line begins another."""
        if self._file is None or self._file.size < self._rotate_bytes:
            return
        self._file.close()
        self._file = None
        if not _make_room(self.path.parent, self.path, self._kept_bytes):
            self._give_up(f"this session's recording alone is larger than {self._kept_bytes >> 30} GiB")
            self._closing.set()

    def _give_up(self, reason: str) -> None:
        self.failed = True
        self._queue.clear()
        self._on_trouble(reason)


def session_of(
    config: dict[str, Any],
    spec: EngineSpec,
    *,
    build: str,
    latch: Latch | None,
    checkpoint: bytes | None,
    records: Sequence[Record],
) -> Session:
    """Describe a life that is about to begin."""
    from perpmaker.engine.records import encode

    members = {
        name: msgspec.to_builtins(getattr(spec, name)) for name in EngineSpec.__struct_fields__ if name != "strategies"
    }
    numbers = {str(one.strategy): one.number for one in spec.strategies}
    texts = tuple(encode(record) for record in records)
    return Session(1, build, tagged(config), members, numbers, latch, checkpoint, texts, 0)


def tagged(value: Any) -> Any:
    """Return a configuration's value with exact numbers as {"exactly": "1.5"}: JSON knows only texts and floats."""
    match value:
        case Decimal():
            return {_EXACTLY: str(value)}
        case dict():
            return {key: tagged(inner) for key, inner in value.items()}
        case list() | tuple():
            return [tagged(inner) for inner in value]
        case _:
            return value


def untagged(value: Any) -> Any:
    """Undo `tagged`."""
    match value:
        case {"exactly": str(text)} if len(value) == 1:
            return Decimal(text)
        case dict():
            return {key: untagged(inner) for key, inner in value.items()}
        case list():
            return [untagged(inner) for inner in value]
        case _:
            return value


def _make_room(folder: Path, ours: Path, kept_bytes: int) -> bool:
    """Remove the oldest other sessions until all together are small enough; return whether ours is."""
    sizes = {
        session: sum(file.stat().st_size for file in session.glob("*"))
        for session in sorted(folder.iterdir())
        if session.is_dir()
    }
    total = sum(sizes.values())
    for session, size in sizes.items():
        if total <= kept_bytes:
            break
        if session != ours:
            for file in session.glob("*"):
                file.unlink()
            session.rmdir()
            total -= size
    return total <= kept_bytes
