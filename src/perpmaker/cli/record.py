"""`perpmaker record`: public streams of a venue into a folder of tapes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from perpmaker.clock import Clock, WallClock
from perpmaker.errors import ConfigError, PerpmakerError

if TYPE_CHECKING:
    from perpmaker.control.home import RunFile
    from perpmaker.model.events import Event
    from perpmaker.model.ids import InstrumentId
    from perpmaker.tape.recorder import Recorder
    from perpmaker.venues.api import MarketFeed

LOCAL: Final = "local"
LIST_S: Final = 20.0
"""How long the venue's list of instruments is waited for."""
TOLD_EVERY_S: Final = 60
"""How often a line is said where nobody watches a terminal."""
_NS_PER_S: Final = 1_000_000_000


class RecordingStopped(PerpmakerError):
    """The recording could not go on; what was flushed before is whole."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--env", type=click.Choice(["local", "testnet", "staging", "prod"]), default="local", show_default=True,
    help="Where; local is the practice exchange of this home. No key is needed.",
)  # fmt: skip
@click.option(
    "--venue", type=click.Choice(["grvt", "backpack"]), default="grvt", show_default=True, help="Whose streams."
)
@click.option(
    "--instrument", "instruments", metavar="NAME", multiple=True, help="May be repeated; default with local: all."
)
@click.option("--minutes", type=click.FloatRange(0.0, min_open=True), help="Stop after this long; default: on Ctrl-C.")
@click.option(
    "--rotate-minutes",
    type=click.FloatRange(0.01),
    default=60.0,
    show_default=True,
    help="Begin a new file this often.",
)
@click.pass_obj
def command(
    home: Path,
    folder: Path,
    env: str,
    venue: str,
    instruments: tuple[str, ...],
    minutes: float | None,
    rotate_minutes: float,
) -> None:
    """Record books, trades, tickers and instrument rules of a venue into FOLDER until stopped.

    What was told is on the disk within a second. A recording that was killed is taken up again by the same command: its
    whole part becomes a tape, and a new file begins. FOLDER as a whole is a tape for every command that takes one.
    """
    from perpmaker import logs
    from perpmaker.control.home import running

    logs.configure()
    if env != LOCAL and not instruments:
        raise click.UsageError(f"say which instruments of {env} to record: --instrument NAME")
    exchange = running(home, "exchange") if env == LOCAL else None
    with _alone(folder), _compactor() as compactor:
        recording = Recording(
            folder,
            lambda clock: open_feed(venue, env, exchange, clock),
            instruments=instruments,
            rotate_ns=round(rotate_minutes * 60 * _NS_PER_S),
            compactor=compactor,
        )
        asyncio.run(recording.run(None if minutes is None else minutes * 60, handle_signals=True))


class Recording:
    """One run of the recorder: feed in, files out, a table on the screen."""

    def __init__(
        self,
        folder: Path,
        open_feed: Callable[[Clock], Any],
        *,
        instruments: tuple[str, ...],
        rotate_ns: int,
        clock: Clock | None = None,
        compactor: Executor | None = None,
    ) -> None:
        """`compactor` compacts finished files; by default a thread."""
        from perpmaker.tape.recorder import Recorder

        self._folder = folder
        self._open_feed = open_feed
        self._named = instruments
        self._clock = clock or WallClock()
        self._rotate_ns = rotate_ns
        self._compactor = compactor
        self._recorder: Recorder | None = None
        self._make = Recorder
        self._compactions: list[asyncio.Future[Path | None]] = []
        self._over = asyncio.Event()
        self._trouble = ""
        self._began_ns = 0

    async def run(self, seconds: float | None, *, handle_signals: bool = False) -> None:
        """Record for so long, or until stopped; raise RecordingStopped when it cannot go on."""
        loop = asyncio.get_running_loop()
        if handle_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._over.set)
        async with AsyncExitStack() as until_end:
            feed: MarketFeed = await until_end.enter_async_context(self._open_feed(self._clock))
            try:
                recorder = self._recorder = await self._begin(feed)
                end_ns = None if seconds is None else self._began_ns + int(seconds * 1e9)
                with shown(recorder, self._clock) as show:
                    await self._flush_each_second(recorder, end_ns, show)
                said = _line(recorder)  # before our own end looks like a lost link
            finally:
                await feed.stop()
                if self._recorder is not None:
                    self._close(self._recorder)
            await self._settle(said)
        if self._trouble:
            raise RecordingStopped(f"the recording stopped: {self._trouble}; what was flushed before is whole")

    async def _begin(self, feed: MarketFeed) -> Recorder:
        """Ask for the streams, after what an earlier life left was taken up."""
        wanted = await self._wanted(feed)
        recorder = self._make(self._folder, wanted=frozenset(wanted), rotate_ns=self._rotate_ns, compact=self._compact)
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in recorder.resume():
            click.echo(f"took up {left.name} of an earlier recording", err=True)
        self._began_ns = self._clock.monotonic_ns()
        self._recorder = recorder
        _subscribe(feed, wanted)
        await feed.start(self._take)
        return recorder

    def stop(self) -> None:
        """End in good order."""
        self._over.set()

    def _take(self, event: Event) -> None:
        """The feed's sink; trouble ends the recording instead of going through the feed."""
        if self._recorder is None or self._trouble:
            return
        try:
            self._recorder.take(event)
        except (OSError, PerpmakerError) as error:
            self._fail(error)

    async def _flush_each_second(self, recorder: Recorder, end_ns: int | None, show: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                async with asyncio.timeout(1.0):
                    await self._over.wait()
            except TimeoutError:
                pass
            try:
                recorder.flush(self._clock.now_ns())
            except OSError as error:
                self._fail(error)
            show()
            if end_ns is not None and self._clock.monotonic_ns() >= end_ns:
                self._over.set()

    def _fail(self, error: Exception) -> None:
        self._trouble = self._trouble or str(error)
        self._over.set()

    def _close(self, recorder: Recorder) -> None:
        try:
            recorder.close()
        except OSError as error:
            self._fail(error)

    def _compact(self, path: Path) -> None:
        """Have a finished file compacted beside the recording; without numpy it stays as it is."""
        if not _has_numpy():
            return
        from perpmaker.tape.recorder import compact

        self._compactions.append(asyncio.get_running_loop().run_in_executor(self._compactor, compact, path))

    async def _settle(self, said: str) -> None:
        failed = [
            error
            for error in await asyncio.gather(*self._compactions, return_exceptions=True)
            if isinstance(error, BaseException)
        ]
        for error in failed:
            click.echo(f"perpmaker: warning: a file was not compacted: {error}", err=True)
        seconds = (self._clock.monotonic_ns() - self._began_ns) / 1e9
        click.echo(f"{self._folder}: {seconds:,.0f} s {said}")
        if not _has_numpy():
            click.echo("install the research packages to compact recordings: perpmaker tape convert does it later")

    async def _wanted(self, feed: MarketFeed) -> list[InstrumentId]:
        """Return the instruments to record; ConfigError for one that is not listed."""
        try:
            async with asyncio.timeout(LIST_S):
                listed = [instrument.instrument_id for instrument in await feed.instruments()]
        except TimeoutError:
            raise ConfigError(f"the venue's list of instruments did not come within {LIST_S:.0f} s") from None
        by_symbol = {str(name).partition("@")[0]: name for name in listed} | {str(name): name for name in listed}
        unknown = [name for name in self._named if name not in by_symbol]
        if unknown:
            raise ConfigError(f"not listed: {', '.join(unknown)}; listed: {', '.join(sorted(map(str, listed)))}")
        return [by_symbol[name] for name in self._named] if self._named else listed


def _compactor() -> Executor:
    """Return a process for compacting: in this one it would make what is received look late."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_calm)


def _calm() -> None:
    """Give way to the recording, and leave Ctrl-C, which reaches every process of a terminal, to it."""
    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder: two recorders in one would take each other's files for left ones."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{folder}: another recorder writes there") from None
        yield


def open_feed(venue: str, env: str, exchange: RunFile | None, clock: Clock) -> AsyncExitStack:
    """Return a context that holds a feed of public data."""
    return _Opened(venue, env, exchange, clock)


class _Opened(AsyncExitStack):
    """Opens a feed of a venue when it is entered."""

    def __init__(self, venue: str, env: str, exchange: RunFile | None, clock: Clock) -> None:
        super().__init__()
        self._chosen = (venue, env, exchange, clock)

    async def __aenter__(self) -> Any:
        from perpmaker.engine.assembly import venue_addresses

        venue, env, exchange, clock = self._chosen
        if venue != "grvt":
            from perpmaker.venues.ccxt.feed import CcxtFeed
            from perpmaker.venues.ccxt.quirks import quirks_of

            if env not in (LOCAL, "prod"):
                raise ConfigError(f"--venue {venue} has no env {env}; allowed: local, prod")
            return CcxtFeed(quirks=quirks_of(venue), clock=clock, seed=1, urls=venue_addresses(venue, env, exchange))
        from perpmaker.venues.grvt.environments import environment
        from perpmaker.venues.grvt.feed import GrvtFeed
        from perpmaker.venues.grvt.rest import allow_list
        from perpmaker.venues.transport.http import open_http

        hosts = environment(env, venue_addresses(venue, env, exchange) or None)
        http = await self.enter_async_context(open_http(allow_list(hosts)))
        return GrvtFeed(environment=hosts, http=http, clock=clock, seed=1)


def _subscribe(feed: MarketFeed, wanted: list[InstrumentId]) -> None:
    from perpmaker.venues.api import Subscription

    for instrument in wanted:
        feed.subscribe(Subscription(instrument))


@contextmanager
def shown(recorder: Recorder, clock: Clock) -> Iterator[Callable[[], None]]:
    """Show rates, gaps and size: a table that renews itself on a terminal, else a line a minute."""
    if not sys.stderr.isatty():
        count = 0

        def say() -> None:
            nonlocal count
            count += 1
            if count == 1 or not count % TOLD_EVERY_S:
                click.echo(_line(recorder), err=True)

        yield say
        return
    from rich.console import Console
    from rich.live import Live

    rates = _Rates(recorder, clock)
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as screen:
        yield lambda: screen.update(rates.table(), refresh=True)


class _Rates:
    """Counts of now against those of a second ago."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._before: dict[str, int] = {}
        self._before_ns = clock.monotonic_ns()
        self._began_ns = self._before_ns

    def table(self) -> Any:
        from rich.table import Table

        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.now_ns()
        seconds = max(1e-3, (now_ns - self._before_ns) / 1e9)
        lasted_s, size_mb = (now_ns - self._began_ns) / 1e9, self._recorder.bytes_written / 1e6
        title = f"recording {lasted_s:,.0f} s, {size_mb:,.1f} MB, Ctrl-C ends it"
        table = Table(title=title, show_edge=False)
        for place, name in enumerate(("instrument", "books", "trades", "tickers", "events/s", "gaps", "age s")):
            table.add_column(name, justify="right" if place else "left")
        for name, seen in self._recorder.seen.items():
            count = seen.books + seen.trades + seen.tickers
            rate = (count - self._before.get(name, count)) / seconds
            self._before[name] = count
            cells = (seen.books, seen.trades, seen.tickers)
            gaps = f"[yellow]{seen.gaps}[/]" if seen.gaps else "0"
            age_s = max(0.0, (wall_ns - seen.last_ns) / 1e9)
            table.add_row(name, *(f"{cell:,}" for cell in cells), f"{rate:,.0f}", gaps, f"{age_s:.1f}")
        self._before_ns = now_ns
        return table


def _line(recorder: Recorder) -> str:
    gaps = sum(seen.gaps for seen in recorder.seen.values())
    lost = f", {recorder.link_losses} lost links" if recorder.link_losses else ""
    lost += f", {recorder.unlisted} events of instruments that were not listed" if recorder.unlisted else ""
    return (
        f"recorded: {recorder.events:,} events of {len(recorder.seen)} instruments, {gaps} gaps{lost}, "
        f"{recorder.bytes_written / 1e6:,.2f} MB"
    )


def _has_numpy() -> bool:
    from importlib.util import find_spec

    return find_spec("numpy") is not None
