"""Order entry through ccxt on a scripted Backpack: recorded first, sent once, and never called what it is not."""

from __future__ import annotations

import asyncio
import decimal
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from tests.unit.venues.grvt.collected import until

from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    CancelReceived,
    Channel,
    Connectivity,
    Fill,
    LeverageTold,
    OrderNotFound,
    OrderNotSent,
    OrderReport,
    SnapshotFailed,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import Approved, Side, TimeInForce
from perpmaker.venues import debts
from perpmaker.venues.ccxt import orders

from .bench import ACCOUNT, ETH, ID, SECRET, Bench, bench, order

ORDER = "/api/v1/order"


@pytest.fixture
async def desk() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


async def test_the_record_says_what_the_request_says_and_no_secret(desk: Bench) -> None:
    desk.submit(order())
    recorded, said = desk.intents.recorded[0]
    assert recorded.client_order_id == ID
    assert json.loads(said)[2:7] == ["ETH/USDC:USDC", "limit", "buy", "0.1", "2900.10"]
    assert SECRET.encode() not in said
    await desk.events.first(OrderReport)
    assert desk.fake.of("POST", ORDER) == [
        {"clientId": ID, "orderType": "Limit", "postOnly": True, "price": "2900.1", "quantity": "0.1", "side": "Bid",
         "symbol": "ETH_USDC_PERP"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"tif": TimeInForce.IOC, "post_only": False}, {"timeInForce": "IOC", "orderType": "Limit"}),
        ({"tif": TimeInForce.FOK, "post_only": False, "reduce_only": True}, {"timeInForce": "FOK", "reduceOnly": True}),
        ({"post_only": False}, {"timeInForce": "GTC"}),
        ({"px": None, "post_only": False, "side": Side.SELL}, {"orderType": "Market", "side": "Ask"}),
    ],
)
async def test_an_order_is_said_in_the_venues_words(desk: Bench, changes: dict, sent: dict) -> None:  # type: ignore[type-arg]
    desk.submit(order(**changes))
    await desk.events.first(OrderReport)
    asked = desk.fake.of("POST", ORDER)[0]
    assert {key: asked.get(key) for key in sent} == sent


@pytest.mark.parametrize(
    "changes",
    [{"client_order_id": 1 << 32}, {"tif": TimeInForce.RPI}, {"px": Decimal("2900.001")}, {"qty": Decimal("0.00001")}],
)
async def test_what_cannot_be_said_exactly_is_neither_recorded_nor_sent(desk: Bench, changes: dict) -> None:  # type: ignore[type-arg]
    desk.submit(order(**changes))
    assert len(desk.events.of(OrderNotSent)) == 1
    assert desk.intents.recorded == []
    assert desk.fake.of("POST", ORDER) == []


async def test_a_kill_after_the_record_stops_the_order_before_its_first_byte(desk: Bench) -> None:
    desk.submit(order())
    desk.kill.current += 1
    told = await desk.events.first(OrderNotSent)
    assert told.client_order_id == ID
    assert len(desk.intents.recorded) == 1
    assert desk.fake.of("POST", ORDER) == []


@pytest.mark.parametrize(
    "answer", ["cut", (500, {"code": "SERVER_ERROR", "message": "Internal"}), (503, "Unknown error")]
)
async def test_an_answer_that_proves_nothing_is_unknown_and_is_not_sent_again(desk: Bench, answer: object) -> None:
    desk.fake.script("POST", ORDER, answer)
    desk.submit(order())
    await desk.events.first(SubmitUnknown)
    await asyncio.sleep(0.1)
    assert len(desk.fake.of("POST", ORDER)) == 1
    assert desk.events.of(SubmitRejected) == desk.events.of(OrderNotSent) == []


async def test_no_answer_in_time_is_unknown(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "ANSWER_S", 0.2)
    desk.fake.script("POST", ORDER, "drop")
    desk.submit(order())
    assert (await desk.events.first(SubmitUnknown)).reason == "no answer in time"


async def test_a_refusal_is_rejected_with_the_venues_words(desk: Bench) -> None:
    text = "Order would immediately match and take liquidity"
    desk.fake.script("POST", ORDER, (400, {"code": "INVALID_ORDER", "message": text}))
    desk.submit(order())
    rejected = await desk.events.first(SubmitRejected)
    assert (rejected.code, rejected.text) == (400, f"INVALID_ORDER: {text}")


async def test_keys_that_are_refused_stop_all_orders(desk: Bench) -> None:
    desk.fake.script("POST", ORDER, (401, {"code": "INVALID_SIGNATURE", "message": "no"}))
    desk.submit(order())
    await desk.events.first(SubmitRejected)
    await desk.link(Channel.ORDER_ENTRY, False)
    desk.submit(order(1))
    assert desk.events.of(OrderNotSent)[0].client_order_id == ID + 1


async def test_a_cancel_that_waits_meets_an_order_that_comes_later(desk: Bench) -> None:
    late = order()
    desk.cancel(late, ttl_ms=5000)
    await until(lambda: len(desk.fake.of("DELETE", ORDER)) == 1)
    desk.submit(late)
    await desk.events.first(CancelReceived)
    assert desk.events.of(CancelFailed) == []


async def test_a_pending_cancel_is_a_receipt_and_ends_nothing_before_the_stream_does(desk: Bench) -> None:
    desk.submit(order())
    await desk.events.first(OrderReport)
    (there,) = desk.fake.orders.values()
    desk.fake.script("DELETE", ORDER, (202, there))  # taken, and still open
    desk.cancel(order())
    await desk.events.first(CancelReceived)
    assert {report.status for report in desk.events.of(OrderReport)} == {VenueStatus.OPEN}
    await desk.fake.order_frame("orderCancelled", {**there, "status": "Cancelled"})
    await until(lambda: desk.events.of(OrderReport)[-1].status is VenueStatus.CANCELED)


async def test_a_cancel_of_nothing_says_not_found_and_a_broken_one_does_not(desk: Bench) -> None:
    desk.cancel(order())
    assert (await desk.events.first(CancelFailed)).not_found
    desk.events.forget()
    desk.fake.script("DELETE", ORDER, (500, {"code": "SERVER_ERROR", "message": "x"}))
    desk.cancel(order(1))
    assert not (await desk.events.first(CancelFailed)).not_found


async def test_a_replacement_cancels_before_it_creates(desk: Bench) -> None:
    desk.submit(order())
    await desk.events.first(OrderReport)
    old = order()
    request = ReplaceOrders(
        ACCOUNT, ETH, (orders.CancelOrder(ACCOUNT, ETH, old.client_order_id),), (Approved(order(1), desk.kill.current),)
    )
    desk.gateway.replace(request)
    await desk.events.first(OrderReport, lambda r: r.client_order_id == ID + 1)
    sent = [(method, path) for method, path, _ in desk.fake.requests if path == ORDER]
    assert sent == [("POST", ORDER), ("DELETE", ORDER), ("POST", ORDER)]


async def test_an_ended_order_is_found_in_history_and_an_unknown_one_is_not_found(desk: Bench) -> None:
    desk.submit(order())
    await desk.events.first(OrderReport)
    desk.cancel(order())
    await desk.events.first(CancelReceived)
    desk.gateway.query([ID, ID + 9])  # type: ignore[list-item]
    found = await desk.events.first(OrderReport, lambda r: r.source is Source.QUERY)
    assert found.status is VenueStatus.CANCELED
    assert (await desk.events.first(OrderNotFound)).client_order_id == ID + 9


async def test_two_fills_in_one_moment_are_two_fills_and_a_repeated_one_is_none(desk: Bench) -> None:
    desk.submit(order())
    await desk.events.first(OrderReport)
    resting = next(iter(desk.fake.orders.values()))
    for number in (1, 2, 2):
        told = {**resting, "status": "PartiallyFilled", "executedQuantity": f"0.0{number}",
                "executedQuoteQuantity": "29"}  # fmt: skip
        await desk.fake.order_frame("orderFill", told, t=number, l="0.01", L="2900.10", n="0.0058", N="USDC", m=True)
    await until(lambda: len([r for r in desk.events.of(OrderReport) if r.cum_qty == Decimal("0.02")]) == 2)
    assert [(f.trade_id, f.qty, f.is_taker) for f in desk.events.of(Fill)] == [
        ("1", Decimal("0.01"), False),
        ("2", Decimal("0.01"), False),
    ]


async def test_a_mute_stream_is_found_out_by_what_it_owes(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debts, "PATIENCE_S", 0.2)
    desk.fake.auto_stream = False
    desk.submit(order())
    told = await desk.link(Channel.PRIVATE, False)
    assert "mute" in told.reason
    desk.events.forget()
    await desk.link(Channel.ORDER_ENTRY, True)


async def test_a_private_frame_that_cannot_be_read_costs_the_link(desk: Bench) -> None:
    await desk.fake.push("account.orderUpdate", {"s": "ETH_USDC_PERP", "e": "orderFill", "X": "?"})
    await desk.link(Channel.PRIVATE, False)


async def test_a_read_that_fails_is_no_snapshot_and_fills_without_fees_are_none_either(desk: Bench) -> None:
    desk.fake.script("GET", "/api/v1/position", (500, {"code": "SERVER_ERROR", "message": "x"}))
    desk.gateway.request_snapshot(0)
    await desk.events.first(SnapshotFailed)
    desk.events.forget()
    row = {"tradeId": 7, "orderId": "4", "clientId": ID, "symbol": "ETH_USDC_PERP", "side": "Bid", "price": "2900.10",
           "quantity": "0.1", "isMaker": True, "timestamp": "2025-07-27T17:39:00.092123"}  # fmt: skip
    desk.fake.fills.append(row)
    desk.gateway.request_snapshot(0)
    await desk.events.first(SnapshotFailed)
    row |= {"fee": "0.0580200000001", "feeSymbol": "USDC"}
    desk.gateway.request_snapshot(0)
    snapshot = await desk.events.first(AccountSnapshot)
    assert snapshot.fills[0].fee == Decimal("0.0580200000001")
    assert snapshot.fills[0].ts_event_ns % 1_000_000_000 == 92_123_000
    assert (snapshot.balance, snapshot.equity, snapshot.currency) == (Decimal("1000.0"), Decimal("1001.25"), "USDC")


async def test_ccxts_rounding_stays_out_of_our_arithmetic(desk: Bench) -> None:
    desk.submit(order())
    await desk.events.first(OrderReport)
    assert decimal.getcontext().rounding == decimal.ROUND_HALF_EVEN


async def test_an_order_to_nobody_was_certainly_not_sent(desk: Bench) -> None:
    desk.gateway._client.urls["api"]["private"] = "http://127.0.0.1:9"
    desk.submit(order())
    assert "not on the allow-list" in (await desk.events.first(OrderNotSent)).reason


@pytest.mark.parametrize("answer", [[], None, {"leverageLimit": "NaN"}])
async def test_a_leverage_that_cannot_be_read_disturbs_nothing(desk: Bench, answer: object) -> None:
    desk.events.forget()
    desk.fake.script("GET", "/api/v1/account", (200, answer))
    desk.gateway.request_snapshot(0)
    await until(lambda: bool(desk.fake.of("GET", "/api/v1/account")))
    desk.gateway.request_snapshot(0)  # what is asked for later is answered later
    await desk.events.some(AccountSnapshot, 2)
    assert not [one for one in desk.events.of(Connectivity) if not one.up]
    assert desk.events.of(LeverageTold) == []
