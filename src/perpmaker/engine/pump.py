"""The pump: one event after the other into the core, what it says into journal, gateways, timers and log.

Everything private is written down before the core sees it, what the core concludes before its commands are carried out.
Events that a gateway emits while it submits wait for their turn. All of it runs on one thread, without a pause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from perpmaker.clock import Clock, cpu_ns
from perpmaker.engine.core import Engine, for_journal
from perpmaker.engine.failpoints import AFTER_ACK, AFTER_WRITE, BEFORE_SIGN, Failpoints
from perpmaker.engine.journal import Journal
from perpmaker.engine.recording import EngineRecording, NoRecording
from perpmaker.engine.records import FillBooked, Happened, Latch, Record, Said
from perpmaker.engine.telemetry import Telemetry
from perpmaker.engine.timers import LoopTimers, Timers
from perpmaker.engine.view import View
from perpmaker.model.commands import (
    CancelAll,
    CancelOrders,
    Command,
    Notice,
    QueryOrders,
    ReplaceOrders,
    RequestSnapshot,
    SetTimer,
    SubmitOrders,
)
from perpmaker.model.events import Bar, BookDelta, BookSnapshot, Event, Operator, OrderReport, Source, Trade
from perpmaker.model.ids import AccountId
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import OrderGateway

STALL_NS: Final = 2 * NS_PER_S
"""A gap in the loop after which nothing that was believed before it may be acted on (RELIABILITY P4, P11)."""
_RESERVED: Final = frozenset({"event", "exc_info", "stack_info", "level", "ts", "self"})
"""Words of the logger that a strategy's notice may use for fields of its own."""
_LEVELS: Final = ("debug", "info", "warning", "error")


class Pump:
    """Feeds one engine. `take` is the sink of feeds, gateways, timers and the control server."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        *,
        clock: Clock,
        telemetry: Telemetry,
        view: View,
        log: Any,
        offer: Callable[[Record, int], None],
        on_latch: Callable[[Latch], None],
        on_epoch: Callable[[int], None],
        on_fatal: Callable[[Exception], None],
        failpoints: Failpoints,
        recording: EngineRecording | None = None,
        timers: Timers | None = None,
    ) -> None:
        self.gateways: dict[AccountId, OrderGateway] = {}
        self.events = 0
        self.dead = False
        """After a mistake of the core's own nothing is fed to it any more."""
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._telemetry = telemetry
        self._view = view
        self._log = log
        self._offer = offer
        self._on_latch = on_latch
        self._on_epoch = on_epoch
        self._on_fatal = on_fatal
        self._failpoints = failpoints
        self._recording = recording or NoRecording()
        self._timers: Timers = timers or LoopTimers(clock, self.take)
        self._queue: deque[Event] = deque()
        self._busy = False
        self._beat_ns = clock.monotonic_ns()
        self._tick_to_order = telemetry.recorder("tick_to_order")
        self._used_cpu = telemetry.recorder("event")
        self._probe = StageProbe(telemetry, clock)
        self._unsynced_latch: Latch | None = None
        self._carriers: Mapping[type, Callable[[Any], None]] = {
            SetTimer: lambda c: self._timers.set(c.key, c.at_ns),
            SubmitOrders: self._submit,
            ReplaceOrders: self._replace,
            CancelOrders: lambda c: self.gateways[c.account].cancel(c.cancels),
            CancelAll: lambda c: self.gateways[c.account].cancel_all(c.instrument),
            QueryOrders: lambda c: self.gateways[c.account].query(c.client_order_ids),
            RequestSnapshot: lambda c: self.gateways[c.account].request_snapshot(c.fills_since_ns),
            Notice: self._tell,
        }
        engine.world.probe = self._probe

    def take(self, event: Event) -> None:
        """Process an event now, or after those before it."""
        self._queue.append(event)
        if self._busy:
            return
        self._notice_stall(event.ts_recv_ns)
        began_ns = cpu_ns()
        self._drain()
        self._used_cpu(cpu_ns() - began_ns)

    def begin(self) -> None:
        """Start the core; its first commands are carried out."""
        now_ns = self._clock.now_ns()
        commands = self._engine.start(now_ns)
        self._recording.began(now_ns, commands)
        self._carry_out(commands, 0)
        self._beat_ns = self._clock.monotonic_ns()

    def beat(self) -> None:
        """Say that the loop turns; called often, by the loop itself."""
        self._notice_stall(self._clock.now_ns())
        self._drain()

    def write(self, record: Record) -> None:
        """Append to the journal, and pass on to the store; a journal in trouble has said so itself."""
        try:
            self._journal.append(record)
        except OSError:
            return  # the journal told on_failure: new risk is blocked, everything that protects goes on
        self._offer(record, self._journal.record_number)

    def stop(self) -> None:
        self.dead = True
        self._timers.stop()

    # --- one event

    def _drain(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            while self._queue and not self.dead:
                self._process(self._queue.popleft())
        finally:
            self._busy = False

    def _process(self, event: Event) -> None:
        self.events += 1
        if isinstance(event, OrderReport) and event.source is Source.REPLY:
            self._failpoints.hit(AFTER_ACK)
        if isinstance(event, Trade | Bar):
            self._view.charts.on_event(event, self._engine.world.instruments.get(event.instrument))
        else:
            private = for_journal(event, self._engine.world)
            if private is not None:
                self.write(Happened(private, self._clock.now_ns()))
        self._recording.took(event)
        self._probe.begin()
        try:
            commands = self._engine.process(event)
            self._recording.answered(commands)
            received_ns = event.ts_recv_ns if isinstance(event, BookDelta | BookSnapshot) else 0
            self._carry_out(commands, received_ns)
        except Exception as error:  # noqa: BLE001 (the engine loop: our own books may be wrong, so nothing goes on)
            self.dead = True
            self._on_fatal(error)

    def _carry_out(self, commands: Sequence[Command], received_ns: int) -> None:
        for record in self._engine.take_records():
            self.write(record)
            if isinstance(record, FillBooked):
                self._view.on_fill(record)
            elif isinstance(record, Latch):
                self._unsynced_latch = record
        placed = False
        for command in commands:
            self._carriers[type(command)](command)
            placed = placed or isinstance(command, SubmitOrders | ReplaceOrders)
        if placed and received_ns:
            self._tick_to_order(self._clock.now_ns() - received_ns)
        if self._unsynced_latch is not None:
            latch, self._unsynced_latch = self._unsynced_latch, None
            self._on_latch(latch)
        world = self._engine.world
        if world.seen_epoch >= world.epoch:
            seen, world.seen_epoch = world.seen_epoch, 0
            self._on_epoch(seen)

    def _submit(self, command: SubmitOrders) -> None:
        self._failpoints.hit(BEFORE_SIGN)
        self.gateways[command.account].submit(command.orders)
        self._after_write()

    def _replace(self, command: ReplaceOrders) -> None:
        self._failpoints.hit(BEFORE_SIGN)
        self.gateways[command.account].replace(command)
        self._after_write()

    def _after_write(self) -> None:
        if self._failpoints.active:
            asyncio.get_running_loop().call_later(0.001, self._failpoints.hit, AFTER_WRITE)

    def _tell(self, notice: Notice) -> None:
        level = notice.level if notice.level in _LEVELS else "info"
        fields = {f"{key}_" if key in _RESERVED else key: value for key, value in notice.fields.items()}
        getattr(self._log, level)(notice.name, **fields)
        self.write(Said(notice.level, notice.name, notice.fields, notice.ts_ns))

    def _notice_stall(self, now_ns: int) -> None:
        """When the loop stood still, what is known is old: read everything anew before placing anything."""
        beat_ns = self._clock.monotonic_ns()
        gap_ns, self._beat_ns = beat_ns - self._beat_ns, beat_ns
        if gap_ns < STALL_NS:
            return
        reason = f"the event loop stood still for {gap_ns / NS_PER_S:.1f} s"
        self._log.error("loop_stalled", seconds=round(gap_ns / NS_PER_S, 1))
        self._queue.appendleft(Operator("", "resync", None, {"reason": reason}, "engine", now_ns))


class StageProbe:
    """Times the core's stages by laps since the event began."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._monotonic_ns = clock.monotonic_ns
        self._recorders = {name: telemetry.recorder(name) for name in ("book", "decide", "gate")}
        self._last_ns = 0

    def begin(self) -> None:
        self._last_ns = self._monotonic_ns()

    def lap(self, stage: str) -> None:
        now_ns = self._monotonic_ns()
        self._recorders[stage](now_ns - self._last_ns)
        self._last_ns = now_ns
