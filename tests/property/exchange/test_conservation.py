"""Whatever happens at the exchange, nothing appears from nowhere and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
from hypothesis import given, settings
from tests.property.exchange.operations import ACCOUNTS, Day, Operation, operations

from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.types import (
    FillReported,
    OrderStatus,
    OrderUpdated,
    OrderView,
    PositionCloseStatus,
    PositionHistoryRow,
    Side,
    TradePrinted,
)
from perpmaker.exchange.core.venue import Venue

NAMES = [instrument.name for instrument in DEFAULT_INSTRUMENTS]
ROOT = Path(__file__).resolve().parents[3]
FEW = settings(max_examples=120, deadline=None)


@FEW
@given(operations)
def test_positions_of_all_participants_sum_to_zero(day_plan: list[Operation]) -> None:
    day = Day()
    for operation in day_plan:
        day.do(operation)
        floor = day.venue._floor
        for listing in floor.listings.values():
            name = listing.instrument.name
            clients = [account.lots_in(name) for account in floor.accounts.values()]
            flow = [participant.lots[listing.index] for participant in floor.participants]
            assert sum(clients) + sum(flow) == 0
            assert listing.open_interest_lots == sum(max(lots, 0) for lots in (*clients, *flow))


@FEW
@given(operations)
def test_money_adds_up_to_the_deposits_exactly(day_plan: list[Operation]) -> None:
    day = Day()
    for operation in day_plan:
        day.do(operation)
        floor = day.venue._floor
        accounts = floor.accounts.values()
        entered = sum(position.cost_nano for account in accounts for position in account.positions.values())
        held = sum(account.balance_nano for account in accounts) - entered
        held += sum(participant.cash_nano for participant in floor.participants)
        held += floor.fees_collected_nano + floor.funding_collected_nano
        assert held == sum(account.deposits_nano for account in accounts)
        for account in accounts:
            charges = account.fees_nano + account.builder_fees_nano + account.funding_nano
            assert account.balance_nano == account.deposits_nano + account.realized_nano - charges
            for position in account.positions.values():
                assert (position.cost_nano == 0) if position.lots == 0 else (position.cost_nano * position.lots > 0)


@FEW
@given(operations)
def test_book_is_never_crossed_and_its_levels_are_their_orders(day_plan: list[Operation]) -> None:
    day = Day()
    replicas: dict[str, tuple[int, dict[tuple[Side, int], tuple[int, int]]]] = {name: (0, {}) for name in NAMES}
    for operation in day_plan:
        day.do(operation)
        for name in NAMES:
            book = day.venue.book(name)
            bid, ask = book.best_bid_ticks, book.best_ask_ticks
            assert bid is None or ask is None or bid < ask
            version, levels = replicas[name]
            changes = book.changes_since(version)
            assert changes is not None
            for side, changed in ((Side.BUY, changes.bids), (Side.SELL, changes.asks)):
                for level in changed:
                    levels[side, level.px_ticks] = (level.qty_lots, level.num_orders)
            replicas[name] = changes.version, {at: level for at, level in levels.items() if level[0]}
            for side in Side:
                shown = {(side, level.px_ticks): (level.qty_lots, level.num_orders) for level in book.depth(side)}
                assert shown == {at: level for at, level in replicas[name][1].items() if at[0] is side}
                for level in book.depth(side):
                    orders = book.orders_at(side, level.px_ticks)
                    assert level.qty_lots == sum(order.leaves_lots for order in orders)
                    assert all(order.leaves_lots > 0 for order in orders)
                    assert level.num_orders == len(orders)


@FEW
@given(operations)
def test_orders_are_never_overfilled_and_always_add_up(day_plan: list[Operation]) -> None:
    day = Day()
    for operation in day_plan:
        day.do(operation)
        for account in day.venue._floor.accounts.values():
            open_lots: dict[str, list[int]] = {}
            for order in account.active.values():
                assert order.cum_lots + order.leaves_lots + order.trimmed_lots == order.terms.qty_lots
                assert order.leaves_lots > 0
                waits = order.terms.trigger is not None and (not order.fired_ns or order.timer is not None)
                assert order.is_resting <= (order.status is OrderStatus.OPEN)
                assert order.is_resting or waits or order.status is OrderStatus.PENDING
                if not order.terms.reduce_only:
                    sides = open_lots.setdefault(order.terms.instrument, [0, 0])
                    sides[0 if order.side is Side.BUY else 1] += order.leaves_lots
                elif order.is_resting:
                    assert order.leaves_lots <= -order.side * account.lots_in(order.terms.instrument)
            for name, counted in account.open_lots.items():
                assert [counted.buys, counted.sells] == open_lots.get(name, [0, 0])
            assert len(account.active) <= 12


@FEW
@given(operations)
def test_order_stream_and_fills_tell_the_same_story(day_plan: list[Operation]) -> None:
    """By order id: fills sum to what the order says it traded; a terminal state is the last word; sides differ."""
    day = Day().run(day_plan)
    traded: dict[str, int] = {}
    fills: dict[str, int] = {}
    ended: set[str] = set()
    printed: dict[str, int] = {}
    for event in day.events:
        if isinstance(event, OrderUpdated) and event.order.order_id != "0x00":
            order_id, state = event.order.order_id, event.order.state
            assert order_id not in ended
            assert state.traded_lots >= traded.get(order_id, 0)
            traded[order_id] = state.traded_lots
            if state.status not in {OrderStatus.OPEN, OrderStatus.PENDING}:
                ended.add(order_id)
                assert state.book_lots == 0
            assert (state.status is OrderStatus.FILLED) <= (state.traded_lots == event.order.terms.qty_lots)
        elif isinstance(event, FillReported):
            fills[event.fill.order_id] = fills.get(event.fill.order_id, 0) + event.fill.qty_lots
            assert event.fill.qty_lots == printed[event.fill.trade_id]
        elif isinstance(event, TradePrinted):
            assert event.trade.trade_id not in printed
            printed[event.trade.trade_id] = event.trade.qty_lots
    assert {order_id: lots for order_id, lots in traded.items() if lots} == fills


@FEW
@given(operations)
def test_own_orders_never_trade_with_each_other(day_plan: list[Operation]) -> None:
    day = Day().run(day_plan)
    owners: dict[str, list[str]] = {}
    for event in day.events:
        if isinstance(event, FillReported):
            owner = "bob" if event.fill.sub_account_id == 21 else "alice"
            owners.setdefault(event.fill.trade_id, []).append(owner)
    assert all(len(set(names)) == len(names) for names in owners.values())


@FEW
@given(operations)
def test_same_operations_give_the_same_event_bytes(day_plan: list[Operation]) -> None:
    first, second = (event_bytes(Day().run(day_plan)) for _ in range(2))
    assert first == second


def event_bytes(day: Day) -> bytes:
    return msgspec.json.encode(day.events) + day.venue.export_state()


def test_two_processes_with_other_hash_seeds_give_the_same_event_bytes() -> None:
    """5,000 operations each; only the order of sets and of hashes could differ between the two."""
    script = (
        "import hashlib\n"
        "from tests.property.exchange.operations import Day, plan\n"
        "from tests.property.exchange.test_conservation import event_bytes\n"
        "print(hashlib.sha256(event_bytes(Day().run(plan(7, 5_000)))).hexdigest())\n"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert len(digests[0]) == 65
    assert digests[0] == digests[1]


@FEW
@given(operations)
def test_events_rebuild_the_books_of_every_account(day_plan: list[Operation]) -> None:
    day = Day().run(day_plan)
    rebuilt = Venue.restore(b"", DEFAULT_INSTRUMENTS, now_ns=day.venue.now_ns, events=day.events)
    reloaded = Venue.restore(day.venue.export_state(), DEFAULT_INSTRUMENTS, now_ns=day.venue.now_ns)
    for venue in (rebuilt, reloaded, day.venue):
        venue.fail_over()
    assert rebuilt.ledger() == reloaded.ledger() == day.venue.ledger()
    for account in ACCOUNTS:
        assert closed_orders(rebuilt, account) == closed_orders(reloaded, account) == closed_orders(day.venue, account)
        assert closed_positions(rebuilt, account) == closed_positions(day.venue, account)
        assert closed_positions(reloaded, account) == closed_positions(day.venue, account)


def closed_orders(venue: Venue, account: int) -> list[OrderView]:
    """By time; orders that end together do so in one order when they are cancelled, and in another after a restart, which
    also wakes triggers whose parent had traded before it ends them."""
    rows = [without_parent(view) for view in venue.order_history(account).rows]
    return sorted(rows, key=lambda view: (view.state.update_ns, view.terms.client_order_id))


def without_parent(view: OrderView) -> OrderView:
    if view.terms.trigger is None:
        return view
    trigger = msgspec.structs.replace(view.terms.trigger, parent=0)
    return msgspec.structs.replace(view, terms=msgspec.structs.replace(view.terms, trigger=trigger))


def closed_positions(venue: Venue, account: int) -> list[PositionHistoryRow]:
    return [row for row in venue.position_history(account).rows if row.status is PositionCloseStatus.CLOSED]
