"""Links, the dead-man timer, private streams, queries and snapshots of a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from perpmaker.clock import WallClock
from perpmaker.errors import ConfigError
from perpmaker.model.events import (
    AccountSnapshot,
    Channel,
    Connectivity,
    FeesTold,
    Fill,
    OrderNotFound,
    OrderNotSent,
    OrderReport,
    PositionReport,
    RateBudget,
    SnapshotFailed,
    Source,
    SubmitRejected,
    SubmitUnknown,
    VenueStatus,
)
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import Side
from perpmaker.venues import debts
from perpmaker.venues.grvt import dead_man
from perpmaker.venues.grvt.codes import ENDINGS, Ending
from perpmaker.venues.grvt.gateway import Attempts, GatewayOptions
from perpmaker.venues.grvt.orders import Lives

from .bench import ACCOUNT, ACK, BTC, ID, Bench, fill, order, running, stated
from .collected import until
from .fake_venue import API_KEY, PRIVATE_KEY, SILENT, SUB_ACCOUNT, Error, FakeVenue, Json, subscribed

PRIVATE_STREAMS = {"v1.order", "v1.state", "v1.fill", "v1.position", "v1.cancel"}


@pytest.fixture
async def bench(venue: FakeVenue, http: aiohttp.ClientSession) -> AsyncIterator[Bench]:
    async with running(venue, http) as made:
        await made.up()
        yield made


def state_of(n: int = 0, **changes: Any) -> Json:
    whole = stated(n, **changes)
    return {"order_id": whole["order_id"], "client_order_id": str(ID + n), "order_state": whole["state"]}


def position(size: str = "-0.5", entry: str = "60000.0") -> Json:
    return {
        "event_time": "5",
        "sub_account_id": SUB_ACCOUNT,
        "instrument": BTC,
        "size": size,
        "entry_price": entry,
        "mark_price": "60010.0",
        "unrealized_pnl": "-5.0",
    }


# --- links and the dead-man timer ------------------------------------------------------------------------------------


async def test_one_login_serves_both_sockets_and_rest(bench: Bench) -> None:
    assert bench.venue.logins == 1
    assert all(s.headers["Cookie"] == "gravity=cookie-1" for s in bench.venue.sockets)
    assert {stream for stream, _ in bench.private.subscribed} == PRIVATE_STREAMS
    assert {selector for _, selector in bench.private.subscribed} == {SUB_ACCOUNT}


async def test_the_timer_is_armed_before_order_entry_is_up_and_with_its_countdown(
    venue: FakeVenue, http: aiohttp.ClientSession
) -> None:
    async with running(venue, http, GatewayOptions(dead_man_s=25)) as bench:
        await bench.link(Channel.ORDER_ENTRY, True)
        assert venue.asked("v1/cancel_on_disconnect")[0] == {"sub_account_id": SUB_ACCOUNT, "countdown_time": "25000"}


async def test_the_timer_is_refreshed_at_a_quarter(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    async with running(venue, http, GatewayOptions(dead_man_s=5)) as bench:
        await bench.up()
        began = asyncio.get_running_loop().time()
        await until(lambda: len(venue.asked("v1/cancel_on_disconnect")) >= 2)
        assert 1.0 <= asyncio.get_running_loop().time() - began <= 2.4


@pytest.mark.parametrize("seconds", [0, 1, 4.9, 120.1, 300, -5, float("nan")])
async def test_only_a_countdown_from_5_to_120_s_is_accepted(
    venue: FakeVenue, http: aiohttp.ClientSession, seconds: float
) -> None:
    with pytest.raises(ConfigError, match="dead-man"):
        async with running(venue, http, GatewayOptions(dead_man_s=seconds)):
            pass


@pytest.mark.parametrize("lives", [Lives(resting_s=0), Lives(immediate_s=0.5), Lives(resting_s=31 * 86_400)])
async def test_only_a_possible_signature_life_is_accepted(
    venue: FakeVenue, http: aiohttp.ClientSession, lives: Lives
) -> None:
    with pytest.raises(ConfigError, match="signature life"):
        async with running(venue, http, GatewayOptions(lives=lives)):
            pass


@pytest.mark.parametrize("answer", [{"result": {"ack": False}}, {}, Error(6000), Error(1002, 500)])
async def test_a_timer_that_is_not_acknowledged_is_not_armed(
    venue: FakeVenue, http: aiohttp.ClientSession, answer: Any
) -> None:
    async with running(venue, http) as bench:
        venue.rpc["v1/cancel_on_disconnect"] = lambda body: answer
        await bench.link(Channel.PRIVATE, True)
        await until(lambda: len(venue.asked("v1/cancel_on_disconnect")) >= 2)
        assert not any(c.up for c in bench.events.of(Connectivity) if c.channel is Channel.ORDER_ENTRY)


async def test_a_timer_that_can_no_longer_be_refreshed_takes_order_entry_down_before_it_fires(
    venue: FakeVenue, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_man, "MIN_S", 1.0)
    async with running(venue, http, GatewayOptions(dead_man_s=1.2)) as bench:
        await bench.up()
        venue.rpc["v1/cancel_on_disconnect"] = lambda body: SILENT
        began = asyncio.get_running_loop().time()
        await bench.link(Channel.ORDER_ENTRY, False)
        assert asyncio.get_running_loop().time() - began < 1.2
        bench.submit(order())
        assert "dead-man" in bench.events.of(OrderNotSent)[0].reason
        venue.rpc["v1/cancel_on_disconnect"] = lambda body: ACK
        await bench.link(Channel.ORDER_ENTRY, True)


async def test_a_cut_order_socket_is_down_at_once_and_comes_back_by_itself(bench: Bench) -> None:
    bench.venue.rpc["v1/cancel_on_disconnect"] = lambda body: Error(1002, 500)
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    bench.venue.rpc["v1/cancel_on_disconnect"] = lambda body: ACK
    await bench.link(Channel.ORDER_ENTRY, True)
    bench.submit(order())
    await bench.events.first(OrderReport)


async def test_orders_go_over_http_once_the_timer_was_refreshed_that_way(bench: Bench) -> None:
    bench.venue.upgrade_status = 503
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    up = await bench.link(Channel.ORDER_ENTRY, True)
    assert up.reason == "over HTTP"
    bench.submit(order())
    assert (await bench.events.first(OrderReport)).status is VenueStatus.PENDING
    bench.kill.current += 1
    bench.events.forget()
    bench.gateway.submit([])
    assert bench.events.events == []


async def test_a_socket_that_comes_back_while_orders_go_over_http_interrupts_nothing(bench: Bench) -> None:
    bench.venue.upgrade_status = 503
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    await bench.link(Channel.ORDER_ENTRY, True)
    bench.events.forget()
    bench.venue.upgrade_status = None
    await until(lambda: bench.gateway._entry_socket.is_open)
    await asyncio.sleep(0.3)
    assert [c for c in bench.events.of(Connectivity) if c.channel is Channel.ORDER_ENTRY] == []


async def test_a_kill_while_an_order_is_on_its_way_to_http_holds_it_back(bench: Bench) -> None:
    bench.venue.upgrade_status = 503
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    await bench.link(Channel.ORDER_ENTRY, True)
    bench.submit(order())  # the request has been started, its body has not been let go
    bench.kill.current += 1
    assert "forbidden" in (await bench.events.first(OrderNotSent)).reason
    assert bench.venue.asked("v1/create_order") == []


async def test_without_the_fallback_nothing_goes_over_http(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    async with running(venue, http, GatewayOptions(rest_fallback=False)) as bench:
        await bench.up()
        venue.upgrade_status = 503
        await bench.entry.cut()
        await bench.link(Channel.ORDER_ENTRY, False)
        await asyncio.sleep(0.3)
        bench.submit(order())
        assert len(bench.events.of(OrderNotSent)) == 1


async def test_a_venue_that_is_down_at_the_start_is_waited_for(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    port = venue.port
    environment = venue.environment
    await venue.stop()
    async with running(venue, http, environment=environment) as bench:
        await bench.link(Channel.ORDER_ENTRY, False)
        await venue.start(port)
        await bench.link(Channel.ORDER_ENTRY, True)
        await bench.link(Channel.PRIVATE, True)


async def test_a_refused_key_is_tried_once_and_nothing_comes_up(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    async def refuse() -> web.StreamResponse:
        return web.json_response({"status": "failure", "error": f"no such key {API_KEY}"})

    venue.on_login = refuse
    async with running(venue, http) as bench:
        down = await bench.link(Channel.ORDER_ENTRY, False)
        await asyncio.sleep(1.0)
        assert venue.logins == 1
        assert API_KEY not in down.reason


async def test_an_expired_cookie_is_renewed_at_the_next_upgrade(bench: Bench) -> None:
    bench.venue.cookies.clear()
    await bench.private.cut()
    await bench.link(Channel.PRIVATE, False)
    await bench.link(Channel.PRIVATE, True)
    assert bench.venue.logins == 2


async def test_a_subscription_refused_for_an_expired_cookie_is_asked_for_with_a_new_login(bench: Bench) -> None:
    cookies_then = {bench.private.headers["Cookie"]}

    def answer(stream: str, selectors: list[str]) -> Any:
        with_new_login = bench.venue.sockets[-1].headers["Cookie"] not in cookies_then
        return subscribed(stream, selectors) if with_new_login else Error(1000, 401)

    bench.venue.subscribe_answer = answer
    await bench.private.cut()
    await bench.link(Channel.PRIVATE, False)
    await bench.link(Channel.PRIVATE, True)
    assert bench.venue.logins == 2


async def test_a_late_refusal_of_the_old_login_over_http_leaves_the_new_one(bench: Bench) -> None:
    answer_now = asyncio.Event()

    async def late(_: object) -> Error:
        await answer_now.wait()
        return Error(1000, 401)

    bench.venue.upgrade_status = 503
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    await bench.link(Channel.ORDER_ENTRY, True)
    bench.venue.rpc["v1/create_order"] = late
    bench.submit(order())
    await until(lambda: bool(bench.venue.asked("v1/create_order")))
    bench.venue.cookies.clear()
    bench.venue.upgrade_status = None
    bench.events.forget()
    await bench.private.cut()
    await bench.link(Channel.PRIVATE, False)
    await bench.link(Channel.PRIVATE, True)
    await until(lambda: bench.gateway._entry_socket.is_open)
    answer_now.set()
    await bench.events.first(object, lambda e: isinstance(e, SubmitRejected | SubmitUnknown))
    account(bench.venue)
    bench.gateway.request_snapshot(0)
    await bench.events.first(AccountSnapshot)
    assert bench.venue.logins == 2
    assert bench.gateway._entry_socket.is_open


async def test_no_secret_is_in_any_event_or_output(
    venue: FakeVenue, http: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(venue, http) as bench:
        await bench.up()
        venue.rpc["v1/create_order"] = lambda body: Error(2002)
        bench.submit(order())
        await bench.private.cut()
        await bench.link(Channel.PRIVATE, True)
        told = repr(bench.events.events) + repr(vars(bench.gateway))
    written = capsys.readouterr()
    for secret in (API_KEY, PRIVATE_KEY[2:], "cookie-1", "gravity="):
        assert secret not in told + written.out + written.err


# --- private streams -------------------------------------------------------------------------------------------------


async def test_order_state_fill_and_position_become_evidence(bench: Bench) -> None:
    bench.submit(order())
    await bench.events.first(OrderReport)
    bench.events.forget()
    await bench.stream("v1.order", stated(at=10))
    await bench.stream("v1.state", state_of(status="FILLED", traded="0.015", at=11))
    await bench.stream("v1.fill", fill())
    await bench.stream("v1.position", position())
    opened, filled = await bench.events.some(OrderReport, 2)
    assert (opened.status, opened.venue_order_id, opened.side) == (VenueStatus.OPEN, "0x1", Side.BUY)
    assert (opened.px, opened.qty, opened.source) == (Decimal("60000.1"), Decimal("0.015"), Source.STREAM)
    assert (filled.status, filled.cum_qty, filled.instrument) == (VenueStatus.FILLED, Decimal("0.015"), BTC)
    assert filled.avg_px == Decimal("60000.1")
    got = await bench.events.first(Fill)
    assert (got.fee, got.fee_currency, got.trade_id, got.is_taker) == (Decimal("-0.0009"), "USDT", "7-1", False)
    held = await bench.events.first(PositionReport)
    assert (held.qty, held.avg_entry_px) == (Decimal("-0.5"), Decimal("60000.0"))


async def test_a_fill_is_delivered_once_per_trade_id(bench: Bench) -> None:
    await bench.stream("v1.fill", fill(trade_id="7-1"))
    await bench.stream("v1.fill", fill(trade_id="7-2"))
    await bench.private.cut()
    await bench.link(Channel.PRIVATE, True)
    bench.numbers.clear()
    await bench.stream("v1.fill", fill(trade_id="7-2"))
    await bench.stream("v1.fill", fill(trade_id="8-1"))
    await bench.events.some(Fill, 3)
    assert [f.trade_id for f in bench.events.of(Fill)] == ["7-1", "7-2", "8-1"]


async def test_an_expired_order_is_told_apart_from_a_cancelled_one(bench: Bench) -> None:
    await bench.stream("v1.order", stated(0, status="CANCELLED", reason="EXPIRED"))
    await bench.stream("v1.order", stated(1, status="CANCELLED", reason="CLIENT_CANCEL"))
    expired, cancelled = await bench.events.some(OrderReport, 2)
    assert (expired.status, expired.reason) == (VenueStatus.EXPIRED, "EXPIRED")
    assert (cancelled.status, cancelled.reason) == (VenueStatus.CANCELED, "CLIENT_CANCEL")


@pytest.mark.parametrize("reason", sorted(ENDINGS))
async def test_every_reason_of_the_page_arrives_or_is_asked_about(bench: Bench, reason: str) -> None:
    bench.venue.rpc["v1/order"] = lambda body: Error(1004, 404)
    status = "OPEN" if reason == "UNSPECIFIED" else "CANCELLED"
    await bench.stream("v1.order", stated(status=status, reason=reason))
    report = await bench.events.first(OrderReport)
    assert report.reason == ("" if reason == "UNSPECIFIED" else reason)
    if ENDINGS[reason] is Ending.AMBIGUOUS:
        await bench.events.first(OrderNotFound)
    if ENDINGS[reason] is Ending.FATAL:
        assert reason in (await bench.link(Channel.ORDER_ENTRY, False)).reason
    if ENDINGS[reason] is Ending.FAILOVER:
        await bench.link(Channel.PRIVATE, False)
        await bench.link(Channel.PRIVATE, True)


async def test_a_reason_invented_since_is_passed_on_and_asked_about(bench: Bench) -> None:
    bench.venue.rpc["v1/order"] = lambda body: {"result": stated(status="CANCELLED", reason="BRAND_NEW")}
    await bench.stream("v1.order", stated(status="CANCELLED", reason="BRAND_NEW"))
    first, second = await bench.events.some(OrderReport, 2)
    assert (first.source, second.source) == (Source.STREAM, Source.QUERY)
    assert first.reason == second.reason == "BRAND_NEW"


async def test_a_rejection_for_an_overlapping_id_is_not_believed(bench: Bench) -> None:
    bench.venue.rpc["v1/order"] = lambda body: {"result": stated(status="OPEN")}
    await bench.stream("v1.order", stated(status="REJECTED", reason="OVERLAPPING_CLIENT_ORDER_ID"))
    report = await bench.events.first(OrderReport)
    assert (report.status, report.source) == (VenueStatus.OPEN, Source.QUERY)


async def test_a_query_that_repeats_the_overlap_leaves_the_order_unknown(bench: Bench) -> None:
    bench.venue.rpc["v1/order"] = lambda body: {
        "result": stated(status="REJECTED", reason="OVERLAPPING_CLIENT_ORDER_ID")
    }
    bench.gateway.query([ClientOrderId(ID)])
    await bench.events.first(SubmitUnknown)
    assert bench.events.of(OrderReport) == []


@pytest.mark.parametrize("stream", ["v1.order", "v1.state"])
async def test_a_status_invented_since_is_asked_about_and_breaks_nothing(bench: Bench, stream: str) -> None:
    bench.submit(order())
    await bench.events.first(OrderReport)
    bench.venue.rpc["v1/order"] = lambda body: {"result": stated(status="OPEN")}
    feed = stated(status="SUSPENDED") if stream == "v1.order" else state_of(status="SUSPENDED")
    await bench.stream(stream, feed)
    assert (await bench.events.first(OrderReport, lambda r: r.source is Source.QUERY)).status is VenueStatus.OPEN
    assert not any(c.channel is Channel.PRIVATE for c in bench.events.of(Connectivity))


@pytest.mark.parametrize("stream", sorted(PRIVATE_STREAMS))
async def test_a_gap_in_any_private_stream_takes_the_channel_down_until_it_is_whole_again(
    bench: Bench, stream: str
) -> None:
    feeds: dict[str, Json] = {
        "v1.order": stated(),
        "v1.state": state_of(),
        "v1.fill": fill(),
        "v1.position": position(),
        "v1.cancel": {"client_order_id": str(ID), "cancel_status": "EXPIRED"},
    }
    await bench.stream(stream, feeds[stream], skip=3)
    down = await bench.link(Channel.PRIVATE, False)
    assert "gap" in down.reason
    await bench.link(Channel.PRIVATE, True)


@pytest.mark.parametrize(
    ("stream", "feed"),
    [
        ("v1.fill", fill() | {"price": "NaN"}),
        ("v1.fill", fill() | {"size": "-1"}),
        ("v1.fill", fill() | {"fee": ""}),
        ("v1.fill", fill() | {"client_order_id": "x"}),
        ("v1.order", stated() | {"legs": []}),
        ("v1.order", stated(traded="1e400")),
        ("v1.order", stated(traded="-1")),
        ("v1.position", position(size="Infinity")),
        ("v1.position", {}),
    ],
)
async def test_a_private_frame_that_cannot_be_is_refused_and_everything_read_again(
    bench: Bench, stream: str, feed: Json
) -> None:
    await bench.stream(stream, feed)
    await bench.link(Channel.PRIVATE, False)
    await bench.link(Channel.PRIVATE, True)
    assert bench.events.of(Fill) == bench.events.of(OrderReport) == bench.events.of(PositionReport) == []


async def test_an_accepted_order_that_the_streams_say_nothing_about_shows_that_they_are_mute(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert debts.PATIENCE_S <= 5
    monkeypatch.setattr(debts, "PATIENCE_S", 0.2)
    bench.submit(order())
    down = await bench.link(Channel.PRIVATE, False)
    assert "mute" in down.reason
    await bench.link(Channel.PRIVATE, True)


async def test_a_traded_quantity_without_its_fill_shows_that_the_fill_stream_is_mute(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debts, "PATIENCE_S", 0.2)
    bench.submit(order())
    await bench.stream("v1.order", stated(status="FILLED", traded="0.015"))
    assert "fill" in (await bench.link(Channel.PRIVATE, False)).reason


async def test_streams_that_tell_everything_are_left_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debts, "PATIENCE_S", 1.0)
    for n in range(3):
        bench.submit(order(n))
        await bench.stream("v1.order", stated(n))
        await bench.stream("v1.fill", fill(n, trade_id=f"{n}-1", size="0.005"))
        await bench.stream("v1.order", stated(n, traded="0.015", status="FILLED"))
        await bench.stream("v1.fill", fill(n, trade_id=f"{n}-2", size="0.01"))
    await asyncio.sleep(1.5)
    assert not any(c.channel is Channel.PRIVATE for c in bench.events.of(Connectivity))


# --- queries, snapshots, budget --------------------------------------------------------------------------------------


async def test_a_query_ends_in_a_report_or_not_found(bench: Bench) -> None:
    bench.venue.rpc["v1/order"] = lambda body: (
        {"result": stated(0, status="OPEN")} if body["client_order_id"] == str(ID) else Error(1004, 404)
    )
    bench.gateway.query([ClientOrderId(ID), ClientOrderId(ID + 1)])
    report = await bench.events.first(OrderReport)
    assert (report.source, report.client_order_id) == (Source.QUERY, ID)
    assert (await bench.events.first(OrderNotFound)).client_order_id == ID + 1


@pytest.mark.parametrize("payload", [Error(1002, 500), Error(1001, 403), {}, {"result": stated(7)}])
async def test_a_query_without_an_answer_says_nothing(bench: Bench, payload: Any) -> None:
    bench.venue.rpc["v1/order"] = lambda body: payload
    bench.gateway.query([ClientOrderId(ID)])
    await until(lambda: len(bench.gateway._asked) == 0 and bool(bench.venue.asked("v1/order")))
    assert [e for e in bench.events.events if isinstance(e, OrderReport | OrderNotFound | SubmitUnknown)] == []


async def test_queries_go_over_http_while_the_socket_is_down(bench: Bench) -> None:
    bench.venue.rpc["v1/order"] = lambda body: Error(1004, 404)
    bench.venue.upgrade_status = 503
    await bench.entry.cut()
    await bench.link(Channel.ORDER_ENTRY, False)
    bench.gateway.query([ClientOrderId(ID)])
    await bench.events.first(OrderNotFound)


def account(venue: FakeVenue, **changes: Any) -> None:
    summary = {
        "event_time": "77",
        "sub_account_id": SUB_ACCOUNT,
        "settle_currency": "USDT",
        "unrealized_pnl": "-5.0",
        "total_equity": "99995.0",
        "initial_margin": "10.0",
        "maintenance_margin": "5.0",
        "available_balance": "99980.0",
        "spot_balances": [{"currency": "USDC", "balance": "1.0"}, {"currency": "USDT", "balance": "100000.0"}],
    }
    payment = {"event_time": "3", "instrument": BTC, "currency": "USDT", "amount": "0.25", "tx_id": "12"}
    answers: dict[str, Any] = {
        "v1/open_orders": {"result": [stated(0), stated(1, status="SUSPENDED")]},
        "v1/positions": {"result": [position()]},
        "v1/fill_history": lambda body: (
            {"result": [fill(1, "9-2"), fill(1, "9-1")], "next": "older"}
            if not body["cursor"]
            else {"result": [fill(1, "9-1"), fill(0, "8-1")], "next": ""}
        ),
        "v1/funding_payment_history": {"result": [payment], "next": ""},
        "v1/account_summary": {"result": summary},
    }
    for route, answer in (answers | changes).items():
        venue.rpc[route] = answer if callable(answer) else (lambda body, answer=answer: answer)


async def test_a_snapshot_is_one_whole_pass(bench: Bench) -> None:
    account(bench.venue)
    bench.gateway.request_snapshot(5)
    snapshot = await bench.events.first(AccountSnapshot)
    assert [o.client_order_id for o in snapshot.open_orders] == [ID, ID + 1]
    assert snapshot.open_orders[1].status is VenueStatus.OPEN  # a list of open orders holds open orders
    assert [p.qty for p in snapshot.positions] == [Decimal("-0.5")]
    assert [f.trade_id for f in snapshot.fills] == ["8-1", "9-1", "9-2"]  # all of one instant: the listing turned round
    assert all(f.source is Source.HISTORY for f in snapshot.fills)
    assert [f.amount for f in snapshot.funding] == [Decimal("-0.25")]
    assert (snapshot.balance, snapshot.equity, snapshot.available) == (
        Decimal(100_000),
        Decimal(99_995),
        Decimal(99_980),
    )
    assert (snapshot.currency, snapshot.fills_since_ns, snapshot.account) == ("USDT", 5, ACCOUNT)
    assert snapshot.ts_asked_ns <= snapshot.ts_recv_ns
    assert bench.venue.asked("v1/fill_history")[0]["start_time"] == "5"


async def test_fills_of_one_instant_come_in_the_order_in_which_they_happened(bench: Bench) -> None:
    newest_first = [fill(0, "9-3"), fill(0, "9-2"), fill(0, "9-1"), fill(0, "7-9") | {"event_time": "5"}]
    account(bench.venue, **{"v1/fill_history": {"result": newest_first, "next": ""}})
    bench.gateway.request_snapshot(0)
    snapshot = await bench.events.first(AccountSnapshot)
    assert [f.trade_id for f in snapshot.fills] == ["7-9", "9-1", "9-2", "9-3"]


async def test_an_order_of_several_legs_made_by_hand_breaks_nothing(bench: Bench) -> None:
    negotiated = stated(9) | {"legs": stated()["legs"] * 2}
    account(bench.venue, **{"v1/open_orders": {"result": [negotiated, stated(0)]}})
    await bench.stream("v1.order", negotiated)
    await bench.stream("v1.order", stated(0))
    assert (await bench.events.first(OrderReport)).client_order_id == ID
    bench.gateway.request_snapshot(0)
    assert [o.client_order_id for o in (await bench.events.first(AccountSnapshot)).open_orders] == [ID]
    assert not any(c.channel is Channel.PRIVATE for c in bench.events.of(Connectivity))


async def test_attempts_of_an_earlier_life_still_count(venue: FakeVenue, http: aiohttp.ClientSession) -> None:
    now_ns = WallClock().now_ns()
    async with running(venue, http, past=Attempts(logins=(now_ns, now_ns))) as bench:
        await bench.link(Channel.ORDER_ENTRY, False)
        await asyncio.sleep(0.5)
        assert venue.logins == 0
        assert bench.gateway.attempts.logins == (now_ns, now_ns)


@pytest.mark.parametrize(
    "route", ["v1/open_orders", "v1/positions", "v1/fill_history", "v1/funding_payment_history", "v1/account_summary"]
)
@pytest.mark.parametrize(
    "payload", [Error(1002, 500), {"code": 1002, "message": "", "status": 500}, {}, {"result": None}]
)
async def test_a_pass_with_any_part_missing_is_no_snapshot(bench: Bench, route: str, payload: Any) -> None:
    account(bench.venue, **{route: payload})
    bench.gateway.request_snapshot(0)
    await bench.events.first(SnapshotFailed)
    assert bench.events.of(AccountSnapshot) == []


async def test_a_page_that_fails_fails_the_pass(bench: Bench) -> None:
    account(
        bench.venue,
        **{"v1/fill_history": lambda b: Error(1002, 500) if b["cursor"] else {"result": [fill()], "next": "x"}},
    )
    bench.gateway.request_snapshot(0)
    await bench.events.first(SnapshotFailed)


async def test_rows_of_one_id_that_disagree_fail_the_pass(bench: Bench) -> None:
    rows = [fill(0, "9-1"), fill(0, "9-1", size="0.01")]
    account(bench.venue, **{"v1/fill_history": {"result": rows, "next": ""}})
    bench.gateway.request_snapshot(0)
    assert "different" in (await bench.events.first(SnapshotFailed)).reason


async def test_snapshots_asked_for_while_one_is_read_become_one_more_that_reaches_back_far_enough(bench: Bench) -> None:
    account(bench.venue)
    for since in (50, 30, 40):
        bench.gateway.request_snapshot(since)
    snapshots = await bench.events.some(AccountSnapshot, 1)
    await asyncio.sleep(0.1)
    assert [s.fills_since_ns for s in bench.events.of(AccountSnapshot)] == [30]
    assert snapshots[0].fills_since_ns == 30


async def test_fee_rates_are_read_from_the_tier(bench: Bench) -> None:
    bench.venue.rpc["v1/funding_account_summary"] = lambda body: {
        "result": {},
        "tier": {"tier": 1, "futures_taker_fee": 450, "futures_maker_fee": -1},
    }
    rates = await bench.gateway.fee_rates()
    assert (rates.maker, rates.taker) == (Decimal("-0.000001"), Decimal("0.00045"))


async def test_fees_that_a_key_may_not_read_hinder_nothing(bench: Bench) -> None:
    asked: list[Json] = []

    def refuse(body: Json) -> Error:
        asked.append(body)
        return Error(1001, 403)

    account(bench.venue, **{"v1/funding_account_summary": refuse})
    bench.gateway.request_snapshot(0)
    await bench.events.first(AccountSnapshot)
    await until(lambda: bool(asked))
    bench.gateway.request_snapshot(7)
    await bench.events.first(AccountSnapshot, lambda e: e.fills_since_ns == 7)
    assert bench.events.of(FeesTold) == []


async def test_what_is_left_of_the_budget_is_told(bench: Bench) -> None:
    bench.submit(order())
    budget = await bench.events.first(RateBudget)
    assert budget.account == ACCOUNT
    assert 0 < budget.orders_left <= 40
    assert budget.penalty_until_ns == 0


async def test_a_job_that_dies_takes_order_entry_down(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.gateway._private, "tick", lambda: 1 / 0)
    assert "ZeroDivisionError" in (await bench.link(Channel.ORDER_ENTRY, False)).reason
    bench.submit(order())
    assert len(bench.events.of(OrderNotSent)) == 1


async def test_a_gateway_starts_once(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="started"):
        await bench.gateway.start(bench.events)
