"""Plays a recorded session through the core again: the same events have to give the same commands.

What differs is a mistake: time, randomness or state that reached the core by another way than its events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from perpmaker.config import Config
from perpmaker.engine.core import Engine, EngineSpec
from perpmaker.engine.recording import Session, untagged
from perpmaker.engine.records import decode
from perpmaker.engine.traded import strategy_spec
from perpmaker.errors import DataError
from perpmaker.model.commands import Command
from perpmaker.tape.session import Answered, Began, Took, read_session


class Difference(msgspec.Struct, frozen=True):
    """The first answer that was not the recorded one, as JSON lists of commands; `event` counts from 1, 0 is the start."""

    event: int
    recorded: str
    replayed: str


class Replayed(msgspec.Struct, frozen=True):
    """What a replay came to. The last event of a session that was killed may lack its answer; it is not compared."""

    events: int
    answers: int
    commands: int
    difference: Difference | None
    state_hash: str


def replay(
    path: Path, build: Callable[[Session], Engine] | None = None, steps: Callable[[int], None] = lambda events: None
) -> Replayed:
    """Play the session at `path`; stops at the first difference. Raises DataError when it cannot be read."""
    items = read_session(path)
    first = next(items)
    if not isinstance(first, Began):
        raise DataError(f"{path}: is no session of an engine")
    session = decode_session(first.text)
    engine = (build or engine_of)(session)
    answers = commands = events = 0
    given = engine.start(session.start_ns)
    engine.take_records()
    for item in chain(items, (None,)):
        if isinstance(item, Began):
            raise DataError(f"{path}: a second session begins after event {events}")
        if isinstance(item, Answered):
            answers += 1
            commands += len(given)
            replayed = encode_commands(given)
            if replayed != item.text:
                return Replayed(events, answers, commands, Difference(events, item.text, replayed), engine.state_hash())
            given = ()
            continue
        if given and item is not None:
            difference = Difference(events, "[]", encode_commands(given))
            return Replayed(events, answers, commands, difference, engine.state_hash())
        if isinstance(item, Took):
            events += 1
            given = engine.process(item.event)
            engine.take_records()
            if engine.world.seen_epoch >= engine.world.epoch:  # as the pump does, which answers it by an event
                engine.world.seen_epoch = 0
            if not events % 1000:
                steps(events)
    return Replayed(events, answers, commands, None, engine.state_hash())


def encode_commands(commands: Sequence[Command]) -> str:
    return msgspec.json.encode(commands).decode()


def decode_session(text: str) -> Session:
    """Return what a session began from; raise DataError when it is not readable."""
    try:
        session = msgspec.json.decode(text, type=Session)
    except msgspec.MsgspecError as error:
        raise DataError(f"the session's beginning cannot be read: {error}") from error
    if session.version != 1:
        raise DataError(f"the session was recorded by a newer build ({session.build})")
    return session


def engine_of(session: Session) -> Engine:
    """Build the core a session began with, restored as it was."""
    config = Config.model_validate(untagged(session.config))
    types = {field.name: field.type for field in msgspec.structs.fields(EngineSpec)}
    members: dict[str, Any] = {
        name: msgspec.convert(value, types[name], strict=False) for name, value in session.spec.items() if name in types
    }
    strategies = tuple(strategy_spec(row, session.numbers[row.name]) for row in config.strategy)
    engine = Engine(EngineSpec(strategies=strategies, **members))
    restore(engine, session)
    return engine


def restore(engine: Engine, session: Session) -> None:
    """Bring a core to where the session's began."""
    latch = session.latch
    if latch is not None:
        engine.restore_kill(latched=True, reason=latch.reason, since_ns=latch.ts_ns)
    engine.restore(session.checkpoint, [decode(record) for record in session.records])
