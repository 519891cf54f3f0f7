"""Which journal an engine goes on with: its own; for another practice exchange another one; a broken one not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.engine.folders import journal_folder, store_path
from perpmaker.engine.journal import Journal, SyncMode, open_journal
from perpmaker.engine.journalfile import Segment, segments
from perpmaker.engine.records import Boot, Closed, Crashed, Fingerprint, Ready, SegmentStart
from perpmaker.engine.recovery import Life, Recovered
from perpmaker.errors import DataError
from perpmaker.model.units import NS_PER_S

CRASH_WINDOW_NS: Final = 600 * NS_PER_S
MAX_CRASHES: Final = 3
EPOCH_GAP: Final = 16
"""How far the epoch jumps when the journal that knew the last one is lost."""


class Opened(msgspec.Struct, frozen=True):
    """The journal to go on with, and why the engine has to come up halted ("" when it has not)."""

    journal: Journal
    recovered: Recovered
    next_epoch: int
    halt: str


def open_or_quarantine(
    folder: Path,
    fingerprint: Fingerprint,
    *,
    build: str,
    clock: Clock,
    sync: SyncMode,
    on_failure: Callable[[str], None],
) -> Opened:
    """Open the journal of an engine's folder.

    That of another practice exchange is set aside, and brought back when its exchange is; a broken one is set aside for
    people to look at, and the engine comes up halted with a new one. Raises ConfigError when the journal is of another
    engine, environment or account, or of a newer build.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    halt, epoch = "", 0
    try:
        _select(folder, fingerprint.exchange_instance)
        journal, recovered = open_journal(
            journal_folder(folder), fingerprint, build=build, clock=clock, sync=sync, on_failure=on_failure
        )
    except DataError as error:
        epoch = _salvaged_epoch(journal_folder(folder))
        aside = _set_aside(folder, f"broken-{clock.now_ns()}")
        halt = f"the journal was broken and is set aside in {aside}: {error}"
        journal, recovered = open_journal(
            journal_folder(folder), fingerprint, build=build, clock=clock, sync=sync, on_failure=on_failure
        )
        epoch += EPOCH_GAP
    if not halt and _is_crash_loop(recovered.lives, clock.now_ns()):
        halt = f"the last {MAX_CRASHES} lives crashed within ten minutes; look at the log before resuming"
    return Opened(journal, recovered, max(epoch, recovered.epoch) + 1, halt)


def strategy_numbers(names: Sequence[str], known: dict[str, int]) -> dict[str, int]:
    """Give each strategy a number for its client order ids: its old one, else one that no name had before.

    After 63 names the numbers of those that are gone are used again, the oldest first.
    """
    numbers = {name: known[name] for name in names if name in known}
    free = [number for number in range(1, 64) if number not in known.values()]
    reusable = [number for name, number in known.items() if name not in names]
    for name in names:
        if name not in numbers:
            numbers[name] = free.pop(0) if free else reusable.pop(0)
    return numbers


def _select(folder: Path, exchange_instance: str) -> None:
    """Have the journal of this practice exchange in its place."""
    paths = segments(journal_folder(folder))
    start = _start_of(paths[-1]) if paths else None
    if start is None or start.fingerprint.exchange_instance == exchange_instance:
        return
    _set_aside(folder, start.fingerprint.exchange_instance[:16])
    earlier = folder / f"journal-{exchange_instance[:16]}"
    if earlier.is_dir():
        earlier.rename(journal_folder(folder))
        _move_store(_store_aside(folder, exchange_instance[:16]), store_path(folder))


def _set_aside(folder: Path, name: str) -> Path:
    """Move journal and store out of the way."""
    aside = folder / f"journal-{name}"
    journal_folder(folder).rename(aside)
    _move_store(store_path(folder), _store_aside(folder, name))
    return aside


def _store_aside(folder: Path, name: str) -> Path:
    return folder / f"store-{name}.sqlite"


def _move_store(source: Path, target: Path) -> None:
    """Move a store with its log (`-wal`): after a kill the log holds what is not in the database file yet.

    The index of the log (`-shm`) goes along. Side files of a store that is not there any more are dropped: beside another
    database they would be taken for its own.
    """
    for suffix in ("", "-wal", "-shm"):
        path = source.with_name(source.name + suffix)
        place = target.with_name(target.name + suffix)
        if path.exists() and (not suffix or target.exists()):
            path.rename(place)
        else:
            path.unlink(missing_ok=True)
            place.unlink(missing_ok=True)


def _start_of(path: Path) -> SegmentStart | None:
    return Segment(path).start


def _salvaged_epoch(folder: Path) -> int:
    """Return the highest epoch that any whole record of a broken journal names."""
    return max((_epoch_of(path) for path in segments(folder)), default=0)


def _epoch_of(path: Path) -> int:
    try:
        return Segment(path).salvaged_epoch()
    except DataError:  # its first record is the broken one
        return 0


def _is_crash_loop(lives: Sequence[Life], now_ns: int) -> bool:
    """Say whether three lives of the last ten minutes failed: by an error of ours, or before they were ready.

    A life that was ready and ended without a word (a kill, a power cut) is not a failure of the engine.
    """
    failures = 0
    boot: Boot | None = None
    ready = False
    for life in (*lives, None):
        if isinstance(life, Ready):
            ready = True
        elif isinstance(life, Closed):
            boot = None
        elif isinstance(life, Crashed):
            failures += boot is not None and now_ns - boot.ts_ns < CRASH_WINDOW_NS
            boot = None
        else:
            if boot is not None and not ready:
                failures += now_ns - boot.ts_ns < CRASH_WINDOW_NS
            boot, ready = life, False
    return failures >= MAX_CRASHES
