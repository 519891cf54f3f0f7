"""The objects of one life of a live engine, wired together. Made inside the running loop; nothing is connected yet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from perpmaker import __version__, logs
from perpmaker.clock import Clock
from perpmaker.control.messages import (
    BookRows,
    CandleRow,
    CommandAnswer,
    CommandRequest,
    EquityPoint,
    FillRow,
    LogLine,
    Status,
)
from perpmaker.engine.assembly import Plan
from perpmaker.engine.commands import CommandDesk
from perpmaker.engine.control import ControlServer
from perpmaker.engine.core import Engine
from perpmaker.engine.failpoints import FailingIntentLog, Failpoints
from perpmaker.engine.folders import journal_folder, recordings_folder, store_path
from perpmaker.engine.journals import Opened, open_or_quarantine, strategy_numbers
from perpmaker.engine.latchfile import read_latch, stricter, write_latch
from perpmaker.engine.paper_venues import PaperVenues
from perpmaker.engine.pump import Pump
from perpmaker.engine.recording import SessionRecording, session_of
from perpmaker.engine.records import Boot, FillBooked, Latch, Record
from perpmaker.engine.rehearsal import Rehearsal
from perpmaker.engine.store import Store
from perpmaker.engine.telemetry import Telemetry, prometheus
from perpmaker.engine.upkeep import Upkeep
from perpmaker.engine.venue_io import VenueIO
from perpmaker.engine.view import About, View
from perpmaker.model.events import Operator

JOURNAL_BLOCK: Final = "journal"


class Surroundings(msgspec.Struct, frozen=True):
    """What a life is made in."""

    plan: Plan
    folder: Path
    """The engine's own: journal, store, latch."""
    recent: logs.RecentLines
    clock: Clock
    failpoints: Failpoints
    log: Any
    on_fatal: Callable[[BaseException], None]


class Parts:
    """Journal, core, pump, gateways, store, control server of one life."""

    def __init__(self, around: Surroundings, loop: asyncio.AbstractEventLoop) -> None:
        self._around = around
        self._loop = loop
        plan, clock = around.plan, around.clock
        self._latch_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="latch")
        """One thread, so that copies of the latch go to disk in order; started now, so that a kill need not wait for it."""
        self._latch_thread.submit(_nothing)
        self._syncing: asyncio.Future[None] | None = None
        self._rehearsal: Rehearsal | None = None
        self._recording: SessionRecording | None = None
        opened = self._open_journal()
        self.journal, self.halt = opened.journal, opened.halt
        self.telemetry = Telemetry()
        self.engine = self._restored(opened)
        about = About(
            engine=plan.config.name,
            pid=os.getpid(),
            venue=plan.venue,
            env=plan.config.env,
            mode=plan.config.mode,
            started_ns=clock.now_ns(),
            journal_path=lambda: str(self.journal.path),
            venues={name: plan.venue_of(name) for name in plan.keys},
        )
        self.view = View(self.engine, about, self.telemetry, around.recent, clock, warnings=self._warnings)
        self.view.restore(_known_fills(self.engine, opened.recovered.records))
        self.store = Store.open(
            store_path(around.folder), journal_folder(around.folder), on_trouble=self._from_thread("store_in_trouble")
        )
        paper = None
        if plan.is_paper:
            paper = PaperVenues(plan.config, clock, loop, epoch=opened.next_epoch, on_fatal=around.on_fatal)
        self.pump = Pump(
            self.engine,
            self.journal,
            clock=clock,
            telemetry=self.telemetry,
            view=self.view,
            log=around.log,
            offer=self.store.offer,
            on_latch=self._on_latch,
            on_epoch=self._on_epoch,
            on_fatal=around.on_fatal,
            failpoints=around.failpoints,
            recording=self._recording,
            timers=None if paper is None else paper.clock.timers,
        )
        self._take = self.pump.take
        if paper is not None:  # what a person says has its place in the line of time, too
            paper.clock.listen(self.pump.take)
            self._take = paper.clock.take
        self.desk = CommandDesk(
            self.engine,
            clock,
            feed=self._take,
            write=self.pump.write,
            sub_accounts=[who.sub_account_id for who in plan.keys.values()],
        )
        self.desk.restore(opened.recovered.records)
        self.server = ControlServer(
            Source(self), port=plan.config.control.port, on_trouble=lambda text: around.log.warning("stream", text=text)
        )
        failing = around.failpoints.active
        self.venue = VenueIO(
            plan,
            self.engine,
            epoch=opened.next_epoch,
            intents=FailingIntentLog(self.journal, around.failpoints) if failing else self.journal,
            kill=self.engine.world.kill,
            clock=clock,
            timings=self.telemetry,
            paper=paper,
        )
        self.pump.gateways = self.venue.gateways
        self.upkeep = Upkeep(
            self.engine,
            self.pump,
            self.journal,
            self.desk,
            self.view,
            self.telemetry,
            clock,
            renew=self.venue.renew,
            lag=lambda: self.store.lag,
        )

    def rehearse(self, every_s: float) -> None:
        """Keep the way from a frame to an order warm from now on; with 0 do not."""
        if every_s:
            self._rehearsal = Rehearsal(self._around.clock)
            self._rehearsal.begin(self._loop, every_s, lambda: self.pump.events)

    def close(self) -> None:
        """Let go of journal and threads; what is written is on disk when this returns."""
        if self._rehearsal is not None:
            self._rehearsal.end()
        if self._recording is not None:
            self._recording.close()
        self._latch_thread.shutdown(wait=True)
        self.journal.close()

    def operate(self, kind: str, arguments: dict[str, str], actor: str = "engine") -> None:
        """Tell the core something in a person's place."""
        self._take(Operator("", kind, None, arguments, actor, self._around.clock.now_ns()))

    def may_have_orders(self) -> bool:
        """Whether an order of ours is live, or an account that may hold some cannot be seen."""
        return any(order.own for order in self.engine.world.table.live()) or any(
            up for name, up in self.engine.world.links.items() if not name.endswith("market_data")
        )

    def what_is_open(self) -> str:
        """Say which orders of ours are live and which positions are held, "" for none."""
        said = []
        live = [order for order in self.engine.world.table.live() if order.own]
        if live:
            said.append(f"{len(live)} orders may be open until the venue's dead-man timer fires")
        for account, book in self.engine.world.account_books.items():
            held = [f"{position.qty} {name}" for name, position in book.positions.items() if position.qty]
            if held:
                said.append(f"account {account} holds {', '.join(held)}")
        return "; ".join(said)

    def metrics(self) -> str:
        """Return the metrics in the Prometheus text format."""
        config, world = self._around.plan.config, self.engine.world
        gauges: dict[str, float] = {
            "up": 1.0,
            "killed": float(world.kill.latched),
            "ready": float(self.engine.ready),
            "open_orders": float(len(world.table.live())),
            "events": float(self.pump.events),
            "fills": float(world.fills_total),
            "orders_sent": float(world.orders_sent),
            "orders_refused": float(sum(world.orders_refused.values())),
            "journal_records": float(self.journal.record_number),
            "store_lag": float(self.store.lag),
            "subscribers": float(self.server.subscribers),
            "tasks": float(len(asyncio.all_tasks(self._loop))),
            **self.upkeep.usage,
        }
        equity = world.equity()
        if equity is not None:
            gauges["equity"] = float(equity)
        return prometheus(self.telemetry, gauges, f'engine="{config.name}",env="{config.env}"')

    # --- making

    def _open_journal(self) -> Opened:
        around = self._around
        opened = open_or_quarantine(
            around.folder,
            around.plan.fingerprint,
            build=__version__,
            clock=around.clock,
            sync=around.plan.config.journal.sync,
            on_failure=self._from_thread("journal_failed", block=JOURNAL_BLOCK),
        )
        opened.journal.wake_later = self._loop.call_soon
        if opened.recovered.torn_bytes:
            around.log.warning("journal_tail_cut", bytes=opened.recovered.torn_bytes)
        return opened

    def _restored(self, opened: Opened) -> Engine:
        """Write the new epoch down, then build the core as it was."""
        plan, clock, recovered = self._around.plan, self._around.clock, opened.recovered
        numbers = strategy_numbers([row.name for row in plan.config.strategy], recovered.strategies)
        self._strategies = numbers
        boot = Boot(opened.next_epoch, __version__, os.getpid(), "start", clock.now_ns(), numbers)
        opened.journal.append_now(boot)
        spec = plan.spec(opened.next_epoch, {**recovered.strategies, **numbers})
        engine = Engine(spec)
        latch = stricter(recovered.latch, read_latch(self._around.folder))
        if latch is not None:
            engine.restore_kill(latched=True, reason=latch.reason, since_ns=latch.ts_ns)
        checkpoint = None if recovered.checkpoint is None else recovered.checkpoint.state
        engine.restore(checkpoint, recovered.records)
        if plan.config.engine.record:
            session = session_of(
                plan.config.model_dump(), spec, build=__version__, latch=latch, checkpoint=checkpoint,
                records=recovered.records,
            )  # fmt: skip
            self._recording = SessionRecording(
                recordings_folder(self._around.folder), session,
                name_ns=clock.now_ns(), on_trouble=self._from_thread("recording_failed"),
            )  # fmt: skip
        return engine

    # --- hearing

    async def settled(self) -> None:
        """Return once a latch that was set or cleared is on disk in both copies."""
        if self._syncing is not None:
            await asyncio.shield(self._syncing)

    def _on_latch(self, latch: Latch) -> None:
        """The latch is written: both copies go to disk on another thread, so that the cancels leave meanwhile."""
        self._syncing = self._loop.run_in_executor(self._latch_thread, self._sync_latch, latch)

    def _sync_latch(self, latch: Latch) -> None:
        try:
            self.journal.sync()
        except OSError as error:
            self._around.log.error("latch_not_synced", error=str(error))
        try:
            write_latch(self._around.folder, latch)
        except OSError as error:
            self._around.log.error("latch_file_not_written", error=str(error))

    def _on_epoch(self, seen: int) -> None:
        """Orders of a later life of ours stand at the venue: the journal is an old copy. Never use its ids again."""
        epoch = seen + 1
        clock = self._around.clock
        self.journal.append_now(
            Boot(epoch, __version__, os.getpid(), "the venue shows a later epoch", clock.now_ns(), self._strategies)
        )
        self.operate("epoch", {"epoch": str(epoch)})

    def _from_thread(self, name: str, *, block: str = "") -> Callable[[str], None]:
        """Return a callback for other threads: it logs on the loop, and blocks new risk when that is what it means."""

        def tell(reason: str) -> None:
            self._around.log.error(name, reason=reason)
            if block and hasattr(self, "pump"):
                self.operate("block", {"cause": block, "reason": reason})

        def hand_over(reason: str) -> None:
            self._loop.call_soon_threadsafe(tell, reason)

        return hand_over

    def _warnings(self) -> list[str]:
        found = []
        if self.store.trouble:
            found.append(f"the store is behind: {self.store.trouble} (trading is not concerned)")
        return found


class Source:
    """What the control server shows (control.ControlSource)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def now_ns(self) -> int:
        return self._parts.view.now_ns()

    def status(self) -> Status:
        return self._parts.view.status()

    def books(self) -> dict[str, BookRows]:
        return self._parts.view.books()

    def last_fills(self, limit: int) -> list[FillRow]:
        return self._parts.view.last_fills(limit)

    def fills_after(self, number: int) -> list[FillRow]:
        return self._parts.view.fills_after(number)

    def logs_after(self, number: int) -> list[LogLine]:
        return self._parts.view.logs_after(number)

    def equity_after(self, number: int) -> tuple[list[EquityPoint], int]:
        return self._parts.view.equity_after(number)

    def candles_after(self, open_s: dict[str, int]) -> dict[str, list[CandleRow]]:
        return self._parts.view.charts.since(open_s)

    def metrics(self) -> str:
        return self._parts.metrics()

    async def command(self, request: CommandRequest, peer: str) -> CommandAnswer:
        answer = self._parts.desk.take(request, peer)
        self._parts.view.renew()
        await self._parts.settled()
        return answer


def _nothing() -> None:
    """Have a thread started."""


def _known_fills(engine: Engine, records: Iterable[Record]) -> list[FillBooked]:
    """Return the fills that checkpoint and records name, each once."""
    found = {booked.number: booked for ledger in engine.world.ledgers.values() for booked in ledger.fills}
    found |= {record.number: record for record in records if isinstance(record, FillBooked)}
    return list(found.values())
