"""The journal under kills, power cuts, full disks and other people's hands."""

from __future__ import annotations

import errno
import os
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perpmaker.clock import ManualClock
from perpmaker.engine import journal as journal_module
from perpmaker.engine import recovery as recovery_module
from perpmaker.engine.journal import Journal, open_journal
from perpmaker.engine.journalfile import Segment, segments, verify
from perpmaker.engine.records import (
    AccountPrint,
    Boot,
    Checkpoint,
    Closed,
    Fingerprint,
    Happened,
    Intent,
    Latch,
    Record,
    Said,
    StrategyAdded,
    decode,
    encode,
)
from perpmaker.engine.recovery import Recovered
from perpmaker.errors import ConfigError, DataError
from perpmaker.model.events import SubmitRejected
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.order import NewOrder, Side

PRINT = Fingerprint(
    engine="local",
    env="local",
    mode="live",
    instance=1,
    accounts=(AccountPrint("main", "grvt", "123", 326),),
    exchange_instance="abc",
)
ORDER = NewOrder(
    client_order_id=ClientOrderId(1 << 63),
    account=AccountId("main"),
    strategy=StrategyId("btc"),
    instrument=InstrumentId("BTC_USDT_Perp"),
    side=Side.BUY,
    px=Decimal("60000.1"),
    qty=Decimal("0.010"),
)


def opened(folder: Path, **options: Any) -> tuple[Journal, Recovered]:
    return open_journal(folder, options.pop("fingerprint", PRINT), build="test", clock=ManualClock(), **options)


def said(number: int) -> Said:
    return Said("info", "counted", {"n": str(number)}, number)


def reopened_records(folder: Path, **options: Any) -> list[Record]:
    journal, recovered = opened(folder, **options)
    journal.close()
    return recovered.records


def written(folder: Path, count: int = 5) -> Path:
    """A journal with `count` notices, closed; returns its file."""
    journal, _ = opened(folder)
    for number in range(count):
        journal.append(said(number))
    journal.close()
    return journal.path


def test_a_new_journal_is_private_and_begins_with_its_fingerprint(tmp_path: Path) -> None:
    journal, recovered = opened(tmp_path / "j")
    journal.close()
    assert recovered.created
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o700
    assert verify(tmp_path / "j").fingerprint == PRINT


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    journal.intent(ORDER, b"signed bytes")
    journal.append(said(7))
    journal.close()
    _, intent, notice = reopened_records(tmp_path)
    assert isinstance(intent, Intent)
    assert (intent.order, intent.signed) == (ORDER, b"signed bytes")
    assert notice == said(7)


def test_an_intent_is_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    journal.intent(ORDER, b"wire")
    seen = list(Segment(journal.path).decoded())[-1]
    journal.close()
    assert isinstance(seen, Intent)
    assert seen.signed == b"wire"


def test_the_group_commit_reaches_the_disk_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    synced = threading.Event()
    real = os.fdatasync

    def watch(descriptor: int) -> None:
        real(descriptor)
        synced.set()

    journal, _ = opened(tmp_path)
    monkeypatch.setattr(journal_module.os, "fdatasync", watch)
    journal.append(said(1))
    assert synced.wait(5.0)
    journal.close()


def test_sync_full_syncs_each_intent_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = opened(tmp_path, sync="full")
    order: list[str] = []
    monkeypatch.setattr(journal_module.os, "fdatasync", lambda _: order.append("sync"))
    journal.intent(ORDER, b"x")
    assert order[0] == "sync"
    journal.close()


def test_epoch_and_latch_are_on_disk_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = opened(tmp_path)
    syncs: list[int] = []
    monkeypatch.setattr(journal_module.os, "fdatasync", syncs.append)
    journal.append_now(Boot(epoch=1, build="b", pid=1, reason="", ts_ns=1))
    after_boot = len(syncs)
    journal.append_now(Latch(True, "test", "me", 2))
    assert after_boot >= 1
    assert len(syncs) > after_boot
    journal.close()


@pytest.mark.parametrize("cut", [1, 7, 16, 17, 40])
def test_a_torn_tail_is_cut_at_the_last_whole_record_and_kept_aside(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal, recovered = opened(tmp_path)
    kept = next(tmp_path.glob("torn-*.bin")).read_bytes()
    assert path.read_bytes() + kept == whole[:-cut]
    assert len(kept) == recovered.torn_bytes > 0
    journal.append(said(99))
    journal.close()
    assert [r for r in recovered.records if isinstance(r, Said)] == [said(n) for n in range(4)]
    assert reopened_records(tmp_path)[-1] == said(99)
    assert verify(tmp_path).torn_bytes == 0


def test_zeros_after_the_last_record_are_a_torn_tail(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("ab") as handle:
        handle.write(bytes(4096))
    assert [r for r in reopened_records(tmp_path) if isinstance(r, Said)] == [said(n) for n in range(5)]


def test_a_flipped_byte_in_the_middle_is_a_broken_chain(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged at byte \d+ with whole records behind it"):
        opened(tmp_path)
    with pytest.raises(DataError):
        verify(tmp_path)


def test_a_record_taken_out_breaks_the_chain(tmp_path: Path) -> None:
    path = written(tmp_path)
    offsets = [offset for offset, _ in Segment(path)]
    content = path.read_bytes()
    path.write_bytes(content[: offsets[2]] + content[offsets[3] :])
    with pytest.raises(DataError, match="hash chain is broken"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("env", "prod"),
        ("mode", "paper"),
        ("engine", "other"),
        ("instance", 2),
        ("exchange_instance", "xyz"),
        ("accounts", (AccountPrint("main", "grvt", "124", 326),)),
        ("accounts", (AccountPrint("main", "grvt", "123", 325),)),
    ],
)
def test_the_journal_of_another_world_is_refused_by_name(tmp_path: Path, field: str, value: object) -> None:
    import msgspec

    written(tmp_path)
    with pytest.raises(ConfigError, match=f"journal of another {field}"):
        opened(tmp_path, fingerprint=msgspec.structs.replace(PRINT, **{field: value}))


def test_a_journal_of_a_newer_build_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SCHEMA", 2)
    written(tmp_path)
    monkeypatch.setattr(recovery_module, "SCHEMA", 1)
    with pytest.raises(ConfigError, match="newer build"):
        opened(tmp_path)


def test_epoch_and_latch_survive_rotation_and_checkpoints(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    journal.append_now(Boot(epoch=3, build="b", pid=1, reason="", ts_ns=1))
    journal.append_now(Latch(True, "why", "me", 2))
    journal.rotate(b"state one")
    journal.append(said(1))
    journal.append(Checkpoint(b"state two", 5))
    journal.append(said(2))
    journal.close()
    again, recovered = opened(tmp_path)
    again.close()
    assert (recovered.epoch, recovered.latch) == (3, Latch(True, "why", "me", 2))
    assert recovered.checkpoint == Checkpoint(b"state two", 5)
    assert recovered.records == [said(2)]
    assert verify(tmp_path).segments == 2


def test_strategy_numbers_survive_every_file(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    journal.append_now(Boot(1, "b", 1, "", 1, {"btc": 1}))
    journal.rotate(b"one")
    journal.append_now(Boot(2, "b", 1, "", 2, {"btc": 1, "eth": 2}))
    journal.rotate(b"two")
    journal.close()
    again, recovered = opened(tmp_path)
    again.close()
    assert recovered.strategies == {"btc": 1, "eth": 2}
    assert recovered.epoch == 2


def test_the_number_of_a_strategy_that_a_person_started_survives_like_those_of_a_boot(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    journal.append_now(Boot(1, "test", 1, "start", 5, {"btc": 1}))
    journal.append(StrategyAdded(StrategyId("pair-eth"), "pair", 2, AccountId("main"), {"size": "1"}, 6))
    journal.close()
    journal, recovered = opened(tmp_path)
    assert recovered.strategies == {"btc": 1, "pair-eth": 2}
    journal.rotate(b"state")
    journal.close()
    journal, recovered = opened(tmp_path)
    journal.close()
    assert recovered.strategies == {"btc": 1, "pair-eth": 2}


def test_a_cleared_latch_stays_cleared(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    journal.append_now(Latch(True, "why", "me", 2))
    journal.rotate(b"")
    journal.append_now(Latch(False, "checked", "me", 3))
    journal.close()
    again, recovered = opened(tmp_path)
    again.close()
    assert recovered.latch is not None
    assert not recovered.latch.latched


def test_rotation_is_wanted_when_a_file_is_large_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path, segment_bytes=2000)
    for number in range(100):
        journal.append(said(number))
        if journal.wants_rotation:
            journal.rotate(b"s")
    journal.close()
    found = verify(tmp_path)
    assert found.segments == len(segments(tmp_path)) > 3
    assert found.records == journal.record_number


def test_the_oldest_files_go_when_all_is_too_large_and_the_store_has_them(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    for number in range(4):
        journal.append(said(number))
        journal.rotate(b"s")
    assert journal.prune(10**9, journal.record_number) == []
    assert journal.prune(0, 2) == []  # the second file begins with record 3
    assert [path.name for path in journal.prune(0, 3)] == ["journal-000001.log"]
    assert len(journal.prune(0, journal.record_number)) == 3
    journal.append(said(9))
    journal.close()
    assert len(segments(tmp_path)) == 1
    assert verify(tmp_path).records == 3
    assert reopened_records(tmp_path)[-1] == said(9)


def test_a_missing_file_in_the_middle_is_found(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    for _ in range(2):
        journal.append(said(1))
        journal.rotate(b"s")
    journal.close()
    segments(tmp_path)[1].unlink()
    with pytest.raises(DataError, match="does not continue"):
        verify(tmp_path)


def test_a_kill_while_a_file_is_made_leaves_no_trace(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / ".journal-000002.log.tmp").write_bytes(b"half")
    reopened_records(tmp_path)
    assert len(segments(tmp_path)) == 1
    assert not list(tmp_path.glob(".journal-*"))


def test_lives_tell_a_crash_from_an_orderly_end(tmp_path: Path) -> None:
    boots = [Boot(epoch=n, build="b", pid=1, reason="", ts_ns=n) for n in (1, 2)]
    journal, _ = opened(tmp_path)
    journal.append_now(boots[0])
    journal.append(Closed(verified_empty=True, reason="stop", ts_ns=2))
    journal.append(Checkpoint(b"", 2))
    journal.append_now(boots[1])
    journal.close()
    again, recovered = opened(tmp_path)
    again.close()
    assert recovered.lives == [boots[0], Closed(verified_empty=True, reason="stop", ts_ns=2), boots[1]]


class FailingDisk:
    """os.write that fails from the n-th call on, after writing `part` bytes of that record."""

    def __init__(self, code: int, *, part: int = 0) -> None:
        self.code, self.part, self.broken = code, part, True
        self._real = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.broken:
            return self._real(descriptor, data)
        if self.part:
            part, self.part = self.part, 0
            return self._real(descriptor, data[:part])
        raise OSError(self.code, os.strerror(self.code))


def test_a_full_disk_stops_intents_but_the_reserve_takes_latch_and_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    journal, _ = opened(tmp_path, on_failure=failures.append)
    real, reserve = os.write, tmp_path / "reserve"

    def full_until_the_reserve_is_freed(descriptor: int, data: bytes) -> int:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(journal_module.os, "write", full_until_the_reserve_is_freed)
    journal.append_now(Latch(True, "disk", "engine", 1))
    with pytest.raises(OSError, match="reserve"):
        journal.intent(ORDER, b"")
    assert failures == ["journal writes into its reserve: the disk is full"]
    assert journal.regain_space()
    monkeypatch.setattr(journal_module.os, "write", real)
    journal.intent(ORDER, b"")
    journal.close()
    assert isinstance(reopened_records(tmp_path)[-1], Intent)


@pytest.mark.parametrize("part", [0, 5, 30])
def test_a_failed_write_leaves_no_trace_and_the_chain_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    journal, _ = opened(tmp_path)
    journal.append(said(1))
    disk = FailingDisk(errno.ENOSPC, part=part)
    (tmp_path / "reserve").unlink()
    monkeypatch.setattr(journal_module.os, "write", disk.write)
    with pytest.raises(OSError, match="No space"):
        journal.intent(ORDER, b"never sent")
    disk.broken = False
    journal.append(said(2))
    journal.close()
    assert [r for r in reopened_records(tmp_path) if not isinstance(r, Said)][1:] == []
    assert reopened_records(tmp_path)[-2:] == [said(1), said(2)]


def test_an_input_output_error_loses_the_journal_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[str] = []
    journal, _ = opened(tmp_path, on_failure=failures.append)
    disk = FailingDisk(errno.EIO)
    monkeypatch.setattr(journal_module.os, "write", disk.write)
    with pytest.raises(OSError):
        journal.intent(ORDER, b"")
    disk.broken = False
    with pytest.raises(OSError):
        journal.intent(ORDER, b"")
    assert not journal.regain_space()
    assert len(failures) == 1
    journal.close()


def test_a_failed_sync_is_never_retried_as_if_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[str] = []
    journal, _ = opened(tmp_path, on_failure=failures.append)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journal_module.os, "fdatasync", fail)
    with pytest.raises(OSError):
        journal.append_now(Boot(epoch=1, build="b", pid=1, reason="", ts_ns=1))
    monkeypatch.undo()
    with pytest.raises(OSError):
        journal.intent(ORDER, b"")
    assert failures == ["journal sync failed: Input/output error"]
    journal.close()


def test_a_rejection_of_before_it_said_whether_it_stands_alone_is_still_read() -> None:
    record = Happened(SubmitRejected(AccountId("main"), ClientOrderId(7), 2402, "too large", 5, stands_alone=True), 5)
    fields = msgspec.msgpack.decode(encode(record))
    assert fields["event"].pop("stands_alone") is True
    read = decode(msgspec.msgpack.encode(fields))
    assert read == Happened(SubmitRejected(AccountId("main"), ClientOrderId(7), 2402, "too large", 5), 5)


def test_the_highest_epoch_is_salvaged_from_a_broken_journal(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path)
    for epoch in (1, 2, 3):
        journal.append_now(Boot(epoch=epoch, build="b", pid=1, reason="", ts_ns=epoch))
    journal.close()
    offsets = [offset for offset, _ in Segment(journal.path)]
    content = bytearray(journal.path.read_bytes())
    content[offsets[2] + 12] ^= 0xFF
    journal.path.write_bytes(content)
    assert Segment(journal.path).salvaged_epoch() == 3
