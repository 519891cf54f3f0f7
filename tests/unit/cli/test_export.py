"""`perpmaker export`: the whole history as CSV, with or without an engine, whatever state its store is in."""

from __future__ import annotations

import csv
import io
import os
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.unit.engine.chronicle import (
    START_NS,
    booked,
    boot,
    fill,
    happened,
    intent,
    mark,
    opened,
    order,
    report,
    said,
    snapshot,
    written,
)

from perpmaker.cli import csv_file, export
from perpmaker.engine.folders import engine_folder, journal_folder, store_path
from perpmaker.engine.journalfile import segments
from perpmaker.engine.records import Record
from perpmaker.engine.store import Store, rebuild
from perpmaker.errors import ConfigError, DataError, PerpmakerError
from perpmaker.model.events import VenueStatus
from perpmaker.model.order import Side

BUY = order(1)
SELL = order(2, Side.SELL, "60010.0")
FIRST = fill(1, BUY, "0.004", "60000.1", fee=Decimal("-0.00024"))
SECOND = fill(2, SELL, "0.004", "60010.0", is_taker=True, realized_pnl=Decimal("0.0396"))
HISTORY: list[Record] = [
    boot(),
    *happened(snapshot()),
    mark(),
    intent(BUY),
    intent(SELL),
    *happened(report(BUY, VenueStatus.OPEN), FIRST),
    booked(1, FIRST, "0.004"),
    *happened(SECOND, report(SELL, VenueStatus.CANCELED, "0.004", reason="=1+1")),
    booked(2, SECOND, "0.000"),
    mark("100002.5", START_NS + 10),
]


def recorded(home: Path, *, name: str = "local", records: list[Record] | None = None, store: bool = True) -> Path:
    """The folder of an engine that has stopped."""
    folder = engine_folder(home, name, "local")
    written(journal_folder(folder), HISTORY if records is None else records).close()
    if store:
        rebuild(journal_folder(folder), store_path(folder))
    return folder


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export.command, list(arguments), obj=home, catch_exceptions=True)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def exported(home: Path, what: str = "trades") -> list[dict[str, str]]:
    result = run(home, what)
    assert result.exit_code == 0, result.output
    return rows(result.stdout)


# --- what is in it


def test_trades_have_the_columns_of_the_trade_history_in_their_order(tmp_path: Path) -> None:
    recorded(tmp_path)
    header = run(tmp_path, "trades").stdout.splitlines()[0]
    assert header.split(",")[:16] == [
        "time",
        "instrument",
        "side",
        "effect",
        "order_px",
        "fill_px",
        "qty",
        "fee",
        "realized_pnl",
        "grid_profit",
        "position_after",
        "venue",
        "account",
        "strategy",
        "client_order_id",
        "trade_id",
    ]


def test_trades_are_exact_and_oldest_first(tmp_path: Path) -> None:
    recorded(tmp_path)
    first, second = exported(tmp_path)
    assert first == {
        "time": "2023-11-14T22:13:20.000000001Z",
        "instrument": "BTC_USDT_Perp",
        "side": "buy",
        "effect": "opens",
        "order_px": "60000.1",
        "fill_px": "60000.1",
        "qty": "0.004",
        "fee": "-0.00024",
        "realized_pnl": "1.5",
        "grid_profit": "0",
        "position_after": "0.004",
        "venue": "grvt",
        "account": "main",
        "strategy": "btc",
        "client_order_id": str(BUY.client_order_id),
        "trade_id": "t1",
        "fee_currency": "USDT",
        "liquidity": "maker",
    }
    assert (second["effect"], second["grid_profit"], second["realized_pnl"]) == ("closes", "0.0396", "0.0396")
    assert (second["position_after"], second["liquidity"]) == ("0.000", "taker")


def test_pnl_sums_its_parts(tmp_path: Path) -> None:
    recorded(tmp_path)
    found = exported(tmp_path, "pnl")
    assert [row["equity"] for row in found] == ["100001.25", "100002.5"]
    for row in found:
        parts = [Decimal(row[name]) for name in ("spread", "adverse", "inventory", "funding")]
        assert Decimal(row["pnl"]) == sum(parts) - Decimal(row["fees"]) == Decimal("1.25")
        assert row["positions"] == "BTC_USDT_Perp=-0.010"


def test_orders_say_how_they_ended_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    recorded(tmp_path)
    buy, sell = exported(tmp_path, "orders")
    assert (buy["state"], buy["cum_qty"], buy["avg_px"], buy["ended"]) == ("open", "0.004", "60000.1", "")
    assert (sell["state"], sell["reason"], sell["tag"]) == ("canceled", "'=1+1", "quote bid 1")
    assert datetime.fromisoformat(sell["ended"][:26]).replace(tzinfo=UTC).timestamp() == START_NS / 1e9


def test_signatures_are_in_no_export(tmp_path: Path) -> None:
    recorded(tmp_path)
    for what in ("trades", "pnl", "orders"):
        assert "nobody's business" not in run(tmp_path, what).output


def test_an_engine_that_did_nothing_gives_headers_alone(tmp_path: Path) -> None:
    recorded(tmp_path, records=[boot()])
    for what in ("trades", "pnl", "orders"):
        assert exported(tmp_path, what) == []


# --- from whatever there is


def seen(folder: Path) -> dict[str, bytes]:
    """What an export must leave alone: everything but SQLite's own side files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_store_that_is_missing_is_not_needed(tmp_path: Path) -> None:
    folder = recorded(tmp_path, store=False)
    before = seen(folder)
    assert [row["trade_id"] for row in exported(tmp_path)] == ["t1", "t2"]
    assert seen(folder) == before


def test_a_store_that_is_behind_is_followed_up_elsewhere(tmp_path: Path) -> None:
    folder = recorded(tmp_path, records=HISTORY[:8])
    with closing(opened(journal_folder(folder))) as journal:
        for record in HISTORY[8:]:
            journal.append(record)
        before = seen(folder)
        assert [row["trade_id"] for row in exported(tmp_path)] == ["t1", "t2"]
        assert seen(folder) == before


@pytest.mark.parametrize("content", [b"", b"not a store at all" * 300, None])
def test_a_store_that_is_damaged_is_not_needed(content: bytes | None, tmp_path: Path) -> None:
    folder = recorded(tmp_path)
    data = store_path(folder).read_bytes()
    store_path(folder).write_bytes(data[:4096] + b"\xff" * (len(data) - 4096) if content is None else content)
    before = seen(folder)
    assert [row["trade_id"] for row in exported(tmp_path)] == ["t1", "t2"]
    assert seen(folder) == before


def test_a_store_whose_pages_rot_while_it_is_behind_is_not_needed(tmp_path: Path) -> None:
    folder = recorded(tmp_path, records=HISTORY[:8])
    data = store_path(folder).read_bytes()
    store_path(folder).write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) - len(data) // 2))
    with closing(opened(journal_folder(folder))) as journal:
        for record in HISTORY[8:]:
            journal.append(record)
    assert [row["trade_id"] for row in exported(tmp_path)] == ["t1", "t2"]


def test_one_rotten_page_in_a_store_that_is_up_to_date_is_found(tmp_path: Path) -> None:
    folder = recorded(tmp_path)
    data = bytearray(store_path(folder).read_bytes())
    page = data.index(b"USDT1.5") // 4096 * 4096  # where the fills are
    data[page : page + 8] = b"\xff" * 8
    store_path(folder).write_bytes(bytes(data))
    assert [row["trade_id"] for row in exported(tmp_path)] == ["t1", "t2"]


def test_what_the_store_has_and_the_journal_no_longer_has_is_exported(tmp_path: Path) -> None:
    folder = recorded(tmp_path)
    with closing(opened(journal_folder(folder))) as journal:
        journal.rotate(b"state")
        journal.append(mark("99"))
    rebuild(journal_folder(folder), store_path(folder))
    segments(journal_folder(folder))[0].unlink()
    with closing(opened(journal_folder(folder))) as journal:
        journal.append(mark("98"))
    assert [row["equity"] for row in exported(tmp_path, "pnl")] == ["100001.25", "100002.5", "99", "98"]


def test_the_store_of_another_journal_is_not_believed(tmp_path: Path) -> None:
    folder = recorded(tmp_path)
    other = tmp_path / "other"
    written(other, [boot(), *(said(number) for number in range(40))]).close()
    store_path(folder).unlink()
    rebuild(other, store_path(folder))
    assert [row["trade_id"] for row in exported(tmp_path)] == ["t1", "t2"]


def test_a_running_engine_is_exported_to_its_last_record(tmp_path: Path) -> None:
    folder = engine_folder(tmp_path, "local", "local")
    with closing(opened(journal_folder(folder))) as journal:
        store = Store(store_path(folder), journal_folder(folder), gather_s=0.0)
        store.start()
        for record in HISTORY[:-1]:
            journal.append(record)
            store.offer(record, journal.record_number)
        assert store.flush(20.0)
        journal.append(HISTORY[-1])  # the store does not know of it yet
        assert [row["equity"] for row in exported(tmp_path, "pnl")] == ["100001.25", "100002.5"]
        store.offer(HISTORY[-1], journal.record_number)
        assert store.flush(20.0)
        assert len(exported(tmp_path, "pnl")) == 2
        store.close(20.0)
        assert store.errors == 0


def test_lost_records_are_warned_of(tmp_path: Path) -> None:
    folder = recorded(tmp_path, store=False)
    with closing(opened(journal_folder(folder))) as journal:
        journal.rotate(b"state")
        journal.append(mark("99"))
    damaged = segments(journal_folder(folder))[0]
    data = bytearray(damaged.read_bytes())
    data[-5] ^= 1
    damaged.write_bytes(bytes(data))
    result = run(tmp_path, "pnl")
    assert result.exit_code == 0
    assert [row["equity"] for row in rows(result.stdout)] == ["100001.25", "99"]
    assert "warning: the journal has lost record" in result.stderr


def test_damage_at_the_end_of_the_journal_is_warned_of(tmp_path: Path) -> None:
    folder = recorded(tmp_path, store=False)
    path = segments(journal_folder(folder))[-1]
    data = path.read_bytes()
    place = data.index(b"100002.5")
    path.write_bytes(data[:place] + b"900002.5" + data[place + 8 :] + data[:300])
    result = run(tmp_path, "pnl")
    assert [row["equity"] for row in rows(result.stdout)] == ["100001.25"]
    assert "warning: the journal ends in damage" in result.stderr


def test_a_store_without_its_journal_is_exported_with_a_warning(tmp_path: Path) -> None:
    folder = recorded(tmp_path)
    for path in segments(journal_folder(folder)):
        path.unlink()
    result = run(tmp_path, "trades")
    assert len(rows(result.stdout)) == 2
    assert "warning" in result.stderr
    store_path(folder).unlink()
    assert isinstance(run(tmp_path, "trades").exception, DataError)


# --- which engine


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    result = run(tmp_path, "trades")
    assert isinstance(result.exception, PerpmakerError)
    assert "nothing is recorded" in str(result.exception)


def test_of_several_engines_one_must_be_named(tmp_path: Path) -> None:
    recorded(tmp_path, name="one")
    recorded(tmp_path, name="two", records=[boot()])
    refused = run(tmp_path, "trades")
    assert refused.exit_code == 2
    assert "one-local, two-local" in refused.stderr
    assert len(rows(run(tmp_path, "trades", "--engine", "one").stdout)) == 2
    assert len(rows(run(tmp_path, "trades", "--engine", "two-local").stdout)) == 0


@pytest.mark.parametrize("name", ["three", "../other", "one/..", ""])
def test_an_engine_that_is_not_there_is_refused_by_name(name: str, tmp_path: Path) -> None:
    recorded(tmp_path, name="one")
    recorded(tmp_path / "other", name="x")
    refused = run(tmp_path, "trades", "--engine", name)
    assert refused.exit_code == 2
    assert "is not known; there are: one-local" in refused.stderr


def test_a_name_in_two_environments_needs_its_environment(tmp_path: Path) -> None:
    recorded(tmp_path, name="one")
    written(journal_folder(engine_folder(tmp_path, "one", "testnet")), [boot()]).close()
    refused = run(tmp_path, "trades", "--engine", "one")
    assert refused.exit_code == 2
    assert "one-local, one-testnet" in refused.stderr
    assert len(rows(run(tmp_path, "trades", "--engine", "one-testnet").stdout)) == 0


# --- the file


def test_a_file_holds_what_standard_output_would(tmp_path: Path) -> None:
    recorded(tmp_path)
    target = tmp_path / "trades.csv"
    result = run(tmp_path, "trades", "--output", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.read_text() == run(tmp_path, "trades").stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path)
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / "trades.csv"
    target.write_text("the old one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("perpmaker.cli.csv_file.os.fsync", full)
    result = run(tmp_path, "trades", "--output", str(target))
    assert isinstance(result.exception, PerpmakerError)
    assert "No space left" in str(result.exception)
    assert "is as it was" in str(result.exception)
    assert [path.name for path in folder.iterdir()] == ["trades.csv"]
    assert target.read_text() == "the old one"


def test_the_name_is_taken_only_when_all_of_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.csv"
    synced: list[bool] = []
    real = os.fsync
    monkeypatch.setattr(csv_file.os, "fsync", lambda fd: (synced.append(target.exists()), real(fd)))
    with csv_file.opened(target) as handle:
        handle.write("a" * 100_000)
        assert not target.exists()
    assert synced == [False, True]
    assert target.stat().st_size == 100_000


def test_an_output_that_is_no_file_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    recorded(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for wanted in (tmp_path / "pipe", tmp_path / "nowhere" / "trades.csv"):
        assert isinstance(run(tmp_path, "trades", "--output", str(wanted)).exception, ConfigError)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert run(tmp_path, "trades", "--output", str(tmp_path)).exit_code == 2


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    recorded(tmp_path)
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert run(tmp_path, "trades", "--output", str(tmp_path / "link.csv")).exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("time,")


def test_whoever_reads_only_the_first_line_gets_it_without_a_traceback(tmp_path: Path) -> None:
    recorded(tmp_path, records=[mark(str(number)) for number in range(3_000)])
    with subprocess.Popen(
        [sys.executable, "-m", "perpmaker", "--home", str(tmp_path), "export", "pnl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b"time,")
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(timeout=200) == 0


def test_a_reader_that_is_gone_before_the_first_line_is_no_error(tmp_path: Path) -> None:
    recorded(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "perpmaker", "--home", str(tmp_path), "export", "trades"]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=buffered, check=False, timeout=200)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_error_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perpmaker", "--home", str(tmp_path), "export", "trades"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("perpmaker: nothing is recorded in")
    assert done.stderr.count("\n") == 1


# --- cells


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd", "'+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\r=1", "'\r=1"),
        ("-", "'-"),
        ("--1", "'--1"),
        ("-1e", "'-1e"),
        ("-\u0661", "'-\u0661"),
        ("-1", "-1"),
        ("+0.5", "+0.5"),
        ("-.5e-3", "-.5e-3"),
        ("a=b", "a=b"),
        ("", ""),
        (None, ""),
        (True, "1"),
        (-3, "-3"),
        (Decimal("-0.00000001"), "-0.00000001"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0E-9"), "0.000000000"),
    ],
)
def test_a_cell_is_text_or_a_plain_number(value: csv_file.Cell, text: str) -> None:
    assert csv_file.cell(value) == text


@pytest.mark.parametrize(
    ("ts_ns", "text"),
    [
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (0, "1970-01-01T00:00:00.000000000Z"),
        (None, ""),
    ],
)
def test_times_keep_all_their_digits(ts_ns: int | None, text: str) -> None:
    assert csv_file.utc(ts_ns) == text


# --- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with export.progress("reading the journal") as step:
            step(1, 2)
            step(2, 2)
        assert ("reading the journal" in stream.getvalue()) is shown


def test_a_short_export_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with export.progress("reading the journal"):
        pass
    assert "reading" not in stream.getvalue()


def test_every_thousandth_row_is_a_step() -> None:
    told: list[tuple[int, int]] = []
    passed = list(export.counted([("x",)] * 2_500, 2_500, lambda done, total: told.append((done, total))))
    assert len(passed) == 2_500
    assert told == [(1_000, 2_500), (2_000, 2_500)]


def test_a_bar_says_the_share_where_the_total_is_known_and_else_how_much() -> None:
    assert (export.how_far(1_500, 6_000), export.how_far(0, 6_000), export.how_far(12_345, 0)) == (
        "25 %",
        "0 %",
        "12,345",
    )
