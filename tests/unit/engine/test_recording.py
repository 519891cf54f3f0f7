"""A recorded session replays to the same commands: from its live files, and from the tape they become."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, START_NS, Rig
from tests.unit.engine.session import SPECS, record

from perpmaker import config as configuration
from perpmaker.engine.core import Engine
from perpmaker.engine.recording import Session, SessionRecording, session_of, tagged, untagged
from perpmaker.engine.replaying import Replayed, replay
from perpmaker.errors import DataError
from perpmaker.model.commands import Command
from perpmaker.model.events import BookDelta, Event, Operator, Trade
from perpmaker.model.ids import TradeId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS
from perpmaker.strategies.registry import make_strategy
from perpmaker.tape import live

EVENTS = 100_000


class Listener:
    """Notes what goes into an engine and what comes out, as the pump does."""

    def __init__(self, recording: SessionRecording) -> None:
        self.recording = recording

    def on(self, rig: Rig) -> None:
        engine = rig.engine
        start, process = engine.start, engine.process

        def started(now_ns: int) -> Iterable[Command]:
            commands = start(now_ns)
            self.recording.began(now_ns, commands)
            return commands

        def processed(event: Event) -> Iterable[Command]:
            self.recording.took(event)
            commands = process(event)
            self.recording.answered(commands)
            return commands

        engine.start, engine.process = started, processed  # type: ignore[method-assign, assignment]


def quiet(reason: str) -> None:
    pytest.fail(reason)


def recording(folder: Path, rig: Rig, **options: int) -> SessionRecording:
    session = session_of({}, rig.spec, build="test", latch=None, checkpoint=None, records=[])
    return SessionRecording(folder, session, name_ns=START_NS, on_trouble=quiet, **options)


def rebuilt(*specs: object) -> Callable[[Session], Engine]:
    """As `engine_of`, with strategies of the tests, which no configuration names."""
    return lambda session: Engine(Rig(*specs).spec)  # type: ignore[arg-type]


def flood(rig: Rig, count: int) -> None:
    """A busy market: book changes and trades a few ms apart, fills among them, a pause, a kill at the end."""
    dice = random.Random(7)
    while len(rig.events) < count:
        rig.mid[BTC] += Decimal(dice.randrange(-30, 31))
        rig.run(0.1)
        ticks = int(rig.mid[BTC] / Decimal("0.1"))
        for _ in range(250):
            rig.now_ns += dice.randrange(1, 400_000)
            side = dice.choice((-1, 1))
            level = ((ticks + side * (6 + dice.randrange(15)), dice.randrange(0, 20_000)),)
            bids, asks = (level, ()) if side < 0 else ((), level)
            rig.feed(BookDelta(BTC, bids, asks, rig.now_ns - NS_PER_MS, rig.now_ns))
            if dice.random() < 0.1:
                aggressor = Side.BUY if side > 0 else Side.SELL
                trade = Trade(
                    BTC, ticks, dice.randrange(1, 99), aggressor, TradeId(f"t-{rig.now_ns}"), rig.now_ns, rig.now_ns
                )
                rig.feed(trade)
        if rig.live() and dice.random() < 0.3:
            rig.fill(dice.choice(rig.live()))
    rig.operate("kill")
    rig.run(8)


def test_a_session_of_a_hundred_thousand_events_replays_to_the_same_commands(tmp_path: Path) -> None:
    specs = (made(Maker, "btc", 1, BTC),)
    rig = Rig(*specs)
    kept = recording(tmp_path, rig, rotate_bytes=500_000)
    Listener(kept).on(rig)
    rig.start()
    flood(rig, EVENTS)
    kept.close()
    assert len(list(kept.path.glob("*.live"))) > 1
    found = replay(kept.path, rebuilt(*specs))
    assert found.difference is None
    assert found.events == len(rig.events) >= EVENTS
    assert found.commands == len(rig.commands) > 500
    assert len(rig.fills) > 30
    assert not rig.notices("account_halted")
    assert found.state_hash == rig.engine.state_hash()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rig]:
    """The minute of trouble that test_replay plays, recorded."""
    kept: list[SessionRecording] = []
    folder = tmp_path_factory.mktemp("sessions")

    def listen(rig: Rig) -> None:
        kept.append(recording(folder, rig))
        Listener(kept[0]).on(rig)

    rig = record(listen)
    kept[0].close()
    return kept[0].path, rig


def test_a_troubled_session_replays_from_its_tape_as_from_its_files(session: tuple[Path, Rig], tmp_path: Path) -> None:
    pytest.importorskip("numpy", reason="tapes need the research extra")
    from perpmaker.tape.recorder import compact_all

    path, rig = session
    target = tmp_path / "session.tape"
    compact_all(sorted(path.glob("*.live")), target, source="test", clamp=False)
    found = replay(target, rebuilt(*SPECS))
    assert found.difference is None
    assert (found.events, found.commands) == (len(rig.events), len(rig.commands))
    assert found.state_hash == rig.engine.state_hash()
    assert found == replay(path, rebuilt(*SPECS))


def test_a_session_whose_engine_decided_otherwise_is_told_where(session: tuple[Path, Rig]) -> None:
    other = (made(lambda params: Maker(params, layers=3, qty=Decimal("0.011")), "btc", 1, BTC), SPECS[1])
    found = replay(session[0], rebuilt(*other))
    assert found.difference is not None
    assert 0 < found.difference.event < found.events + 1
    assert "0.010" in found.difference.recorded
    assert "0.011" in found.difference.replayed


def test_an_event_that_is_missing_shows(session: tuple[Path, Rig], tmp_path: Path) -> None:
    operated = rewritten(session[0], tmp_path, lambda line: b'"type":"Operator"' not in line.json)
    assert operated.difference is not None


def test_an_answer_that_is_missing_shows(session: tuple[Path, Rig], tmp_path: Path) -> None:
    seen = 0

    def keep(line: live.Line) -> bool:
        nonlocal seen
        seen += line.tag == live.COMMAND
        return line.tag != live.COMMAND or seen != 40

    found = rewritten(session[0], tmp_path, keep)
    assert found.difference is not None
    assert found.difference.recorded == "[]"


def test_a_session_cut_by_a_kill_replays_up_to_the_cut(session: tuple[Path, Rig], tmp_path: Path) -> None:
    seen = 0

    def keep(line: live.Line) -> bool:
        nonlocal seen
        seen += 1
        return seen <= 3000

    found = rewritten(session[0], tmp_path, keep)
    assert found.difference is None
    assert 0 < found.events < 3000


def rewritten(path: Path, folder: Path, keep: Callable[[live.Line], bool]) -> Replayed:
    file = live.LiveFile(folder / "000001.live")
    for line in live.read_live(next(path.glob("*.live"))):
        if keep(line):
            file.add(line.tag, line.json)
    file.close()
    return replay(folder, rebuilt(*SPECS))


@pytest.mark.parametrize("name", ["local", "pair", "grid", "classic"])
def test_every_configuration_of_ours_comes_back_as_it_was(name: str) -> None:
    """Numbers of strategies' own parameters too, which are exact where a file says 1.5."""
    path = next(Path(__file__).resolve().parents[3].glob(f"configs/{name}.toml"))
    config = configuration.load(path, {})
    there = msgspec.json.decode(msgspec.json.encode(tagged(config.model_dump())))
    back = configuration.Config.model_validate(untagged(there))
    assert back == config
    for row in back.strategy:
        assert make_strategy(row.kind, {**row.params, "instrument": row.instrument})


def test_a_folder_of_market_data_is_no_session(tmp_path: Path) -> None:
    file = live.LiveFile(tmp_path / "000001.live")
    file.add(live.EVENT, msgspec.json.encode(Operator("", "pause", None, {}, "x", 1)))
    file.close()
    with pytest.raises(DataError, match="no session"):
        replay(tmp_path)


def test_old_sessions_make_room_and_the_present_one_stays(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000001.live").write_bytes(b"x" * 700)
    rig = Rig(*SPECS)
    kept = recording(tmp_path, rig, kept_bytes=1000)
    kept.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", kept.path.name]


def test_a_disk_that_fails_ends_the_recording_once_and_quietly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live.LiveFile, "_put", full)
    told: list[str] = []
    session = session_of({}, Rig(*SPECS).spec, build="test", latch=None, checkpoint=None, records=[])
    kept = SessionRecording(tmp_path, session, name_ns=START_NS, on_trouble=told.append)
    kept.began(START_NS, [])
    kept.close()
    kept.took(Operator("", "pause", None, {}, "x", 1))
    assert told == ["recording cannot be written: No space left on device"]
    assert kept.failed
