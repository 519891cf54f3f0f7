"""The core at rest: what a checkpoint holds, and how a start rebuilds the core from it and from the records after it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, cast, get_args

import msgspec

from perpmaker.engine.core.added import AddedStrategies
from perpmaker.engine.core.executions import Executions
from perpmaker.engine.core.ledger import LedgerState
from perpmaker.engine.core.reconciling import Reconciling
from perpmaker.engine.core.slot import Slot
from perpmaker.engine.core.spec import Arming
from perpmaker.engine.core.world import World
from perpmaker.engine.records import (
    Closed,
    EquityMark,
    ExecutionBegun,
    ExecutionChild,
    ExecutionEnded,
    FillBooked,
    FreezesChanged,
    HaltChanged,
    Happened,
    Intent,
    Record,
    Remembered,
    StrategyAdded,
    StrategyRemoved,
    StrategyTold,
)
from perpmaker.errors import DataError
from perpmaker.execution.algos.parent import ParentAtRest
from perpmaker.execution.machine import OF_STATUS, step
from perpmaker.execution.tracked import OrderChange, TrackedOrder
from perpmaker.model.events import (
    AccountEvent,
    AccountSnapshot,
    Event,
    Fill,
    FundingPaid,
    InstrumentListed,
    Operator,
    OrderEvent,
    OrderPrepared,
    OrderReport,
    PositionAdjusted,
    Source,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId, TradeId, VenueOrderId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, OrderState, Side
from perpmaker.portfolio.trades import Booking
from perpmaker.risk.codes import Code
from perpmaker.risk.halts import Halt

VERSION: Final = 1
_PERSISTED: Final = (OrderState.SENT, OrderState.OPEN, OrderState.CANCEL_SENT, OrderState.UNKNOWN)
_ORDER_EVENTS: Final[tuple[type, ...]] = get_args(OrderEvent)
_PAUSES: Final = {
    "pause": True,
    "close": True,
    "resume": False,
    "pair_pause": True,
    "pair_resume": False,
    "pair_stop": False,
    "pair_close": False,
}
"""What commands make of a strategy: paused or not; those for pairs concern no other."""

_JOURNALLED: Final = (
    *(kind for kind in _ORDER_EVENTS if kind is not OrderPrepared),
    *get_args(AccountEvent),
    Operator,
)


def for_journal(event: Event, world: World) -> Event | None:
    """Return what the runtime writes down before the core sees an event: everything private and every command, else None.

    OrderPrepared is left out: the intent itself stands there. What is known already is left out too, so that a journal
    grows with what happens and not with how often it is repeated: a report that says of an order what is known of it,
    and of a later read of an account the orders and fills that are known.
    """
    if not isinstance(event, _JOURNALLED):
        return None
    if isinstance(event, OrderReport):
        return None if _is_known(event, world) else event
    if isinstance(event, AccountSnapshot) and event.account in world.ledgers:
        ledger = world.ledgers[event.account]
        if ledger.book.opened:
            return msgspec.structs.replace(
                event,
                open_orders=tuple(report for report in event.open_orders if not _is_known(report, world)),
                fills=tuple(fill for fill in event.fills if not ledger.knows(fill)),
            )
    return event


def _is_known(report: OrderReport, world: World) -> bool:
    order = world.table.get(report.account, report.client_order_id)
    return (
        order is not None
        and order.cum_qty == report.cum_qty
        and order.venue_order_id == report.venue_order_id
        and step(order.state, OF_STATUS[report.status]) == (order.state, False)
    )


class OrderAtRest(msgspec.Struct, frozen=True):
    """A live order of ours; whatever became of it since is the venue's to say."""

    order: NewOrder
    created_ns: int
    confirmed: bool
    venue_order_id: VenueOrderId | None
    cum_qty: Decimal


class CoreState(msgspec.Struct, frozen=True):
    """Everything a restart needs that the venue cannot tell."""

    version: int
    instruments: tuple[Instrument, ...]
    ledgers: tuple[LedgerState, ...]
    orders: tuple[OrderAtRest, ...]
    halts: tuple[HaltChanged, ...]
    freezes: tuple[FreezesChanged, ...]
    paused: tuple[StrategyId, ...]
    fills_total: int
    orders_sent: int
    arming: Arming | None
    executions: tuple[ParentAtRest, ...] = ()
    """Parent orders at work."""
    memos: dict[StrategyId, str] = {}
    """What strategies asked to remember."""
    added: tuple[StrategyAdded, ...] = ()
    """Strategies that people started and that are not over."""
    told: dict[StrategyId, str] = {}
    """What people told strategies that had not started."""


def state_of(world: World, reconciling: Reconciling, executions: Executions, added: AddedStrategies) -> CoreState:
    """Return the core at rest."""
    live = [order for order in world.table.live() if order.own and not order.adopted and order.state in _PERSISTED]
    working = tuple(executions.at_rest())
    children = {int(child.client_order_id) for parent in working for child in parent.children}
    still_live = frozenset({int(order.client_order_id) for order in live} | children)
    return CoreState(
        version=VERSION,
        instruments=tuple(world.instruments.values()),
        ledgers=tuple(ledger.state(still_live) for ledger in world.ledgers.values() if ledger.book.opened),
        orders=tuple(_at_rest(order) for order in live),
        halts=tuple(
            HaltChanged(halt.account, True, halt.code.value, halt.text, halt.flatten, "", halt.ts_ns)
            for halt in world.halts.active.values()
        ),
        freezes=tuple(
            FreezesChanged(account, frozen, world.now_ns)
            for account in world.ledgers
            if (frozen := reconciling.freezes(account))
        ),
        paused=tuple(name for name, slot in world.slots.items() if slot.paused),
        fills_total=world.fills_total,
        orders_sent=world.orders_sent,
        arming=world.arming,
        executions=working,
        memos={**world.resting_memos, **{name: slot.memo for name, slot in world.slots.items() if slot.memo}},
        added=added.at_rest(),
        told={name: slot.told for name, slot in world.slots.items() if slot.told},
    )


def encode_state(state: CoreState) -> bytes:
    return msgspec.msgpack.encode(state)


def decode_state(content: bytes) -> CoreState:
    """Read a checkpoint; raise DataError when it is of another build's form."""
    try:
        state = msgspec.msgpack.decode(content, type=CoreState)
    except (msgspec.DecodeError, ValueError) as error:
        raise DataError(f"the checkpoint is not readable by this build: {error}") from error
    if state.version != VERSION:
        raise DataError(f"the checkpoint has version {state.version}; this build reads {VERSION}")
    return state


def state_hash(world: World, reconciling: Reconciling, executions: Executions, added: AddedStrategies) -> str:
    """Return a digest of everything that decisions rest on; equal inputs give equal digests in every process."""
    state = state_of(world, reconciling, executions, added)
    orders = [(int(o.client_order_id), o.state.value, str(o.cum_qty), str(o.filled_qty)) for o in world.table.live()]
    slots = [
        (name, slot.state.value, slot.paused, repr(slot.wanted), _guards(slot)) for name, slot in world.slots.items()
    ]
    rest = (orders, slots, world.kill.current, world.kill.latched, world.stopping, sorted(world.orders_refused.items()))
    content = encode_state(state) + msgspec.json.encode(rest)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _guards(slot: Slot) -> list[tuple[InstrumentId, str, str]]:
    return [(name, repr(guards.wanted), guards.distrust) for name, guards in slot.guards.items()]


class Restorer:
    """Rebuilds a new core, before its first event, from a checkpoint and the records after it."""

    def __init__(self, world: World, reconciling: Reconciling, executions: Executions, added: AddedStrategies) -> None:
        self._world = world
        self._reconciling = reconciling
        self._executions = executions
        self._added = added
        self._paused: dict[StrategyId, bool] = {}
        self._told: dict[StrategyId, str] = {}
        self._unnumbered: dict[tuple[AccountId, TradeId, Side], FillBooked] = {}
        """Fills that were written down when they happened, whose booking the end of that life did not reach."""

    def restore(self, state: CoreState | None, records: Iterable[Record]) -> None:
        """Take over the state, then what happened after it. Pauses end with a life that ended in order."""
        for ledger in self._world.ledgers.values():
            ledger.replaying = True
        if state is not None:
            self._restore_state(state)
        for record in records:
            self._replay(record)
        self._number_the_rest()
        for ledger in self._world.ledgers.values():
            ledger.replaying = False
        for name, paused in self._paused.items():
            slot = self._world.slots.get(name)
            if slot is not None:
                slot.paused = paused
        for name, word in self._told.items():
            slot = self._world.slots.get(name)
            if slot is not None:
                slot.told = word
        self._added.settle()

    def _restore_state(self, state: CoreState) -> None:
        world = self._world
        for instrument in state.instruments:
            self._list(instrument)
        for order in state.orders:
            self._restore_order(order)
        for ledger_state in state.ledgers:
            ledger = world.ledgers.get(ledger_state.book.account)
            if ledger is None:
                for booked in ledger_state.fills:
                    self._note_elsewhere(booked.fill)
                continue
            ledger.restore(ledger_state)
            world.account_books[ledger.account] = ledger.book
            for booked in ledger_state.fills:
                world.table.apply(booked.fill)
                world.fees.on_fill(booked.fill)
        for halt in state.halts:
            self._restore_halt(halt)
        for parent in state.executions:
            self._executions.restore(parent)
        for freezes in state.freezes:
            self._reconciling.restore(freezes)
        self._paused.update(dict.fromkeys(state.paused, True))
        self._told.update(state.told)
        world.fills_total, world.orders_sent = state.fills_total, state.orders_sent
        world.arming = state.arming
        for added in state.added:
            self._added.restore(added)
        for name, memo in state.memos.items():
            self._recall(name, memo)

    def _recall(self, strategy: StrategyId, memo: str) -> None:
        slot = self._world.slots.get(strategy)
        if slot is not None:
            slot.memo = memo
        else:
            self._world.resting_memos[strategy] = memo

    def _restore_order(self, rest: OrderAtRest) -> None:
        self._world.table.restore(rest.order, rest.created_ns)
        if rest.confirmed:
            self._world.table.apply(
                OrderReport(
                    account=rest.order.account,
                    client_order_id=rest.order.client_order_id,
                    venue_order_id=rest.venue_order_id,
                    instrument=rest.order.instrument,
                    status=VenueStatus.OPEN,
                    cum_qty=rest.cum_qty,
                    avg_px=None,
                    reason="",
                    source=Source.JOURNAL,
                    ts_event_ns=rest.created_ns,
                    ts_recv_ns=rest.created_ns,
                )
            )

    def _replay(self, record: Record) -> None:
        world = self._world
        world.now_ns = max(world.now_ns, record.ts_ns)
        if isinstance(record, Intent):
            world.table.restore(record.order, record.ts_ns)
            world.orders_sent += 1
        elif isinstance(record, Happened):
            self._replay_event(record)
        elif isinstance(record, FillBooked):
            ledger = world.ledgers.get(record.fill.account)
            world.fills_total = record.number
            self._unnumbered.pop(_key(record.fill), None)
            if ledger is not None:
                ledger.replay_fill(record)
                world.fees.on_fill(record.fill)
            else:
                self._note_elsewhere(record.fill)
        elif isinstance(record, EquityMark):
            known = world.ledgers.get(record.account)
            if known is not None:
                known.replay_mark(record)
        elif isinstance(record, HaltChanged):
            self._restore_halt(record)
        elif isinstance(record, FreezesChanged):
            self._reconciling.restore(record)
        elif isinstance(record, ExecutionBegun):
            self._executions.restore(record.parent)
        elif isinstance(record, ExecutionChild):
            self._executions.restore_child(record)
        elif isinstance(record, ExecutionEnded):
            self._executions.restore_end(record)
        elif isinstance(record, Remembered):
            self._recall(record.strategy, record.memo)
        elif isinstance(record, StrategyAdded):
            self._added.restore(record)
            self._paused.pop(record.strategy, None)
            self._told.pop(record.strategy, None)
        elif isinstance(record, StrategyRemoved):
            self._added.forget(record.strategy)
        elif isinstance(record, StrategyTold):
            self._told[record.strategy] = record.word
        elif isinstance(record, Closed):
            self._paused.clear()

    def _replay_event(self, record: Happened) -> None:
        world, event = self._world, record.event
        if isinstance(event, InstrumentListed):
            self._list(event.instrument)
        elif isinstance(event, Operator):
            self._replay_command(event)
        elif isinstance(event, AccountSnapshot | FundingPaid | PositionAdjusted):
            self._replay_account(event, record.ts_ns)
        elif isinstance(event, _ORDER_EVENTS):
            evidence = cast(OrderEvent, event)
            if evidence.account in world.ledgers:
                world.ledgers[evidence.account].book.roll(record.ts_ns)
                self._book(world.table.apply(evidence))
            elif isinstance(evidence, Fill):
                self._note_elsewhere(evidence)
            elif world.table.knows(evidence.account, evidence.client_order_id):
                world.table.apply(evidence)

    def _note_elsewhere(self, fill: Fill) -> None:
        """Take in a fill of an account that this life does not have: no position, but the truth about its order."""
        self._world.table.apply(fill)
        self._executions.restore_fill(fill)

    def _replay_account(self, event: AccountSnapshot | FundingPaid | PositionAdjusted, ts_ns: int) -> None:
        ledger = self._world.ledgers.get(event.account)
        if ledger is None:
            return
        ledger.book.roll(ts_ns)
        if isinstance(event, FundingPaid):
            ledger.on_funding(event)
        elif isinstance(event, PositionAdjusted):
            ledger.on_adjustment(event)
        else:
            self._replay_snapshot(event)

    def _replay_snapshot(self, snapshot: AccountSnapshot) -> None:
        world = self._world
        ledger = world.ledgers[snapshot.account]
        if not ledger.book.opened:
            ledger.open(snapshot)
            for fill in snapshot.fills:
                world.table.remember(fill)
        self._book(world.table.apply_snapshot(snapshot))
        for payment in snapshot.funding:
            ledger.on_funding(payment)

    def _book(self, changes: Iterable[OrderChange]) -> None:
        for change in changes:
            if change.fill is None:
                continue
            ledger, fill = self._world.ledgers[change.account], change.fill
            booking, _ = ledger.on_fill(fill, StrategyId(""), None)
            if booking is Booking.NEW:
                strategy = StrategyId("") if change.order is None else change.order.order.strategy
                after = ledger.book.position_qty(fill.instrument)
                self._unnumbered[_key(fill)] = FillBooked(0, fill, strategy, after, None, self._world.now_ns)

    def _number_the_rest(self) -> None:
        """Finish the bookings that a kill cut off between the event and its consequence."""
        world = self._world
        for cut_off in self._unnumbered.values():
            world.fills_total += 1
            booked = msgspec.structs.replace(cut_off, number=world.fills_total)
            world.ledgers[booked.fill.account].replay_fill(booked)
            world.fees.on_fill(booked.fill)
            world.out.record(booked)

    def _replay_command(self, event: Operator) -> None:
        if event.kind == "arm" and event.arguments.get("until_ns", "").isdigit():
            self._world.arming = Arming(int(event.arguments["until_ns"]), event.arguments.get("config", ""))
        paused = _PAUSES.get(event.kind)
        if paused is None:
            return
        for name, slot in self._world.slots.items():
            traded = [None, *(leg.instrument for leg in slot.spec.legs)]
            concerned = bool(slot.spec.others) or not event.kind.startswith("pair_")
            if concerned and event.strategy in (None, name) and event.arguments.get("instrument") in traded:
                self._paused[name] = paused

    def _restore_halt(self, record: HaltChanged) -> None:
        if record.halted:
            halt = Halt(record.account, Code(record.code), record.text, record.flatten, record.ts_ns)
            self._world.halts.halt(halt)
        else:
            self._world.halts.resume(record.account, actor=record.actor or "unknown")

    def _list(self, instrument: Instrument) -> None:
        self._world.instruments[instrument.instrument_id] = instrument
        self._world.books.apply(InstrumentListed(instrument, self._world.now_ns))


def _key(fill: Fill) -> tuple[AccountId, TradeId, Side]:
    return fill.account, fill.trade_id, fill.side


def _at_rest(order: TrackedOrder) -> OrderAtRest:
    confirmed = order.state in (OrderState.OPEN, OrderState.CANCEL_SENT)
    return OrderAtRest(order.order, order.created_ns, confirmed, order.venue_order_id, order.cum_qty)
