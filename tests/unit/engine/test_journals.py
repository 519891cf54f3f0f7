"""Which journal an engine goes on with, and when it comes up halted."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.unit.engine.test_journal import PRINT

from perpmaker.clock import ManualClock
from perpmaker.engine.folders import journal_folder, store_path
from perpmaker.engine.journalfile import segments
from perpmaker.engine.journals import Opened, open_or_quarantine, strategy_numbers
from perpmaker.engine.latchfile import NAME, read_latch, stricter, write_latch
from perpmaker.engine.records import Boot, Closed, Crashed, Latch, Ready, Said
from perpmaker.errors import ConfigError

SECOND = 10**9
CLOCK = ManualClock()


def opened(folder: Path, instance: str = "abc", *, clock: ManualClock = CLOCK) -> Opened:
    print_ = msgspec.structs.replace(PRINT, exchange_instance=instance)
    return open_or_quarantine(folder, print_, build="b", clock=clock, sync="group", on_failure=lambda _: None)


def boot(folder: Path, *records: object, instance: str = "abc") -> Opened:
    """One life that wrote these records."""
    life = opened(folder, instance)
    life.journal.append_now(Boot(life.next_epoch, "b", 1, "start", CLOCK.now_ns(), {"btc": 1}))
    for record in records:
        life.journal.append(record)  # type: ignore[arg-type]
    life.journal.close()
    return life


def test_each_life_has_a_higher_epoch(tmp_path: Path) -> None:
    assert [boot(tmp_path).next_epoch for _ in range(3)] == [1, 2, 3]


def test_another_exchange_gets_a_new_journal_and_the_first_one_comes_back(tmp_path: Path) -> None:
    boot(tmp_path, Said("info", "first", {}, 1))
    store_path(tmp_path).write_bytes(b"store of the first")
    second = boot(tmp_path, instance="xyz")
    assert second.recovered.created
    assert not store_path(tmp_path).exists()
    again = boot(tmp_path)
    assert Said("info", "first", {}, 1) in again.recovered.records
    assert store_path(tmp_path).read_bytes() == b"store of the first"
    assert again.next_epoch == 2


def rows_of_store(folder: Path) -> list[int]:
    with closing(sqlite3.connect(store_path(folder))) as database:
        return [number for (number,) in database.execute("SELECT number FROM kept ORDER BY number")]


def leave_store_as_a_kill_does(folder: Path) -> None:
    """A database whose last rows are in its log alone: its connection was never closed."""
    living = folder.with_name(f"{folder.name}-living")
    living.mkdir()
    with closing(sqlite3.connect(living / "store.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE kept (number INTEGER)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("INSERT INTO kept VALUES (1), (2)")
        for name in ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm"):
            shutil.copy(living / name, folder / name)


def test_a_store_set_aside_after_a_kill_keeps_the_rows_that_are_in_its_log_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    boot(home)
    leave_store_as_a_kill_does(home)
    boot(home, instance="xyz")
    assert list(home.glob("store-*.sqlite"))
    assert not list(home.glob("store.sqlite*"))
    boot(home)
    assert rows_of_store(home) == [1, 2]


def test_a_log_without_its_store_is_not_left_beside_another_one(tmp_path: Path) -> None:
    boot(tmp_path)
    store_path(tmp_path).with_name("store.sqlite-wal").write_bytes(b"of a store that was deleted")
    boot(tmp_path, instance="xyz")
    assert list(tmp_path.glob("store*")) == []


def test_a_broken_journal_is_set_aside_and_the_engine_comes_up_halted_beyond_its_epochs(tmp_path: Path) -> None:
    for _ in range(3):
        boot(tmp_path, *(Said("info", "filler", {}, 1) for _ in range(5)))
    path = segments(journal_folder(tmp_path))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    life = boot(tmp_path)
    assert "broken" in life.halt
    assert life.next_epoch > 3
    assert life.recovered.created
    (aside,) = tmp_path.glob("journal-broken-*")
    assert segments(aside)[0].read_bytes() == content


def test_a_journal_whose_first_record_is_gone_is_set_aside_too(tmp_path: Path) -> None:
    boot(tmp_path)
    path = segments(journal_folder(tmp_path))[0]
    path.write_bytes(b"\0" * 10 + path.read_bytes()[10:])
    assert "broken" in boot(tmp_path).halt


def test_a_journal_of_another_account_is_refused_not_set_aside(tmp_path: Path) -> None:
    boot(tmp_path)
    other = msgspec.structs.replace(PRINT, env="prod")
    with pytest.raises(ConfigError):
        open_or_quarantine(tmp_path, other, build="b", clock=CLOCK, sync="group", on_failure=lambda _: None)
    assert segments(journal_folder(tmp_path))


@pytest.mark.parametrize(
    ("end", "halted"),
    [
        ((Crashed("bug", 1),), True),  # an error of ours
        ((), True),  # never ready
        ((Ready(1),), False),  # killed while it traded
        ((Ready(1), Crashed("bug", 1)), True),
        ((Ready(1), Closed(True, "stop", 1)), False),
        ((Closed(False, "stop", 1),), False),
    ],
)
def test_the_fourth_life_after_three_failed_ones_comes_up_halted(
    tmp_path: Path, end: tuple[object, ...], halted: bool
) -> None:
    for _ in range(3):
        assert boot(tmp_path, *end).halt == ""
    assert bool(boot(tmp_path).halt) is halted


def test_failures_of_long_ago_do_not_count(tmp_path: Path) -> None:
    for _ in range(3):
        boot(tmp_path)
    later = ManualClock(CLOCK.now_ns() + 700 * SECOND)
    life = opened(tmp_path, clock=later)
    life.journal.close()
    assert life.halt == ""


def test_a_strategy_keeps_its_number_and_a_number_its_strategy() -> None:
    first = strategy_numbers(["btc", "eth"], {})
    assert first == {"btc": 1, "eth": 2}
    assert strategy_numbers(["sol", "eth"], first) == {"eth": 2, "sol": 3}
    assert strategy_numbers(["eth", "btc"], first) == {"btc": 1, "eth": 2}


def test_numbers_of_strategies_long_gone_are_used_again_when_all_are_given_out() -> None:
    known = {f"s{number}": number for number in range(1, 64)}
    assert strategy_numbers(["s5", "new"], known) == {"s5": 5, "new": 1}


def test_the_latch_file_is_written_read_and_removed(tmp_path: Path) -> None:
    assert read_latch(tmp_path) is None
    latch = Latch(True, "drill", "ada", 5)
    write_latch(tmp_path, latch)
    assert read_latch(tmp_path) == latch
    write_latch(tmp_path, Latch(False, "", "ada", 6))
    assert read_latch(tmp_path) is None


def test_a_latch_file_that_cannot_be_read_counts_as_set(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{half")
    latch = read_latch(tmp_path)
    assert latch is not None
    assert latch.latched


def test_set_anywhere_means_set() -> None:
    is_set, cleared = Latch(True, "a", "", 1), Latch(False, "", "", 2)
    assert stricter(None, None) is None
    assert stricter(cleared, None) is None
    assert stricter(cleared, is_set) is is_set
    assert stricter(is_set, None) is is_set
