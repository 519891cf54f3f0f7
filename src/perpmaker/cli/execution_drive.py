"""A parent order at an engine, begun, followed and stopped through its control API; and an engine of its own for it.

Whatever ends the following of it, the engine knows the order and sees it to its end: the same engine that runs strategies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from perpmaker.cli.engine_link import Refused
from perpmaker.control.client import (
    AsyncControlClient,
    ControlRefused,
    EngineUnreachable,
    make_request,
    new_command_id,
)
from perpmaker.control.home import running
from perpmaker.errors import OutcomeUnknown, PerpmakerError, VenueUnavailable

if TYPE_CHECKING:
    from perpmaker.clock import Clock
    from perpmaker.control.messages import CommandAnswer, CommandKind, ExecutionRow, Status
    from perpmaker.engine.live import LiveEngine

POLL_S: Final = 0.1
LOST_S: Final = 30.0
"""How long an engine that does not answer, or does not know the order, is asked again: a next life takes its time."""
TOLD_S: Final = 3.0
"""After so long a person is told of the silence."""
READY_S: Final = 30.0
"""How long an engine of our own may take until an order could pass."""
INTERRUPTED: Final = 130

ORDER_STOPS: Final = "the order at work is cancelled and its end awaited"

Tell = Callable[["ExecutionRow"], None]
T = TypeVar("T")


class Stop:
    """Ctrl-C, SIGTERM or a closed terminal: once ends in order, twice at once."""

    def __init__(self, what_is_open: Callable[[], str], meaning: str = ORDER_STOPS) -> None:
        self.asked = asyncio.Event()
        self.what_is_open = what_is_open
        self._meaning = meaning

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if not self.asked.is_set():
            self.asked.set()
            sys.stderr.write(f"perpmaker: stopping; {self._meaning}. Again: at once.\n")
            sys.stderr.flush()
            return
        sys.stderr.write(f"perpmaker: left at once; {self.what_is_open() or 'no order is known to be open'}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)


class Following:
    """One parent order at an engine."""

    def __init__(self, client: AsyncControlClient, stop: Stop, clock: Clock, tell: Tell) -> None:
        self._client = client
        self.stop = stop
        self._clock = clock
        self._tell = tell
        self._actor = f"cli:{os.environ.get('USER', 'unknown')}"

    async def command(
        self, kind: CommandKind, arguments: dict[str, str], *, command_id: str | None = None
    ) -> CommandAnswer:
        """Give a command until it was surely received, once: the same id again is the same command. Raises Refused.

        Raises OutcomeUnknown where an answer was lost and nobody takes the repetition any more; a next life that does not
        know our credentials yet is asked again.
        """
        now_ns = self._clock.now_ns()
        request = make_request(kind, arguments, actor=self._actor, now_ns=now_ns, command_id=command_id)
        loop = asyncio.get_running_loop()
        began, why = loop.time(), ""
        while True:
            try:
                answer = await self._client.send(request)
            except (EngineUnreachable, ControlRefused) as error:
                if isinstance(error, ControlRefused) and not why:
                    raise  # the first word: it was surely not taken
                why = str(error)
                if loop.time() - began > LOST_S:
                    break
                await asyncio.sleep(POLL_S)
                continue
            if answer.state != "refused":
                return answer
            if not why or self._clock.now_ns() <= int(request.expires_ns):
                raise Refused(f"{kind} refused: {answer.text}")
            why = f"an answer was lost, and its repetition is refused: {answer.text}"
            break
        raise OutcomeUnknown(f"{kind}: {why}; it may have been carried out")

    async def work(self, arguments: dict[str, str]) -> ExecutionRow:
        """Have it worked to its end, which a stop brings about sooner; returns how it ended."""
        order = new_command_id()
        with contextlib.suppress(OutcomeUnknown):  # the engine, or its next life, says what became of it
            await self.command("execute", arguments, command_id=order)

        def has_ended(row: ExecutionRow) -> bool:
            self._tell(row)
            return row.state == "ended"

        return await self.see_through(
            lambda status: next((row for row in status.executions if row.id == order), None),
            has_ended,
            ("execution_stop", {"id": order}),
            unlisted="the engine does not list the parent order",
            where=f"what became of parent order {order} is in its journal: perpmaker report execution",
        )

    async def see_through(
        self,
        find: Callable[[Status], T | None],
        has_ended: Callable[[T], bool],
        stop: tuple[CommandKind, dict[str, str]],
        *,
        unlisted: str,
        where: str,
    ) -> T:
        """Follow what an engine works until it has ended; a stop gives the command `stop`. Every look is judged.

        An engine that is silent, is another one, or does not list it is asked on for a while: its next life may. Then
        OutcomeUnknown is raised, which says `where` to look.
        """
        loop = asyncio.get_running_loop()
        seen, stop_sent, silence_told = loop.time(), False, False
        while True:
            if self.stop.asked.is_set() and not stop_sent:
                with contextlib.suppress(OutcomeUnknown, ControlRefused):  # then it is given anew at the next turn
                    with contextlib.suppress(Refused):  # it ended by itself, or the engine did
                        await self.command(*stop)
                    stop_sent = True
            found, why = await self._look(find)
            if found is not None:
                seen, silence_told = loop.time(), False
                if has_ended(found):
                    return found
            elif loop.time() - seen > LOST_S:
                raise OutcomeUnknown(f"{why or unlisted}; {where}")
            elif loop.time() - seen > TOLD_S and not silence_told:
                silence_told = True
                sys.stderr.write(f"perpmaker: {why or unlisted}; asking on for {LOST_S:g} s, its next life too\n")
                sys.stderr.flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await (asyncio.sleep(POLL_S) if self.stop.asked.is_set() else self.stop.asked.wait())

    async def _look(self, find: Callable[[Status], T | None]) -> tuple[T | None, str]:
        """Return how it stands; or None, and why nobody says, "" where it is only not listed."""
        try:
            return find(await self._client.status()), ""
        except (EngineUnreachable, ControlRefused) as error:
            return None, str(error)


async def hand_over(
    client: AsyncControlClient, arguments: dict[str, str], clock: Clock, tell: Tell, arm: str
) -> tuple[ExecutionRow, bool]:
    """Have a running engine work it; returns how it ended and whether we asked for its stop."""
    stop = Stop(lambda: "the engine goes on stopping the order; see `perpmaker status`")
    stop.listen()
    async with client:
        following = Following(client, stop, clock, tell)
        if arm:
            await following.command("arm", {"confirmation": arm})
        row = await following.work(arguments)
    return row, stop.asked.is_set()


class OwnEngine:
    """An engine that lives for one parent order."""

    def __init__(
        self,
        live: LiveEngine,
        home: Path,
        clock: Clock,
        tell: Tell,
        missing: Callable[[], str],
        on_wait: Callable[[str], None],
    ) -> None:
        self._live = live
        self._home = home
        self._clock = clock
        self._tell = tell
        self._missing = missing
        self._on_wait = on_wait

    async def work(self, arguments: dict[str, str], arm: str) -> tuple[ExecutionRow | None, bool, int]:
        """Return how it ended (None when stopped before anything was sent), whether a stop was asked, the engine's code."""
        return await self.lend(lambda following, _: following.work(arguments), arm)

    async def lend(
        self, job: Callable[[Following, AsyncControlClient], Awaitable[T]], arm: str, *, meaning: str = ORDER_STOPS
    ) -> tuple[T | None, bool, int]:
        """Live for a job; return what it returned (None when stopped before it began), and as `work`."""
        stop = Stop(self._what_is_open, meaning)
        stop.listen()
        life = asyncio.ensure_future(self._live.run())
        work = asyncio.ensure_future(self._work(job, arm, stop))
        found: T | None = None
        try:
            await asyncio.wait({life, work}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                found = work.result()
            elif life.exception() is None:
                raise PerpmakerError(f"the engine ended with code {life.result()} before its work did; see its journal")
        finally:
            work.cancel()
            self._live.stop("executed", "execute")
            code = await life
        return found, stop.asked.is_set(), code

    async def _work(
        self, job: Callable[[Following, AsyncControlClient], Awaitable[T]], arm: str, stop: Stop
    ) -> T | None:
        client = await self._client()
        async with client:
            following = Following(client, stop, self._clock, self._tell)
            if arm:
                await following.command("arm", {"confirmation": arm})
            if not await self._ready(stop):
                return None
            return await job(following, client)

    async def _client(self) -> AsyncControlClient:
        """Wait until the engine serves; a life that ends instead is noticed by who waits for both."""
        while True:
            run_file = running(self._home, "engine")
            if run_file is not None and run_file.pid == os.getpid():
                return AsyncControlClient.of(run_file)
            await asyncio.sleep(POLL_S / 4)

    async def _ready(self, stop: Stop) -> bool:
        """Wait until an order could pass; False when a stop came first."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while missing := self._missing():
            self._on_wait(missing)
            if stop.asked.is_set():
                return False
            if loop.time() - began > READY_S:
                raise VenueUnavailable(f"waited {READY_S:g} s for {missing}; nothing was sent")
            await asyncio.sleep(POLL_S / 4)
        return not stop.asked.is_set()

    def _what_is_open(self) -> str:
        try:
            return self._live.parts.what_is_open()
        except PerpmakerError:
            return ""
