"""The store's thread under kills, locks, full disks, rot and other people's files. Trading hears of it by a text alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.chronicle import boot, dump, happened, intent, opened, order, said, snapshot, written

from perpmaker.engine.journal import Journal
from perpmaker.engine.journalfile import Segment, segments
from perpmaker.engine.records import Record
from perpmaker.engine.store import Store, StoreReader, WrongStore, files, rebuild, schema, writer
from perpmaker.engine.store.history import Follower, NotOfThisJournal
from perpmaker.engine.store.projection import Projection
from perpmaker.errors import DataError

PATIENCE_S = 60.0


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened_journal = opened(tmp_path / "journal")
    yield opened_journal
    opened_journal.close()


@contextmanager
def following(folder: Path, told: list[str] | None = None, **options: Any) -> Iterator[Store]:
    store = Store(
        folder / "store.sqlite",
        folder / "journal",
        on_trouble=(told if told is not None else []).append,
        gather_s=options.pop("gather_s", 0.0),
        retry_s=options.pop("retry_s", (0.001, 0.01)),
    )
    store.start()
    try:
        yield store
    finally:
        store.close(PATIENCE_S)
        assert not store._thread.is_alive()


def write(journal: Journal, store: Store | None, *records: Record) -> None:
    for record in records:
        journal.append(record)
        if store is not None:
            store.offer(record, journal.record_number)


def counted(folder: Path) -> list[str]:
    """What the notices of the store count, oldest first."""
    with closing(StoreReader(folder / "store.sqlite")) as reader:
        return [row.fields["n"] for row in reader.notices(100_000)[::-1] if row.name == "counted"]


def position(folder: Path) -> int:
    with closing(StoreReader(folder / "store.sqlite")) as reader:
        return reader.progress()[0]


# --- following


def test_what_is_offered_is_in_the_store_after_a_flush(tmp_path: Path, journal: Journal) -> None:
    with following(tmp_path) as store:
        write(journal, store, *(said(number) for number in range(5)))
        assert store.flush(PATIENCE_S)
        assert (store.lag, store.errors, store.trouble) == (0, 0, "")
        assert counted(tmp_path) == ["0", "1", "2", "3", "4"]
        assert position(tmp_path) == journal.record_number


def test_a_store_is_private_to_its_owner(tmp_path: Path, journal: Journal) -> None:
    with following(tmp_path) as store:
        assert store.flush(PATIENCE_S)
    assert stat.S_IMODE((tmp_path / "store.sqlite").stat().st_mode) == 0o600


def test_records_that_are_never_offered_are_there_too(tmp_path: Path, journal: Journal) -> None:
    with following(tmp_path) as store:
        journal.intent(order(1), b"signed")
        write(journal, store, said(1))
        journal.intent(order(2), b"signed")
        journal.rotate(b"state")
        write(journal, store, said(2))
        assert store.flush(PATIENCE_S)
        with closing(StoreReader(tmp_path / "store.sqlite")) as reader:
            assert len(reader.orders(5)) == 2
            assert reader.gaps() == []
        assert counted(tmp_path) == ["1", "2"]


def test_a_store_opened_on_a_long_journal_catches_up_by_itself(tmp_path: Path, journal: Journal) -> None:
    for number in range(3_000):
        journal.append(said(number))
        if not number % 1_000:
            journal.rotate(b"state")
    with following(tmp_path) as store:
        assert store.flush(PATIENCE_S)
        assert len(counted(tmp_path)) == 3_000


def test_a_store_goes_on_where_it_was(tmp_path: Path, journal: Journal) -> None:
    for life in range(4):
        with following(tmp_path) as store:
            write(journal, store, said(2 * life))
            assert store.flush(PATIENCE_S)
        write(journal, None, said(2 * life + 1))
    with following(tmp_path) as store:
        assert store.flush(PATIENCE_S)
    assert counted(tmp_path) == [str(number) for number in range(8)]


def test_closing_writes_what_is_left(tmp_path: Path, journal: Journal) -> None:
    with following(tmp_path, gather_s=PATIENCE_S) as store:
        assert store.flush(PATIENCE_S)
        write(journal, store, said(1), said(2))
    assert counted(tmp_path) == ["1", "2"]


def test_lag_counts_what_was_offered_and_is_not_there_yet(tmp_path: Path, journal: Journal) -> None:
    store = Store(tmp_path / "store.sqlite", tmp_path / "journal")
    write(journal, store, said(1), said(2))
    assert store.lag == journal.record_number
    assert not store.flush(0)


def test_a_store_may_be_opened_before_its_journal_exists(tmp_path: Path) -> None:
    with following(tmp_path) as store:
        assert store.flush(PATIENCE_S)
        with closing(opened(tmp_path / "journal")) as journal:
            write(journal, store, said(1))
            assert store.flush(PATIENCE_S)
    assert counted(tmp_path) == ["1"]


def test_offering_never_waits_for_a_store_that_hangs(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with following(tmp_path) as store:
        assert store.flush(PATIENCE_S)
        with _locked(tmp_path / "store.sqlite"):
            write(journal, store, *(said(number) for number in range(50_000)))
            assert store.lag >= 50_000
        assert store.flush(PATIENCE_S)
    assert len(counted(tmp_path)) == 50_000


# --- trouble


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_store_is_told_once_and_caught_up_after(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_S", 0.01)
    told: list[str] = []
    with following(tmp_path, told) as store:
        assert store.flush(PATIENCE_S)
        with _locked(tmp_path / "store.sqlite"):
            write(journal, store, said(1))
            _until(lambda: store.errors >= 3)
            assert "locked" in store.trouble
        write(journal, store, said(2))
        assert store.flush(PATIENCE_S)
        assert store.trouble == ""
    assert len(told) == 1
    assert counted(tmp_path) == ["1", "2"]


def test_a_disk_that_fills_up_is_left_to_the_journal(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with following(tmp_path, told) as store:
        assert store.flush(PATIENCE_S)
        monkeypatch.setattr(writer, "MIN_FREE_BYTES", 1 << 62)
        write(journal, store, said(1))
        _until(lambda: store.errors >= 2)
        assert "left for the journal" in store.trouble
        assert store.lag > 0
        monkeypatch.setattr(writer, "MIN_FREE_BYTES", 0)
        assert store.flush(PATIENCE_S)
    assert len(told) == 1
    assert counted(tmp_path) == ["1"]


@pytest.mark.parametrize("failing", ["begin", "apply", "commit"])
def test_an_error_in_the_middle_of_a_transaction_loses_and_doubles_nothing(
    failing: str, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    real: Callable[..., Any] = getattr(Projection, failing)
    left = [3]

    def fail(self: Projection, *arguments: Any) -> Any:
        if left[0] and self.record >= 3:
            left[0] -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, *arguments)

    monkeypatch.setattr(Projection, failing, fail)
    monkeypatch.setattr(files, "CHUNK", 2)
    with following(tmp_path, told) as store:
        write(journal, store, *(said(number) for number in range(9)))
        assert store.flush(PATIENCE_S)
        assert store.errors == 3
    assert told == ["store store.sqlite: database or disk is full"]
    assert counted(tmp_path) == [str(number) for number in range(9)]


def test_a_mistake_of_our_own_is_trouble_and_not_the_end_of_the_engine(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with following(tmp_path, told) as store:
        assert store.flush(PATIENCE_S)
        with monkeypatch.context() as patch:
            patch.setattr(Projection, "apply", lambda *_: 1 // 0)
            write(journal, store, said(1))
            _until(lambda: store.errors >= 2)
        assert store.flush(PATIENCE_S)
    assert told == ["store store.sqlite: ZeroDivisionError: integer division or modulo by zero"]
    assert counted(tmp_path) == ["1"]


def test_a_loop_that_has_ended_does_not_end_the_store(tmp_path: Path, journal: Journal) -> None:
    def loop_is_closed(_: str) -> None:
        raise RuntimeError("Event loop is closed")

    (tmp_path / "store.sqlite").write_bytes(b"not a store at all" * 100)
    store = Store(
        tmp_path / "store.sqlite", tmp_path / "journal", on_trouble=loop_is_closed, gather_s=0.0, retry_s=(0.001, 0.01)
    )
    store.start()
    assert store.flush(PATIENCE_S)
    store.close(PATIENCE_S)


def test_a_journal_that_went_away_is_said_and_the_store_is_kept(tmp_path: Path, journal: Journal) -> None:
    told: list[str] = []
    with following(tmp_path, told) as store:
        write(journal, store, said(1))
        assert store.flush(PATIENCE_S)
        (tmp_path / "journal").rename(tmp_path / "elsewhere")
        store.offer(said(2), journal.record_number + 1)
        _until(lambda: store.errors >= 3)
        (tmp_path / "elsewhere").rename(tmp_path / "journal")
        write(journal, store, said(2))
        assert store.flush(PATIENCE_S)
    assert len(told) == 1
    assert counted(tmp_path) == ["1", "2"]
    assert files.asides(tmp_path / "store.sqlite") == []


def test_a_record_that_was_offered_and_is_not_in_the_journal_is_trouble(tmp_path: Path, journal: Journal) -> None:
    told: list[str] = []
    with following(tmp_path, told) as store:
        store.offer(said(1), journal.record_number + 1)
        _until(lambda: store.errors >= 2)
    assert told == [f"store store.sqlite: the journal does not hold record {journal.record_number + 1}"]


def _until(true: Callable[[], bool]) -> None:
    """Wait for the store's thread."""
    done = writer.threading.Event()
    for _ in range(2_000):
        if true():
            return
        done.wait(0.005)
    raise AssertionError("the store's thread did not get there")


# --- stores that cannot be used


def _scribble(path: Path) -> None:
    path.write_bytes(b"not a store at all" * 100)


def _rot(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))


def _rot_where_nobody_writes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    page = data.index(b'{"n":"7"}') // 4096 * 4096
    data[page : page + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")


def _other_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 77")


def _ahead(path: Path) -> None:
    """As after a power cut that took the journal's tail."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE progress SET record = record + 100")


def _of_another_journal(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE progress SET digest = zeroblob(16)")


@pytest.mark.parametrize(
    "spoil", [_scribble, _rot, _rot_where_nobody_writes, _foreign, _other_version, _ahead, _of_another_journal]
)
def test_a_store_that_cannot_be_used_is_set_aside_and_made_anew(
    spoil: Callable[[Path], None], tmp_path: Path, journal: Journal
) -> None:
    told: list[str] = []
    path = tmp_path / "store.sqlite"
    with following(tmp_path) as store:
        write(journal, store, *(said(number) for number in range(300)))
        assert store.flush(PATIENCE_S)
    spoil(path)
    spoilt = path.read_bytes()
    with following(tmp_path, told) as store:
        write(journal, store, said(300))
        assert store.flush(PATIENCE_S)
        assert store.trouble == ""
    assert len(told) == 1
    assert counted(tmp_path) == [str(number) for number in range(301)]
    assert [aside.read_bytes() for aside in files.asides(path)] == [spoilt]


def test_rot_met_while_running_is_set_aside_too(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rotten(*_: object) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        monkeypatch.undo()
        raise error

    with following(tmp_path) as store:
        write(journal, store, said(1))
        assert store.flush(PATIENCE_S)
        monkeypatch.setattr(Projection, "begin", rotten)
        write(journal, store, said(2))
        assert store.flush(PATIENCE_S)
    assert counted(tmp_path) == ["1", "2"]
    assert len(files.asides(tmp_path / "store.sqlite")) == 1


def test_only_the_last_three_spoilt_stores_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    for number in range(5):
        path.write_text(str(number))
        path.with_name("store.sqlite-wal").write_text("")
        files.set_aside(path)
    assert [aside.read_text() for aside in files.asides(path)] == ["2", "3", "4"]
    assert len(list(tmp_path.iterdir())) == 6


def test_a_deleted_store_is_made_anew(tmp_path: Path, journal: Journal) -> None:
    with following(tmp_path) as store:
        write(journal, store, said(1))
        assert store.flush(PATIENCE_S)
    before = dump(tmp_path / "store.sqlite")
    for left in tmp_path.glob("store.sqlite*"):
        left.unlink()
    with following(tmp_path) as store:
        assert store.flush(PATIENCE_S)
    assert dump(tmp_path / "store.sqlite") == before


def test_a_store_killed_while_being_created_is_an_empty_file_and_goes_on(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / "store.sqlite").touch()
    with following(tmp_path) as store:
        write(journal, store, said(1))
        assert store.flush(PATIENCE_S)
        assert store.errors == 0
    assert counted(tmp_path) == ["1"]


def test_the_journals_lost_tail_makes_the_store_forget_it_too(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "journal")) as journal:
        write(journal, None, *(said(number) for number in range(10)))
    rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
    _drop_last_record(segments(tmp_path / "journal")[-1])
    with closing(opened(tmp_path / "journal")) as journal, following(tmp_path) as store:
        write(journal, store, said(77))
        assert store.flush(PATIENCE_S)
    assert counted(tmp_path) == [*(str(number) for number in range(9)), "77"]


def _drop_last_record(path: Path) -> None:
    offset = [offset for offset, _ in Segment(path)][-1]
    os.truncate(path, offset)


# --- the journal's own damage


def three_files(folder: Path) -> list[Path]:
    """A journal of three files: records 1 to 5, 6 to 10, 11 to 14; the notices count 0 to 8."""
    with closing(opened(folder / "journal")) as journal:
        for number in range(9):
            if number in (4, 7):
                journal.rotate(b"state")
            journal.append(said(number))
    return segments(folder / "journal")


def test_damage_in_an_old_file_leaves_a_gap_that_is_told(tmp_path: Path) -> None:
    paths = three_files(tmp_path)
    _flip(paths[1], [offset for offset, _ in Segment(paths[1])][3])
    rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
    assert counted(tmp_path) == ["0", "1", "2", "3", "4", "7", "8"]
    with closing(StoreReader(tmp_path / "store.sqlite")) as reader:
        assert reader.gaps() == [(9, 10)]


def test_old_files_that_were_archived_leave_a_gap(tmp_path: Path) -> None:
    three_files(tmp_path)[0].unlink()
    rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
    assert counted(tmp_path) == ["4", "5", "6", "7", "8"]
    with closing(StoreReader(tmp_path / "store.sqlite")) as reader:
        assert reader.gaps() == [(1, 5)]


def test_a_store_that_has_what_was_archived_keeps_it(tmp_path: Path) -> None:
    paths = three_files(tmp_path)
    rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
    paths[0].unlink()
    paths[1].unlink()
    with closing(opened(tmp_path / "journal")) as journal, following(tmp_path) as store:
        write(journal, store, said(9))
        assert store.flush(PATIENCE_S)
    assert counted(tmp_path) == [str(number) for number in range(10)]


def test_damage_in_the_newest_file_is_an_error_and_what_stands_before_it_is_kept(tmp_path: Path) -> None:
    path = three_files(tmp_path)[-1]
    _flip(path, [offset for offset, _ in Segment(path)][2])
    with pytest.raises(DataError, match="journal-000003"):
        rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
    assert counted(tmp_path) == ["0", "1", "2", "3", "4", "5", "6"]


def _flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset + 20] ^= 0x01
    path.write_bytes(bytes(data))


def test_a_frame_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "journal")) as journal:
        write(journal, None, *(said(number) for number in range(4)))
        path = journal.path
    whole = path.read_bytes()
    offsets = [offset for offset, _ in Segment(path)]
    path.write_bytes(whole[: offsets[2]])
    follower = Follower(tmp_path / "journal", 0, bytes(16))
    assert [found.number for found in follower.read()] == [1, 2]
    complete = {offsets[3]: [3], offsets[4]: [4], len(whole): [5]}
    for end in range(offsets[2], len(whole) + 1):
        path.write_bytes(whole[:end])
        assert [found.number for found in follower.read()] == complete.get(end, [])


def test_a_changed_record_is_not_followed(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "journal")) as journal:
        follower = Follower(tmp_path / "journal", 0, bytes(16))
        assert len(list(follower.read())) == 1
        write(journal, None, said(1), said(2))
        _flip(journal.path, [offset for offset, _ in Segment(journal.path)][2])
        assert [found.record for found in follower.read()] == [said(1)]
        assert list(follower.read()) == []


def test_half_a_frame_at_the_end_of_a_file_that_is_complete_is_damage(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "journal")) as journal:
        follower = Follower(tmp_path / "journal", 0, bytes(16))
        assert len(list(follower.read())) == 1
        path = journal.path
        journal.rotate(b"state")
        with path.open("ab") as file:
            file.write(b"\xb5J\x10")
        with pytest.raises(DataError, match="journal-000001.log: damaged at byte"):
            list(follower.read())


def test_a_follower_reads_what_a_fresh_reading_gives(tmp_path: Path) -> None:
    seen = []
    with closing(opened(tmp_path / "journal")) as journal:
        follower = Follower(tmp_path / "journal", 0, bytes(16))
        for number in range(40):
            write(journal, None, said(number))
            if number % 7 == 3:
                journal.rotate(b"state")
            if number % 3 == 0:
                seen += list(follower.read())
        seen += list(follower.read())
    fresh = list(Follower(tmp_path / "journal", 0, bytes(16)).read())
    assert [(one.number, one.digest, one.record) for one in seen] == [(o.number, o.digest, o.record) for o in fresh]
    later = list(Follower(tmp_path / "journal", fresh[19].number, fresh[19].digest).read())
    assert [one.number for one in later] == [one.number for one in fresh[20:]]


@pytest.mark.parametrize("number", [1, 5, 6, 13, 14])
def test_another_journal_is_known_by_the_digest_wherever_the_store_stands(number: int, tmp_path: Path) -> None:
    three_files(tmp_path)
    fresh = list(Follower(tmp_path / "journal", 0, bytes(16)).read())
    follower = Follower(tmp_path / "journal", number, fresh[number - 1].digest)
    assert [found.number for found in follower.read()] == list(range(number + 1, len(fresh) + 1))
    with pytest.raises(NotOfThisJournal):
        list(Follower(tmp_path / "journal", number, b"another journal!").read())


def test_a_store_that_is_ahead_of_the_journal_is_not_of_it(tmp_path: Path) -> None:
    three_files(tmp_path)
    with pytest.raises(NotOfThisJournal, match="does not reach record 15"):
        list(Follower(tmp_path / "journal", 15, bytes(16)).read())


# --- reading


def test_a_reader_refuses_what_is_not_a_store(tmp_path: Path) -> None:
    for spoil in (_scribble, _foreign):
        (tmp_path / "store.sqlite").touch()
        spoil(tmp_path / "store.sqlite")
        with pytest.raises(WrongStore, match=r"store\.sqlite"):
            StoreReader(tmp_path / "store.sqlite")


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        StoreReader(tmp_path / "store.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    written(tmp_path / "journal", [said(1)]).close()
    rebuild(tmp_path / "journal", tmp_path / "store.sqlite")
    with (
        closing(StoreReader(tmp_path / "store.sqlite")) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader._connection.execute("DELETE FROM notices")


def test_a_snapshot_does_not_see_what_is_written_meanwhile(tmp_path: Path, journal: Journal) -> None:
    with following(tmp_path) as store:
        write(journal, store, said(1))
        assert store.flush(PATIENCE_S)
        with closing(StoreReader(tmp_path / "store.sqlite")) as reader:
            with reader.snapshot():
                before = reader.notices(10)
                write(journal, store, said(2))
                assert store.flush(PATIENCE_S)
                assert reader.notices(10) == before
            assert len(reader.notices(10)) == 2


def test_a_store_in_a_folder_with_odd_letters_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20é"
    written(folder / "journal", [boot(), *happened(snapshot()), intent(order(1))]).close()
    rebuild(folder / "journal", folder / "store.sqlite")
    with closing(StoreReader(folder / "store.sqlite")) as reader:
        assert len(reader.orders(5)) == 1
    shutil.rmtree(folder)
