"""The control API over real loopback sockets: who gets in, what a subscriber sees, what a slow one costs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from tests.unit.engine.picture import NOW_NS, Picture, fill

from perpmaker.control.messages import CandleRow, CommandRequest, EquityPoint, Frame, LogLine
from perpmaker.engine import control
from perpmaker.engine.control import MAX_SUBSCRIBERS, ControlServer


@pytest.fixture
def picture() -> Picture:
    return Picture()


@pytest.fixture
async def server(picture: Picture) -> AsyncIterator[ControlServer]:
    server = ControlServer(picture, port=0, on_trouble=pytest.fail)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def session(server: ControlServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {server.token}"}) as session:
        yield session


def decoded(message: aiohttp.WSMessage) -> Frame:
    assert message.type is aiohttp.WSMsgType.TEXT
    return msgspec.json.decode(message.data, type=Frame)


@pytest.mark.parametrize("path", ["/v1/status", "/v1/trades", "/v1/logs", "/v1/metrics", "/v1/stream"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8411"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_strangers_are_turned_away(
    server: ControlServer, session: aiohttp.ClientSession, path: str, headers: dict[str, str], code: int
) -> None:
    async with session.get(server.url + path, headers=headers) as response:
        assert response.status == code


async def test_a_foreign_origin_cannot_upgrade(server: ControlServer, session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(server.url + "/v1/stream", headers={"Origin": "http://evil.example"})
    assert caught.value.status == 403


async def test_the_token_is_new_at_each_start_and_long() -> None:
    servers = [ControlServer(Picture(), port=0, on_trouble=pytest.fail) for _ in range(2)]
    assert servers[0].token != servers[1].token
    assert len(servers[0].token) >= 43  # 256 bits in base64


async def test_a_command_reaches_the_engine_and_its_answer_comes_back(
    server: ControlServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    request = CommandRequest("abcdefgh", "pause", str(NOW_NS), {}, "me")
    body = msgspec.json.encode(request)
    headers = {"Content-Type": "application/json"}
    async with session.post(server.url + "/v1/commands", data=body, headers=headers) as response:
        assert (await response.json())["text"] == "as asked"
    assert picture.commands == [(request, "127.0.0.1")]


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", "application/json", 400),
        (b'{"command_id":"abcdefgh","kind":"transfer","expires_ns":"1"}', "application/json", 400),
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"x" * 70_000, "application/json", 413),
    ],
)
async def test_what_is_no_command_is_refused(
    server: ControlServer, session: aiohttp.ClientSession, picture: Picture, body: bytes, content_type: str, code: int
) -> None:
    headers = {"Content-Type": content_type}
    async with session.post(server.url + "/v1/commands", data=body, headers=headers) as response:
        assert response.status == code
    assert picture.commands == []


async def test_the_first_frame_is_whole_and_later_ones_carry_what_is_new(
    server: ControlServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    picture.fills = [fill(1), fill(2)]
    picture.lines = [LogLine(1, "started")]
    picture.points = [EquityPoint(1.0, 100.0, {})]
    picture.candles = {"BTC": [CandleRow(0, 1, 1, 1, 1, 1), CandleRow(60, 1, 2, 1, 2, 1)]}
    async with session.ws_connect(server.url + "/v1/stream") as ws:
        first = decoded(await ws.receive(5))
        picture.fills.append(fill(3))
        picture.candles["BTC"][-1] = CandleRow(60, 1, 3, 1, 3, 2)
        picture.equity = "100001"
        await ws.send_str('{"ack":1}')
        second = decoded(await ws.receive(5))
        await ws.send_str('{"ack":2}')
        third = decoded(await ws.receive(5))
    assert (first.full, first.number, len(first.fills), len(first.candles["BTC"])) == (True, 1, 2, 2)
    assert (second.full, second.number) == (False, 2)
    assert [row.number for row in second.fills] == [3]
    assert second.candles["BTC"] == [CandleRow(60, 1, 3, 1, 3, 2)]
    assert second.status.equity == "100001"
    assert (second.logs, second.equity) == ([], [])
    assert (third.fills, third.candles) == ([], {})


async def test_a_new_candle_comes_with_the_one_it_finished(
    server: ControlServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    picture.candles = {"BTC": [CandleRow(0, 1, 1, 1, 1, 1)]}
    async with session.ws_connect(server.url + "/v1/stream") as ws:
        decoded(await ws.receive(5))
        picture.candles["BTC"] = [CandleRow(0, 1, 9, 1, 9, 5), CandleRow(60, 9, 9, 9, 9, 1)]
        await ws.send_str('{"ack":1}')
        assert [row.open_s for row in decoded(await ws.receive(5)).candles["BTC"]] == [0, 60]


async def test_frames_come_at_most_every_hundred_milliseconds(
    server: ControlServer, session: aiohttp.ClientSession
) -> None:
    loop = asyncio.get_running_loop()
    async with session.ws_connect(server.url + "/v1/stream") as ws:
        decoded(await ws.receive(5))
        began = loop.time()
        for number in range(1, 6):
            await ws.send_str(f'{{"ack":{number}}}')
            decoded(await ws.receive(5))
        assert loop.time() - began >= 0.45


async def test_a_subscriber_that_acknowledges_nothing_gets_two_frames_and_is_let_go(
    server: ControlServer, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STALLED_S", 0.3)
    async with session.ws_connect(server.url + "/v1/stream") as ws:
        numbers = [decoded(await ws.receive(5)).number for _ in range(2)]
        end = await ws.receive(5)
    assert numbers == [1, 2]
    assert end.type is aiohttp.WSMsgType.CLOSE
    assert end.data == 1008


async def test_no_more_subscribers_than_a_few(server: ControlServer, session: aiohttp.ClientSession) -> None:
    sockets = [await session.ws_connect(server.url + "/v1/stream") for _ in range(MAX_SUBSCRIBERS)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(server.url + "/v1/stream")
    assert caught.value.status == 503
    for ws in sockets:
        await ws.close()


async def test_a_subscriber_that_leaves_makes_room(server: ControlServer, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(server.url + "/v1/stream") as ws:
        await ws.receive(5)
        assert server.subscribers == 1
    for _ in range(2000):
        if server.subscribers == 0:
            break
        await asyncio.sleep(0.01)
    assert server.subscribers == 0


async def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ControlServer(Picture(), port=port, on_trouble=pytest.fail)
        await server.start()
        assert port < server.port < port + 50
        await server.stop()


async def test_only_loopback_listens(server: ControlServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
        if str(address).startswith("127."):
            continue
        with pytest.raises(OSError):
            socket.create_connection((str(address), server.port), timeout=1).close()


async def test_metrics_and_trades_are_served(
    server: ControlServer, session: aiohttp.ClientSession, picture: Picture
) -> None:
    picture.fills = [fill(1), fill(2), fill(3)]
    async with session.get(server.url + "/v1/trades?limit=2") as response:
        assert [row["number"] for row in await response.json()] == [3, 2]
    async with session.get(server.url + "/v1/trades?limit=-1") as response:
        assert response.status == 400
    async with session.get(server.url + "/v1/metrics") as response:
        assert await response.text() == "perpmaker_up 1\n"
