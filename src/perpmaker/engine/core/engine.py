"""The engine: a synchronous function from events to commands. Everything that decides is here or below, nothing that waits.

An event is handled to its end; conclusions the core draws on the way (an order retired, a position adjusted) are events
too and follow in the same call. Time is the receive time of the event; ids come from counters; so the same events give
the same commands, in any process, and a recorded session can be replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast, get_args

from perpmaker.engine.core.added import AddedStrategies
from perpmaker.engine.core.answers import Answer
from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.emptying import Emptyings
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.operators import Operators
from perpmaker.engine.core.orderflow import OrderFlow
from perpmaker.engine.core.reconciling import Reconciling
from perpmaker.engine.core.runner import Runner
from perpmaker.engine.core.slot import SlotState
from perpmaker.engine.core.spec import EngineSpec, NoProbe, Probe
from perpmaker.engine.core.state import CoreState, Restorer, decode_state, encode_state, state_hash, state_of
from perpmaker.engine.core.targets import Targets
from perpmaker.engine.core.world import World
from perpmaker.engine.records import Happened, Ready, Record
from perpmaker.model.commands import Command, Notice
from perpmaker.model.events import (
    AccountSnapshot,
    Bar,
    BookDelta,
    BookSnapshot,
    BookStale,
    Channel,
    ClockOffset,
    Connectivity,
    ConversionRate,
    Event,
    FeesTold,
    FundingPaid,
    InstrumentDelisted,
    InstrumentListed,
    LeverageTold,
    Operator,
    OrderEvent,
    PositionAdjusted,
    PositionReport,
    RateBudget,
    SnapshotFailed,
    Ticker,
    Timer,
    Trade,
)
from perpmaker.model.ids import AccountId
from perpmaker.model.units import NS_PER_MS, NS_PER_S

SECOND: Final = "second"
BOOKS: Final = "books"
MARK_EVERY_NS: Final = 10 * NS_PER_S
WARN_OFFSET_NS: Final = 500 * NS_PER_MS
MAX_OFFSET_NS: Final = 2 * NS_PER_S
_CLOCK: Final = "clock"


class Engine:
    """Build it, `restore` what the journal holds, `start` it, then `process` one event after the other."""

    def __init__(self, spec: EngineSpec, probe: Probe | None = None) -> None:
        self.world = World(spec, probe or NoProbe())
        self.desk = Desk(self.world)
        self.reconciling = Reconciling(self.world)
        self.executions = Executions(self.world, self.desk)
        self.targets = Targets(self.world, self.desk, self.executions)
        self.runner = Runner(self.world, self.desk, self.targets, self.executions)
        self.added = AddedStrategies(self.world, self.runner)
        self.emptyings = Emptyings(self.world, self.desk, self.reconciling)
        self.operators = Operators(
            self.world,
            self.desk,
            self.targets,
            self.executions,
            self.runner,
            self.emptyings,
            self.reconciling,
            self.added,
        )
        self._flow = OrderFlow(
            self.world, self.desk, self.runner, self.targets, self.executions, self.reconciling, self.operators
        )
        self._busy = False
        self._waiting: deque[Event] = deque()
        self._books_timer_ns = 0
        self._marked_ns = 0
        self._ready_told = False
        self.clock_offsets: dict[str, ClockOffset] = {}
        self.rate_budgets: dict[AccountId, RateBudget] = {}
        self._handlers: dict[type, Callable[[Any], None]] = {
            BookDelta: self._on_book,
            BookSnapshot: self._on_book,
            Trade: self._on_trade,
            Ticker: self._on_ticker,
            Bar: self.runner.on_bar,
            BookStale: self._on_book_news,
            InstrumentListed: self._on_listed,
            InstrumentDelisted: self._on_book_news,
            Connectivity: self._on_connectivity,
            ClockOffset: self._on_clock,
            RateBudget: self._on_budget,
            Timer: self._on_timer,
            Operator: self.operators.on_event,
            ConversionRate: self._on_conversion,
            LeverageTold: self._on_leverage,
            FeesTold: self.world.fees.on_told,
            AccountSnapshot: self._on_snapshot,
            SnapshotFailed: self._on_account_news,
            PositionReport: self._on_account_news,
            FundingPaid: self._flow.on_funding,
            PositionAdjusted: self._flow.on_adjustment,
            **dict.fromkeys(cast("tuple[type, ...]", get_args(OrderEvent)), self._flow.on_order_event),
        }

    # --- a life

    def restore_kill(self, *, latched: bool, reason: str, since_ns: int) -> None:
        """Take over the kill latch, before anything else."""
        self.world.kill.restore(epoch=self.world.spec.epoch, latched=latched, reason=reason, since_ns=since_ns)

    def restore(self, checkpoint: bytes | None, records: Iterable[Record]) -> None:
        """Rebuild what the journal holds; DataError when the checkpoint is not readable."""
        state = None if checkpoint is None else decode_state(checkpoint)
        Restorer(self.world, self.reconciling, self.executions, self.added).restore(state, records)

    def start(self, now_ns: int) -> Sequence[Command]:
        """Begin this life: reconcilers ask for their first pass as soon as their account's private stream is up.

        From here on time never runs backwards; the journal may come from a clock that was ahead of this one.
        """
        self.world.now_ns = now_ns
        self.world.judge_arming()
        self.reconciling.start()
        self.executions.resume()
        self.world.out.timer(SECOND, now_ns + NS_PER_S)
        self._drain()
        return self.world.out.take_commands()

    def process(self, event: Event) -> Sequence[Command]:
        """Handle an event to its end and return what is to be done; an event from within is queued, never nested."""
        self._waiting.append(event)
        if self._busy:
            return ()
        self._busy = True
        try:
            while self._waiting:
                self._handle(self._waiting.popleft())
                if self.world.out.evidence:
                    self._drain()
        finally:
            self._busy = False
        return self.world.out.take_commands()

    def take_records(self) -> list[Record]:
        """Return what the journal should hold of the events processed since the last call."""
        return self.world.out.take_records()

    # --- at rest

    def state(self) -> CoreState:
        return state_of(self.world, self.reconciling, self.executions, self.added)

    def checkpoint(self) -> bytes:
        return encode_state(self.state())

    def state_hash(self) -> str:
        return state_hash(self.world, self.reconciling, self.executions, self.added)

    def assert_identity(self) -> int:
        """Raise InvariantError unless every account's PnL parts sum to its change of equity; returns how many compared."""
        return sum(ledger.assert_identity() for ledger in self.world.ledgers.values())

    def answer(self, command_id: str) -> Answer | None:
        """Return what an operator's command came to."""
        return self.operators.answer(command_id)

    @property
    def ready(self) -> bool:
        """Whether every strategy has been started."""
        return all(slot.state is not SlotState.STARTING for slot in self.world.slots.values())

    @property
    def is_settled(self) -> bool:
        """Whether market data that no strategy hears of leads to nothing: all were started, no parent order is worked."""
        return self._ready_told and not self.runner.starting and not self.executions.are_working

    @property
    def verified_empty(self) -> bool:
        """Whether every account was seen without our orders twice since they were last all cancelled."""
        return all(self.emptyings.verified(account) for account in self.world.limits)

    # --- events

    def _handle(self, event: Event) -> None:
        world = self.world
        world.now_ns = max(world.now_ns, event.ts_recv_ns)
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        if not self._ready_told or self.runner.starting:
            self.runner.start_ready()
            if not self._ready_told:
                self._tell_ready()
        self.runner.settle()

    def _drain(self) -> None:
        """Process the core's own conclusions; each may lead to more."""
        while self.world.out.evidence:
            self._handle(self.world.out.evidence.popleft())

    def _on_book(self, event: BookDelta | BookSnapshot) -> None:
        world = self.world
        changed = world.books.apply(event)
        world.probe.lap("book")
        if changed:
            self._on_transitions()
        instrument = event.instrument
        book = world.book_without_own(instrument)
        if book is None:
            if changed:
                self._tell_stale(instrument)
            return
        mid_px = book.mid_px
        for ledger in world.ledgers.values():
            ledger.attribution.on_mid(instrument, mid_px, event.ts_event_ns)
        self.runner.on_book(instrument, book)
        self.executions.on_book(instrument)

    def _on_trade(self, trade: Trade) -> None:
        if self.world.books.apply(trade):
            self._on_transitions()
        self.executions.on_trade(trade)
        self.runner.on_trade(trade)

    def _on_ticker(self, ticker: Ticker) -> None:
        world = self.world
        if world.books.apply(ticker):
            self._on_transitions()
        prices = world.books.prices(ticker.instrument)
        if prices is not None and prices.mark_px is not None:
            for ledger in world.ledgers.values():
                self._flow.on_mark(ledger, ticker.instrument, prices.mark_px)
        self.runner.on_ticker(ticker)

    def _on_book_news(self, event: BookStale | InstrumentDelisted) -> None:
        if self.world.books.apply(event):
            self._on_transitions()
            self._tell_stale(event.instrument)

    def _on_listed(self, event: InstrumentListed) -> None:
        """New rules of an instrument (RELIABILITY E25): quotes on the old tick or lot are withdrawn and stated anew."""
        world, listed = self.world, event.instrument
        before = world.instruments.get(listed.instrument_id)
        if before == listed:
            return
        world.instruments[listed.instrument_id] = listed
        world.out.record(Happened(event, world.now_ns))
        if world.books.apply(event):
            self._tell_stale(listed.instrument_id)
        if before is not None:
            world.out.tell(Notice("warning", "instrument_changed", {"instrument": listed.instrument_id}, world.now_ns))
            for slot in world.slots.values():
                self.runner.touch(slot)

    def _on_transitions(self) -> None:
        """A book became usable or stale: keep the silence timer running while one is usable."""
        due_ns = self.world.books.next_silence_ns
        if due_ns and self._books_timer_ns <= self.world.now_ns:
            self._books_timer_ns = due_ns
            self.world.out.timer(BOOKS, due_ns)

    def _tell_stale(self, instrument: Any) -> None:
        world = self.world
        reason = world.books.stale_reason(instrument, world.now_ns)
        if reason is None:
            return
        fields = {"instrument": str(instrument), "reason": reason.value}
        world.out.tell_seldom(Notice("warning", "book_stale", fields, world.now_ns), str(instrument), reason.value)
        self.runner.on_stale(BookStale(instrument, reason, world.now_ns))
        self.executions.on_book(instrument)

    def _on_connectivity(self, event: Connectivity) -> None:
        world = self.world
        world.links[f"{event.name} {event.channel.value}"] = event.up
        level = "info" if event.up else "warning"
        fields = {"name": event.name, "channel": event.channel.value, "up": str(event.up), "reason": event.reason}
        world.out.tell(Notice(level, "link_changed", fields, world.now_ns))
        for transition in world.books.apply(event):
            self._tell_stale(transition.instrument)
        account = AccountId(event.name)
        if event.channel is not Channel.MARKET_DATA and account in world.ledgers:
            self.reconciling.on_event(account, event)
            if event.up and event.channel is Channel.PRIVATE:
                self._protect(account)
        self.runner.on_connectivity(event)

    def _protect(self, account: AccountId) -> None:
        """The account can be seen again: whatever of ours is still there was left alone meanwhile, so it goes."""
        if self.world.kill.latched:
            self.desk.cancel_all(account)
        else:
            self.desk.cancel_live(account, again=True, confirmed_only=True)

    def _on_clock(self, event: ClockOffset) -> None:
        """A venue clock far from ours makes signatures and ages meaningless (RELIABILITY T2)."""
        world = self.world
        world.books.apply(event)
        self.clock_offsets[event.exchange] = event
        offset_ms = event.offset_ns // NS_PER_MS
        sure_ns = abs(event.offset_ns) - event.round_trip_ns // 2
        if sure_ns > MAX_OFFSET_NS:
            text = f"our clock and {event.exchange}'s differ by {offset_ms} ms"
            arguments = {"cause": _CLOCK, "reason": text}
            self.operators.on_event(Operator("", "block", None, arguments, "engine", event.ts_recv_ns))
            return
        if _CLOCK in world.blocks:
            self.operators.on_event(Operator("", "unblock", None, {"cause": _CLOCK}, "engine", event.ts_recv_ns))
        if sure_ns > WARN_OFFSET_NS:
            fields = {"exchange": event.exchange, "offset_ms": str(offset_ms)}
            world.out.tell_seldom(Notice("warning", "clock_off", fields, world.now_ns), event.exchange)

    def _on_conversion(self, event: ConversionRate) -> None:
        self.world.conversions[(event.source, event.target)] = event

    def _on_leverage(self, event: LeverageTold) -> None:
        self.world.leverages[event.account] = event.leverages

    def _on_budget(self, event: RateBudget) -> None:
        self.rate_budgets[event.account] = event

    def _on_snapshot(self, event: AccountSnapshot) -> None:
        self.world.available[event.account] = event.available
        self._flow.on_snapshot(event)
        self.emptyings.on_snapshot(event)

    def _on_account_news(self, event: SnapshotFailed | PositionReport) -> None:
        self.reconciling.on_event(event.account, event)

    # --- timers

    def _on_timer(self, timer: Timer) -> None:
        if timer.key == SECOND:
            self._on_second()
        elif timer.key == BOOKS:
            self._on_silence()
        elif not (
            self.runner.on_timer(timer)
            or self.reconciling.on_timer(timer.key, timer)
            or self.targets.on_timer(timer)
            or self.executions.on_timer(timer)
            or self.emptyings.on_timer(timer.key)
        ):
            fields = {"key": timer.key}
            self.world.out.tell_seldom(Notice("warning", "timer_unknown", fields, self.world.now_ns), timer.key)

    def _on_silence(self) -> None:
        world = self.world
        self._books_timer_ns = 0
        for transition in world.books.advance(world.now_ns):
            self._tell_stale(transition.instrument)
        self._on_transitions()

    def _on_second(self) -> None:
        world = self.world
        world.out.timer(SECOND, world.now_ns + NS_PER_S)
        for ledger in world.ledgers.values():
            ledger.book.roll(world.now_ns)
            ledger.attribution.advance(world.now_ns + self._offset_ns())
            self._flow.judge(ledger)
        if world.now_ns - self._marked_ns >= MARK_EVERY_NS:
            self._marked_ns = world.now_ns
            self.assert_identity()
            for ledger in world.ledgers.values():
                self._flow.record_mark(ledger)
        self.added.look()
        self.desk.look_after_guards()
        if world.judge_arming():
            world.out.tell(Notice("warning", "arming_ended", {"engine": world.spec.name}, world.now_ns))
        for slot in world.slots.values():
            if slot.running and any(world.hindrance(leg.account, leg.instrument) for leg in slot.spec.legs):
                self.runner.touch(slot)

    def _tell_ready(self) -> None:
        """Say once that every strategy has started, before its first order leaves: a kill then is no failed start."""
        if self.ready:
            self._ready_told = True
            self.world.out.record(Ready(self.world.now_ns))
            self.world.out.tell(Notice("info", "engine_ready", {"engine": self.world.spec.name}, self.world.now_ns))

    def _offset_ns(self) -> int:
        """Venue time minus ours, as far as one number can say it for all exchanges."""
        return min((offset.offset_ns for offset in self.clock_offsets.values()), default=0)
