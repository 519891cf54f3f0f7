"""On any tape: nothing is filled that did not trade or show, nothing twice, and the fill models keep their order."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.simulation.lab import BUY, MAIN, PLAIN, Lab

from perpmaker.model.events import Fill, OrderReport
from perpmaker.model.order import Side
from perpmaker.simulation import FillModel, QueueModel
from perpmaker.simulation.queue import PARTS, cancelled_ahead

BOUNDED = (FillModel.PESSIMISTIC, FillModel.QUEUE, FillModel.OPTIMISTIC)
lots = st.integers(0, 30)
trades = st.tuples(st.just("trade"), st.integers(95, 106), st.integers(1, 30), st.sampled_from(Side))
levels = st.tuples(st.just("level"), st.integers(95, 106), lots, st.sampled_from(Side))
quotes = st.tuples(st.just("quote"), st.integers(95, 106), st.integers(1, 20), st.sampled_from(Side))
taking = st.tuples(st.just("take"), st.integers(95, 106), st.integers(1, 40), st.sampled_from(Side))
Step = tuple[str, int, int, Side]


def opened(model: FillModel, **changes: object) -> Lab:
    lab = Lab(PLAIN, fill_model=model, **changes)  # type: ignore[arg-type]
    lab.book(0, {100: 10, 99: 20, 98: 5}, {101: 10, 102: 20, 103: 5})
    return lab


def play(lab: Lab, steps: list[Step]) -> None:
    """One step each 20 ms; levels are set only where they leave the sides apart."""
    for place, (kind, px, qty, side) in enumerate(steps):
        ms = 10 + 20 * place
        if kind == "trade":
            lab.trade(ms, px, qty, side)
        elif kind == "level":
            lab.level(ms, side, px, qty)
        elif kind == "quote":
            lab.quote(ms, side, px, qty)
        else:
            lab.take(ms, side, px, qty)
    lab.to(10 + 20 * len(steps) + 100)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(BOUNDED), st.lists(st.one_of(trades, levels, quotes, taking), max_size=40))
def test_books_and_money_add_up_whatever_happens(model: FillModel, steps: list[Step]) -> None:
    lab = opened(model)
    play(lab, steps)
    fills: list[Fill] = lab.of(Fill)
    account = lab.venue.accounts[MAIN]
    assert lab.position == sum(int(fill.side.sign * fill.qty) for fill in fills)
    assert account.balance == 1_000_000 + sum((fill.realized_pnl - fill.fee for fill in fills), Decimal(0))
    filled: Counter[int] = Counter()
    for fill in fills:
        filled[fill.client_order_id] += int(fill.qty)
    last = {report.client_order_id: report for report in lab.of(OrderReport)}
    for client_order_id, report in last.items():
        assert filled[client_order_id] == report.cum_qty <= report.qty
    assert {int(key) for key in account.live} == {
        key for key, report in last.items() if report.status.value in ("open", "pending")
    }


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(BOUNDED), st.lists(st.one_of(trades, quotes), max_size=40))
def test_no_trade_fills_more_than_its_size_however_many_orders_wait(model: FillModel, steps: list[Step]) -> None:
    """Without changes of the book only trades can fill what rests: none twice."""
    lab = opened(model)
    for place, (kind, px, qty, side) in enumerate(steps):
        ms = 10 + 20 * place
        if kind == "quote":
            lab.quote(ms, side, px, qty)
            continue
        lab.to(ms)
        before = sum(qty for _, qty in lab.fills())
        lab.trade(ms, px, qty, side)
        lab.to(ms + 15)
        assert sum(qty for _, qty in lab.fills()) - before <= qty


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(trades, levels), max_size=40), st.integers(96, 100), st.integers(1, 60))
def test_one_order_never_fills_more_pessimistically_nor_less_optimistically(
    steps: list[Step], px: int, qty: int
) -> None:
    filled = []
    for model, queue in (
        (FillModel.PESSIMISTIC, QueueModel.POWER),
        (FillModel.QUEUE, QueueModel.RISK_AVERSE),
        (FillModel.QUEUE, QueueModel.POWER),
        (FillModel.OPTIMISTIC, QueueModel.POWER),
    ):
        lab = opened(model, queue_model=queue)
        order = lab.quote(1, BUY, px, qty)
        lab.to(15)
        play(lab, steps)
        filled.append(sum(lots for _, lots in lab.fills(order)))
    assert filled == sorted(filled)


@given(
    st.sampled_from(QueueModel),
    st.integers(1, 10),
    st.integers(0, 1000 * PARTS),
    st.integers(0, 1000 * PARTS),
    st.integers(0, 1000 * PARTS),
)
def test_a_place_in_the_queue_stays_inside_of_what_is_left(
    model: QueueModel, exponent: int, ahead: int, behind: int, gone: int
) -> None:
    gone = min(gone, ahead + behind)
    before = cancelled_ahead(model, exponent, gone, ahead, behind)
    assert 0 <= before <= min(gone, ahead)
    assert gone - before <= behind
