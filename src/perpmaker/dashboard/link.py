"""The dashboard's one connection to the engine: found through the run file, lost and found again, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import msgspec

from perpmaker import logs
from perpmaker.clock import Clock
from perpmaker.control.client import AsyncControlClient, EngineUnreachable
from perpmaker.control.home import RunFile, running
from perpmaker.control.messages import CommandAnswer, CommandRequest, Frame
from perpmaker.dashboard.hub import Hub
from perpmaker.errors import DataError, PerpmakerError

RETRY_S: Final = 0.3
PROBE_S: Final = 1.0
SILENT_NS: Final = 2_000_000_000

LinkName = Literal["searching", "connecting", "live", "silent", "refused"]


class LinkView(msgspec.Struct, frozen=True):
    """How the engine is reached. `age_ms`: since the engine made the newest frame, None before the first one."""

    state: LinkName
    detail: str
    age_ms: float | None


class NotDelivered(PerpmakerError):
    """There is no way to the engine now, and nothing was sent to it."""


class AnswerUnknown(PerpmakerError):
    """The command was sent and no answer came: it may or may not be carried out. Asking again with its id is safe."""


class _Replaced(PerpmakerError):
    """The run file names another engine than the one connected."""


class _Broken(PerpmakerError):
    """The stream of frames has a hole; only a new connection makes it whole."""


class Link:
    """Feeds the hub from the engine and passes commands to it."""

    def __init__(self, home: Path, hub: Hub, clock: Clock) -> None:
        self._home = home
        self._hub = hub
        self._clock = clock
        self._engine: AsyncControlClient | None = None
        self._state: LinkName = "searching"
        self._detail = ""
        self._frame_ns: int | None = None
        self._frame_made_ns = 0
        self._number: int | None = None
        self._changed = asyncio.Event()
        self._log = logs.get("dashboard")

    def view(self) -> LinkView:
        """Return the state of the connection now."""
        age_ms = self._age_ms()
        if self._state == "live" and age_ms is not None and age_ms * 1e6 >= SILENT_NS:
            return LinkView("silent", "the engine is connected and says nothing", age_ms)
        return LinkView(self._state, self._detail, age_ms)

    def _age_ms(self) -> float | None:
        """The longer of: since the frame came here, and since the engine stamped it (both on this host's clock)."""
        if self._frame_ns is None:
            return None
        received = self._clock.monotonic_ns() - self._frame_ns
        made = self._clock.now_ns() - self._frame_made_ns if self._frame_made_ns else 0
        return max(received, made) / 1e6

    @property
    def changed(self) -> asyncio.Event:
        """Set, and replaced by a fresh one, each time there is something new."""
        return self._changed

    async def command(self, request: CommandRequest) -> CommandAnswer:
        """Pass a command on; raise NotDelivered when it was not sent, AnswerUnknown when no clear answer came."""
        if self._engine is None:
            raise NotDelivered(f"{self._detail or 'no engine is connected'}; nothing was sent")
        try:
            return await self._engine.send(request)
        except EngineUnreachable as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                raise NotDelivered("the engine is not reachable; nothing was sent") from error
            raise AnswerUnknown("no answer from the engine: it may or may not carry this out") from error
        except PerpmakerError as error:
            raise AnswerUnknown(f"no clear answer: {error}") from error

    async def run(self) -> None:
        """Search, connect, read, and begin again, until cancelled."""
        while True:
            try:
                run_file = running(self._home, "engine")
            except DataError as error:
                self._set("refused", str(error))
                run_file = None
            else:
                if run_file is None:
                    self._set("searching", f"no engine runs in {self._home}")
            if run_file is not None:
                await self._follow(run_file)
            await asyncio.sleep(RETRY_S)

    async def _follow(self, run_file: RunFile) -> None:
        """Read frames of this engine until the connection ends or another engine takes its place."""
        if "control" not in run_file.urls:
            self._set("refused", "the engine's run file names no control API; it is of another version")
            return
        self._set("connecting", f"engine with pid {run_file.pid}")
        self._number = None
        try:
            async with AsyncControlClient.of(run_file) as engine:
                self._engine = engine
                await _until_one_fails(self._probe(run_file), self._read(engine))
        except PerpmakerError as problem:
            never_live = self._number is None
            self._set("refused" if never_live else "connecting", str(problem))
        finally:
            self._engine = None

    async def _read(self, engine: AsyncControlClient) -> None:
        async with aclosing(engine.frames()) as frames:  # type: ignore[type-var]
            async for frame in frames:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if self._number is None and not frame.full:
            raise _Broken("the engine's first frame was not a full one")
        if self._number is not None and frame.number != self._number + 1:
            raise _Broken(f"frame {frame.number} came after frame {self._number}; starting over")
        self._number = frame.number
        self._frame_ns = self._clock.monotonic_ns()
        self._frame_made_ns = int(frame.ts_ns) if frame.ts_ns.isdecimal() else 0
        self._hub.apply(frame)
        self._set("live", "")
        self._wake()

    async def _probe(self, run_file: RunFile) -> None:
        """A connection to a frozen or vanished engine stays open; its run file says when another one took over."""
        while True:
            await asyncio.sleep(PROBE_S)
            if self.view().state == "live":
                continue
            try:
                now = running(self._home, "engine")
            except DataError:
                continue
            if now is not None and (now.pid, now.token) != (run_file.pid, run_file.token):
                raise _Replaced("the engine was started again")

    def _set(self, state: LinkName, detail: str) -> None:
        if (state, detail) == (self._state, self._detail):
            return
        if state != self._state:
            self._log.info("engine_link_changed", state=state, detail=detail)
        self._state, self._detail = state, detail
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _until_one_fails(*work: Coroutine[Any, Any, None]) -> None:
    """Run side by side until one ends or fails, then end the others and raise what failed first.

    No TaskGroup: of a failure and a cancellation at the same moment that raises the failure alone, and whoever handles it
    goes on for ever.
    """
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result
