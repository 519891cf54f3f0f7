"""A part of a tape that stands for itself: what was known of the market before it is stated anew where it begins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from perpmaker.errors import DataError
from perpmaker.model.events import InstrumentDelisted, InstrumentListed, Ticker
from perpmaker.model.ids import InstrumentId
from perpmaker.model.units import NS_PER_S
from perpmaker.tape.columns import take
from perpmaker.tape.examine import begins_ns, notes_of
from perpmaker.tape.levels import Books
from perpmaker.tape.own import PIECE, is_session
from perpmaker.tape.reader import ALWAYS, Tape, events
from perpmaker.tape.schema import NO_INSTRUMENT
from perpmaker.tape.writer import TapeWriter

CUT: Final = "cut from"
"""Under which the notes say what was cut, the last cut first."""


def cut(
    tape: Tape, target: Path, *, from_ns: int = 0, to_ns: int = ALWAYS, instruments: Sequence[InstrumentId] = ()
) -> int:
    """Write what lies between two receive times (`to_ns` not included) of some or all instruments; return the rows."""
    there = [listed.instrument_id for listed in tape.instruments]
    unknown = set(instruments) - set(there)
    if unknown:
        raise DataError(f"{tape.name}: holds no {', '.join(sorted(unknown))}; it holds {', '.join(there)}")
    kept = [
        place for place, listed in enumerate(tape.instruments) if listed.instrument_id in instruments or not instruments
    ]
    places = np.full(NO_INSTRUMENT + 1, NO_INSTRUMENT, dtype=np.uint16)
    places[kept] = np.arange(len(kept))
    names = {tape.instruments[place].instrument_id for place in kept}
    with TapeWriter(target, [tape.instruments[place] for place in kept], source=f"cut from {tape.name}") as writer:
        writer.notes |= notes_of(tape)
        earlier = writer.notes.get(CUT)
        done = _said(tape, from_ns, to_ns, [tape.instruments[place].instrument_id for place in kept])
        writer.notes[CUT] = done if earlier is None else f"{done}; before that: {earlier}"
        if is_session(tape):
            writer.notes.setdefault(PIECE, tape.name)
        _state_anew(tape, from_ns, names, writer)
        for columns in tape.chunks(from_ns, to_ns):
            wanted = np.isin(columns.instrument, [*kept, NO_INSTRUMENT])
            part = take(columns, wanted)
            if part.rows:
                writer.add_columns(part._replace(instrument=places[part.instrument]))
    return writer.written


def _said(tape: Tape, from_ns: int, to_ns: int, kept: Sequence[InstrumentId]) -> str:
    """Return a cut in words: of which content, from when to when, which instruments; what was kept whole is left out."""
    parts = [f"{tape.name} {tape.fingerprint}"]
    if from_ns > begins_ns(tape):
        parts.append(f"from {_utc(from_ns)}")
    if to_ns <= tape.last_recv_ns:
        parts.append(f"to {_utc(to_ns)}")
    if len(kept) < len(tape.instruments):
        parts.append(f"of {', '.join(kept)}")
    return " ".join(parts)


def _utc(ts_ns: int) -> str:
    seconds, rest_ns = divmod(ts_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}"


def _state_anew(tape: Tape, from_ns: int, names: set[InstrumentId], writer: TapeWriter) -> None:
    """Say what was known before `from_ns`, as if it were told then: rules, whole books, the last ticker of each."""
    if from_ns <= tape.first_recv_ns:
        return
    books = Books()
    tickers: dict[InstrumentId, Ticker] = {}
    listings: dict[InstrumentId, InstrumentListed] = {}
    for event in events(tape, 0, from_ns):
        books.apply(event)
        match event:
            case Ticker():
                tickers[event.instrument] = event
            case InstrumentListed():
                listings[event.instrument.instrument_id] = event
            case InstrumentDelisted():
                listings.pop(event.instrument, None)
            case _:
                pass
    for name, listing in listings.items():
        if name in names:
            writer.add(msgspec.structs.replace(listing, ts_recv_ns=from_ns))
    for snapshot in books.snapshots(from_ns):
        if snapshot.instrument in names:
            writer.add(snapshot)
    for name, ticker in tickers.items():
        if name in names:
            writer.add(msgspec.structs.replace(ticker, ts_recv_ns=from_ns))
