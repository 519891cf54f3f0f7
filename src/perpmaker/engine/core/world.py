"""Everything the core knows, and the questions its parts ask of it. It decides nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from perpmaker.engine.core.fees import Fees
from perpmaker.engine.core.ledger import Ledger
from perpmaker.engine.core.outbox import Outbox
from perpmaker.engine.core.slot import Ids, Slot
from perpmaker.engine.core.spec import Arming, EngineSpec, Probe, StrategySpec
from perpmaker.execution.guards import WorkingGuards
from perpmaker.execution.orders import OrderTable
from perpmaker.execution.reconcile import Reconcilers
from perpmaker.execution.working import LadderRules, WorkingOrders
from perpmaker.marketdata.book import BookWithout, OwnLevels
from perpmaker.marketdata.books import Books
from perpmaker.model.events import Bar, ConversionRate, Leverage
from perpmaker.model.ids import AccountId, ClientOrderIdParts, InstrumentId, StrategyId, client_order_id_parts
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S
from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.gate import Gate, ReadyState
from perpmaker.risk.halts import Halts
from perpmaker.risk.kill import KillLatch
from perpmaker.risk.limits import Limits
from perpmaker.strategies.api import Conversion

ENGINE_ITSELF: Final = StrategyId("engine")
"""Whose orders are that belong to no strategy: closings."""
BARS_KEPT: Final = 500


class World:
    """The core's state. `now_ns` is the receive time of the event being handled and never runs backwards."""

    def __init__(self, spec: EngineSpec, probe: Probe) -> None:
        self.spec = spec
        self.probe = probe
        self.now_ns = 0
        self.out = Outbox()
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.books = Books()
        self.kill = KillLatch()
        self.halts = Halts()
        self.id_bits: dict[AccountId, int] = {a.account: a.client_id_bits for a in spec.accounts}
        self.table = OrderTable(self.instruments, instance=spec.instance, epoch=spec.epoch, id_bits=self.id_bits)
        self.reconcilers = Reconcilers()
        self.limits: dict[AccountId, Limits] = {a.account: a.limits for a in spec.accounts}
        self.ledgers: dict[AccountId, Ledger] = {a.account: Ledger(a.account) for a in spec.accounts}
        self.account_books: dict[AccountId, AccountBook] = {name: ledger.book for name, ledger in self.ledgers.items()}
        self.gate = Gate(
            kill=self.kill,
            books=self.books,
            accounts=self.account_books,
            limits=self.limits,
            own_orders=self.table,
            readiness=self.reconcilers,
            halts=self.halts,
            armed=not spec.needs_arming,
        )
        self.arming: Arming | None = None
        self.fees = Fees(spec.fees)
        self.blocks: dict[str, str] = {}
        """Causes, with their reasons, for which the engine itself places no order: journal, clock, ..."""
        self.stopping = ""
        """Why the engine is stopping, "" while it is not."""
        self.kept_orders: dict[AccountId, int] = {}
        """Orders a second that quotes leave to the parent orders at work."""
        self.links: dict[str, bool] = {}
        self.available: dict[AccountId, Decimal] = {}
        """What each account could still use as margin, when it was last read whole."""
        self.leverages: dict[AccountId, dict[str, Leverage]] = {}
        self.conversions: dict[tuple[str, str], ConversionRate] = {}
        """The last rate told, by source and target currency."""
        self.bars: dict[tuple[InstrumentId, int], deque[Bar]] = {}
        """The last bars of each instrument and length, for strategies that start after them."""
        self.fills_total = 0
        self.orders_sent = 0
        self.orders_refused: dict[str, int] = {}
        self.epoch = spec.epoch
        self.seen_epoch = 0
        """The highest epoch of an order of this instance that the venue showed and the journal does not know of."""
        self.engine_ids = self._make_ids(0)
        self.slots: dict[StrategyId, Slot] = {}
        self._rules = {a.account: LadderRules(quote_life_ns=a.quote_life_s * NS_PER_S) for a in spec.accounts}
        self.numbers: dict[str, int] = {**spec.numbers, **{str(one.strategy): one.number for one in spec.strategies}}
        """Numbers of strategies in client order ids: a name keeps its number, a number its name."""
        self.resting_memos: dict[StrategyId, str] = {}
        """What strategies asked to remember that do not run in this life."""
        self.triggers: dict[AccountId, bool] = {a.account: a.triggers for a in spec.accounts}
        """Whether orders may wait for a price at the account's venue."""
        self._slot_of_number: dict[int, Slot] = {}
        for strategy in spec.strategies:
            self.add(strategy)

    def add(self, strategy: StrategySpec) -> Slot:
        """Make the slot of a strategy; it starts when its accounts are reconciled."""
        ids = self._make_ids(strategy.number)
        slot = Slot(strategy, ids, _MakeWorking(self.table, strategy, ids, self._rules))
        slot.memo = self.resting_memos.pop(strategy.strategy, "")
        self.slots[strategy.strategy] = self._slot_of_number[strategy.number] = slot
        self.numbers[strategy.strategy] = strategy.number
        return slot

    def remove(self, strategy: StrategyId) -> None:
        """Take a slot away, before the first event: its strategy was over in an earlier life."""
        slot = self.slots.pop(strategy)
        self._slot_of_number.pop(slot.spec.number, None)

    def adopt_epoch(self, epoch: int) -> None:
        """Hand out ids of a later boot epoch from now on."""
        self.epoch = epoch
        self.engine_ids.renew(epoch)
        for slot in self.slots.values():
            slot.ids.renew(epoch)

    def keep_bar(self, bar: Bar) -> None:
        """Keep a finished bar; one that is not newer than the last is no news."""
        kept = self.bars.get((bar.instrument, bar.interval_s))
        if kept is None:
            kept = self.bars[(bar.instrument, bar.interval_s)] = deque(maxlen=BARS_KEPT)
        if not kept or bar.open_ns > kept[-1].open_ns:
            kept.append(bar)

    def judge_arming(self) -> bool:
        """Open or shut the gate's arming by time and configuration; returns whether that changed."""
        arming = self.arming
        armed = not self.spec.needs_arming or (
            arming is not None and arming.config_hash == self.spec.config_hash and self.now_ns < arming.until_ns
        )
        changed = armed is not self.gate.armed
        self.gate.armed = armed
        return changed

    # --- questions

    def book_without_own(self, instrument: InstrumentId) -> BookWithout | None:
        """Return the book less our own orders, None unless it may be traded on."""
        own = self.table.own_levels(instrument) if self.spec.books_show_own else _NO_OWN
        return self.books.view_without(instrument, own, self.now_ns)

    def parts_of(self, account: AccountId, client_order_id: int) -> ClientOrderIdParts | None:
        """Return what an id of ours on an account says, None for another's."""
        return client_order_id_parts(client_order_id, self.id_bits.get(account, 64))

    def slot_of(self, strategy: StrategyId, account: AccountId, client_order_id: int) -> Slot | None:
        """Return the strategy an order belongs to, by name or, once forgotten, by its client order id."""
        slot = self.slots.get(strategy)
        if slot is not None:
            return slot
        parts = self.parts_of(account, client_order_id)
        if parts is None or parts.instance != self.spec.instance:
            return None
        return self._slot_of_number.get(parts.strategy)

    def traded(self, account: AccountId) -> list[InstrumentId]:
        """Return what an account trades: its strategies' instruments, and those named for people's orders."""
        of_strategies = [leg.instrument for s in self.slots.values() for leg in s.spec.legs if leg.account == account]
        named = [name for spec in self.spec.accounts if spec.account == account for name in spec.instruments]
        return list(dict.fromkeys([*of_strategies, *named]))

    def named(self) -> list[InstrumentId]:
        """Return the instruments of people's orders, over all accounts."""
        return list(dict.fromkeys(name for spec in self.spec.accounts for name in spec.instruments))

    def quote_allowance(self, account: AccountId) -> int:
        """Return how many orders quotes may place now: what the rate limit passes, less what is kept for parent orders."""
        return max(self.gate.allowance(account, self.now_ns) - self.kept_orders.get(account, 0), 0)

    def hindrance(self, account: AccountId, instrument: InstrumentId) -> str:
        """Return why no order that adds risk may be placed now, "" when one may."""
        shut = self._shut()
        if shut:
            return shut
        halt = self.halts.active.get(account)
        if halt is not None:
            return f"halted: {halt.text}"
        state = self.reconcilers.ready_state(account, instrument)
        if state is not ReadyState.READY:
            return _READY_TEXT[state]
        stale = self.books.stale_reason(instrument, self.now_ns)
        return "" if stale is None else f"book is stale: {stale.value}"

    def hindrance_of_guards(self, account: AccountId, instrument: InstrumentId) -> str:
        """Return why no protective order may be placed now, "" when one may. It passes halts and freezes."""
        shut = self._shut()
        if shut:
            return shut
        state = self.reconcilers.ready_state(account, instrument)
        if state in (ReadyState.STARTING, ReadyState.PRIVATE_DOWN):
            return _READY_TEXT[state]
        stale = self.books.stale_reason(instrument, self.now_ns)
        return "" if stale is None else f"book is stale: {stale.value}"

    def _shut(self) -> str:
        """Return why no order at all may be placed now, on whatever account."""
        if self.kill.latched:
            return f"killed: {self.kill.reason}"
        if self.stopping:
            return f"stopping: {self.stopping}"
        if not self.gate.armed:
            return "live trading is not armed"
        return next(iter(self.blocks.values())) if self.blocks else ""

    def make_guards(self, slot: Slot, instrument: InstrumentId) -> WorkingGuards:
        """Return what keeps a strategy's protective orders on an instrument, made when it is first asked for."""
        known = slot.guards.get(instrument)
        if known is None:
            account = slot.spec.account_of(instrument)
            known = slot.guards[instrument] = WorkingGuards(
                account=account,
                strategy=slot.spec.strategy,
                instrument=instrument,
                table=self.table,
                next_id=slot.ids.of(account),
            )
        return known

    def conversion(self, source: str, target: str) -> Conversion | None:
        """Return the last rate told for two currencies, turned round where only the other way was told."""
        if source == target:
            return Conversion(Decimal(1), "the same currency", self.now_ns)
        told = self.conversions.get((source, target))
        if told is not None:
            return Conversion(told.rate, told.told_by, told.ts_event_ns)
        told = self.conversions.get((target, source))
        return None if told is None else Conversion(1 / told.rate, told.told_by, told.ts_event_ns)

    def equity(self) -> Decimal | None:
        """The sum over all accounts in the reporting currency, None while one cannot be computed."""
        total = Decimal(0)
        for book in self.account_books.values():
            if book.equity is None:
                return None
            total += book.equity * self.worth(book.currency)
        return total

    @property
    def reporting_currency(self) -> str:
        """The currency of the first account that was opened; what the others hold is told in it."""
        return next((book.currency for book in self.account_books.values() if book.opened), "")

    def worth(self, currency: str) -> Decimal:
        """Return what one unit is worth in the reporting currency: the last rate told, else 1 (`rates`: assumed)."""
        found = self.conversion(currency, self.reporting_currency) if currency else None
        return Decimal(1) if found is None else found.rate

    def rates(self) -> dict[str, Conversion | None]:
        """Return what sums over accounts are made with, by foreign currency; None where 1 is assumed."""
        target = self.reporting_currency
        held = {book.currency for book in self.account_books.values() if book.opened} - {target}
        return {currency: self.conversion(currency, target) for currency in sorted(held)}

    def _make_ids(self, strategy: int) -> Ids:
        spec = self.spec
        return Ids(self.id_bits, instance=spec.instance, strategy=strategy, epoch=self.epoch, on_low=self._ids_low)

    def _ids_low(self) -> None:
        """Have the runtime take the next epoch, as it does when the venue shows a later one than the journal knows."""
        self.seen_epoch = max(self.seen_epoch, self.epoch)


class _MakeWorking:
    """Makes the ladder of one strategy on an instrument, on the account that works it."""

    def __init__(self, table: OrderTable, spec: StrategySpec, ids: Ids, rules: Mapping[AccountId, LadderRules]) -> None:
        self._table, self._spec, self._ids, self._rules = table, spec, ids, rules

    def __call__(self, instrument: InstrumentId) -> WorkingOrders:
        account = self._spec.account_of(instrument)
        return WorkingOrders(
            account=account,
            strategy=self._spec.strategy,
            instrument=instrument,
            table=self._table,
            next_id=self._ids.of(account),
            rules=self._rules[account],
        )


_NO_OWN: Final = OwnLevels({}, {})
_READY_TEXT: Final = {
    ReadyState.STARTING: "being reconciled with the venue",
    ReadyState.PRIVATE_DOWN: "the private stream is down",
    ReadyState.FROZEN: "frozen: a difference with the venue is unexplained",
}
