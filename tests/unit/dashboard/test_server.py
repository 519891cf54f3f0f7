import asyncio
import json
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
from tests.unit.dashboard.conftest import TIMEOUT_S, Stand, a_stand

from perpmaker.control.home import read_run_file
from perpmaker.dashboard.remote import Remote
from perpmaker.dashboard.server import bound, refuse_open_doors, serve
from perpmaker.errors import ConfigError

PROTECTED = [("GET", "/api/session"), ("GET", "/api/logs"), ("POST", "/api/commands"), ("POST", "/api/logout")]
COMMAND = {"command_id": "abcdefgh", "kind": "pause", "seen_state": "running"}


async def raw(url: str, request: bytes) -> bytes:
    """Send bytes as they are and return the head of the answer."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    async with asyncio.timeout(TIMEOUT_S):
        answer = await reader.readuntil(b"\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


def upgrade(host: str, *headers: str) -> bytes:
    lines = ["GET /api/stream HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def cookie_of(stand: Stand) -> str:
    await stand.page.login()
    [cookie] = stand.page.client.cookie_jar
    return f"Cookie: {cookie.key}={cookie.value}"


# Who gets in.


async def test_the_published_file_carries_address_and_token_for_its_owner_alone(stand: Stand) -> None:
    run_file = read_run_file(stand.home, "dashboard")
    assert run_file is not None
    assert run_file.urls == {"dashboard": stand.page.url}
    assert run_file.token == stand.page.token
    assert len(run_file.token) >= 43  # 256 bits
    assert stat.S_IMODE((stand.home / "run" / "dashboard.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_without_a_session_nothing_is_told_or_done(stand: Stand, method: str, path: str) -> None:
    async with stand.page.client.request(method, stand.page.url + path, json=COMMAND) as response:
        assert response.status == 401
    assert stand.engine.commands == []


async def test_every_address_below_api_but_the_login_needs_a_session(stand: Stand) -> None:
    for path in ("/api/anything", "/api/", "/api/login/", "/api/openapi.json"):
        async with stand.page.client.get(stand.page.url + path) as response:
            assert response.status == 401
    for path in ("/docs", "/redoc", "/openapi.json", "/static/../server.py", "/static/%2e%2e/server.py"):
        async with stand.page.client.get(stand.page.url + path) as response:
            assert response.status == 404


async def test_a_stream_without_a_session_gets_401_before_any_upgrade(stand: Stand) -> None:
    host = stand.page.url.removeprefix("http://")
    assert b" 401 " in await raw(stand.page.url, upgrade(host))
    assert b" 401 " in await raw(stand.page.url, upgrade(host, "Cookie: perpmaker_12345678=forged"))


async def test_a_stream_of_a_foreign_origin_or_host_gets_403_with_a_good_session_too(stand: Stand) -> None:
    cookie = await cookie_of(stand)
    host = stand.page.url.removeprefix("http://")
    own = f"Origin: http://{host}"
    assert b" 101 " in await raw(stand.page.url, upgrade(host, cookie, own))
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        f"https://{host}",
        f"http://{host}.evil.example",
    ):
        assert b" 403 " in await raw(stand.page.url, upgrade(host, cookie, f"Origin: {origin}"))
    for foreign in ("evil.example", "127.0.0.1", "127.0.0.1:1", f"{host}.evil.example", ""):
        assert b" 403 " in await raw(stand.page.url, upgrade(foreign, cookie, own))
    assert b" 403 " in await raw(stand.page.url, upgrade(host, cookie, own, "Sec-Fetch-Site: same-site"))


async def test_a_page_asked_for_under_a_foreign_host_gets_403(stand: Stand) -> None:
    for path in ("/", "/static/js/app.js", "/api/session", "/api/login"):
        async with stand.page.client.get(stand.page.url + path, headers={"Host": "evil.example"}) as response:
            assert response.status == 403


async def test_two_host_headers_get_nothing(stand: Stand) -> None:
    host = stand.page.url.removeprefix("http://")
    answer = await raw(stand.page.url, f"GET / HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n".encode())
    assert b" 400 " in answer or b" 403 " in answer


async def test_a_foreign_site_cannot_log_in_or_command(stand: Stand) -> None:
    await stand.page.login()
    for headers in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        status, _ = await stand.page.command(COMMAND, **headers)
        assert status == 403
        body = {"token": stand.page.token}
        async with stand.page.client.post(f"{stand.page.url}/api/login", json=body, headers=headers) as response:
            assert response.status == 403
    assert stand.engine.commands == []


async def test_a_command_needs_the_csrf_header_of_its_own_session(stand: Stand) -> None:
    await stand.page.login()
    for csrf in ("", "0" * 64, stand.page.csrf[:-1]):
        status, _ = await stand.page.command(COMMAND, **{"X-Perpmaker-CSRF": csrf})
        assert status == 403
    assert stand.engine.commands == []
    status, answer = await stand.page.command(COMMAND)
    assert (status, answer["state"]) == (200, "done")


async def test_the_cookie_is_for_this_site_and_not_for_scripts(stand: Stand) -> None:
    body = {"token": stand.page.token}
    async with stand.page.client.post(f"{stand.page.url}/api/login", json=body) as response:
        cookie = response.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stand.page.token.lower() not in cookie


async def test_five_wrong_tokens_make_everybody_wait(stand: Stand) -> None:
    statuses = []
    for attempt in ("", "x", "y" * 600, stand.page.token[:-1], stand.page.token + "x", stand.page.token):
        async with stand.page.client.post(f"{stand.page.url}/api/login", json={"token": attempt}) as response:
            statuses.append(response.status)
            if response.status == 429:
                assert int(response.headers["Retry-After"]) >= 1
    assert statuses == [401] * 5 + [429]


async def test_logging_out_ends_the_session_and_its_stream(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        await stream.frame()
        headers = {"X-Perpmaker-CSRF": stand.page.csrf}
        cookies = {cookie.key: cookie.value for cookie in stand.page.client.cookie_jar}
        async with stand.page.client.post(f"{stand.page.url}/api/logout", json={}, headers=headers) as response:
            assert response.status == 200
        await stream.socket.send_json({"ack": 1})
        assert await stream.closed() == 4001
    async with stand.page.client.get(f"{stand.page.url}/api/session", cookies=cookies) as response:
        assert response.status == 401


async def test_every_answer_forbids_foreign_content_frames_and_guessing(stand: Stand) -> None:
    for path in ("/", "/static/js/app.js", "/api/session", "/nothing"):
        async with stand.page.client.get(stand.page.url + path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Server" not in response.headers


async def test_a_body_that_is_too_large_or_not_understood_is_refused_without_an_echo(stand: Stand) -> None:
    url = f"{stand.page.url}/api/login"
    async with stand.page.client.post(url, data=b"x" * 70_000) as response:
        assert response.status == 413

    async def chunks() -> object:
        for _ in range(20):
            yield b"y" * 8_000

    async with stand.page.client.post(url, data=chunks()) as response:
        assert response.status == 413
    for body in (b"", b"[]", b'{"token":1}', b'{"token":"a","more":"canary"}', b"\xff\xfe"):
        async with stand.page.client.post(url, data=body) as response:
            assert response.status == 422
            assert "canary" not in await response.text()


# The stream.


async def test_frames_carry_their_number_the_time_and_the_engines_age(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        first = await stream.frame_where(lambda frame: frame["status"] != {})
        second = await stream.frame()
    assert first["full"]
    assert second["number"] == first["number"] + 1
    assert not second["full"]
    assert second["link"]["state"] == "live"
    assert 0 <= second["link"]["age_ms"] < 5000
    assert int(second["ts_ns"]) > 1_700_000_000_000_000_000
    assert int(first["status"]["ts_ns"]) > 1_700_000_000_000_000_000
    assert first["books"]["BTC_USDT_Perp"]["ts_event_ns"]


async def test_no_fill_is_missed_and_none_comes_twice(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        frame = await stream.frame_where(lambda frame: frame["fills"] != [])
        numbers = [fill["number"] for fill in frame["fills"]]
        had = len(numbers)
        while len(numbers) < had + 3:
            numbers += [fill["number"] for fill in (await stream.frame())["fills"]]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_browser_that_does_not_acknowledge_gets_two_frames_and_then_the_newest(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["status"] != {})
        quiet = [await stream.frame(ack=False), await stream.frame(ack=False)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await stream.socket.receive_str()
        await stream.socket.send_json({"ack": quiet[-1]["number"]})
        newest = await stream.frame()
    assert newest["number"] == quiet[-1]["number"] + 1
    assert newest["link"]["age_ms"] < 1500  # not one of those that were held back
    assert newest["lag_ms"] > 500


async def test_a_browser_that_never_acknowledges_is_dropped(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perpmaker.dashboard.pacing.STALL_NS", 300_000_000)
    await stand.page.login()
    async with stand.page.stream() as stream:
        assert await stream.closed() == 4008


async def test_a_browser_may_ask_for_everything_again(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["status"] != {} and not frame["full"])
        await stream.socket.send_json({"ack": 0, "resync": True})
        again = await stream.frame_where(lambda frame: frame["full"])
    assert again["fills"]


async def test_a_browser_that_sends_too_much_or_nonsense_is_dropped_and_the_others_go_on(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as other:
        await other.frame()
        for message, code in (("x" * 70_000, 1009), ("nonsense", 1008), ('{"ack":1,"more":2}', 1008)):
            async with stand.page.stream() as stream:
                await stream.socket.send_str(message)
                assert await stream.closed() == code
        async with stand.page.stream() as stream:
            for _ in range(200):
                await stream.socket.send_str('{"ack":0}')
            assert await stream.closed() == 4029
        assert (await other.frame())["number"] > 1


async def test_the_page_hears_how_old_the_engines_word_is_when_it_falls_silent(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["status"] != {})
        assert stand.control is not None
        stand.control.frozen = True
        old = await stream.frame_where(lambda frame: frame["link"]["age_ms"] > 2000)
    assert old["link"]["state"] == "silent"


async def test_an_engine_that_comes_late_and_one_that_is_started_again_are_found(tmp_path: Path) -> None:
    async with a_stand(tmp_path / "home") as stand:
        await stand.page.login()
        async with stand.page.stream() as stream:
            nothing = await stream.frame()
            assert nothing["status"] == {}
            assert nothing["link"]["state"] == "searching"
            status, answer = await stand.page.command(COMMAND)
            assert (status, answer["state"]) == (200, "refused")
            assert "not delivered" in answer["text"]
            await stand.start_engine()
            await stream.frame_where(lambda frame: frame["full"] and frame["status"] != {})
            await stand.stop_engine()
            await stream.frame_where(lambda frame: frame["link"]["state"] in {"searching", "connecting"})
            await stand.start_engine()
            again = await stream.frame_where(lambda frame: frame["full"] and frame["status"] != {})
        assert again["link"]["state"] == "live"


async def test_earlier_log_lines_are_read_on_demand(stand: Stand) -> None:
    await stand.page.login()
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["status"] != {})
    async with stand.page.client.get(f"{stand.page.url}/api/logs") as response:
        lines = await response.json()
    numbers = [line["number"] for line in lines]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1


async def test_a_kill_reaches_the_engine_and_is_answered(stand: Stand) -> None:
    await stand.page.login()
    status, answer = await stand.page.command({**COMMAND, "kind": "kill", "reason": "test"})
    assert (status, answer["state"]) == (200, "done")
    assert stand.engine.kill_latched
    assert stand.engine.commands[0].actor.startswith("dashboard:")


async def test_a_session_outlives_a_restart_of_the_dashboard(tmp_path: Path) -> None:
    async with a_stand(tmp_path / "home") as stand:
        await stand.page.login()
        cookies = {cookie.key: cookie.value for cookie in stand.page.client.cookie_jar}
    async with (
        a_stand(tmp_path / "home") as again,
        again.page.client.get(f"{again.page.url}/api/session", cookies=cookies) as response,
    ):
        assert response.status == 200


async def test_secrets_stand_in_no_answer_and_no_url(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        frame = json.dumps(await stream.frame_where(lambda frame: frame["status"] != {}))
    for secret in (stand.control.token, stand.page.token):
        assert secret not in frame


# Where it listens.


def test_a_port_that_is_taken_gives_way_to_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with bound("127.0.0.1", port) as listener:
            assert port < listener.getsockname()[1] < port + 50


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_needs_nothing_more(host: str) -> None:
    refuse_open_doors(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1"])  # noqa: S104
async def test_an_address_that_others_reach_is_refused_without_tls_and_password(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="ssh -L"):
        await serve(tmp_path, 0, host)
    assert not (tmp_path / "run").exists()


def test_a_host_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="IP address"):
        refuse_open_doors("dashboard.example", None)


async def test_it_ends_in_good_order_and_takes_its_run_file_along(tmp_path: Path) -> None:
    async with a_stand(tmp_path / "home") as stand:
        await stand.page.login()
        async with stand.page.stream() as stream:
            await stream.frame()
    assert read_run_file(tmp_path / "home", "dashboard") is None


async def test_slow_and_idle_connections_are_closed(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perpmaker.dashboard.asgi.REQUEST_TIMEOUT_S", 0.2)
    host, port = stand.page.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: ")
    async with asyncio.timeout(TIMEOUT_S):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()


async def test_beyond_the_limit_connections_are_not_kept(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perpmaker.dashboard.asgi.MAX_CONNECTIONS", 1)
    with pytest.raises(aiohttp.ClientError):
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*(stand.page.client.get(f"{stand.page.url}/static/js/app.js") for _ in range(6)))


def test_remote_access_needs_a_real_password_hash(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "c.pem", tmp_path / "k.pem", "admin", ("dashboard.example",))
    with pytest.raises(ConfigError, match="argon2"):
        remote.password()
