"""The market of a recorded session, as a tape: what its feeds told, without the session's own orders in the books.

A session's order is that of processing, in which times may step back, and its books hold what the engine itself quoted. So
it is no tape for a backtest as it is; this makes one of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeGuard

import msgspec

from perpmaker.engine.recording import Session
from perpmaker.engine.replaying import decode_session
from perpmaker.errors import DataError
from perpmaker.model.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    BookStale,
    Channel,
    ClockOffset,
    Connectivity,
    ConversionRate,
    Event,
    InstrumentListed,
    Operator,
    Ticker,
    Trade,
)
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.tape import live, own
from perpmaker.tape.own import NOTE, OwnLevels, OwnOrders
from perpmaker.tape.reader import open_tape
from perpmaker.tape.schema import SUFFIX, TapeInstrument
from perpmaker.tape.session import Began, Took, read_session
from perpmaker.tape.writer import TapeWriter

_FEED: Final = (BookSnapshot, BookDelta, BookStale, Trade, Ticker, Bar, ClockOffset, ConversionRate, InstrumentListed)


def write_market(path: Path, target: Path, *, to_command: bool = False) -> OwnLevels | None:
    """Write what a session's feeds told from the first listing on; a receive time that goes back is held at the last.

    `to_command` ends it before a person's first command. Returns what was taken out, None where the books never showed
    our orders: a paper session's. DataError when `path` is no session, misses its beginning or has no market.
    """
    if _is_tape(path):
        own.must_have_beginning(open_tape(path))
    instruments, ours = _heard(path)
    listed = [TapeInstrument(rules) for rules in instruments.values()]
    last_ns = 0
    with TapeWriter(target, listed, source=f"the feeds of session {path.resolve().name}") as writer:
        for event in _public(path, to_command=to_command):
            told = event if ours is None else ours.without(event)
            if told is None:
                continue
            recv_ns = max(last_ns, told.ts_recv_ns)
            writer.add(told if recv_ns == told.ts_recv_ns else msgspec.structs.replace(told, ts_recv_ns=recv_ns))
            last_ns = recv_ns
        if ours is not None:
            writer.notes[NOTE] = ours.describe()
    return ours


@contextmanager
def as_markets(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give the paths of tapes that can be played: for a session that of its market, made for as long as this lasts."""
    with TemporaryDirectory(prefix="perpmaker-session-") as folder:
        made: list[Path] = []
        for number, path in enumerate(paths):
            if not is_session(path):
                made.append(path)
                continue
            inside = Path(folder) / str(number)
            inside.mkdir()
            made.append(inside / f"{path.resolve().name.removesuffix(SUFFIX)}{SUFFIX}")
            write_market(path, made[-1])
        yield made


def is_session(path: Path) -> bool:
    """Whether a path is the recorded life of an engine: the folder or files it left, or the tape made of them."""
    files = sorted(path.glob(f"*{live.SUFFIX}")) if path.is_dir() else [path]
    if files and files[0].suffix == live.SUFFIX and files[0].exists():
        first = next(live.read_live(files[0]), None)
        return first is not None and first.tag == live.SESSION
    return _is_tape(path) and own.is_session(open_tape(path))


def _is_tape(path: Path) -> bool:
    return path.suffix == SUFFIX or (path.is_dir() and any(path.glob(f"*{SUFFIX}")))


def is_command(event: Event) -> TypeGuard[Operator]:
    """Say whether a person told the engine something; an epoch is the engine's own word."""
    return isinstance(event, Operator) and event.kind != "epoch"


def is_public(event: Event) -> bool:
    """Say whether the feeds told it."""
    return isinstance(event, _FEED) or (isinstance(event, Connectivity) and event.channel is Channel.MARKET_DATA)


def session_start(path: Path) -> Session:
    """Return what a session started from; DataError when it is none."""
    first = next(read_session(path))
    if not isinstance(first, Began):
        raise DataError(f"{path}: is no session of an engine")
    return decode_session(first.text)


def _heard(path: Path) -> tuple[dict[InstrumentId, Instrument], OwnLevels | None]:
    """Read a session once for what was listed, and for what of ours stood in its books."""
    shows_own = bool(session_start(path).spec.get("books_show_own", True))
    instruments: dict[InstrumentId, Instrument] = {}
    orders = OwnOrders()
    for item in read_session(path):
        if isinstance(item, Took):
            orders.hear(item.event)
            if isinstance(item.event, InstrumentListed):
                rules = item.event.instrument
                instruments[rules.instrument_id] = rules
    if not instruments:
        raise DataError(f"{path}: lists no instrument, so its market cannot be played")
    return instruments, orders.stood(instruments) if shows_own else None


def _public(path: Path, *, to_command: bool) -> Iterator[Event]:
    listed = False
    for item in read_session(path):
        if not isinstance(item, Took):
            continue
        event = item.event
        if to_command and is_command(event):
            return
        listed = listed or isinstance(event, InstrumentListed)
        if listed and is_public(event):
            yield event
