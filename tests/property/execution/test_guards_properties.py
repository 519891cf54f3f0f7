"""Protective orders at the venue, whatever happens: never too many, never long on the wrong side, never more exposure."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.execution.stage import BTC, BTC_ID, BUY, MAIN, MAKER, MS, SELL, D, S, Stage, fill, report

from perpmaker.execution.guards import GuardRules, Scene, WorkingGuards
from perpmaker.execution.tracked import TrackedOrder
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    OrderEvent,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.guard import Guard
from perpmaker.model.order import OrderState, Side, TriggerKind
from perpmaker.risk.limits import Limits

STEP_NS = 500 * MS
RULES = GuardRules(failed_hold_max_ns=40 * S)
ANSWER_STEPS = 4
"""The venue answers everything within two seconds."""
REPLACEMENT_NS = RULES.every_ns + 3 * ANSWER_STEPS * STEP_NS
LIMITS = Limits(orders_per_s=D(1000), max_open_orders=1000, max_position_notional=D(5000))
MOVES = st.tuples(
    st.sampled_from(["still", "still", "buy", "sell", "mark", "fail", "lose", "reject", "cancel", "bare"]),
    st.integers(0, 9),
)


class Story:
    """A position, a mark, and a venue that answers late and sometimes wrongly."""

    def __init__(self) -> None:
        self.stage = Stage(LIMITS)
        self.guards = WorkingGuards(
            account=MAIN, strategy=MAKER, instrument=BTC_ID, table=self.stage.table, next_id=self.stage.ids.next,
            rules=RULES,
        )  # fmt: skip
        self.mark = D(60_000)
        self.trades = 0
        self.due: list[tuple[int, OrderEvent]] = []
        self.refusal = ""
        self.hindrance = ""
        self.wants = True
        self.step = 0

    @property
    def position(self) -> Decimal:
        return self.stage.account.position_qty(BTC_ID)

    def live(self, kind: TriggerKind) -> list[TrackedOrder]:
        live = self.stage.table.live(MAIN, BTC_ID, MAKER)
        return [t for t in live if t.order.trigger is not None and t.order.trigger.kind is kind]

    def take(self, event: OrderEvent) -> None:
        for change in self.stage.table.apply(event):
            self.guards.on_change(change, self.stage.now)

    def later(self, steps: int, event: OrderEvent) -> None:
        self.due.append((self.step + steps, event))

    def trade(self, side: Side, lots: int) -> None:
        self.trades += 1
        self.stage.trade(side, str(D("0.001") * lots), str(self.mark), trade=f"t{self.trades}")

    def happen(self, what: str, which: int) -> None:
        if what in ("buy", "sell"):
            self.trade(BUY if what == "buy" else SELL, 5 * which + 1)
        elif what == "mark":
            self.mark += D(which - 4) * 20
        elif what in ("fail", "lose", "reject"):
            self.refusal = what
        elif what == "bare":
            self.wants = not self.wants
        elif what == "cancel":  # the venue cancels all by itself
            for kind in TriggerKind:
                for tracked in self.live(kind):
                    if tracked.state is OrderState.OPEN:
                        self.take(report(tracked.client_order_id, VenueStatus.CANCELED, at=self.stage.now))

    def advance(self, what: str, which: int) -> None:
        self.step += 1
        self.stage.now += STEP_NS
        self.stage.refresh(int(self.mark * 10) - 1, int(self.mark * 10) + 1)
        now = [event for at, event in self.due if at <= self.step]
        self.due = [(at, event) for at, event in self.due if at > self.step]
        for event in now:
            self.take(event)
        self.happen(what, which)
        entry = float(self.stage.account.position(BTC_ID).avg_entry_px)
        self.guards.wanted = self.wish(entry) if self.wants else ()
        self.work(which)

    def wish(self, entry: float) -> tuple[Guard, ...]:
        sign = (self.position > 0) - (self.position < 0)
        side = SELL if sign > 0 else BUY
        away = {TriggerKind.STOP_LOSS: 1 - sign * 0.01, TriggerKind.TAKE_PROFIT: 1 + sign * 0.01}
        return tuple(Guard(kind, side, entry * mult, D(20), 5.0) for kind, mult in away.items()) if sign else ()

    def work(self, which: int) -> None:
        stage = self.stage
        change = self.guards.step(Scene(stage.now, BTC, self.position, self.mark, self.hindrance))
        stage.table.note_cancels(change.cancels, stage.now)
        for cancel in change.cancels:
            coid = cancel.client_order_id
            self.take(CancelSent(MAIN, coid, stage.now))
            self.later(1 + which % ANSWER_STEPS, CancelReceived(MAIN, coid, stage.now))
            if which == 3:
                self.later(1, CancelFailed(MAIN, coid, False, "later", stage.now))
            else:
                self.later(1 + which % ANSWER_STEPS, report(coid, VenueStatus.CANCELED, at=stage.now))
        for order in change.orders:
            approved, refused = stage.table.admit(stage.gate, [order], stage.now)
            if refused:
                assert order.trigger is not None
                self.guards.failed(order.trigger.kind, "denied", stage.now)
            for one in approved:
                self.send(one.order.client_order_id, which)

    def send(self, coid: int, which: int) -> None:
        now, refusal, self.refusal = self.stage.now, self.refusal, ""
        if refusal == "fail":
            self.take(OrderNotSent(MAIN, coid, "no link", now))
            return
        self.take(OrderPrepared(MAIN, coid, now))
        if refusal == "reject":
            self.later(1, report(coid, VenueStatus.REJECTED, at=now))
            return
        if refusal == "lose":
            self.later(1, SubmitUnknown(MAIN, coid, "lost", now))
        self.later(1 + which % ANSWER_STEPS, report(coid, at=now))


@settings(max_examples=120, deadline=None)
@given(st.lists(MOVES, min_size=10, max_size=80))
def test_never_too_many_never_long_on_the_wrong_side_never_more_exposure(moves: list[tuple[str, int]]) -> None:
    story = Story()
    two_since = dict.fromkeys(TriggerKind, 0)
    for what, which in moves:
        story.advance(what, which)
        exposure = story.stage.table.exposure(MAIN, BTC_ID)
        assert (exposure.buy_qty, exposure.sell_qty) == (0, 0)
        assert story.stage.table.best_own_px(BTC_ID, BUY) is story.stage.table.best_own_px(BTC_ID, SELL) is None
        for kind in TriggerKind:
            live = story.live(kind)
            assert len(live) <= 2
            assert all(t.order.reduce_only for t in live)
            two_since[kind] = two_since[kind] + 1 if len(live) == 2 else 0
            assert two_since[kind] * STEP_NS <= REPLACEMENT_NS, "two for longer than a replacement takes"
            wrong = [t for t in live if t.order.side.sign * story.position >= 0]
            assert not [t for t in wrong if not t.cancel_pending], "not even being cancelled"


@settings(max_examples=25, deadline=None)
@given(st.lists(MOVES, max_size=40))
def test_once_all_is_quiet_exactly_what_is_wanted_stands(moves: list[tuple[str, int]]) -> None:
    story = Story()
    for what, which in moves:
        story.advance(what, which)
    story.wants, story.refusal, story.mark = True, "", D(60_000)
    for _ in range(int(2 * RULES.every_ns // STEP_NS)):
        story.advance("still", 0)
    while abs(story.position) > D("0.04"):
        story.trade(SELL if story.position > 0 else BUY, 10)
    story.mark -= 200
    if story.position:  # the entry moves: what stands is to be replaced
        story.trade(BUY if story.position > 0 else SELL, 30)
    story.mark = D(60_000)
    for _ in range(int(RULES.failed_hold_max_ns // STEP_NS)):
        story.advance("still", 0)
    entry = float(story.stage.account.position(BTC_ID).avg_entry_px)
    for guard in story.wish(entry):
        reached = guard.kind is TriggerKind.STOP_LOSS and guard.side.sign * (60_000 - guard.px) >= 0
        reached |= guard.kind is TriggerKind.TAKE_PROFIT and guard.side.sign * (60_000 - guard.px) <= 0
        standing = [t for t in story.live(guard.kind) if t.order.side is guard.side]
        if reached and not standing:
            continue  # it would have fired at once
        (tracked,) = standing
        assert tracked.state is OrderState.OPEN
        assert tracked.order.qty >= abs(story.position) or reached
        assert tracked.order.trigger is not None
        near = abs(float(tracked.order.trigger.px) / guard.px - 1) * 1e4
        assert near <= guard.tolerance_bps + 0.1 or reached
    if not story.position:
        assert not [t for kind in TriggerKind for t in story.live(kind)]


@pytest.mark.parametrize(
    ("wait_s", "mark", "is_trusted"),
    [
        (1, None, False),
        (3, None, True),
        (1, "59400", True),
        (1, "59401", False),
        (3, "59401", True),
        (3, "60000", False),
    ],
)
def test_one_that_trades_before_the_venues_mark_is_there_ends_it(
    wait_s: int, mark: str | None, is_trusted: bool
) -> None:
    story = Story()
    story.trade(BUY, 20)
    story.advance("still", 0)
    (stop,) = story.live(TriggerKind.STOP_LOSS)
    assert stop.order.trigger is not None
    assert stop.order.trigger.px == 59_400
    story.stage.now += wait_s * S
    mark_px = None if mark is None else D(mark)
    story.take(fill(stop.client_order_id, "0.02", "59390", SELL, trade="x", at=story.stage.now, mark_px=mark_px))
    assert bool(story.guards.distrust) is not is_trusted


def test_a_cancel_that_nobody_answers_leaves_two_and_never_three() -> None:
    story = Story()
    story.trade(BUY, 20)
    for _ in range(20):
        story.advance("still", 0)
    for _ in range(6):
        story.mark -= 200
        story.trade(BUY, 2)
        for _ in range(14):
            story.advance("still", 0)
            story.due = [(at, event) for at, event in story.due if not _is_canceled(event)]
    assert len(story.live(TriggerKind.STOP_LOSS)) == 2


def overtaken() -> Story:
    """A position that grew, and again before the stop for the growth was acknowledged."""
    story = Story()
    story.advance("buy", 1)
    for _ in range(20):
        story.advance("still", 0)
    story.advance("buy", 1)
    assert [tracked.state for tracked in story.live(TriggerKind.STOP_LOSS)] == [OrderState.OPEN, OrderState.SENT]
    story.advance("buy", 1)
    return story


def test_two_that_are_both_overtaken_make_room_for_one_of_the_whole_position() -> None:
    story = overtaken()
    for _ in range(int(4 * RULES.every_ns // STEP_NS)):
        story.advance("still", 0)
    assert story.position == D("0.018")
    for kind in TriggerKind:
        assert [tracked.order.qty for tracked in story.live(kind)] == [D("0.018")]


def test_two_that_are_both_overtaken_stay_while_no_third_can_be_placed() -> None:
    story = overtaken()
    story.hindrance = "the journal is in doubt"
    for _ in range(40):
        story.advance("still", 0)
    assert [tracked.order.qty for tracked in story.live(TriggerKind.STOP_LOSS)] == [D("0.006"), D("0.012")]
    assert story.guards.waits[TriggerKind.STOP_LOSS] == story.hindrance
    story.hindrance = ""
    for _ in range(40):
        story.advance("still", 0)
    assert [tracked.order.qty for tracked in story.live(TriggerKind.STOP_LOSS)] == [D("0.018")]


def test_one_that_could_not_be_sent_leaves_the_old_one_there() -> None:
    story = Story()
    story.advance("buy", 1)
    for _ in range(20):
        story.advance("still", 0)
    (first,) = story.live(TriggerKind.STOP_LOSS)
    story.refusal = "fail"
    story.advance("buy", 1)
    for _ in range(60):
        story.advance("fail", 0)
        assert [tracked for tracked in story.live(TriggerKind.STOP_LOSS) if not tracked.cancel_pending] == [first]
    assert "no link" in story.guards.waits[TriggerKind.STOP_LOSS]


@pytest.mark.parametrize("px", [0.04, 0.0, -60_000.0, float("nan"), float("inf")])
def test_a_price_that_no_venue_takes_is_told_and_what_stands_stays(px: float) -> None:
    story = Story()
    story.advance("buy", 3)
    for _ in range(10):
        story.advance("still", 0)
    (first,) = story.live(TriggerKind.STOP_LOSS)
    story.guards.wanted = (Guard(TriggerKind.STOP_LOSS, SELL, px, D(20), 5.0),)
    story.stage.now += STEP_NS
    story.work(0)
    assert not first.cancel_pending
    assert "no price" in story.guards.waits[TriggerKind.STOP_LOSS]
    assert story.guards.shown().startswith("stop loss at ")


@pytest.mark.parametrize(("made_ms", "comes_back"), [(100, False), (399, False), (401, True)])
def test_only_a_closing_made_after_it_was_gone_clears_it_of_a_refusal(made_ms: int, comes_back: bool) -> None:
    story = Story()
    story.trade(BUY, 20)
    for _ in range(12):
        story.advance("still", 0)
    made_ns = story.stage.now + made_ms * MS
    story.stage.now += 400 * MS
    for kind in TriggerKind:
        (tracked,) = story.live(kind)
        story.take(report(tracked.client_order_id, VenueStatus.CANCELED, at=story.stage.now))
    story.stage.now += 100 * MS
    story.guards.give_way(made_ns, story.stage.now)
    for _ in range(12):
        story.advance("still", 0)
    assert bool(story.live(TriggerKind.STOP_LOSS)) is comes_back


def test_it_is_renewed_before_it_expires_the_new_one_first() -> None:
    story = Story()
    story.trade(BUY, 20)
    for _ in range(10):
        story.advance("still", 0)
    (first,) = story.live(TriggerKind.STOP_LOSS)
    assert first.order.expire_ns - first.created_ns == RULES.life_ns
    story.stage.now = first.order.expire_ns - RULES.renew_before_ns - S
    story.advance("still", 0)
    assert story.live(TriggerKind.STOP_LOSS) == [first]
    story.advance("still", 0)
    assert len(story.live(TriggerKind.STOP_LOSS)) == 2
    for _ in range(10):
        story.advance("still", 0)
    (second,) = story.live(TriggerKind.STOP_LOSS)
    assert second is not first
    assert second.order.expire_ns > first.order.expire_ns


def _is_canceled(event: OrderEvent) -> bool:
    return isinstance(event, OrderReport) and event.status is VenueStatus.CANCELED
