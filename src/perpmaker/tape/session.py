"""A recorded life of an engine: what it started from, every event it took, and what it answered to each.

`Took` is an event, `Answered` the commands that the event before it led to (none recorded: none given), `Began` the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from perpmaker.errors import DataError
from perpmaker.model.events import Event
from perpmaker.tape import live
from perpmaker.tape.rows import decode_event
from perpmaker.tape.schema import SUFFIX, Kind


class Began(NamedTuple):
    """JSON as `engine.recording` wrote it."""

    text: str


class Took(NamedTuple):
    event: Event


class Answered(NamedTuple):
    """JSON: a list of commands."""

    text: str


Item = Began | Took | Answered
_TEXTS: Final[dict[int, type[Began | Answered]]] = {Kind.SESSION: Began, Kind.COMMAND: Answered}


def read_session(path: Path) -> Iterator[Item]:
    """Yield what a session's recording holds: a folder as the engine left it, one live file, or a tape made of them.

    Raises DataError where it is damaged, or when it does not begin with a session.
    """
    items = _of_live(_live_files(path)) if _live_files(path) else _of_tape(path)
    first = next(items, None)
    if not isinstance(first, Began):
        raise DataError(f"{path}: is no session of an engine: it does not begin with what the engine started from")
    yield first
    yield from items


def _live_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob(f"*{live.SUFFIX}"))
    return [path] if path.suffix == live.SUFFIX else []


def _of_live(paths: Sequence[Path]) -> Iterator[Item]:
    for path in paths:
        for number, (tag, json) in enumerate(live.read_live(path), 1):
            try:
                text = json.decode()
                if tag == live.EVENT:
                    yield Took(decode_event(text))
                elif tag == live.SESSION:
                    yield Began(text)
                elif tag == live.COMMAND:
                    yield Answered(text)
            except (DataError, UnicodeDecodeError) as error:
                raise DataError(f"{path}: line {number}: {error}") from error


def _of_tape(path: Path) -> Iterator[Item]:
    from perpmaker.tape.columns import row_tuples
    from perpmaker.tape.reader import open_tape
    from perpmaker.tape.rows import Row, events_of, text_of

    if path.is_dir() and not any(path.glob(f"*{SUFFIX}")):
        raise DataError(f"{path}: holds no recording")
    tape = open_tape(path)
    names = [listed.instrument_id for listed in tape.instruments]
    for columns in tape.chunks():
        rows: list[Row] = []
        for row in row_tuples(columns):
            made = _TEXTS.get(row[2])
            if made is None:
                rows.append(row)
                continue
            yield from map(Took, events_of(rows, columns.texts, names))
            rows = []
            yield made(text_of(row[8], columns.texts))
        yield from map(Took, events_of(rows, columns.texts, names))
