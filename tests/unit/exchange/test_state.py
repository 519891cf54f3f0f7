"""The state folder: what a restart finds, after a clean stop and after any kind of crash."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from perpmaker.errors import ConfigError, DataError
from perpmaker.exchange.accounts import new_credentials
from perpmaker.exchange.core.types import BookChanged, Event, InstrumentMode, InstrumentModeChanged
from perpmaker.exchange.grvt.creations import Builder
from perpmaker.exchange.state import DOCUMENT, BuilderAuthorized, Memory, StateFolder

CREDENTIALS = (new_credentials(0), new_credentials(1))
BUILDER = BuilderAuthorized("0xmain", Builder("0xbuilder", Decimal("0.01"), Decimal("0.02")))


def event(number: int) -> Event:
    return InstrumentModeChanged(number, "BTC_USDT_Perp", InstrumentMode.ACTIVE)


def started(folder: Path) -> StateFolder:
    state = StateFolder(folder)
    state.save(instance_id="i", credentials=CREDENTIALS, builders=(), venue=[b'{"x":1}'])
    return state


def found(folder: Path) -> Memory:
    state = StateFolder(folder)
    memory = state.load()
    state.close()
    assert memory is not None
    return memory


def test_new_folder_holds_nothing(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "new")
    assert state.load() is None
    state.close()


def test_restart_finds_document_and_later_events(tmp_path: Path) -> None:
    state = started(tmp_path)
    state.append([event(1), BookChanged("BTC_USDT_Perp"), event(2)])
    state.append([BUILDER])
    state.close()
    memory = found(tmp_path)
    assert (memory.instance_id, memory.credentials, memory.venue) == ("i", CREDENTIALS, b'{"x":1}')
    assert memory.events == (event(1), event(2))
    assert memory.builders == (BUILDER,)


def test_killed_process_loses_nothing_it_wrote(tmp_path: Path) -> None:
    state = started(tmp_path)
    state.append([event(1)])
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    state.close()
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, data in content.items():
        (copy / name).write_bytes(data)
    assert found(copy).events == (event(1),)


def test_new_document_starts_a_new_log(tmp_path: Path) -> None:
    state = started(tmp_path)
    state.append([event(1)])
    state.save(instance_id="i", credentials=CREDENTIALS, builders=[BUILDER], venue=[b'{"x":2}'])
    state.append([event(2)])
    state.close()
    memory = found(tmp_path)
    assert (memory.venue, memory.events, memory.builders) == (b'{"x":2}', (event(2),), (BUILDER,))
    assert len(list(tmp_path.glob("events-*"))) == 1


def test_crash_between_document_and_new_log_leaves_no_event_twice(tmp_path: Path) -> None:
    state = started(tmp_path)
    state.append([event(1)])
    old_log = (tmp_path / "events-1.jsonl").read_bytes()
    state.save(instance_id="i", credentials=CREDENTIALS, builders=(), venue=[b'{"x":2}'])
    state.close()
    (tmp_path / "events-2.jsonl").unlink()
    (tmp_path / "events-1.jsonl").write_bytes(old_log)
    assert found(tmp_path).events == ()


def test_line_cut_by_a_power_cut_is_left_out(tmp_path: Path) -> None:
    state = started(tmp_path)
    state.append([event(1), event(2)])
    state.close()
    log = tmp_path / "events-1.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    assert found(tmp_path).events == (event(1),)


def test_broken_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    state = started(tmp_path)
    state.append([event(1), event(2)])
    state.close()
    log = tmp_path / "events-1.jsonl"
    log.write_bytes(log.read_bytes().replace(b"ACTIVE", b"\x00CTIVE", 1).replace(b"{", b"[", 1))
    state = StateFolder(tmp_path)
    with pytest.raises(DataError, match="events-1"):
        state.load()
    state.close()


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    state = started(tmp_path)
    with pytest.raises(ConfigError, match="another exchange"):
        StateFolder(tmp_path)
    state.close()
    found(tmp_path)


def test_document_of_another_version_is_refused(tmp_path: Path) -> None:
    started(tmp_path).close()
    path = tmp_path / DOCUMENT
    path.write_bytes(path.read_bytes().replace(b'"schema_version":1', b'"schema_version":2'))
    state = StateFolder(tmp_path)
    with pytest.raises(DataError, match="schema_version 2"):
        state.load()
    state.close()


def test_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    started(folder).close()
    assert oct(folder.stat().st_mode)[-3:] == "700"
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"600"}
