"""Chores of a live engine, off the hot path: checkpoints, rotation, garbage, equity samples, what the process uses."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from typing import Final

from perpmaker.clock import Clock
from perpmaker.engine.commands import CommandDesk
from perpmaker.engine.core import Engine
from perpmaker.engine.journal import Journal
from perpmaker.engine.pump import Pump
from perpmaker.engine.records import Checkpoint, Said
from perpmaker.engine.telemetry import Telemetry
from perpmaker.engine.view import View
from perpmaker.errors import DataError
from perpmaker.model.events import Operator, StaleReason
from perpmaker.model.ids import InstrumentId

CHECKPOINT_RECORDS: Final = 20_000
JOURNAL_KEPT_BYTES: Final = 4 * 1024**3
"""Beyond this the oldest files go, once the store has them: some days of busy quoting on three instruments."""
TELEMETRY_TURN: Final = 60
GARBAGE_EVERY: Final = 300
USAGE_EVERY: Final = 5
BOOK_AGAIN: Final = 5
_JOURNAL: Final = "journal"
_CONTRADICTIONS: Final = (StaleReason.CROSSED, StaleReason.EMPTY, StaleReason.BAD_FRAME)


class Upkeep:
    """`each_second` is called once a second by a task of the loop."""

    def __init__(
        self,
        engine: Engine,
        pump: Pump,
        journal: Journal,
        desk: CommandDesk,
        view: View,
        telemetry: Telemetry,
        clock: Clock,
        *,
        renew: Callable[[InstrumentId], None],
        lag: Callable[[], int],
    ) -> None:
        """`renew` has the market data of an instrument subscribed to anew; `lag` is how far the store is behind."""
        self._engine = engine
        self._pump = pump
        self._journal = journal
        self._desk = desk
        self._view = view
        self._telemetry = telemetry
        self._clock = clock
        self._renew = renew
        self._lag = lag
        self._seconds = 0
        self._faulty_s: dict[InstrumentId, int] = {}
        self._checkpoint_at = journal.record_number
        self.usage: dict[str, float] = {}
        """Memory, descriptors, threads as last looked at."""

    def settle_garbage(self) -> None:
        """Put everything made at start out of the collector's sight, and keep its full passes off the hot path."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(2_000, 50, 1_000_000)

    def each_second(self) -> None:
        self._seconds += 1
        self._view.sample_equity()
        self._desk.look_after()
        self._mend_journal()
        self._mend_books()
        if self._journal.wants_rotation:
            self._rotate()
        elif self._journal.record_number - self._checkpoint_at >= CHECKPOINT_RECORDS:
            self.checkpoint()
        if self._seconds % TELEMETRY_TURN == 0:
            self._telemetry.turn()
        if self._seconds % USAGE_EVERY == 1:
            self.usage = _usage()
        if self._seconds % GARBAGE_EVERY == 0:
            gc.collect()

    def checkpoint(self) -> None:
        """Write the core's state, so that a start need not replay what was before."""
        self._pump.settle()
        if self._pump.dead:
            return  # its books may be wrong: the next life replays
        self._pump.write(Checkpoint(self._engine.checkpoint(), self._clock.now_ns()))
        self._checkpoint_at = self._journal.record_number

    def _rotate(self) -> None:
        self._pump.settle()
        if self._pump.dead:
            return
        try:
            self._journal.rotate(self._engine.checkpoint())
        except OSError:
            return  # the next second tries again; the old file goes on meanwhile
        self._checkpoint_at = self._journal.record_number
        self._prune()

    def _prune(self) -> None:
        try:
            removed = self._journal.prune(JOURNAL_KEPT_BYTES, self._journal.record_number - self._lag())
        except (OSError, DataError) as error:
            self._tell("journal_not_pruned", {"reason": str(error)})
            return
        if removed:
            self._tell("journal_pruned", {"removed": ", ".join(path.name for path in removed)})

    def _tell(self, name: str, fields: dict[str, str]) -> None:
        self._pump.write(Said("info", name, fields, self._clock.now_ns()))

    def _mend_journal(self) -> None:
        """New risk is taken again once the disk has room again."""
        blocked = _JOURNAL in self._engine.world.blocks
        if self._journal.failure and not self._journal.regain_space():
            if not blocked:
                self._operate("block", {"cause": _JOURNAL, "reason": self._journal.failure})
        elif blocked:
            self._operate("unblock", {"cause": _JOURNAL})

    def _mend_books(self) -> None:
        """A book that contradicts itself does not heal by changes: after a second ask for it whole, then now and then.

        Gaps, silence and lost links are the feed's own business.
        """
        world, now_ns = self._engine.world, self._clock.now_ns()
        followed = [instrument for slot in world.slots.values() for instrument in slot.subscriptions]
        for instrument in dict.fromkeys([*followed, *world.named()]):
            if world.books.stale_reason(instrument, now_ns) not in _CONTRADICTIONS:
                self._faulty_s.pop(instrument, None)
                continue
            seconds = self._faulty_s[instrument] = self._faulty_s.get(instrument, 0) + 1
            if seconds % BOOK_AGAIN == 2:
                self._renew(instrument)

    def _operate(self, kind: str, arguments: dict[str, str]) -> None:
        self._pump.take(Operator("", kind, None, arguments, "engine", self._clock.now_ns()))


def _usage() -> dict[str, float]:
    """Return what this process uses, as far as the system tells."""
    found = {"threads": float(threading.active_count())}
    try:
        with open("/proc/self/statm", "rb") as handle:
            found["resident_bytes"] = float(int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        found["descriptors"] = float(len(os.listdir("/proc/self/fd")))
    except OSError:
        return found  # not Linux
    return found
