import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
from tests.unit.dashboard.conftest import Stand

from perpmaker.clock import WallClock
from perpmaker.control.client import EngineUnreachable
from perpmaker.control.home import RunFile, make_home, published
from perpmaker.control.messages import Frame
from perpmaker.dashboard.hub import Hub
from perpmaker.dashboard.link import Link


async def test_a_frame_lost_on_the_way_from_the_engine_makes_the_link_start_over(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["status"] != {} and not frame["full"])
        stand.control.lost = 1
        again = await stream.frame_where(lambda frame: frame["full"])
    numbers = [fill["number"] for fill in again["fills"]]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_frames_that_arrive_with_old_stamps_are_old(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["link"]["state"] == "live")
        stand.control.behind_ns = 5_000_000_000
        old = await stream.frame_where(lambda frame: frame["link"]["age_ms"] >= 5000)
    assert old["link"]["state"] == "silent"


async def test_a_new_engine_is_followed_while_the_old_one_hangs_with_its_connection_open(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        before = await stream.frame_where(lambda frame: frame["status"] != {})
        stand.control.frozen = True
        fresh = await stand.start_engine()
        fresh.engine.reason = "the new one"
        after = await stream.frame_where(lambda frame: frame["status"].get("reason") == "the new one")
    assert before["status"]["reason"] == ""
    assert after["link"]["state"] == "live"


class Engine:
    """An engine whose connection breaks at the very moment it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.broken = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[Frame]:
        self.asked.set()
        await self.broken.wait()
        raise EngineUnreachable("the connection broke")
        yield


async def test_the_link_ends_though_the_engine_breaks_off_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    monkeypatch.setattr("perpmaker.dashboard.link.AsyncControlClient.of", lambda _: engine)
    run_file = RunFile("engine", os.getpid(), {"control": "http://127.0.0.1:1"}, "token", 1)
    with published(make_home(tmp_path), run_file):
        following = asyncio.create_task(Link(tmp_path, Hub(), WallClock()).run())
        await engine.asked.wait()
        engine.broken.set()  # its reader fails in the same turn of the loop as the cancel arrives
        following.cancel()
        done, _ = await asyncio.wait({following}, timeout=5)
    following.cancel()
    assert done
    assert following.cancelled()
