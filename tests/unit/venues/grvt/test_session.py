"""Logging in: what counts as success, when it is renewed, and how seldom the venue is asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from perpmaker.clock import ManualClock
from perpmaker.errors import AuthError, RateLimited, VenueUnavailable
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.environments import READY_KEYS, environment
from perpmaker.venues.grvt.session import FALLBACK_LIFE_S, Login, Session, read_login
from perpmaker.venues.secret import Secret

from .fake_venue import API_KEY, FakeVenue, login_answer

NOW_NS = 1_795_251_600 * NS_PER_S  # Sat, 21 Nov 2026 09:00:00 GMT
NOW = "Sat, 21 Nov 2026 09:00:00 GMT"
IN_25_MIN = "Sat, 21 Nov 2026 09:25:00 GMT"
GOOD_BODY = b'{"status":"success","location":""}'


def answer(expires: str = IN_25_MIN, *, date: str | None = NOW, cookie: str = "gravity=abc") -> CIMultiDict[str]:
    headers = CIMultiDict(
        {"X-Grvt-Account-Id": "ACC:1", "Set-Cookie": f"{cookie}; Path=/; Expires={expires}; HttpOnly"}
    )
    if date is not None:
        headers["Date"] = date
    return headers


def login(headers: CIMultiDict[str], now_ns: int = NOW_NS) -> Login:
    return read_login(200, headers, GOOD_BODY, now_ns)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS)


@pytest.fixture
async def session(http: aiohttp.ClientSession, venue: FakeVenue, clock: ManualClock) -> AsyncIterator[Session]:
    made = Session(http, venue.environment, Secret(API_KEY), clock, seed=1)
    yield made
    await made.close()


def test_a_good_answer_gives_cookie_account_and_life() -> None:
    read = login(answer())
    assert (read.cookie.reveal(), read.account_id, read.life_s) == ("abc", "ACC:1", 1500.0)


@pytest.mark.parametrize("offset_s", [-3600, 3600])
def test_a_wrong_clock_of_ours_does_not_change_the_cookies_life(offset_s: int) -> None:
    assert login(answer(), NOW_NS + offset_s * NS_PER_S).life_s == 1500.0


def test_without_a_date_header_our_clock_decides() -> None:
    assert login(answer(date=None)).life_s == 1500.0


@pytest.mark.parametrize("expires", ["", "soon", "0", "Sat, 21 Nov 2026 08:59:00 GMT"])
def test_a_life_that_cannot_be_is_replaced_by_a_short_one(expires: str) -> None:
    assert login(answer(expires)).life_s == FALLBACK_LIFE_S


def test_only_the_sessions_cookie_is_taken() -> None:
    headers = answer(cookie="other=1")
    headers.add("Set-Cookie", "gravity=xyz; Expires=" + IN_25_MIN)
    assert login(headers).cookie.reveal() == "xyz"


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b'{"status":"failure","error":"invalid api key"}', answer()),
        (200, b"{}", answer()),
        (200, GOOD_BODY, CIMultiDict({"X-Grvt-Account-Id": "ACC:1"})),
        (200, GOOD_BODY, CIMultiDict({"Set-Cookie": "gravity=abc"})),
        (200, GOOD_BODY, answer(cookie="gravity=")),
        (400, b'{"code":1003,"message":"x","status":400}', CIMultiDict()),
        (401, b'{"code":1008,"message":"x","status":401}', CIMultiDict()),
        (401, b"", CIMultiDict()),
        (403, b"<html>", CIMultiDict()),
    ],
)
def test_what_is_refused_is_an_auth_error(status: int, body: bytes, headers: CIMultiDict[str]) -> None:
    with pytest.raises(AuthError):
        read_login(status, headers, body, NOW_NS)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (502, b"<html>"), (503, b'{"code":1009}'), (404, b""), (200, b"<html>"), (200, b"[" * 100_000)],
)
def test_what_proves_nothing_is_unavailable(status: int, body: bytes) -> None:
    with pytest.raises(VenueUnavailable):
        read_login(status, answer(), body, NOW_NS)


def test_too_fast_carries_the_venues_wish() -> None:
    with pytest.raises(RateLimited) as limited:
        read_login(429, CIMultiDict({"Retry-After": "7"}), b"", NOW_NS)
    assert limited.value.retry_after_s == 7.0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kolkata"])
def test_expires_is_utc_in_every_time_zone(zone: str) -> None:
    program = (
        "from perpmaker.venues.grvt.session import _life_s;"
        f"print(_life_s('{IN_25_MIN}', None, {NOW_NS}), _life_s('{IN_25_MIN}'.removesuffix(' GMT'), None, {NOW_NS}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["1500.0", "1500.0"]


async def test_a_fresh_session_logs_in_once_and_is_not_probed(session: Session, venue: FakeVenue) -> None:
    first = await session.headers()
    assert first == {"Cookie": "gravity=cookie-1", "X-Grvt-Account-Id": "ACC:fake"}
    assert await session.headers() is first
    assert (venue.logins, venue.calls) == (1, [])
    assert venue.login_bodies == [{"api_key": API_KEY}]


async def test_many_callers_share_one_login(session: Session, venue: FakeVenue) -> None:
    headers = await asyncio.gather(*(session.headers() for _ in range(20)))
    assert venue.logins == 1
    assert all(h == headers[0] for h in headers)


async def test_it_is_renewed_at_four_fifths_of_its_life_while_still_in_use(
    session: Session, venue: FakeVenue, clock: ManualClock
) -> None:
    first = await session.headers()
    clock.advance(int(3600 * 0.79 * NS_PER_S))
    assert await session.headers() is first
    clock.advance(int(3600 * 0.02 * NS_PER_S))
    assert await session.headers() is first  # renewing happens beside
    await asyncio.gather(*(session.headers() for _ in range(5)))
    assert session._login is not None
    await session._login
    assert (await session.headers())["Cookie"] == "gravity=cookie-2"
    assert venue.logins == 2


async def test_max_age_shortens_the_life(http: aiohttp.ClientSession, venue: FakeVenue, clock: ManualClock) -> None:
    session = Session(http, venue.environment, Secret(API_KEY), clock, seed=1, max_age_s=180)
    await session.headers()
    clock.advance(181 * NS_PER_S)
    assert (await session.headers())["Cookie"] == "gravity=cookie-2"
    await session.close()


async def test_a_rejected_session_is_replaced_and_a_newer_one_is_not(session: Session, venue: FakeVenue) -> None:
    old = await session.headers()
    session.reject(old)
    new = await session.headers()
    session.reject(old)  # a late 401 for the old one
    assert await session.headers() is new
    assert venue.logins == 2


async def test_at_most_two_logins_a_minute(session: Session, venue: FakeVenue, clock: ManualClock) -> None:
    for _ in range(2):
        session.reject(await session.headers())
    with pytest.raises(RateLimited) as limited:
        await session.headers()
    assert 0 < limited.value.retry_after_s <= 60
    assert venue.logins == 2
    clock.advance(61 * NS_PER_S)
    await session.headers()
    assert venue.logins == 3


async def test_a_refused_key_is_not_tried_again_for_a_minute(
    session: Session, venue: FakeVenue, clock: ManualClock
) -> None:
    async def refuse() -> web.StreamResponse:
        return web.json_response({"status": "failure", "error": f"bad key {API_KEY}"})

    venue.on_login = refuse
    for _ in range(5):
        with pytest.raises(AuthError) as refused:
            await session.headers()
        assert API_KEY not in str(refused.value)
    assert venue.logins == 1
    clock.advance(61 * NS_PER_S)
    venue.on_login = None
    await session.headers()
    assert venue.logins == 2


async def test_a_venue_that_is_down_is_unavailable_and_does_not_use_up_logins(
    http: aiohttp.ClientSession, clock: ManualClock, unused_tcp_port: int
) -> None:
    closed = environment(
        "local",
        {key: f"{'ws' if key.startswith('ws_') else 'http'}://127.0.0.1:{unused_tcp_port}" for key in READY_KEYS},
    )
    from perpmaker.venues.grvt.rest import allow_list
    from perpmaker.venues.transport.http import open_http

    async with open_http(allow_list(closed)) as nowhere:
        session = Session(nowhere, closed, Secret(API_KEY), clock, seed=1)
        for _ in range(10):
            with pytest.raises(VenueUnavailable):
                await session.headers()
            clock.advance(6 * NS_PER_S)
        assert session.cap.recent == ()


async def test_several_accounts_stand_side_by_side(
    http: aiohttp.ClientSession, venue: FakeVenue, clock: ManualClock
) -> None:
    one = Session(http, venue.environment, Secret("fake-key-number-1"), clock, seed=1)
    two = Session(http, venue.environment, Secret("fake-key-number-2"), clock, seed=2)
    assert (await one.headers())["Cookie"] != (await two.headers())["Cookie"]
    assert [body["api_key"] for body in venue.login_bodies] == ["fake-key-number-1", "fake-key-number-2"]


async def test_a_login_that_hangs_up_is_unavailable(session: Session, venue: FakeVenue) -> None:
    async def hang_up() -> web.StreamResponse:
        raise ConnectionResetError

    venue.on_login = hang_up
    with pytest.raises(VenueUnavailable):
        await session.headers()


async def test_a_cookie_without_date_is_good_too(session: Session, venue: FakeVenue) -> None:
    async def bare() -> web.StreamResponse:
        return login_answer("cookie-bare", date=False)

    venue.on_login = bare
    assert (await session.headers())["Cookie"] == "gravity=cookie-bare"
