"""A cancel always leaves, and is only ever called received or failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from perpmaker.model.events import CancelFailed, CancelReceived, CancelSent, Channel
from perpmaker.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from perpmaker.venues.grvt import cancels

from .bench import ACK, BTC, ETH, ID, Bench, cancel, order, running
from .collected import until
from .fake_venue import DROP, SILENT, SUB_ACCOUNT, Error, FakeVenue


@pytest.fixture
async def bench(venue: FakeVenue, http: aiohttp.ClientSession) -> AsyncIterator[Bench]:
    async with running(venue, http) as made:
        await made.up()
        yield made


async def test_a_cancel_by_client_id_with_its_time_to_live(bench: Bench) -> None:
    bench.gateway.cancel([cancel(ttl_ms=3000)])
    assert [type(e) for e in bench.events.events] == [CancelSent]
    assert (await bench.events.first(CancelReceived)).client_order_id == ID
    assert bench.venue.asked("v1/cancel_order") == [
        {"sub_account_id": SUB_ACCOUNT, "client_order_id": str(ID), "time_to_live_ms": "3000"}
    ]


@pytest.mark.parametrize(("asked", "sent"), [(1, "100"), (100, "100"), (5000, "5000"), (60_000, "5000")])
async def test_a_time_to_live_stays_inside_what_the_venue_takes(bench: Bench, asked: int, sent: str) -> None:
    bench.gateway.cancel([cancel(ttl_ms=asked)])
    await bench.events.first(CancelReceived)
    assert bench.venue.asked("v1/cancel_order")[0]["time_to_live_ms"] == sent


@pytest.mark.parametrize(
    "changes",
    [
        {"venue_order_id": VenueOrderId("0x0101"), "by_venue_id": True},
        {"venue_order_id": VenueOrderId("0x0101"), "client_order_id": ClientOrderId(0)},
    ],
)
async def test_a_cancel_by_the_venues_id(bench: Bench, changes: dict[str, Any]) -> None:
    bench.gateway.cancel([cancel(ttl_ms=500, **changes)])
    await bench.events.first(CancelReceived)
    assert bench.venue.asked("v1/cancel_order") == [{"sub_account_id": SUB_ACCOUNT, "order_id": "0x0101"}]


async def test_by_client_id_wherever_it_is_known(bench: Bench) -> None:
    bench.gateway.cancel([cancel(venue_order_id=VenueOrderId("0x0101"))])
    await bench.events.first(CancelReceived)
    assert bench.venue.asked("v1/cancel_order") == [{"sub_account_id": SUB_ACCOUNT, "client_order_id": str(ID)}]


async def test_not_found_is_said_as_such(bench: Bench) -> None:
    bench.venue.rpc["v1/cancel_order"] = lambda body: Error(1004, 404)
    bench.gateway.cancel([cancel()])
    assert (await bench.events.first(CancelFailed)).not_found


@pytest.mark.parametrize(
    "payload",
    [Error(1002, 500), Error(3021), Error(999_999), {"result": {"ack": False}}, {"result": {"ack": "true"}}, {}, DROP],
)
async def test_every_other_end_is_a_failure_that_proves_nothing(bench: Bench, payload: Any) -> None:
    bench.venue.rpc["v1/cancel_order"] = lambda body: payload
    bench.gateway.cancel([cancel()])
    assert not (await bench.events.first(CancelFailed)).not_found
    assert bench.events.of(CancelReceived) == []


async def test_without_a_receipt_it_has_failed_after_a_second_and_a_late_receipt_still_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cancels.RECEIPT_S == 1.0
    monkeypatch.setattr(cancels, "RECEIPT_S", 0.1)
    answer = asyncio.Event()

    async def late(_: object) -> Any:
        await answer.wait()
        return ACK

    bench.venue.rpc["v1/cancel_order"] = late
    bench.gateway.cancel([cancel()])
    assert not (await bench.events.first(CancelFailed)).not_found
    answer.set()
    await bench.events.first(CancelReceived)


async def test_where_time_to_live_is_switched_off_the_cancel_goes_without_it(bench: Bench) -> None:
    bench.venue.rpc["v1/cancel_order"] = lambda body: Error(2300) if "time_to_live_ms" in body else ACK
    bench.gateway.cancel([cancel(ttl_ms=500)])
    await bench.events.first(CancelReceived)
    bench.gateway.cancel([cancel(1, ttl_ms=500)])
    await bench.events.some(CancelReceived, 2)
    assert ["time_to_live_ms" in body for body in bench.venue.asked("v1/cancel_order")] == [True, False, False]
    assert bench.events.of(CancelFailed) == []


async def test_a_kill_does_not_hold_cancels_back(bench: Bench) -> None:
    bench.kill.current += 1
    bench.gateway.cancel([cancel()])
    await bench.events.first(CancelReceived)


async def test_a_hundred_cancels_leave_at_once_although_the_budget_is_for_forty(bench: Bench) -> None:
    bench.gateway.cancel([cancel(n) for n in range(100)])
    assert len(bench.events.of(CancelSent)) == 100
    await bench.events.some(CancelReceived, 100)


async def test_a_cancel_told_to_slow_down_fails_at_once_for_a_second_and_then_goes(bench: Bench) -> None:
    answers = iter([Error(1006, 429)])
    bench.venue.rpc["v1/cancel_order"] = lambda body: next(answers, ACK)
    bench.gateway.cancel([cancel()])
    await bench.events.first(CancelFailed)
    bench.gateway.cancel([cancel(1)])
    assert "silence" in bench.events.of(CancelFailed)[1].reason
    await asyncio.sleep(1.05)
    bench.gateway.cancel([cancel(2)])
    assert (await bench.events.first(CancelReceived)).client_order_id == ID + 2


async def test_while_the_socket_is_down_cancels_go_over_http(bench: Bench) -> None:
    bench.venue.upgrade_status = 503
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    bench.gateway.cancel([cancel()])
    await bench.events.first(CancelReceived)
    assert len(bench.events.of(CancelSent)) == 1
    assert bench.venue.asked("v1/cancel_order")[0]["client_order_id"] == str(ID)


async def test_when_nothing_can_leave_the_cancel_has_failed(bench: Bench) -> None:
    await bench.venue.stop()
    await bench.link(Channel.ORDER_ENTRY, False)
    bench.events.forget()
    for _ in range(2):  # the first may meet a pooled, dying connection
        bench.gateway.cancel([cancel()])
    await bench.events.some(CancelFailed, 2)
    assert bench.events.of(CancelReceived) == []


async def test_a_time_to_live_that_ran_out_is_told_by_the_stream(bench: Bench) -> None:
    outcome = {"sub_account_id": SUB_ACCOUNT, "client_order_id": str(ID), "order_id": "0x00", "reason": "UNSPECIFIED"}
    await bench.stream("v1.cancel", outcome | {"cancel_status": "EXPIRED"})
    assert (await bench.events.first(CancelFailed)).not_found


async def test_a_cancel_that_met_a_waiting_one_is_received_not_failed(bench: Bench) -> None:
    outcome = {"sub_account_id": SUB_ACCOUNT, "client_order_id": str(ID), "order_id": "0x00", "reason": "UNSPECIFIED"}
    await bench.stream("v1.cancel", outcome | {"cancel_status": "DROPPED_DUPLICATE"})
    assert (await bench.events.first(CancelReceived)).client_order_id == ID
    assert bench.events.of(CancelFailed) == []


async def test_cancel_all_of_the_account(bench: Bench) -> None:
    bench.gateway.cancel_all(None)
    await until(lambda: bool(bench.venue.asked("v1/cancel_all_orders")))
    assert bench.venue.asked("v1/cancel_all_orders") == [{"sub_account_id": SUB_ACCOUNT}]


@pytest.mark.parametrize("name", [ETH, "SOL_USDT_Perp"])
async def test_cancel_all_of_an_instrument_listed_or_not(bench: Bench, name: InstrumentId) -> None:
    bench.gateway.cancel_all(name)
    await until(lambda: bool(bench.venue.asked("v1/cancel_all_orders")))
    (body,) = bench.venue.asked("v1/cancel_all_orders")
    assert (body["kind"], body["base"], body["quote"]) == (["PERPETUAL"], [name.split("_")[0]], ["USDT"])


async def test_cancel_all_is_repeated_over_http_until_it_is_received(bench: Bench) -> None:
    answers = iter([Error(1002, 500), Error(1006, 429), {"result": {"ack": False}}])
    bench.venue.rpc["v1/cancel_all_orders"] = lambda body: next(answers, ACK)
    bench.gateway.cancel_all(BTC)
    await until(lambda: len(bench.venue.asked("v1/cancel_all_orders")) == 4, timeout_s=10)
    assert len([h for h in bench.venue.call_headers if "Cookie" in h]) >= 2  # every other one over HTTP


async def test_cancel_all_gets_through_when_the_socket_swallows_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancels, "RECEIPT_S", 0.1)
    swallowed = iter([SILENT])
    bench.venue.rpc["v1/cancel_all_orders"] = lambda body: next(swallowed, ACK)
    bench.gateway.cancel_all(None)
    await until(lambda: len(bench.venue.asked("v1/cancel_all_orders")) == 2)


async def test_cancels_are_not_behind_a_congested_link(bench: Bench) -> None:
    bench.submit(*[order(n) for n in range(20)])
    bench.gateway.cancel([cancel(n) for n in range(20)])
    await bench.events.some(CancelReceived, 20)
