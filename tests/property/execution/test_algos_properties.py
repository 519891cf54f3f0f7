"""Parent orders under any sequence of evidence: inside the cap, inside the quantity, and an account that adds up."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.execution.algos.workbench import ASK, MS, Workbench

from perpmaker.execution.algos.moves import Child
from perpmaker.model.depth import worst_px
from perpmaker.model.order import OrderState, Side
from perpmaker.model.quote import Algorithm, Iceberg, Peg, Pov, Sweep, Twap, sweep

ALGORITHMS: tuple[Algorithm, ...] = (
    Sweep(),
    Sweep(cap_from="mid", max_slippage_bps=Decimal(2)),
    Sweep(leftover="rest"),
    sweep("iterative"),
    sweep("chunked", chunk_qty=Decimal("0.15")),
    Twap(duration_ms=10_000, slices=10, max_slippage_bps=Decimal(5)),
    Pov(participation=Decimal("0.5"), duration_ms=20_000, max_slippage_bps=Decimal(5)),
    Iceberg(display_qty=Decimal("0.1"), duration_ms=10_000, max_slippage_bps=Decimal(5)),
    Peg(maker_ms=3_000, max_slippage_bps=Decimal(5)),
)
CAP_BPS = Decimal(5)

LIVE = st.sampled_from([OrderState.SENT, OrderState.OPEN, OrderState.UNKNOWN, OrderState.CANCEL_SENT])
ENDS = st.sampled_from(
    [
        OrderState.CANCELED,
        OrderState.REJECTED,
        OrderState.DENIED,
        OrderState.NOT_SENT,
        OrderState.EXPIRED,
        OrderState.RETIRED,
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.integers(1, 3_000)),
        st.tuples(st.just("book"), st.integers(-300, 300)),
        st.tuples(st.just("no book"), st.just(0)),
        st.tuples(st.just("live"), LIVE, st.integers(0, 100), st.booleans()),
        st.tuples(st.just("end"), ENDS, st.integers(0, 100), st.booleans()),
        st.tuples(st.just("late fill"), st.integers(1, 100)),
        st.tuples(st.just("trade"), st.integers(1, 50)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=60,
)


class Account:
    """Plays evidence to a workbench and counts for itself what was executed."""

    def __init__(self, work: Workbench) -> None:
        self.work = work
        self.executed = Decimal(0)
        self.unbooked = Decimal(0)
        self.of_child = 0
        """Whose fills are still to come."""

    @property
    def last_is_live(self) -> bool:
        views = self.work.views
        return bool(views) and not list(views.values())[-1].state.is_terminal

    def play(self, step: tuple[object, ...]) -> None:
        work = self.work
        match step:
            case ("time", int(ms)):
                work.later(ms)
            case ("book", int(ticks)):
                work.now_ns += 50 * MS
                work.show(ask=ASK + ticks)
            case ("no book", _):
                work.book = None
            case (("live" | "end") as kind, OrderState() as state, int(percent), bool(booked)) if self.last_is_live:
                self.tell(kind, state, percent, booked=booked)
            case ("late fill", _) if self.unbooked:
                self.book()
            case ("trade", int(lots)):
                work.parent.note_trade(lots)
            case ("stop", _):
                work.parent.stop()

    def tell(self, kind: str, state: OrderState, percent: int, *, booked: bool) -> None:
        """Execute a share of what the child has left and say so."""
        work = self.work
        view, child = list(work.views.values())[-1], work.placed[-1]
        more = work.rules.round_qty((child.qty - view.cum_qty) * percent / 100)
        cum = view.cum_qty + more
        if cum == child.qty:
            state = OrderState.FILLED
        elif cum and kind == "end":
            state = OrderState.CANCELED
        self.executed += more
        if self.unbooked:
            self.book()
        work.end(cum, state, booked=booked)
        if not booked:
            self.unbooked, self.of_child = more, len(work.placed)

    def book(self) -> None:
        """Tell the fills that were stated before."""
        self.work.fill(self.unbooked, self.work.placed[self.of_child - 1].px, self.of_child)
        self.unbooked = Decimal(0)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ALGORITHMS), st.sampled_from(list(Side)), st.integers(1, 150), STEPS)
def test_never_beyond_the_cap_never_more_than_the_quantity_and_filled_plus_remaining_is_all(
    algorithm: Algorithm, side: Side, lots: int, steps: list[tuple[object, ...]]
) -> None:
    qty = Decimal(lots) / 100
    work = Workbench(str(qty), side, algorithm)
    account = Account(work)
    for step in steps:
        was_live = account.last_is_live
        move = work.act()
        if isinstance(move, Child):
            assert not was_live
            assert move.qty > 0
            assert account.executed + move.qty <= qty
            arrival = work.report().arrival
            assert arrival is not None
            assert (move.px - worst_px(work.rules, arrival.touch_px, side, CAP_BPS)) * side.sign <= 0
        account.play(step)
        report = work.report()
        assert report.filled_qty + report.remaining_qty == qty
        assert report.filled_qty == account.executed
        assert report.filled_qty <= qty


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ALGORITHMS), st.sampled_from(list(Side)), st.integers(1, 150), STEPS)
def test_every_parent_order_ends_soon_after_its_deadline_once_its_child_has_ended(
    algorithm: Algorithm, side: Side, lots: int, steps: list[tuple[object, ...]]
) -> None:
    work = Workbench(str(Decimal(lots) / 100), side, algorithm)
    account = Account(work)
    for step in steps:
        work.act()
        account.play(step)
    work.show()
    for _ in range(400):
        if account.last_is_live:
            account.tell("end", OrderState.CANCELED, 0, booked=True)
        work.act()
        if work.parent.is_over:
            break
        work.later(500)
    assert work.parent.is_over
    assert work.report().ending is not None
    assert work.act() is None
