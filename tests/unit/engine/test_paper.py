"""The paper gateway and its clock, on a loop and a clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import msgspec
from tests.unit.simulation.lab import BTC, MAIN, RULES, START_NS
from tests.unit.venues.grvt.bench import Intents, Kill

from perpmaker.clock import ManualClock
from perpmaker.engine.paper import PaperClock, PaperGateway, at_rest
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelFailed,
    Connectivity,
    Event,
    Fill,
    InstrumentListed,
    OrderNotFound,
    OrderNotSent,
    OrderReport,
    SnapshotFailed,
    Source,
    SubmitUnknown,
    Timer,
    Trade,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderId, StrategyId, TradeId
from perpmaker.model.order import Approved, CancelOrder, NewOrder, Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import AccountAtRest, Chance, ConstantLatency, SimulatedVenue, VenueSettings


class Loop:
    """Runs what is due when a test says so, as late as it likes."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._due: list[tuple[int, int, Handle]] = []
        self._number = 0

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Handle:
        handle = Handle(call)
        self._number += 1
        heapq.heappush(self._due, (self._clock.now_ns() + int(delay_s * NS_PER_S), self._number, handle))
        return handle

    def sleep(self, ms: int) -> None:
        """Let time pass in one piece: everything that became due runs late, at its end."""
        self._clock.advance(ms * NS_PER_MS)
        while self._due and self._due[0][0] <= self._clock.now_ns():
            _, _, handle = heapq.heappop(self._due)
            if not handle.cancelled:
                handle.call()


class Handle:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Desk:
    def __init__(self, opening: AccountAtRest | None = None) -> None:
        self.clock = ManualClock(START_NS)
        self.loop = Loop(self.clock)
        self.failed: list[Exception] = []
        latency = ConstantLatency(10 * NS_PER_MS, 5 * NS_PER_MS)
        self.venue = SimulatedVenue(VenueSettings(), latency, Chance(1))
        loop = cast(asyncio.AbstractEventLoop, self.loop)
        self.paper = PaperClock({"grvt": self.venue}, self.clock, loop, self.failed.append)
        self.events: list[Event] = []
        self.paper.listen(self.events.append)
        self.intents, self.kill = Intents(), Kill()
        self.gateway = PaperGateway(
            account=MAIN, instruments=[BTC], venue=self.venue, clock=self.paper, intents=self.intents, kill=self.kill,
            opening=opening or AccountAtRest(MAIN, "", Decimal(10_000)),
        )  # fmt: skip
        asyncio.run(self.gateway.start(self.events.append))

    def open(self) -> Desk:
        now_ns = self.clock.now_ns()
        self.paper.take(InstrumentListed(RULES, now_ns))
        self.paper.take(BookSnapshot(BTC, ((100, 10), (99, 20)), ((101, 10),), now_ns, now_ns))
        return self

    def order(self, number: int = 1, **changes: Any) -> NewOrder:
        plain = NewOrder(
            ClientOrderId(number), MAIN, StrategyId("s"), BTC, Side.BUY, Decimal(99), Decimal(5), post_only=True
        )
        return msgspec.structs.replace(plain, **changes)

    def submit(self, *orders: NewOrder) -> None:
        self.gateway.submit([Approved(order, self.kill.current) for order in orders])

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def test_nothing_leaves_before_the_feed_has_listed_what_the_account_trades() -> None:
    desk = Desk()
    desk.submit(desk.order())
    desk.gateway.cancel([CancelOrder(MAIN, BTC, ClientOrderId(1))])
    desk.gateway.replace(ReplaceOrders(MAIN, BTC, (CancelOrder(MAIN, BTC, ClientOrderId(1)),), ()))
    desk.gateway.cancel_all(None)
    desk.gateway.query([ClientOrderId(1)])
    desk.gateway.request_snapshot(0)
    desk.loop.sleep(1000)
    assert [type(event) for event in desk.events] == [OrderNotSent, CancelFailed, CancelFailed, SnapshotFailed]
    assert desk.intents.recorded == []
    desk.open()
    assert [link.up for link in desk.of(Connectivity)] == [True, True]


def test_an_order_is_recorded_with_its_expiry_before_it_leaves_and_not_after_a_kill() -> None:
    desk = Desk().open()
    desk.submit(desk.order())
    (recorded, signed) = desk.intents.recorded[0]
    assert recorded.expire_ns == START_NS + 120 * NS_PER_S
    assert signed
    late = Approved(desk.order(2), desk.kill.current)
    desk.kill.current += 1
    desk.gateway.submit([late])
    assert [event.client_order_id for event in desk.of(OrderNotSent)] == [2]
    assert len(desk.intents.recorded) == 1


def test_a_loop_that_wakes_late_tells_everything_at_the_time_it_was_due() -> None:
    desk = Desk().open()
    desk.paper.timers.set("second", START_NS + 1000 * NS_PER_MS)
    desk.submit(desk.order())
    desk.loop.sleep(3000)
    assert [timer.ts_recv_ns - START_NS for timer in desk.of(Timer)] == [1000 * NS_PER_MS]
    opened = desk.of(OrderReport)[-1]
    assert (opened.status, opened.ts_event_ns - START_NS, opened.ts_recv_ns - START_NS) == (
        VenueStatus.OPEN, 10 * NS_PER_MS, 15 * NS_PER_MS
    )  # fmt: skip


def test_what_a_feed_says_after_our_clock_has_gone_past_it_counts_as_heard_now() -> None:
    """Its recording then leads to the same as it did: nothing it led to was before now."""
    desk = Desk().open()
    heard_ns = desk.clock.now_ns()
    desk.loop.sleep(100)
    desk.paper.now_ns()
    desk.paper.take(BookSnapshot(BTC, ((100, 11),), ((101, 10),), heard_ns, heard_ns + 1))
    assert desk.of(BookSnapshot)[-1].ts_recv_ns == desk.clock.now_ns() == heard_ns + 100 * NS_PER_MS
    assert desk.of(BookSnapshot)[-1].ts_event_ns == heard_ns


def test_a_loop_that_stood_still_for_longer_than_the_countdown_finds_its_orders_cancelled() -> None:
    desk = Desk().open()
    desk.submit(desk.order())
    for _ in range(20):
        desk.loop.sleep(2000)
    assert desk.of(OrderReport)[-1].status is VenueStatus.OPEN
    desk.loop.sleep(60_000)
    gone = desk.of(OrderReport)[-1]
    assert (gone.status, gone.reason) == (VenueStatus.CANCELED, "CLIENT_CANCEL_ON_DISCONNECT_TRIGGERED")
    assert gone.ts_event_ns < START_NS + 70 * NS_PER_S


def test_an_account_of_an_earlier_life_has_its_money_positions_and_cancelled_orders() -> None:
    order = msgspec.structs.replace(Desk().order(7), expire_ns=START_NS)
    desk = Desk(
        AccountAtRest(MAIN, "USDT", Decimal(9_000), {BTC: (Decimal(3), Decimal(297))}, orders=((order, Decimal(2)),))
    ).open()
    desk.gateway.request_snapshot(0)
    desk.gateway.query([ClientOrderId(7)])
    desk.loop.sleep(100)
    (snapshot,) = desk.of(AccountSnapshot)
    assert (snapshot.balance, snapshot.currency, snapshot.open_orders) == (9_000, "USDT", ())
    assert [(p.qty, p.avg_entry_px) for p in snapshot.positions] == [(3, 99)]
    assert snapshot.equity == 9_000 + 3 * Decimal("100.5") - 297
    (gone,) = [report for report in desk.of(OrderReport) if report.source is Source.QUERY]
    assert (gone.status, gone.cum_qty) == (VenueStatus.CANCELED, 2)


def test_a_mistake_in_the_simulation_ends_the_engine() -> None:
    desk = Desk().open()

    def wrong(now_ns: int) -> list[Event]:
        raise KeyError("a mistake")

    desk.venue.advance = wrong  # type: ignore[method-assign]
    desk.venue.submit(MAIN, [desk.order(expire_ns=START_NS + NS_PER_S)], desk.clock.now_ns())
    desk.paper.arm()
    desk.loop.sleep(100)
    assert [type(error) for error in desk.failed] == [KeyError]


def test_a_resting_order_fills_by_the_feeds_trades() -> None:
    desk = Desk().open()
    desk.submit(desk.order(px=Decimal(100)))
    desk.loop.sleep(50)
    now_ns = desk.clock.now_ns()
    desk.paper.take(Trade(BTC, 99, 4, Side.SELL, TradeId("t"), now_ns - NS_PER_MS, now_ns))
    desk.loop.sleep(50)
    assert [(fill.px, fill.qty) for fill in desk.of(Fill)] == [(100, 4)]


def test_of_a_refused_request_of_several_nothing_is_known_until_the_venue_is_asked() -> None:
    """20 at 100 are all that 200 carry at leverage 10: one order of 15 fits, two do not."""
    desk = Desk(AccountAtRest(MAIN, "USDT", Decimal(200))).open()
    orders = [desk.order(number, qty=Decimal(15)) for number in (1, 2)]
    desk.submit(*orders)
    desk.loop.sleep(20)
    assert [event.client_order_id for event in desk.of(SubmitUnknown)] == [1, 2]
    desk.gateway.query([order.client_order_id for order in orders])
    desk.loop.sleep(20)
    assert [event.client_order_id for event in desk.of(OrderNotFound)] == [1, 2]


def test_an_engine_that_knows_nothing_yet_opens_as_configured() -> None:
    from perpmaker.engine.core import Engine
    from perpmaker.engine.core.spec import AccountSpec, EngineSpec
    from perpmaker.risk.limits import Limits

    spec = EngineSpec("e", 1, 1, False, (AccountSpec(MAIN, "grvt", Limits()),), ())
    opening = AccountAtRest(MAIN, "", Decimal(500))
    assert at_rest(Engine(spec), MAIN, opening) is opening
