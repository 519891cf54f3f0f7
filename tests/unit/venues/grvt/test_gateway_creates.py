"""Sign, record, check the epoch, write: in this order, in one step; and what every answer, or none, means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from perpmaker.clock import WallClock
from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import (
    CancelFailed,
    CancelReceived,
    CancelSent,
    Channel,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    RateBudget,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.order import Approved, Side, TimeInForce
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.api import PreparingGateway
from perpmaker.venues.grvt import creates
from perpmaker.venues.grvt.codes import OUTCOMES, Outcome
from perpmaker.venues.grvt.limits import rate_limiter
from perpmaker.venues.grvt.orders import Nonces
from perpmaker.venues.grvt.routes import Cost
from perpmaker.venues.grvt.signing import Leg, SignedTif, Signer, order_struct_hash
from perpmaker.venues.secret import Secret
from perpmaker.venues.transport.rate_limit import Rate

from .bench import ACCOUNT, BTC, ETH, ID, Bench, cancel, echo, order, running
from .collected import until
from .fake_venue import DROP, PRIVATE_KEY, SILENT, SUB_ACCOUNT, Error, FakeVenue, Json


@pytest.fixture
async def bench(venue: FakeVenue, http: aiohttp.ClientSession) -> AsyncIterator[Bench]:
    async with running(venue, http) as made:
        await made.up()
        yield made


def replace(bench: Bench, cancels: list[int], orders: list[int]) -> None:
    approved = tuple(Approved(order(n), bench.kill.current) for n in orders)
    bench.gateway.replace(ReplaceOrders(ACCOUNT, BTC, tuple(cancel(n) for n in cancels), approved))


async def test_an_order_leaves_signed_recorded_and_as_recorded(bench: Bench) -> None:
    bench.submit(order())
    assert len(bench.intents.recorded) == 1  # written before submit returned
    assert [type(e) for e in bench.events.events] == [OrderPrepared]
    report = await bench.events.first(OrderReport)
    assert (report.status, report.source, report.client_order_id) == (VenueStatus.PENDING, Source.REPLY, ID)
    (sent,) = bench.venue.asked("v1/create_order")
    recorded, signed = bench.intents.recorded[0]
    assert sent["order"] == json.loads(signed)
    assert recorded.expire_ns == int(sent["order"]["signature"]["expiration"])
    assert set(bench.stages.seen) == {"sign", "journal", "write", "ack"}


async def test_the_wire_shows_the_very_numbers_that_are_signed(bench: Bench) -> None:
    bench.submit(order(px=Decimal("60000.1"), qty=Decimal("1.013"), side=Side.SELL, reduce_only=True))
    await bench.events.first(OrderReport)
    (request,) = bench.intents.order_requests()
    leg = request.legs[0]
    assert (leg.size, leg.limit_price, leg.is_buying_asset) == ("1.013", "60000.1", False)
    struct_hash = order_struct_hash(
        sub_account_id=int(SUB_ACCOUNT),
        is_market=False,
        tif=SignedTif.GOOD_TILL_TIME,
        post_only=True,
        reduce_only=True,
        legs=[Leg(0x030501, int(Decimal(leg.size) * 10**9), int(Decimal(leg.limit_price or 0) * 10**9), False)],
        nonce=request.signature.nonce,
        expiration=int(request.signature.expiration),
    )
    signature = Signer(Secret(PRIVATE_KEY), 326).sign(struct_hash)
    assert (signature.r, signature.s, signature.v) == (request.signature.r, request.signature.s, request.signature.v)
    assert request.signature.chain_id == "326"


@pytest.mark.parametrize(
    ("tif", "name", "life_s"),
    [
        (TimeInForce.GTT, "GOOD_TILL_TIME", 90),
        (TimeInForce.RPI, "RETAIL_PRICE_IMPROVEMENT", 90),
        (TimeInForce.AON, "ALL_OR_NONE", 90),
        (TimeInForce.IOC, "IMMEDIATE_OR_CANCEL", 10),
        (TimeInForce.FOK, "FILL_OR_KILL", 10),
    ],
)
async def test_every_time_in_force_is_sent_with_its_own_life(
    bench: Bench, tif: TimeInForce, name: str, life_s: int
) -> None:
    now_ns = WallClock().now_ns()
    bench.submit(order(tif=tif, post_only=False))
    (request,) = bench.intents.order_requests()
    assert request.time_in_force == name
    assert abs(int(request.signature.expiration) - now_ns - life_s * NS_PER_S) < NS_PER_S


async def test_a_market_order_has_no_price(bench: Bench) -> None:
    bench.submit(order(px=None, tif=TimeInForce.IOC, post_only=False))
    await bench.events.first(OrderReport)
    (sent,) = bench.venue.asked("v1/create_order")
    assert (sent["order"]["is_market"], sent["order"]["legs"][0]["limit_price"]) == (True, None)


async def test_a_retail_order_does_not_carry_the_post_only_flag_that_the_venue_refuses_with_it(bench: Bench) -> None:
    bench.submit(order(tif=TimeInForce.RPI, post_only=True))
    assert bench.intents.order_requests()[0].post_only is False


async def test_an_expiration_of_the_orders_own_is_kept(bench: Bench) -> None:
    expire_ns = WallClock().now_ns() + 3600 * NS_PER_S
    bench.submit(order(expire_ns=expire_ns))
    assert bench.intents.order_requests()[0].signature.expiration == str(expire_ns)


async def test_nonces_count_up_from_their_seed(bench: Bench) -> None:
    bench.submit(order(0), order(1), order(2, ETH))
    assert [request.signature.nonce for request in bench.intents.order_requests()] == [42, 43, 44]


def test_lives_whose_seeds_differ_above_the_32nd_bit_begin_far_apart() -> None:
    first = sorted(Nonces((epoch << 32) + (1 << 24)).next() for epoch in range(1000))
    assert min(later - earlier for earlier, later in pairwise(first)) > 1_000_000


@pytest.mark.parametrize(
    "wrong",
    [
        order(px=Decimal("60000.15")),
        order(qty=Decimal("0.0155")),
        order(qty=Decimal(0)),
        order(qty=Decimal(-1)),
        order(qty=Decimal("NaN")),
        order(px=Decimal("Infinity")),
        order(px=Decimal(0)),
        order(px=Decimal(-1)),
        order(tif=TimeInForce.IOC, post_only=True),
        order(expire_ns=1),
        order(expire_ns=1 << 62),
        order(name="DOGE_USDT_Perp"),  # type: ignore[arg-type]
        order(qty=Decimal("99999999999.999")),
    ],
)
async def test_what_cannot_be_written_exactly_is_not_sent_and_not_recorded(bench: Bench, wrong: Any) -> None:
    bench.submit(wrong)
    assert [type(e) for e in bench.events.events] == [OrderNotSent]
    assert bench.intents.recorded == []
    assert bench.venue.asked("v1/create_order") == []


async def test_an_order_that_cannot_be_recorded_is_not_sent(bench: Bench) -> None:
    bench.intents.failing_from = 0
    bench.submit(order())
    assert [type(e) for e in bench.events.events] == [OrderNotSent]
    assert "not recorded" in bench.events.of(OrderNotSent)[0].reason
    bench.intents.failing_from = None
    bench.submit(order(1))
    await bench.events.first(OrderReport)
    assert len(bench.venue.asked("v1/create_order")) == 1


async def test_a_kill_between_record_and_write_holds_the_order_back(bench: Bench) -> None:
    def kill(_: object) -> None:
        bench.kill.current += 1

    bench.intents.on_intent = kill
    bench.submit(order())
    assert [type(e) for e in bench.events.events] == [OrderPrepared, OrderNotSent]
    bench.submit(order(1))  # the bench approves at the new epoch, and the record kills again
    await asyncio.sleep(0.05)
    assert bench.venue.asked("v1/create_order") == []


async def test_an_approval_of_an_older_epoch_is_not_even_recorded(bench: Bench) -> None:
    approved = Approved(order(), bench.kill.current)
    bench.kill.current += 1
    bench.gateway.submit([approved])
    assert [type(e) for e in bench.events.events] == [OrderNotSent]
    assert bench.intents.recorded == []


async def test_nothing_leaves_before_the_dead_man_timer_is_armed(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    async with running(venue, http) as bench:
        venue.rpc["v1/cancel_on_disconnect"] = lambda body: SILENT
        bench.submit(order())
        assert "not up" in bench.events.of(OrderNotSent)[0].reason
        await bench.link(Channel.PRIVATE, True)
        bench.submit(order(1))
        assert len(bench.events.of(OrderNotSent)) == 2
        assert bench.intents.recorded == []


async def test_an_immediate_reducing_order_may_leave_without_the_timer(
    venue: FakeVenue, http: aiohttp.ClientSession
) -> None:
    async with running(venue, http) as bench:
        venue.rpc["v1/cancel_on_disconnect"] = lambda body: SILENT
        await bench.link(Channel.PRIVATE, True)
        bench.submit(order(tif=TimeInForce.IOC, post_only=False, reduce_only=True))
        await bench.events.first(OrderReport)


@pytest.mark.parametrize(
    "code", [code for code, outcome in OUTCOMES.items() if outcome is Outcome.REJECTED and code != 1000]
)
async def test_a_certain_code_is_a_rejection(bench: Bench, code: int) -> None:
    bench.venue.rpc["v1/create_order"] = lambda body: Error(code)
    bench.submit(order())
    rejected = await bench.events.first(SubmitRejected)
    assert (rejected.code, rejected.client_order_id) == (code, ID)
    assert bench.events.of(SubmitUnknown) == []


@pytest.mark.parametrize("code", [code for code, o in OUTCOMES.items() if o is Outcome.UNKNOWN] + [424242])
async def test_an_ambiguous_code_is_unknown(bench: Bench, code: int) -> None:
    bench.venue.rpc["v1/create_order"] = lambda body: Error(code)
    bench.submit(order())
    await bench.events.first(SubmitUnknown)
    assert bench.events.of(SubmitRejected) == []


async def test_too_fast_is_a_rejection_that_silences_creates_but_not_cancels(bench: Bench) -> None:
    bench.venue.rpc["v1/create_order"] = lambda body: Error(1006)
    bench.submit(order())
    rejected = await bench.events.first(SubmitRejected)
    assert (rejected.code, rejected.stands_alone) == (1006, True)
    budget = await bench.events.first(RateBudget, lambda b: b.penalty_until_ns > 0)
    assert (budget.orders_left, budget.cancels_left > 0) == (0.0, True)
    bench.submit(order(1))
    assert "budget" in (await bench.events.first(OrderNotSent)).reason
    bench.gateway.cancel([cancel()])
    await bench.events.first(CancelReceived)
    assert len(bench.venue.asked("v1/create_order")) == 1


async def test_too_many_open_orders_is_no_rate_limit(bench: Bench) -> None:
    answers = iter([Error(2090, 429)])
    bench.venue.rpc["v1/create_order"] = lambda body: next(answers, {"result": echo(body["order"])})
    bench.submit(order())
    assert not (await bench.events.first(SubmitRejected)).stands_alone
    bench.submit(order(1))
    await bench.events.first(OrderReport)


@pytest.mark.parametrize("code", [code for code, outcome in OUTCOMES.items() if outcome is Outcome.FATAL])
async def test_a_fatal_code_ends_order_entry_after_one_attempt(bench: Bench, code: int) -> None:
    bench.venue.rpc["v1/create_order"] = lambda body: Error(code)
    bench.submit(order())
    await bench.events.first(SubmitRejected)
    assert str(code) in (await bench.link(Channel.ORDER_ENTRY, False)).reason
    for n in range(1, 5):
        bench.submit(order(n))
    assert len(bench.events.of(OrderNotSent)) == 4
    assert len(bench.venue.asked("v1/create_order")) == 1
    bench.gateway.cancel([cancel()])
    await bench.events.first(CancelReceived)


async def test_silence_is_unknown_and_a_late_answer_is_still_evidence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creates, "ANSWER_S", 0.2)
    asked: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
    release = asyncio.Event()

    async def late(body: Json) -> Json:
        asked.set_result(body)
        await release.wait()
        return {"result": echo(body["order"])}

    bench.venue.rpc["v1/create_order"] = late
    bench.submit(order())
    unknown = await bench.events.first(SubmitUnknown)
    assert "0.2 s" in unknown.reason
    assert bench.events.of(OrderReport) == []
    release.set()
    assert (await bench.events.first(OrderReport)).status is VenueStatus.PENDING


def test_the_answer_is_waited_for_two_seconds() -> None:
    assert creates.ANSWER_S == 2.0


async def test_a_link_cut_after_the_write_is_unknown(bench: Bench) -> None:
    bench.venue.rpc["v1/create_order"] = lambda body: DROP
    bench.submit(order())
    await bench.events.first(SubmitUnknown)
    assert bench.events.of(OrderNotSent) == bench.events.of(SubmitRejected) == []


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"result": {}},
        {"result": None},
        [],
        "text",
        {"result": {"order_id": "0x00"}},
    ],
)
async def test_an_answer_that_cannot_be_read_is_unknown(bench: Bench, payload: Any) -> None:
    bench.venue.rpc["v1/create_order"] = lambda body: payload
    bench.submit(order())
    await bench.events.first(SubmitUnknown)


async def test_an_answer_about_another_order_is_unknown(bench: Bench) -> None:
    def other(body: Json) -> Json:
        changed = body["order"] | {"metadata": {"client_order_id": str(ID + 99)}}
        return {"result": echo(changed)}

    bench.venue.rpc["v1/create_order"] = other
    bench.submit(order())
    await bench.events.first(SubmitUnknown)
    assert bench.events.of(OrderReport) == []


async def test_several_orders_on_one_instrument_leave_in_one_request(bench: Bench) -> None:
    bench.submit(order(0), order(1), order(2, ETH))
    await bench.events.some(OrderReport, 3)
    (bulk,) = bench.venue.asked("v2/bulk_orders")
    assert [o["metadata"]["client_order_id"] for o in bulk["orders"]] == [str(ID), str(ID + 1)]
    assert (bulk["order_i_ds"], bulk["client_order_i_ds"], bulk["sub_account_id"]) == ([], [], SUB_ACCOUNT)
    assert len(bench.venue.asked("v1/create_order")) == 1
    assert len(bench.intents.recorded) == 3


async def test_a_ladder_is_replaced_in_one_request(bench: Bench) -> None:
    replace(bench, [10, 11], [0, 1, 2])
    await bench.events.some(OrderReport, 3)
    await bench.events.some(CancelReceived, 2)
    (bulk,) = bench.venue.asked("v2/bulk_orders")
    assert bulk["client_order_i_ds"] == [str(ID + 10), str(ID + 11)]
    assert len(bulk["orders"]) == 3
    assert [e.client_order_id for e in bench.events.of(CancelSent)] == [ID + 10, ID + 11]
    assert bench.venue.routes_called().count("v1/cancel_order") == 0


async def test_more_than_a_hundred_are_split(bench: Bench, venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    clock = WallClock()
    limiter = rate_limiter(clock, {Cost.CREATE: Rate(1000, 1000)}, total=Rate(1000, 1000))
    async with running(venue, http, limiter=limiter, clock=clock) as fast:
        await fast.up()
        replace(fast, list(range(200, 350)), list(range(120)))
        await fast.events.some(OrderReport, 120)
        bulks = venue.asked("v2/bulk_orders")
        assert [len(b["orders"]) for b in bulks] == [100, 20]
        assert [len(b["client_order_i_ds"]) for b in bulks] == [100, 50]


def bulk_answer(*statuses: str, order_of: list[int] | None = None, acks: int | None = None) -> Any:
    def answer(body: Json) -> Json:
        rows = [echo(one, status) for one, status in zip(body["orders"], statuses, strict=False)]
        cancels = len(body["client_order_i_ds"]) if acks is None else acks
        return {
            "orders": rows if order_of is None else [rows[i] for i in order_of],
            "cancel_acks": [{"ack": True}] * cancels,
        }

    return answer


async def test_a_bulk_answer_in_another_order_is_matched_by_client_id(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = bulk_answer("PENDING", "OPEN", "REJECTED", order_of=[2, 0, 1])
    bench.submit(order(0), order(1), order(2))
    reports = await bench.events.some(OrderReport, 3)
    assert {r.client_order_id - ID: r.status for r in reports} == {
        0: VenueStatus.PENDING,
        1: VenueStatus.OPEN,
        2: VenueStatus.REJECTED,
    }
    assert bench.events.of(SubmitUnknown) == []


async def test_what_a_short_bulk_answer_does_not_name_is_unknown(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = bulk_answer("PENDING", "PENDING", "PENDING", order_of=[1])
    bench.submit(order(0), order(1), order(2))
    await bench.events.some(SubmitUnknown, 2)
    assert [e.client_order_id - ID for e in bench.events.of(SubmitUnknown)] == [0, 2]
    assert [e.client_order_id - ID for e in bench.events.of(OrderReport)] == [1]


async def test_a_row_named_twice_or_foreign_counts_for_nobody_else(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = bulk_answer("PENDING", "PENDING", order_of=[0, 0])
    bench.submit(order(0), order(1))
    assert (await bench.events.first(SubmitUnknown)).client_order_id == ID + 1
    assert len(bench.events.of(OrderReport)) == 1


async def test_receipts_that_do_not_match_the_cancels_prove_nothing(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = bulk_answer("PENDING", acks=1)
    replace(bench, [10, 11], [0])
    await bench.events.some(CancelFailed, 2)
    assert bench.events.of(CancelReceived) == []
    assert len(bench.events.of(OrderReport)) == 1


async def test_an_unreadable_bulk_answer_leaves_everything_unknown(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = lambda body: {"orders": "many"}
    replace(bench, [10], [0, 1])
    await bench.events.some(SubmitUnknown, 2)
    await bench.events.some(CancelFailed, 1)


async def test_a_code_about_one_of_several_orders_leaves_all_unknown_and_the_cancels_go_again(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = lambda body: Error(2066)
    replace(bench, [10, 11], [0, 1])
    await bench.events.some(SubmitUnknown, 2)
    await bench.events.some(CancelReceived, 2)
    assert len(bench.venue.asked("v1/cancel_order")) == 2


@pytest.mark.parametrize("code", [1003, 2234, 2235])
async def test_a_code_about_the_whole_request_rejects_all_of_it(bench: Bench, code: int) -> None:
    bench.venue.rpc["v2/bulk_orders"] = lambda body: Error(code)
    replace(bench, [10], [0, 1])
    await bench.events.some(SubmitRejected, 2)
    await bench.events.first(CancelReceived)


async def test_a_code_about_a_bulk_of_one_is_about_that_one(bench: Bench) -> None:
    bench.venue.rpc["v2/bulk_orders"] = lambda body: Error(2066)
    replace(bench, [10], [0])
    await bench.events.first(SubmitRejected)


async def test_cancels_leave_even_when_no_creation_can(bench: Bench) -> None:
    bench.intents.failing_from = 0
    replace(bench, [10, 11], [0, 1])
    await bench.events.some(CancelReceived, 2)
    assert len(bench.events.of(OrderNotSent)) == 2
    assert bench.venue.asked("v2/bulk_orders") == []
    assert len(bench.venue.asked("v1/cancel_order")) == 2


async def test_a_record_that_fails_half_way_holds_back_the_rest_only(bench: Bench) -> None:
    bench.intents.failing_from = 1
    replace(bench, [10], [0, 1, 2])
    await bench.events.first(OrderReport)
    assert [e.client_order_id - ID for e in bench.events.of(OrderNotSent)] == [1, 2]
    (bulk,) = bench.venue.asked("v2/bulk_orders")
    assert [o["metadata"]["client_order_id"] for o in bulk["orders"]] == [str(ID)]


async def test_a_kill_during_a_replacement_lets_only_the_cancels_out(bench: Bench) -> None:
    def kill(_: object) -> None:
        bench.kill.current = 1

    bench.intents.on_intent = kill
    replace(bench, [10], [0])
    await bench.events.first(CancelReceived)
    assert len(bench.events.of(OrderNotSent)) == 1
    assert bench.venue.asked("v2/bulk_orders") == []


async def test_what_was_prepared_is_recorded_once_and_leaves_with_its_request(bench: Bench) -> None:
    approved = tuple(Approved(order(n), bench.kill.current) for n in range(3))
    assert isinstance(bench.gateway, PreparingGateway)
    for one in approved[:2]:
        bench.gateway.prepare(one)
    assert len(bench.intents.recorded) == 2
    assert bench.events.events == []
    bench.gateway.replace(ReplaceOrders(ACCOUNT, BTC, (cancel(10),), approved))
    await bench.events.some(OrderReport, 3)
    assert len(bench.intents.recorded) == 3
    (bulk,) = bench.venue.asked("v2/bulk_orders")
    assert [sent["metadata"]["client_order_id"] for sent in bulk["orders"]] == [str(ID + n) for n in range(3)]
    recorded = [json.loads(signed)["signature"] for _, signed in bench.intents.recorded]
    assert [sent["signature"] for sent in bulk["orders"]] == recorded


async def test_what_cannot_be_prepared_is_told_once_and_the_request_goes_without_it(bench: Bench) -> None:
    approved = tuple(Approved(order(n), bench.kill.current) for n in range(2))
    bench.intents.failing_from = 0
    bench.gateway.prepare(approved[0])
    bench.intents.failing_from = None
    bench.gateway.submit(approved)
    await bench.events.first(OrderReport)
    assert [e.client_order_id - ID for e in bench.events.of(OrderNotSent)] == [0]
    (sent,) = bench.venue.asked("v1/create_order")
    assert sent["order"]["metadata"]["client_order_id"] == str(ID + 1)


async def test_a_kill_after_an_order_was_prepared_lets_only_the_cancels_out(bench: Bench) -> None:
    approved = Approved(order(), bench.kill.current)
    bench.gateway.prepare(approved)
    bench.kill.current += 1
    bench.gateway.replace(ReplaceOrders(ACCOUNT, BTC, (cancel(10),), (approved,)))
    await bench.events.first(CancelReceived)
    assert len(bench.events.of(OrderNotSent)) == 1
    assert bench.venue.asked("v2/bulk_orders") == []


async def test_what_was_prepared_does_not_leave_into_a_silence_the_venue_asked_for_meanwhile(bench: Bench) -> None:
    approved = tuple(Approved(order(n), bench.kill.current) for n in range(2))
    for one in approved:
        bench.gateway.prepare(one)
    bench.gateway._limiter.penalise(Cost.CREATE.value, 60.0)
    bench.gateway.submit(approved)
    await bench.events.some(OrderNotSent, 2)
    assert "asked for silence" in bench.events.of(OrderNotSent)[0].reason
    assert bench.venue.asked("v2/bulk_orders") == []


async def test_a_forgotten_order_is_prepared_no_longer(bench: Bench) -> None:
    approved = Approved(order(), bench.kill.current)
    bench.gateway.prepare(approved)
    bench.gateway.forget([approved])
    bench.gateway.submit([approved])
    await bench.events.first(OrderReport)
    first, second = (json.loads(signed)["signature"] for _, signed in bench.intents.recorded)
    assert first["nonce"] != second["nonce"]


async def test_creates_are_shed_and_cancels_are_not(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    clock = WallClock()
    limiter = rate_limiter(clock, {Cost.CREATE: Rate(0.01, 2)})
    async with running(venue, http, limiter=limiter, clock=clock) as bench:
        await bench.up()
        replace(bench, [10, 11], [0, 1, 2, 3])
        await bench.events.some(OrderReport, 2)
        assert [e.client_order_id - ID for e in bench.events.of(OrderNotSent)] == [2, 3]
        await bench.events.some(CancelReceived, 2)
        replace(bench, [12], [4])
        await bench.events.some(CancelReceived, 3)


async def test_nothing_waits_for_the_next_link(bench: Bench) -> None:
    bench.venue.upgrade_status = 503
    bench.venue.rpc["v1/cancel_on_disconnect"] = lambda body: Error(1002, 500)
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    bench.submit(order())
    assert len(bench.events.of(OrderNotSent)) == 1
    bench.venue.upgrade_status = None
    bench.venue.rpc["v1/cancel_on_disconnect"] = lambda body: {"result": {"ack": True}}
    await bench.link(Channel.ORDER_ENTRY, True, timeout_s=20)
    bench.submit(order(1))
    await bench.events.first(OrderReport)
    assert [b["order"]["metadata"]["client_order_id"] for b in bench.venue.asked("v1/create_order")] == [str(ID + 1)]


async def test_a_session_that_ended_is_renewed_and_the_order_is_not_repeated(bench: Bench) -> None:
    answers = iter([Error(1000, 401)])
    bench.venue.rpc["v1/create_order"] = lambda body: next(answers, {"result": echo(body["order"])})
    bench.submit(order())
    assert (await bench.events.first(SubmitRejected)).code == 1000
    await bench.link(Channel.ORDER_ENTRY, False)
    await until(lambda: bench.venue.logins == 2)
    await bench.link(Channel.ORDER_ENTRY, True)
    assert len(bench.venue.asked("v1/create_order")) == 1
