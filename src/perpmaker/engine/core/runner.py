"""Runs the strategies: calls their hooks, carries out what they wish, and stops one that raises; the others go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perpmaker.engine.core.context import SlotContext
from perpmaker.engine.core.desk import WORK_TIMER, Desk
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.targets import Targets
from perpmaker.engine.core.wishes import check_wish
from perpmaker.engine.core.world import World
from perpmaker.engine.records import Decision, StrategyTold
from perpmaker.execution.tracked import TrackedOrder
from perpmaker.model.book import Book
from perpmaker.model.commands import Notice
from perpmaker.model.events import Bar, BookStale, Connectivity, Fill, Ticker, Timer, Trade
from perpmaker.model.guard import Guard
from perpmaker.model.ids import InstrumentId, StrategyId
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.gate import ReadyState
from perpmaker.strategies.api import Explained

MAX_CALLS: Final = 200
"""Hook calls of one strategy within one event: more is a loop that feeds itself (RELIABILITY M2)."""
SAMPLE_NS: Final = 10 * NS_PER_S
TURN_NS: Final = 1 * NS_PER_S
"""Decisions are written down every `SAMPLE_NS`, and when they turned, not more often than this."""
_TURNS: Final = ("model", "phase", "warming_up", "regime", "signal")
_DIGITS: Final = str.maketrans("", "", "0123456789.,-")
_BOOK_TIMER: Final = "book"
_STRATEGY_TIMER: Final = "strategy"


class Runner:
    """The hooks' caller."""

    def __init__(self, world: World, desk: Desk, targets: Targets, executions: Executions) -> None:
        self._world = world
        self._desk = desk
        self._targets = targets
        self._executions = executions
        self._contexts = {name: SlotContext(world, slot, executions) for name, slot in world.slots.items()}
        self._calls: dict[str, int] = {}
        self.starting: list[StrategyId] = list(world.slots)
        """Strategies that wait until they may start."""

    # --- events

    def on_book(self, instrument: InstrumentId, book: Book) -> None:
        """Tell the strategies that want to hear of this book now; the others get it when their interval is over."""
        for slot in self._hearing(instrument, "on_book"):
            interval_ns = slot.subscriptions[instrument].book_interval_ms * NS_PER_MS
            due_ns = slot.book_told_ns.get(instrument, 0) + interval_ns
            if not interval_ns or self._world.now_ns >= due_ns:
                self._tell_book(slot, instrument, book)
            elif instrument not in slot.book_pending:
                slot.book_pending.add(instrument)
                self._world.out.timer(f"{_BOOK_TIMER} {slot.spec.strategy} {instrument}", due_ns)

    def on_trade(self, trade: Trade) -> None:
        for slot in self._hearing(trade.instrument, "on_trade"):
            self._call(slot, "on_trade", trade)

    def on_ticker(self, ticker: Ticker) -> None:
        for slot in self._hearing(ticker.instrument, "on_ticker"):
            self._call(slot, "on_ticker", ticker)

    def on_bar(self, bar: Bar) -> None:
        self._world.keep_bar(bar)
        for slot in self._hearing(bar.instrument, "on_bar"):
            if bar.interval_s in slot.subscriptions[bar.instrument].bars_s:
                self._call(slot, "on_bar", bar)

    def on_stale(self, stale: BookStale) -> None:
        """A book may not be traded on any more: quotes are pulled, whatever the strategy makes of the news."""
        for slot in self._world.slots.values():
            if stale.instrument in slot.subscriptions or stale.instrument in slot.ladders:
                self._desk.dirty[(slot.spec.strategy, stale.instrument)] = None
                if slot.running:
                    self._call(slot, "on_connectivity", stale)

    def on_connectivity(self, event: Connectivity) -> None:
        for slot in self._world.slots.values():
            if event.name in slot.spec.accounts or event.name in self._exchanges(slot):
                self.touch(slot)
                if slot.running:
                    self._call(slot, "on_connectivity", event)

    def on_fill(self, slot: Slot, fill: Fill) -> None:
        if slot.running:
            self._call(slot, "on_fill", fill)

    def on_answer(self, slot: Slot, answer: str) -> None:
        slot.question = ""
        self._call(slot, "on_answer", answer)

    def on_told(self, slot: Slot, word: str) -> None:
        slot.question = ""
        self._call(slot, "on_told", word)

    def on_order(self, slot: Slot, tracked: TrackedOrder) -> None:
        instrument = tracked.order.instrument
        if instrument in slot.wanted or instrument in slot.ladders:
            self._desk.dirty[(slot.spec.strategy, instrument)] = None
        if "on_order" in slot.strategy.hooks and slot.running:
            self._call(slot, "on_order", tracked.view())

    def on_timer(self, timer: Timer) -> bool:
        """Deliver a strategy's timer or a conflated book, or work a ladder; returns whether the key was one of these."""
        kind, _, rest = timer.key.partition(" ")
        name, _, key = rest.partition(" ")
        slot = self._world.slots.get(StrategyId(name))
        if slot is None or kind not in (_BOOK_TIMER, _STRATEGY_TIMER, WORK_TIMER):
            return False
        if kind == WORK_TIMER:
            self._desk.dirty[(slot.spec.strategy, InstrumentId(key))] = None
            return True
        if kind == _STRATEGY_TIMER:
            if slot.running:
                self._call(slot, "on_timer", key)
            return True
        instrument = InstrumentId(key)
        slot.book_pending.discard(instrument)
        book = self._world.book_without_own(instrument)
        if book is not None and slot.running:
            self._tell_book(slot, instrument, book)
        return True

    # --- lives

    def start_ready(self) -> None:
        """Start the strategies whose instrument has become ready."""
        if not self.starting:
            return
        waiting: list[StrategyId] = []
        for name in self.starting:
            slot = self._world.slots[name]
            if slot.state is not SlotState.STARTING:
                continue
            states = [self._world.reconcilers.ready_state(leg.account, leg.instrument) for leg in slot.spec.legs]
            if all(state in (ReadyState.READY, ReadyState.FROZEN) for state in states):
                slot.state = SlotState.RUNNING
                self._start(slot)
            else:
                waiting.append(name)
        self.starting = waiting

    def tell_later(self, slot: Slot, word: str) -> None:
        """Keep what a person told a strategy that has not started: it places nothing before it has heard it."""
        slot.told = word
        self._world.out.record(StrategyTold(slot.spec.strategy, word, self._world.now_ns))

    def _start(self, slot: Slot) -> None:
        word = slot.told
        if not word:
            self._call(slot, "on_start")
            return
        slot.paused = True
        self._call(slot, "on_start")
        slot.paused = False
        if slot.running:  # one that failed has not heard it: it does when it starts again
            slot.told = ""
            self._world.out.record(StrategyTold(slot.spec.strategy, "", self._world.now_ns))
            self.on_told(slot, word)

    def add(self, slot: Slot) -> None:
        """Take in a strategy that was not there at the start."""
        self._contexts[slot.spec.strategy] = SlotContext(self._world, slot, self._executions)
        self.starting.append(slot.spec.strategy)

    def remove(self, slot: Slot) -> None:
        """Let go of a strategy that has not been started."""
        del self._contexts[slot.spec.strategy]
        self.starting.remove(slot.spec.strategy)

    def restart(self, slot: Slot) -> None:
        """Begin a failed or stopped strategy afresh."""
        slot.renew()
        self._contexts[slot.spec.strategy] = SlotContext(self._world, slot, self._executions)
        self.starting.append(slot.spec.strategy)
        self.start_ready()

    def stop(self, slot: Slot) -> None:
        """Stop a strategy in order: its last hook, then its orders."""
        if slot.running:
            self._call(slot, "on_stop")
        if slot.state is not SlotState.FAILED:
            slot.state = SlotState.STOPPED
        slot.wanted.clear()
        for account in slot.spec.accounts:
            self._desk.cancel_live(account, strategy=slot.spec.strategy, guards_too=True)
        for guards in slot.guards.values():
            guards.wanted = ()

    def touch(self, slot: Slot) -> None:
        """Have all ladders of a strategy looked at again."""
        for instrument in {**dict.fromkeys(slot.wanted), **dict.fromkeys(slot.ladders)}:
            self._desk.dirty[(slot.spec.strategy, instrument)] = None

    def settle(self) -> None:
        """Before an event is done with: tell of denials and ends of targets, work the orders that it concerned."""
        desk, executions, slots = self._desk, self._executions, self._world.slots
        while desk.dirty or desk.denied or desk.unguarded or executions.untold:
            if executions.untold:
                ended, executions.untold = executions.untold, []
                for report in ended:
                    owner = slots.get(report.order.strategy)
                    if owner is not None and owner.running:
                        self._call(owner, "on_execution", report)
            if desk.denied:
                denied, desk.denied = desk.denied, []
                for name, view in denied:
                    slot = slots.get(name)
                    if slot is not None and slot.running:
                        self._call(slot, "on_order", view)
            dirty, desk.dirty = desk.dirty, {}
            for name, instrument in dirty:
                desk.work(slots[name], instrument)
            unguarded, desk.unguarded = desk.unguarded, {}
            for name, instrument in unguarded:
                desk.guard(slots[name], instrument)
        if self._calls:
            self._calls.clear()

    # --- inside

    def _hearing(self, instrument: InstrumentId, hook: str) -> list[Slot]:
        return [
            slot
            for slot in self._world.slots.values()
            if hook in slot.strategy.hooks and instrument in slot.subscriptions and slot.running
        ]

    def _exchanges(self, slot: Slot) -> list[str]:
        listed = [self._world.instruments.get(leg.instrument) for leg in slot.spec.legs]
        return [instrument.exchange for instrument in listed if instrument is not None]

    def _tell_book(self, slot: Slot, instrument: InstrumentId, book: Book) -> None:
        slot.book_told_ns[instrument] = self._world.now_ns
        self._call(slot, "on_book", book)

    def _call(self, slot: Slot, hook: str, *arguments: object) -> None:
        if hook not in slot.strategy.hooks:
            return
        calls = self._calls[slot.spec.strategy] = self._calls.get(slot.spec.strategy, 0) + 1
        if calls > MAX_CALLS:
            self._fail(slot, f"called {MAX_CALLS} times by one event: it feeds itself")
            return
        try:
            getattr(slot.strategy, hook)(self._contexts[slot.spec.strategy], *arguments)
            check_wish(slot.wish)
        except Exception as error:  # noqa: BLE001 (a strategy's mistake stops that strategy, nothing else)
            slot.take_wish()
            self._fail(slot, f"{hook} raised {type(error).__name__}: {error}")
            return
        self._carry_out(slot)

    def _carry_out(self, slot: Slot) -> None:
        if slot.explained_ns == self._world.now_ns:
            self._sample(slot)
        if not slot.wish:
            return
        wish = slot.take_wish()
        for key, at_ns in wish.timers.items():
            self._world.out.timer(f"{_STRATEGY_TIMER} {slot.spec.strategy} {key}", at_ns)
        self._desk.cancel(wish.cancels)
        for instrument, ladder in wish.ladders.items():
            slot.wanted[instrument] = ladder
            self._desk.dirty.pop((slot.spec.strategy, instrument), None)
            self._desk.work(slot, instrument)
        if wish.orders:
            self._world.probe.lap("decide")
        for order in wish.orders:
            if not slot.quoting_allowed or self._world.stopping:
                self._desk.refuse(order, "PAUSED", "the strategy is paused or stopping")
            else:
                self._desk.submit((order,))
        for instrument, guards in wish.guards.items():
            self._protect(slot, instrument, guards)
        for instrument, (qty, algorithm) in wish.targets.items():
            self._targets.want(slot, instrument, qty, algorithm)

    def _protect(self, slot: Slot, instrument: InstrumentId, guards: tuple[Guard, ...]) -> None:
        if not self._world.triggers.get(slot.spec.account_of(instrument), False):
            return  # the context says so to who asks
        self._world.make_guards(slot, instrument).wanted = guards
        self._desk.unguarded.pop((slot.spec.strategy, instrument), None)
        self._desk.guard(slot, instrument)

    def _fail(self, slot: Slot, text: str) -> None:
        if slot.state is SlotState.FAILED:
            return
        slot.state, slot.error = SlotState.FAILED, text
        slot.wanted.clear()
        for account in slot.spec.accounts:
            self._targets.withdraw(account, strategy=slot.spec.strategy)
            self._desk.cancel_live(account, strategy=slot.spec.strategy)
        fields = {"strategy": slot.spec.strategy, "text": text}
        self._world.out.tell(Notice("error", "strategy_failed", fields, self._world.now_ns))

    def _sample(self, slot: Slot) -> None:
        """Write a decision down, its inputs with the quotes they led to, when it is time or when it turned."""
        since_ns = slot.explained_ns - slot.sampled_ns
        if since_ns < TURN_NS:
            return
        turn = tuple(turn_of(inputs) for inputs in slot.explained.values())
        if since_ns < SAMPLE_NS and turn == slot.sampled_turn:
            return
        slot.sampled_ns, slot.sampled_turn = slot.explained_ns, turn
        for instrument, inputs in slot.explained.items():
            self._world.out.record(
                Decision(slot.spec.strategy, instrument, plain(inputs), self._world.now_ns),
            )


def turn_of(inputs: Mapping[str, Explained]) -> tuple[object, ...]:
    """Return what of a decision is words: the regime, the signal, the reasons without their figures."""
    reasons = inputs.get("reasons")
    said = tuple(text.translate(_DIGITS) for text in reasons) if isinstance(reasons, tuple | list) else reasons
    return (*(inputs.get(name) for name in _TURNS), said)


def plain(inputs: Mapping[str, Explained]) -> dict[str, float | int | str | bool | list[str] | None]:
    """Return quoting inputs with sequences as lists."""
    return {
        key: value if isinstance(value, float | int | str | bool | None) else list(value)
        for key, value in inputs.items()
    }
