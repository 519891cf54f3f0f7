"""Records events into a folder: one live file at a time, the older ones compacted into tapes.

Every file stands for itself: it begins with the instruments' rules and the books as they are. Time is given by the caller,
who flushes each second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.events import (
    BookDelta,
    BookSnapshot,
    BookStale,
    Connectivity,
    Event,
    InstrumentListed,
    StaleReason,
    Ticker,
    Trade,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.tape import live, schema
from perpmaker.tape.levels import Books

ROTATE_NS: Final = 3600 * NS_PER_S
ROTATE_BYTES: Final = 256 * 1024 * 1024
_MARKET: Final = (BookSnapshot, BookDelta, BookStale, Trade, Ticker)


class Seen(msgspec.Struct):
    """What came of one instrument so far, for people."""

    books: int = 0
    trades: int = 0
    tickers: int = 0
    gaps: int = 0
    last_ns: int = 0


class Recorder:
    """Takes events; `compact` is handed each finished live file. Call `resume` first where an earlier life may have ended.

    Instruments are known by their InstrumentListed; data of one that was not listed could not be read again, and is counted
    instead.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wanted: frozenset[InstrumentId] | None = None,
        rotate_ns: int = ROTATE_NS,
        rotate_bytes: int = ROTATE_BYTES,
        compact: Callable[[Path], None] = lambda path: None,
    ) -> None:
        self.folder = folder
        self.seen: dict[InstrumentId, Seen] = {}
        self.events = 0
        self.link_losses = 0
        self.unlisted = 0
        self.bytes_closed = 0
        self._wanted = None if wanted is None else frozenset({None, *wanted})
        self._rotate_ns = rotate_ns
        self._rotate_bytes = rotate_bytes
        self._compact = compact
        self._books = Books()
        self._listed: dict[InstrumentId, InstrumentListed] = {}
        self._file: live.LiveFile | None = None
        self._began_ns = 0
        self._took_up = False

    @property
    def path(self) -> Path | None:
        """The file being written."""
        return None if self._file is None else self._file.path

    @property
    def bytes_written(self) -> int:
        return self.bytes_closed + (0 if self._file is None else self._file.size)

    def resume(self) -> list[Path]:
        """Return what an earlier life left, torn ends cut off; each is handed to `compact`.

        What was missed meanwhile is a gap: every book is in doubt until its first snapshot now.
        """
        left = sorted(self.folder.glob(f"*{live.SUFFIX}"))
        self._took_up = bool(left)
        for path in left:
            live.LiveFile(path).close()
            self._compact(path)
        return left

    def take(self, event: Event) -> None:
        """Record an event, unless it is of an instrument nobody wants."""
        if self._wanted is not None and _instrument(event) not in self._wanted:
            return
        if isinstance(event, _MARKET) and event.instrument not in self._listed:
            self.unlisted += 1
            return
        if isinstance(event, InstrumentListed):
            self._end_old_rules(event)
        file = self._open(event.ts_recv_ns)
        if isinstance(event, InstrumentListed):
            self._listed[event.instrument.instrument_id] = event
        self._count(event)
        self._books.apply(event)
        file.add(live.EVENT, msgspec.json.encode(event))
        if self._took_up and isinstance(event, InstrumentListed) and event.instrument.instrument_id not in self.seen:
            self.take(BookStale(event.instrument.instrument_id, StaleReason.DISCONNECTED, event.ts_recv_ns))

    def flush(self, now_ns: int, *, sync: bool = True) -> None:
        """See what was taken to the disk; begin a new file when this one is old or large enough."""
        if self._file is None:
            return
        self._file.flush(sync=sync)
        if now_ns - self._began_ns >= self._rotate_ns or self._file.size >= self._rotate_bytes:
            self._end()

    def close(self) -> None:
        if self._file is not None:
            self._end()

    # --- inside

    def _end_old_rules(self, event: InstrumentListed) -> None:
        """Ticks and lots mean one thing in a file: new rules begin a new one, without the book in old ticks."""
        name = event.instrument.instrument_id
        before = self._listed.get(name)
        if before is not None and before.instrument != event.instrument:
            self._end()
            del self._listed[name]
            self._books.books.pop(name, None)

    def _open(self, ts_ns: int) -> live.LiveFile:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._began_ns = ts_ns
            self._file = live.LiveFile(free_name(self.folder, ts_ns))
            for listed in self._listed.values():
                self._file.add(live.EVENT, msgspec.json.encode(msgspec.structs.replace(listed, ts_recv_ns=ts_ns)))
            for snapshot in self._books.snapshots(ts_ns):
                self._file.add(live.EVENT, msgspec.json.encode(snapshot))
        return self._file

    def _end(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
            self.bytes_closed += file.size
            self._compact(file.path)

    def _count(self, event: Event) -> None:
        self.events += 1
        if isinstance(event, Connectivity):
            self.link_losses += not event.up
            return
        if not isinstance(event, _MARKET):
            return
        seen = self.seen.get(event.instrument)
        if seen is None:
            seen = self.seen[event.instrument] = Seen()
        seen.last_ns = event.ts_recv_ns
        match event:
            case BookSnapshot() | BookDelta():
                seen.books += 1
            case Trade():
                seen.trades += 1
            case Ticker():
                seen.tickers += 1
            case BookStale():
                seen.gaps += event.reason is not StaleReason.STARTING


def _instrument(event: Event) -> InstrumentId | None:
    if isinstance(event, InstrumentListed):
        return event.instrument.instrument_id
    return getattr(event, "instrument", None)


def free_name(folder: Path, ts_ns: int, suffix: str = live.SUFFIX) -> Path:
    """Return a path named by the time, which neither a recording nor a tape there has; names sort as times do."""
    stem = datetime.fromtimestamp(ts_ns / NS_PER_S, UTC).strftime("%Y%m%dT%H%M%S.%fZ").replace(".", "-")
    path = folder / f"{stem}{suffix}"
    while path.exists() or path.with_suffix(schema.SUFFIX).exists() or path.with_suffix(live.SUFFIX).exists():
        stem += "+"
        path = folder / f"{stem}{suffix}"
    return path


def compact(path: Path, *, source: str = "perpmaker record") -> Path | None:
    """Write a finished live file as a tape beside it, then remove it. Needs numpy.

    Returns the tape's path, None for a file in which nothing was recorded yet, which is removed too.
    """
    target = None
    if live.whole_bytes(path):
        target = path.with_suffix(schema.SUFFIX)
        compact_all([path], target, source=source, clamp=True)
    path.unlink()
    return target


def compact_all(paths: Sequence[Path], target: Path, *, source: str, clamp: bool) -> Counter[str]:
    """Write live files, one after the other, as one tape; return lines by their letter."""
    from perpmaker.tape.rows import decode_event
    from perpmaker.tape.schema import Kind
    from perpmaker.tape.writer import TapeWriter

    lines: Counter[str] = Counter()
    with TapeWriter(target, source=source, clamp=clamp) as writer:
        last_ns = 0
        for path in paths:
            for tag, json in live.read_live(path):
                lines[tag.decode()] += 1
                try:
                    if tag == live.EVENT:
                        event = decode_event(json.decode())
                        last_ns = event.ts_recv_ns
                        writer.add(event)
                    elif tag in (live.COMMAND, live.SESSION):
                        kind = Kind.COMMAND if tag == live.COMMAND else Kind.SESSION
                        writer.rows.text(kind, json.decode(), last_ns)
                        writer.settle()
                except (DataError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise DataError(f"{path}: line {sum(lines.values())}: {error}") from error
    return lines
