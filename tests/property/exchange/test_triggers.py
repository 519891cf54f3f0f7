"""A trigger fires at its price, never before it, never twice, and not one is missed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.exchange.operations import ACCOUNTS, BTC, ETH, START_NS, Day, Operation, operations

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.types import (
    FillReported,
    OrderUpdated,
    OrderView,
    Side,
    TradePrinted,
    TriggerBy,
    TriggerType,
)
from perpmaker.exchange.core.venue import Venue

FEW = settings(max_examples=40, deadline=None)
SIGHTS = frozenset(TriggerBy) - {TriggerBy.MID}
"""Prices that are looked at whenever they change; the mid is when the index is told."""


class WatchedDay(Day):
    """Writes down, apart from the venue, which prices there were: time, instrument, source, nano."""

    def __init__(self) -> None:
        self.sights: set[tuple[int, str, TriggerBy, int]] = set()
        super().__init__()

    def do(self, operation: Operation) -> None:
        for name in (BTC, ETH):
            self._look(name, *TriggerBy)
        super().do(operation)

    def _index(self, name: str, offset: int) -> None:
        self._look(name, TriggerBy.MID)
        super()._index(name, offset)
        self._look(name, TriggerBy.INDEX, TriggerBy.MARK)

    def _mark(self, name: str, offset: int) -> None:
        super()._mark(name, offset)
        self._look(name, TriggerBy.MARK)

    def _look(self, name: str, *sources: TriggerBy) -> None:
        ticker, rules = self.venue.ticker(name), self.venue.instrument(name)
        assert rules is not None
        prices = {
            TriggerBy.INDEX: ticker.index_nano,
            TriggerBy.MARK: ticker.mark_nano,
            TriggerBy.MID: ticker.mid_nano,
            TriggerBy.LAST: None if ticker.last_px_ticks is None else ticker.last_px_ticks * rules.tick_nano,
        }
        for by in sources:
            px_nano = prices[by]
            if px_nano is not None:
                self.sights.add((self.venue.now_ns, name, by, px_nano))

    def price(self, name: str, by: TriggerBy) -> int | None:
        return self.venue._floor.listings[name].price_by(by)

    def tick_nano(self, name: str) -> int:
        rules = self.venue.instrument(name)
        assert rules is not None
        return rules.tick_nano


def reached(order: OrderView, px_nano: int, tick_nano: int) -> bool:
    """Losses of a sale are below, of a purchase above; profits the other way round."""
    trigger = order.terms.trigger
    assert trigger is not None
    level = trigger.px_ticks * tick_nano
    below = (order.terms.side is Side.SELL) == (trigger.kind is TriggerType.STOP_LOSS)
    return px_nano <= level if below else px_nano >= level


@FEW
@given(operations)
def test_every_firing_has_a_price_that_reached_it(day_plan: list[Operation]) -> None:
    day = WatchedDay()
    day.run(day_plan)
    day.sights |= {
        (
            event.trade.event_ns,
            event.trade.instrument,
            TriggerBy.LAST,
            event.trade.px_ticks * day.tick_nano(event.trade.instrument),
        )
        for event in day.events
        if isinstance(event, TradePrinted)
    }
    woken = woken_ns(day.events)
    for order in fired(day.events):
        name, trigger = order.terms.instrument, order.terms.trigger
        assert trigger is not None
        at_ns = order.state.fired_ns
        if at_ns == woken.get(order.order_id):
            if trigger.by is TriggerBy.MID:
                continue  # of the book as the parent's own trade left it: nobody else saw it
            at_ns = max(ns for ns, of, by, _ in day.sights if (of, by) == (name, trigger.by) and ns <= at_ns)
        seen = [px for ns, of, by, px in day.sights if (ns, of, by) == (at_ns, name, trigger.by)]
        assert any(reached(order, px, day.tick_nano(name)) for px in seen)


def woken_ns(events: list[Any]) -> dict[str, int]:
    """When the parents of triggers that had one were done with."""
    with_parent: set[str] = set()
    found: dict[str, int] = {}
    for event in events:
        if isinstance(event, OrderUpdated) and event.order.terms.trigger is not None:
            if event.order.terms.trigger.parent:
                with_parent.add(event.order.order_id)
            elif event.order.order_id in with_parent:
                found.setdefault(event.order.order_id, event.order.state.update_ns)
    return found


def fired(events: list[Any]) -> list[OrderView]:
    """Each order's first event that says it fired."""
    first: dict[str, OrderView] = {}
    for event in events:
        if isinstance(event, OrderUpdated) and event.order.state.fired_ns:
            first.setdefault(event.order.order_id, event.order)
    return list(first.values())


@FEW
@given(operations)
def test_no_order_waits_on_at_a_price_that_fires_it(day_plan: list[Operation]) -> None:
    day = WatchedDay()
    for operation in day_plan:
        day.do(operation)
        for account in ACCOUNTS:
            for order in day.venue.open_orders(account):
                trigger = order.terms.trigger
                if trigger is None or trigger.by not in SIGHTS or trigger.parent or order.state.fired_ns:
                    continue
                px_nano = day.price(order.terms.instrument, trigger.by)
                assert px_nano is None or not reached(order, px_nano, day.tick_nano(order.terms.instrument))


@FEW
@given(operations)
def test_order_fires_once_and_trades_only_after(day_plan: list[Operation]) -> None:
    day = Day().run(day_plan)
    last: dict[str, int] = {}
    triggers = {
        event.order.order_id for event in day.events if isinstance(event, OrderUpdated) and event.order.terms.trigger
    }
    for event in day.events:
        if isinstance(event, OrderUpdated) and event.order.order_id in triggers:
            before, told = last.get(event.order.order_id, 0), event.order.state.fired_ns
            assert told == before or (before == 0 and told == event.order.state.update_ns)
            last[event.order.order_id] = told
        elif isinstance(event, FillReported) and event.fill.order_id in triggers:
            assert 0 < last[event.fill.order_id] <= event.fill.event_ns


@FEW
@given(operations)
def test_of_a_pair_at_most_one_fires(day_plan: list[Operation]) -> None:
    day = Day().run(day_plan)
    pairs = [
        frozenset((order.terms.client_order_id, order.terms.trigger.counterpart))
        for order in fired(day.events)
        if order.terms.trigger is not None and order.terms.trigger.counterpart
    ]
    assert len(pairs) == len(set(pairs))


@FEW
@given(operations)
def test_trigger_with_a_parent_waits_for_its_trade_and_never_outlives_it_else(day_plan: list[Operation]) -> None:
    day = Day()
    for operation in day_plan:
        day.do(operation)
        for account in ACCOUNTS:
            active = {order.terms.client_order_id: order for order in day.venue.open_orders(account)}
            for order in active.values():
                trigger = order.terms.trigger
                if trigger is not None and trigger.parent:
                    assert trigger.parent in active
                    assert not order.state.fired_ns
    traded = {event.fill.order_id for event in day.events if isinstance(event, FillReported)}
    ids = {
        (event.order.terms.sub_account_id, event.order.terms.client_order_id): event.order.order_id
        for event in day.events
        if isinstance(event, OrderUpdated)
    }
    woken = woken_ns(day.events)
    for event in day.events:
        if isinstance(event, OrderUpdated) and event.order.terms.trigger and event.order.terms.trigger.parent:
            parent = ids[event.order.terms.sub_account_id, event.order.terms.trigger.parent]
            assert parent in traded or event.order.order_id not in woken


@settings(max_examples=40, deadline=None)
@given(operations, st.floats(0, 1))
def test_log_cut_anywhere_leaves_no_fired_order_to_fire_again(day_plan: list[Operation], share: float) -> None:
    day = Day().run(day_plan)
    kept = day.events[: max(len(ACCOUNTS), round(share * len(day.events)))]
    venue = Venue.restore(b"", DEFAULT_INSTRUMENTS, now_ns=START_NS, events=kept)
    gone = {order.order_id for order in fired(kept)}
    ended = {
        event.order.order_id for event in kept if isinstance(event, OrderUpdated) and not event.order.state.book_lots
    }
    for account in ACCOUNTS:
        for order in venue.open_orders(account):
            assert order.terms.trigger is not None
            assert order.order_id not in gone | ended
            if order.terms.trigger.counterpart:
                assert venue.order(account, client_order_id=order.terms.trigger.counterpart) in venue.open_orders(
                    account
                )
