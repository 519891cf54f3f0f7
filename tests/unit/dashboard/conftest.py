"""A dashboard over a fake engine, both in this process, on ephemeral loopback ports."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.unit.dashboard.fake_engine import FakeControl, FakeEngine, start

from perpmaker.clock import WallClock
from perpmaker.control.home import RunFile, published
from perpmaker.dashboard.server import serve

TIMEOUT_S = 30.0


@dataclass
class Page:
    """A browser's worth of client: its cookie jar, and the dashboard's address."""

    url: str
    token: str
    client: aiohttp.ClientSession
    csrf: str = ""

    async def login(self) -> None:
        async with self.client.post(f"{self.url}/api/login", json={"token": self.token}) as response:
            assert response.status == 200
            self.csrf = (await response.json())["csrf"]

    async def command(self, body: dict[str, str], **headers: str) -> tuple[int, dict[str, Any]]:
        sent = {"X-Perpmaker-CSRF": self.csrf, **headers}
        async with self.client.post(f"{self.url}/api/commands", json=body, headers=sent) as response:
            return response.status, await response.json()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Stream]:
        async with self.client.ws_connect(f"{self.url}/api/stream", max_msg_size=0) as socket:
            yield Stream(socket)


@dataclass
class Stream:
    socket: aiohttp.ClientWebSocketResponse

    async def frame(self, *, ack: bool = True) -> dict[str, Any]:
        """Return the next frame."""
        async with asyncio.timeout(TIMEOUT_S):
            frame: dict[str, Any] = json.loads(await self.socket.receive_str())
        if ack:
            await self.socket.send_json({"ack": frame["number"]})
        return frame

    async def frame_where(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next frame that fits."""
        async with asyncio.timeout(TIMEOUT_S):
            while not fits(frame := await self.frame()):
                pass
        return frame

    async def closed(self) -> int | None:
        """Read until the server closes; return its code."""
        async with asyncio.timeout(TIMEOUT_S):
            while (await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        return self.socket.close_code


@dataclass
class Stand:
    """The fake engine (absent until `start_engine`), the home both share, and a page that is not logged in yet."""

    home: Path
    page: Page
    control: FakeControl | None
    start_engine: Callable[[], Awaitable[FakeControl]]
    stop_engine: Callable[[], Awaitable[None]]

    @property
    def engine(self) -> FakeEngine:
        assert self.control is not None
        return self.control.engine


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A dashboard and a fake engine that moves ten times a second."""
    async with a_stand(tmp_path / "home") as made:
        control = await made.start_engine()
        async with asyncio.timeout(TIMEOUT_S):
            await control.connected.wait()
        yield made


@asynccontextmanager
async def a_stand(home: Path) -> AsyncIterator[Stand]:
    """Serve a dashboard; its engine is started on demand."""
    clock = WallClock()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(home, 0, ready=ready.set_result, stop=stop))
    running = AsyncExitStack()

    async def start_engine() -> FakeControl:
        token = os.urandom(32).hex()
        control = FakeControl(FakeEngine(clock.now_ns()), clock, token)
        runner, port = await start(control)
        running.push_async_callback(runner.cleanup)
        moving = asyncio.create_task(control.move_for_ever())
        running.callback(moving.cancel)
        run_file = RunFile("engine", os.getpid(), {"control": f"http://127.0.0.1:{port}"}, token, clock.now_ns())
        running.enter_context(published(home, run_file))
        made.control = control
        return control

    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    url, _, token = ready.result().partition("/#")
    client = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    made = Stand(home, Page(url, token, client), None, start_engine, running.aclose)
    try:
        yield made
    finally:
        await client.close()
        await running.aclose()
        stop.set()
        async with asyncio.timeout(TIMEOUT_S):
            await serving
