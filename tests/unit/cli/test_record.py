"""`perpmaker record`: what the feed tells is in the folder's tapes, whatever happens on the way."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

pytest.importorskip("numpy", reason="tapes need the research extra")

from tests.unit.tape.market import BTC, ETH, START_NS, listed, random_events

from perpmaker.cli.record import Recording, RecordingStopped, _alone, _Rates
from perpmaker.clock import Clock, ManualClock
from perpmaker.errors import ConfigError
from perpmaker.model.events import BookStale, Channel, Connectivity, Event, InstrumentListed, StaleReason
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S
from perpmaker.tape import live
from perpmaker.tape.reader import events, open_tape
from perpmaker.tape.recorder import Recorder
from perpmaker.venues.api import Sink, Subscription

RULES = [listed(BTC).instrument, listed(ETH, "0.01").instrument]


class ScriptedFeed:
    """Tells its script once it is started, then what a feed tells when it is stopped."""

    def __init__(self, script: Sequence[Event], after: Callable[[], None] = lambda: None) -> None:
        self._script = script
        self._after = after
        self.subscribed: list[str] = []
        self._sink: Sink = lambda event: None

    async def start(self, sink: Sink) -> None:
        self._sink = sink
        for event in self._script:
            sink(event)
        self._after()

    async def stop(self) -> None:
        self._sink(Connectivity("grvt", Channel.MARKET_DATA, False, "stopped", START_NS + NS_PER_S))
        self._sink(BookStale(BTC, StaleReason.DISCONNECTED, START_NS + NS_PER_S))

    def subscribe(self, subscription: Subscription) -> None:
        self.subscribed.append(subscription.instrument)

    async def instruments(self) -> Sequence[Instrument]:
        return RULES


def opened(feed: ScriptedFeed) -> Callable[[Clock], AsyncExitStack]:
    class Opened(AsyncExitStack):
        async def __aenter__(self) -> Any:
            return feed

    return lambda clock: Opened()


async def recorded(feed: ScriptedFeed, folder: Path, *named: str) -> None:
    await Recording(folder, opened(feed), instruments=named, rotate_ns=3600 * NS_PER_S).run(0.001)


def left_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.live"))


def script(count: int = 500) -> list[Event]:
    return [*(InstrumentListed(rules, START_NS) for rules in RULES), *random_events(count)]


async def test_what_the_feed_told_is_a_tape_when_it_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = script()
    await recorded(ScriptedFeed(given), tmp_path)
    tape = open_tape(tmp_path)
    assert list(events(tape))[: len(given)] == given
    assert left_in(tmp_path) == []
    said = capsys.readouterr().out
    assert f"{len(given):,} events of 2 instruments" in said
    assert "lost links" not in said


async def test_only_what_was_named_is_asked_for_and_kept(tmp_path: Path) -> None:
    feed = ScriptedFeed(script())
    await recorded(feed, tmp_path, ETH)
    assert feed.subscribed == [ETH]
    assert {getattr(event, "instrument", ETH) for event in events(open_tape(tmp_path))} == {ETH, RULES[1]}


async def test_an_instrument_that_is_not_listed_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not listed: SOL_USDT_Perp; listed: BTC_USDT_Perp"):
        await recorded(ScriptedFeed([]), tmp_path, "SOL_USDT_Perp")


async def test_a_recording_that_was_killed_is_taken_up(tmp_path: Path) -> None:
    file = live.LiveFile(tmp_path / "20200101T000000-000000Z.live")
    for event in script():
        file.add(live.EVENT, msgspec.json.encode(event))
    file.close()
    with file.path.open("ab") as torn:
        torn.write(b"PMLB half a block")
    await recorded(ScriptedFeed([]), tmp_path)
    assert list(events(open_tape(tmp_path)))[: len(script())] == script()
    assert left_in(tmp_path) == []


async def test_a_disk_that_fails_ends_the_recording_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def fill_up() -> None:
        monkeypatch.setattr(live.LiveFile, "_put", full)

    with pytest.raises(RecordingStopped, match="No space left on device"):
        await asyncio.wait_for(recorded(ScriptedFeed(script(), fill_up), tmp_path), 60)


def test_the_table_shows_counts_rates_and_gaps(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    recorder = Recorder(tmp_path)
    rates = _Rates(recorder, clock)
    for event in script(200):
        recorder.take(event)
    rates.table()
    for event in random_events(100, seed=3):
        recorder.take(event)
    clock.advance(2 * NS_PER_S)
    screen = Console(file=io.StringIO(), width=120)
    screen.print(rates.table())
    recorder.close()
    assert isinstance(screen.file, io.StringIO)
    said = screen.file.getvalue()
    row = next(line for line in said.splitlines() if BTC in line).replace("│", " ").split()
    seen = recorder.seen[BTC]
    assert row[:4] == [BTC, str(seen.books), str(seen.trades), str(seen.tickers)]
    assert row[5] == str(seen.gaps)
    assert 10 < int(row[4]) < 50  # a hundred events of two instruments in two seconds
    assert "2 s" in said


def test_two_recorders_do_not_share_a_folder(tmp_path: Path) -> None:
    with _alone(tmp_path), pytest.raises(ConfigError, match="another recorder"), _alone(tmp_path):
        pytest.fail("both hold it")
