"""The pump on a lent loop: a long row of work is cut into turns, and stays the same work in the same order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, MAIN
from tests.unit.engine.test_pump import Bench, Gateway

from perpmaker.engine import pump
from perpmaker.engine.commands import CommandDesk
from perpmaker.engine.records import Checkpoint, Happened, Intent
from perpmaker.model.commands import SubmitOrders
from perpmaker.model.events import (
    BookStale,
    CancelFailed,
    CancelSent,
    Channel,
    Connectivity,
    Event,
    Operator,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    Source,
    StaleReason,
    Timer,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderId, StrategyId, VenueOrderId
from perpmaker.model.order import (
    Approved,
    CancelOrder,
    NewOrder,
    Side,
    TimeInForce,
    Trigger,
    TriggerBy,
    TriggerKind,
)
from perpmaker.model.units import NS_PER_MS, NS_PER_US

STOP = Trigger(TriggerKind.STOP_LOSS, TriggerBy.MARK, Decimal(59_100))


class Venue(Gateway):
    """A gateway whose venue takes and cancels at once. `Preparing` can sign ahead."""

    def __init__(self, base: Gateway) -> None:
        super().__init__(base.happened, base.journal, base.clock)
        self.pump = base.pump
        self.orders: dict[ClientOrderId, NewOrder] = {}
        self.ready: set[ClientOrderId] = set()

    def submit(self, orders: Sequence[Approved]) -> None:
        for approved in orders:
            order = approved.order
            if order.client_order_id not in self.ready:
                self.journal.intent(order, b"signed")
            self.ready.discard(order.client_order_id)
            self.orders[order.client_order_id] = order
            self.happened.append(f"submit {order.tag}")
            self.emit(OrderPrepared(MAIN, order.client_order_id, self.clock.now_ns()))
            self.emit(self.report(order, VenueStatus.OPEN))

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        super().cancel(requests)
        for client_order_id in [request.client_order_id for request in requests]:
            self.emit(CancelSent(MAIN, client_order_id, self.clock.now_ns()))
            if client_order_id in self.orders:
                self.emit(self.report(self.orders[client_order_id], VenueStatus.CANCELED))
            else:
                self.emit(CancelFailed(MAIN, client_order_id, True, "not found", self.clock.now_ns()))

    def emit(self, event: Event) -> None:
        assert self.pump is not None
        self.pump.take(event)

    def report(self, order: NewOrder, status: VenueStatus) -> OrderReport:
        now_ns = self.clock.now_ns()
        return OrderReport(
            MAIN, order.client_order_id, VenueOrderId(f"0x{order.client_order_id:x}"), order.instrument, status,
            Decimal(0), None, "", Source.REPLY, now_ns, now_ns, order.side, order.px, order.qty,
        )  # fmt: skip


class Preparing(Venue):
    """Notes what it signs ahead."""

    def prepare(self, approved: Approved) -> None:
        self.journal.intent(approved.order, b"signed")
        self.ready.add(approved.order.client_order_id)
        self.happened.append(f"prepare {approved.order.tag}")

    def forget(self, orders: Sequence[Approved]) -> None:
        self.ready -= {approved.order.client_order_id for approved in orders}


class Turns:
    """A loop's `call_soon`, turned by hand."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def later(self, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def one(self) -> None:
        self.waiting.popleft()()

    def all(self) -> None:
        while self.waiting:
            self.one()


@contextmanager
def ladder(folder: Path, *, prepares: bool = True) -> Iterator[Bench]:
    """A bench whose strategy quotes two layers a side, so that a decision is several orders."""
    bench = Bench(folder, made(lambda params: Maker(params, layers=2)))
    bench.gateway = Preparing(bench.gateway) if prepares else Venue(bench.gateway)
    bench.pump.gateways = {MAIN: bench.gateway}  # type: ignore[dict-item]
    yield bench
    assert bench.failed == []
    bench.pump.stop()
    bench.journal.close()


@pytest.fixture
def every_step_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the processor's clock is a millisecond after the one before."""
    looks = itertools.count(0, NS_PER_MS)
    monkeypatch.setattr(pump, "cpu_ns", lambda: next(looks))


def move(bench: Bench, ticks: int) -> None:
    bench.clock.advance(300 * NS_PER_MS)
    bench.rig.mid[BTC] += ticks
    bench.market()


def stop_between_decision_and_sending(bench: Bench, turns: Turns) -> None:
    """Have the quotes moved, and turn until one new order is signed and written down and nothing has left."""
    bench.pump.later = turns.later
    bench.ready()
    turns.all()
    bench.happened.clear()
    move(bench, 500)
    while "prepare quote ask 0" not in bench.happened:
        turns.one()


def orders_placed(bench: Bench) -> list[str]:
    return [what for what in bench.happened if what.startswith("submit")]


@pytest.mark.usefixtures("every_step_is_long")
@pytest.mark.parametrize("prepares", [True, False])
async def test_turns_change_nothing_of_what_is_done_and_written(tmp_path: Path, prepares: bool) -> None:
    done = []
    for name in ("whole", "turns"):
        turns = Turns()
        with ladder(tmp_path / name, prepares=prepares) as bench:
            bench.pump.later = turns.later if name == "turns" else None
            bench.ready()
            for ticks in (200, -300, 100, 400):  # fed while turns wait: nothing may overtake
                move(bench, ticks)
            assert bool(turns.waiting) is (name == "turns")
            turns.all()
            acts = [what for what in bench.happened if not what.startswith("prepare")]
            assert ("prepare quote bid 0" in bench.happened) is (name == "turns" and prepares)
            done.append((acts, [type(record).__name__ for record in bench.records()], bench.engine.state_hash()))
    assert len([what for what in done[0][0] if what.startswith("submit")]) > 4
    assert done[0] == done[1]


@pytest.mark.usefixtures("every_step_is_long")
async def test_between_two_turns_at_most_one_order_is_signed_and_all_leave_together(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.pump.later = turns.later
        bench.ready()
        signed = []
        while turns.waiting:
            before = len(bench.happened)
            turns.one()
            signed.append([what for what in bench.happened[before:] if what.startswith(("prepare", "submit"))])
        assert [step for step in signed if step] == [
            ["prepare quote bid 0"],
            ["prepare quote ask 0"],
            ["prepare quote bid 1"],
            ["prepare quote ask 1"],
            ["submit quote bid 0", "submit quote ask 0", "submit quote bid 1", "submit quote ask 1"],
        ]


@pytest.mark.usefixtures("every_step_is_long")
async def test_a_kill_between_decision_and_sending_lets_no_order_out_and_every_cancel(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        stop_between_decision_and_sending(bench, turns)
        bench.feed(Operator("", "kill", None, {"reason": "drill"}, "ada", bench.clock.now_ns()))
        assert orders_placed(bench) == []
        acts = [what for what in bench.happened if what.startswith(("cancel", "latch"))]
        assert acts == ["cancel 2", "cancel_all", "cancel 2", "latch synced True"]  # the asks, then all and the bids
        assert isinstance(bench.gateway, Preparing)
        assert bench.gateway.ready == set()
        assert not bench.engine.world.table.live()
        happened = [record.event for record in bench.records() if isinstance(record, Happened)]
        told = [event.client_order_id for event in happened if isinstance(event, OrderNotSent)]
        written = [record.order.client_order_id for record in bench.records() if isinstance(record, Intent)]
        assert told[0] == written[-1]
        turns.all()
        move(bench, 500)
        turns.all()
        assert orders_placed(bench) == []


@pytest.mark.usefixtures("every_step_is_long")
async def test_a_link_lost_between_decision_and_sending_lets_no_order_out(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        stop_between_decision_and_sending(bench, turns)
        bench.feed(Connectivity(MAIN, Channel.PRIVATE, False, "cut", bench.clock.now_ns()))
        turns.all()
        assert orders_placed(bench) == []
        assert "cancel 2" in bench.happened
        assert "log link_changed" in bench.happened


@pytest.mark.usefixtures("every_step_is_long")
async def test_a_book_lost_between_decision_and_sending_lets_no_order_out(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        stop_between_decision_and_sending(bench, turns)
        now_ns = bench.clock.now_ns()
        bench.feed(BookStale(BTC, StaleReason.GAP, now_ns))
        turns.all()
        assert orders_placed(bench) == []
        assert "cancel 2" in bench.happened


@pytest.mark.parametrize(("trigger", "is_withheld"), [(None, False), (STOP, True)], ids=["a closing", "a stop"])
async def test_over_a_lost_book_goes_what_closes_now_and_not_what_would_wait(
    tmp_path: Path, trigger: Trigger | None, is_withheld: bool
) -> None:
    px = Decimal(59_000)
    order = NewOrder(
        ClientOrderId(9), MAIN, StrategyId("btc"), BTC, Side.SELL, px, Decimal(1), TimeInForce.IOC, reduce_only=True
    )
    order = structs.replace(order, trigger=trigger)
    with ladder(tmp_path) as bench:
        bench.pump._stale_until[BTC] = BookStale(BTC, StaleReason.GAP, bench.clock.now_ns())
        assert bench.pump._is_withheld(SubmitOrders(MAIN, (Approved(order, 0),))) is is_withheld


async def test_a_kill_goes_before_what_waits(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.pump.later = turns.later
        bench.ready()
        turns.all()
        heard: list[object] = []
        process = bench.engine.process
        bench.engine.process = lambda event: heard.append(event) or process(event)  # type: ignore[method-assign,func-returns-value]
        bench.pump._goes_on = True  # a turn of the loop is due: what comes now waits for it
        links = [Connectivity(MAIN, Channel.MARKET_DATA, up, "", bench.clock.now_ns()) for up in (False, True)]
        for link in links:
            bench.feed(link)
        assert heard == []
        kill = Operator("", "kill", None, {"reason": "drill"}, "ada", bench.clock.now_ns())
        bench.feed(kill)
        assert heard[0] is kill
        assert [event for event in heard if event in links] == links


@pytest.mark.usefixtures("every_step_is_long")
async def test_a_standstill_between_decision_and_sending_lets_no_order_out(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        stop_between_decision_and_sending(bench, turns)
        bench.clock.advance(3_000 * NS_PER_MS)
        snapshots = bench.gateway.snapshots
        turns.all()
        assert "log loop_stalled" in bench.happened
        assert orders_placed(bench) == []
        assert "cancel 2" in bench.happened
        assert bench.gateway.snapshots == snapshots + 1


@pytest.mark.usefixtures("every_step_is_long")
async def test_a_person_is_answered_in_the_step_in_which_they_spoke(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.pump.later = turns.later
        bench.ready()
        turns.all()
        move(bench, 500)
        bench.feed(Operator("", "pause", None, {}, "ada", bench.clock.now_ns()))
        assert "log strategies_paused" in bench.happened
        assert len(orders_placed(bench)) == 8  # what was decided before has left, and is cancelled by the pause
        assert bench.happened.index("log strategies_paused") > bench.happened.index("submit quote ask 1")


@pytest.mark.usefixtures("every_step_is_long")
async def test_a_checkpoint_holds_nothing_that_is_half_done(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.pump.later = turns.later
        bench.ready()
        desk = CommandDesk(bench.engine, bench.clock, feed=bench.pump.take, write=bench.pump.write, sub_accounts=[])
        assert orders_placed(bench) == []
        bench.upkeep(desk).checkpoint()
        assert len(orders_placed(bench)) == 4
        assert isinstance(bench.records()[-1], Checkpoint)


@pytest.mark.usefixtures("every_step_is_long")
async def test_many_waiting_events_are_not_left_to_later_turns_alone(tmp_path: Path) -> None:
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.pump.later = turns.later
        bench.ready()
        turns.all()
        for _ in range(2 * pump.MAX_WAITING):
            bench.feed(Timer("nobody's", bench.clock.now_ns()))
        before = bench.pump.events
        turns.all()
        assert bench.pump.events - before <= pump.MAX_WAITING + 1


async def test_short_work_is_done_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "cpu_ns", lambda: 0)
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.pump.later = turns.later
        bench.ready()
        assert len(orders_placed(bench)) == 4
        assert not turns.waiting


async def test_what_comes_after_a_long_event_waits_for_a_turn_unless_it_is_a_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count(0, 110 * NS_PER_US)  # a step is just too long for another event, and not for its own orders
    turns = Turns()
    with ladder(tmp_path) as bench:
        bench.ready()
        bench.pump.later = turns.later
        monkeypatch.setattr(pump, "cpu_ns", lambda: next(looks))
        before = bench.pump.events
        bench.feed(Timer("nobody's", bench.clock.now_ns()))
        assert bench.pump.events == before + 1
        assert len(turns.waiting) == 1
        bench.rig.now_ns = bench.clock.now_ns()
        bench.rig.events.clear()
        bench.rig.book()
        bench.feed(*bench.rig.events)
        assert bench.pump.events == before + 2
        bench.feed(Timer("nobody's", bench.clock.now_ns()))
        assert bench.pump.events == before + 2
        turns.all()
        assert bench.pump.events == before + 3
