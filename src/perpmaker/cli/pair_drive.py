"""A pair at an engine: started or gone on with, followed, asked about, stopped through the engine's control API.

Whatever ends the following of it, the engine has the pair in its journal and sees it through.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from perpmaker.cli.engine_link import Refused
from perpmaker.cli.execution_drive import POLL_S, Following, Stop
from perpmaker.control.client import AsyncControlClient, ControlRefused, EngineUnreachable, new_command_id
from perpmaker.control.messages import PairRow
from perpmaker.errors import OutcomeUnknown, PerpmakerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perpmaker.cli.pair_progress import PairProgress
    from perpmaker.clock import Clock
    from perpmaker.control.home import RunFile

STOPS: Final = "nothing new is placed, what was filled is hedged, positions stay"
ANSWERS: Final = {"c": "continue", "continue": "continue", "s": "stop", "stop": "stop"}
APPEARS_S: Final = 10.0
"""How long the row of a pair that was started may be missing from the status."""


class Start(msgspec.Struct, frozen=True):
    """What to do: start a pair with these words, or go on with the one of these legs; and whether to stay for it."""

    words: dict[str, str]
    name: str
    resume: bool
    detach: bool


class Outcome(msgspec.Struct, frozen=True):
    """The engine's last word, whether Ctrl-C asked for the end, and where the journal is.

    Of an engine of our own also its exit code, and whether the venues showed that no order is left.
    """

    row: PairRow | None
    interrupted: bool
    folder: Path | None
    engine_code: int = 0
    verified: bool = False


class PairJob:
    """Runs one pair at an engine to its end, which a stop brings about sooner."""

    def __init__(self, start: Start, progress: PairProgress, *, own: bool) -> None:
        self._start = start
        self._progress = progress
        self._own = own

    async def run(self, following: Following, client: AsyncControlClient) -> PairRow:
        """Return the pair's last row."""
        left = self._of_legs((await client.status()).pairs)
        if self._start.resume:
            if left is None:
                raise PerpmakerError("--resume: no pair of these legs is left over; leave it out to start one")
            await following.command("pair_resume", {"strategy": left.name})
            return await self._follow(following, left.name, left.session)
        if left is not None and self._own:
            self._progress.say(
                f"{left.name} of an earlier run is not over; it is ended first (--resume goes on with it)"
            )
            await following.command("pair_stop", {"strategy": left.name})
            await self._follow(following, left.name, left.session)
        arguments = dict(self._start.words)
        if self._start.name:
            arguments["strategy"] = self._start.name
        command_id = new_command_id()
        session = arguments.get("session", command_id)
        with contextlib.suppress(OutcomeUnknown):  # the engine, or its next life, shows it or not
            await following.command("pair_start", arguments, command_id=command_id)
        row = await self._appeared(client, session)
        return row if self._start.detach else await self._follow(following, row.name, session)

    def _of_legs(self, rows: Iterable[PairRow]) -> PairRow | None:
        """Return the pair of these legs that is not over."""
        wanted = {self._start.words["instrument"], self._start.words["hedge_instrument"]}
        return next(
            (row for row in rows if {leg.instrument for leg in row.legs[:2]} == wanted and not row.is_over), None
        )

    async def _appeared(self, client: AsyncControlClient, session: str) -> PairRow:
        """Return the row of what was started; OutcomeUnknown when nobody shows it in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(APPEARS_S):
                while True:
                    with contextlib.suppress(EngineUnreachable, ControlRefused):
                        row = next((row for row in (await client.status()).pairs if row.session == session), None)
                        if row is not None:
                            return row
                    await asyncio.sleep(POLL_S)
        raise OutcomeUnknown(
            f"it may be started, and the engine did not show it in {APPEARS_S:g} s: see perpmaker pairs"
        )

    async def _follow(self, following: Following, name: str, session: str) -> PairRow:
        """Tell how it goes until it is over, or has failed."""
        questions = Questions(following, self._progress)

        def has_ended(row: PairRow) -> bool:
            self._progress.tell(row)
            questions.look(row)
            return row.is_over or row.state == "failed"

        try:
            return await following.see_through(
                lambda status: next((row for row in status.pairs if (row.name, row.session) == (name, session)), None),
                has_ended,
                ("pair_stop", {"strategy": name}),
                unlisted=f"the engine does not list {name} any more",
                where=f"what became of {name} is in its journal: perpmaker report pair",
            )
        finally:
            await questions.end()


class Questions:
    """Asks the person at the terminal what a pair asks, while others may answer it elsewhere."""

    def __init__(self, following: Following, progress: PairProgress) -> None:
        self._following = following
        self._progress = progress
        self._asked = ""
        self._task: asyncio.Task[None] | None = None

    def look(self, row: PairRow) -> None:
        """Ask what is new; take back what was answered elsewhere."""
        if row.question == self._asked:
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._asked and not row.question:
            self._progress.answered()
        self._asked = row.question
        if row.question:
            self._task = asyncio.ensure_future(self._ask(row))

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, PerpmakerError):
                await self._task

    async def _ask(self, row: PairRow) -> None:
        """Ask until there is an answer; where nobody can be asked, say how to answer."""
        self._progress.ask(row)
        if not sys.stdin.isatty():
            self._progress.say(
                f"answer it with: perpmaker pairs answer {row.name} continue (or stop), or on the dashboard"
            )
            return
        while True:
            self._progress.prompt("continue or stop? ")
            answer = ANSWERS.get((await read_line()).strip().lower())
            if answer is not None:
                break
        try:
            await self._following.command("pair_answer", {"strategy": row.name, "answer": answer})
        except Refused as error:  # somebody was quicker
            self._progress.say(str(error))
        except (OutcomeUnknown, ControlRefused) as error:
            self._progress.say(str(error))
            self._asked = ""  # asked anew at the next look, if it is still open


async def read_line() -> str:
    """Return a line from the terminal without a thread that would outlive the program."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    descriptor = sys.stdin.fileno()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
        return sys.stdin.readline()
    finally:
        loop.remove_reader(descriptor)


async def hand_over(run_file: RunFile, home: Path, job: PairJob, clock: Clock, arm: str) -> Outcome:
    """Have the engine that runs in `home` run it."""
    client = AsyncControlClient.of(run_file, home)
    stop = Stop(lambda: "the engine goes on ending the pair; see `perpmaker pairs`", STOPS)
    stop.listen()
    async with client:
        following = Following(client, stop, clock, _untold)
        if arm:
            await following.command("arm", {"confirmation": arm})
        row = await job.run(following, client)
    folder = run_file.extra.get("folder")
    return Outcome(row, stop.asked.is_set(), None if folder is None else Path(folder))


def _untold(_: object) -> None:
    """A pair tells its progress by itself."""
