"""Looks a tape through: whether its bytes are those that were written, and whether they make sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.errors import DataError
from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event, Ticker, Trade
from perpmaker.model.ids import InstrumentId
from perpmaker.tape.columns import Columns, checksum
from perpmaker.tape.levels import Levels
from perpmaker.tape.reader import MergedTape, Tape, TapeFile, TapeSequence, chunk_events
from perpmaker.tape.schema import REPLAYED, Kind

LONG_SILENCE_NS: Final = 60 * 1_000_000_000
_SAMPLE: Final = 256
"""Latencies kept of a chunk and instrument, so that a day of many instruments fits; the smallest is kept besides."""


class Finding(msgspec.Struct):
    """What one instrument's rows are like. Latencies are receive minus venue time."""

    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    tickers: int = 0
    gaps: int = 0
    """Times at which a whole book could not be vouched for, and went on later."""
    crossed: int = 0
    """Messages after which the best bid was not below the best ask."""
    before_snapshot: int = 0
    """Changes of a book that no snapshot began."""
    unknown_removals: int = 0
    """Removals of levels that were not there; venues send some, many mean that something is missing."""
    in_doubt: bool = False
    """Whether the tape ends so."""
    doubted_ns: int = 0
    """Since when, if it does."""
    longest_silence_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0
    latency_ms: tuple[float, float, float] | None = None
    """Smallest, median, 99th percentile; None without venue times."""


class Examination(msgspec.Struct, frozen=True):
    """`errors` make the tape unfit for use, `warnings` are what a user of it should know."""

    rows: int
    messages: int
    instruments: dict[InstrumentId, Finding]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def files_of(tape: Tape) -> list[TapeFile]:
    """Return the files of a tape: one, a folder's, or those of several tapes."""
    if isinstance(tape, TapeFile):
        return [tape]
    if isinstance(tape, MergedTape):
        return [file for one in tape.tapes for file in files_of(one)]
    return list(tape.files) if isinstance(tape, TapeSequence) else []


def begins_ns(tape: Tape) -> int:
    """Return when a tape begins; what a session started from is a row without a time, and is passed over."""
    if tape.first_recv_ns:
        return tape.first_recv_ns
    first = next(tape.chunks(1), None)
    return 0 if first is None else int(first.recv_ns[0])


def notes_of(tape: Tape) -> dict[str, str]:
    """Return the notes of a tape's files; where these do not all say the same, each is named before what it says."""
    files = files_of(tape)
    notes: dict[str, str] = {}
    for key in dict.fromkeys(key for file in files for key in file.contents.notes):
        told = [(file.name, file.contents.notes[key]) for file in files if key in file.contents.notes]
        is_common = len(told) == len(files) and len({text for _, text in told}) == 1
        notes[key] = told[0][1] if is_common else "; ".join(f"{name}: {text}" for name, text in told)
    return notes


def examine(tape: Tape, steps: Callable[[int], None] = lambda rows: None) -> Examination:
    """Read a whole tape; damage is told, not raised."""
    errors: list[str] = []
    for file in files_of(tape):
        errors += _damaged_chunks(file.path, file)
    looking = _Looking(tape)
    rows = 0
    try:
        for columns in tape.chunks():
            looking.times(columns)
            for event in chunk_events(columns, looking.names):
                looking.event(event)
            rows += columns.rows
            steps(rows)
    except DataError as error:
        errors.append(str(error))
    errors += looking.errors(tape)
    return Examination(rows, looking.messages, looking.found, tuple(dict.fromkeys(errors)), tuple(looking.warnings()))


def unhealed(tape: Tape) -> dict[InstrumentId, str]:
    """Say of each book that is in doubt at the tape's end for how long; by the columns alone, as nothing else is wanted."""
    since: dict[int, int] = {}
    """Since when a book is in doubt, 0 for one that is whole; it is not here before its first snapshot."""
    last: dict[int, int] = {}
    for columns in tape.chunks():
        told = (columns.kind <= Kind.STALE) & (columns.kind != Kind.BBO)
        for place in np.unique(columns.instrument[told]).tolist():
            ours = told & (columns.instrument == place)
            kinds, times = columns.kind[ours], columns.recv_ns[ours]
            last[place] = int(times[-1])
            vouched = np.flatnonzero((kinds == Kind.SNAPSHOT) | ((kinds == Kind.DELTA) & (place in since)))
            if len(vouched):
                since[place] = 0
            doubted = np.flatnonzero(kinds == Kind.STALE)
            doubted = doubted[doubted > vouched[-1]] if len(vouched) else doubted
            if len(doubted) and since.get(place) == 0:
                since[place] = int(times[doubted[0]])
    names = [listed.instrument_id for listed in tape.instruments]
    return {names[place]: _never_whole(last[place] - at) for place, at in since.items() if 0 < at < last[place]}


def _damaged_chunks(path: Path, file: TapeFile) -> list[str]:
    damaged = []
    with path.open("rb") as handle:
        for number, entry in enumerate(file.contents.chunks):
            handle.seek(entry.offset)
            if checksum(handle.read(entry.length)) != entry.checksum:
                damaged.append(f"{path}: chunk {number} at byte {entry.offset} is damaged")
    return damaged


class _Looking:
    """Follows the books and counts."""

    def __init__(self, tape: Tape) -> None:
        self.names = [listed.instrument_id for listed in tape.instruments]
        self.found: dict[InstrumentId, Finding] = {name: Finding() for name in self.names}
        self.messages = 0
        self._books: dict[InstrumentId, Levels] = {name: Levels() for name in self.names}
        self._latencies: dict[int, list[np.ndarray[tuple[int], np.dtype[np.int64]]]] = {}
        self._last_ns = 0
        self._steps_back = 0

    def times(self, columns: Columns) -> None:
        recv_ns, event_ns, places = columns.recv_ns, columns.event_ns, columns.instrument
        told = (event_ns > 0) & ((columns.flags & REPLAYED) == 0)
        self._steps_back += int(np.count_nonzero(np.diff(recv_ns) < 0)) + (int(recv_ns[0]) < self._last_ns)
        self._last_ns = int(recv_ns[-1])
        for place in np.unique(places[told]).tolist():
            ours = told & (places == place)
            latencies = recv_ns[ours] - event_ns[ours]
            sample = latencies[:: -(-len(latencies) // _SAMPLE)]
            self._latencies.setdefault(place, []).append(np.append(sample, latencies.min()))

    def event(self, event: Event) -> None:
        self.messages += 1
        if not isinstance(event, BookSnapshot | BookDelta | BookStale | Trade | Ticker):
            return
        finding = self.found[event.instrument]
        if finding.last_ns:
            finding.longest_silence_ns = max(finding.longest_silence_ns, event.ts_recv_ns - finding.last_ns)
        finding.first_ns = finding.first_ns or event.ts_recv_ns
        finding.last_ns = event.ts_recv_ns
        match event:
            case BookSnapshot() | BookDelta():
                self._on_book(event, finding)
            case BookStale():
                book = self._books[event.instrument]
                if book.is_whole:
                    finding.in_doubt, finding.doubted_ns = True, event.ts_recv_ns
                book.is_whole = False
            case Trade():
                finding.trades += 1
            case Ticker():
                finding.tickers += 1

    def _on_book(self, event: BookSnapshot | BookDelta, finding: Finding) -> None:
        book = self._books[event.instrument]
        finding.gaps += finding.in_doubt
        finding.in_doubt, finding.doubted_ns = False, 0
        if isinstance(event, BookSnapshot):
            finding.snapshots += 1
            book.start(event.bids, event.asks)
        elif book.is_whole:
            finding.deltas += 1
            finding.unknown_removals += sum(not qty and px not in book.bids for px, qty in event.bids)
            finding.unknown_removals += sum(not qty and px not in book.asks for px, qty in event.asks)
            book.change(event.bids, event.asks)
        else:
            finding.deltas += 1
            finding.before_snapshot += 1
            return
        best = book.best()
        finding.crossed += best is not None and best[0] >= best[1]

    def errors(self, tape: Tape) -> list[str]:
        found = []
        if self._steps_back and tape.in_order:
            found.append(f"receive times go back {self._steps_back} times though the contents say they never do")
        counted = Counter(tape.counts)
        if counted.total() != tape.rows:
            found.append(f"the contents count {counted.total()} rows by kind, {tape.rows} in all")
        return found

    def warnings(self) -> list[str]:
        """Finish the latencies, and say what is unusual."""
        said = []
        for place, name in enumerate(self.names):
            finding = self.found[name]
            if place in self._latencies:
                low, middle, high = np.percentile(np.concatenate(self._latencies[place]) / 1e6, (0, 50, 99))
                finding.latency_ms = (round(float(low), 3), round(float(middle), 3), round(float(high), 3))
                if low < 0:
                    said.append(
                        f"{name}: was received up to {-low:.1f} ms before the venue says it happened: the clocks differ; "
                        "convert it again with --least-latency-ms"
                    )
            said += [f"{name}: {text}" for text in _unusual(finding)]
        return said


def _unusual(finding: Finding) -> list[str]:
    said = []
    if finding.before_snapshot:
        said.append(f"{finding.before_snapshot} changes of a book that no snapshot began")
    if finding.gaps:
        said.append(f"the book could not be vouched for {finding.gaps} times")
    if finding.in_doubt and finding.last_ns > finding.doubted_ns:
        said.append(_never_whole(finding.last_ns - finding.doubted_ns))
    if finding.crossed:
        said.append(f"crossed after {finding.crossed} messages")
    if finding.longest_silence_ns > LONG_SILENCE_NS:
        said.append(f"silent for up to {finding.longest_silence_ns / 1e9:.0f} s")
    return said


def _never_whole(for_ns: int) -> str:
    return f"the book cannot be vouched for in the last {for_ns / 1e9:.1f} s: nothing on the tape makes it whole again"
