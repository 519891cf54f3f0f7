"""What the gate guarantees whatever is asked of it, in any interleaving."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.execution.stage import BTC_ID, MAIN, OTHER, T0, Stage, fill, replaced, report

from perpmaker.execution.tracked import TrackedOrder
from perpmaker.model.events import CancelFailed, CancelSent, OrderEvent, OrderPrepared, SubmitUnknown, VenueStatus
from perpmaker.model.ids import StrategyId
from perpmaker.model.order import Approved, NewOrder, OrderState, Side
from perpmaker.risk.limits import Limits

ACCOUNTS = st.sampled_from([MAIN, OTHER])
TICKS = st.integers(599_950, 600_050)
LOTS = st.integers(2, 15)
WISH = st.tuples(st.just("order"), ACCOUNTS, st.sampled_from(Side), TICKS, LOTS, st.booleans())
ANSWER = st.tuples(
    st.sampled_from(["prepared", "open", "fill", "cancel", "cancel_failed", "canceled", "unknown", "rejected"]),
    st.integers(0, 50),
)
STEPS = st.lists(st.one_of(WISH, WISH, ANSWER), max_size=60)


def play(stage: Stage, steps: list[tuple], made: list[TrackedOrder]):  # type: ignore[no-untyped-def,type-arg]
    """Carry out wishes and answers in turn; yields after each."""
    for number, (kind, *what) in enumerate(steps):
        if kind == "order":
            account, side, ticks, lots, reduce_only = what
            order = stage.order(
                side,
                str(Decimal(ticks) / 10),
                str(Decimal(lots) / 1000),
                account=account,
                strategy=StrategyId(f"s{number % 3}"),
                reduce_only=reduce_only,
            )
            approved, _ = stage.table.admit(stage.gate, [order], stage.now)
            made += [stage.tracked(a.order.client_order_id, account) for a in approved]
        elif made:
            answer(stage, kind, made[what[0] % len(made)], number)
        yield


def answer(stage: Stage, kind: str, tracked: TrackedOrder, number: int) -> None:
    account, coid = tracked.order.account, tracked.client_order_id
    cum = str(tracked.filled_qty)
    lots = min(Decimal("0.001"), tracked.leaves_qty)
    events: dict[str, OrderEvent] = {
        "prepared": OrderPrepared(account, coid, T0),
        "open": report(coid, cum=cum, account=account),
        "cancel": CancelSent(account, coid, T0),
        "cancel_failed": CancelFailed(account, coid, False, "timeout", T0),
        "canceled": report(coid, VenueStatus.CANCELED, cum, account=account),
        "unknown": SubmitUnknown(account, coid, "timeout", T0),
        "rejected": report(coid, VenueStatus.REJECTED, cum, account=account),
        "fill": fill(
            coid,
            str(lots),
            str(tracked.order.px),
            tracked.order.side,
            trade=f"t{number}",
            account=account,
            at=T0 + number,
        ),
    }
    if kind == "fill" and not lots:
        return
    for change in stage.table.apply(events[kind]):
        if change.fill is not None:
            stage.accounts[account].on_fill(change.fill)
            stage.accounts[account].on_mark(BTC_ID, Decimal(60_000))


@given(STEPS)
def test_no_two_own_orders_can_ever_meet(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    stage = Stage()
    made: list[TrackedOrder] = []
    for _ in play(stage, steps, made):
        alive = [t for t in made if not t.is_terminal]
        buys = [t.order.px for t in alive if t.order.side is Side.BUY and t.order.px is not None]
        sells = [t.order.px for t in alive if t.order.side is Side.SELL and t.order.px is not None]
        assert max(buys, default=Decimal(0)) < min(sells, default=Decimal(10**9))


@given(STEPS)
def test_no_fill_of_anything_open_can_take_a_position_beyond_the_limit(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    limits = Limits(max_position_notional=Decimal(3000), orders_per_s=Decimal(1000), max_open_orders=1000)
    stage = Stage(limits)
    made: list[TrackedOrder] = []
    for _ in play(stage, steps, made):
        for account in (MAIN, OTHER):
            position = stage.accounts[account].position_qty(BTC_ID)
            exposure = stage.table.exposure(account, BTC_ID)
            for worst in (position + exposure.buy_qty, exposure.sell_qty - position):
                assert worst * 60_000 <= 3000 or worst <= abs(position)


@given(STEPS, st.integers(1, 6), st.integers(1, 3))
def test_counts_stay_inside_their_limits(steps: list[tuple], most_open: int, most_unknown: int) -> None:  # type: ignore[type-arg]
    limits = Limits(max_open_orders=most_open, max_unknown_orders=most_unknown, orders_per_s=Decimal(8))
    stage = Stage(limits)
    made: list[TrackedOrder] = []
    for _ in play(stage, steps, made):
        for account in (MAIN, OTHER):
            assert stage.table.open_count(account) <= most_open
    assert sum(t.order.account == MAIN and not t.order.reduce_only for t in made) <= 16  # two windows of one second


@given(STEPS, st.integers(0, 59))
def test_nothing_is_approved_once_the_latch_is_set(steps: list[tuple], killed_at: int) -> None:  # type: ignore[type-arg]
    stage = Stage()
    made: list[TrackedOrder] = []
    before = 0
    for number, _ in enumerate(play(stage, steps, made)):
        if number == killed_at:
            stage.kill.trip("operator", T0)
            before = len(made)
        if number > killed_at:
            assert len(made) == before


FIGURE = st.one_of(
    st.none(),
    st.sampled_from(
        [Decimal(x) for x in ("NaN", "sNaN", "Infinity", "-Infinity", "0", "-0", "1E+400", "1E-400", "-1")]
    ),
    st.decimals(allow_nan=True, allow_infinity=True),
)


@given(FIGURE, FIGURE, FIGURE, FIGURE)
def test_figures_out_of_this_world_are_refused_and_never_raise(
    px: Decimal | None, qty: Decimal | None, mark: Decimal | None, equity: Decimal | None
) -> None:
    stage = Stage()
    order: NewOrder = replaced(stage.order(), px=px, qty=qty if qty is not None else Decimal("NaN"))
    verdict = stage.gate.check(order, stage.now)
    assert isinstance(verdict, Approved) is _is_plain(order)
    stage.books._feeds[BTC_ID].prices._mark.px = mark
    stage.account._equity = None if equity is None or equity.is_snan() else equity
    poisoned = stage.gate.check(stage.order(), stage.now)
    if isinstance(poisoned, Approved):
        assert mark is not None
        assert stage.account._equity is not None
        assert abs(mark - Decimal(59_990)) * 100 <= mark
        assert stage.account._equity > Decimal(99_950)


def _is_plain(order: NewOrder) -> bool:
    px, qty = order.px, order.qty
    if px is None or not px.is_finite() or not qty.is_finite():
        return False
    near = Decimal(59_400) <= px <= Decimal(60_600) and px % Decimal("0.1") == 0
    small = 0 < qty < 1 and qty % Decimal("0.001") == 0 and qty * px >= 100 and qty * max(px, Decimal(60_000)) <= 1000
    return near and small


@given(STEPS)
def test_the_same_questions_get_the_same_answers(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    first, second = Stage(), Stage()
    made: tuple[list[TrackedOrder], list[TrackedOrder]] = [], []
    for _ in zip(play(first, steps, made[0]), play(second, steps, made[1]), strict=True):
        pass
    states: list[list[tuple[int, OrderState]]] = [[(t.client_order_id, t.state) for t in group] for group in made]
    assert states[0] == states[1]
