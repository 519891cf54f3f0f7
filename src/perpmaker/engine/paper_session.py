"""Plays a recorded paper session again with orders simulated anew: what the engine hears must be what it heard.

Of the recording only what came from outside is used: the public feed and what people asked for. Timers, acks, fills and
everything else of the account are made again by the simulated venue. So paper and backtest are shown to be one, on a
session that a live loop ran.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from perpmaker.clock import ManualClock
from perpmaker.config import Config
from perpmaker.engine.core import Engine
from perpmaker.engine.paper import PaperGateway
from perpmaker.engine.paper_venues import PaperVenues
from perpmaker.engine.recording import Session, untagged
from perpmaker.engine.replaying import decode_session, engine_of
from perpmaker.errors import ConfigError, DataError
from perpmaker.model.commands import (
    CancelAll,
    CancelOrders,
    Command,
    QueryOrders,
    ReplaceOrders,
    RequestSnapshot,
    SetTimer,
    SubmitOrders,
)
from perpmaker.model.events import Connectivity, Event, Fill, Timer
from perpmaker.model.ids import AccountId
from perpmaker.model.order import NewOrder
from perpmaker.tape.session import Began, Took, read_session


class PaperReplay(msgspec.Struct, frozen=True):
    """What a session and its replay have in common. `first_difference` is (recorded, replayed), None when there is none."""

    recorded: int
    """Events of timers and accounts."""
    replayed: int
    fills: tuple[Fill, ...]
    """As recorded."""
    fills_again: tuple[Fill, ...]
    first_difference: tuple[Event | None, Event | None] | None


def replay_paper(path: Path) -> PaperReplay:
    """Play the session at `path`; DataError when it is none, ConfigError when it is not one of paper."""
    items = read_session(path)
    first = next(items)
    if not isinstance(first, Began):
        raise DataError(f"{path}: is no session of an engine")
    session = decode_session(first.text)
    again = _Again(session)
    recorded: list[Event] = []
    for item in items:
        if not isinstance(item, Took):
            continue
        if again.is_from_outside(item.event):
            again.take(item.event)
        else:
            recorded.append(item.event)
    if recorded:
        again.until(recorded[-1].ts_recv_ns)
    return _compared(recorded, again.heard)


class _Again:
    """The session's engine beside simulated venues of the same seed."""

    def __init__(self, session: Session) -> None:
        config = Config.model_validate(untagged(session.config))
        if config.mode != "paper":
            raise ConfigError(f"the session was recorded with mode = {config.mode!r}; its orders were real")
        self.heard: list[Event] = []
        self._clock = ManualClock(session.start_ns)
        self._engine: Engine = engine_of(session)
        loop = cast(asyncio.AbstractEventLoop, _NoLoop())
        venues = PaperVenues(config, self._clock, loop, epoch=self._engine.world.epoch, on_fatal=_raise)
        self._paper = venues.clock
        self._paper.listen(self._hear)
        kill = self._engine.world.kill
        self._gateways: dict[AccountId, PaperGateway] = {
            name: venues.gateway(name, self._engine, _NoLog(), kill) for name in self._engine.world.limits
        }
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._carry_out(self._engine.start(session.start_ns))
        for gateway in self._gateways.values():
            gateway.open(self._hear)

    def is_from_outside(self, event: Event) -> bool:
        if isinstance(event, Connectivity):
            return AccountId(event.name) not in self._gateways
        return not isinstance(event, Timer) and not hasattr(event, "account")

    def take(self, event: Event) -> None:
        """Take in what the feed said, or a person."""
        self._set_clock(event.ts_recv_ns)
        self._paper.take(event)

    def until(self, ts_ns: int) -> None:
        self._set_clock(ts_ns)
        self._paper.now_ns()

    def _set_clock(self, ts_ns: int) -> None:
        self._clock.advance(max(0, ts_ns - self._clock.now_ns()))

    def _hear(self, event: Event) -> None:
        if not self.is_from_outside(event):
            self.heard.append(event)
        self._process(event)

    def _process(self, event: Event) -> None:
        """One event after the other, as the pump does."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                commands = self._engine.process(self._waiting.popleft())
                self._engine.take_records()
                self._carry_out(commands)
                if self._engine.world.seen_epoch >= self._engine.world.epoch:  # the pump answers by an event, recorded
                    self._engine.world.seen_epoch = 0
        finally:
            self._busy = False

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case SetTimer(key=key, at_ns=at_ns):
                    self._paper.timers.set(key, at_ns)
                case SubmitOrders(account=account, orders=orders):
                    self._gateways[account].submit(orders)
                case ReplaceOrders(account=account):
                    self._gateways[account].replace(command)
                case CancelOrders(account=account, cancels=cancels):
                    self._gateways[account].cancel(cancels)
                case CancelAll(account=account, instrument=instrument):
                    self._gateways[account].cancel_all(instrument)
                case QueryOrders(account=account, client_order_ids=wanted):
                    self._gateways[account].query(wanted)
                case RequestSnapshot(account=account, fills_since_ns=since_ns):
                    self._gateways[account].request_snapshot(since_ns)
                case _:
                    pass


def _compared(recorded: Sequence[Event], replayed: Sequence[Event]) -> PaperReplay:
    difference: tuple[Event | None, Event | None] | None = None
    for place in range(max(len(recorded), len(replayed))):
        one = recorded[place] if place < len(recorded) else None
        other = replayed[place] if place < len(replayed) else None
        if one != other:
            difference = one, other
            break
    return PaperReplay(
        recorded=len(recorded),
        replayed=len(replayed),
        fills=tuple(event for event in recorded if isinstance(event, Fill)),
        fills_again=tuple(event for event in replayed if isinstance(event, Fill)),
        first_difference=difference,
    )


class _NoLoop:
    """Nothing wakes by itself: every event of the feed brings the time on."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Any:
        return _NoHandle()


class _NoHandle:
    def cancel(self) -> None:
        """There is nothing to cancel."""


class _NoLog:
    """The session's journal was written when it ran."""

    def intent(self, order: NewOrder, signed: bytes) -> None:
        """Write nothing."""


def _raise(error: Exception) -> None:
    raise error
