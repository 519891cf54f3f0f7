"""The pump: what is written before what is sent, what happens when the loop stood still, or our own books are wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, LIMITS, MAIN, Rig, instrument
from tests.unit.engine.test_journal import ORDER, PRINT

from perpmaker.clock import ManualClock, WallClock
from perpmaker.engine import upkeep as upkeep_module
from perpmaker.engine.commands import CommandDesk
from perpmaker.engine.core import AccountSpec, Engine, EngineSpec, StrategySpec
from perpmaker.engine.failpoints import AFTER_JOURNAL, BEFORE_SIGN, FailingIntentLog, Failpoints
from perpmaker.engine.journal import Journal, open_journal
from perpmaker.engine.journalfile import Segment
from perpmaker.engine.pump import Pump
from perpmaker.engine.records import Happened, Intent, Latch, Record, Said
from perpmaker.engine.telemetry import Telemetry
from perpmaker.engine.timers import LoopTimers
from perpmaker.engine.upkeep import Upkeep
from perpmaker.engine.view import About, View
from perpmaker.errors import ConfigError, InvariantError
from perpmaker.logs import RecentLines
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    BookDelta,
    Channel,
    Connectivity,
    InstrumentListed,
    Operator,
    OrderPrepared,
    Timer,
)
from perpmaker.model.ids import ClientOrderId, ClientOrderIds, InstrumentId
from perpmaker.model.order import Approved, CancelOrder


class Gateway:
    """A gateway that signs nothing, and notes what it is told in the order of `happened`."""

    def __init__(self, happened: list[str], journal: Journal, clock: ManualClock) -> None:
        self.happened, self.journal, self.clock = happened, journal, clock
        self.pump: Pump | None = None
        self.snapshots = 0

    def submit(self, orders: Sequence[Approved]) -> None:
        for approved in orders:
            self.journal.intent(approved.order, b"signed")
            self.happened.append(f"submit {approved.order.tag}")
            assert self.pump is not None
            self.pump.take(OrderPrepared(MAIN, approved.order.client_order_id, self.clock.now_ns()))

    def cancel(self, requests: Sequence[CancelOrder]) -> None:
        self.happened.append(f"cancel {len(requests)}")

    def replace(self, request: ReplaceOrders) -> None:
        self.cancel(request.cancels)
        self.submit(request.orders)

    def cancel_all(self, instrument: InstrumentId | None) -> None:
        self.happened.append("cancel_all")

    def query(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        self.happened.append("query")

    def request_snapshot(self, fills_since_ns: int) -> None:
        self.happened.append("snapshot")
        self.snapshots += 1


class Bench:
    """A pump with everything around it but sockets."""

    def __init__(self, folder: Path, strategy: StrategySpec | None = None) -> None:
        strategy = strategy or made(Maker)
        self.rig = Rig(strategy)  # for its market data
        self.clock = ManualClock(self.rig.now_ns)
        self.journal, _ = open_journal(folder, PRINT, build="b", clock=self.clock)
        spec = EngineSpec("test", 1, 1, False, (AccountSpec(MAIN, "grvt", LIMITS),), (strategy,))
        self.engine = Engine(spec)
        self.telemetry = Telemetry()
        self.happened: list[str] = []
        self.offered: list[int] = []
        self.failed: list[BaseException] = []
        about = About("test", 1, "grvt", "local", "live", 1, lambda: "")
        self.view = View(self.engine, about, self.telemetry, RecentLines(), self.clock, warnings=list)
        self.pump = Pump(
            self.engine,
            self.journal,
            clock=self.clock,
            telemetry=self.telemetry,
            view=self.view,
            log=Log(self.happened),
            offer=lambda _, number: self.offered.append(number),
            on_latch=lambda latch: self.happened.append(f"latch synced {latch.latched}"),
            on_epoch=lambda seen: self.happened.append(f"epoch {seen}"),
            on_fatal=self.failed.append,
            failpoints=Failpoints(),
        )
        self.gateway = Gateway(self.happened, self.journal, self.clock)
        self.gateway.pump = self.pump
        self.pump.gateways = {MAIN: self.gateway}  # type: ignore[dict-item]

    def upkeep(self, desk: CommandDesk) -> Upkeep:
        return Upkeep(
            self.engine,
            self.pump,
            self.journal,
            desk,
            self.view,
            self.telemetry,
            self.clock,
            renew=lambda name: self.happened.append(f"renew {name}"),
            lag=lambda: 0,
        )

    def records(self) -> list[Record]:
        return list(Segment(self.journal.path).decoded())

    def feed(self, *events: Any) -> None:
        for event in events:
            self.pump.take(event)

    def ready(self) -> None:
        """Bring the engine to quoting."""
        now = self.clock.now_ns()
        self.pump.begin()
        self.feed(InstrumentListed(instrument(), now), Connectivity("grvt", Channel.MARKET_DATA, True, "", now))
        for channel in (Channel.ORDER_ENTRY, Channel.PRIVATE):
            self.feed(Connectivity(MAIN, channel, True, "", now))
        self.market()
        for _ in range(2):
            self.snapshot()
            self.clock.advance(600_000_000)
            self.feed(Timer("reconcile main", self.clock.now_ns()))
        self.market()
        assert self.failed == [], self.failed

    def market(self) -> None:
        self.rig.now_ns = self.clock.now_ns()
        self.rig.events.clear()
        self.rig.tick()
        self.rig.book()
        self.feed(*self.rig.events)

    def snapshot(self) -> None:
        self.rig.now_ns = self.clock.now_ns()
        self.feed(self.rig.snapshot())


class Log:
    """A logger that notes event names."""

    def __init__(self, happened: list[str]) -> None:
        self._happened = happened

    def __getattr__(self, level: str) -> Any:
        return lambda name, /, **_: self._happened.append(f"log {name}")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.pump.stop()
    bench.journal.close()


async def test_an_engine_quotes_through_the_pump_and_every_intent_is_written_before_it_leaves(bench: Bench) -> None:
    bench.ready()
    assert [what for what in bench.happened if what.startswith("submit")] == [
        "submit quote bid 0",
        "submit quote ask 0",
    ]
    intents = [record for record in bench.records() if isinstance(record, Intent)]
    assert [record.order.tag for record in intents] == ["quote bid 0", "quote ask 0"]
    assert bench.failed == []


async def test_a_private_event_is_written_before_what_the_core_makes_of_it(bench: Bench) -> None:
    bench.ready()
    kinds = [type(r.event).__name__ if isinstance(r, Happened) else type(r).__name__ for r in bench.records()]
    assert kinds.index("AccountSnapshot") < kinds.index("EquityMark")
    assert "BookSnapshot" not in kinds


async def test_everything_written_is_offered_to_the_store_with_its_number(bench: Bench) -> None:
    bench.ready()
    own = [n for n, record in enumerate(bench.records(), 1) if not isinstance(record, Intent) and n > 1]
    assert bench.offered == own


async def test_the_kill_latch_is_written_then_all_is_cancelled_then_it_is_synced(bench: Bench) -> None:
    bench.ready()
    bench.happened.clear()
    bench.feed(Operator("", "kill", None, {"reason": "drill"}, "ada", bench.clock.now_ns()))
    acts = [what for what in bench.happened if not what.startswith("log")]
    assert acts == ["cancel_all", "cancel 2", "latch synced True"]
    assert isinstance([r for r in bench.records() if isinstance(r, Latch | Said)][-2], Latch)


async def test_a_mistake_of_the_core_stops_the_pump(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.ready()

    def wrong() -> int:
        raise InvariantError("parts do not sum up")

    monkeypatch.setattr(bench.engine, "assert_identity", wrong)
    bench.clock.advance(20 * 10**9)
    bench.feed(Timer("second", bench.clock.now_ns()))
    assert [str(error) for error in bench.failed] == ["parts do not sum up"]
    before = bench.pump.events
    bench.market()
    assert bench.pump.events == before


async def test_after_a_standstill_the_account_is_read_before_anything_is_placed(bench: Bench) -> None:
    bench.ready()
    bench.happened.clear()
    snapshots = bench.gateway.snapshots
    bench.clock.advance(3 * 10**9)
    bench.rig.mid[BTC] += 100
    bench.market()
    assert bench.happened[0] == "log loop_stalled"
    assert not [what for what in bench.happened if what.startswith("submit")]
    assert bench.gateway.snapshots == snapshots + 1


async def test_a_short_pause_is_no_standstill(bench: Bench) -> None:
    bench.ready()
    bench.clock.advance(1_900_000_000)
    bench.pump.beat()
    assert "log loop_stalled" not in bench.happened


async def test_a_journal_in_trouble_does_not_hold_up_what_protects(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ready()
    bench.happened.clear()

    def fail(_: Record) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(bench.journal, "append", fail)
    bench.feed(Operator("", "kill", None, {}, "ada", bench.clock.now_ns()))
    assert "cancel_all" in bench.happened
    assert bench.failed == []


async def test_orders_of_a_later_epoch_at_the_venue_are_told_to_who_can_write_the_next_one(bench: Bench) -> None:
    bench.ready()
    number = ClientOrderIds(instance=1, strategy=1, epoch=9).next()
    stranger = Rig(made(Maker)).start()
    order = stranger.quotes()[0]
    report = stranger.report(stranger.orders[order.client_order_id])
    bench.feed(msgspec.structs.replace(report, client_order_id=number, ts_recv_ns=bench.clock.now_ns()))
    assert "epoch 9" in bench.happened
    bench.feed(Operator("", "epoch", None, {"epoch": "10"}, "engine", bench.clock.now_ns()))
    assert bench.engine.world.epoch == 10


async def test_stages_are_timed(bench: Bench) -> None:
    bench.ready()
    assert {name for name, stage in bench.telemetry.stages.items() if stage.count} >= {"book", "decide", "gate"}
    assert bench.telemetry.stages["tick_to_order"].count == 1


async def test_upkeep_writes_checkpoints_rotates_and_mends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.ready()
    desk = CommandDesk(bench.engine, bench.clock, feed=bench.pump.take, write=bench.pump.write, sub_accounts=[])
    upkeep = bench.upkeep(desk)
    monkeypatch.setattr(upkeep_module, "CHECKPOINT_RECORDS", 2)
    bench.pump.write(Said("info", "a", {}, 1))
    bench.pump.write(Said("info", "b", {}, 1))
    upkeep.each_second()
    assert type(bench.records()[-1]).__name__ == "Checkpoint"
    assert upkeep.usage["threads"] >= 1
    bench.journal._segment_bytes = 1
    upkeep.each_second()
    assert [type(record).__name__ for record in bench.records()[:2]] == ["SegmentStart", "Checkpoint"]
    bench.journal.failure = "the disk is full"
    monkeypatch.setattr(bench.journal, "regain_space", lambda: False)
    upkeep.each_second()
    assert bench.engine.world.blocks == {"journal": "the disk is full"}
    monkeypatch.setattr(bench.journal, "failure", "")
    upkeep.each_second()
    assert bench.engine.world.blocks == {}


async def test_a_book_that_stays_crossed_is_asked_for_whole_after_a_second_and_again_in_a_while(bench: Bench) -> None:
    bench.ready()
    desk = CommandDesk(bench.engine, bench.clock, feed=bench.pump.take, write=bench.pump.write, sub_accounts=[])
    upkeep = bench.upkeep(desk)
    now = bench.clock.now_ns()
    bench.feed(BookDelta(BTC, (), ((599_000, 5),), now, now))
    asked: list[int] = []
    for _ in range(8):
        upkeep.each_second()
        asked.append(sum(what.startswith("renew") for what in bench.happened))
    assert asked == [0, 1, 1, 1, 1, 1, 2, 2]


async def test_a_timer_set_again_moves_and_none_is_early() -> None:
    clock = WallClock()
    fired: list[tuple[str, int]] = []
    all_fired = asyncio.Event()

    def on_timer(timer: Timer) -> None:
        fired.append((timer.key, timer.ts_recv_ns))
        if len(fired) == 3:
            all_fired.set()

    timers = LoopTimers(clock, on_timer)
    at = clock.now_ns() + 20_000_000
    timers.set("a", at - 15_000_000)
    timers.set("a", at)
    timers.set("b", at - 10_000_000)
    timers.set("c", 0)
    await asyncio.wait_for(all_fired.wait(), 30)
    assert [key for key, _ in fired] == ["c", "b", "a"]
    assert dict(fired)["a"] >= at
    timers.set("d", at + 10**12)
    timers.stop()
    assert len(timers) == 0


def test_a_failpoint_acts_the_nth_time_it_is_reached() -> None:
    acted: list[int] = []
    point = Failpoints(BEFORE_SIGN, 3, lambda: acted.append(1))
    for _ in range(5):
        point.hit(AFTER_JOURNAL)
        point.hit(BEFORE_SIGN)
    assert acted == [1]
    assert not Failpoints().active


@pytest.mark.parametrize("plan", ["nowhere", "before_sign:x", "before_sign:-1", ":3"])
def test_a_plan_must_name_a_failpoint(plan: str) -> None:
    with pytest.raises(ConfigError):
        Failpoints.planned(plan)


def test_the_failing_log_acts_after_the_intent_is_written(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path, PRINT, build="b", clock=ManualClock())
    seen: list[Record] = []
    point = Failpoints(AFTER_JOURNAL, 1, lambda: seen.extend(Segment(journal.path).decoded()))
    FailingIntentLog(journal, point).intent(ORDER, b"x")
    journal.close()
    assert isinstance(seen[-1], Intent)
