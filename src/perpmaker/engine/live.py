"""A live engine in this process: everything that waits, around the core that decides.

Start (RELIABILITY §5): locks, journal with latch and epoch, core restored, control API, then the venue: the dead-man timer
armed by the gateway before its first order, private streams, a whole read of each account, two equal passes, ready. End:
gate shut, all cancelled, verified twice, journal on disk, within ten seconds.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Coroutine
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from perpmaker import __version__, logs
from perpmaker import config as configuration
from perpmaker.clock import Clock, WallClock
from perpmaker.config import Config
from perpmaker.control.home import RunFile, make_home, published, running
from perpmaker.engine.assembly import LOCAL, Plan, make_plan
from perpmaker.engine.failpoints import Failpoints
from perpmaker.engine.folders import engine_folder, journal_folder
from perpmaker.engine.locks import Holder, held, lock_folder
from perpmaker.engine.parts import Parts, Surroundings
from perpmaker.engine.records import Closed, Crashed
from perpmaker.engine.venue_io import load_libraries
from perpmaker.errors import InvariantError, PerpmakerError

if sys.platform != "win32":
    import uvloop

NAME: Final = "engine"
ONE_COMMAND: Final = "one command"
"""In the run file of an engine that ends with the order or pair it was started for."""
STOP_S: Final = 9.0
"""How long an end waits for the venue to show no orders; the journal and the sockets need the rest of ten seconds."""
UNSEEN_STOP_S: Final = 2.0
"""The same when we know of no order and cannot see the account."""
BEAT_S: Final = 0.05
LAG_WARN_S: Final = 0.25
_ENDED_WELL, _ENDED_UNVERIFIED, _INTERRUPTED = 0, 5, 130


def run(config: Config, home: Path, recent: logs.RecentLines) -> int:
    """Run an engine until it is stopped; return the exit code. What `perpmaker run CONFIG` does."""
    clock = WallClock()
    exchange = running(home, "exchange") if config.env == LOCAL else None
    live = build_live(
        config,
        home,
        recent=recent,
        exchange=exchange,
        clock=clock,
        failpoints=Failpoints.planned(configuration.failpoint()),
    )
    settle_process()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(live.run(handle_signals=True))


def settle_process() -> None:
    """Make this process one that may hold keys and trade."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys
    sys.setswitchinterval(0.001)  # the store's thread yields to the trading loop within a millisecond


def build_live(
    config: Config,
    home: Path,
    *,
    recent: logs.RecentLines,
    exchange: RunFile | None = None,
    clock: Clock | None = None,
    failpoints: Failpoints | None = None,
) -> LiveEngine:
    """Check a configuration against the world and return an engine that is ready to run; nothing is opened yet.

    `exchange` is the practice exchange's run file, needed for env local. Raises ConfigError for what a person must change.
    """
    dotenv = next((path for path in (home / ".env", Path(".env")) if path.is_file()), None)
    plan = make_plan(config, exchange, dotenv)
    return LiveEngine(plan, home, recent, clock or WallClock(), failpoints or Failpoints())


class LiveEngine:
    """One life of an engine. `run` returns the exit code: 0 ended in order and verified, 5 what is open is not known.

    Make it before the loop turns: what its venues need is imported here, which may take seconds.
    """

    def __init__(self, plan: Plan, home: Path, recent: logs.RecentLines, clock: Clock, failpoints: Failpoints) -> None:
        self.plan = plan
        self.folder = engine_folder(home, plan.config.name, plan.realm)
        self.log = logs.get("engine").bind(engine=plan.config.name, env=plan.config.env)
        self._home = home
        self._recent = recent
        self._clock = clock
        self._failpoints = failpoints
        self._ending = asyncio.Event()
        self._fatal: BaseException | None = None
        self._signals = 0
        self._parts: Parts | None = None
        load_libraries(plan)
        self.verified_empty = False
        """Whether the venue showed, at the end, that no order of ours is left."""

    @property
    def parts(self) -> Parts:
        """What the engine is made of while it runs."""
        if self._parts is None:
            raise PerpmakerError("the engine is not running")
        return self._parts

    async def run(self, *, handle_signals: bool = False) -> int:
        """Run until stopped by a command, a signal, `stop` or a mistake of our own."""
        loop = asyncio.get_running_loop()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._on_signal)
        make_home(self._home)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as until_end:
            keys = self.plan.lock_keys(journal_folder(self.folder))
            until_end.enter_context(held(lock_folder(configuration.runtime_folder()), keys, self._holder()))
            parts = self._parts = Parts(self._surroundings(), loop)
            self._say_start(parts)
            try:
                await parts.server.start()
                until_end.enter_context(published(self._home, self._run_file(parts)))
                return await self._live(parts)
            finally:
                await self._close(parts)

    def stop(self, reason: str, actor: str = "engine") -> None:
        """End in order, as a person's stop would."""
        parts = self._parts
        if parts is not None and not parts.engine.world.stopping:
            parts.operate("stop", {"reason": reason}, actor)
        self._ending.set()

    def fail(self, error: BaseException) -> None:
        """End because our own books or tasks cannot be relied on any more."""
        if self._fatal is None:
            self._fatal = error
            self.log.error("engine_failed", error=f"{type(error).__name__}: {error}", exc_info=error)
            self._ending.set()

    # --- a life

    async def _live(self, parts: Parts) -> int:
        tasks = [
            self._supervised("beat", self._beat(parts)),
            self._supervised("upkeep", self._each_second(parts)),
        ]
        try:
            if not self.plan.is_paper:  # a paper account's time goes from event to event, and its turns with it
                parts.pump.later = asyncio.get_running_loop().call_soon
            parts.pump.begin()
            if parts.halt:
                parts.operate("halt", {"reason": parts.halt})
            await parts.venue.start(parts.pump.take)
            parts.rehearse(self.plan.config.engine.rehearse_ms / 1000)
            parts.upkeep.settle_garbage()
            await self._ending.wait()
            if self._fatal is None:
                self.stop("signal", "signal")  # unless the core was told already
                await self._empty(parts)
            parts.pump.settle()  # a mistake that it brings to light is one like any other
            return await self._after_mistake(parts, self._fatal) if self._fatal is not None else self._in_order(parts)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat(self, parts: Parts) -> None:
        """Measure how late the loop runs what is due."""
        loop = asyncio.get_running_loop()
        record = parts.telemetry.recorder("loop_lag")
        warned_at = 0.0
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            lag_s = loop.time() - due
            record(int(lag_s * 1e9))
            parts.pump.beat()
            if lag_s > LAG_WARN_S and due - warned_at > 10.0:
                warned_at = due
                self.log.warning("loop_lagged", ms=round(lag_s * 1000))

    async def _each_second(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(1.0)
            parts.upkeep.each_second()
            if parts.desk.stop_requested:
                self._ending.set()

    def _supervised(self, name: str, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task whose end is a mistake: the engine then cancels everything and ends (RELIABILITY P3)."""
        task = asyncio.get_running_loop().create_task(job, name=f"engine-{name}")
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.fail(task.exception() or PerpmakerError(f"task {task.get_name()} ended"))

    # --- ends

    async def _empty(self, parts: Parts) -> None:
        """Wait until the venue has shown the accounts without our orders twice, or patience ends."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while self._fatal is None and not parts.engine.verified_empty:
            if loop.time() - begin > (STOP_S if parts.may_have_orders() else UNSEEN_STOP_S):
                return
            await asyncio.sleep(0.02)

    def _in_order(self, parts: Parts) -> int:
        """Write the last words; the journal ends with them."""
        verified = self.verified_empty = parts.engine.verified_empty
        parts.engine.assert_identity()
        parts.desk.look_after()
        parts.upkeep.checkpoint()
        parts.pump.write(Closed(verified, parts.engine.world.stopping, self._clock.now_ns()))
        left = parts.what_is_open()
        self.log.info("engine_stopped", verified_empty=verified, left=left or "nothing")
        if verified or not parts.may_have_orders():
            return _ENDED_WELL
        sys.stderr.write(f"perpmaker: the venue did not confirm that all is cancelled; {left}\n")
        return _ENDED_UNVERIFIED

    async def _after_mistake(self, parts: Parts, error: BaseException) -> int:
        """Cancel everything without asking the core, which may be wrong; the dead-man timer stands behind it."""
        reason = f"{type(error).__name__}: {error}"
        parts.pump.stop()
        parts.engine.world.kill.trip(reason, self._clock.now_ns())  # so that no order in hand leaves any more
        parts.pump.write(Crashed(reason, self._clock.now_ns()))
        for _ in range(3):
            for gateway in parts.venue.gateways.values():
                gateway.cancel_all(None)
            await asyncio.sleep(0.5)
        return error.exit_code if isinstance(error, PerpmakerError) else InvariantError.exit_code

    async def _close(self, parts: Parts) -> None:
        parts.pump.stop()
        await parts.venue.stop()
        await parts.server.stop()
        parts.close()
        await asyncio.get_running_loop().run_in_executor(None, parts.store.close)
        self._parts = None

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1:
            self.log.info("engine_stop_requested", by="signal")
            self.stop("signal", "signal")
            return
        left = self._parts.what_is_open() if self._parts is not None else ""
        sys.stderr.write(f"perpmaker: left at once; {left or 'no order of ours is known to be open'}\n")
        sys.stderr.flush()
        os._exit(_INTERRUPTED)

    # --- descriptions

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            plan=self.plan,
            folder=self.folder,
            recent=self._recent,
            clock=self._clock,
            failpoints=self._failpoints,
            log=self.log,
            on_fatal=self.fail,
        )

    def _say_start(self, parts: Parts) -> None:
        self.log.info(
            "engine_starting",
            version=__version__,
            epoch=parts.engine.world.epoch,
            journal=str(parts.journal.path),
            records=parts.journal.record_number,
            accounts=",".join(f"{name}={who.sub_account_id}" for name, who in self.plan.keys.items()),
        )

    def _holder(self) -> Holder:
        since = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Holder(self.plan.config.name, os.getpid(), str(self._home), since)

    def _run_file(self, parts: Parts) -> RunFile:
        return RunFile(
            name=NAME,
            pid=os.getpid(),
            urls={"control": parts.server.url},
            token=parts.server.token,
            started_ns=self._clock.now_ns(),
            extra={
                "engine": self.plan.config.name,
                "env": self.plan.config.env,
                "folder": str(self.folder),
                **({"lives_for": ONE_COMMAND} if self.plan.pause_added else {}),
            },
        )


def new_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop an engine runs on."""
    return asyncio.new_event_loop() if sys.platform == "win32" else uvloop.new_event_loop()
