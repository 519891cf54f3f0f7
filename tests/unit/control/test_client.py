"""The clients of the control API against the engine's own server."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.unit.engine.picture import NOW_NS, Picture, fill

from perpmaker.control.client import (
    REMEMBERED,
    AsyncControlClient,
    ControlClient,
    ControlRefused,
    EngineUnreachable,
    make_request,
)
from perpmaker.control.home import RunFile, published
from perpmaker.control.messages import LogLine
from perpmaker.engine.control import ControlServer
from perpmaker.errors import DataError, PerpmakerError

T = TypeVar("T")


@pytest.fixture
def picture() -> Picture:
    return Picture()


@pytest.fixture
async def server(picture: Picture) -> AsyncIterator[ControlServer]:
    server = ControlServer(picture, port=0, on_trouble=pytest.fail)
    await server.start()
    yield server
    await server.stop()


async def blocking(call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, call)


async def test_the_plain_client_reads_status_trades_logs_and_metrics(server: ControlServer, picture: Picture) -> None:
    picture.fills = [fill(1), fill(2)]
    picture.lines = [LogLine(4, "four"), LogLine(5, "five")]
    client = ControlClient.of(RunFile("engine", os.getpid(), {"control": server.url}, server.token))
    assert (await blocking(client.status)).state == "running"
    assert [row.number for row in await blocking(lambda: client.trades(1))] == [2]
    assert [line.number for line in await blocking(lambda: client.logs(after=4))] == [5]
    assert (await blocking(client.metrics)).startswith("perpmaker_up")


async def test_a_command_is_asked_about_by_sending_it_again(server: ControlServer, picture: Picture) -> None:
    client = ControlClient(server.url, server.token)
    first = await blocking(lambda: client.command("pause", {"strategy": "btc"}, actor="me", now_ns=NOW_NS))
    again = await blocking(lambda: client.answer(first.command_id))
    assert first == again
    assert picture.commands[0] == picture.commands[1]
    request = picture.commands[0][0]
    assert (request.kind, request.arguments, request.actor) == ("pause", {"strategy": "btc"}, "me")
    assert int(request.expires_ns) == NOW_NS + 10_000_000_000


async def test_a_client_remembers_its_last_commands_alone(server: ControlServer) -> None:
    async with AsyncControlClient(server.url, server.token) as client:
        for number in range(REMEMBERED + 1):
            await client.command("resume", actor="me", now_ns=NOW_NS, command_id=f"command-{number}")
        assert (await client.answer("command-1")).command_id == "command-1"
        with pytest.raises(PerpmakerError, match="command-0 is not among the last"):
            await client.answer("command-0")


async def test_the_async_client_reads_and_commands(server: ControlServer, picture: Picture) -> None:
    picture.fills = [fill(1)]
    async with AsyncControlClient(server.url, server.token) as client:
        assert (await client.status()).env == "local"
        assert [row.number for row in await client.trades()] == [1]
        assert await client.logs() == []
        answer = await client.command("resume", actor="me", now_ns=NOW_NS, command_id="my-own-id")
        assert (answer.command_id, answer.state) == ("my-own-id", "done")


async def test_frames_are_acknowledged_so_that_they_go_on(server: ControlServer) -> None:
    numbers: list[int] = []
    async with AsyncControlClient(server.url, server.token) as client:
        async for frame in client.frames():
            numbers.append(frame.number)
            if frame.number == 4:
                break
    assert numbers == [1, 2, 3, 4]


async def test_the_end_of_the_stream_is_an_error_not_an_end_of_news(server: ControlServer) -> None:
    async with AsyncControlClient(server.url, server.token) as client:
        frames = client.frames()
        await anext(frames)
        await server.stop()
        with pytest.raises(EngineUnreachable):
            await anext(frames)


@pytest.mark.parametrize(("engine", "reached"), [("one", True), ("another", False)])
async def test_a_client_finds_the_next_life_of_its_engine_and_no_other(
    tmp_path: Path, server: ControlServer, picture: Picture, engine: str, reached: bool
) -> None:
    extra = {"engine": "one", "env": "local"}
    before = RunFile("engine", os.getpid(), {"control": server.url}, "token of the life before", extra=extra)
    now = RunFile("engine", os.getpid(), {"control": server.url}, server.token, extra={**extra, "engine": engine})
    with published(tmp_path, now):
        async with AsyncControlClient.of(before, tmp_path) as client:
            if reached:
                assert (await client.status()).state == "running"
                assert (await client.command("pause", actor="me", now_ns=NOW_NS)).state == "done"
            else:
                with pytest.raises(ControlRefused):
                    await client.status()
    assert len(picture.commands) == int(reached)


async def test_a_wrong_token_is_refused(server: ControlServer) -> None:
    client = ControlClient(server.url, "wrong")
    with pytest.raises(ControlRefused):
        await blocking(client.status)
    async with AsyncControlClient(server.url, "wrong") as other:
        with pytest.raises(ControlRefused):
            await other.status()
        with pytest.raises(ControlRefused):
            async for _ in other.frames():
                pass


async def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(EngineUnreachable):
            ControlClient(url, "t").status()
        async with AsyncControlClient(url, "t") as client:
            with pytest.raises(EngineUnreachable):
                await client.status()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8411", "https://example.org", "http://127.0.0.1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(DataError):
        ControlClient(url, "t")


def test_each_request_has_its_own_id() -> None:
    one, two = (make_request("pause", {}, actor="me", now_ns=1) for _ in range(2))
    assert one.command_id != two.command_id
    assert 8 <= len(one.command_id) <= 64
