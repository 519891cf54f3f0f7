"""The desk: the one place where orders and cancels become commands, each order through the gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from perpmaker.engine.core.holds import (
    CANCEL_FIRST_NS,
    CANCEL_MOST_NS,
    CREATE_FIRST_NS,
    CREATE_MOST_NS,
    Hold,
    Ladder,
)
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.world import World
from perpmaker.execution.guards import Scene
from perpmaker.execution.tracked import OrderChange, TrackedOrder
from perpmaker.model.commands import CancelAll, CancelOrders, Notice, ReplaceOrders, SubmitOrders
from perpmaker.model.events import CancelFailed
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.order import Approved, CancelOrder, NewOrder, OrderState, OrderView, Refused

WORK_TIMER: Final = "work"
TTL_MS: Final = 5000
"""How long the venue keeps a cancel armed for an order that may still be on its way."""
_UNCONFIRMED: Final = (OrderState.PREPARED, OrderState.SENT, OrderState.UNKNOWN)


class Desk:
    """Submits, replaces, cancels. What the gate refuses is counted, told, and kept for the strategy to hear of."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.denied: list[tuple[StrategyId, OrderView]] = []
        """Refused orders whose strategies have not been told yet."""
        self.dirty: dict[tuple[StrategyId, InstrumentId], None] = {}
        """Ladders to look at again before the event is done with."""
        self.unguarded: dict[tuple[StrategyId, InstrumentId], None] = {}
        """Protective orders to look at again, likewise."""
        self._cancel_hold = Hold(CANCEL_FIRST_NS, CANCEL_MOST_NS)
        self._create_hold = Hold(CREATE_FIRST_NS, CREATE_MOST_NS)
        self._guard_hold = Hold(CANCEL_FIRST_NS, CANCEL_MOST_NS)
        self._orphan_hold = Hold(CREATE_FIRST_NS, CREATE_MOST_NS)
        """Of cancels of protective orders that nobody keeps: nothing hangs on these."""

    # --- ladders

    def work(self, slot: Slot, instrument: InstrumentId) -> None:
        """Bring the live orders to the wanted ladder, or pull them when that is what the situation asks for."""
        world = self._world
        wanted = slot.wanted.get(instrument)
        if wanted is None and instrument not in slot.ladders:
            return
        working, account = slot.working(instrument), slot.spec.account_of(instrument)
        ladder = (slot.spec.strategy, instrument)
        book = world.books.book(instrument, world.now_ns)
        rules = world.instruments.get(instrument)
        may_quote = slot.quoting_allowed and not world.hindrance(account, instrument)
        if wanted is None or not may_quote or book is None or rules is None:
            if not self._is_held(ladder, self._cancel_hold):
                self.cancel(working.pull())
            return
        if self._is_held(ladder, self._cancel_hold, self._create_hold):
            return
        if working.stands(wanted.bids, wanted.asks, instrument=rules, book=book, now_ns=world.now_ns):
            world.probe.lap("decide")
            return
        change = working.change(
            wanted.bids,
            wanted.asks,
            instrument=rules,
            book=book,
            now_ns=world.now_ns,
            allowance=world.quote_allowance(account),
        )
        world.probe.lap("decide")
        if change.is_empty:
            return
        approved = self._admit(change.orders)
        working.sent(change, [passed.order.client_order_id for passed in approved], world.now_ns)
        self._send(account, instrument, change.cancels, approved)

    def pull(self, slot: Slot) -> None:
        """Cancel every quote of a strategy."""
        for working in slot.ladders.values():
            self.cancel(working.pull())

    def cancel_failed(self, event: CancelFailed) -> None:
        """Hold the ladder's cancels back for a moment: the next one at once would fail for the same reason.

        One of a protective order says nothing of quotes, nor the other way round.
        """
        order = self._world.table.get(event.account, event.client_order_id)
        if order is not None:
            hold = self._cancel_hold
            if order.waits:
                hold = self._guard_hold if self._is_guarding(order) else self._orphan_hold
            hold.failed((order.order.strategy, order.order.instrument), self._world.now_ns)

    def learn(self, ladder: Ladder, change: OrderChange) -> None:
        """Hold creations back after one that could not be sent; go on after what succeeded."""
        if change.order is not None and change.order.waits:
            if change.after is OrderState.CANCELED:
                self._guard_hold.succeeded(ladder)
        elif change.after is OrderState.NOT_SENT:
            self._create_hold.failed(ladder, self._world.now_ns)
        elif change.after is OrderState.CANCELED:
            self._cancel_hold.succeeded(ladder)
        elif change.after is OrderState.OPEN:
            self._create_hold.succeeded(ladder)

    # --- protective orders

    def guard(self, slot: Slot, instrument: InstrumentId) -> None:
        """Bring the protective orders that wait at the venue to what is wanted."""
        world, guards = self._world, slot.guards.get(instrument)
        rules = world.instruments.get(instrument)
        if guards is None or rules is None or slot.state is SlotState.STARTING or world.stopping or world.kill.latched:
            return
        account = slot.spec.account_of(instrument)
        prices = world.books.prices(instrument)
        change = guards.step(
            Scene(
                now_ns=world.now_ns,
                instrument=rules,
                position=world.account_books[account].position_qty(instrument),
                mark_px=None if prices is None else prices.mark_px,
                hindrance=world.hindrance_of_guards(account, instrument),
            )
        )
        if change.cancels and not self._guard_hold.until_ns((slot.spec.strategy, instrument), world.now_ns):
            self.cancel(change.cancels)  # what is held back comes with the next second
        for order in change.orders:
            if not self.submit((order,)) and order.trigger is not None:
                denied = world.table.get(account, order.client_order_id)
                guards.denied(order.trigger.kind, "" if denied is None else denied.reason, world.now_ns)

    def touch_guards(
        self, account: AccountId, instrument: InstrumentId, *, refused: TrackedOrder | None = None
    ) -> None:
        """Have the protective orders of a position looked at again: it, or they, may have changed, or be in the way of a
        closing that was `refused`.
        """
        for slot in self._world.slots.values():
            if instrument in slot.guards and slot.spec.account_of(instrument) == account:
                if refused is not None:
                    slot.guards[instrument].give_way(refused.created_ns, self._world.now_ns)
                self.unguarded[(slot.spec.strategy, instrument)] = None

    def met(self, account: AccountId, instrument: InstrumentId, position: Decimal) -> None:
        """Have the protective orders of a position know how small it has been: the venue has trimmed them to that."""
        for slot in self._world.slots.values():
            if instrument in slot.guards and slot.spec.account_of(instrument) == account:
                slot.guards[instrument].met(position)

    def look_after_guards(self) -> None:
        """Look at every protective order once more, and cancel those that nobody asks for any more."""
        world = self._world
        for slot in world.slots.values():
            for instrument in slot.guards:
                self.unguarded[(slot.spec.strategy, instrument)] = None
        orphans = [
            tracked
            for tracked in world.table.live()
            if tracked.waits and tracked.own and not tracked.cancel_pending and not self._is_guarding(tracked)
            if not self._orphan_hold.until_ns((tracked.order.strategy, tracked.order.instrument), world.now_ns)
        ]
        self.cancel(self._cancel_of(tracked) for tracked in orphans)

    def _is_guarding(self, tracked: TrackedOrder) -> bool:
        """Whether a protective order has a strategy that keeps it, or that has not yet said whether it does."""
        slot = self._world.slots.get(tracked.order.strategy)
        if slot is None:
            return False
        return slot.state is SlotState.STARTING or tracked.order.instrument in slot.guards

    # --- single orders

    def submit(self, orders: Sequence[NewOrder]) -> Sequence[Approved]:
        """Pass orders through the gate and send what it approves."""
        approved: list[Approved] = []
        for order in orders:
            if self._world.blocks:
                self._refuse(Refused(order, "BLOCKED", next(iter(self._world.blocks.values()))))
                continue
            passed = self._admit((order,))
            approved += passed
            self._send(order.account, order.instrument, (), passed)
        return approved

    def refuse(self, order: NewOrder, code: str, text: str) -> None:
        """Refuse an order that does not even reach the gate: its strategy is paused, or the engine is stopping."""
        self._refuse(Refused(order, code, text))

    def cancel(self, cancels: Iterable[CancelOrder]) -> None:
        """Cancel single orders, one command per account."""
        by_account: dict[AccountId, list[CancelOrder]] = {}
        for cancel in cancels:
            by_account.setdefault(cancel.account, []).append(cancel)
        for account, batch in by_account.items():
            self._world.table.note_cancels(batch, self._world.now_ns)
            self._world.out.command(CancelOrders(account, tuple(batch)))

    def cancel_order(self, account: AccountId, client_order_id: ClientOrderId) -> None:
        """Cancel one of our orders, unless it has ended or a cancel is under way."""
        order = self._world.table.get(account, client_order_id)
        if order is not None and not order.is_terminal and not order.cancel_pending:
            self.cancel((self._cancel_of(order),))

    def cancel_live(
        self,
        account: AccountId,
        instrument: InstrumentId | None = None,
        strategy: StrategyId | None = None,
        *,
        again: bool = False,
        confirmed_only: bool = False,
        guards_too: bool = False,
    ) -> None:
        """Cancel our own live orders one by one; those with a cancel under way only `again`.

        What protects a position at the venue is left there, unless `guards_too`: it is kept by `guard` alone.
        With `confirmed_only` orders in question are left to reconciliation, which cancels them with a time-to-live of its
        own: the venue takes one such cancel of an order at a time.
        """
        live = self._world.table.live(account, instrument, strategy)
        self.cancel(
            self._cancel_of(order)
            for order in live
            if order.own
            and (guards_too or not order.waits)
            and (again or not order.cancel_pending)
            and not (confirmed_only and order.state in _UNCONFIRMED)
        )

    def cancel_all(self, account: AccountId) -> None:
        """Cancel everything of the account, orders in flight by their client order ids besides."""
        self._world.out.command(CancelAll(account, None))
        self.cancel_live(account, again=True, guards_too=True)

    def has_foreign(self, account: AccountId) -> bool:
        """Whether orders that are not ours stand on the account."""
        return any(not order.own for order in self._world.table.live(account))

    # --- inside

    def _is_held(self, ladder: Ladder, *holds: Hold) -> bool:
        """Whether a ladder has to wait; it is worked again when the wait is over."""
        until_ns = 0
        for hold in holds:
            until_ns = max(until_ns, hold.until_ns(ladder, self._world.now_ns))
        if not until_ns:
            return False
        self._world.out.timer(f"{WORK_TIMER} {ladder[0]} {ladder[1]}", until_ns)
        return True

    def _admit(self, orders: Sequence[NewOrder]) -> Sequence[Approved]:
        if not orders:
            return ()
        approved, refused = self._world.table.admit(self._world.gate, orders, self._world.now_ns)
        self._world.probe.lap("gate")
        for refusal in refused:
            self._refuse(refusal)
        return approved

    def _send(
        self,
        account: AccountId,
        instrument: InstrumentId,
        cancels: tuple[CancelOrder, ...],
        approved: Sequence[Approved],
    ) -> None:
        world = self._world
        world.orders_sent += len(approved)
        if cancels and approved:
            world.out.command(ReplaceOrders(account, instrument, cancels, tuple(approved)))
        elif approved:
            world.out.command(SubmitOrders(account, tuple(approved)))
        elif cancels:
            world.out.command(CancelOrders(account, cancels))

    def _refuse(self, refused: Refused) -> None:
        world, order = self._world, refused.order
        world.orders_refused[refused.code] = world.orders_refused.get(refused.code, 0) + 1
        known = world.table.get(order.account, order.client_order_id)
        view = (
            known.view()
            if known is not None
            else OrderView(
                order.client_order_id,
                order.instrument,
                order.side,
                order.px,
                order.qty,
                order.qty * 0,
                OrderState.DENIED,
                tag=order.tag,
                reason=f"{refused.code}: {refused.text}",
            )
        )
        if order.trigger is None:  # a protective one is the engine's business
            self.denied.append((order.strategy, view))
        fields = {
            "reason": refused.code,
            "text": refused.text,
            "strategy": order.strategy,
            "instrument": order.instrument,
            "client_order_id": str(order.client_order_id),
            "tag": order.tag,
        }
        world.out.tell_seldom(
            Notice("warning", "order_refused", fields, world.now_ns), refused.code, order.strategy, order.instrument
        )

    def _cancel_of(self, order: TrackedOrder) -> CancelOrder:
        return CancelOrder(
            account=order.order.account,
            instrument=order.order.instrument,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            ttl_ms=TTL_MS if order.state in _UNCONFIRMED else 0,
        )
