"""What every OrderGateway keeps: recorded before sent, accepted or rejected or unknown, each fill once, cancels through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.venues.grvt.bench import Intents, Kill
from tests.unit.venues.grvt.collected import Collected, until

from perpmaker.clock import WallClock
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    AccountSnapshot,
    BookSnapshot,
    CancelFailed,
    CancelReceived,
    CancelSent,
    Channel,
    Connectivity,
    FeesTold,
    Fill,
    InstrumentListed,
    LeverageTold,
    OrderNotFound,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    PositionReport,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderId, StrategyId, order_ids
from perpmaker.model.instrument import Instrument
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
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import OrderGateway, Subscription

from .adapters import Adapter, Fault, Session

UNKNOWN_AFTER_S = 5.0
"""2 s, and a busy machine."""
RECOVERY_S = 15.0
TRIES = 3


class Desk:
    """A started gateway, a look at the market, and orders that are valid there."""

    def __init__(self, session: Session, gateway: OrderGateway, events: Collected) -> None:
        self.session = session
        self.gateway = gateway
        self.events = events
        self.intents = Intents()
        self.kill = Kill()
        self.ids = order_ids(gateway.capabilities.client_id_bits, instance=3, strategy=1, epoch=1)
        self.instrument: Instrument
        self.market: Collected

    def touch(self) -> tuple[Decimal, Decimal]:
        book = self.market.of(BookSnapshot)[-1]
        return self.instrument.px(book.bids[0][0]), self.instrument.px(book.asks[0][0])

    @property
    def qty(self) -> Decimal:
        """Comfortably above the minimum notional."""
        need = self.instrument.min_notional * 2 / self.touch()[0]
        return max(self.instrument.round_qty(need) + self.instrument.lot, self.instrument.min_qty)

    def order(self, px: Decimal | None, side: Side = Side.BUY, **changes: Any) -> NewOrder:
        plain = NewOrder(
            client_order_id=self.ids.next(),
            account=self.session.account,
            strategy=StrategyId("contract"),
            instrument=self.instrument.instrument_id,
            side=side,
            px=px,
            qty=self.qty,
            post_only=True,
        )
        return msgspec.structs.replace(plain, **changes)

    def far(self, n: int = 0) -> NewOrder:
        """A bid that nobody will hit."""
        return self.order(
            self.instrument.round_px(self.touch()[0] * Decimal("0.97"), Side.BUY) - n * self.instrument.tick
        )

    def taker(self, side: Side = Side.BUY, **changes: Any) -> NewOrder:
        bid, ask = self.touch()
        px = ask * Decimal("1.005") if side is Side.BUY else bid * Decimal("0.995")
        rounded = self.instrument.round_px(px, side)
        return self.order(rounded, side, **({"tif": TimeInForce.IOC, "post_only": False} | changes))

    def submit(self, *orders: NewOrder) -> None:
        self.gateway.submit([Approved(order, self.kill.current) for order in orders])

    def cancel(self, order: NewOrder, **changes: Any) -> CancelOrder:
        plain = CancelOrder(order.account, order.instrument, order.client_order_id)
        return msgspec.structs.replace(plain, **changes)

    async def report(self, order: NewOrder, *statuses: VenueStatus) -> OrderReport:
        return await self.events.first(
            OrderReport, lambda r: r.client_order_id == order.client_order_id and r.status in statuses
        )

    async def resting(self, count: int = 1) -> list[NewOrder]:
        orders = [self.far(n) for n in range(count)]
        self.submit(*orders)
        for order in orders:
            await self.report(order, VenueStatus.OPEN)
        return orders

    async def link(self, channel: Channel, up: bool) -> Connectivity:
        return await self.events.first(
            Connectivity, lambda c: c.channel is channel and c.up is up, timeout_s=RECOVERY_S
        )

    async def agree(self) -> None:
        """What the adapter told equals what the venue's own books say."""
        truth = await self.session.truth()
        fills = self.events.of(Fill)
        assert {fill.trade_id for fill in fills} == truth.trade_ids
        assert len(fills) == len(truth.trade_ids)
        assert sum((fill.side.sign * fill.qty for fill in fills), Decimal(0)) == truth.position
        assert sum((fill.fee for fill in fills), Decimal(0)) == truth.fees


@pytest.fixture
async def desk(adapter: Adapter, session: Session) -> AsyncIterator[Desk]:
    intents, kill, events, market = Intents(), Kill(), Collected(), Collected()
    feed = session.feed()
    feed.subscribe(Subscription(adapter.instrument, trades=False, ticker=False))
    await feed.start(market)
    listed = await market.first(InstrumentListed, lambda e: e.instrument.instrument_id == adapter.instrument)
    await market.first(BookSnapshot)
    made = Desk(session, session.gateway(intents, kill), events)
    made.intents, made.kill, made.instrument, made.market = intents, kill, listed.instrument, market
    await made.gateway.start(events)
    await made.link(Channel.PRIVATE, True)
    await made.link(Channel.ORDER_ENTRY, True)
    yield made
    await session.clear_faults()
    made.gateway.cancel_all(None)
    await asyncio.sleep(0.1)
    await made.gateway.stop()
    await feed.stop()


def story(events: Collected, order: NewOrder) -> list[str]:
    return [type(e).__name__ for e in events.events if getattr(e, "client_order_id", None) == order.client_order_id]


async def test_an_order_is_recorded_prepared_accepted_open_cancelled(desk: Desk) -> None:
    order = desk.far()
    desk.submit(order)
    assert [recorded.client_order_id for recorded, _ in desk.intents.recorded] == [order.client_order_id]
    opened = await desk.report(order, VenueStatus.OPEN)
    assert (opened.side, opened.px, opened.qty, opened.cum_qty) == (order.side, order.px, order.qty, 0)
    assert opened.venue_order_id
    assert story(desk.events, order)[0] == "OrderPrepared"
    assert order.client_order_id in (await desk.session.truth()).open_orders
    desk.gateway.cancel([desk.cancel(order)])
    await desk.events.first(CancelReceived, lambda e: e.client_order_id == order.client_order_id)
    gone = await desk.report(order, VenueStatus.CANCELED)
    assert (gone.cum_qty, gone.source) == (0, Source.STREAM)
    names = story(desk.events, order)
    assert names.index("CancelSent") < names.index("CancelReceived")
    assert order.client_order_id not in (await desk.session.truth()).open_orders


async def test_the_recorded_order_says_when_it_expires(desk: Desk) -> None:
    desk.submit(desk.far())
    recorded, signed = desk.intents.recorded[0]
    assert (recorded.expire_ns > 0) is desk.gateway.capabilities.signature_expiry
    assert signed


async def test_a_taking_order_fills_and_the_venue_agrees_to_the_last_digit(desk: Desk) -> None:
    order = desk.taker()
    desk.submit(order)
    filled = await desk.report(order, VenueStatus.FILLED)
    assert filled.cum_qty == order.qty
    assert filled.avg_px is not None
    await until(lambda: sum((f.qty for f in desk.events.of(Fill)), Decimal(0)) == order.qty)
    fill = desk.events.of(Fill)[0]
    assert (fill.side, fill.is_taker, fill.client_order_id) == (Side.BUY, True, order.client_order_id)
    assert fill.fee > 0
    held = await desk.events.first(PositionReport, lambda p: p.qty == order.qty)
    assert held.avg_entry_px == filled.avg_px
    await desk.agree()
    back = desk.taker(Side.SELL, qty=order.qty, reduce_only=True)
    desk.submit(back)
    await desk.report(back, VenueStatus.FILLED)
    flat = await desk.events.first(PositionReport, lambda p: p.qty == 0)
    assert flat.avg_entry_px is None
    await desk.agree()


async def test_a_market_order_has_no_price_and_fills(desk: Desk) -> None:
    order = desk.order(None, tif=TimeInForce.IOC, post_only=False)
    desk.submit(order)
    await desk.report(order, VenueStatus.FILLED)


async def test_a_post_only_order_that_would_cross_is_rejected_and_never_fills(desk: Desk) -> None:
    order = desk.taker(tif=TimeInForce.GTT, post_only=True)
    desk.submit(order)
    refused = await desk.events.first(
        object,
        lambda e: (
            (isinstance(e, OrderReport) and e.status in {VenueStatus.REJECTED, VenueStatus.CANCELED})
            or isinstance(e, SubmitRejected)
        ),
    )
    assert refused.reason if isinstance(refused, OrderReport) else refused.text  # type: ignore[attr-defined]
    assert desk.events.of(Fill) == []


async def test_what_the_venue_refuses_is_rejected_with_its_code(desk: Desk) -> None:
    order = desk.session.refused(desk.far(), desk.instrument)
    desk.submit(order)
    rejected = await desk.events.first(SubmitRejected)
    assert rejected.code > 0
    assert rejected.text


async def test_what_cannot_be_stated_exactly_is_not_sent(desk: Desk) -> None:
    between = desk.far()
    between = msgspec.structs.replace(between, px=between.px + desk.instrument.tick / 2 if between.px else None)
    desk.submit(between)
    assert [type(e) for e in desk.events.events if getattr(e, "client_order_id", 0) == between.client_order_id] == [
        OrderNotSent
    ]
    assert desk.intents.recorded == []


async def test_an_order_that_cannot_be_recorded_never_reaches_the_venue(desk: Desk) -> None:
    desk.intents.failing_from = 0
    order = desk.far()
    desk.submit(order)
    assert desk.events.of(OrderNotSent)[0].client_order_id == order.client_order_id
    await asyncio.sleep(0.3)
    assert (await desk.session.truth()).open_orders == frozenset()


async def test_after_a_kill_no_creation_leaves_and_every_cancel_does(desk: Desk) -> None:
    (order,) = await desk.resting()
    late = Approved(desk.far(5), desk.kill.current)
    desk.kill.current += 1
    desk.gateway.submit([late])
    assert desk.events.of(OrderNotSent)[0].client_order_id == late.order.client_order_id
    desk.gateway.cancel([desk.cancel(order)])
    await desk.report(order, VenueStatus.CANCELED)
    assert (await desk.session.truth()).open_orders == frozenset()


async def test_a_ladder_is_replaced_cancels_first(desk: Desk) -> None:
    old = await desk.resting(3)
    new = [desk.far(10 + n) for n in range(3)]
    desk.gateway.replace(
        ReplaceOrders(
            desk.session.account,
            desk.instrument.instrument_id,
            tuple(desk.cancel(order) for order in old),
            tuple(Approved(order, desk.kill.current) for order in new),
        )
    )
    for order in old:
        await desk.report(order, VenueStatus.CANCELED)
    for order in new:
        await desk.report(order, VenueStatus.OPEN)
    assert (await desk.session.truth()).open_orders == {order.client_order_id for order in new}
    assert {e.client_order_id for e in desk.events.of(CancelSent)} == {order.client_order_id for order in old}


async def test_a_cancel_of_what_is_not_there_proves_nothing_and_says_so(desk: Desk) -> None:
    ghost = desk.far()
    desk.gateway.cancel([desk.cancel(ghost, ttl_ms=200 if desk.gateway.capabilities.cancel_ttl else 0)])
    failed = await desk.events.first(CancelFailed)
    assert failed.not_found
    assert desk.events.of(OrderReport) == []


async def test_a_cancel_with_a_time_to_live_meets_an_order_that_comes_after_it(desk: Desk) -> None:
    if not desk.gateway.capabilities.cancel_ttl:
        return
    order = desk.far()
    desk.gateway.cancel([desk.cancel(order, ttl_ms=3000)])
    await desk.events.first(CancelReceived)
    desk.submit(order)
    await desk.report(order, VenueStatus.CANCELED, VenueStatus.REJECTED)
    assert (await desk.session.truth()).open_orders == frozenset()


async def test_cancel_all_empties_the_book_of_one_instrument_or_the_account(desk: Desk) -> None:
    for instrument in (desk.instrument.instrument_id, None):
        orders = await desk.resting(4)
        desk.gateway.cancel_all(instrument)
        for order in orders:
            await desk.report(order, VenueStatus.CANCELED)
        assert (await desk.session.truth()).open_orders == frozenset()


async def test_a_query_ends_in_a_report_or_in_not_found(desk: Desk) -> None:
    (order,) = await desk.resting()
    ghost = ClientOrderId(order.client_order_id + 1000)
    desk.gateway.query([order.client_order_id, ghost])
    known = await desk.events.first(OrderReport, lambda r: r.source is Source.QUERY)
    assert (known.client_order_id, known.status) == (order.client_order_id, VenueStatus.OPEN)
    assert (await desk.events.first(OrderNotFound)).client_order_id == ghost


async def test_a_snapshot_is_the_venues_whole_truth(desk: Desk) -> None:
    resting = await desk.resting(2)
    taker = desk.taker()
    desk.submit(taker)
    await desk.report(taker, VenueStatus.FILLED)
    await desk.events.first(Fill)
    desk.gateway.request_snapshot(0)
    snapshot = await desk.events.first(AccountSnapshot)
    truth = await desk.session.truth()
    assert {o.client_order_id for o in snapshot.open_orders} == {o.client_order_id for o in resting}
    assert {f.trade_id for f in snapshot.fills} == truth.trade_ids
    assert [p.qty for p in snapshot.positions] == [truth.position]
    assert snapshot.balance == truth.balance
    assert snapshot.ts_asked_ns <= snapshot.ts_recv_ns
    assert snapshot.equity > 0
    streamed = {f.trade_id: (f.px, f.qty, f.fee, f.side) for f in desk.events.of(Fill)}
    assert {f.trade_id: (f.px, f.qty, f.fee, f.side) for f in snapshot.fills} == streamed


async def test_fills_before_the_wanted_time_are_not_in_the_snapshot(desk: Desk) -> None:
    taker = desk.taker()
    desk.submit(taker)
    await desk.report(taker, VenueStatus.FILLED)
    fill = await desk.events.first(Fill)
    desk.gateway.request_snapshot(fill.ts_event_ns + 60 * NS_PER_S)
    snapshot = await desk.events.first(AccountSnapshot)
    assert snapshot.fills == ()


async def test_commands_return_at_once(desk: Desk) -> None:
    took_s = []
    for _ in range(TRIES):  # another process may have the processor during one
        began = time.monotonic()
        desk.submit(desk.far())
        desk.gateway.cancel([desk.cancel(desk.far())])
        desk.gateway.cancel_all(None)
        desk.gateway.query([ClientOrderId(1)])
        desk.gateway.request_snapshot(0)
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.2


# --- faults ----------------------------------------------------------------------------------------------------------


async def unknown(desk: Desk, order: NewOrder) -> SubmitUnknown:
    found = await desk.events.first(SubmitUnknown, timeout_s=UNKNOWN_AFTER_S)
    assert found.client_order_id == order.client_order_id
    assert desk.events.of(SubmitRejected) == desk.events.of(OrderNotSent) == []
    return found


@pytest.mark.gateway_fault(Fault.LOSE_CREATE_ANSWER)
async def test_a_lost_answer_is_unknown_and_the_order_is_found(desk: Desk) -> None:
    await desk.session.inject(Fault.LOSE_CREATE_ANSWER)
    order = desk.far()
    desk.submit(order)
    await unknown(desk, order)
    desk.gateway.query([order.client_order_id])
    found = await desk.events.first(OrderReport, lambda r: r.source is Source.QUERY)
    assert found.status is VenueStatus.OPEN
    assert (await desk.session.truth()).open_orders == {order.client_order_id}


@pytest.mark.gateway_fault(Fault.LOSE_CREATE)
async def test_a_creation_that_never_arrived_is_unknown_and_is_not_found(desk: Desk) -> None:
    await desk.session.inject(Fault.LOSE_CREATE)
    order = desk.far()
    desk.submit(order)
    await unknown(desk, order)
    desk.gateway.query([order.client_order_id])
    await desk.events.first(OrderNotFound)
    assert (await desk.session.truth()).open_orders == frozenset()


@pytest.mark.gateway_fault(Fault.REFUSE_WITH_SERVER_ERROR)
async def test_a_server_error_after_acceptance_is_unknown_never_rejected(desk: Desk) -> None:
    await desk.session.inject(Fault.REFUSE_WITH_SERVER_ERROR)
    order = desk.far()
    desk.submit(order)
    await unknown(desk, order)
    await desk.report(order, VenueStatus.OPEN)


@pytest.mark.gateway_fault(Fault.CUT_EVERYTHING)
async def test_after_a_cut_the_gateway_is_down_then_whole_again_and_nothing_is_sent_twice(desk: Desk) -> None:
    (order,) = await desk.resting()
    desk.events.forget()
    await desk.session.inject(Fault.CUT_EVERYTHING)
    await desk.link(Channel.ORDER_ENTRY, False)
    await desk.link(Channel.PRIVATE, False)
    await desk.link(Channel.PRIVATE, True)
    await desk.link(Channel.ORDER_ENTRY, True)
    assert (await desk.session.truth()).open_orders == {order.client_order_id}
    (second,) = await desk.resting()
    assert (await desk.session.truth()).open_orders == {order.client_order_id, second.client_order_id}


@pytest.mark.gateway_fault(Fault.CUT_EVERYTHING)
async def test_an_order_written_just_before_the_cut_is_never_called_rejected(desk: Desk) -> None:
    order = desk.far()
    await desk.session.inject(Fault.LOSE_CREATE_ANSWER)
    desk.submit(order)
    await desk.session.inject(Fault.CUT_EVERYTHING)
    await unknown(desk, order)


@pytest.mark.gateway_fault(Fault.DUPLICATE_FILL)
async def test_fill_frames_that_come_twice_are_one_fill(desk: Desk) -> None:
    await desk.session.inject(Fault.DUPLICATE_FILL)
    for side in (Side.BUY, Side.SELL):
        order = desk.taker(side)
        desk.submit(order)
        await desk.report(order, VenueStatus.FILLED)
    await asyncio.sleep(0.3)
    await desk.agree()


@pytest.mark.gateway_fault(Fault.MUTE_PRIVATE)
async def test_private_streams_that_fall_silent_are_found_out_within_5_s(desk: Desk) -> None:
    await desk.session.inject(Fault.MUTE_PRIVATE)
    began = asyncio.get_running_loop().time()
    desk.submit(desk.far())
    await desk.events.first(OrderPrepared)
    await desk.link(Channel.PRIVATE, False)
    assert asyncio.get_running_loop().time() - began < 5.0


@pytest.mark.gateway_fault(Fault.END_SESSION)
async def test_a_session_that_ends_is_renewed_and_trading_goes_on(desk: Desk) -> None:
    await desk.session.inject(Fault.END_SESSION)
    desk.gateway.request_snapshot(0)
    await desk.events.first(AccountSnapshot, timeout_s=RECOVERY_S)
    async with asyncio.timeout(RECOVERY_S):
        while True:
            order = desk.far()
            desk.submit(order)
            outcome = await desk.events.first(
                object,
                lambda e, wanted=order.client_order_id: (
                    getattr(e, "client_order_id", 0) == wanted  # type: ignore[misc]
                    and isinstance(e, OrderReport | SubmitRejected | SubmitUnknown | OrderNotSent)
                ),
            )
            if isinstance(outcome, OrderReport):
                break
            await asyncio.sleep(0.2)
    await desk.report(order, VenueStatus.OPEN)


@pytest.mark.gateway_fault(Fault.TOO_FAST)
async def test_too_fast_is_a_certain_refusal_that_does_not_hold_up_cancels(desk: Desk) -> None:
    (order,) = await desk.resting()
    await desk.session.inject(Fault.TOO_FAST)
    refused = desk.far(7)
    desk.submit(refused)
    await desk.events.first(SubmitRejected, lambda e: e.client_order_id == refused.client_order_id)
    desk.gateway.cancel([desk.cancel(order)])
    await desk.report(order, VenueStatus.CANCELED)
    assert (await desk.session.truth()).open_orders == frozenset()


@pytest.mark.parametrize("adapter", ["grvt", "grvt_lite"], indirect=True)
async def test_what_trading_costs_is_told_once_the_account_was_read(desk: Desk) -> None:
    desk.gateway.request_snapshot(0)
    told = await desk.events.first(FeesTold)
    assert told.account == desk.far().account
    assert Decimal("-0.001") < told.maker < told.taker < Decimal("0.01")


@pytest.mark.parametrize("adapter", ["ccxt_backpack", "grvt", "grvt_lite"], indirect=True)
async def test_the_owners_leverage_is_told_once_the_account_was_read(desk: Desk) -> None:
    """By instrument, or under "" for all of the account."""
    desk.gateway.request_snapshot(0)
    told = (await desk.events.first(LeverageTold)).leverages
    symbol = desk.instrument.instrument_id.partition("@")[0]
    assert (told.get(symbol) or told[""]).leverage >= 1


def stop_loss(desk: Desk, px: Decimal, **changes: Any) -> NewOrder:
    """Sell what was bought once the mark has fallen to `px`."""
    trigger_px = desk.instrument.round_px(px, Side.BUY)
    worst = desk.instrument.round_px(trigger_px * Decimal("0.998"), Side.SELL)
    trigger = Trigger(TriggerKind.STOP_LOSS, TriggerBy.MARK, trigger_px)
    figures = {"tif": TimeInForce.IOC, "post_only": False, "reduce_only": True}
    expire_ns = WallClock().now_ns() + 3600 * NS_PER_S
    return desk.order(worst, Side.SELL, **{**figures, "trigger": trigger, "expire_ns": expire_ns, **changes})


@pytest.mark.gateway_fault(Fault.MARK_MOVES)
async def test_a_stop_waits_out_of_the_book_until_the_mark_is_there_and_closes_what_is_held(desk: Desk) -> None:
    assert desk.gateway.capabilities.triggers
    bought = desk.taker()
    desk.submit(bought)
    await desk.report(bought, VenueStatus.FILLED)
    stop = stop_loss(desk, desk.touch()[0] * Decimal("0.98"), qty=bought.qty)
    desk.submit(stop)
    opened = await desk.report(stop, VenueStatus.OPEN)
    assert (opened.trigger, opened.cum_qty, opened.px) == (stop.trigger, 0, stop.px)
    assert stop.client_order_id in (await desk.session.truth()).open_orders
    desk.gateway.request_snapshot(0)
    shown = {r.client_order_id: r for r in (await desk.events.first(AccountSnapshot)).open_orders}
    assert shown[stop.client_order_id].trigger == stop.trigger
    assert stop.trigger is not None
    await desk.session.hold_mark(stop.trigger.px + desk.instrument.tick)
    await asyncio.sleep(0.2)  # it would be long enough for one that waits for less
    assert (await desk.session.truth()).position == bought.qty
    await desk.session.hold_mark(stop.trigger.px)
    flat = await desk.events.first(PositionReport, lambda p: p.qty == 0)
    assert flat.avg_entry_px is None
    await desk.report(stop, VenueStatus.CANCELED, VenueStatus.FILLED)
    await until(lambda: sum((f.qty for f in desk.events.of(Fill) if f.side is Side.SELL), Decimal(0)) == bought.qty)
    await desk.agree()


@pytest.mark.gateway_fault(Fault.MARK_MOVES)
async def test_a_stop_that_waits_can_be_cancelled_and_queried(desk: Desk) -> None:
    bought = desk.taker()
    desk.submit(bought)
    await desk.report(bought, VenueStatus.FILLED)
    stop = stop_loss(desk, desk.touch()[0] * Decimal("0.98"), qty=bought.qty)
    desk.submit(stop)
    await desk.report(stop, VenueStatus.OPEN)
    desk.gateway.query([stop.client_order_id])
    asked = await desk.events.first(
        OrderReport, lambda r: r.client_order_id == stop.client_order_id and r.source is Source.QUERY
    )
    assert asked.trigger == stop.trigger
    desk.gateway.cancel([desk.cancel(stop)])
    await desk.report(stop, VenueStatus.CANCELED)
    assert stop.client_order_id not in (await desk.session.truth()).open_orders
    back = desk.taker(Side.SELL, qty=bought.qty, reduce_only=True)
    desk.submit(back)
    await desk.report(back, VenueStatus.FILLED)


async def test_an_order_that_waits_is_never_executed_on_arrival_whatever_the_venue_offers(desk: Desk) -> None:
    bought = desk.taker()
    desk.submit(bought)
    await desk.report(bought, VenueStatus.FILLED)
    stop = stop_loss(desk, desk.touch()[0] * Decimal("0.98"), qty=bought.qty)
    desk.submit(stop)
    if desk.gateway.capabilities.triggers:
        await desk.report(stop, VenueStatus.OPEN)
    else:
        refused = OrderNotSent | SubmitRejected
        await until(
            lambda: any(
                isinstance(e, refused) and e.client_order_id == stop.client_order_id for e in desk.events.events
            )
        )
    assert (await desk.session.truth()).position == bought.qty
    back = desk.taker(Side.SELL, qty=bought.qty, reduce_only=True)
    desk.submit(back)
    await desk.report(back, VenueStatus.FILLED)
