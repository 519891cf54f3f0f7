"""The pump: one event after the other into the core, what it says into journal, gateways, timers and log.

Everything private is written down before the core sees it, what the core concludes before its commands are carried out.
Events that a gateway emits while it submits wait for their turn. All of it runs on one thread, and in one order: an event,
its commands, what they led to, and only then the next event from outside. Where a loop is lent (`later`) a long row of
these is cut into turns of it, so that nothing else has to wait for all; the order stays what it is without.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeGuard

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
from perpmaker.model.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    BookStale,
    Connectivity,
    Event,
    Operator,
    OrderNotSent,
    OrderReport,
    Source,
    Trade,
)
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Approved, TimeInForce
from perpmaker.model.units import NS_PER_S, NS_PER_US
from perpmaker.venues.api import OrderGateway, PreparingGateway

STALL_NS: Final = 2 * NS_PER_S
"""A gap in the loop after which nothing that was believed before it may be acted on (RELIABILITY P4, P11)."""
EVENT_NS: Final = 100 * NS_PER_US
"""After this much processor time in one turn of the loop the next event waits for another turn; so does one that comes in
the same step, but for a book."""
PLACING_NS: Final = 450 * NS_PER_US
"""The same for the next order to sign and the next request to write: what has been decided should leave soon."""
MAX_WAITING: Final = 32
"""When more events than this wait, each that comes has others processed, so that the row cannot grow without end."""
KILL: Final = "kill"
_BOOKS: Final = (BookDelta, BookSnapshot)
_PLACING: Final = (SubmitOrders, ReplaceOrders)
_CANCELLING: Final = (CancelOrders, CancelAll)
_IMMEDIATE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})
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
        self.later: Callable[[Callable[[], None]], object] | None = None
        """Calls what goes on in another turn of the loop (loop.call_soon); without it each row of work is done at once."""
        self._outside: deque[Event] = deque()
        self._inside: deque[Event] = deque()
        """What gateways emitted while they carried out: before everything from outside."""
        self._carrying: _Carrying | None = None
        self._goes_on = False
        self._withheld_until: Event | None = None
        """A kill or a standstill: nothing is placed any more before this event was processed."""
        self._lost_until: Event | None = None
        """A link was lost: until this was processed only what reduces at once is placed."""
        self._stale_until: dict[InstrumentId, BookStale] = {}
        """The same for the instruments whose book cannot be believed any more."""
        self._busy = False
        self._spent_ns = 0
        self._beat_ns = clock.monotonic_ns()
        self._tick_to_order = telemetry.recorder("tick_to_order")
        self._used_cpu = telemetry.recorder("event")
        self._probe = StageProbe(telemetry, clock)
        self._unsynced_latch: Latch | None = None
        self._carriers: Mapping[type, Callable[[Any], None]] = {
            SetTimer: lambda c: self._timers.set(c.key, c.at_ns),
            CancelOrders: lambda c: self.gateways[c.account].cancel(c.cancels),
            CancelAll: lambda c: self.gateways[c.account].cancel_all(c.instrument),
            QueryOrders: lambda c: self.gateways[c.account].query(c.client_order_ids),
            RequestSnapshot: lambda c: self.gateways[c.account].request_snapshot(c.fills_since_ns),
            Notice: self._tell,
        }
        engine.world.probe = self._probe

    def take(self, event: Event) -> None:
        """Process an event now, or after those before it; a person's command at once, with all that waits before it.

        A kill goes before all that waits.
        """
        if self._busy:
            self._inside.append(event)
            return
        self._notice_stall(event.ts_recv_ns)
        if isinstance(event, Operator) and event.kind == KILL:
            self._withheld_until = event
            self._outside.appendleft(event)
        else:
            self._outside.append(event)
            self._note_doubt(event)
        if isinstance(event, Operator):
            self._work(None)
        elif not self._goes_on or len(self._outside) > MAX_WAITING or self._is_urgent(event):
            self._work(self.later)

    def _note_doubt(self, event: Event) -> None:
        """What was decided before a lost link or book may not open anything after it."""
        if isinstance(event, BookStale):
            self._stale_until[event.instrument] = event
        elif isinstance(event, Connectivity) and not event.up:
            self._lost_until = event

    def begin(self) -> None:
        """Start the core; its first commands are carried out."""
        now_ns = self._clock.now_ns()
        commands = self._engine.start(now_ns)
        self._recording.began(now_ns, commands)
        self._conclude(commands, 0)
        self._work(None)
        self._beat_ns = self._clock.monotonic_ns()

    def beat(self) -> None:
        """Say that the loop turns; called often, by the loop itself."""
        self._notice_stall(self._clock.now_ns())
        if not self._goes_on:
            self._work(self.later)

    def settle(self) -> None:
        """Finish what is in hand, so that journal and core agree."""
        self._work(None)

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

    # --- turns

    def _work(self, later: Callable[[Callable[[], None]], object] | None) -> None:
        """Work until nothing waits, or, given a `later`, until this turn of the loop has lasted long enough."""
        if self._busy:
            return
        self._busy = True
        began_ns = mark_ns = now_ns = cpu_ns()
        try:
            while not self.dead and (self._carrying is not None or self._inside or self._outside):
                if later is not None and now_ns - began_ns > self._patience_ns():
                    break
                if self._carrying is not None:
                    self._carry_on(self._carrying, whole=later is None)
                else:
                    self._process((self._inside or self._outside).popleft())
                now_ns = cpu_ns()
                if self._carrying is None and not self._inside:
                    self._used_cpu(self._spent_ns + now_ns - mark_ns)
                    self._spent_ns, mark_ns = 0, now_ns
            self._spent_ns += now_ns - mark_ns
            if later is not None and now_ns - began_ns > EVENT_NS and not self._goes_on:
                self._goes_on = True
                later(self._go_on)
        except Exception as error:  # noqa: BLE001 (the engine loop: our own books may be wrong, so nothing goes on)
            self.dead = True
            self._on_fatal(error)
        finally:
            self._busy = False

    def _go_on(self) -> None:
        """Another turn of the loop: what waits goes on."""
        self._goes_on = False
        self._notice_stall(self._clock.now_ns())
        self._work(self.later)

    def _is_urgent(self, event: Event) -> bool:
        """Whether this is a book, and nothing waits before it."""
        return isinstance(event, _BOOKS) and len(self._outside) == 1 and not self._inside and self._carrying is None

    def _patience_ns(self) -> int:
        """How long a turn may have lasted for the next step still to belong to it; no cancel that was decided waits."""
        carrying = self._carrying
        if carrying is None:
            return EVENT_NS
        return NS_PER_S if any(isinstance(command, _CANCELLING) for command in carrying.commands) else PLACING_NS

    # --- one event

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
        commands = self._engine.process(event)
        self._recording.answered(commands)
        self._note_heard(event)
        self._conclude(commands, event.ts_recv_ns if isinstance(event, _BOOKS) else 0)

    def _note_heard(self, event: Event) -> None:
        """The core knows of it now, and its commands with it."""
        if event is self._withheld_until:
            self._withheld_until = None
        elif event is self._lost_until:
            self._lost_until = None
        elif isinstance(event, BookStale) and self._stale_until.get(event.instrument) is event:
            del self._stale_until[event.instrument]

    def _conclude(self, commands: Sequence[Command], received_ns: int) -> None:
        """Write down what the core made of an event; its commands are next."""
        for record in self._engine.take_records():
            self.write(record)
            if isinstance(record, FillBooked):
                self._view.on_fill(record)
            elif isinstance(record, Latch):
                self._unsynced_latch = record
        carrying = _Carrying(commands, received_ns)
        if commands:
            self._carrying = carrying
        else:
            self._carried(carrying)

    def _carry_on(self, carrying: _Carrying, *, whole: bool) -> None:
        """Carry out commands up to the next one that places, or one step of that."""
        commands = carrying.commands
        if commands and _places(commands[0]) and self._place(commands[0], carrying, whole=whole):
            commands.popleft()
        while commands and not _places(commands[0]):
            command = commands.popleft()
            self._carriers[type(command)](command)
        if not commands:
            self._carrying = None
            self._carried(carrying)

    def _carried(self, carrying: _Carrying) -> None:
        if carrying.placed and carrying.received_ns:
            self._tick_to_order(self._clock.now_ns() - carrying.received_ns)
        if self._unsynced_latch is not None:
            latch, self._unsynced_latch = self._unsynced_latch, None
            self._on_latch(latch)
        world = self._engine.world
        if world.seen_epoch >= world.epoch:
            seen, world.seen_epoch = world.seen_epoch, 0
            self._on_epoch(seen)

    def _place(self, command: SubmitOrders | ReplaceOrders, carrying: _Carrying, *, whole: bool) -> bool:
        """Sign one order ahead, or send the request; return whether that is done."""
        gateway = self.gateways[command.account]
        if self._is_withheld(command):
            self._withhold(command, gateway)
            carrying.unprepared = None
            return True
        if carrying.unprepared is None:
            self._failpoints.hit(BEFORE_SIGN)
            in_steps = len(command.orders) > 1 and isinstance(gateway, PreparingGateway)
            carrying.unprepared = deque(command.orders if in_steps else ())
        if carrying.unprepared and not whole and isinstance(gateway, PreparingGateway):
            gateway.prepare(carrying.unprepared.popleft())
            return False
        carrying.unprepared = None
        if isinstance(command, SubmitOrders):
            gateway.submit(command.orders)
        else:
            gateway.replace(command)
        carrying.placed = True
        self._after_write()
        return True

    def _is_withheld(self, command: SubmitOrders | ReplaceOrders) -> bool:
        if self._withheld_until is not None:
            return True
        if self._lost_until is None and not self._stale_until:
            return False
        orders = [approved.order for approved in command.orders]
        is_doubted = self._lost_until is not None or any(order.instrument in self._stale_until for order in orders)
        return is_doubted and not all(
            order.reduce_only and order.tif in _IMMEDIATE and order.trigger is None for order in orders
        )

    def _withhold(self, command: SubmitOrders | ReplaceOrders, gateway: OrderGateway) -> None:
        """Only the cancels go: a kill, a lost link or book, or a standstill came between decision and sending."""
        if isinstance(gateway, PreparingGateway):
            gateway.forget(command.orders)
        now_ns = self._clock.now_ns()
        for approved in command.orders:
            reason = "a kill, a lost link or book, or a standstill of the loop came before it left"
            self._inside.append(OrderNotSent(command.account, approved.order.client_order_id, reason, now_ns))
        if isinstance(command, ReplaceOrders) and command.cancels:
            gateway.cancel(command.cancels)

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
        resync = Operator("", "resync", None, {"reason": reason}, "engine", now_ns)
        self._outside.appendleft(resync)
        self._withheld_until = self._withheld_until or resync


class _Carrying:
    """The commands of one event that are still to be carried out."""

    __slots__ = ("commands", "placed", "received_ns", "unprepared")

    def __init__(self, commands: Sequence[Command], received_ns: int) -> None:
        self.commands = deque(commands)
        self.received_ns = received_ns
        self.placed = False
        self.unprepared: deque[Approved] | None = None
        """Orders of the first command that are to be signed ahead, None before that has begun."""


def _places(command: Command) -> TypeGuard[SubmitOrders | ReplaceOrders]:
    return isinstance(command, _PLACING)


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
