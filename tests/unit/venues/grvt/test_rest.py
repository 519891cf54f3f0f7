"""One POST per call, errors that stay errors, pages to their end, and nowhere to go but the allow-list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from perpmaker.clock import WallClock
from perpmaker.errors import AuthError, DataError, InvariantError, RateLimited, RequestRejected, VenueUnavailable
from perpmaker.model.units import NS_PER_MS
from perpmaker.venues.grvt import routes
from perpmaker.venues.grvt.answers import Lost, NotSent, Refusal, Reply
from perpmaker.venues.grvt.codes import Outcome
from perpmaker.venues.grvt.environments import ENVIRONMENTS
from perpmaker.venues.grvt.limits import rate_limiter
from perpmaker.venues.grvt.rest import Rest, allow_list
from perpmaker.venues.grvt.session import Session
from perpmaker.venues.secret import Secret

from .fake_venue import API_KEY, DROP, SILENT, SUB_ACCOUNT, Error, FakeVenue
from .protocol_page import tables

FIRST_PAGE = routes.HistoryRequest(SUB_ACCOUNT, "0")
ORDER_BODY = b'{"sub_account_id":"%s"}' % SUB_ACCOUNT.encode()


@pytest.fixture
async def session(http: aiohttp.ClientSession, venue: FakeVenue) -> AsyncIterator[Session]:
    made = Session(http, venue.environment, Secret(API_KEY), WallClock(), seed=1)
    yield made
    await made.close()


@pytest.fixture
def rest(http: aiohttp.ClientSession, venue: FakeVenue, session: Session) -> Rest:
    clock = WallClock()
    return Rest(http, venue.environment, clock, rate_limiter(clock), session=session)


def funding_row(n: int) -> dict[str, Any]:
    return {"event_time": str(n), "instrument": "BTC_USDT_Perp", "currency": "USDT", "amount": "0.1", "tx_id": str(n)}


async def test_a_call_is_a_typed_post_with_cookie_account_and_content_type(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/positions"] = lambda body: {"result": []}
    reply = await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT, kind=["PERPETUAL"]))
    assert reply.result == []
    assert venue.calls == [("v1/positions", {"sub_account_id": SUB_ACCOUNT, "kind": ["PERPETUAL"]})]
    sent = venue.call_headers[0]
    assert sent["Cookie"] == "gravity=cookie-1"
    assert sent["X-Grvt-Account-Id"] == "ACC:fake"
    assert sent["Content-Type"] == "application/json"


async def test_public_data_carries_no_credentials(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/instruments"] = lambda body: {"result": []}
    await rest.call(routes.INSTRUMENTS, routes.InstrumentsRequest(["PERPETUAL"], True, 10))
    assert "Cookie" not in venue.call_headers[0]
    assert venue.logins == 0


async def test_all_pages_are_read_to_the_end(rest: Rest, venue: FakeVenue) -> None:
    pages = {"": ([1, 2], "a"), "a": ([3], "b"), "b": ([4, 5], "")}
    venue.rpc["v1/funding_payment_history"] = lambda body: {
        "result": [funding_row(n) for n in pages[body["cursor"]][0]],
        "next": pages[body["cursor"]][1],
    }
    rows = await rest.pages(routes.FUNDING_PAYMENTS, FIRST_PAGE)
    assert [row.tx_id for row in rows] == ["1", "2", "3", "4", "5"]


async def test_a_failed_page_fails_the_whole_read(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/funding_payment_history"] = lambda body: (
        Error(1002, 500) if body["cursor"] else {"result": [funding_row(1)], "next": "a"}
    )
    with pytest.raises(VenueUnavailable):
        await rest.pages(routes.FUNDING_PAYMENTS, FIRST_PAGE)


async def test_a_cursor_that_goes_in_a_circle_is_bad_data(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/funding_payment_history"] = lambda body: {"result": [funding_row(1)], "next": "again"}
    with pytest.raises(DataError, match="circle"):
        await rest.pages(routes.FUNDING_PAYMENTS, FIRST_PAGE)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (Error(1002, 500), VenueUnavailable),
        (Error(1006, 429), RateLimited),
        (Error(1008, 401), AuthError),
        (Error(3000, 400), RequestRejected),
        ({"code": 3000, "message": "m", "status": 400}, RequestRejected),  # an error dressed as HTTP 200
        ({"code": 1002, "message": "m", "status": 500}, VenueUnavailable),
        ({}, DataError),
        ({"result": None}, DataError),
        ({"result": {}}, DataError),
        ([], DataError),
        ({"result": [{"instrument": 5}]}, DataError),
        (DROP, VenueUnavailable),
    ],
)
async def test_a_failed_read_is_never_an_empty_one(rest: Rest, venue: FakeVenue, payload: Any, expected: type) -> None:
    venue.rpc["v1/positions"] = lambda body: payload
    with pytest.raises(expected):
        await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"\xff\xfe", b"[" * 50_000, b'{"result":[{"inst'])
async def test_an_unreadable_answer_is_bad_data(rest: Rest, venue: FakeVenue, body: bytes) -> None:
    venue.rpc["v1/positions"] = lambda _: web.Response(body=body, content_type="application/json")
    with pytest.raises(DataError):
        await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))


async def test_a_session_that_ended_is_renewed_once_and_the_read_repeated(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/positions"] = lambda body: {"result": []}
    await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))
    venue.cookies.clear()
    await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))
    assert venue.logins == 2
    assert len(venue.calls) == 3


async def test_a_second_401_is_an_auth_error_not_a_loop(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/positions"] = lambda body: Error(1000, 401)
    with pytest.raises(AuthError):
        await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))
    assert len(venue.calls) == 2


async def test_a_write_is_never_repeated_by_itself(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/create_order"] = lambda body: Error(1000, 401)
    answer = await rest.ask(routes.CREATE_ORDER, ORDER_BODY)
    assert isinstance(answer, Refusal)
    assert answer.session_expired
    assert len(venue.calls) == 1


async def test_writes_do_not_pass_through_the_reading_call(rest: Rest) -> None:
    with pytest.raises(InvariantError):
        await rest.call(routes.CANCEL_ORDER, routes.CancelRequest(SUB_ACCOUNT))


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        (Error(2066), Outcome.REJECTED),
        (Error(1002, 500), Outcome.UNKNOWN),
        (Error(2090, 429), Outcome.REJECTED),
        (Error(1006, 429, {"Retry-After": "3"}), Outcome.RATE_LIMIT),
        (Error(1400, 403), Outcome.FATAL),
        (Error(987654), Outcome.UNKNOWN),
    ],
)
async def test_an_error_answer_to_a_write_is_a_value(
    rest: Rest, venue: FakeVenue, payload: Error, outcome: Outcome
) -> None:
    venue.rpc["v1/create_order"] = lambda body: payload
    answer = await rest.ask(routes.CREATE_ORDER, ORDER_BODY)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.outcome) == (payload.code, outcome)
    assert answer.retry_after_s == (3.0 if payload.headers else 0.0)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 403, 404])
async def test_an_answer_of_a_proxy_proves_nothing(rest: Rest, venue: FakeVenue, status: int) -> None:
    venue.rpc["v1/create_order"] = lambda body: web.Response(status=status, text="<html>")
    answer = await rest.ask(routes.CREATE_ORDER, ORDER_BODY)
    assert isinstance(answer, Refusal)
    assert answer.outcome is Outcome.UNKNOWN


async def test_a_connection_cut_after_the_body_left_is_lost(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/create_order"] = lambda body: DROP
    assert isinstance(await rest.ask(routes.CREATE_ORDER, ORDER_BODY, release=lambda: True), Lost)


async def test_silence_is_lost_and_not_rejected(
    http: aiohttp.ClientSession, venue: FakeVenue, session: Session
) -> None:
    venue.rpc["v1/create_order"] = lambda body: SILENT
    http._timeout = aiohttp.ClientTimeout(total=0.3)
    clock = WallClock()
    rest = Rest(http, venue.environment, clock, rate_limiter(clock), session=session)
    assert isinstance(await rest.ask(routes.CREATE_ORDER, ORDER_BODY), Lost)


async def test_a_withheld_body_never_reaches_the_venue(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/create_order"] = lambda body: {"result": {}}
    answer = await rest.ask(routes.CREATE_ORDER, ORDER_BODY, release=lambda: False)
    assert answer == NotSent("forbidden meanwhile")
    await asyncio.sleep(0.05)
    assert venue.calls == []
    assert isinstance(await rest.ask(routes.CREATE_ORDER, ORDER_BODY, release=lambda: True), Reply)
    assert venue.calls == [("v1/create_order", {"sub_account_id": SUB_ACCOUNT})]


async def test_nobody_there_is_not_sent(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/positions"] = lambda body: {"result": []}
    await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))
    await venue.stop()
    await rest.ask(routes.CREATE_ORDER, ORDER_BODY, release=lambda: True)  # may meet the pooled, dying connection
    assert isinstance(await rest.ask(routes.CREATE_ORDER, ORDER_BODY, release=lambda: True), NotSent)


async def test_too_fast_silences_the_reads_that_follow(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/positions"] = lambda body: Error(1006, 429, {"Retry-After": "60"})
    for _ in range(3):
        with pytest.raises(RateLimited):
            await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))
    assert len(venue.calls) == 1


async def test_the_clock_offset_is_the_venues_time_minus_ours(rest: Rest, venue: FakeVenue) -> None:
    venue.server_time_ms = WallClock().now_ns() // NS_PER_MS + 1500
    reading = await rest.time()
    assert 1_400 < reading.offset_ns / NS_PER_MS < 1_600
    assert reading.round_trip_ns > 0


async def test_no_time_is_unavailable(rest: Rest) -> None:
    with pytest.raises(VenueUnavailable):
        await rest.time()


@pytest.mark.parametrize("server_time", [0, -1, 1 << 60, "1700000000000", None, 1.5])
async def test_a_time_that_cannot_be_is_bad_data(rest: Rest, venue: FakeVenue, server_time: Any) -> None:
    venue.server_time_ms = server_time
    with pytest.raises(DataError if server_time is not None else VenueUnavailable):
        await rest.time()


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_the_allow_list_holds_the_clients_routes_and_nothing_else(name: str) -> None:
    env = ENVIRONMENTS[name]
    is_allowed = allow_list(env)
    ours = {route.path for route in routes.ROUTES}
    for row in tables()["routes"]:
        for prefix in ("full", "lite"):
            assert is_allowed("POST", URL(f"{env.trades}/{prefix}{row['path']}")) == (row["path"] in ours)
            assert not is_allowed("GET", URL(f"{env.trades}/{prefix}{row['path']}"))
    assert is_allowed("POST", URL(f"{env.edge}/auth/api_key/login"))
    assert is_allowed("GET", URL(f"{env.market_data}/time"))
    assert is_allowed("GET", URL(f"{env.ws_trades.replace('wss', 'https')}/ws/full"))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/full/v1/create_order",
        "https://trades.grvt.io.evil.example/full/v1/create_order",
        "https://trades.grvt.io:8443/full/v1/create_order",
        "https://trades.grvt.io/full/v1/transfer",
        "https://trades.grvt.io/full/v1/withdrawal",
        "https://trades.grvt.io/full/v1/create_order/../transfer",
        "https://trades.grvt.io/full/v1/create_order%2F..%2Ftransfer",
        "https://trades.grvt.io//full/v1/create_order",
        "https://trades.testnet.grvt.io/full/v1/create_order",
        "http://127.0.0.1:8420/full/v1/create_order",
        "https://edge.grvt.io/auth/wallet/login",
        "https://edge.grvt.io/auth/builder/authorize",
    ],
)
def test_other_hosts_and_paths_are_refused(url: str) -> None:
    assert not allow_list(ENVIRONMENTS["prod"])("POST", URL(url))


async def test_the_session_goes_nowhere_else_even_when_asked_to(http: aiohttp.ClientSession, venue: FakeVenue) -> None:
    for path in ("/full/v1/transfer", "/full/v1/withdrawal", "/full/v1/set_initial_leverage"):
        with pytest.raises(VenueUnavailable, match="allow-list"):
            await http.post(f"http://127.0.0.1:{venue.port}{path}", json={})
    with pytest.raises(VenueUnavailable, match="allow-list"):
        await http.get("http://127.0.0.1:9/time")
    assert venue.calls == []


async def test_a_redirect_is_not_followed(rest: Rest, venue: FakeVenue) -> None:
    venue.rpc["v1/positions"] = lambda body: web.Response(
        status=307, headers={"Location": f"http://127.0.0.1:{venue.port}/full/v1/open_orders"}
    )
    venue.rpc["v1/open_orders"] = lambda body: {"result": []}
    with pytest.raises(VenueUnavailable):
        await rest.call(routes.POSITIONS, routes.OfSubAccount(SUB_ACCOUNT))
    assert venue.routes_called() == ["v1/positions"]
